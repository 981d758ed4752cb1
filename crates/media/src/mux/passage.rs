//! What clients are offered whose network lets little through: the page's port for everything, and TURN. Pure.
//!
//! ```text
//!   PagePort ─┬─► candidates of ICE over TCP at that port      (the client dials)
//!             └─► turns:NAME:443, or turn:ADDRESS:PORT over TCP
//!   turn_udp_port ─► turn:ADDRESS:PORT over UDP
//! ```
//!
//! A browser takes no certificate of a TURN server that it would have to ask its person about. So TURN is within TLS where the certificate is
//! one that browsers believe, and otherwise without: what it carries is encrypted in any case.

use std::net::{IpAddr, SocketAddr};

/// Each candidate over TCP is a connection of each client, and each TURN server an allocation.
const OFFERED: usize = 2;

/// The ports of this server by which clients get through where nothing else is let through.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// TURN over UDP, at the addresses of media. The port of media itself: both are spoken there.
    pub turn_udp_port: Option<u16>,
    /// The page's port, by which ICE over TCP and TURN come in as well: see
    /// [`MediaServer::take_connection`](crate::MediaServer::take_connection).
    pub page: Option<PagePort>,
}

/// The page's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagePort {
    /// The address that it listens on; an unspecified one stands for all.
    pub listen: IpAddr,
    /// Its number, as clients reach it.
    pub port: u16,
    /// The name for which it has a certificate that browsers believe.
    pub tls_name: Option<String>,
}

impl PagePort {
    /// Where clients reach it who are told `told`, the best first. `advertises`: those are addresses of something in front.
    pub(crate) fn candidates(&self, told: &[SocketAddr], advertises: bool) -> Vec<SocketAddr> {
        let is_all = self.listen.is_unspecified() || advertises;
        let takes = |ip: IpAddr| match self.listen {
            // 0.0.0.0 is all of IPv4.
            IpAddr::V4(_) if is_all => ip.is_ipv4() || advertises,
            IpAddr::V6(_) if is_all => true,
            listen => ip == listen,
        };
        let ips = told.iter().map(SocketAddr::ip).filter(|ip| takes(*ip) && !ip.is_loopback());
        ips.take(OFFERED).map(|ip| SocketAddr::new(ip, self.port)).collect()
    }
}

/// The URLs of TURN servers for a client that is told `told`, and `candidates` of the page's port.
pub(crate) fn turn_urls(
    page: Option<&PagePort>,
    candidates: &[SocketAddr],
    udp_port: Option<u16>,
    told: &[SocketAddr],
) -> Vec<String> {
    let mut urls = Vec::new();
    if let Some(port) = udp_port {
        let ips = told.iter().map(SocketAddr::ip).filter(|ip| !ip.is_loopback()).take(OFFERED);
        urls.extend(ips.map(|ip| format!("turn:{}?transport=udp", SocketAddr::new(ip, port))));
    }
    if let Some(page) = page {
        match &page.tls_name {
            Some(name) => urls.push(format!("turns:{name}:{}?transport=tcp", page.port)),
            None => urls.extend(candidates.iter().map(|at| format!("turn:{at}?transport=tcp"))),
        }
    }
    urls
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_pages_port_is_offered_where_clients_reach_it() {
        let told = all(&["192.0.2.7:7882", "[2001:db8::7]:7882", "10.0.0.5:7882", "127.0.0.1:7882"]);
        for (listen, advertises, expected) in [
            ("0.0.0.0", false, vec!["192.0.2.7:443", "10.0.0.5:443"]),
            ("::", false, vec!["192.0.2.7:443", "[2001:db8::7]:443"]),
            ("10.0.0.5", false, vec!["10.0.0.5:443"]),
            ("172.17.0.2", false, vec![]),
            // In a container, or behind NAT: what is told is what stands in front.
            ("172.17.0.2", true, vec!["192.0.2.7:443", "[2001:db8::7]:443"]),
            ("127.0.0.1", false, vec![]),
        ] {
            let page = PagePort { listen: listen.parse().unwrap(), port: 443, tls_name: None };
            assert_eq!(page.candidates(&told, advertises), all(&expected), "{listen} {advertises}");
        }
    }

    #[test]
    fn turn_is_within_tls_where_browsers_believe_the_certificate() {
        let told = all(&["192.0.2.7:7882", "[2001:db8::7]:7882", "127.0.0.1:7882"]);
        let mut page =
            PagePort { listen: "::".parse().unwrap(), port: 443, tls_name: Some("calls.example.org".into()) };
        let candidates = page.candidates(&told, false);
        let urls = turn_urls(Some(&page), &candidates, None, &told);
        assert_eq!(urls, ["turns:calls.example.org:443?transport=tcp"]);
        page.tls_name = None;
        let urls = turn_urls(Some(&page), &candidates, Some(3478), &told);
        assert_eq!(
            urls,
            [
                "turn:192.0.2.7:3478?transport=udp",
                "turn:[2001:db8::7]:3478?transport=udp",
                "turn:192.0.2.7:443?transport=tcp",
                "turn:[2001:db8::7]:443?transport=tcp",
            ]
        );
        assert!(turn_urls(None, &[], None, &told).is_empty());
    }
}
