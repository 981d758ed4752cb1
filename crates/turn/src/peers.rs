//! Whom clients reach, and the addresses that they are reached at. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The address of IPv4 that stands for nobody (RFC 7600): relayed addresses are ports of it.
const RELAYED_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
/// The same of IPv6, of the network that stands for nobody (RFC 9780).
const RELAYED_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 1, 0, 0, 0, 8);

/// Whether an address is one that allocations have, and no host in any network: a datagram that comes from there by a network is forged.
pub fn is_relayed(ip: IpAddr) -> bool {
    ip == IpAddr::V4(RELAYED_V4) || ip == IpAddr::V6(RELAYED_V6)
}

/// The address of an allocation with this port.
pub(crate) fn relayed(family: Family, port: u16) -> SocketAddr {
    match family {
        Family::V4 => SocketAddr::from((RELAYED_V4, port)),
        Family::V6 => SocketAddr::from((RELAYED_V6, port)),
    }
}

/// A family of addresses. A client pairs a relayed address with peers of its own family alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// The media of this server: the addresses that clients are told, each with the one at which its datagrams arrive.
///
/// Behind NAT the two differ. Then the NAT would translate the one to the other; here [`Peers::new`] does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// As a client knows it, and as a session does.
    all: Vec<(SocketAddr, SocketAddr)>,
}

impl Peers {
    /// Those of a server that receives media at `bound`, best first, and tells clients `told`.
    pub fn new(bound: &[SocketAddr], told: &[SocketAddr]) -> Self {
        let mut all: Vec<_> = bound.iter().map(|address| (*address, *address)).collect();
        for address in told.iter().filter(|address| !bound.contains(address)) {
            let same = bound.iter().find(|one| one.is_ipv4() == address.is_ipv4());
            all.extend(same.or(bound.first()).map(|local| (*address, *local)));
        }
        Self { all }
    }

    /// Where datagrams for an address arrive; nothing where it is none of this server's media.
    pub(crate) fn local(&self, peer: SocketAddr) -> Option<SocketAddr> {
        self.all.iter().find(|(known, _)| *known == peer).map(|(_, local)| *local)
    }

    /// Whether media is received at any port of an address.
    pub(crate) fn has(&self, ip: IpAddr) -> bool {
        self.all.iter().any(|(known, _)| known.ip() == ip)
    }

    pub(crate) fn has_family(&self, family: Family) -> bool {
        self.all.iter().any(|(known, _)| Family::of(known.ip()) == family)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_clients_are_told_arrives_where_media_is_received() {
        let peers = Peers::new(
            &[at("10.0.0.5:7882"), at("[2001:db8::5]:7882")],
            &[at("203.0.113.7:7882"), at("10.0.0.5:7882"), at("[2001:db8::9]:7882")],
        );
        for (peer, local) in [
            ("10.0.0.5:7882", Some("10.0.0.5:7882")),
            ("203.0.113.7:7882", Some("10.0.0.5:7882")),
            ("[2001:db8::9]:7882", Some("[2001:db8::5]:7882")),
            ("203.0.113.7:22", None),
            ("198.51.100.1:7882", None),
        ] {
            assert_eq!(peers.local(at(peer)), local.map(at), "{peer}");
        }
        assert!(peers.has("203.0.113.7".parse().unwrap()) && !peers.has("127.0.0.1".parse().unwrap()));
        assert!(peers.has_family(Family::V6));
        assert_eq!(Peers::new(&[], &[at("203.0.113.7:7882")]), Peers::default());
    }

    #[test]
    fn relayed_addresses_are_told_from_those_of_hosts() {
        for family in [Family::V4, Family::V6] {
            assert!(is_relayed(relayed(family, 5000).ip()));
        }
        for host in ["127.0.0.1", "192.0.0.9", "192.0.2.8", "::1", "100:0:0:1::9"] {
            assert!(!is_relayed(host.parse().unwrap()), "{host}");
        }
    }
}
