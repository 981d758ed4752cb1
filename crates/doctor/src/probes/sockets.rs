//! Which process has a port, as `/proc` tells it. Other users' processes tell nobody but the superuser.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::linux::fs::MetadataExt as _;
use std::path::Path;

use crate::checks::ports::media::Transport;
use crate::line::plain;

/// The state of a TCP socket that listens.
const LISTENS: &str = "0A";

/// The process that has a port at an address, in words.
pub(crate) fn holder(transport: Transport, ip: IpAddr, port: u16) -> Option<String> {
    let files = match transport {
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let tables = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let inodes: HashSet<u64> = tables.flat_map(|table| inodes(&table, transport, ip, port)).collect();
    if inodes.is_empty() { None } else { process_with(&inodes) }
}

/// The process that has locked a file, in words.
pub(crate) fn locker(file: &Path) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    let pid = locked_by(&fs::read_to_string("/proc/locks").ok()?, metadata.st_dev(), metadata.st_ino())?;
    Some(named(pid))
}

/// The sockets of a table of `/proc/net` that have the port at the address, or at all of them.
fn inodes(table: &str, transport: Transport, ip: IpAddr, port: u16) -> Vec<u64> {
    let is_at = |found: IpAddr| {
        found.to_canonical() == ip.to_canonical() || found.is_unspecified() || ip.is_unspecified()
    };
    let inode = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (address, found_port) = columns.get(1)?.split_once(':')?;
        let is_bound = transport == Transport::Udp || columns.get(3) == Some(&LISTENS);
        let is_it =
            is_bound && u16::from_str_radix(found_port, 16) == Ok(port) && is_at(address_of(address)?);
        if is_it { columns.get(9)?.parse().ok() } else { None }
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// Words of four bytes, each as this machine has it in memory.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(at)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

fn process_with(inodes: &HashSet<u64>) -> Option<String> {
    let pids = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        let mut links = files.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        links.any(|link| socket(&link.to_string_lossy()).is_some_and(|inode| inodes.contains(&inode)))
    };
    pids.into_iter().find(has).map(named)
}

fn socket(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn named(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = plain(name.trim());
    if name.is_empty() { format!("process {pid}") } else { format!("{name} (process {pid})") }
}

/// Of lines such as `1: FLOCK  ADVISORY  WRITE 812 fe:01:1573 0 EOF`.
fn locked_by(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    locks.lines().find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().filter(|column| *column != "->").collect();
        let mut place = columns.get(5)?.split(':');
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let is_device = number(place.next()?)? == major && number(place.next()?)? == minor;
        let is_it = is_device && place.next()?.parse::<u64>().ok()? == inode;
        if is_it { columns.get(4)?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn the_holder_of_a_port_is_this_process() {
        let ip = Ipv4Addr::LOCALHOST;
        let tcp = TcpListener::bind((ip, 0)).unwrap();
        let udp = UdpSocket::bind((ip, 0)).unwrap();
        let me = format!("(process {})", std::process::id());
        let of = |transport, port| holder(transport, ip.into(), port).unwrap_or_default();
        let found = of(Transport::Tcp, tcp.local_addr().unwrap().port());
        assert!(found.ends_with(&me), "{found}");
        let found = of(Transport::Udp, udp.local_addr().unwrap().port());
        assert!(found.ends_with(&me), "{found}");
        let port = tcp.local_addr().unwrap().port();
        drop(tcp);
        assert_eq!(holder(Transport::Tcp, ip.into(), port), None);
    }

    #[test]
    fn locks_are_read_by_device_and_inode() {
        let locks =
            "1: FLOCK  ADVISORY  WRITE 812 08:01:1573 0 EOF\n2: POSIX  ADVISORY  READ 9 08:01:99 0 EOF\n";
        let device = rustix::fs::makedev(8, 1);
        assert_eq!(locked_by(locks, device, 1573), Some(812));
        assert_eq!(locked_by(locks, device, 1574), None);
        assert_eq!(locked_by(locks, rustix::fs::makedev(8, 2), 1573), None);
    }
}
