//! Whether packets whose numbers are too low are late, or the first of numbers that begin anew. Pure.
//!
//! ```text
//!  RTP time   lowest ............ highest
//!                |<--- late --->|           a packet that was given up
//!      anew <--|                  |--> anew  nothing late can be outside: its sender has begun to count again;
//!                                             nor can it be older than [`LATEST_S`]
//! ```
//!
//! A packet alone proves nothing: two that follow each other do.

use super::Packet;

/// Nothing that is longer behind the highest time is late: it was given up long before.
const LATEST_S: u64 = 10;

/// What a packet whose number is too low is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Low {
    /// One that was given up.
    Late,
    /// No late one; whether it is of another line the next packet shows.
    Strange,
    /// The second one of another line.
    Anew,
}

/// What is known of a time line's RTP times.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The lowest and the highest one.
    times: Option<(u64, u64)>,
    /// Number of the last packet that cannot be of this line.
    stranger: Option<u64>,
}

impl Line {
    /// A packet goes on with it. Padding has no time of its own.
    pub(super) fn note(&mut self, packet: &Packet<'_>) {
        self.stranger = None;
        if packet.payload.is_empty() {
            return;
        }
        let (lowest, highest) = self.times.unwrap_or((packet.rtp, packet.rtp));
        self.times = Some((packet.rtp.min(lowest), packet.rtp.max(highest)));
    }

    /// What a packet is that is too late by its number; `rate`: RTP ticks in a second.
    pub(super) fn weigh(&mut self, packet: &Packet<'_>, rate: u64) -> Low {
        // What came first may not have been sent first.
        let could_be_late = |(lowest, highest): (u64, u64)| {
            let oldest = lowest.saturating_sub(rate).max(highest.saturating_sub(LATEST_S * rate));
            (oldest..=highest).contains(&packet.rtp)
        };
        if self.times.is_none_or(could_be_late) {
            return Low::Late;
        }
        let before = self.stranger.replace(packet.seq);
        match before.is_some_and(|before| before.checked_add(1) == Some(packet.seq)) {
            true => Low::Anew,
            false => Low::Strange,
        }
    }
}
