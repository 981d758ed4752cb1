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
/// How this program is called, with what follows.
pub(crate) const OUR_NAME: &str = "reelroom ";

/// Whether anybody has a port at an address, whoever it is.
pub(crate) fn is_held(transport: Transport, ip: IpAddr, port: u16) -> bool {
    !bound(transport, ip, port).is_empty()
}

/// The process that has a port at an address, in words.
pub(crate) fn holder(transport: Transport, ip: IpAddr, port: u16) -> Option<String> {
    let inodes = bound(transport, ip, port);
    if inodes.is_empty() { None } else { process_with(&inodes) }
}

/// The sockets that have a port at an address.
fn bound(transport: Transport, ip: IpAddr, port: u16) -> HashSet<u64> {
    let files = match transport {
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let tables = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    tables.flat_map(|table| inodes(&table, transport, ip, port)).collect()
}

/// The process that has locked a file, in words.
pub(crate) fn locker(file: &Path) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let all: Vec<Lock> =
        locks.lines().filter_map(Lock::read).filter(|lock| lock.inode == metadata.st_ino()).collect();
    let device = (rustix::fs::major(metadata.st_dev()), rustix::fs::minor(metadata.st_dev()));
    if let Some(lock) = all.iter().find(|lock| lock.device == device) {
        return Some(named(lock.pid));
    }
    // Layers of containers have another device here than there.
    all.iter().map(|lock| named(lock.pid)).find(|name| name.starts_with(OUR_NAME))
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

/// A lock that is held.
#[derive(Debug, PartialEq, Eq)]
struct Lock {
    pid: u32,
    /// Major and minor number.
    device: (u32, u32),
    inode: u64,
}

impl Lock {
    /// Of a line such as `1: FLOCK  ADVISORY  WRITE 812 fe:01:1573 0 EOF`; one that waits for it has an arrow in front.
    fn read(line: &str) -> Option<Self> {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let mut place = columns.get(5)?.split(':');
        let mut number = || u32::from_str_radix(place.next()?, 16).ok();
        let device = (number()?, number()?);
        Some(Self { pid: columns.get(4)?.parse().ok()?, device, inode: place.next()?.parse().ok()? })
    }
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
        assert!(is_held(Transport::Tcp, ip.into(), port), "also for whoever may not bind it");
        drop(tcp);
        assert!(!is_held(Transport::Tcp, ip.into(), port));
        assert_eq!(holder(Transport::Tcp, ip.into(), port), None);
    }

    #[test]
    fn locks_are_read_by_device_and_inode() {
        let lock = Lock::read("1: FLOCK  ADVISORY  WRITE 812 08:1f:1573 0 EOF").unwrap();
        assert_eq!(lock, Lock { pid: 812, device: (8, 31), inode: 1573 });
        assert_eq!(Lock::read("1: -> FLOCK  ADVISORY  WRITE 9 08:01:1573 0 EOF"), None, "it waits");
        assert_eq!(Lock::read(""), None);
    }

    #[test]
    fn the_locker_of_a_file_is_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let file = fs::File::create(&path).unwrap();
        assert_eq!(locker(&path), None);
        file.lock().unwrap();
        let found = locker(&path);
        // Layers of containers are known by the program's name, which is another one here.
        let me = format!("(process {})", std::process::id());
        assert!(found.as_ref().is_none_or(|found| found.ends_with(&me)), "{found:?}");
    }
}
