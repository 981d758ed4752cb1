//! Whether a participant is still there, by what is heard of it. Pure.
//!
//! ```text
//!   signalling lost ─► media flows: it is kept, and may come back ─► for too long: gone
//!                 └──► nothing is heard of it either: gone in a moment
//!   media lost, or not found again after a restart ─► for a while ─► told to come back ─► it does not: gone
//! ```

use std::time::{Duration, Instant};

use reelroom_limits::signalling::SIGNAL_LOST_FOR;
use reelroom_protocol::proto::DisconnectReason;

/// Without any connection a participant whose signalling is lost keeps its place for so long.
const SIGNAL_GRACE: Duration = Duration::from_secs(5);
/// With one it does while something is heard by it so often: those who receive nothing are heard every six seconds at the least, by STUN.
const SILENT_FOR: Duration = Duration::from_secs(7);
/// A participant whose media is lost is told to come back after so long.
const MEDIA_GRACE: Duration = Duration::from_secs(15);
/// And has so long to do it.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(5);
/// From joining to a connection that stands.
const CONNECT_WITHIN: Duration = Duration::from_secs(60);
/// From a question about what is sent on which section to its answer.
const NEGOTIATE_WITHIN: Duration = Duration::from_secs(15);

/// What is to be done about a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Stays,
    /// It is told to connect its media anew.
    ComesBack,
    Gone(DisconnectReason),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Presence {
    /// When it said something by signalling, or came.
    said: Instant,
    /// When something came by its media connections.
    heard: Instant,
    signal_lost: Option<Instant>,
    media_lost: Option<Instant>,
    /// A media connection is being found anew, while what there was of it may still go on.
    restarts_since: Option<Instant>,
    connecting_since: Option<Instant>,
    /// What it has to answer, and since when that is known.
    awaited: Option<(u32, Instant)>,
    is_called_back: bool,
}

impl Presence {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            said: now,
            heard: now,
            signal_lost: None,
            media_lost: None,
            restarts_since: None,
            connecting_since: Some(now),
            awaited: None,
            is_called_back: false,
        }
    }

    /// It said something by signalling.
    pub(crate) fn says(&mut self, now: Instant) {
        self.said = now;
    }

    /// When it last did.
    pub(crate) fn said(&self) -> Instant {
        self.said
    }

    /// Something came from it by a media connection.
    pub(crate) fn hears(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Its signalling connection has ended.
    pub(crate) fn signal_ends(&mut self, now: Instant) {
        self.signal_lost.get_or_insert(now);
    }

    /// It has another one.
    pub(super) fn resumes(&mut self, now: Instant) {
        self.signal_lost = None;
        self.said = now;
        self.awaited = None;
        // It has as long as before to connect.
        self.is_called_back = false;
        self.media_lost = self.media_lost.map(|_| now);
        self.restarts_since = self.restarts_since.map(|_| now);
    }

    /// The connection stands by which it is there.
    pub(crate) fn connects(&mut self) {
        self.connecting_since = None;
    }

    /// A media connection stands, or is heard of again.
    pub(crate) fn media_flows(&mut self) {
        self.media_lost = None;
        self.restarts_since = None;
        self.is_called_back = false;
    }

    /// A media connection is lost.
    pub(crate) fn media_ends(&mut self, now: Instant) {
        self.media_lost.get_or_insert(now);
    }

    /// A media connection that stood is being found anew.
    pub(crate) fn media_restarts(&mut self, now: Instant) {
        if self.connecting_since.is_none() {
            self.restarts_since.get_or_insert(now);
        }
    }

    /// Looks at what it has to answer.
    pub(super) fn awaits(&mut self, awaited: Option<u32>, now: Instant) {
        let since = |number| match self.awaited {
            Some((known, since)) if known == number => since,
            _ => now,
        };
        self.awaited = awaited.map(|number| (number, since(number)));
    }

    /// What is to be done now. A participant is called back once.
    pub(crate) fn verdict(&mut self, now: Instant) -> Verdict {
        let passed = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let is_connected = self.connecting_since.is_none() && self.media_lost.is_none();
        if let Some(lost) = self.signal_lost {
            let is_heard = is_connected && !passed(self.heard, SILENT_FOR);
            if passed(lost, SIGNAL_LOST_FOR) || (passed(lost, SIGNAL_GRACE) && !is_heard) {
                return Verdict::Gone(DisconnectReason::SignalClose);
            }
        }
        if let Some(lost) = self.media_lost.into_iter().chain(self.restarts_since).min() {
            if passed(lost, MEDIA_GRACE + COMES_BACK_WITHIN) {
                return Verdict::Gone(DisconnectReason::ConnectionTimeout);
            }
            if passed(lost, MEDIA_GRACE) && !std::mem::replace(&mut self.is_called_back, true) {
                return Verdict::ComesBack;
            }
        }
        if self.connecting_since.is_some_and(|since| passed(since, CONNECT_WITHIN)) {
            return Verdict::Gone(DisconnectReason::JoinFailure);
        }
        let is_stalled = self.awaited.is_some_and(|(_, since)| passed(since, NEGOTIATE_WITHIN));
        if is_stalled && self.media_lost.is_none() && self.signal_lost.is_none() {
            return Verdict::Gone(DisconnectReason::StateMismatch);
        }
        Verdict::Stays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One that is connected.
    fn present(start: Instant) -> Presence {
        let mut presence = Presence::new(start);
        presence.connects();
        presence
    }

    #[test]
    fn who_is_not_connected_keeps_its_place_for_a_moment_without_signalling() {
        let start = Instant::now();
        let mut presence = Presence::new(start);
        presence.signal_ends(start);
        presence.hears(start + s(4));
        assert_eq!(presence.verdict(start + s(4)), Verdict::Stays);
        assert_eq!(presence.verdict(start + s(5)), Verdict::Gone(DisconnectReason::SignalClose));
    }

    #[test]
    fn who_is_heard_by_its_media_is_kept_without_signalling_for_a_bounded_time() {
        let start = Instant::now();
        let mut presence = present(start);
        presence.signal_ends(start);
        let mut now = start;
        while now + s(1) < start + SIGNAL_LOST_FOR {
            now += s(1);
            presence.hears(now);
            assert_eq!(presence.verdict(now), Verdict::Stays, "{:?}", now - start);
        }
        presence.hears(now + s(1));
        assert_eq!(presence.verdict(now + s(1)), Verdict::Gone(DisconnectReason::SignalClose));
        // Who came back may lose it again.
        presence.resumes(now);
        presence.signal_ends(now + s(1));
        presence.hears(now + s(2));
        assert_eq!(presence.verdict(now + s(8)), Verdict::Stays);
    }

    #[test]
    fn who_is_heard_by_nothing_any_more_is_gone_in_a_moment() {
        let start = Instant::now();
        let mut presence = present(start);
        presence.hears(start + s(100));
        presence.signal_ends(start + s(100));
        assert_eq!(presence.verdict(start + s(106)), Verdict::Stays);
        assert_eq!(presence.verdict(start + s(107)), Verdict::Gone(DisconnectReason::SignalClose));
        presence.media_ends(start + s(105));
        assert_eq!(presence.verdict(start + s(105)), Verdict::Gone(DisconnectReason::SignalClose));
    }

    #[test]
    fn who_loses_its_media_is_called_back_once_and_then_gone() {
        let start = Instant::now();
        let mut presence = present(start);
        presence.media_ends(start);
        presence.media_ends(start + s(3));
        assert_eq!(presence.verdict(start + s(14)), Verdict::Stays);
        assert_eq!(presence.verdict(start + s(15)), Verdict::ComesBack);
        assert_eq!(presence.verdict(start + s(16)), Verdict::Stays);
        assert_eq!(presence.verdict(start + s(20)), Verdict::Gone(DisconnectReason::ConnectionTimeout));
        // Who comes in time has as long again.
        presence.resumes(start + s(19));
        assert_eq!(presence.verdict(start + s(33)), Verdict::Stays);
        assert_eq!(presence.verdict(start + s(34)), Verdict::ComesBack);
        presence.media_flows();
        assert_eq!(presence.verdict(start + s(60)), Verdict::Stays);
    }

    #[test]
    fn who_is_not_found_again_after_a_restart_is_called_back_too() {
        let start = Instant::now();
        let mut presence = present(start);
        presence.media_restarts(start);
        presence.media_restarts(start + s(10));
        // What there was goes on meanwhile.
        presence.signal_ends(start);
        presence.hears(start + s(9));
        assert_eq!(presence.verdict(start + s(10)), Verdict::Stays);
        presence.resumes(start + s(10));
        assert_eq!(presence.verdict(start + s(24)), Verdict::Stays);
        assert_eq!(presence.verdict(start + s(25)), Verdict::ComesBack);
        assert_eq!(presence.verdict(start + s(30)), Verdict::Gone(DisconnectReason::ConnectionTimeout));
        presence.media_flows();
        assert_eq!(presence.verdict(start + s(60)), Verdict::Stays);
        // Who has not connected yet has as long as others.
        let mut presence = Presence::new(start);
        presence.media_restarts(start);
        assert_eq!(presence.verdict(start + s(30)), Verdict::Stays);
    }

    #[test]
    fn who_never_connects_and_who_does_not_answer_are_let_go() {
        let start = Instant::now();
        assert_eq!(Presence::new(start).verdict(start + s(59)), Verdict::Stays);
        assert_eq!(Presence::new(start).verdict(start + s(60)), Verdict::Gone(DisconnectReason::JoinFailure));
        // It can answer before it is connected.
        let mut presence = Presence::new(start);
        presence.awaits(Some(1), start);
        assert_eq!(presence.verdict(start + s(15)), Verdict::Gone(DisconnectReason::StateMismatch));
        let mut presence = present(start);
        presence.awaits(Some(1), start);
        presence.awaits(Some(2), start + s(10));
        assert_eq!(presence.verdict(start + s(20)), Verdict::Stays, "another question");
        presence.awaits(Some(2), start + s(24));
        assert_eq!(presence.verdict(start + s(25)), Verdict::Gone(DisconnectReason::StateMismatch));
        presence.signal_ends(start + s(24));
        presence.hears(start + s(25));
        assert_eq!(presence.verdict(start + s(25)), Verdict::Stays, "it cannot answer");
        presence.resumes(start + s(26));
        presence.awaits(None, start + s(26));
        assert_eq!(presence.verdict(start + s(90)), Verdict::Stays);
    }
}
