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

use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Of what is read of another program's answer.
const OUTPUT_BYTES: u64 = 1 << 20;
/// For another program; some of them ask a service that may be stuck.
const OUTPUT_WITHIN: Duration = Duration::from_secs(10);

/// The addresses of this machine.
pub(crate) fn own_addresses() -> Vec<IpAddr> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    all.iter().map(if_addrs::Interface::ip).collect()
}

/// What a program of the system prints that only reads; none where it is not there, refuses or does not end.
fn printed(program: &str, args: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let output = child.stdout.take()?;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = output.take(OUTPUT_BYTES).read_to_end(&mut text);
        let _ = tell.send(text);
    });
    let text = told.recv_timeout(OUTPUT_WITHIN);
    let is_whole = matches!(&text, Ok(text) if (text.len() as u64) < OUTPUT_BYTES);
    if !is_whole {
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    let text = text.ok().filter(|_| status.success())?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// A small file of the system.
fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_believed_if_it_ends_well_and_says_no_more_than_can_be_read() {
        assert_eq!(printed("echo", &["all", "is", "well"]).as_deref(), Some("all is well\n"));
        assert_eq!(printed("sh", &["-c", "echo no; exit 1"]), None);
        assert_eq!(printed("cat", &["/dev/zero"]), None, "it is stopped");
        assert_eq!(printed("there-is-no-such-program", &[]), None);
    }
}
