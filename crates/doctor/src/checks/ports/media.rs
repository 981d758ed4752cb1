//! The port of media: UDP, and TCP for those whose UDP is blocked, at each address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::Holder;
use crate::checks::{list, size};
use crate::line::{Check, Line};
use crate::trouble::troubles;

/// The system doubles what it is asked for, to have room for its own.
const KERNEL_SHARE: u64 = 2;

troubles! { MediaPort:
    UDP_TAKEN = Bad "media-udp-taken",
        "Another program has the UDP port of media, at one address at least.",
        "Stop that program (`ss -lunp` shows it), or choose another port with UDP_PORT, and open that one in the firewall and the router.";
    TCP_TAKEN = Warn "media-tcp-taken",
        "Another program has the TCP port of media: calls work, but not for those whose network blocks UDP.",
        "Stop that program (`ss -ltnp` shows it), or choose another port with UDP_PORT.";
    PORT_FORBIDDEN = Bad "media-port-forbidden",
        "The port of media is below 1024, and this user may not bind it.",
        "Choose a port above 1023 with UDP_PORT; nothing is gained by a lower one.";
    NO_ADDRESS = Bad "media-address-missing",
        "No address that media is to be received at is one of this machine.",
        "Set MEDIA_LISTEN to addresses that `ip address` shows, or leave it out; the public address of a router or a cloud belongs into \
         ADVERTISE_IPS.";
    ONE_MISSING = Warn "media-address-refused",
        "Media cannot be received at one of its addresses.",
        "Take that address out of MEDIA_LISTEN, or give it to this machine.";
    NETWORKLESS = Warn "media-loopback-only",
        "Media is received at loopback addresses alone: Firefox cannot join, and nobody from another machine.",
        "Leave MEDIA_LISTEN out, or name an address of a network in it; a machine without a network has none.";
    SMALL_BUFFER = Warn "media-small-buffer",
        "The system gives UDP sockets a receive buffer in which a second of a busy room does not fit: pictures stutter when the machine is busy.",
        "Set `net.core.rmem_max={wanted}` in /etc/sysctl.d/reelroom.conf, and run `sysctl --system`.";
}

/// How media travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As it should.
    Udp,
    /// Where that is blocked.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaFacts {
    /// The port; 0 for any free one.
    pub port: u16,
    /// Who has it, at each address.
    pub holders: Vec<(IpAddr, Transport, Holder)>,
    /// What the system gives a socket at most, bytes.
    pub rmem_max: Option<u64>,
    /// What is asked for.
    pub socket_buffer_bytes: u64,
}

/// The verdict.
#[must_use]
pub fn check(facts: &MediaFacts) -> Vec<Line> {
    let mut lines = holders(facts);
    let has_network = facts.holders.iter().any(|(ip, ..)| !ip.to_canonical().is_loopback());
    if !facts.holders.is_empty() && !has_network {
        lines.push(NETWORKLESS.said("it is received at loopback addresses alone"));
    }
    lines.extend(facts.rmem_max.and_then(|most| {
        let wanted = facts.socket_buffer_bytes;
        let said = format!(
            "a UDP socket gets a buffer of {} at most, and {} are asked for",
            size(most),
            size(wanted)
        );
        (most.saturating_mul(KERNEL_SHARE) < wanted)
            .then(|| SMALL_BUFFER.filled(said, &[("wanted", &wanted.to_string())]))
    }));
    lines
}

fn holders(facts: &MediaFacts) -> Vec<Line> {
    let is_well = |holder: &Holder| matches!(holder, Holder::Nobody | Holder::Server);
    let at = |ip: &IpAddr, transport: &Transport| match facts.port {
        0 => format!("{transport} of any free port of {ip}"),
        port => format!("{transport} {}", SocketAddr::new(*ip, port)),
    };
    let receives =
        facts.holders.iter().any(|(_, transport, holder)| *transport == Transport::Udp && is_well(holder));
    let mut lines = Vec::new();
    for (ip, transport, holder) in facts.holders.iter().filter(|(.., holder)| !is_well(holder)) {
        let said = format!("{} {holder}", at(ip, transport));
        lines.push(match (holder, transport) {
            (Holder::Forbidden, _) => PORT_FORBIDDEN.said(said),
            (Holder::Another(_), Transport::Udp) => UDP_TAKEN.said(said),
            (Holder::Another(_), Transport::Tcp) => TCP_TAKEN.said(said),
            // Said of UDP alone, whose address it is, too.
            (_, Transport::Tcp) => continue,
            _ if receives => ONE_MISSING.said(said),
            _ => NO_ADDRESS.said(said),
        });
    }
    if facts.holders.is_empty() {
        lines.push(NO_ADDRESS.said("this machine has no address for it"));
    }
    let well: Vec<String> = facts
        .holders
        .iter()
        .filter(|(_, transport, holder)| *transport == Transport::Udp && is_well(holder))
        .map(|(ip, ..)| ip.to_string())
        .collect();
    if lines.is_empty() {
        let whose = if facts.holders.iter().any(|(.., holder)| *holder == Holder::Server) {
            "the server's"
        } else {
            "free"
        };
        let port = if facts.port == 0 { "any free port".to_owned() } else { format!("port {}", facts.port) };
        lines.push(Line::ok(Check::MediaPort, format!("{port}, UDP and TCP, is {whose} at {}", list(well))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: &str = "192.0.2.7";

    fn facts(udp: Holder, tcp: Holder) -> MediaFacts {
        let ip = NETWORK.parse().unwrap();
        MediaFacts {
            port: 7882,
            holders: vec![(ip, Transport::Udp, udp), (ip, Transport::Tcp, tcp)],
            rmem_max: Some(4 << 20),
            socket_buffer_bytes: 4 << 20,
        }
    }

    fn codes(facts: &MediaFacts) -> Vec<&'static str> {
        check(facts).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn each_transport_is_judged_by_what_it_costs_a_call() {
        let lines = check(&facts(Holder::Nobody, Holder::Nobody));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].said, "port 7882, UDP and TCP, is free at 192.0.2.7");
        assert!(codes(&facts(Holder::Server, Holder::Server)).is_empty());
        assert_eq!(codes(&facts(Holder::Another(None), Holder::Nobody)), ["media-udp-taken"]);
        assert_eq!(codes(&facts(Holder::Nobody, Holder::Another(Some("x".into())))), ["media-tcp-taken"]);
        assert_eq!(
            codes(&facts(Holder::Forbidden, Holder::Forbidden)),
            ["media-port-forbidden", "media-port-forbidden"]
        );
    }

    #[test]
    fn an_address_that_is_not_this_machines_is_told_once() {
        let mut facts = facts(Holder::NoSuchAddress, Holder::NoSuchAddress);
        assert_eq!(codes(&facts), ["media-address-missing"]);
        facts.holders.push(("192.0.2.8".parse().unwrap(), Transport::Udp, Holder::Nobody));
        assert_eq!(codes(&facts), ["media-address-refused"]);
        facts.holders.clear();
        assert_eq!(codes(&facts), ["media-address-missing"]);
    }

    #[test]
    fn loopback_alone_and_a_small_buffer_are_told() {
        let mut facts = facts(Holder::Nobody, Holder::Nobody);
        facts.holders.iter_mut().for_each(|(ip, ..)| *ip = "127.0.0.1".parse().unwrap());
        assert_eq!(codes(&facts), ["media-loopback-only"]);
        facts.rmem_max = Some(212_992);
        let lines = check(&facts);
        let todo = lines.last().unwrap().todo.as_ref().unwrap();
        assert!(todo.contains("net.core.rmem_max=4194304"), "{todo}");
    }
}
