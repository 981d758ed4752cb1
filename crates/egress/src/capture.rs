//! Writes a room into a take: the media server's [`RecordSink`] in front of a [`TakeRecorder`].
//!
//! Where a room asks for consent, a participant's tracks are captured from the moment on at which they agree, and no longer than that.
//!
//! The recorder is shared by the room's task, which brings facts and packets, and the job's task, which ticks it when none come,
//! and ends it. Both hold it for microseconds: nothing behind it waits for the disk, except [`Capturing::finish`], which has taken it out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reelroom_media::record::{
    Answer, Codec, Detached, Fact, NtpTime, RecordPacket, RecordSink, Wish, is_encrypted,
};
use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto;
use reelroom_take::{
    self as take, CaptureConfig, EndReason, LeftOutWhy, ParticipantId, Speaker, TakeError, TakeEvent,
    TakeHandle, TakeRecorder, TakeState, TakeSummary, TrackId, TrackKind, TrackSource,
};
use tokio::sync::mpsc;

/// A busy room's task may bring a packet so long after it came: ticks stay behind, so that it keeps its arrival time.
const TICK_BEHIND: Duration = Duration::from_millis(100);

/// What a job has to know of its capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A track is being recorded.
    Media,
    /// Nothing more comes.
    Detached(Detached),
}

/// The job's side of a capture.
pub(crate) struct Capturing {
    began: Instant,
    recorder: Arc<Mutex<Option<TakeRecorder>>>,
    handle: TakeHandle,
    pub(crate) news: mpsc::UnboundedReceiver<News>,
}

/// The room's side of a capture.
pub(crate) struct Sink {
    began: Instant,
    recorder: Arc<Mutex<Option<TakeRecorder>>>,
    news: mpsc::UnboundedSender<News>,
    tracks: BTreeMap<TrackSid, Track>,
    /// The room records only those who agree.
    asks: bool,
    /// What those said who are here. Who is not in it has said nothing.
    answers: BTreeMap<ParticipantSid, Answer>,
}

struct Track {
    id: TrackId,
    participant: ParticipantSid,
    rotation_degrees: u16,
    config: CaptureConfig,
    /// Nothing of it is captured, and this is why.
    left_out: Option<LeftOutWhy>,
    /// Whose it is agreed then: what a busy room brings later and came before is not captured.
    agreed: Option<Instant>,
}

impl Track {
    /// Whether what came at a time is captured.
    fn is_captured_at(&self, at: Instant) -> bool {
        self.left_out.is_none() && self.agreed.is_none_or(|agreed| agreed <= at)
    }
}

/// A capture into a take that began at `began`.
pub(crate) fn capture(handle: TakeHandle, began: Instant) -> (Capturing, Sink) {
    let recorder = TakeRecorder::new(handle.clone());
    capture_by(recorder, handle, began)
}

/// A capture that goes on at `at_ns` with a take, as if that had begun at `began` and nothing had come between.
pub(crate) fn go_on(handle: TakeHandle, began: Instant, at_ns: u64) -> (Capturing, Sink) {
    let recorder = TakeRecorder::resumed(handle.clone(), at_ns);
    capture_by(recorder, handle, began)
}

fn capture_by(recorder: TakeRecorder, handle: TakeHandle, began: Instant) -> (Capturing, Sink) {
    let recorder = Arc::new(Mutex::new(Some(recorder)));
    let (news_tx, news) = mpsc::unbounded_channel();
    let sink = Sink {
        began,
        recorder: Arc::clone(&recorder),
        news: news_tx,
        tracks: BTreeMap::new(),
        asks: false,
        answers: BTreeMap::new(),
    };
    (Capturing { began, recorder, handle, news }, sink)
}

impl Capturing {
    /// To be called about every 100 ms.
    pub(crate) fn tick(&self, now: Instant) {
        let now_ns = since(self.began, now.checked_sub(TICK_BEHIND).unwrap_or(self.began));
        if let Some(recorder) = lock(&self.recorder).as_mut() {
            recorder.tick(now_ns);
        }
    }

    /// Whoever holds it can note what happens to the recording itself.
    pub(crate) fn notes(&self) -> Notes {
        Notes { began: self.began, recorder: Arc::clone(&self.recorder) }
    }

    /// Why nothing can be written any more, if so.
    pub(crate) fn failure(&self) -> Option<(EndReason, String)> {
        match self.handle.state() {
            TakeState::Failed { reason, message } => Some((reason, message)),
            TakeState::Recording | TakeState::Ended => None,
        }
    }

    /// Ends the take, blocking until it is on disk. What the room still brings is ignored.
    ///
    /// # Errors
    /// The take had failed; what was written before is kept and has its end.
    pub(crate) fn finish(self, at: Instant, reason: EndReason) -> Result<TakeSummary, TakeError> {
        let recorder = lock(&self.recorder).take();
        match recorder {
            Some(recorder) => recorder.finish(since(self.began, at), reason),
            None => Ok(self.handle.summary()),
        }
    }

    /// Ends what this run of the program writes of the take, blocking until it is on disk, for the next one to go on; `unix_ns` is now. What the
    /// room still brings is ignored.
    ///
    /// # Errors
    /// As [`Capturing::finish`].
    pub(crate) fn suspend(self, at: Instant, unix_ns: u64) -> Result<TakeSummary, TakeError> {
        let recorder = lock(&self.recorder).take();
        match recorder {
            Some(recorder) => recorder.suspend(since(self.began, at), unix_ns),
            None => Ok(self.handle.summary()),
        }
    }
}

/// Notes into a take what the API changes while it is recorded.
#[derive(Clone)]
pub(crate) struct Notes {
    began: Instant,
    recorder: Arc<Mutex<Option<TakeRecorder>>>,
}

impl Notes {
    /// From now on the recording has this layout. `false` if the take has ended.
    pub(crate) fn layout(&self, now: Instant, layout: &str) -> bool {
        let mut recorder = lock(&self.recorder);
        let Some(recorder) = recorder.as_mut() else { return false };
        recorder.event(since(self.began, now), TakeEvent::Layout { layout: layout.to_owned() });
        true
    }
}

impl Sink {
    fn event(&self, now: Instant, event: TakeEvent) {
        if let Some(recorder) = lock(&self.recorder).as_mut() {
            recorder.event(since(self.began, now), event);
        }
    }

    fn publish(&mut self, now: Instant, publisher: &ParticipantSid, info: &proto::TrackInfo, codec: Codec) {
        let id = TrackId::from(info.sid.as_str());
        let kind = match info.r#type() {
            proto::TrackType::Audio => TrackKind::Audio,
            proto::TrackType::Video => TrackKind::Video,
            proto::TrackType::Data => return,
        };
        let (width, height) = (info.width, info.height);
        let event = TakeEvent::TrackPublished {
            track: id.clone(),
            participant: ParticipantId::from(publisher.as_str()),
            kind,
            source: source(info.source()),
            width,
            height,
            muted: info.muted,
        };
        self.event(now, event);
        let sid = TrackSid::from(info.sid.as_str());
        let why = if is_encrypted(info) {
            tracing::warn!(track = %id, "a track is end-to-end encrypted: it is left out of the recording");
            Some(LeftOutWhy::Encrypted)
        } else {
            self.unwilling(publisher)
        };
        let track = Track {
            id,
            participant: publisher.clone(),
            rotation_degrees: 0,
            config: CaptureConfig { width, height, ..CaptureConfig::new(take_codec(codec)) },
            left_out: None,
            agreed: None,
        };
        self.tracks.insert(sid.clone(), track);
        let _ = self.news.send(News::Media);
        match why {
            Some(why) => self.leave_out(now, &sid, why),
            None => self.take_in(now, &sid),
        }
    }

    /// Why nothing of a participant is to be captured, if so.
    fn unwilling(&self, participant: &ParticipantSid) -> Option<LeftOutWhy> {
        match self.answers.get(participant) {
            _ if !self.asks => None,
            Some(Answer { agrees: true, .. }) => None,
            Some(Answer { agrees: false, .. }) => Some(LeftOutWhy::Declined),
            None => Some(LeftOutWhy::NotAgreed),
        }
    }

    /// Captures a track from now on.
    fn take_in(&mut self, now: Instant, sid: &TrackSid) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        let (id, config) = (track.id.clone(), track.config.clone());
        track.left_out = None;
        let is_captured =
            lock(&self.recorder).as_mut().is_some_and(|recorder| recorder.add_track(id.clone(), config));
        if !is_captured {
            tracing::warn!(track = %id, "a track's media cannot be recorded");
            self.leave_out(now, sid, LeftOutWhy::Unreadable);
        }
    }

    /// Captures nothing of a track from now on. What arrived before is written.
    fn leave_out(&mut self, now: Instant, sid: &TrackSid, why: LeftOutWhy) {
        let from_ns = since(self.began, now);
        let Some(track) = self.tracks.get_mut(sid) else { return };
        track.left_out = Some(why);
        if let Some(recorder) = lock(&self.recorder).as_mut() {
            recorder.remove_track(from_ns, &track.id);
            recorder.event(from_ns, TakeEvent::LeftOut { track: track.id.clone(), why, from_ns });
        }
    }

    /// Captures of everybody what they agree to.
    fn reconsider(&mut self, now: Instant) {
        let changed: Vec<_> = self
            .tracks
            .iter()
            .filter(|(_, track)| track.left_out.is_none_or(LeftOutWhy::is_by_choice))
            .map(|(sid, track)| (sid.clone(), track.left_out, self.unwilling(&track.participant)))
            .filter(|(_, before, after)| before != after)
            .collect();
        for (sid, _, why) in changed {
            match why {
                Some(why) => self.leave_out(now, &sid, why),
                None => {
                    let Some(track) = self.tracks.get_mut(&sid) else { continue };
                    track.agreed = Some(now);
                    let track = track.id.clone();
                    // What came meanwhile was not looked at.
                    self.event(now, TakeEvent::LeftOutUntil { track, frames: 0 });
                    self.take_in(now, &sid);
                }
            }
        }
    }

    fn consent(&mut self, now: Instant, sid: &ParticipantSid, answer: Answer) {
        self.answers.insert(sid.clone(), answer);
        let participant = ParticipantId::from(sid.as_str());
        let Answer { agrees, unix_ms } = answer;
        self.event(now, TakeEvent::Consent { participant, agrees, unix_ms });
        self.reconsider(now);
    }

    fn unpublish(&mut self, now: Instant, track: &TrackSid) {
        if let Some(track) = self.tracks.remove(track) {
            self.event(now, TakeEvent::TrackUnpublished { track: track.id });
        }
    }
}

impl RecordSink for Sink {
    fn fact(&mut self, now: Instant, fact: &Fact) {
        let participant = |sid: &ParticipantSid| ParticipantId::from(sid.as_str());
        let event = match fact {
            Fact::ParticipantJoined { sid, identity, name } => TakeEvent::ParticipantJoined {
                participant: participant(sid),
                identity: identity.clone().into(),
                name: name.clone(),
            },
            Fact::ParticipantNamed { sid, name } => {
                TakeEvent::ParticipantNamed { participant: participant(sid), name: name.clone() }
            }
            Fact::ParticipantLeft(sid) => {
                let theirs = self.tracks.iter().filter(|(_, track)| track.participant == *sid);
                for track in theirs.map(|(track, _)| track.clone()).collect::<Vec<_>>() {
                    self.unpublish(now, &track);
                }
                self.answers.remove(sid);
                TakeEvent::ParticipantLeft { participant: participant(sid) }
            }
            Fact::TrackPublished { participant, info, codec } => {
                return self.publish(now, participant, info, *codec);
            }
            Fact::TrackUnpublished(track) => return self.unpublish(now, track),
            Fact::TrackMuted { track, muted } => {
                TakeEvent::TrackMuted { track: TrackId::from(track.as_str()), muted: *muted }
            }
            Fact::ConsentAsked => {
                self.asks = true;
                self.event(now, TakeEvent::ConsentAsked);
                return self.reconsider(now);
            }
            Fact::Consent { sid, answer } => return self.consent(now, sid, *answer),
            // When somebody speaks is recorded of nobody who is not.
            Fact::Speakers(speakers) => TakeEvent::Speakers {
                speakers: speakers
                    .iter()
                    .filter(|(sid, _)| self.unwilling(sid).is_none())
                    .map(|(sid, level)| Speaker { participant: participant(sid), level: *level })
                    .collect(),
            },
        };
        self.event(now, event);
    }

    fn packet(&mut self, now: Instant, packet: &RecordPacket<'_>) -> Wish {
        let Some(track) = self.tracks.get_mut(packet.track).filter(|track| track.is_captured_at(now)) else {
            return Wish::Nothing;
        };
        let now_ns = since(self.began, now);
        let mut recorder = lock(&self.recorder);
        let Some(recorder) = recorder.as_mut() else { return Wish::Nothing };
        if let Some(degrees) = packet.rotation_degrees.filter(|degrees| *degrees != track.rotation_degrees) {
            track.rotation_degrees = degrees;
            recorder.event(now_ns, TakeEvent::Orientation { track: track.id.clone(), degrees });
        }
        let packet = take::Packet {
            ssrc: packet.ssrc,
            seq: packet.seq,
            rtp: packet.rtp,
            marker: packet.marker,
            payload: packet.payload,
        };
        match recorder.packet(now_ns, &track.id, &packet) {
            take::Wish::Nothing => Wish::Nothing,
            take::Wish::Keyframe => Wish::Keyframe,
        }
    }

    fn parameter_sets(&mut self, track: &TrackSid, ssrc: u32, sets: &[&[u8]]) {
        let Some(track) = self.tracks.get(track) else { return };
        if let Some(recorder) = lock(&self.recorder).as_mut() {
            recorder.parameter_sets(&track.id, ssrc, sets);
        }
    }

    fn wants_keyframe(&self, track: &TrackSid) -> bool {
        let Some(track) = self.tracks.get(track) else { return false };
        lock(&self.recorder).as_ref().is_some_and(|recorder| recorder.wants_keyframe(&track.id))
    }

    fn sender_report(&mut self, now: Instant, track: &TrackSid, _ssrc: u32, ntp: NtpTime, rtp: u32) {
        let Some(track) = self.tracks.get(track) else { return };
        if let Some(recorder) = lock(&self.recorder).as_mut() {
            recorder.sender_report(since(self.began, now), &track.id, ntp.0, rtp);
        }
    }

    fn detached(&mut self, _now: Instant, why: Detached) {
        let _ = self.news.send(News::Detached(why));
    }
}

fn lock(recorder: &Mutex<Option<TakeRecorder>>) -> MutexGuard<'_, Option<TakeRecorder>> {
    recorder.lock().expect("no code panics while it holds the recorder")
}

fn since(began: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(began).as_nanos().try_into().unwrap_or(u64::MAX)
}

fn take_codec(codec: Codec) -> take::Codec {
    match codec {
        Codec::Opus => take::Codec::Opus,
        Codec::Vp8 => take::Codec::Vp8,
        Codec::H264 => take::Codec::H264,
        Codec::Vp9 => take::Codec::Vp9,
        Codec::Av1 => take::Codec::Av1,
    }
}

fn source(source: proto::TrackSource) -> TrackSource {
    match source {
        proto::TrackSource::Camera => TrackSource::Camera,
        proto::TrackSource::Microphone => TrackSource::Microphone,
        proto::TrackSource::ScreenShare => TrackSource::ScreenShare,
        proto::TrackSource::ScreenShareAudio => TrackSource::ScreenShareAudio,
        proto::TrackSource::Unknown => TrackSource::Unknown,
    }
}

#[cfg(test)]
mod tests;
