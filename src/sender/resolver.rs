//! From a target's name to the addresses that its tenant may be reached at.

use crate::model::{OutOfReach, Reach, is_localhost};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

/// What knows the addresses of a name.
pub trait Lookup: Send + Sync + fmt::Debug {
    fn lookup(&self, name: &str) -> Looking;
}

/// A look-up under way.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// As this machine resolves names.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfMachine;

impl Lookup for OfMachine {
    fn lookup(&self, name: &str) -> Looking {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Judges what a name leads to each time a connection is made: a name that was harmless when the
/// configuration was read may lead elsewhere by now. An address that is written out never comes
/// here; the configuration's check judges it by the same rule.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) reach: Reach,
}

/// A name led to no address that the tenant may be reached at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the target's name leads to {ip}, {why}")]
pub(super) struct Refused {
    ip: IpAddr,
    why: OutOfReach,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (looking, reach) = (self.lookup.lookup(name.as_str()), self.reach);
        let own = is_localhost(name.as_str());
        Box::pin(async move {
            let mut found = looking.await?;
            if own {
                // Such a base address may do without TLS, which holds for this machine alone.
                found.retain(|ip| Reach::default().admits(*ip) == Err(OutOfReach::Loopback));
            }
            let admitted = admitted(&found, reach)?;
            let addresses = admitted.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// Those that are in reach, in their order; an error when there are some and none of them is.
fn admitted(found: &[IpAddr], reach: Reach) -> Result<Vec<IpAddr>, Refused> {
    let admitted: Vec<IpAddr> =
        found.iter().copied().filter(|ip| reach.admits(*ip).is_ok()).collect();
    let refused = |ip: &IpAddr| Some(Refused { ip: *ip, why: reach.admits(*ip).err()? });
    match found.iter().find_map(refused) {
        Some(refused) if admitted.is_empty() => Err(refused),
        _ => Ok(admitted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn d28_of_mixed_answers_only_public_addresses_are_used() {
        let found = ips(&["10.0.0.1", "93.184.215.14", "::1", "2606:4700::1111"]);
        let admitted = admitted(&found, Reach::default()).unwrap();
        assert_eq!(admitted, ips(&["93.184.215.14", "2606:4700::1111"]));
    }

    #[test]
    fn d28_a_refusal_names_the_address_and_the_key_to_set() {
        let private = admitted(&ips(&["10.0.0.1"]), Reach::default()).unwrap_err().to_string();
        assert!(private.contains("10.0.0.1") && private.contains("allow_private"), "{private}");
        let own = admitted(&ips(&["::1"]), Reach::default()).unwrap_err().to_string();
        assert!(own.contains("allow_insecure_http"), "{own}");
        let cloud = ips(&["169.254.169.254"]);
        let all = Reach { loopback: true, private: true };
        assert!(admitted(&cloud, all).unwrap_err().to_string().contains("no target can be"));
    }

    #[test]
    fn a_name_without_addresses_is_no_refusal() {
        assert_eq!(admitted(&[], Reach::default()), Ok(Vec::new()));
    }
}
