//! Who asks, as far as it can be told: by which address others tell them apart, and bound them.

use std::net::{IpAddr, SocketAddr};

/// The address that a request counts for, as whoever takes in connections puts it into the request: an IPv4 address, or an IPv6 network
/// of 64 bits. `None`: a program of this machine, which may stand for anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asker(pub Option<IpAddr>);

/// What proxies write of whom they speak for: `192.0.2.1`, `192.0.2.1:8080`, `2001:db8::1`, `"[2001:db8::1]:8080"` (RFC 7239, section 6).
pub fn forwarded_ip(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    text.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}
