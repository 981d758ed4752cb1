//! RTP packets of one track, in any order, to whole frames in order. Pure: time comes in as an argument.
//!
//! ```text
//! packet -> jitter buffer (by sequence number, waits `hold_ns` for what is missing)
//!        -> depacketizer (VP8 RFC 7741, VP9 RFC 9628, H.264 RFC 6184, AV1, Opus RFC 7587) -> frame
//!        -> seal (nothing that is encrypted)
//!        -> gate (video: nothing between a gap and the next keyframe)  -> Output
//! ```
//!
//! Invariants: frames come out in the order in which they decode; their RTP times are those at which they are shown, and go back
//! within a segment only where pictures are predicted from later ones (H.264), by no more than [`MAX_REORDER_NS`] and never behind
//! the first; nothing that arrived up to [`Capture::complete_to_ns`] will still come out; memory is bounded whatever the peer
//! sends; no input panics.

mod assemble;
mod av1;
mod bits;
mod counts;
mod h264;
mod line;
mod parameter_sets;
mod seal;
mod sps;
mod vp8;
mod vp9;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use crate::{
    format::{Codec, DropReason, TrackKind},
    item::{Frame, SegmentSpec},
};
pub(crate) use assemble::OPUS_HEAD;
use assemble::{Assembler, Entry, RawFrame};
pub use counts::Counts;
use line::{Line, Low};
use seal::{Judged, Seal, State};

/// A sequence number so far ahead is a new time line, not a loss.
const MAX_SEQ_JUMP: u64 = 5_000;
const MAX_HELD_PACKETS: usize = 4_096;
/// More parameter sets are not learned from outside.
const MAX_LEARNED_SETS: usize = 64;
const MAX_HELD_BYTES: usize = 8 << 20;
/// Before the first packet is believed to be the first one, its elders get this long to overtake it.
const START_HOLD_NS: u64 = 40_000_000;
/// A wish is repeated so soon because whoever hears it may have a reason to wait: media servers ask publishers less often.
const KEYFRAME_WISH_EVERY_NS: u64 = 250_000_000;
/// A packet that is missing for so long was asked for again, and does not come: a keyframe is asked for while it is still waited
/// for. So the pictures go on within a second, also where the keyframe gets lost and has to be asked for once more.
const DOUBT_NS: u64 = 250_000_000;
/// RTP time and arrival may differ so much before the sender is taken to have begun a new time line.
const MAX_DRIFT_NS: u64 = 10_000_000_000;
/// A picture that decodes after a later one belongs at most so long before it: a sender that is live cannot wait longer.
pub const MAX_REORDER_NS: u64 = 2_000_000_000;
/// An intra picture that might not be enough to begin with is taken when a better one has been asked for in vain for so long.
const MAKE_DO_AFTER_NS: u64 = 2_000_000_000;
/// A track opens at most so many segments within [`SEGMENTS_WITHIN_NS`], so that a hostile sender cannot fill the disk with files. They
/// may follow each other at once, as when the media server goes up from a camera's lowest layer to its highest.
const SEGMENTS_AT_ONCE: usize = 3;
const SEGMENTS_WITHIN_NS: u64 = 600_000_000;
/// A frame whose packets keep coming is given up after so long.
const MAX_FRAME_NS: u64 = 10_000_000_000;

/// What the sender should be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub enum Wish {
    /// Nothing.
    #[default]
    Nothing,
    /// A keyframe (PLI). Already throttled.
    Keyframe,
}

/// One RTP packet, its numbers extended.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Synchronisation source; a change begins a new time line.
    pub ssrc: u32,
    /// Extended sequence number.
    pub seq: u64,
    /// Extended RTP time.
    pub rtp: u64,
    /// Marker bit.
    pub marker: bool,
    /// Payload without header, extensions and padding; empty for padding only.
    pub payload: &'a [u8],
}

/// What a capture must know of its track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Codec.
    pub codec: Codec,
    /// RTP clock rate.
    pub clock_rate_hz: u32,
    /// Announced picture size, used until a frame tells its own.
    pub width: u32,
    /// Announced picture size, used until a frame tells its own.
    pub height: u32,
    /// How long to wait for a missing packet.
    pub hold_ns: u64,
}

impl CaptureConfig {
    /// The usual hold and the codec's usual clock rate.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        let clock_rate_hz = if codec == Codec::Opus { 48_000 } else { 90_000 };
        Self { codec, clock_rate_hz, width: 0, height: 0, hold_ns: 600_000_000 }
    }
}

/// What comes out of a capture, in this order to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The following frames belong to a new segment.
    Segment(SegmentSpec),
    /// A whole frame.
    Frame(Frame),
    /// Media are missing between two arrivals.
    Gap {
        /// Arrival of the last frame before.
        from_ns: u64,
        /// Arrival of the first frame after, or the end.
        to_ns: u64,
        /// Packets missing.
        missing: u64,
    },
    /// From this arrival on the stream is end-to-end encrypted: nothing of it comes out.
    LeftOut {
        /// Arrival of the first frame that is.
        from_ns: u64,
    },
    /// It is not encrypted any more, or over; so many frames were left out.
    LeftOutUntil {
        /// Frames or packets.
        frames: u64,
    },
    /// From the next frame on pictures have another size.
    Dimensions {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

#[derive(Debug)]
struct Held {
    rtp: u64,
    marker: bool,
    at_ns: u64,
    payload: Box<[u8]>,
}

#[derive(Debug)]
struct OpenGap {
    from_ns: u64,
    missing: u64,
}

/// What came out of the present segment.
#[derive(Debug, Clone, Copy)]
struct Emitted {
    first_rtp: u64,
    /// The highest one, which is that of the last frame but where frames are shown before one they are predicted from.
    rtp: u64,
    /// Arrival of the last frame.
    at_ns: u64,
}

/// The capture of one track.
#[derive(Debug)]
pub struct Capture {
    config: CaptureConfig,
    now_ns: u64,
    ssrc: Option<u32>,
    /// The time line left last, and its highest sequence number: stragglers of it are dropped.
    left: Option<(u32, u64, Line)>,
    /// A packet that is the first one of another time line, if the next one shows that it is.
    strange: Option<(u32, u64, Held)>,
    next_seq: Option<u64>,
    highest_seq: u64,
    line: Line,
    held: BTreeMap<u64, Held>,
    held_bytes: usize,
    assembler: Assembler,
    seal: Seal,
    /// Video only: frames up to the next keyframe cannot be decoded.
    need_keyframe: bool,
    /// Since when.
    needed_since_ns: Option<u64>,
    /// Parameter sets of streams, not in them.
    learned: Option<(u32, Vec<Box<[u8]>>)>,
    /// The next frame begins a segment.
    need_segment: bool,
    codec_private: Vec<u8>,
    dimensions: (u32, u32),
    /// When the last segments began, the oldest one first.
    segments_at_ns: [Option<u64>; SEGMENTS_AT_ONCE],
    last: Option<Emitted>,
    gap: Option<OpenGap>,
    /// Something is known to be missing, or broken off. Until then and before the first frame, packets without a beginning are of a frame
    /// that was sent before the capture began.
    is_torn: bool,
    wished_at_ns: Option<u64>,
    outputs: VecDeque<Output>,
    counts: Counts,
    /// What of these has been told.
    told: Counts,
    was_sealed: bool,
}

impl Capture {
    /// A capture, or `None` for a codec this version does not know.
    #[must_use]
    pub fn new(config: CaptureConfig) -> Option<Self> {
        let assembler = Assembler::new(config.codec)?;
        let need_keyframe = config.codec.kind() == TrackKind::Video;
        let dimensions = (config.width, config.height);
        let seal = Seal::new(config.codec);
        Some(Self {
            config,
            now_ns: 0,
            ssrc: None,
            left: None,
            strange: None,
            next_seq: None,
            highest_seq: 0,
            line: Line::default(),
            held: BTreeMap::new(),
            held_bytes: 0,
            assembler,
            seal,
            need_keyframe,
            needed_since_ns: None,
            learned: None,
            need_segment: true,
            codec_private: Vec::new(),
            dimensions,
            segments_at_ns: [None; SEGMENTS_AT_ONCE],
            last: None,
            gap: None,
            is_torn: false,
            wished_at_ns: None,
            outputs: VecDeque::new(),
            counts: Counts::default(),
            told: Counts::default(),
            was_sealed: false,
        })
    }

    /// Takes a packet that arrived at `now_ns`.
    pub fn packet(&mut self, now_ns: u64, packet: &Packet<'_>) -> Wish {
        self.now_ns = self.now_ns.max(now_ns);
        self.counts.packets += 1;
        match self.accept(packet) {
            Ok(()) => self.drain(Patience::Usual),
            Err(reason) => self.counts.drop(reason, 1),
        }
        self.wish()
    }

    /// Gives up on what is overdue. To be called about every 100 ms.
    pub fn tick(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        self.drain(Patience::Usual);
        let (hold_ns, now_ns) = (self.config.hold_ns, self.now_ns);
        let is_past =
            |since_ns: Option<u64>, after_ns: u64| since_ns.is_some_and(|at| at + after_ns < now_ns);
        // A large frame may take long on a slow line: it is waited for as long as packets of it come.
        let newest_ns = self.assembler.newest_ns();
        let seems_whole = self.assembler.seems_whole() && is_past(newest_ns, hold_ns);
        if self.held.is_empty()
            && (seems_whole || is_past(newest_ns, hold_ns * 2))
            && let Some(frame) = self.assembler.close()
        {
            self.judge(frame);
        }
        if is_past(self.assembler.newest_ns(), hold_ns * 2) || is_past(self.assembler.at_ns(), MAX_FRAME_NS) {
            self.break_stream(0);
        }
        if self.strange.as_ref().is_some_and(|(.., packet)| packet.at_ns + hold_ns < now_ns) {
            self.forget_strange();
        }
        let judged = self.seal.tick(self.now_ns);
        self.follow(judged);
    }

    /// The next output, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Nothing that arrived up to here will still come out.
    #[must_use]
    pub fn complete_to_ns(&self) -> u64 {
        let held = self.held.values().map(|packet| packet.at_ns).min();
        let strange = self.strange.as_ref().map(|(.., packet)| packet.at_ns);
        let waiting = [held, strange, self.assembler.at_ns(), self.seal.at_ns(), Some(self.now_ns)];
        let oldest = waiting.into_iter().flatten().min();
        oldest.unwrap_or(0).saturating_sub(1)
    }

    /// What was handed out got lost behind us: begin again at a keyframe.
    pub fn demand_keyframe(&mut self) {
        if self.config.codec.kind() == TrackKind::Video && !self.need_keyframe {
            self.need_keyframe = true;
            self.needed_since_ns = Some(self.now_ns);
        }
    }

    /// Whether nothing can be shown until a keyframe comes. For whoever asks the sender while no packet comes.
    #[must_use]
    pub fn wants_keyframe(&self) -> bool {
        let needs = self.need_keyframe && !self.assembler.awaits_proof();
        (needs || self.doubts()) && self.seal.state() == State::Clear
    }

    /// Parameter sets (H.264 SPS and PPS, whole NAL units) of the stream `ssrc` that its packets may not repeat: said before the
    /// capture began, or beside the stream (`sprop-parameter-sets`, RFC 6184 8.1). To be told before the stream's first packet.
    pub fn parameter_sets<'a>(&mut self, ssrc: u32, units: impl IntoIterator<Item = &'a [u8]>) {
        let units: Vec<Box<[u8]>> = units.into_iter().take(MAX_LEARNED_SETS).map(Into::into).collect();
        if self.ssrc == Some(ssrc) {
            units.iter().for_each(|unit| self.assembler.learn(unit));
        }
        self.learned = Some((ssrc, units));
    }

    /// Extends a sender report's RTP time to the present segment's time line. `None` if it cannot belong to it.
    #[must_use]
    pub fn extend_report(&self, now_ns: u64, rtp: u32) -> Option<u64> {
        let last = self.last.filter(|_| !self.need_segment)?;
        let rate = u64::from(self.config.clock_rate_hz);
        let expected = last.rtp + ns_to_ticks(now_ns.saturating_sub(last.at_ns), rate);
        let offset = i64::from(rtp.wrapping_sub(expected as u32).cast_signed());
        let tolerated = ns_to_ticks(MAX_DRIFT_NS, rate);
        (offset.unsigned_abs() <= tolerated).then(|| expected.checked_add_signed(offset)).flatten()
    }

    /// Hands out what is still held.
    pub fn finish(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        self.drain(Patience::None);
        self.close_whole();
        let judged = self.seal.finish();
        self.follow(judged);
        self.forget_strange();
        self.counts.drop(DropReason::Incomplete, self.assembler.take_lost());
        // A frame that was on its way: nothing of it was lost, it would have been whole behind the end.
        let unfinished =
            if self.assembler.is_sound() { DropReason::AfterEnd } else { DropReason::Incomplete };
        self.assembler.discontinuity();
        self.counts.drop(unfinished, self.assembler.take_lost());
        self.counts.drop(DropReason::Padding, self.assembler.take_bare());
        let known = self.counts.known();
        // What is encrypted is left out by its frames.
        let rest = if self.was_sealed { DropReason::Encrypted } else { DropReason::Other };
        self.counts.drop(rest, self.counts.packets.saturating_sub(known));
        if let Some(gap) = self.gap.take() {
            self.outputs.push_back(Output::Gap {
                from_ns: gap.from_ns,
                to_ns: self.now_ns,
                missing: gap.missing,
            });
        }
    }

    /// What became of the packets that arrived so far. Some may still be held back.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What became of packets since the last call, if something did.
    pub fn news(&mut self) -> Option<Counts> {
        let news = self.counts.since(&self.told);
        self.told = self.counts.clone();
        (news != Counts::default()).then_some(news)
    }

    /// Whether packets were dropped since the last call of [`Capture::news`].
    #[must_use]
    pub fn has_dropped(&self) -> bool {
        self.counts.dropped != self.told.dropped
    }

    fn accept(&mut self, packet: &Packet<'_>) -> Result<(), DropReason> {
        let rate = u64::from(self.config.clock_rate_hz);
        let held = Held {
            rtp: packet.rtp,
            marker: packet.marker,
            at_ns: self.now_ns,
            payload: packet.payload.into(),
        };
        let mut first = None;
        let low = if self.ssrc != Some(packet.ssrc) {
            let of_left = |(ssrc, seq, _): &&mut (u32, u64, Line)| *ssrc == packet.ssrc && packet.seq <= *seq;
            let left = self.left.as_mut().filter(of_left);
            Some(left.map_or(Low::Anew, |(.., line)| line.weigh(packet, rate)))
        } else if self.held.contains_key(&packet.seq) {
            return Err(DropReason::Duplicate);
        } else if self.next_seq.is_some_and(|next| packet.seq < next) {
            Some(self.line.weigh(packet, rate))
        } else {
            None
        };
        match low {
            Some(Low::Late) => return Err(DropReason::Straggler),
            Some(Low::Strange) => {
                self.forget_strange();
                self.strange = Some((packet.ssrc, packet.seq, held));
                return Ok(());
            }
            Some(Low::Anew) => {
                first = self
                    .strange
                    .take_if(|(ssrc, seq, _)| *ssrc == packet.ssrc && seq.checked_add(1) == Some(packet.seq));
                self.new_time_line(packet.ssrc);
            }
            None => {}
        }
        if low.is_some() {
            // Nothing is known of this line.
        } else if packet.seq > self.highest_seq.saturating_add(MAX_SEQ_JUMP) {
            let of_left = |(ssrc, seq, _): &&mut (u32, u64, Line)| *ssrc == packet.ssrc && packet.seq <= *seq;
            if self
                .left
                .as_mut()
                .filter(of_left)
                .is_some_and(|(.., line)| line.weigh(packet, rate) == Low::Late)
            {
                return Err(DropReason::Straggler);
            }
            self.new_time_line(packet.ssrc);
        } else if self.next_seq.is_none() && packet.seq.saturating_add(MAX_SEQ_JUMP) < self.highest_seq {
            return Err(DropReason::Straggler);
        }
        self.line.note(packet);
        self.forget_strange();
        let first = first.map(|(_, seq, held)| (seq, held));
        for (seq, held) in first.into_iter().chain([(packet.seq, held)]) {
            self.highest_seq = self.highest_seq.max(seq);
            self.held_bytes += held.payload.len();
            self.held.insert(seq, held);
        }
        Ok(())
    }

    /// A packet that seemed to be of another time line is followed by none.
    fn forget_strange(&mut self) {
        let dropped = self.strange.take().map_or(0, |_| 1);
        self.counts.drop(DropReason::Straggler, dropped);
    }

    /// Hands out the frame in progress, if it is whole as far as one can see and nothing of it will come any more.
    fn close_whole(&mut self) {
        if self.assembler.seems_whole()
            && let Some(frame) = self.assembler.close()
        {
            self.judge(frame);
        }
    }

    fn new_time_line(&mut self, ssrc: u32) {
        self.drain(Patience::None);
        self.close_whole();
        let line = std::mem::take(&mut self.line);
        if let Some(old) = self.ssrc.replace(ssrc) {
            self.left = Some((old, self.highest_seq, line));
        }
        self.assembler.reset();
        self.counts.drop(DropReason::Incomplete, self.assembler.take_lost());
        if let Some((_, units)) = self.learned.as_ref().filter(|(of, _)| *of == ssrc) {
            units.iter().for_each(|unit| self.assembler.learn(unit));
        }
        (self.next_seq, self.highest_seq) = (None, 0);
        self.need_segment = true;
        self.demand_keyframe();
    }

    fn drain(&mut self, patience: Patience) {
        while let Some((&seq, first)) = self.held.first_key_value() {
            let overfull = self.held.len() > MAX_HELD_PACKETS || self.held_bytes > MAX_HELD_BYTES;
            let waited_long = |since_ns: u64, hold_ns: u64| {
                patience == Patience::None || overfull || self.now_ns.saturating_sub(since_ns) >= hold_ns
            };
            match self.next_seq {
                Some(next) if seq == next => {}
                Some(next) => {
                    let since_ns = self.held.values().map(|packet| packet.at_ns).min().unwrap_or(first.at_ns);
                    if !waited_long(since_ns, self.config.hold_ns) {
                        return;
                    }
                    self.break_stream(seq - next);
                }
                None => {
                    let since_ns = self.held.values().map(|packet| packet.at_ns).min().unwrap_or(first.at_ns);
                    if !waited_long(since_ns, START_HOLD_NS) {
                        return;
                    }
                }
            }
            let Some((seq, packet)) = self.held.pop_first() else { return };
            self.held_bytes -= packet.payload.len();
            self.next_seq = Some(seq.saturating_add(1));
            if packet.payload.is_empty() {
                self.counts.drop(DropReason::Padding, 1);
            }
            let (done, also) = self.assembler.push(packet.rtp, packet.marker, packet.at_ns, &packet.payload);
            for frame in [done, also].into_iter().flatten() {
                self.judge(frame);
            }
            if self.assembler.take_broken() {
                self.begin_gap(0);
            }
        }
    }

    /// Continuity is lost: `missing` packets, or the end of a frame.
    fn break_stream(&mut self, missing: u64) {
        // Nothing will show whether it is whole.
        if self.assembler.awaits_proof()
            && let Some(frame) = self.assembler.close()
        {
            self.judge(frame);
        }
        self.is_torn |= missing > 0 || self.assembler.is_sound();
        self.assembler.discontinuity();
        self.begin_gap(missing);
    }

    /// Something that was to come out does not: `missing` packets, or a frame that makes no sense.
    fn begin_gap(&mut self, missing: u64) {
        let is_before_all = self.last.is_none() && !self.is_torn && self.need_keyframe;
        let reason = if is_before_all { DropReason::BeforeKeyframe } else { DropReason::Incomplete };
        self.counts.drop(reason, self.assembler.take_lost());
        self.demand_keyframe();
        // Before the first frame of all there is nothing a gap could interrupt.
        if let Some(last) = self.last {
            let gap = self.gap.get_or_insert(OpenGap { from_ns: last.at_ns, missing: 0 });
            gap.missing = gap.missing.saturating_add(missing);
        }
    }

    fn judge(&mut self, frame: RawFrame) {
        let judged = self.seal.judge(self.now_ns, frame);
        self.follow(judged);
    }

    fn follow(&mut self, Judged { clear, sealed_from_ns, opened }: Judged) {
        if let Some(from_ns) = sealed_from_ns {
            self.was_sealed = true;
            self.outputs.push_back(Output::LeftOut { from_ns });
            self.demand_keyframe();
        }
        if let Some(frames) = opened {
            self.outputs.push_back(Output::LeftOutUntil { frames });
        }
        for frame in clear {
            if frame.data.is_empty() {
                self.counts.drop(DropReason::Incomplete, frame.packets);
                self.begin_gap(0);
            } else {
                self.emit(frame);
            }
        }
    }

    /// Whether decoding may begin with a frame, now.
    fn may_begin(&mut self, frame: &RawFrame) -> bool {
        match frame.entry {
            Entry::No => false,
            Entry::Perhaps => {
                let since_ns = *self.needed_since_ns.get_or_insert(self.now_ns);
                self.need_keyframe && self.now_ns >= since_ns.saturating_add(MAKE_DO_AFTER_NS)
            }
            Entry::Yes | Entry::Reset => true,
        }
    }

    /// The frame's RTP time does not go on from that of the last one.
    fn is_new_time(&self, frame: &RawFrame, last: &Emitted) -> bool {
        let rate = u64::from(self.config.clock_rate_hz.max(1));
        match frame.rtp.checked_sub(last.rtp) {
            Some(ahead) => {
                let passed_ns = frame.at_ns.saturating_sub(last.at_ns);
                ticks_to_ns(ahead, rate).abs_diff(passed_ns) > MAX_DRIFT_NS
            }
            // Pictures that are predicted from a later one come behind it, but never over a picture that begins anew.
            None => {
                self.config.codec != Codec::H264
                    || frame.entry == Entry::Reset
                    || ticks_to_ns(last.rtp - frame.rtp, rate) > MAX_REORDER_NS
            }
        }
    }

    fn emit(&mut self, frame: RawFrame) {
        let keyframe = self.may_begin(&frame);
        if self.need_keyframe && !keyframe {
            return self.counts.drop(DropReason::BeforeKeyframe, frame.packets);
        }
        let new_time = self.last.is_some_and(|last| self.is_new_time(&frame, &last));
        if !new_time && !self.need_segment && self.last.is_some_and(|last| frame.rtp < last.first_rtp) {
            // It is shown before the segment's first picture, and predicted from one before that.
            return self.counts.drop(DropReason::BeforeKeyframe, frame.packets);
        }
        let new_private = keyframe && frame.codec_private.is_some_and_differs(&self.codec_private);
        let begins = self.need_segment || new_time || new_private;
        if begins {
            let too_soon =
                self.segments_at_ns[0].is_some_and(|at| self.now_ns < at.saturating_add(SEGMENTS_WITHIN_NS));
            if !keyframe || (too_soon && self.last.is_some()) {
                self.need_segment = true;
                self.begin_gap(0);
                let reason = if keyframe { DropReason::TimeLine } else { DropReason::BeforeKeyframe };
                return self.counts.drop(reason, frame.packets);
            }
            if let Some(private) = frame.codec_private {
                self.codec_private = private;
            }
            self.dimensions = frame.dimensions.unwrap_or(self.dimensions);
            self.segments_at_ns.rotate_left(1);
            self.segments_at_ns[SEGMENTS_AT_ONCE - 1] = Some(self.now_ns);
            self.need_segment = false;
            self.close_gap(frame.at_ns);
            self.outputs.push_back(Output::Segment(SegmentSpec {
                codec: self.config.codec,
                clock_rate_hz: self.config.clock_rate_hz,
                first_rtp: frame.rtp,
                first_at_ns: frame.at_ns,
                width: self.dimensions.0,
                height: self.dimensions.1,
                codec_private: self.codec_private.clone(),
            }));
        } else {
            self.close_gap(frame.at_ns);
            if let Some((width, height)) = frame.dimensions.filter(|size| *size != self.dimensions) {
                self.dimensions = (width, height);
                self.outputs.push_back(Output::Dimensions { width, height });
            }
        }
        self.counts.kept += frame.packets;
        (self.need_keyframe, self.needed_since_ns) = (false, None);
        let begun = self.last.filter(|_| !begins);
        self.last = Some(Emitted {
            first_rtp: begun.map_or(frame.rtp, |last| last.first_rtp),
            rtp: begun.map_or(frame.rtp, |last| last.rtp.max(frame.rtp)),
            at_ns: frame.at_ns,
        });
        self.outputs.push_back(Output::Frame(Frame {
            rtp: frame.rtp,
            at_ns: frame.at_ns,
            keyframe,
            data: Bytes::from(frame.data),
        }));
    }

    fn close_gap(&mut self, to_ns: u64) {
        if let Some(gap) = self.gap.take() {
            let to_ns = to_ns.max(gap.from_ns);
            self.outputs.push_back(Output::Gap { from_ns: gap.from_ns, to_ns, missing: gap.missing });
        }
    }

    /// Whether pictures wait for a packet that will hardly come.
    fn doubts(&self) -> bool {
        let is_held_up = self.next_seq.is_some() && self.config.codec.kind() == TrackKind::Video;
        let since_ns = self.held.values().map(|packet| packet.at_ns).min().filter(|_| is_held_up);
        since_ns.is_some_and(|at_ns| self.now_ns.saturating_sub(at_ns) >= DOUBT_NS)
    }

    fn wish(&mut self) -> Wish {
        let due = self.wished_at_ns.is_none_or(|at| self.now_ns >= at.saturating_add(KEYFRAME_WISH_EVERY_NS));
        if self.wants_keyframe() && due {
            self.wished_at_ns = Some(self.now_ns);
            return Wish::Keyframe;
        }
        Wish::Nothing
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Usual,
    None,
}

trait DiffersFrom {
    fn is_some_and_differs(&self, other: &[u8]) -> bool;
}

impl DiffersFrom for Option<Vec<u8>> {
    fn is_some_and_differs(&self, other: &[u8]) -> bool {
        self.as_deref().is_some_and(|own| own != other)
    }
}

fn ns_to_ticks(ns: u64, rate: u64) -> u64 {
    (u128::from(ns) * u128::from(rate) / 1_000_000_000) as u64
}

fn ticks_to_ns(ticks: u64, rate: u64) -> u64 {
    u64::try_from(u128::from(ticks) * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
