//! What SCTP holds: how much a sender may have under way, and how late lossy data would be. Pure.
//!
//! The receive window (RFC 9260, 3.3.4) says how much a sender may have under way.
//! str0m reads what arrives at once and always tells its full window. What is read waits for receivers that may be slow, so the
//! server tells less: the sender stops, in its own library, as if its network had become slower. A sender whose window is shut still sends
//! one packet after each acknowledgement, to learn when it opens (RFC 9260, 6.1 A), and on a good network these come a thousand times a
//! second: so acknowledgements wait meanwhile, and only the newest goes, a few times a second.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use reelroom_limits::media::LOSSY_LATEST;

/// So little lossy data may wait however slow the network is.
const LOSSY_LEAST_BYTES: usize = 8 * 1024;
/// Over so long it is measured how fast a channel empties.
const MEASURED_FOR: Duration = Duration::from_millis(100);

/// A window of less is shut: no packet fits.
const SHUT_BELOW_BYTES: u32 = 2 * 1200;
/// How often something is acknowledged through a shut window: before the sender takes it for lost (libwebrtc waits 400 ms at least).
const ACKNOWLEDGED_EVERY: Duration = Duration::from_millis(200);

/// Acknowledgements that wait while the window is shut.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    /// The newest, as a packet of its own.
    held: Option<Vec<u8>>,
    told: Option<Instant>,
}

impl Acknowledgements {
    /// What goes of a packet now; none where all of it waits.
    pub(super) fn pass<'a>(&mut self, packet: &'a [u8], window: u32, now: Instant) -> Option<Cow<'a, [u8]>> {
        let Some((acknowledgement, rest)) = apart(packet) else { return Some(Cow::Borrowed(packet)) };
        if self.may_tell(window, now) {
            (self.held, self.told) = (None, Some(now));
            return Some(with_window(packet, window).map_or(Cow::Borrowed(packet), Cow::Owned));
        }
        self.held = Some(acknowledgement);
        rest.map(Cow::Owned)
    }

    /// What has waited long enough.
    pub(super) fn due(&mut self, window: u32, now: Instant) -> Option<Vec<u8>> {
        if !self.may_tell(window, now) {
            return None;
        }
        let held = self.held.take()?;
        self.told = Some(now);
        Some(with_window(&held, window).unwrap_or(held))
    }

    /// When something will have waited long enough.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.told.filter(|_| self.held.is_some()).map(|told| told + ACKNOWLEDGED_EVERY)
    }

    fn may_tell(&self, window: u32, now: Instant) -> bool {
        let is_recent = |told| now.saturating_duration_since(told) < ACKNOWLEDGED_EVERY;
        window >= SHUT_BELOW_BYTES || !self.told.is_some_and(is_recent)
    }
}

/// How fast a channel of lossy data empties, and so how late something would be that is written into it.
#[derive(Debug, Default)]
pub(super) struct Drain {
    buffered: usize,
    looked: Option<Instant>,
    /// For how long there was something to send, and how much of it went, since the last measurement.
    busy: Duration,
    drained: usize,
    bytes_per_s: Option<f64>,
}

impl Drain {
    /// Whether what is written behind `buffered` bytes comes too late.
    pub(super) fn is_late(&mut self, buffered: usize, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.buffered, buffered);
        let looked = self.looked.replace(now);
        if buffered == 0 {
            // The network takes everything at once: how fast it can is not known.
            (self.busy, self.drained, self.bytes_per_s) = (Duration::ZERO, 0, None);
            return false;
        }
        self.busy += looked.map_or(Duration::ZERO, |looked| now.saturating_duration_since(looked));
        self.drained += before.saturating_sub(buffered);
        if self.busy >= MEASURED_FOR {
            let measured = self.drained as f64 / self.busy.as_secs_f64();
            self.bytes_per_s = Some(self.bytes_per_s.map_or(measured, |known| (known + measured) / 2.0));
            (self.busy, self.drained) = (Duration::ZERO, 0);
        }
        let in_time = self.bytes_per_s.map(|speed| speed * LOSSY_LATEST.as_secs_f64());
        buffered > LOSSY_LEAST_BYTES && in_time.is_some_and(|in_time| buffered as f64 > in_time)
    }

    /// So much was written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.buffered += bytes;
    }
}

const HEADER_BYTES: usize = 12;
const CHECKSUM: std::ops::Range<usize> = 8..12;
const SACK: u8 = 3;
/// In a SACK, behind its type, flags, length and the number up to which everything has arrived.
const WINDOW: std::ops::Range<usize> = 8..12;

/// The packet with at most `window` in its acknowledgements; none where nothing has to be changed.
pub(super) fn with_window(packet: &[u8], window: u32) -> Option<Vec<u8>> {
    if window == u32::MAX {
        return None;
    }
    let mut changed = None;
    let mut at = HEADER_BYTES;
    while let Some([kind, _, high, low]) = packet.get(at..at + 4).and_then(|head| head.first_chunk().copied())
    {
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len < 4 {
            return None;
        }
        let field = at + WINDOW.start..at + WINDOW.end;
        if kind == SACK
            && len >= WINDOW.end
            && let Some(told) = packet.get(field.clone())
            && u32::from_be_bytes(*told.first_chunk()?) > window
        {
            changed.get_or_insert_with(|| packet.to_vec())[field].copy_from_slice(&window.to_be_bytes());
        }
        at += len.next_multiple_of(4);
    }
    Some(sum_up(changed?))
}

/// The acknowledgements of a packet as one of their own, and the rest as another, if there is any; none where it has no acknowledgement.
fn apart(packet: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let header = packet.get(..HEADER_BYTES)?;
    let (mut acknowledgements, mut rest) = (header.to_vec(), header.to_vec());
    let mut left = &packet[HEADER_BYTES..];
    while !left.is_empty() {
        let [kind, _, high, low] = *left.first_chunk()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len < 4 || len > left.len() {
            return None;
        }
        let (chunk, later) = left.split_at(len.next_multiple_of(4).min(left.len()));
        if kind == SACK { &mut acknowledgements } else { &mut rest }.extend(chunk);
        left = later;
    }
    let is_any = |packet: &Vec<u8>| packet.len() > HEADER_BYTES;
    is_any(&acknowledgements).then(|| (sum_up(acknowledgements), Some(rest).filter(is_any).map(sum_up)))
}

/// A packet under its right checksum; one of nothing was agreed to be none (RFC 9653).
fn sum_up(mut packet: Vec<u8>) -> Vec<u8> {
    if packet[CHECKSUM] != [0; 4] {
        packet[CHECKSUM].fill(0);
        let checksum = crc32c(&packet);
        packet[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    }
    packet
}

fn crc32c(bytes: &[u8]) -> u32 {
    static CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    CRC.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunks: &[&[u8]], with_checksum: bool) -> Vec<u8> {
        let mut packet = vec![0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4, 0, 0, 0, 0];
        packet.extend(chunks.concat());
        if with_checksum {
            let checksum = crc32c(&packet);
            packet[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        }
        packet
    }

    fn sack(window: u32) -> Vec<u8> {
        [&[SACK, 0, 0, 16, 0, 0, 0, 7][..], &window.to_be_bytes(), &[0; 4]].concat()
    }

    #[test]
    fn acknowledgements_wait_while_the_window_is_shut_and_nothing_else_does() {
        let data: &[u8] = &[0, 3, 0, 19, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 53, 1, 2, 3, 0];
        let sack = |number: u8| [&[SACK, 0, 0, 16, 0, 0, 0, number][..], &[0, 1, 0, 0], &[0; 4]].concat();
        let told =
            |packet: &[u8]| (packet[HEADER_BYTES + 7], packet[HEADER_BYTES + 8..HEADER_BYTES + 12].to_vec());
        let mut all = Acknowledgements::default();
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let first = packet(&[&sack(1)], true);
        assert_eq!(told(&all.pass(&first, 0, at(0)).unwrap()), (1, vec![0; 4]));
        for number in 2..100 {
            let next = packet(&[&sack(number)], true);
            assert_eq!(all.pass(&next, 0, at(u64::from(number))), None);
            assert_eq!(all.due(0, at(u64::from(number))), None);
        }
        let both = packet(&[&sack(100), data], true);
        assert_eq!(all.pass(&both, 0, at(100)).unwrap(), packet(&[data], true), "it has a right checksum");
        assert_eq!(all.pass(&packet(&[data], true), 0, at(100)).unwrap(), packet(&[data], true));
        assert_eq!(told(&all.due(0, at(200)).unwrap()), (100, vec![0; 4]), "the newest");
        assert_eq!(all.due(0, at(600)), None, "once");
        all.pass(&packet(&[&sack(101)], true), 0, at(201));
        assert_eq!(all.due(u32::MAX, at(202)).unwrap(), packet(&[&sack(101)], true), "it is open again");
        for len in 0..both.len() {
            assert!(all.pass(&both[..len], 0, at(203)).is_none_or(|passed| passed.len() <= len), "{len}");
        }
    }

    #[test]
    fn acknowledgements_tell_the_smaller_window_under_a_right_checksum() {
        let data = [0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 53, 9, 0, 0, 0];
        for with_checksum in [true, false] {
            let changed = with_window(&packet(&[&data, &sack(1 << 20)], with_checksum), 5000).unwrap();
            assert_eq!(changed, packet(&[&data, &sack(5000)], with_checksum));
            assert_eq!(
                with_window(&packet(&[&sack(4000)], with_checksum), 5000),
                None,
                "less is told anyway"
            );
        }
        assert_eq!(with_window(&packet(&[&data], true), 0), None);
        assert_eq!(with_window(&packet(&[&sack(9)], true), u32::MAX), None);
    }

    /// What waits in a channel that takes so many bytes a second, and that so many are offered each 10 ms, after 20 s; and how much was dropped.
    fn offered(bytes_per_s: usize, bytes: usize) -> (usize, usize) {
        let (mut drain, mut now) = (Drain::default(), Instant::now());
        let (mut waits, mut dropped) = (0usize, 0);
        for _ in 0..2000 {
            now += Duration::from_millis(10);
            waits = waits.saturating_sub(bytes_per_s / 100);
            if drain.is_late(waits, now) {
                dropped += bytes;
            } else {
                drain.wrote(bytes);
                waits += bytes;
            }
        }
        (waits, dropped)
    }

    #[test]
    fn lossy_data_is_half_a_second_late_at_most_and_nothing_is_dropped_without_need() {
        for bytes_per_s in [20_000, 50_000, 400_000] {
            let (waits, dropped) = offered(bytes_per_s, 2 * bytes_per_s / 100);
            let at_most = (bytes_per_s / 2).max(LOSSY_LEAST_BYTES) + 2 * bytes_per_s / 100;
            assert!(waits <= at_most * 11 / 10, "{waits} at {bytes_per_s}");
            let sent = 20 * 2 * bytes_per_s;
            assert!(dropped > sent / 3 && dropped < sent * 6 / 10, "{dropped} of {sent}");
            assert_eq!(offered(bytes_per_s, bytes_per_s / 100), (bytes_per_s / 100, 0));
        }
    }

    #[test]
    fn a_channel_that_stands_still_holds_little() {
        let (waits, _) = offered(0, 1000);
        assert!(waits <= LOSSY_LEAST_BYTES + 1000 + 1000 * 11, "{waits}");
    }

    #[test]
    fn what_is_no_packet_is_left_alone() {
        let whole = packet(&[&sack(1 << 20), &sack(1 << 20)], true);
        for len in 0..whole.len() {
            let _ = with_window(&whole[..len], 0);
        }
        assert_eq!(with_window(&packet(&[&[SACK, 0, 0, 0]], true), 0), None, "no endless loop");
    }
}
