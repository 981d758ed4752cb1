//! The probes: each asks the machine, or somebody whom the settings name, and makes facts of it. They wait for nobody for long.
//!
//! What waits for a disk, a socket or a resolver blocks its thread: `examine` gives each a thread of its own.

pub(crate) mod ask;
pub(crate) mod certificate;
pub(crate) mod clock;
pub(crate) mod data_folder;
pub(crate) mod firewall;
pub(crate) mod livekit;
pub(crate) mod machine;
pub(crate) mod outside;
pub(crate) mod ports;
pub(crate) mod public_name;
pub(crate) mod server;
pub(crate) mod sockets;
pub(crate) mod store;
pub(crate) mod stun;
pub(crate) mod tls;

use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

/// Of what is read of another program's answer.
const OUTPUT_BYTES: usize = 1 << 20;

/// The addresses of this machine.
pub(crate) fn own_addresses() -> Vec<IpAddr> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    all.iter().map(if_addrs::Interface::ip).collect()
}

/// What a program of the system prints that only reads; none where it is not there or refuses.
fn printed(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && text.len() <= OUTPUT_BYTES).then_some(text)
}

/// A small file of the system.
fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
