//! Datagrams that go out by UDP, those of one picture to one receiver together.
//!
//! ```text
//!   to A  1100 1100 1100 700 │ 1100 1100 │ to B  1100 …      a call of the system for each │
//! ```
//!
//! Linux cuts a long datagram into those that it was made of as late as it can (generic segmentation offload, `UDP_SEGMENT`), so that each run takes
//! its way through the system once. All of a run are of one length; its last one may be shorter.
//!
//! # Invariants
//!
//! - What is received, and in which order, does not depend on whether the system can do that.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{Datagram, Transport};

/// Linux takes so many by one call ...
const SEGMENTS: usize = 64;
/// ... of so many bytes in all: what one datagram of IPv6 or IPv4 may hold.
const BYTES: usize = 65_000;

/// How many of the first datagrams go by one call.
pub(super) fn first_run(datagrams: &[Datagram]) -> usize {
    let Some(first) = datagrams.first() else { return 0 };
    if first.transport != Transport::Udp || first.bytes.is_empty() {
        return 1;
    }
    let (mut len, mut bytes) = (1, first.bytes.len());
    for next in &datagrams[1..] {
        let is_alike = next.transport == Transport::Udp
            && (next.source, next.destination) == (first.source, first.destination)
            && (1..=first.bytes.len()).contains(&next.bytes.len());
        bytes += next.bytes.len();
        if !is_alike || len == SEGMENTS || bytes > BYTES {
            break;
        }
        len += 1;
        if next.bytes.len() < first.bytes.len() {
            break;
        }
    }
    len
}

/// Sends runs by one socket.
#[derive(Debug)]
pub(super) struct Sender {
    /// Whether the system cuts them. Not every network card's driver lets it.
    cuts: AtomicBool,
    /// Takes what would be sent, for a network that is none.
    #[cfg(test)]
    pub(super) tap: std::sync::Mutex<Option<Vec<Datagram>>>,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            cuts: AtomicBool::new(true),
            #[cfg(test)]
            tap: std::sync::Mutex::default(),
        }
    }
}

impl Sender {
    /// Sends the datagrams of one run, and says how many could not be sent: to wait would hold up everybody else.
    pub(super) fn send(&self, socket: &UdpSocket, run: &[Datagram]) -> usize {
        #[cfg(test)]
        if let Some(taken) = self.tap.lock().expect("no test panics while it holds it").as_mut() {
            taken.extend(run.iter().cloned());
            return 0;
        }
        if run.len() > 1 && self.cuts.load(Ordering::Relaxed) {
            match send_together(socket, run) {
                Ok(()) => return 0,
                // The socket is full, and would be for each of them.
                Err(error) if error.kind() == ErrorKind::WouldBlock => return run.len(),
                Err(error) => {
                    // Too long for this path or a receiver that is gone are no reason to give it up.
                    let is_for_good = matches!(
                        error.raw_os_error().map(Errno::from_raw),
                        Some(Errno::EIO | Errno::ENOPROTOOPT | Errno::EOPNOTSUPP)
                    );
                    if is_for_good && self.cuts.swap(false, Ordering::Relaxed) {
                        tracing::info!(%error, "datagrams go out one by one: the system does not cut them");
                    }
                }
            }
        }
        run.iter().filter(|datagram| !is_sent(socket, datagram)).count()
    }
}

fn send_together(socket: &UdpSocket, run: &[Datagram]) -> io::Result<()> {
    let pieces: Vec<IoSlice<'_>> = run.iter().map(|datagram| IoSlice::new(&datagram.bytes)).collect();
    let size = u16::try_from(run[0].bytes.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let to = SockaddrStorage::from(run[0].destination);
    let cut = [ControlMessage::UdpGsoSegments(&size)];
    socket.try_io(Interest::WRITABLE, || {
        sendmsg(socket.as_raw_fd(), &pieces, &cut, MsgFlags::empty(), Some(&to))?;
        Ok(())
    })
}

fn is_sent(socket: &UdpSocket, datagram: &Datagram) -> bool {
    let sent = socket.try_send_to(&datagram.bytes, datagram.destination);
    if let Err(error) = &sent {
        tracing::trace!(%error, destination = %datagram.destination, "a datagram was not sent");
    }
    sent.is_ok()
}

#[cfg(test)]
mod tests;
