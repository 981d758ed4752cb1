//! The verdicts: what facts mean, and what to do. Pure: nothing here asks the machine.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod certificate;
pub mod clock;
pub mod codecs;
pub mod data_folder;
pub mod firewall;
pub mod livekit;
pub mod machine;
pub mod outside;
pub mod ports;
pub mod public_name;
pub mod recording;
pub mod server;
pub mod settings;
pub mod store;

use std::net::IpAddr;

use crate::trouble::Trouble;

/// What each may find, in the order in which they are made.
pub(crate) static TROUBLES: [&[Trouble]; 16] = [
    settings::TROUBLES,
    server::TROUBLES,
    data_folder::TROUBLES,
    ports::http::TROUBLES,
    ports::media::TROUBLES,
    public_name::TROUBLES,
    outside::TROUBLES,
    firewall::TROUBLES,
    certificate::TROUBLES,
    clock::TROUBLES,
    machine::TROUBLES,
    store::main::TROUBLES,
    store::backup::TROUBLES,
    livekit::TROUBLES,
    codecs::TROUBLES,
    recording::TROUBLES,
];

/// Whether others than those in the same network may reach an address.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            // RFC 6598: a provider's own network between its customers and the world.
            let is_carriers = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() || is_carriers)
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified())
        }
    }
}

/// Items with commas.
pub(crate) fn list<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// Bytes as people say them.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_networks_at_home_and_of_carriers_are_not_public() {
        for ip in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.2",
            "172.17.0.2",
            "169.254.1.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["203.0.113.7", "100.128.0.1", "2001:db8::1"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
