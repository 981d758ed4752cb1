//! The addresses under which the program is reached.

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

/// An address of this machine and the interface that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) ip: IpAddr,
}

impl Interface {
    /// Only programs of this machine are in such a network.
    pub(crate) fn is_of_containers(&self) -> bool {
        const NAMES: [&str; 7] = ["docker", "br-", "veth", "virbr", "cni", "podman", "lxc"];
        NAMES.iter().any(|name| self.name.starts_with(name))
    }
}

/// Those of this machine.
pub(crate) fn interfaces() -> Vec<Interface> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    all.into_iter().map(|one| Interface { ip: one.ip(), name: one.name }).collect()
}

/// What people on other machines type, the best first: networks before those of containers, and the shorter addresses before the longer.
pub(crate) fn typed(listen: IpAddr, interfaces: &[Interface]) -> Vec<Interface> {
    if !listen.is_unspecified() {
        let is_typed = !listen.is_loopback();
        return is_typed.then(|| Interface { name: String::new(), ip: listen }).into_iter().collect();
    }
    let is_typed = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        // A link-local one needs a zone, which no browser takes.
        IpAddr::V6(ip) => listen.is_ipv6() && !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let mut typed: Vec<_> = interfaces.iter().filter(|one| is_typed(&one.ip)).cloned().collect();
    typed.sort_by_key(|one| (one.is_of_containers(), one.ip.is_ipv6()));
    typed
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
