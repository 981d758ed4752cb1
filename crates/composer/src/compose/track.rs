//! A track while it is composed: its decoders, and the pictures that they have given so far.

use std::collections::VecDeque;

use reelroom_take::{DropReason, SegmentId, SegmentOpened, TrackKind};

use crate::{
    error::ComposeError,
    report::TrackReport,
    video::{Picture, Shown, VideoDecoder},
    voice::{OpusDecoder, Voice},
};

/// A track while it is composed.
#[derive(Default)]
pub(super) struct Track {
    pub(super) segment: Option<SegmentId>,
    pub(super) decoder: Option<VideoDecoder>,
    pub(super) voice: Option<Voice>,
    pub(super) picture: Option<Picture>,
    /// Number of `picture`.
    pub(super) number: u64,
    /// Decoded ahead: the output picture each is for, the picture, its number.
    pub(super) ahead: VecDeque<(u64, Picture, u64)>,
    /// RTP time of the newest picture of the present segment.
    pub(super) newest_rtp: Option<u64>,
    crowd: Option<Crowd>,
    pub(super) clock_rate_hz: u32,
    /// Frames or packets that were due so far, decoded or not.
    pub(super) due: u64,
    /// Pictures up to here were counted by a composer before this one.
    pub(super) told_to_ns: Option<u64>,
    /// It is not published any more; what of its sound is still to be heard, is.
    pub(super) leaving: bool,
}

/// Pictures of one output picture: the last one of them is seen.
struct Crowd {
    /// Number of the output picture.
    first: u64,
    /// RTP time of its first one.
    rtp: u64,
    /// Those that are not seen, and were not told of.
    unseen: u64,
}

impl Track {
    /// A picture is due with output picture `first`. How many turn out to be missing: they are not seen, and that is not because there are
    /// more pictures than output pictures, which are `most_ticks` apart at most.
    pub(super) fn crowd(&mut self, first: u64, rtp: u64, most_ticks: u64) -> u64 {
        match &mut self.crowd {
            Some(crowd) if crowd.first == first => {
                crowd.unseen += 1;
                let is_late = rtp.abs_diff(crowd.rtp) > most_ticks;
                if is_late { std::mem::take(&mut crowd.unseen) } else { 0 }
            }
            crowd => {
                *crowd = Some(Crowd { first, rtp, unseen: 0 });
                0
            }
        }
    }

    /// A picture of the present segment is for output picture `first` and later ones, and `newest_rtp` is none yet: what was decoded of the
    /// segment before for later ones gives way to it. Segments overlap where a sender goes on in another layer: a layer's last
    /// pictures show the same as the next one's first.
    pub(super) fn give_way(&mut self, first: u64) {
        if self.newest_rtp.is_none() {
            while self.ahead.back().is_some_and(|(former, ..)| *former > first) {
                self.ahead.pop_back();
            }
        }
    }

    /// Output picture number `frame` is at hand: it shows the newest of what was decoded for it.
    pub(super) fn show(&mut self, frame: u64) {
        while self.ahead.front().is_some_and(|(first, ..)| *first <= frame) {
            let (_, picture, number) = self.ahead.pop_front().expect("there is a first one");
            (self.picture, self.number) = (Some(picture), number);
        }
    }

    /// A frame is left out. What its decoder would make of the next ones without it nobody knows: they wait for a keyframe. Sound
    /// goes on, its decoder conceals what is missing.
    pub(super) fn skip(&mut self, report: &mut TrackReport) -> Vec<Shown> {
        self.close_pictures(report)
    }

    pub(super) fn open(&mut self, segment: &SegmentOpened) -> Result<(), ComposeError> {
        self.segment = Some(segment.segment);
        (self.clock_rate_hz, self.newest_rtp, self.crowd) = (segment.clock_rate_hz, None, None);
        match segment.codec.kind() {
            TrackKind::Audio => self.voice.get_or_insert_default().open(OpusDecoder::new(segment)?),
            TrackKind::Video => self.decoder = VideoDecoder::new(segment)?,
        }
        if self.decoder.is_none() && self.voice.is_none() {
            tracing::warn!(track = %segment.track, codec = ?segment.codec, "this codec cannot be composed yet");
        }
        Ok(())
    }

    /// Adds what the present decoders have counted.
    pub(super) fn tally(&self, report: &mut TrackReport) {
        if let Some(decoder) = &self.decoder {
            report.broken += decoder.damage().broken();
        }
        if let Some(voice) = &self.voice {
            voice.tally(report);
        }
    }

    /// What the present decoders have counted so far has been told already.
    pub(super) fn count_anew(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.count_anew();
        }
        if let Some(voice) = &mut self.voice {
            voice.count_anew();
        }
    }

    /// Ends all; the report gets what it has to add. Pictures that were still in their decoder come back.
    pub(super) fn close(&mut self, report: &mut TrackReport) -> Vec<Shown> {
        if let Some(voice) = self.voice.take() {
            voice.tally(report);
        }
        self.close_pictures(report)
    }

    /// Ends all of a track that is over: what its decoder still has belongs behind the end.
    pub(super) fn end(&mut self, report: &mut TrackReport) {
        let rest = self.close(report).len() as u64;
        report.pictures += rest;
        report.unseen(rest, DropReason::AfterEnd);
    }

    /// Ends the present decoder of pictures. Sound goes on with the next segment.
    pub(super) fn close_pictures(&mut self, report: &mut TrackReport) -> Vec<Shown> {
        let Some(decoder) = self.decoder.take() else { return Vec::new() };
        self.segment = None;
        let before = decoder.damage();
        let (rest, damage) = decoder.finish();
        report.not_shown(damage - before);
        report.broken += damage.broken();
        rest
    }
}
