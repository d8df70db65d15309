//! Whose certificates are believed. Those in `certificates/` were made for these tests and are good
//! until 2120, `expired.pem` aside; the key in `server.key` is known to everybody and guards nothing.

use crate::{
    names::{Table, get},
    stage::{Stage, tenant},
    target::{Target, certificate, not_found},
};
use rosterd::{
    model::{CredentialHeader, Reach},
    sender::{Hosts, Http, Timeouts, http::Sent},
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
};

const LOOPBACK: Reach = Reach { loopback: true, private: false };

/// Sends a secret to `target.test` on this machine, trusting the authority besides the machine's.
async fn sent_to(port: u16, authority: Option<&str>) -> Sent {
    let der = |name| CertificateDer::from_pem_slice(certificate(name).as_bytes()).unwrap().to_vec();
    let hosts = Hosts {
        authorities: authority.map(der).into_iter().collect(),
        lookup: Arc::new(Table(vec!["127.0.0.1".parse().unwrap()])),
        ..Hosts::within(LOOPBACK)
    };
    let http = Http::new(Timeouts::default(), hosts).unwrap();
    let mut request = get(&format!("https://target.test:{port}/x"));
    let credential =
        CredentialHeader { header: "authorization", prefix: "Bearer ", credential: "token" };
    request.credentials.push(credential);
    http.send(request, &BTreeMap::from([("token".to_owned(), "canary".into())])).await
}

#[tokio::test]
async fn d26_s10_an_authority_of_ones_own_is_believed_about_its_targets() {
    let target = Target::tls("good.pem", not_found);
    let sent = sent_to(target.port(), Some("ca.pem")).await;
    assert!(matches!(&sent, Sent::Answered(response) if response.status == 404), "{sent:?}");
    assert_eq!(target.handshakes(), [Some("target.test".to_owned())]);
    assert!(target.requests()[0].contains("Bearer canary"));
}

#[tokio::test]
async fn d26_s10_a_certificate_that_is_not_valid_is_told_nothing() {
    for (presented, authority, told) in [
        ("good.pem", None, "UnknownIssuer"),
        ("good.pem", Some("other.pem"), "UnknownIssuer"),
        ("expired.pem", Some("ca.pem"), "expired"),
        ("wrong_name.pem", Some("ca.pem"), "not valid for name"),
    ] {
        let target = Target::tls(presented, not_found);
        let sent = sent_to(target.port(), authority).await;
        let Sent::Unreachable { why } = &sent else { panic!("{presented}: {sent:?}") };
        assert!(why.starts_with("the target's certificate is not valid: "), "{why}");
        assert!(why.contains(told), "{presented}: {why}");
        assert_eq!(target.requests(), [""; 0], "{presented}");
    }
}

/// The beginning of a handshake in TLS 1.1 (RFC 4346 §7.4.1.3), as a server gives it.
fn old_hello() -> Vec<u8> {
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x13, 0]);
    hello
}

/// What a client says to somebody who answers its hello with this.
async fn said_after(hello: Vec<u8>) -> (Sent, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ears = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let mut client_hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
        stream.read_exact(&mut client_hello).unwrap();
        stream.write_all(&hello).unwrap();
        let mut rest = Vec::new();
        // Reset or closed: both are goodbyes.
        let _ = stream.read_to_end(&mut rest);
        rest
    });
    let sent = sent_to(port, Some("ca.pem")).await;
    (sent, ears.join().unwrap())
}

#[tokio::test]
async fn d26_g05_s10_tls_below_1_2_and_no_tls_at_all_are_told_nothing() {
    const ALERT: u8 = 21;
    let (sent, said) = said_after(old_hello()).await;
    let Sent::Unreachable { why } = &sent else { panic!("{sent:?}") };
    assert_eq!(why, "the target speaks no TLS 1.2 or newer");
    assert!(said.first().is_none_or(|kind| *kind == ALERT) && said.len() <= 7, "{said:?}");

    let (sent, said) = said_after(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).await;
    assert!(matches!(sent, Sent::NotSent { .. } | Sent::Unreachable { .. }), "{sent:?}");
    assert!(said.first().is_none_or(|kind| *kind == ALERT) && said.len() <= 7, "{said:?}");
}

#[test]
fn d26_g05_a_ca_file_is_believed_for_its_own_tenant_and_for_no_other() {
    let target = Target::tls("good.pem", not_found);
    let base = format!("https://localhost:{}", target.port());
    let loopback = "allow_insecure_http = \"loopback\"";
    let own = tenant("own", &base, &format!("{loopback}\nca_file = \"ca.pem\""));
    let stage = Stage::new(&[("own", own), ("other", tenant("other", &base, loopback))]);
    stage.write("ca.pem", &certificate("ca.pem"), 0o644);
    assert_eq!(stage.run(&["check"]).code, 0);

    let ended = stage.run(&["run"]);
    assert_eq!(ended.code, 1, "{}", ended.text);
    assert!(ended.text.contains("certificate is not valid"), "{}", ended.text);
    let requests = target.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].contains("token-own"));
    let mut handshakes = target.handshakes();
    handshakes.sort();
    assert_eq!(handshakes, [None, Some("localhost".to_owned())]);
}

#[test]
fn g05_a_ca_file_that_cannot_be_relied_on_is_a_mistake_in_the_configuration() {
    let good = certificate("ca.pem");
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, mode, told) in [
        (good.as_str(), 0o664, "can be written by others (mode 0664)"),
        (good.as_str(), 0o646, "can be written by others (mode 0646)"),
        ("", 0o644, "holds no certificate in PEM"),
        ("not PEM", 0o644, "holds no certificate in PEM"),
        (no_certificate, 0o644, "holds a certificate, number 1, that is none"),
        (&certificate("server.key"), 0o600, "holds no certificate in PEM"),
    ] {
        let keys = "ca_file = \"ca.pem\"\nquotta = \"5/s\"";
        let stage = Stage::new(&[("acme", tenant("acme", "https://api.example.com", keys))]);
        stage.write("ca.pem", text, mode);
        let ended = stage.run(&["check"]);
        assert!(ended.code == 78 && ended.text.contains(told), "{told}: {}", ended.text);
        assert!(ended.text.contains("`tenants.acme.ca_file`: the file "), "{}", ended.text);
        assert!(ended.text.contains("quotta"), "not all at once: {}", ended.text);
    }
    let keys = "ca_file = \"nowhere/ca.pem\"";
    let stage = Stage::new(&[("acme", tenant("acme", "https://api.example.com", keys))]);
    let ended = stage.run(&["run"]);
    assert!(ended.code == 78 && ended.text.contains("cannot be read"), "{}", ended.text);
    let keys = "ca_file = \".\"";
    let stage = Stage::new(&[("acme", tenant("acme", "https://api.example.com", keys))]);
    assert!(stage.run(&["check"]).text.contains("is not a file"));
}
