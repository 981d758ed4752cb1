//! Which addresses media is received at, which ones clients are told, and whose datagrams a session takes. Pure.
//!
//! ```text
//!   settings ─┐
//!             ├─► receive_at: a socket each ─► offered: those that others reach ─┐
//!   machine ──┘                                                                  ├─► told: the candidates of a session
//!   ADVERTISE_IPS, ADVERTISE_HOSTS ──────────────────────────────────────────────┘
//! ```

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use reelroom_limits::asker::forwarded_ip;
use url::{Host, Url};

/// More addresses than this are neither bound nor told: every one is a socket here and a check for each client.
pub const MAX_ADDRESSES: usize = 16;

/// Where media is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaListen {
    /// At all addresses of this machine. Who signals from this machine is heard from this machine alone; who signals
    /// from elsewhere, which only a proxy in front makes possible, is heard from anywhere.
    AsSignalled,
    /// At these addresses, an unspecified one standing for all of its family (`::` for all), from anywhere.
    At(Vec<IpAddr>),
}

/// Whose datagrams a session takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those of this machine.
    ThisMachine,
    /// Everybody's.
    Anywhere,
}

/// An address of this machine and the interface that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
}

/// The addresses to receive at, best first, [`MAX_ADDRESSES`] at most, and how many were left out for that.
pub(crate) fn receive_at(listen: &MediaListen, machine: &[Interface]) -> (Vec<IpAddr>, usize) {
    let of_machine = |wanted: fn(&IpAddr) -> bool| {
        let mut usable: Vec<_> =
            machine.iter().filter(|one| wanted(&one.ip) && !is_link_local(&one.ip)).collect();
        usable.sort_by_key(|one| rank(one));
        usable.into_iter().map(|one| one.ip).collect::<Vec<_>>()
    };
    let expand = |listen: &IpAddr| match listen {
        IpAddr::V4(ip) if ip.is_unspecified() => of_machine(IpAddr::is_ipv4),
        IpAddr::V6(ip) if ip.is_unspecified() => of_machine(|_| true),
        ip => vec![*ip],
    };
    let mut addresses = Vec::new();
    let wanted = match listen {
        MediaListen::AsSignalled => of_machine(|_| true),
        MediaListen::At(listen) => listen.iter().flat_map(expand).collect(),
    };
    for ip in wanted {
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    let left_out = addresses.len().saturating_sub(MAX_ADDRESSES);
    addresses.truncate(MAX_ADDRESSES);
    (addresses, left_out)
}

/// What most clients can reach comes first: networks, then those that only programs on this machine share, then
/// loopback.
fn rank(interface: &Interface) -> u8 {
    if interface.ip.is_loopback() { 2 } else { u8::from(is_of_containers(&interface.name)) }
}

/// Whether an interface is one that only programs on this machine share. Docker calls bridges by the beginning of a number ("br-0123456789ab");
/// people call theirs "br-lan", by which a whole network may come.
fn is_of_containers(name: &str) -> bool {
    const NAMES: [&str; 7] = ["docker", "veth", "virbr", "cni", "podman", "lxc", "lxd"];
    const DOCKER_DIGITS: usize = 12;
    let is_number = |id: &str| id.len() == DOCKER_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.strip_prefix("br-").is_some_and(is_number) || NAMES.iter().any(|prefix| name.starts_with(prefix))
}

/// The addresses of this machine that peers are told of those that are bound: those that the settings name themselves, and those of networks.
/// Bridges of containers lead nobody here who is elsewhere, and loopback only who is on this machine. Where there is no network among them, all:
/// Firefox on a machine in no network has nothing but a bridge, as it forms no pair with loopback.
pub(crate) fn offered(
    listen: &MediaListen,
    machine: &[Interface],
    bound: &[SocketAddr],
    reach: Reach,
) -> Vec<SocketAddr> {
    let is_named = |ip: IpAddr| matches!(listen, MediaListen::At(named) if named.contains(&ip));
    let is_of_bridge = |ip: IpAddr| {
        let interface = machine.iter().find(|one| one.ip == ip);
        interface.is_some_and(|one| is_of_containers(&one.name))
    };
    let is_offered = |address: &&SocketAddr| {
        let ip = address.ip();
        is_named(ip) || if ip.is_loopback() { reach == Reach::ThisMachine } else { !is_of_bridge(ip) }
    };
    let offered: Vec<_> = bound.iter().filter(is_offered).copied().collect();
    if offered.iter().all(|one| one.ip().is_loopback()) { bound.to_vec() } else { offered }
}

/// Link-local addresses need a zone, which candidates cannot carry.
fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// The addresses that a session's candidates name: those that are advertised, else those that are [`offered`]. Clients
/// on this machine are told its own in any case: they may not reach it by its public one.
pub(crate) fn told(own: &[SocketAddr], advertise: &[IpAddr], port: u16, reach: Reach) -> Vec<SocketAddr> {
    let mut told: Vec<_> = advertise.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
    if told.is_empty() || reach == Reach::ThisMachine {
        told.extend(own);
    }
    let mut once = Vec::new();
    for address in told {
        if !once.contains(&address) {
            once.push(address);
        }
    }
    once.truncate(MAX_ADDRESSES);
    once
}

/// From where somebody signals, told by the peer of the connection and by what a proxy or browser says of it.
pub(crate) fn is_from_this_machine(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    is_own: impl Fn(IpAddr) -> bool,
) -> bool {
    let is_own = |ip: IpAddr| is_own(ip.to_canonical());
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // Each proxy may have added a line of its own.
    let all = |name: &str, is_local: &dyn Fn(&str) -> bool| {
        headers.get_all(name).iter().all(|value| is_local(value.to_str().unwrap_or_default()))
    };
    // What a proxy does not say, it hides: then it is not this machine.
    let forwarded = |value: &str| value.split(',').all(|one| forwarded_ip(one).is_some_and(is_own));
    let host_of = |url: String| Url::parse(&url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    // Without a proxy the page is called by a loopback name: by others it is not reached while it listens on loopback.
    let is_loopback = |host: Host| match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    };
    let host = text(header::HOST.as_str()).and_then(|host| host_of(format!("http://{host}")));
    let origin = text(header::ORIGIN.as_str()).and_then(|origin| host_of(origin.to_owned()));
    peer.is_none_or(is_own)
        && all("x-forwarded-for", &forwarded)
        && all("x-real-ip", &forwarded)
        && all(header::FORWARDED.as_str(), &|value| {
            let pairs = value.split([',', ';']).filter_map(|pair| pair.split_once('='));
            let mut hops =
                pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for")).map(|(_, hop)| hop);
            hops.all(|hop| forwarded_ip(hop).is_some_and(is_own))
        })
        && host.is_none_or(is_loopback)
        && origin.is_none_or(is_loopback)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| ip(text)).collect()
    }

    fn machine() -> Vec<Interface> {
        [
            ("lo", "127.0.0.1"),
            ("docker0", "172.17.0.1"),
            ("wlan0", "192.0.2.7"),
            ("wlan0", "169.254.3.4"),
            ("lo", "::1"),
            ("wlan0", "fe80::1"),
            ("wlan0", "2001:db8::7"),
        ]
        .into_iter()
        .map(|(name, text)| Interface { name: name.to_owned(), ip: ip(text) })
        .collect()
    }

    #[test]
    fn unspecified_addresses_stand_for_those_of_their_family() {
        let at = |listen: &[&str]| receive_at(&MediaListen::At(ips(listen)), &machine()).0;
        assert_eq!(at(&["127.0.0.1"]), ips(&["127.0.0.1"]));
        assert_eq!(at(&["0.0.0.0"]), ips(&["192.0.2.7", "172.17.0.1", "127.0.0.1"]));
        let all = ips(&["192.0.2.7", "2001:db8::7", "172.17.0.1", "127.0.0.1", "::1"]);
        assert_eq!(at(&["::"]), all);
        assert_eq!(at(&["127.0.0.1", "0.0.0.0"]), ips(&["127.0.0.1", "192.0.2.7", "172.17.0.1"]));
        assert_eq!(receive_at(&MediaListen::AsSignalled, &machine()).0, all);
        assert_eq!(receive_at(&MediaListen::AsSignalled, &[]).0, ips(&[]));
    }

    #[test]
    fn a_machine_of_many_addresses_uses_the_best_of_them() {
        let mut machine = machine();
        for number in 0..100 {
            machine.insert(
                0,
                Interface { name: format!("br-{number:012x}"), ip: ip(&format!("10.9.{number}.1")) },
            );
        }
        let (addresses, left_out) = receive_at(&MediaListen::AsSignalled, &machine);
        assert_eq!(addresses.len(), MAX_ADDRESSES);
        assert_eq!(addresses[..2], ips(&["192.0.2.7", "2001:db8::7"]));
        assert_eq!(left_out, 105 - MAX_ADDRESSES);
    }

    #[test]
    fn bridges_are_offered_to_nobody_and_loopback_to_this_machine_alone() {
        let at = |texts: &[&str]| ips(texts).into_iter().map(|ip| SocketAddr::new(ip, 7)).collect::<Vec<_>>();
        let bound = at(&["192.0.2.7", "2001:db8::7", "172.17.0.1", "127.0.0.1", "::1"]);
        let all = MediaListen::At(ips(&["::"]));
        let offered = |listen: &MediaListen, bound: &[SocketAddr], reach| {
            super::offered(listen, &machine(), bound, reach)
        };
        let networks = at(&["192.0.2.7", "2001:db8::7"]);
        assert_eq!(offered(&all, &bound, Reach::Anywhere), networks);
        assert_eq!(offered(&MediaListen::AsSignalled, &bound, Reach::Anywhere), networks);
        let here = at(&["192.0.2.7", "2001:db8::7", "127.0.0.1", "::1"]);
        assert_eq!(offered(&MediaListen::AsSignalled, &bound, Reach::ThisMachine), here);
        // Who names one by itself means it.
        let named = MediaListen::At(ips(&["172.17.0.1", "127.0.0.1"]));
        let two = at(&["172.17.0.1", "127.0.0.1"]);
        assert_eq!(offered(&named, &two, Reach::Anywhere), two);
        // A machine in no network has nothing else.
        assert_eq!(offered(&all, &two, Reach::Anywhere), two);
        assert_eq!(offered(&MediaListen::AsSignalled, &two, Reach::ThisMachine), two);
        for name in [
            "docker0",
            "br-0123456789ab",
            "veth9",
            "virbr0",
            "cni0",
            "cni-podman0",
            "podman1",
            "lxcbr0",
            "lxdbr0",
        ] {
            assert!(is_of_containers(name), "{name}");
        }
        for name in ["eth0", "br0", "br-lan", "br-cafe", "wlan0", "wg0", "bridge", "enp3s0"] {
            assert!(!is_of_containers(name), "{name}");
        }
    }

    #[test]
    fn all_advertised_addresses_are_told_and_own_ones_to_this_machine() {
        let bound = [SocketAddr::new(ip("10.0.0.5"), 7), SocketAddr::new(ip("127.0.0.1"), 7)];
        let advertise = ips(&["203.0.113.7", "2001:db8::1", "10.0.0.5"]);
        let told = |advertise: &[IpAddr], reach| -> Vec<IpAddr> {
            super::told(&bound, advertise, 7, reach).iter().map(SocketAddr::ip).collect()
        };
        assert_eq!(told(&advertise, Reach::Anywhere), advertise);
        let own = ips(&["203.0.113.7", "2001:db8::1", "10.0.0.5", "127.0.0.1"]);
        assert_eq!(told(&advertise, Reach::ThisMachine), own);
        assert_eq!(told(&[], Reach::Anywhere), ips(&["10.0.0.5", "127.0.0.1"]));
    }

    #[test]
    fn who_signals_through_a_proxy_is_from_where_the_proxy_says() {
        let own = ips(&["127.0.0.1", "::1", "192.0.2.7"]);
        let is_local = |peer: Option<&str>, headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>();
            is_from_this_machine(peer.map(ip), &headers, |ip| own.contains(&ip))
        };
        assert!(is_local(None, &[]));
        assert!(is_local(Some("::ffff:127.0.0.1"), &[("host", "localhost:6080")]));
        assert!(is_local(Some("::1"), &[("host", "[::1]:6080"), ("origin", "null")]));
        assert!(is_local(Some("127.0.0.1"), &[("x-forwarded-for", "192.0.2.7")]));
        assert!(is_local(Some("127.0.0.1"), &[("x-forwarded-for", "127.0.0.1, ::1")]));
        assert!(is_local(Some("127.0.0.1"), &[("forwarded", "for=\"[::1]:9\";proto=https")]));
        assert!(!is_local(Some("192.0.2.8"), &[]));
        assert!(!is_local(Some("127.0.0.1"), &[("x-forwarded-for", "203.0.113.9")]));
        assert!(!is_local(Some("127.0.0.1"), &[("x-forwarded-for", "127.0.0.1, 203.0.113.9:55")]));
        assert!(!is_local(Some("127.0.0.1"), &[("x-forwarded-for", "unknown")]));
        let lines = [("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "203.0.113.9")];
        assert!(!is_local(Some("127.0.0.1"), &lines));
        let lines = [("forwarded", "for=127.0.0.1"), ("forwarded", "for=203.0.113.9")];
        assert!(!is_local(Some("127.0.0.1"), &lines));
        assert!(!is_local(Some("127.0.0.1"), &[("forwarded", "proto=https; For=\"203.0.113.9:55\"")]));
        assert!(!is_local(Some("127.0.0.1"), &[("x-real-ip", "2001:db8::9")]));
        assert!(!is_local(Some("127.0.0.1"), &[("forwarded", "for=_hidden, for=127.0.0.1")]));
        assert!(!is_local(Some("127.0.0.1"), &[("host", "calls.example.org")]));
        assert!(!is_local(Some("127.0.0.1"), &[("host", "192.0.2.7")]));
        assert!(!is_local(Some("127.0.0.1"), &[("origin", "https://calls.example.org")]));
    }
}
