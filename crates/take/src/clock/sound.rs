//! Where a segment's sound is placed. Pure.
//!
//! ```text
//!  offset (arrival - RTP time)            placed by                   heard
//!      ______                             one move up, at once        silence as long as the move
//!  ___/      \______                      down in a second or two     hurried, its pitch kept
//!  ------------------ drift               up or down, 1 % at most     bent, nobody hears it
//!  ___|\________ stall, then a burst      kept where it still fits    nothing; else later, then hurried
//!      |\        a burst, then nothing    by its first packet         from when it came: it was sent ahead of its time
//! ```
//!
//! Invariant: places ascend, and two packets' places do not overlap. A packet that is not placed says why.

use super::{
    BEND, DEAD_BAND_NS, Fate, HURRY, LATENESS_NS, MAX_AHEAD_NS, Moment,
    floor::{Floor, Least},
};
use crate::format::DropReason;

/// All arrivals that much later than they are heard mean that the sender paused, or that the network got slower for good: what is
/// heard is lengthened, ...
const RISE_NS: i64 = 20_000_000;
/// ... by at most one part in so many, ...
const LENGTHEN: i64 = 4;
/// ... and from here on there is silence instead.
const MOVE_NS: i64 = 100_000_000;
/// Media that arrive that much earlier than they are heard let sound hurry.
const LAG_NS: i64 = 20_000_000;
/// They flow steadily if their least offset stays within so much.
const STEADY_NS: i64 = 40_000_000;
/// What is missing up to here is concealed by the decoder: sound before and after it stays joined.
pub const CONCEAL_NS: i64 = 120_000_000;
/// RTP times may overlap by so little: they are rounded.
const OVERLAP_NS: i64 = 1_000_000;
/// Media flow where two arrivals are no further apart.
const FLOW_GAP_NS: u64 = 250_000_000;
/// Media that flow and arrive earlier than they are heard for so long will go on to.
const HOLD_NS: u64 = 300_000_000;
/// In so much sound a debt is paid back; more than [`HURRY`] allows takes longer.
const CATCH_UP_NS: i64 = 1_000_000_000;
/// Sound hurries by this part at least, or not at all.
const LEAST_HURRY: i64 = 25;
/// Sound may be heard so much later than it could be; where a stall leaves more, the oldest of it is dropped.
const MAX_LAG_NS: i64 = 800_000_000;
/// Where nothing follows but what came at once, its first packet tells where it belongs, give or take this.
const JITTER_NS: i64 = 100_000_000;
/// A stall ends about where it began, ...
const SAME_NS: i64 = 100_000_000;
/// ... or later by one part in so many of what it held back.
const SLOWER: i64 = 2;

/// Whether sender or network changed for good: what reports told before may not hold any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shift {
    None,
    /// They are a little slower: sound is lengthened.
    Slower,
    /// They are much slower: there is silence.
    Moved,
    /// They are faster: sound hurries, or what it was late by is left out of a silence.
    Faster,
}

/// A packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    pub(super) key_ns: u64,
    pub(super) at_ns: i64,
    pub(super) media_ns: i64,
    pub(super) length_ns: i64,
}

/// Media arrive earlier than they are heard.
#[derive(Debug, Clone, Copy)]
struct Debt {
    since_ns: u64,
    last_ns: u64,
    low_ns: i64,
    high_ns: i64,
    /// What was owed when it began to be paid back.
    paying_ns: Option<i64>,
}

impl Debt {
    fn is_sure(&self) -> bool {
        self.last_ns >= self.since_ns.saturating_add(HOLD_NS)
    }
}

/// Places one segment's sound.
#[derive(Debug, Default)]
pub(super) struct SoundPlacer {
    applied_ns: Option<i64>,
    /// Media time of the packet placed last, and of its end.
    media_ns: i64,
    end_media_ns: i64,
    /// Take time of its end.
    end_ns: i64,
    debt: Option<Debt>,
    /// Something was dropped since.
    is_cut: bool,
    lag_ns: i64,
    is_settled: bool,
    /// By how much sound was bent altogether.
    pub(super) bent_ns: i64,
}

impl SoundPlacer {
    /// Sound that must not begin before `end_ns`: something else is heard up to there.
    pub(super) fn after(end_ns: i64) -> Self {
        Self { end_ns, ..Self::default() }
    }

    /// What is added to media time.
    pub(super) fn applied_ns(&self) -> Option<i64> {
        self.applied_ns
    }

    /// By how much sound that flows is heard later than it could be.
    pub(super) fn lag_ns(&self) -> i64 {
        self.lag_ns
    }

    /// Sound is heard as early as it could be.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Take time of the end of what was placed.
    pub(super) fn end_ns(&self) -> i64 {
        self.end_ns
    }

    /// Places the next packet; says whether something changed for good.
    pub(super) fn place(&mut self, packet: &Packet, least: Least, floor: &mut Floor) -> (Moment, Shift) {
        let Packet { key_ns, at_ns, media_ns, length_ns } = *packet;
        let gap_ns = media_ns - self.end_media_ns;
        let least = match self.applied_ns {
            // It was held back: its end is where it always was.
            Some(applied_ns) if gap_ns <= CONCEAL_NS && least.near_ns <= applied_ns + SAME_NS => least,
            _ if floor.goes_on(key_ns) => least,
            _ => {
                let own_ns = at_ns - media_ns - JITTER_NS;
                let (near_ns, far_ns) = (least.near_ns.max(own_ns), least.far_ns.max(own_ns));
                Least { near_ns, far_ns, ..least }
            }
        };
        if self.applied_ns.is_some() && gap_ns < -OVERLAP_NS {
            return (self.dropped(packet, DropReason::Overlap), Shift::None);
        }
        // What lies before is composed already.
        let earliest_ns = at_ns.saturating_sub_unsigned(LATENESS_NS) - media_ns;
        if self.is_too_late(media_ns) {
            self.owe(key_ns, self.applied_ns.unwrap_or(least.recent_ns), least);
            return (self.dropped(packet, DropReason::Late), Shift::None);
        }
        let (mut offset_ns, mut fate, mut shift) = self.wanted(packet, gap_ns, earliest_ns, least, floor);
        let mut stalled_ns = None;
        if offset_ns < earliest_ns {
            stalled_ns = self.stall(packet, floor);
            if stalled_ns.is_some_and(|level_ns| earliest_ns - level_ns > MAX_LAG_NS) {
                return (self.dropped(packet, DropReason::Late), Shift::None);
            }
            (offset_ns, fate) = (earliest_ns, Fate::Apart);
        }
        if fate == Fate::Apart {
            offset_ns = offset_ns.max(self.end_ns.max(0) - media_ns);
        }
        let place_ns = media_ns + offset_ns;
        if place_ns - at_ns > MAX_AHEAD_NS {
            return (self.dropped(packet, DropReason::Ahead), Shift::None);
        }
        if matches!(shift, Shift::Slower | Shift::Moved) {
            floor.forget_before(key_ns);
        }
        if self.applied_ns.is_none() {
            shift = Shift::None;
        }
        match stalled_ns {
            // What is behind the burst shows that media flow.
            Some(level_ns) => {
                let since_ns = key_ns.saturating_sub(HOLD_NS);
                self.debt = Some(Debt {
                    since_ns,
                    last_ns: key_ns,
                    low_ns: level_ns,
                    high_ns: level_ns,
                    paying_ns: None,
                });
            }
            None => self.owe(key_ns, offset_ns, least),
        }
        let debt = self.debt.filter(Debt::is_sure);
        self.lag_ns = debt.map_or(0, |debt| (offset_ns - debt.high_ns).clamp(0, MAX_LAG_NS));
        self.is_settled = (offset_ns - least.far_ns).abs() <= LAG_NS && shift == Shift::None;
        self.applied_ns = Some(offset_ns);
        self.is_cut = false;
        self.media_ns = media_ns;
        self.end_media_ns = media_ns + length_ns;
        self.end_ns = place_ns + length_ns;
        (Moment { at_ns: u64::try_from(place_ns).unwrap_or(0), fate }, shift)
    }

    /// Where the packet belongs by the arrivals around it.
    fn wanted(
        &mut self,
        packet: &Packet,
        gap_ns: i64,
        earliest_ns: i64,
        Least { near_ns, far_ns, .. }: Least,
        floor: &Floor,
    ) -> (i64, Fate, Shift) {
        let Some(applied_ns) = self.applied_ns else { return (near_ns, Fate::Apart, Shift::Moved) };
        let is_apart = gap_ns > CONCEAL_NS || self.is_cut;
        // Without others that follow, a straggler says nothing; but it must be placed.
        let is_proven = || applied_ns < earliest_ns || floor.flow_ns(packet.key_ns).is_some();
        let rise_ns = near_ns - applied_ns;
        if rise_ns > MOVE_NS && is_proven() {
            return (near_ns, Fate::Apart, Shift::Moved);
        }
        let error_ns = far_ns - applied_ns;
        if is_apart && error_ns.abs().max(rise_ns) > RISE_NS {
            return (near_ns, Fate::Apart, if rise_ns > 0 { Shift::Moved } else { Shift::Faster });
        }
        let passed_ns = (packet.media_ns - self.media_ns).max(0);
        let mut shift = Shift::None;
        let step_ns = match self.hurry(applied_ns, passed_ns) {
            Some(step_ns) if !is_apart => {
                shift = Shift::Faster;
                -step_ns
            }
            _ if rise_ns > RISE_NS && is_proven() => {
                shift = Shift::Slower;
                rise_ns.min(passed_ns / LENGTHEN)
            }
            _ if error_ns.abs() > DEAD_BAND_NS && error_ns.abs() <= MOVE_NS => {
                let most_ns = passed_ns / BEND;
                let step_ns = error_ns.clamp(-most_ns, most_ns);
                self.bent_ns += step_ns;
                step_ns
            }
            _ => 0,
        };
        (applied_ns + step_ns, if is_apart { Fate::Apart } else { Fate::Joined }, shift)
    }

    /// Where media go on when what comes late and at once now was held back by the network, and did not come from the sender's pause.
    fn stall(&self, packet: &Packet, floor: &Floor) -> Option<i64> {
        let (applied_ns, level_ns) = self.applied_ns.zip(floor.flow_ns(packet.key_ns))?;
        // A network that stood still may be slower behind it; what a sender paused for is no part of what comes at once.
        let at_once_ns = packet.at_ns - packet.media_ns - level_ns;
        (level_ns <= applied_ns + SAME_NS.max(at_once_ns / SLOWER)).then_some(level_ns)
    }

    /// Whether the packet would be heard later than anybody can make up for.
    fn is_too_late(&self, media_ns: i64) -> bool {
        let debt = self.debt.filter(Debt::is_sure);
        debt.is_some_and(|debt| self.end_ns - media_ns - debt.high_ns > MAX_LAG_NS)
    }

    /// By how much the sound of `passed_ns` is shortened, if so.
    fn hurry(&mut self, applied_ns: i64, passed_ns: i64) -> Option<i64> {
        let debt = self.debt.as_mut().filter(|debt| debt.is_sure())?;
        let owed_ns = applied_ns - debt.high_ns;
        if owed_ns <= 0 {
            return None;
        }
        let paying_ns = *debt.paying_ns.get_or_insert(owed_ns);
        let step_ns = i128::from(passed_ns) * i128::from(paying_ns) / i128::from(CATCH_UP_NS);
        let step_ns = i64::try_from(step_ns).unwrap_or(i64::MAX);
        Some(step_ns.clamp(passed_ns / LEAST_HURRY, passed_ns / HURRY).min(owed_ns))
    }

    /// Notes whether media arrive earlier than they are heard, steadily: a sender that is ahead of its time for once does not count.
    fn owe(&mut self, key_ns: u64, offset_ns: i64, least: Least) {
        let Least { near_ns, recent_ns, .. } = least;
        let is_sure = self.debt.as_ref().is_some_and(Debt::is_sure);
        if let Some(debt) = &mut self.debt {
            let same = debt.high_ns - STEADY_NS..=debt.low_ns + STEADY_NS;
            let flows = key_ns.saturating_sub(debt.last_ns) <= FLOW_GAP_NS;
            // The rest of a burst comes before what flows behind it.
            if flows && (same.contains(&recent_ns) || (is_sure && same.contains(&near_ns))) {
                debt.last_ns = key_ns;
                if same.contains(&recent_ns) {
                    debt.low_ns = debt.low_ns.min(recent_ns);
                    debt.high_ns = debt.high_ns.max(recent_ns);
                }
                if offset_ns - debt.high_ns > if debt.paying_ns.is_some() { DEAD_BAND_NS } else { LAG_NS } {
                    return;
                }
            }
        }
        self.debt = (recent_ns < offset_ns - LAG_NS).then_some(Debt {
            since_ns: key_ns,
            last_ns: key_ns,
            low_ns: recent_ns,
            high_ns: recent_ns,
            paying_ns: None,
        });
    }

    fn dropped(&mut self, packet: &Packet, reason: DropReason) -> Moment {
        self.is_cut = true;
        // Whoever takes packets in their order shall not wait with it for longer than the one behind it can wait.
        let place_ns = (packet.media_ns + self.applied_ns.unwrap_or(0)).min(self.end_ns);
        let earliest_ns = packet.at_ns.saturating_sub_unsigned(LATENESS_NS);
        let at_ns = place_ns.clamp(earliest_ns, packet.at_ns + MAX_AHEAD_NS).max(0);
        Moment { at_ns: u64::try_from(at_ns).unwrap_or(0), fate: Fate::Dropped(reason) }
    }
}
