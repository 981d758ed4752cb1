//! What is filmed and said in the simulations, and what a viewer makes of it.
//!
//! A picture is VP8 as far as a server looks at it. Behind its first bytes it says whose it is, which one it is and which one it needs, and its last
//! bytes are a sum over all of it: a viewer sees whether it is whole, whether it is what was announced, and whether a decoder could show it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reelroom_sfu::Layer;

const SUM: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
/// What a keyframe of VP8 begins with is as long (RFC 6386, 9.1).
const HEAD: usize = 10;
const FIELDS: usize = 10;

/// So many pictures wait for one that is missing, ...
const WAITING: usize = 250;
/// ... and after so long without one a keyframe is asked for.
const PATIENCE: Duration = Duration::from_millis(500);

/// How much of a second a picture takes.
pub(super) const PICTURE_EVERY: Duration = Duration::from_millis(40);
pub(super) const SOUND_EVERY: Duration = Duration::from_millis(20);

/// A picture, or a piece of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) of: u8,
    pub(super) layer: Layer,
    pub(super) number: u32,
    pub(super) is_key: bool,
}

impl Piece {
    /// It in so many bytes.
    pub(super) fn bytes(self, len: usize) -> Vec<u8> {
        let mut bytes = vec![u8::from(!self.is_key) | 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
        bytes.extend([self.of, self.layer as u8]);
        bytes.extend(self.number.to_be_bytes());
        bytes.extend((len as u32).to_be_bytes());
        bytes.resize(len.saturating_sub(4).max(HEAD + FIELDS), self.number as u8);
        bytes.extend(SUM.checksum(&bytes).to_be_bytes());
        bytes
    }

    /// What bytes are, if they are whole.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        let is_whole = body.len() >= HEAD + FIELDS && SUM.checksum(body).to_be_bytes() == sum;
        let number = u32::from_be_bytes(body.get(HEAD + 2..HEAD + 6)?.try_into().ok()?);
        let layer = *Layer::ALL.get(usize::from(body[HEAD + 1]))?;
        is_whole.then_some(Self { of: body[HEAD], layer, number, is_key: body[0] & 1 == 0 })
    }
}

/// What somebody saw or heard of a track.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) last: Option<Piece>,
    pub(super) last_at: Instant,
    /// The longest time without anything new.
    pub(super) longest: Duration,
    /// Whole pictures of this layer, by number, that wait for one before them.
    waiting: BTreeMap<u32, Piece>,
    /// What was not whole.
    pub(super) broken: u32,
    /// Somebody else's.
    pub(super) foreign: u32,
}

impl Seen {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            last: None,
            last_at: now,
            longest: Duration::ZERO,
            waiting: BTreeMap::new(),
            broken: 0,
            foreign: 0,
        }
    }

    fn shows(&mut self, piece: Piece, now: Instant) {
        self.longest = self.longest(now);
        (self.last, self.last_at) = (Some(piece), now);
    }

    /// The longest time without anything new until now.
    pub(super) fn longest(&self, now: Instant) -> Duration {
        self.longest.max(now.saturating_duration_since(self.last_at))
    }

    /// From now on it is looked at anew.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.longest, self.last_at) = (Duration::ZERO, now);
    }

    /// A picture that came. Whether the decoder asks for a keyframe.
    pub(super) fn picture(&mut self, of: u8, bytes: &[u8], now: Instant) -> bool {
        let Some(piece) = Piece::read(bytes) else {
            self.broken += 1;
            return true;
        };
        if piece.of != of {
            self.foreign += 1;
            return false;
        }
        let is_new = self.last.is_none_or(|last| piece.number > last.number || piece.layer != last.layer);
        if piece.is_key && is_new {
            self.shows(piece, now);
            self.waiting.retain(|number, other| *number > piece.number && other.layer == piece.layer);
        } else if is_new {
            self.waiting.insert(piece.number, piece);
        }
        while let Some(last) = self.last
            && let Some(next) = self.waiting.remove(&last.number.wrapping_add(1))
        {
            if next.layer == last.layer {
                self.shows(next, now);
            }
        }
        while self.waiting.len() > WAITING {
            self.waiting.pop_first();
        }
        !self.waiting.is_empty() && now.saturating_duration_since(self.last_at) >= PATIENCE
    }

    pub(super) fn sound(&mut self, of: u8, bytes: &[u8], now: Instant) {
        match Piece::read(bytes) {
            Some(piece) if piece.of == of => {
                // What comes again, or late, is nothing new.
                if self.last.is_none_or(|last| piece.number > last.number) {
                    self.shows(piece, now);
                }
            }
            Some(_) => self.foreign += 1,
            None => self.broken += 1,
        }
    }
}
