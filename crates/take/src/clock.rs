//! From a track's RTP time to the take's time.
use crate::reader::{TakeFrame, TakeItem};

/// A frame that arrives later than this after its moment is late: it is moved (pictures) or to be dropped (sound).
pub const LATENESS_NS: u64 = 700_000_000;
/// How far beyond a frame's arrival the clock looks for a better guess of its moment.
pub const HINDSIGHT_NS: u64 = 300_000_000;

/// When a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since the take began. Never earlier than the frame's arrival minus [`LATENESS_NS`].
    pub at_ns: u64,
    /// The frame came too late for its true moment: `at_ns` was moved later. Draw late pictures; drop late sound.
    pub late: bool,
}

/// The clocks of all tracks of one take.
#[derive(Debug, Default)]
pub struct TakeClock {}

impl TakeClock {
    /// A clock that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns from every item, in the order [`crate::TakeReader::poll`] hands them out.
    pub fn observe(&mut self, item: &TakeItem) {
        let _ = item;
        todo!()
    }

    /// When `frame` belongs. Deterministic once everything up to `frame.at_ns + HINDSIGHT_NS` was observed (or the take has ended):
    /// ask no earlier, which is so for every frame that matters for a time up to [`crate::TakeReader::presentable_to_ns`].
    /// Per segment, ask in the order of the frames.
    #[must_use]
    pub fn moment(&self, frame: &TakeFrame) -> Moment {
        let _ = frame;
        todo!()
    }
}
