//! A participant's connections: its media, and what it is told.
//!
//! ```text
//!   Peer ─┬─ outbox    what it is told by signalling
//!         ├─ presence  whether it is still there
//!         └─ link      its media: one connection, or one for each way
//!              └─ lines (a session each), downs (which section carries which track)
//! ```

mod downs;
mod dual;
mod line;
mod link;
mod presence;
mod single;

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use reelroom_limits::signalling::CANDIDATES;
use reelroom_protocol::ids::TrackSid;
use reelroom_protocol::proto::{
    DisconnectReason, JoinResponse, SessionDescription, SubscriptionError, SubscriptionResponse,
    request_response, signal_response,
};
use reelroom_sfu::forward::Rewrite;
use reelroom_sfu::{About, Codec, DownTrackSpec, Section, door};
use serde::Deserialize;

pub(crate) use downs::Settled;
pub(crate) use link::{Connections, Opening, Target};
pub(crate) use presence::Verdict;

use crate::mux::LocalAddresses;
use crate::session::{Load, Packet, SessionError, sdp};
use crate::signal::outbox::{self, Behind, Outbox};
use line::Line;
use link::Link;
use presence::Presence;

/// The answer to an offer, and what became by it of the tracks that go to the client.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) description: SessionDescription,
    pub(crate) settled: Settled,
}

pub(crate) struct Peer {
    link: Link,
    outbox: Outbox,
    /// It does not read what it is told.
    behind: Option<Behind>,
    pub(crate) presence: Presence,
    /// The sections of its last offer.
    pub(crate) sections: Vec<Section>,
}

impl Peer {
    pub(crate) fn new(
        addresses: &LocalAddresses,
        outbox: Outbox,
        connections: Connections,
        subscribes: bool,
        now: Instant,
    ) -> Self {
        Self {
            link: Link::new(addresses, connections, subscribes, now),
            outbox,
            behind: None,
            presence: Presence::new(now),
            sections: Vec::new(),
        }
    }

    pub(crate) fn connections(&self) -> Connections {
        self.link.connections()
    }

    /// Its lines, each once.
    pub(crate) fn targets(&self) -> &'static [Target] {
        self.link.targets()
    }

    /// The line for a way: with one connection that is the same for both.
    pub(crate) fn line_mut(&mut self, target: Target) -> &mut Line {
        self.link.line_mut(target)
    }

    /// The line that decides whether a participant is there, and by which its data goes, as [`Peer::targets`] names it. Clients listen for data there:
    /// who may not subscribe has no other one.
    pub(crate) fn primary(&self) -> Target {
        self.link.primary()
    }

    pub(crate) fn next_timeout(&self) -> Instant {
        let of = |target: &Target| self.link.line(*target).session.next_timeout();
        self.targets().iter().map(of).min().expect("a link has a line")
    }

    pub(crate) fn timeouts(&mut self, now: Instant) {
        self.link.timeouts(now);
        self.presence.awaits(self.link.awaited(), now);
    }

    /// What is to be done about it now.
    pub(crate) fn verdict(&mut self, now: Instant) -> Verdict {
        if self.behind.is_some() {
            Verdict::Gone(DisconnectReason::SignalClose)
        } else if self.link.is_worn_out() {
            Verdict::Gone(DisconnectReason::StateMismatch)
        } else {
            self.presence.verdict(now)
        }
    }

    /// So much waits for it that it is let go.
    pub(crate) fn behind(&self) -> Option<Behind> {
        self.behind
    }

    /// Whether it is told what is said by this signalling connection.
    pub(crate) fn signals_by(&self, connection: u64) -> bool {
        self.outbox.connection() == connection
    }

    /// Takes its place again by another signalling connection, by which it is told first what `messages` say: that may be long, and is not
    /// counted as waiting.
    pub(crate) fn resume(
        &mut self,
        outbox: Outbox,
        messages: impl IntoIterator<Item = signal_response::Message>,
        now: Instant,
    ) {
        self.outbox = outbox;
        self.behind = None;
        self.presence.resumes(now);
        for message in messages {
            self.outbox.say_whole(outbox::encode(message));
        }
        self.link.resume();
    }

    /// Ends its signalling connection once everything is said that waits: it has to come back by another one.
    pub(crate) fn hang_up(&mut self, now: Instant) {
        (self.outbox, _) = outbox::new();
        self.presence.signal_ends(now);
    }

    /// Says that it has joined, before anything else.
    pub(crate) fn welcome(&mut self, joined: JoinResponse) {
        let subscriber_primary = self.primary() == Target::Subscriber;
        self.say(signal_response::Message::Join(JoinResponse { subscriber_primary, ..joined }));
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

    /// The answer to the client's offer, each section with the codec that it is to be encoded with in front.
    pub(crate) fn accept_offer(
        &mut self,
        offer: &SessionDescription,
        codec_of: impl Fn(&Section) -> Option<Codec>,
    ) -> Result<Answered, SessionError> {
        let (mut description, settled) = self.link.accept_offer(offer)?;
        self.sections = sdp::sections(&offer.sdp);
        let sent = self.sections.iter().filter(|section| section.sends);
        let preferred: BTreeMap<&str, Codec> =
            sent.filter_map(|section| Some((section.mid.as_str(), codec_of(section)?))).collect();
        let answer = sdp::prefer_codecs(&description.sdp, |mid| preferred.get(mid).copied());
        description.sdp = sdp::with_start_bitrates(&answer, &offer.sdp);
        self.tell_of(&settled);
        Ok(Answered { description, settled })
    }

    pub(crate) fn add_down_track(&mut self, spec: &DownTrackSpec) {
        self.link.add_down_track(spec);
    }

    pub(crate) fn remove_down_track(&mut self, track: &TrackSid) {
        self.link.remove_down_track(track);
    }

    /// Negotiates what has changed, unless it has something to answer still.
    pub(crate) fn negotiate(&mut self) {
        if let Some(message) = self.link.negotiate() {
            self.say(message);
        }
    }

    /// What became of the tracks that were offered.
    pub(crate) fn accept_answer(&mut self, answer: &SessionDescription) -> Result<Settled, SessionError> {
        let settled = self.link.accept_answer(answer)?;
        self.tell_of(&settled);
        Ok(settled)
    }

    /// Tells it of tracks that it cannot decode.
    fn tell_of(&mut self, settled: &Settled) {
        for track in &settled.refused {
            tracing::info!(%track, "a subscriber cannot decode a track");
            self.say(signal_response::Message::SubscriptionResponse(SubscriptionResponse {
                track_sid: track.to_string(),
                err: SubscriptionError::SeCodecUnsupported.into(),
            }));
        }
    }

    /// The track that goes out on a section.
    pub(crate) fn track_on(&self, mid: &str) -> Option<TrackSid> {
        self.link.track_on(mid)
    }

    /// What the client can decode on the section of a track.
    pub(crate) fn takes(&self, track: &TrackSid) -> Vec<Codec> {
        self.link.takes(track)
    }

    /// Whether the client reads redundant sound of a track.
    pub(crate) fn takes_red(&self, track: &TrackSid) -> bool {
        self.link.takes_red(track)
    }

    /// Sends a packet without content of a track.
    pub(crate) fn send_empty(&mut self, track: &TrackSid, codec: Codec, rewrite: Rewrite, now: Instant) {
        self.link.send_empty(track, codec, rewrite, now);
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
        self.link.forward(track, packet, rewrite, load, now);
    }
}

#[cfg(test)]
mod tests;
