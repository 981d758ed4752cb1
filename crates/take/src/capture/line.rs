//! Whether packets whose numbers are too low are late, or the first of numbers that begin anew. Pure.
//!
//! ```text
//!  RTP time    first ............ highest
//!                |<--- late --->|           a packet that was given up
//!      anew <--|                  |--> anew  nothing late can be outside: its sender has begun to count again
//! ```
//!
//! A packet alone proves nothing: two that follow each other do.

use super::Packet;

/// What is known of a time line's RTP times.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The first and the highest one.
    times: Option<(u64, u64)>,
    /// Number of the last packet that cannot be of this line.
    stranger: Option<u64>,
}

impl Line {
    /// A packet goes on with it.
    pub(super) fn note(&mut self, packet: &Packet<'_>) {
        let (_, highest) = self.times.get_or_insert((packet.rtp, packet.rtp));
        *highest = packet.rtp.max(*highest);
        self.stranger = None;
    }

    /// Whether a packet that is too late by its number shows that numbers begin anew; `rate`: RTP ticks in a second.
    pub(super) fn is_left(&mut self, packet: &Packet<'_>, rate: u64) -> bool {
        // What came first may not have been sent first.
        let could_be_late =
            |(first, highest): (u64, u64)| (first.saturating_sub(rate)..=highest).contains(&packet.rtp);
        if self.times.is_none_or(could_be_late) {
            return false;
        }
        let before = self.stranger.replace(packet.seq);
        before.is_some_and(|before| before.checked_add(1) == Some(packet.seq))
    }
}
