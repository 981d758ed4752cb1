//! What others are told of where media goes, and what can be seen from here of whether it gets there.

use std::net::{IpAddr, SocketAddr};

use crate::checks::{is_public, list};
use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { MediaFromOutside:
    LOOPBACK_TOLD = Bad "media-told-loopback",
        "ADVERTISE_IPS has loopback addresses alone: everybody else sends media to their own machine, and sees and hears nobody.",
        "Set ADVERTISE_IPS to the address that others reach this machine by, or leave it out.";
    PRIVATE_TOLD = Bad "media-told-private",
        "People come by a public name, and are told addresses of a private network alone for their media: those outside join, and see and hear nobody.",
        "Set ADVERTISE_IPS to the public address of this machine, its router or its cloud ({public}), and let that forward UDP and TCP port {port}.";
    CONTAINER_TOLD = Bad "media-told-container",
        "Reelroom runs in a container and others are to reach it, and they are told the container's own addresses for their media.",
        "Set ADVERTISE_IPS to the address of the host, and publish {port}/udp and {port}/tcp.";
    STUN_DIFFERS = Bad "media-told-differs",
        "The STUN server sees this machine at an address that clients are not told.",
        "Set ADVERTISE_IPS={seen}, and let the router forward UDP and TCP port {port}.";
    STUN_SILENT = Warn "stun-silent",
        "The STUN server that was named does not answer.",
        "Name another one with --stun HOST:PORT, and see that the firewall lets UDP out and its answers in.";
    PORT_CHANGES = Warn "media-port-changes",
        "The router gives what comes from the media port another port outside. Forwarded ports stay as they are all the same.",
        "Let the router forward UDP and TCP port {port} to the same port of this machine.";
    OWN_LOST = Bad "media-own-lost",
        "A datagram from this machine to its own media port does not arrive: this machine itself drops it.",
        "Open UDP port {port} in the firewall of this machine (`nft list ruleset` shows it), also for what comes from itself.";
    TCP_LOST = Warn "media-tcp-lost",
        "The server runs, and its media port is not reached by TCP at an address that clients are told.",
        "Let the router or the cloud's firewall forward TCP port {port}; if this is a router that does not let machines inside reach its public \
         address, only a device outside can tell.";
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideFacts {
    /// The port of media.
    pub port: u16,
    /// What clients are told.
    pub told: Vec<IpAddr>,
    /// Those that settings name are among them.
    pub is_advertised: bool,
    /// The addresses of this machine.
    pub own: Vec<IpAddr>,
    /// Where the public names lead.
    pub named: Vec<IpAddr>,
    /// Others than this machine's own people come.
    pub is_for_others: bool,
    /// It runs in a container.
    pub is_in_container: bool,
    /// What became of what was sent to the media port, at each address that clients are told.
    pub sent: Vec<(SocketAddr, Sent)>,
    /// What a STUN server that was named sees.
    pub stun: Option<Seen>,
    /// What people open.
    pub url: Option<String>,
}

/// What became of something that was sent to the media port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// By UDP, it came to a socket that doctor had there, and the answer came back.
    Came,
    /// The same, and it did not.
    Lost,
    /// By TCP, the running server took the connection.
    Connected,
    /// The same, and it did not.
    NotConnected,
}

/// What a STUN server sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which server.
    pub server: String,
    /// At which address it sees this machine, or why it does not say.
    pub at: Result<SocketAddr, String>,
    /// From which port it was asked.
    pub from_port: u16,
}

/// The verdict.
#[must_use]
pub fn check(facts: &OutsideFacts) -> Vec<Line> {
    let mut lines = Vec::new();
    if !facts.is_for_others {
        let said = "by these settings people on this machine alone join";
        lines.push(Line::ok(Check::MediaFromOutside, said));
        lines.extend(facts.stun.iter().map(|seen| stun(facts, seen)));
        return lines;
    }
    lines.push(told(facts));
    for (address, sent) in &facts.sent {
        lines.extend(arrived(facts, *address, *sent));
    }
    lines.extend(facts.stun.iter().map(|seen| stun(facts, seen)));
    lines.push(unknown(facts));
    lines
}

fn told(facts: &OutsideFacts) -> Line {
    let port = facts.port.to_string();
    let said = format!("clients are told to send media to port {port} of {}", list(&facts.told));
    if facts.told.iter().all(|ip| ip.to_canonical().is_loopback()) && facts.is_advertised {
        return LOOPBACK_TOLD.said(said);
    }
    let is_private = !facts.told.iter().any(|ip| is_public(*ip));
    let public: Vec<_> = facts.named.iter().filter(|ip| is_public(**ip)).collect();
    if is_private && !public.is_empty() {
        return PRIVATE_TOLD.filled(said, &[("public", &list(public)), ("port", &port)]);
    }
    if facts.is_in_container && !facts.is_advertised {
        return CONTAINER_TOLD.filled(said, &[("port", &port)]);
    }
    Line::ok(Check::MediaFromOutside, said)
}

fn arrived(facts: &OutsideFacts, address: SocketAddr, sent: Sent) -> Option<Line> {
    let port = facts.port.to_string();
    let is_own = facts.own.contains(&address.ip());
    let found: &[(&str, &str)] = &[("port", &port)];
    match sent {
        Sent::Came => {
            Some(Line::ok(Check::MediaFromOutside, format!("UDP sent from here to {address} arrives")))
        }
        Sent::Connected => {
            Some(Line::ok(Check::MediaFromOutside, format!("the server is reached by TCP at {address}")))
        }
        Sent::Lost if is_own => {
            Some(OWN_LOST.filled(format!("UDP sent from here to {address} does not arrive"), found))
        }
        // Many routers do not let those inside reach them by their outside.
        Sent::Lost => None,
        Sent::NotConnected => {
            Some(TCP_LOST.filled(format!("the server is not reached by TCP at {address}"), found))
        }
    }
}

fn stun(facts: &OutsideFacts, seen: &Seen) -> Line {
    let port = facts.port.to_string();
    let at = match &seen.at {
        Ok(at) => *at,
        Err(why) => return STUN_SILENT.said(format!("{}: {why}", seen.server)),
    };
    let said = format!("{} sees this machine at {}", seen.server, at.ip());
    if facts.is_for_others && !facts.told.contains(&at.ip()) {
        let address = at.ip().to_string();
        return STUN_DIFFERS
            .filled(format!("{said}, which clients are not told"), &[("seen", &address), ("port", &port)]);
    }
    if seen.from_port == facts.port && at.port() != facts.port {
        return PORT_CHANGES.filled(format!("{said}, and port {port} at {}", at.port()), &[("port", &port)]);
    }
    Line::ok(Check::MediaFromOutside, said)
}

/// What nobody can see from inside is said, and not passed over.
fn unknown(facts: &OutsideFacts) -> Line {
    let port = facts.port;
    let open = match &facts.url {
        Some(url) => format!("open {url} there, and join a room that somebody here is in"),
        None => "open the page there, and join a room that somebody here is in".to_owned(),
    };
    let said = format!(
        "whether routers and firewalls on the way let UDP and TCP port {port} through, only a device outside can tell, such as a phone without \
         Wi-Fi: {open}"
    );
    Line::ok(Check::MediaFromOutside, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn facts(told: &[&str], named: &[&str]) -> OutsideFacts {
        OutsideFacts {
            port: 7882,
            told: ips(told),
            is_advertised: false,
            own: ips(&["10.0.0.5"]),
            named: ips(named),
            is_for_others: true,
            is_in_container: false,
            sent: Vec::new(),
            stun: None,
            url: Some("https://calls.example.org".into()),
        }
    }

    fn codes(facts: &OutsideFacts) -> Vec<&'static str> {
        check(facts).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn what_clients_are_told_has_to_reach_where_they_come_from() {
        assert!(codes(&facts(&["203.0.113.7"], &["203.0.113.7"])).is_empty());
        assert!(codes(&facts(&["10.0.0.5"], &["10.0.0.5"])).is_empty(), "a name inside");
        let private = facts(&["10.0.0.5"], &["203.0.113.7"]);
        assert_eq!(codes(&private), ["media-told-private"]);
        assert!(check(&private)[0].todo.as_ref().unwrap().contains("(203.0.113.7)"));
        let loopback = OutsideFacts { is_advertised: true, ..facts(&["127.0.0.1"], &[]) };
        assert_eq!(codes(&loopback), ["media-told-loopback"]);
        let container = OutsideFacts { is_in_container: true, ..facts(&["172.17.0.2"], &[]) };
        assert_eq!(codes(&container), ["media-told-container"]);
        assert!(codes(&OutsideFacts { is_advertised: true, ..container }).is_empty());
    }

    #[test]
    fn nobody_outside_is_no_trouble_and_what_cannot_be_known_is_said() {
        let alone = OutsideFacts { is_for_others: false, ..facts(&["127.0.0.1"], &[]) };
        assert_eq!(check(&alone).len(), 1);
        let lines = check(&facts(&["203.0.113.7"], &[]));
        let last = &lines.last().unwrap().said;
        assert!(
            last.contains("only a device outside can tell") && last.contains("https://calls.example.org"),
            "{last}"
        );
    }

    #[test]
    fn what_was_sent_is_judged_by_whose_address_it_was_sent_to() {
        let of = |address: &str, sent| {
            codes(&OutsideFacts { sent: vec![(address.parse().unwrap(), sent)], ..facts(&["10.0.0.5"], &[]) })
        };
        assert!(of("10.0.0.5:7882", Sent::Came).is_empty());
        assert_eq!(of("10.0.0.5:7882", Sent::Lost), ["media-own-lost"]);
        assert!(of("203.0.113.7:7882", Sent::Lost).is_empty(), "its router may not do that");
        assert_eq!(of("203.0.113.7:7882", Sent::NotConnected), ["media-tcp-lost"]);
        assert!(of("203.0.113.7:7882", Sent::Connected).is_empty());
    }

    #[test]
    fn what_a_stun_server_sees_is_compared_with_what_is_told() {
        let of = |at: Result<&str, &str>| {
            let at = at.map(|text| text.parse().unwrap()).map_err(str::to_owned);
            let stun = Some(Seen { server: "stun.example.org:3478".into(), at, from_port: 7882 });
            let facts = OutsideFacts { stun, ..facts(&["203.0.113.7"], &["203.0.113.7"]) };
            let lines = check(&facts);
            (codes(&facts), lines[1].todo.clone().unwrap_or_default())
        };
        assert!(of(Ok("203.0.113.7:7882")).0.is_empty());
        assert_eq!(of(Ok("203.0.113.7:41000")).0, ["media-port-changes"]);
        let (codes, todo) = of(Ok("198.51.100.1:7882"));
        assert_eq!(codes, ["media-told-differs"]);
        assert!(todo.contains("ADVERTISE_IPS=198.51.100.1"), "{todo}");
        assert_eq!(of(Err("no answer")).0, ["stun-silent"]);
    }
}
