//! Packets of sound that a receiver lost, sent again.
//!
//! str0m sends again what has a stream of its own for that (RTX), and sound has none. What is sent again here is the very datagram that was
//! sent: encrypting a packet a second time under its number, with another header, would give its keys away.
//!
//! # Invariants
//!
//! - [`SOUND_KEPT`] packets of a stream are kept, only of streams that flow, and only for receivers who ask for what they lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reelroom_limits::media::{SOUND_KEPT, SOUND_RESENT, SOUND_RESENT_EVERY};

use super::path::Path;
use crate::budget::Budget;
use crate::mux::Datagram;

/// A stream that sent nothing for so long is forgotten when another one comes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// RTCP: transport-layer feedback, and its format of lost packets (RFC 4585, 6.2.1).
const TRANSPORT_FEEDBACK: u8 = 205;
const LOST: u8 = 1;
const RTP_HEADER_BYTES: usize = 12;

/// What was sent of late.
#[derive(Debug)]
pub(super) struct SentSound {
    /// The payload types of sound, where the receiver asks for what it lost.
    types: Vec<u8>,
    streams: BTreeMap<u32, Stream>,
    budget: Budget,
}

#[derive(Debug)]
struct Stream {
    last: Instant,
    /// By number modulo their count.
    packets: Vec<Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    number: u16,
    path: Path,
    bytes: Vec<u8>,
}

impl SentSound {
    pub(super) fn new(now: Instant) -> Self {
        let budget = Budget::new(SOUND_RESENT, SOUND_RESENT_EVERY, now);
        Self { types: Vec::new(), streams: BTreeMap::new(), budget }
    }

    /// What the receiver's answer says: sound has these payload types, and it asks for what it loses of those that `answer` says so of.
    pub(super) fn answered(&mut self, types: impl Iterator<Item = u8>, answer: &str) {
        let asks = |payload_type: u8| {
            answer
                .lines()
                .filter_map(|line| line.strip_prefix("a=rtcp-fb:")?.split_once(' '))
                .any(|(of, what)| what.trim_end() == "nack" && of.parse::<u8>() == Ok(payload_type))
        };
        let types: Vec<u8> = types.collect();
        // Redundant sound has the feedback of what is in it.
        self.types = if types.iter().copied().any(asks) { types } else { Vec::new() };
    }

    /// Keeps a datagram, if it is sound.
    pub(super) fn sent(&mut self, path: Path, bytes: &[u8], now: Instant) {
        if self.types.is_empty() || bytes.len() < RTP_HEADER_BYTES || !self.types.contains(&(bytes[1] & 0x7f))
        {
            return;
        }
        let number = u16::from_be_bytes([bytes[2], bytes[3]]);
        let ssrc = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if !self.streams.contains_key(&ssrc) {
            self.streams.retain(|_, stream| now.saturating_duration_since(stream.last) < FORGOTTEN_AFTER);
        }
        let stream = self.streams.entry(ssrc).or_insert_with(|| Stream { last: now, packets: Vec::new() });
        stream.last = now;
        let place = usize::from(number) % SOUND_KEPT;
        if stream.packets.len() <= place {
            stream.packets.resize(place + 1, Kept { number, path, bytes: Vec::new() });
        }
        let kept = &mut stream.packets[place];
        (kept.number, kept.path) = (number, path);
        kept.bytes.clear();
        kept.bytes.extend_from_slice(bytes);
    }

    /// Whether anything is kept that may be asked for.
    pub(super) fn is_wanted(&self) -> bool {
        !self.streams.is_empty()
    }

    /// What a receiver's feedback asks for; `path` says by which way it goes now.
    pub(super) fn asked(
        &mut self,
        feedback: &[u8],
        now: Instant,
        path: impl Fn(Path) -> Path,
        mut send: impl FnMut(Datagram),
    ) {
        let mut rest = feedback;
        while let [first, kind, high, low, _, ..] = rest {
            let len = 4 * (usize::from(u16::from_be_bytes([*high, *low])) + 1);
            let Some((packet, after)) = rest.split_at_checked(len) else { return };
            if (*kind, first & 0x1f) == (TRANSPORT_FEEDBACK, LOST) {
                self.lost(packet, now, &path, &mut send);
            }
            rest = after;
        }
    }

    fn lost(
        &mut self,
        packet: &[u8],
        now: Instant,
        path: &impl Fn(Path) -> Path,
        send: &mut impl FnMut(Datagram),
    ) {
        let Some((head, items)) = packet.split_at_checked(RTP_HEADER_BYTES) else { return };
        let ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let Some(stream) = self.streams.get(&ssrc) else { return };
        for item in items.chunks_exact(4) {
            let (first, mask) =
                (u16::from_be_bytes([item[0], item[1]]), u16::from_be_bytes([item[2], item[3]]));
            let others = (0..16).filter(|bit| mask >> bit & 1 == 1).map(|bit| first.wrapping_add(bit + 1));
            for number in std::iter::once(first).chain(others) {
                let kept = stream.packets.get(usize::from(number) % SOUND_KEPT);
                let Some(kept) = kept.filter(|kept| kept.number == number && !kept.bytes.is_empty()) else {
                    continue;
                };
                if !self.budget.take(now) {
                    return;
                }
                let Path { transport, local, remote } = path(kept.path);
                send(Datagram { transport, source: local, destination: remote, bytes: kept.bytes.clone() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mux::Transport;

    const SSRC: u32 = 0x0102_0304;

    fn path() -> Path {
        let address = "192.0.2.1:7000".parse().unwrap();
        Path { transport: Transport::Udp, local: address, remote: address }
    }

    fn packet(payload_type: u8, number: u16) -> Vec<u8> {
        let mut bytes = vec![0x80, payload_type, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
        bytes[2..4].copy_from_slice(&number.to_be_bytes());
        bytes.extend(number.to_be_bytes());
        bytes
    }

    fn feedback(items: &[(u16, u16)]) -> Vec<u8> {
        let words = 2 + items.len() as u16;
        let mut bytes = vec![0x81, TRANSPORT_FEEDBACK];
        bytes.extend(words.to_be_bytes());
        bytes.extend([9, 9, 9, 9]);
        bytes.extend(SSRC.to_be_bytes());
        for (first, mask) in items {
            bytes.extend(first.to_be_bytes());
            bytes.extend(mask.to_be_bytes());
        }
        bytes
    }

    fn asked(sound: &mut SentSound, feedback: &[u8], now: Instant) -> Vec<u16> {
        let mut numbers = Vec::new();
        sound.asked(
            feedback,
            now,
            |path| path,
            |datagram| {
                let number = datagram.bytes[datagram.bytes.len() - 2..].try_into().unwrap();
                numbers.push(u16::from_be_bytes(number));
            },
        );
        numbers
    }

    fn sound(answer: &str, now: Instant) -> SentSound {
        let mut sound = SentSound::new(now);
        sound.answered([63, 111].into_iter(), answer);
        for number in 65_500..=65_535 {
            sound.sent(path(), &packet(111, number), now);
        }
        for number in 0..10 {
            sound.sent(path(), &packet(63, number), now);
            sound.sent(path(), &packet(96, number + 10), now);
        }
        sound
    }

    const ASKS: &str = "m=audio 9 X 111\r\na=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack\r\n";

    #[test]
    fn lost_sound_is_sent_again_as_it_was() {
        let now = Instant::now();
        let mut sound = sound(ASKS, now);
        assert_eq!(asked(&mut sound, &feedback(&[(65_534, 0b1011)]), now), [65_534, 65_535, 0, 2]);
        assert_eq!(asked(&mut sound, &feedback(&[(12, 0), (9, 0)]), now), [9], "no picture");
        assert!(asked(&mut sound, &feedback(&[(65_500, 0)]), now).is_empty(), "too late");
        // A report in front of it.
        let report = [0x81, 201, 0, 7].into_iter().chain([0; 28]);
        let both: Vec<u8> = report.chain(feedback(&[(5, 0)])).collect();
        assert_eq!(asked(&mut sound, &both, now), [5]);
    }

    #[test]
    fn nothing_is_kept_for_who_does_not_ask() {
        let now = Instant::now();
        let pictures = "m=video 9 X 96\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:111 nack pli\r\n";
        let sound = sound(pictures, now);
        assert!(sound.streams.is_empty());
    }

    #[test]
    fn nobody_is_sent_more_than_they_may_have() {
        let now = Instant::now();
        let mut sound = sound(ASKS, now);
        let all = feedback(&[(0, 0x01ff)].repeat(1000));
        assert_eq!(asked(&mut sound, &all, now).len(), SOUND_RESENT as usize);
        assert_eq!(asked(&mut sound, &all, now + SOUND_RESENT_EVERY).len(), 1);
    }

    proptest! {
        #[test]
        fn any_feedback_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let now = Instant::now();
            let mut sound = sound(ASKS, now);
            asked(&mut sound, &bytes, now);
        }
    }
}
