//! A network, or a single address, as `TRUSTED_PROXIES` names them. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;

/// So many bits of an IPv6 address are the same for all that stand for an IPv4 one.
const MAPPED_BITS: u8 = 96;

/// A network. A single address is one of itself alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

/// The text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNetwork {
    /// By its form.
    #[error("{0:?} is no address and no network such as \"192.0.2.1\", \"10.0.0.0/8\" or \"fd00::/8\"")]
    Form(String),
    /// All addresses there are.
    #[error(
        "{0:?} is everybody: whoever asks could say that they are somebody else; name the addresses of your proxies"
    )]
    Everybody(String),
}

impl Network {
    /// Whether it has nothing but addresses by which this machine reaches itself.
    pub(crate) fn is_of_this_machine(self) -> bool {
        self.0.network().is_loopback() && self.0.broadcast().is_loopback()
    }

    /// Whether an address is in it. An IPv4 address is one by whatever socket it came.
    pub fn contains(self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let text = text.trim();
        let form = || NoNetwork::Form(text.chars().take(100).collect());
        let network = match text.parse::<IpAddr>() {
            Ok(ip) => IpNet::from(ip.to_canonical()),
            Err(_) => canonical(text.parse::<IpNet>().map_err(|_| form())?),
        };
        if network.prefix_len() == 0 {
            return Err(NoNetwork::Everybody(text.to_owned()));
        }
        Ok(Self(network.trunc()))
    }
}

/// IPv4 addresses that are written as IPv6 ones are what they stand for.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network {
        IpNet::V6(net) if net.prefix_len() >= MAPPED_BITS => {
            net.addr().to_ipv4_mapped().zip(Some(net.prefix_len() - MAPPED_BITS))
        }
        _ => None,
    };
    let shorter = mapped.and_then(|(ip, bits)| Ipv4Net::new(ip, bits).ok());
    shorter.map_or(network, IpNet::V4)
}

impl TryFrom<String> for Network {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, NoNetwork> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        for (text, shown, inside, outside) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"),
            (" 10.0.0.0/8 ", "10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/8", "10.0.0.0/8", "10.0.0.1", "9.255.255.255"),
            ("172.16.0.0/12", "172.16.0.0/12", "::ffff:172.31.0.1", "172.32.0.1"),
            ("192.0.2.7/32", "192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("fd00::/8", "fd00::/8", "fdff::1", "fe80::1"),
            ("2001:db8::5", "2001:db8::5", "2001:db8::5", "2001:db8::6"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8", "10.9.9.9", "::a00:1"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.to_string(), shown);
            assert!(network.contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{text} {outside}");
        }
    }

    #[test]
    fn loopback_is_this_machine_and_what_is_more_than_that_is_not() {
        for (text, expected) in [
            ("127.0.0.1", true),
            ("127.0.0.0/8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("126.0.0.0/7", false),
            ("::/127", false),
            ("10.0.0.0/8", false),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().is_of_this_machine(), expected, "{text}");
        }
    }

    #[test]
    fn names_ranges_and_everybody_are_none() {
        for text in
            ["", "proxy", "10.0.0.0/33", "10.0.0/8", "10.0.0.1-10.0.0.9", "fd00::/129", "*", "10.0.0.1:80"]
        {
            assert!(matches!(text.parse::<Network>(), Err(NoNetwork::Form(_))), "{text}");
        }
        for text in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
            assert!(matches!(text.parse::<Network>(), Err(NoNetwork::Everybody(_))), "{text}");
        }
    }
}
