//! The addresses under which the program reaches itself and others reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a person opens: `localhost` for a loopback or unspecified address, the address itself otherwise.
pub(crate) fn page(bound: SocketAddr) -> String {
    if bound.ip().is_loopback() || bound.ip().is_unspecified() {
        format!("http://localhost:{}", bound.port())
    } else {
        format!("http://{bound}")
    }
}

/// What this process uses to call its own HTTP port: never a name, so that no resolver is asked.
pub(crate) fn own(bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    format!("http://{}", SocketAddr::new(ip, bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_what_can_be_opened() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(page(at("127.0.0.1:6080")), "http://localhost:6080");
        assert_eq!(page(at("0.0.0.0:1")), "http://localhost:1");
        assert_eq!(page(at("10.1.2.3:4")), "http://10.1.2.3:4");
        assert_eq!(own(at("0.0.0.0:1")), "http://127.0.0.1:1");
        assert_eq!(own(at("[::]:1")), "http://[::1]:1");
    }
}
