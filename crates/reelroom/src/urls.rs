//! The address under which the program is reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::Url;

/// What a person opens: `localhost` for a loopback or unspecified address, the address itself otherwise.
pub(crate) fn page(bound: SocketAddr) -> String {
    if bound.ip().is_loopback() || bound.ip().is_unspecified() {
        format!("http://localhost:{}", bound.port())
    } else {
        format!("http://{bound}")
    }
}

/// Where this machine reaches what is bound there.
pub(crate) fn from_here(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

/// Where the program reaches itself.
pub(crate) fn own(bound: SocketAddr) -> Url {
    let text = format!("http://{}", from_here(bound));
    text.parse().expect("an address and a port make a URL")
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
        assert_eq!(own(at("0.0.0.0:5")).as_str(), "http://127.0.0.1:5/");
        assert_eq!(own(at("[::]:5")).as_str(), "http://[::1]:5/");
        assert_eq!(own(at("10.1.2.3:4")).as_str(), "http://10.1.2.3:4/");
    }
}
