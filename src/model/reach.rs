//! Which addresses a tenant's requests may go to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a tenant lets its requests reach besides the public internet; nothing, unless it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// This very machine, and that without TLS: for a rehearsal.
    pub loopback: bool,
    /// Private networks: a target on the premises.
    pub private: bool,
}

/// Why an address is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfReach {
    #[error("an address of this machine, which only `allow_insecure_http = \"loopback\"` lets in")]
    Loopback,
    #[error("an address of a private network, which only `allow_private = true` lets in")]
    Private,
    #[error("an address at which no target can be")]
    Nowhere,
}

impl Reach {
    /// Judges one address, in whatever dress an IPv4 address comes. The registries are those of
    /// RFC 6890; link-local addresses are never let in, since that is where clouds hand out their
    /// machines' credentials.
    ///
    /// # Errors
    /// What kind of address it is, when requests must not go there.
    pub fn admits(self, ip: IpAddr) -> Result<(), OutOfReach> {
        let kind = match ip {
            IpAddr::V4(ip) => of_v4(ip),
            IpAddr::V6(ip) => of_v6(ip),
        };
        match kind {
            Some(OutOfReach::Loopback) if self.loopback => Ok(()),
            Some(OutOfReach::Private) if self.private => Ok(()),
            Some(kind) => Err(kind),
            None => Ok(()),
        }
    }

    /// # Errors
    /// When requests must not go to this machine.
    pub fn admits_this_machine(self) -> Result<(), OutOfReach> {
        self.admits(Ipv4Addr::LOCALHOST.into())
    }
}

/// Whether the name itself says that it is this machine (RFC 6761 §6.3).
#[must_use]
pub fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost")
}

/// `None`: public.
fn of_v4(ip: Ipv4Addr) -> Option<OutOfReach> {
    match ip.octets() {
        [127, ..] => Some(OutOfReach::Loopback),
        [10, ..] | [172, 16..32, ..] | [192, 168, ..] | [100, 64..128, ..] => {
            Some(OutOfReach::Private)
        }
        // This network; link-local; protocol assignments; documentation; benchmarks; multicast,
        // reserved and broadcast.
        [0 | 224.., ..]
        | [169, 254, ..]
        | [192, 0, 0 | 2, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Some(OutOfReach::Nowhere),
        _ => None,
    }
}

fn of_v6(ip: Ipv6Addr) -> Option<OutOfReach> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(OutOfReach::Loopback),
        // An IPv4 address in another dress: compatible, mapped (RFC 4291 §2.5.5), translated
        // (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => of_v4(v4(high, low)),
        // Unique local; translated within a network (RFC 8215).
        [0xfc00..=0xfdff, ..] | [0x64, 0xff9b, 1, ..] => Some(OutOfReach::Private),
        // Protocol assignments, Teredo among them; documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] => Some(OutOfReach::Nowhere),
        // All that is given out to anybody (RFC 4291 §2.4).
        [0x2000..=0x3fff, ..] => None,
        _ => Some(OutOfReach::Nowhere),
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(reach: Reach, text: &str) -> Result<(), OutOfReach> {
        reach.admits(text.parse().unwrap())
    }

    #[test]
    fn g07_an_address_is_public_of_this_machine_private_or_nowhere() {
        let of = |text| judged(Reach::default(), text);
        for public in ["93.184.215.14", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111"] {
            assert_eq!(of(public), Ok(()), "{public}");
        }
        for public in ["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"] {
            assert_eq!(of(public), Ok(()), "{public}");
        }
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert_eq!(of(own), Err(OutOfReach::Loopback), "{own}");
        }
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "fd00::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "2002:a00:1::1",
            "64:ff9b:1::1",
        ] {
            assert_eq!(of(private), Err(OutOfReach::Private), "{private}");
        }
        for nowhere in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "100::1",
            "::ffff:169.254.169.254",
        ] {
            assert_eq!(of(nowhere), Err(OutOfReach::Nowhere), "{nowhere}");
        }
    }

    #[test]
    fn g07_what_a_tenant_lets_in_is_that_and_no_more() {
        let private = Reach { private: true, loopback: false };
        assert_eq!(judged(private, "10.0.0.1"), Ok(()));
        assert_eq!(judged(private, "127.0.0.1"), Err(OutOfReach::Loopback));
        let loopback = Reach { private: false, loopback: true };
        assert_eq!(judged(loopback, "::1"), Ok(()));
        assert_eq!(judged(loopback, "10.0.0.1"), Err(OutOfReach::Private));
        let both = Reach { private: true, loopback: true };
        assert_eq!(judged(both, "169.254.169.254"), Err(OutOfReach::Nowhere));
        assert_eq!(judged(both, "fe80::1"), Err(OutOfReach::Nowhere));
    }
}
