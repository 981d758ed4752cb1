//! The take: a recording's tracks as received, on disk.
//!
//! ```text
//!  RTP packets -> Capture -> whole frames -> TakeHandle ==queue==> writer thread -> takes/<egress id>/
//!                 (pure)                     (never blocks)                            take.json
//!                                                                                      events.jsonl
//!  composer <- TakeClock <- TakeReader (tails) <-------------------------------------  <track>-<n>.mkv
//! ```
//!
//! [`TakeRecorder`] is the whole upper line in one value: packets and facts in, keyframe wishes out.
//!
//! # How far is a take complete?
//!
//! Frames wait in jitter buffers, and files are written in turn, so the newest bytes on disk say nothing about what is still
//! to come. The recorder therefore writes a *complete mark* ([`TakeEvent::Complete`]) about five times a second: every frame and
//! fact with `at <= to_ns` stands in the files before the mark's line does. [`TakeReader::poll`] hands out items only up to
//! the newest mark, merged over all files in the order of `at`. The order depends on the take's content alone: whoever reads
//! it, now or later, in whatever portions, sees the same sequence.
//!
//! A frame may arrive up to [`clock::LATENESS_NS`] after its place, and [`TakeClock`] looks [`clock::HINDSIGHT_NS`] further
//! for what becomes of its track. So the picture for time `t` can be drawn when
//! [`TakeReader::presentable_to_ns`] has reached `t`; and never changes afterwards.
//!
//! # Invariants
//!
//! - A take is append-only; no byte is ever patched. Cut anywhere, it is a shorter take ([`recover`]).
//! - A program that starts anew suspends its takes and goes on with them in its next run ([`Take::resume`]): the time of a take goes on by the
//!   clock on the wall, and never goes back.
//! - The recording side never blocks on the disk; what the disk cannot take is dropped, counted and recorded as a gap.
//! - `format`, `mkv`, `capture` and `clock` are pure: no files, clocks or threads.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod capture;
pub mod clock;
pub mod error;
#[allow(clippy::disallowed_methods, reason = "reads and writes files")]
pub mod export;
pub mod format;
#[doc(hidden)]
#[allow(clippy::disallowed_methods, reason = "writes files for the reader")]
pub mod fuzzing;
pub mod ids;
pub mod item;
pub mod mkv;
#[allow(clippy::disallowed_methods, reason = "reads files")]
pub mod reader;
pub mod recorder;
#[allow(clippy::disallowed_methods, reason = "reads and cuts files")]
pub mod recovery;
#[allow(clippy::disallowed_methods, reason = "makes takes on disk")]
pub mod testing;
#[allow(clippy::disallowed_methods, reason = "a thread, its files, and how long the disk takes")]
pub mod writer;

pub use capture::{Capture, CaptureConfig, Packet, Wish};
pub use clock::{Fate, Moment, TakeClock, TrackSync};
pub use error::{TakeError, said};
pub use export::export_track;
pub use format::{
    Codec, DropReason, EndReason, EventLine, GapCause, LeftOutWhy, SegmentOpened, Speaker, TakeEvent,
    TakeHeader, TrackKind, TrackSource,
};
pub use ids::{ParticipantId, SegmentId, TrackId};
pub use item::{Frame, SegmentSpec, TakeEnd, TakeFrame, TakeItem};
pub use reader::TakeReader;
pub use recorder::TakeRecorder;
pub use recovery::{Recovery, Suspension, recover, suspension};
pub use writer::{DiskUse, Sent, Take, TakeHandle, TakeOptions, TakeState, TakeSummary, TakeWatch};
