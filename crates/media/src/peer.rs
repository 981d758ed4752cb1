//! A participant's two peer connections: the publisher's, which the client offers, and the subscriber's, which we do.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use reelroom_limits::signalling::{CANDIDATES, IDLE_SECTIONS};
use reelroom_protocol::ids::TrackSid;
use reelroom_protocol::proto::{
    SessionDescription, SubscriptionError, SubscriptionResponse, request_response, signal_response,
};
use reelroom_sfu::forward::Rewrite;
use reelroom_sfu::{About, Codec, DownTrackSpec, Section, door};
use serde::Deserialize;

use crate::mux::{LocalAddresses, SessionId};
use crate::session::{Changes, Load, NewMedia, Packet, Session, SessionError, Way, sdp};
use crate::signal::outbox::{self, Behind, Outbox};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Publisher,
    Subscriber,
}

/// A connection, and whether it has something to drain.
pub(crate) struct Line {
    pub(crate) session: Session,
    pub(crate) id: Option<SessionId>,
    pub(crate) dirty: bool,
}

/// A track that goes to this participant.
struct DownLine {
    codec: Codec,
    stream_id: String,
    /// Known once it is offered.
    mid: Option<String>,
    /// What the client calls the codecs it can decode; known once that is answered.
    payload_types: Vec<(Codec, u8)>,
    /// What it calls redundant sound, if it reads that.
    red: Option<u8>,
    is_stereo: bool,
}

impl DownLine {
    fn payload_type(&self, codec: Codec) -> Option<u8> {
        self.payload_types.iter().find(|(known, _)| *known == codec).map(|(_, payload_type)| *payload_type)
    }
}

pub(crate) struct Peer {
    publisher: Line,
    subscriber: Line,
    outbox: Outbox,
    /// It does not read what it is told.
    pub(crate) behind: Option<Behind>,
    subscribes: bool,
    /// The sections of the last offer.
    pub(crate) sections: Vec<Section>,
    down: BTreeMap<TrackSid, DownLine>,
    changes: Changes,
    offer_id: u32,
    pub(crate) signal_lost: Option<Instant>,
    pub(crate) media_lost: Option<Instant>,
    pub(crate) connecting_since: Option<Instant>,
    /// The offer that waits for its answer, and since when.
    unanswered: Option<(u32, Instant)>,
}

impl Peer {
    pub(crate) fn new(addresses: &LocalAddresses, outbox: Outbox, subscribes: bool, now: Instant) -> Self {
        let line = |way| Line { session: Session::new(addresses, way, now), id: None, dirty: true };
        Self {
            publisher: line(Way::In),
            subscriber: line(Way::Out),
            outbox,
            behind: None,
            subscribes,
            sections: Vec::new(),
            down: BTreeMap::new(),
            // With the data channels in it, the first offer has something to connect for.
            changes: Changes { channels: subscribes, ..Changes::default() },
            offer_id: 0,
            signal_lost: None,
            media_lost: None,
            connecting_since: Some(now),
            unanswered: None,
        }
    }

    pub(crate) fn line_mut(&mut self, target: Target) -> &mut Line {
        match target {
            Target::Publisher => &mut self.publisher,
            Target::Subscriber => &mut self.subscriber,
        }
    }

    /// The connection that decides whether a participant is there.
    pub(crate) fn primary(&self) -> Target {
        if self.subscribes { Target::Subscriber } else { Target::Publisher }
    }

    pub(crate) fn next_timeout(&self) -> Instant {
        self.publisher.session.next_timeout().min(self.subscriber.session.next_timeout())
    }

    pub(crate) fn timeouts(&mut self, now: Instant) {
        for line in [&mut self.publisher, &mut self.subscriber] {
            if line.session.is_alive() && line.session.next_timeout() <= now {
                line.session.timeout(now);
                line.dirty = true;
            }
        }
    }

    /// Says something by signalling.
    pub(crate) fn say(&mut self, message: signal_response::Message) {
        self.pass_on(outbox::encode(message), None);
    }

    /// Says what is encoded already. A participant that does not read is let go.
    pub(crate) fn pass_on(&mut self, message: Bytes, about: Option<&About>) {
        if let Err(behind) = self.outbox.say(message, about) {
            self.behind = Some(behind);
        }
    }

    pub(crate) fn add_remote_candidate(&mut self, target: Target, init: &str) {
        #[derive(Deserialize)]
        struct CandidateInit {
            candidate: String,
        }
        if let Ok(init) = serde_json::from_str::<CandidateInit>(init) {
            let line = self.line_mut(target);
            line.session.add_remote_candidate(&init.candidate);
            line.dirty = true;
            if line.session.has_to_tell_of_candidates() {
                let text = format!("more than {CANDIDATES} candidates, or too long ones, are left out");
                self.say(door::response(request_response::Reason::LimitExceeded, &text));
            }
        }
    }

    /// Whether so many tracks came and went that the offers to this participant have become dear.
    pub(crate) fn is_worn_out(&self) -> bool {
        self.subscriber.session.offered_sections().saturating_sub(self.down.len()) > IDLE_SECTIONS
    }

    /// The answer to the publisher's offer, each section with the codec that it is to be encoded with in front.
    pub(crate) fn accept_offer(
        &mut self,
        offer: &SessionDescription,
        codec_of: impl Fn(&Section) -> Option<Codec>,
    ) -> Result<String, SessionError> {
        let mut answer = self.publisher.session.accept_offer(&offer.sdp)?;
        self.publisher.dirty = true;
        self.sections = sdp::sections(&offer.sdp);
        for section in &self.sections {
            if let Some(codec) = codec_of(section) {
                answer = sdp::prefer_codec(&answer, &section.mid, codec);
            }
        }
        Ok(sdp::with_start_bitrates(&answer, &offer.sdp))
    }

    pub(crate) fn add_down_track(&mut self, spec: &DownTrackSpec) {
        let line = DownLine {
            codec: spec.codec,
            stream_id: spec.stream_id.clone(),
            mid: None,
            payload_types: Vec::new(),
            red: None,
            is_stereo: spec.is_stereo,
        };
        self.down.insert(spec.track.clone(), line);
    }

    pub(crate) fn remove_down_track(&mut self, track: &TrackSid) {
        if let Some(mid) = self.down.remove(track).and_then(|line| line.mid) {
            self.changes.stop.push(mid);
        }
    }

    /// Offers what has changed, unless an answer is still awaited.
    pub(crate) fn negotiate(&mut self) {
        if self.subscriber.session.awaits_answer() {
            return;
        }
        let new: Vec<_> = self.down.iter_mut().filter(|(_, line)| line.mid.is_none()).collect();
        if self.changes.is_empty() && new.is_empty() {
            return;
        }
        let mut changes = std::mem::take(&mut self.changes);
        changes.add = new
            .iter()
            .map(|(track, line)| NewMedia {
                codec: line.codec,
                stream_id: line.stream_id.clone(),
                track_id: track.to_string(),
            })
            .collect();
        self.subscriber.dirty = true;
        let Some((sdp, mids)) = self.subscriber.session.offer(&changes) else { return };
        for ((_, line), mid) in new.into_iter().zip(mids) {
            line.mid = Some(mid);
        }
        self.offer_id += 1;
        let down = self.down.values();
        let stereo: Vec<String> =
            down.filter(|line| line.is_stereo).filter_map(|line| line.mid.clone()).collect();
        let is_stereo = |mid: &str| stereo.iter().any(|known| known == mid);
        let mid_to_track_id = self
            .down
            .iter()
            .filter_map(|(track, line)| Some((line.mid.clone()?, track.to_string())))
            .collect();
        self.say(signal_response::Message::Offer(SessionDescription {
            r#type: "offer".to_owned(),
            sdp: sdp::with_stereo(&sdp::without_idle_tracks(&sdp), is_stereo),
            id: self.offer_id,
            mid_to_track_id,
        }));
    }

    /// Since when an answer to its last offer is awaited, if one is.
    pub(crate) fn awaits_answer_since(&mut self, now: Instant) -> Option<Instant> {
        let offer = self.subscriber.session.awaits_answer().then_some(self.offer_id);
        self.unanswered = offer.map(|offer| match self.unanswered {
            Some((known, since)) if known == offer => (offer, since),
            _ => (offer, now),
        });
        self.unanswered.map(|(_, since)| since)
    }

    /// The tracks that can flow now.
    pub(crate) fn accept_answer(
        &mut self,
        answer: &SessionDescription,
    ) -> Result<Vec<TrackSid>, SessionError> {
        if answer.id != 0 && answer.id != self.offer_id {
            return Ok(Vec::new());
        }
        self.subscriber.session.accept_answer(&answer.sdp)?;
        self.subscriber.dirty = true;
        let mut ready = Vec::new();
        let mut refused = Vec::new();
        for (track, line) in &mut self.down {
            let Some(mid) = line.mid.as_ref().filter(|_| line.payload_types.is_empty()) else { continue };
            line.payload_types = self.subscriber.session.payload_types(mid);
            line.red = self.subscriber.session.red_payload_type(mid).filter(|_| line.codec == Codec::Opus);
            if line.payload_type(line.codec).is_some() {
                ready.push(track.clone());
            } else {
                tracing::info!(%track, codec = ?line.codec, "a subscriber cannot decode a track");
                refused.push(track.clone());
            }
        }
        for track in refused {
            self.say(signal_response::Message::SubscriptionResponse(SubscriptionResponse {
                track_sid: track.to_string(),
                err: SubscriptionError::SeCodecUnsupported.into(),
            }));
        }
        Ok(ready)
    }

    /// Whether the client reads redundant sound of a track.
    pub(crate) fn takes_red(&self, track: &TrackSid) -> bool {
        self.down.get(track).is_some_and(|line| line.red.is_some())
    }

    /// The track that goes out on a section.
    pub(crate) fn track_on(&self, mid: &str) -> Option<TrackSid> {
        self.down.iter().find(|(_, line)| line.mid.as_deref() == Some(mid)).map(|(track, _)| track.clone())
    }

    /// Sends something of a packet of a track.
    pub(crate) fn forward(
        &mut self,
        track: &TrackSid,
        packet: &Packet,
        rewrite: Rewrite,
        load: Load,
        now: Instant,
    ) {
        let Some(line) = self.down.get(track) else { return };
        let payload_type = if load.is_red { line.red } else { line.payload_type(packet.codec) };
        let (Some(mid), Some(payload_type)) = (&line.mid, payload_type) else { return };
        self.subscriber.session.send(mid, payload_type, packet, rewrite, load, now);
        self.subscriber.dirty = true;
    }
}
