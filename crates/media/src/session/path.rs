//! Where a session's media goes: the address that its peer is proven to be at. Pure.
//!
//! ```text
//!   handshake ─► the first path ─┐
//!                                ▼
//!   its own media comes by another path, and no more by this one ─► the server asks there: is it you? ─► yes: there
//! ```
//!
//! Phones change their network and NATs their ports in the middle of a call. The peer is followed as soon as something comes from the
//! new address that only it can have made, and it has answered from there: nobody gets media who did not ask for it, whatever
//! source a peer writes on its datagrams.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::mux::Transport;

/// A path that brought nothing for so long may be over.
const SILENT: Duration = Duration::from_millis(200);
/// The same where only STUN says so, which a peer that sends nothing says every few seconds.
const SILENT_FOR_STUN: Duration = Duration::from_secs(3);
/// How often the peer is asked at a new address, and how soon again.
const TRIES: u8 = 6;
const TRY_EVERY: Duration = Duration::from_millis(100);
/// After that it is asked again where something comes from there even so.
const REST: Duration = Duration::from_secs(1);

/// An address of the server and one of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

#[derive(Debug)]
struct Candidate {
    path: Path,
    /// Since when the peer is known to be there.
    since: Instant,
    silent: Duration,
    tries: u8,
    next: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Paths {
    current: Option<Path>,
    /// When something came by the current path.
    heard: Option<Instant>,
    candidate: Option<Candidate>,
    /// By which ICE sends what belongs to the handshake.
    nominated: Option<Path>,
}

impl Paths {
    /// Where media goes that ICE would send by `nominated`.
    pub(super) fn send_by(&mut self, nominated: Path) -> Path {
        self.nominated = Some(nominated);
        self.current.unwrap_or(nominated)
    }

    /// By which way something goes now that went by another one before.
    pub(super) fn send_again_by(&self, before: Path) -> Path {
        self.current.unwrap_or(before)
    }

    /// Something came by a path. Whether it is the current one.
    pub(super) fn heard(&mut self, path: Path, now: Instant) -> bool {
        let is_current = self.current == Some(path);
        if is_current {
            self.heard = Some(now);
        }
        is_current
    }

    /// The peer's own media came by a path. The path that media goes by from now on, where that changes.
    pub(super) fn proven(&mut self, path: Path, now: Instant) -> Option<Path> {
        if self.current.is_none() {
            // The handshake went by the nominated path and back: nothing else proves more.
            self.current = Some(self.nominated.unwrap_or(path));
            self.heard = Some(now);
            self.propose(path, SILENT, now);
            return self.current;
        }
        self.propose(path, SILENT, now);
        None
    }

    /// The peer signed a request on a path, and wants to use it.
    pub(super) fn nominates(&mut self, path: Path, now: Instant) {
        self.propose(path, SILENT_FOR_STUN, now);
    }

    fn propose(&mut self, path: Path, silent: Duration, now: Instant) {
        let Some(current) = self.current else { return };
        if current == path {
            // It is back before it was away.
            self.candidate = self.candidate.take().filter(|candidate| candidate.tries > 0);
            return;
        }
        let next = self.heard.map_or(now, |heard| (heard + silent).max(now));
        match &mut self.candidate {
            Some(known) if known.path == path => {
                if silent < known.silent {
                    known.silent = silent;
                    known.next = next;
                }
                if known.tries >= TRIES && now >= known.next {
                    (known.tries, known.next, known.since) = (0, next, now);
                }
            }
            // One that is being asked is not pushed out by another one.
            Some(known) if known.tries > 0 && known.tries < TRIES && silent >= known.silent => {}
            _ => self.candidate = Some(Candidate { path, since: now, silent, tries: 0, next }),
        }
    }

    /// When [`Paths::timeout`] is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.candidate.as_ref().filter(|candidate| candidate.tries < TRIES).map(|candidate| candidate.next)
    }

    /// The path by which the peer has to be asked now.
    pub(super) fn timeout(&mut self, now: Instant) -> Option<Path> {
        let heard = self.heard;
        let candidate = self.candidate.as_mut().filter(|one| one.tries < TRIES && one.next <= now)?;
        if let Some(heard) = heard
            && now.saturating_duration_since(heard) < candidate.silent
        {
            if heard > candidate.since + candidate.silent {
                // Both bring something: the peer uses both, and this one stands.
                self.candidate = None;
            } else {
                candidate.next = heard + candidate.silent;
            }
            return None;
        }
        candidate.tries += 1;
        candidate.next = now + if candidate.tries < TRIES { TRY_EVERY } else { REST };
        Some(candidate.path)
    }

    /// The peer answered on a path. Whether media goes by it from now on.
    pub(super) fn answered(&mut self, path: Path, now: Instant) -> bool {
        let is_asked =
            self.candidate.as_ref().is_some_and(|candidate| candidate.path == path && candidate.tries > 0);
        if is_asked {
            self.candidate = None;
            self.current = Some(path);
            self.heard = Some(now);
        }
        is_asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        let at = |port| SocketAddr::from(([192, 0, 2, 1], port));
        Path { transport: Transport::Udp, local: at(7), remote: at(port) }
    }

    /// Asks as often as is due until `until`, and says when.
    fn asked(paths: &mut Paths, start: Instant, until_ms: u64) -> Vec<(u64, u16)> {
        let mut asked = Vec::new();
        while let Some(next) =
            paths.next_timeout().filter(|next| *next <= start + Duration::from_millis(until_ms))
        {
            if let Some(path) = paths.timeout(next) {
                asked.push(((next - start).as_millis() as u64, path.remote.port()));
            }
        }
        asked
    }

    #[test]
    fn a_peer_is_followed_once_its_old_path_is_silent_and_it_answers_at_the_new_one() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut paths = Paths::default();
        assert_eq!(paths.send_by(path(1)), path(1));
        assert_eq!(paths.proven(path(1), at(0)), Some(path(1)));
        assert!(paths.heard(path(1), at(90)));
        // One datagram alone, as of somebody who only listens.
        assert_eq!(paths.proven(path(2), at(100)), None);
        assert_eq!(asked(&mut paths, start, 350), [(290, 2)]);
        assert_eq!(paths.send_by(path(1)), path(1), "an address alone is no answer");
        assert!(!paths.answered(path(3), at(360)));
        assert!(paths.answered(path(2), at(360)));
        assert_eq!(paths.send_by(path(1)), path(2));
        assert!(asked(&mut paths, start, 9000).is_empty());
        // And back again.
        paths.proven(path(1), at(5000));
        assert_eq!(asked(&mut paths, start, 5050), [(5000, 1)]);
        assert!(paths.answered(path(1), at(5060)));
        assert_eq!(paths.send_by(path(1)), path(1));
    }

    #[test]
    fn a_path_that_brings_media_is_not_left_whatever_comes_by_others() {
        let start = Instant::now();
        let mut paths = Paths::default();
        paths.send_by(path(1));
        paths.proven(path(1), start);
        for ms in (0..3000).step_by(20) {
            let now = start + Duration::from_millis(ms);
            paths.heard(path(1), now);
            paths.proven(path(2), now);
            paths.nominates(path(3), now);
            if paths.next_timeout().is_some_and(|next| next <= now) {
                assert_eq!(paths.timeout(now), None);
            }
        }
    }

    #[test]
    fn where_nobody_answers_it_is_asked_seldom() {
        let start = Instant::now();
        let mut paths = Paths::default();
        paths.send_by(path(1));
        paths.proven(path(1), start);
        let mut count = 0;
        for ms in (0..10_000).step_by(10) {
            let now = start + Duration::from_millis(ms);
            paths.proven(path(2), now);
            count += usize::from(
                paths.next_timeout().is_some_and(|next| next <= now) && paths.timeout(now).is_some(),
            );
        }
        assert!((30..=45).contains(&count), "{count}");
        assert_eq!(paths.send_by(path(1)), path(1));
    }

    #[test]
    fn who_sends_nothing_is_followed_by_what_it_nominates() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut paths = Paths::default();
        paths.send_by(path(1));
        paths.proven(path(1), start);
        paths.nominates(path(2), at(2500));
        assert!(asked(&mut paths, start, 2900).is_empty());
        assert_eq!(asked(&mut paths, start, 3050), [(3000, 2)]);
        assert!(paths.answered(path(2), at(3060)));
    }
}
