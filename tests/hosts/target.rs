//! Targets on loopback that say what they are told to, and listeners that should hear nothing.

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Somebody who should never be spoken to.
pub(crate) struct Thief(TcpListener);

impl Thief {
    pub(crate) fn on(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Whether somebody has knocked since the last look: the system takes the call either way.
    pub(crate) fn was_visited(&self) -> bool {
        match self.0.accept() {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// What a target answers to a request, both as they are on the wire.
type Answers = dyn Fn(&str) -> String + Send + Sync;

/// A target, and what it has heard.
pub(crate) struct Target {
    address: SocketAddr,
    heard: Arc<Heard>,
}

#[derive(Default)]
struct Heard {
    requests: Mutex<Vec<String>>,
    /// How each handshake ended: the name that was asked for, or nothing.
    handshakes: Mutex<Vec<Option<String>>>,
}

impl Target {
    /// Speaks plain HTTP.
    pub(crate) fn plain(answers: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::serve(answers, |stream, heard, answers| converse(stream, heard, answers))
    }

    /// Speaks HTTP over TLS with that certificate.
    pub(crate) fn tls(
        certificate: &str,
        answers: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(tls_config(certificate));
        Self::serve(answers, move |mut stream, heard, answers| {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            while connection.is_handshaking() {
                if connection.complete_io(&mut stream).is_err() {
                    heard.handshakes.lock().unwrap().push(None);
                    return;
                }
            }
            let name = connection.server_name().unwrap_or_default().to_owned();
            heard.handshakes.lock().unwrap().push(Some(name));
            converse(StreamOwned::new(connection, stream), heard, answers);
        })
    }

    /// The threads end with the process: each waits for the next visitor.
    fn serve(
        answers: impl Fn(&str) -> String + Send + Sync + 'static,
        visit: impl Fn(TcpStream, &Heard, &Answers) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, heard) = (listener.local_addr().unwrap(), Arc::new(Heard::default()));
        let (answers, visit): (Arc<Answers>, _) = (Arc::new(answers), Arc::new(visit));
        let ears = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, heard) = (stream.unwrap(), ears.clone());
                let (answers, visit) = (answers.clone(), visit.clone());
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                std::thread::spawn(move || visit(stream, &heard, &*answers));
            }
        });
        Self { address, heard }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// All that was said to it, from the request line to the body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.heard.requests.lock().unwrap().clone()
    }

    /// For each handshake the name that was asked for, or nothing where it failed.
    pub(crate) fn handshakes(&self) -> Vec<Option<String>> {
        self.heard.handshakes.lock().unwrap().clone()
    }
}

/// One request, one answer, and goodbye.
fn converse(mut stream: impl Read + Write, heard: &Heard, answers: &Answers) {
    let Some(request) = read_request(&mut stream) else { return };
    heard.requests.lock().unwrap().push(request.clone());
    let answer = answers(&request);
    // Whoever does not wait for the answer need not get it.
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
}

fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    loop {
        let read = stream.read(&mut bytes).ok().filter(|read| *read > 0)?;
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

/// An answer with that status line, these further header lines and that body of JSON.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

pub(crate) fn not_found(_: &str) -> String {
    answer("404 Not Found", "", r#"{"errors":["not found"]}"#)
}

/// A file of `tests/hosts/certificates`.
pub(crate) fn certificate(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/certificates");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

fn tls_config(name: &str) -> ServerConfig {
    let chain = vec![CertificateDer::from_pem_slice(certificate(name).as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(certificate("server.key").as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    builder.with_single_cert(chain, key).unwrap()
}
