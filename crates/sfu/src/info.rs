//! What clients are told of a room and its participants.

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    self, JoinResponse, ParticipantInfo, ParticipantUpdate, RoomUpdate, ServerInfo, TrackType, WebhookEvent,
    signal_response,
};

use crate::codec::{Codec, RED};
use crate::output::{About, Fact, Output};
use crate::participant::{Audience, Participant};
use crate::room::{Room, RoomEnd};
use crate::track::{Track, is_encrypted};

/// The LiveKit version that this server behaves like. Newer ones make clients use what is not offered here.
const SERVER_VERSION: &str = "1.9.0";
/// From 18 on, clients negotiate data channels another way.
const PROTOCOL: i32 = 16;
const PING_INTERVAL_S: i32 = 5;
const PING_TIMEOUT_S: i32 = 15;

/// How much of what is published in a room a server can see and hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// Everything, or nothing is published.
    All,
    /// Some tracks are end-to-end encrypted.
    Some,
    /// All of them are.
    None,
}

/// How this server introduces itself.
pub fn server_info() -> ServerInfo {
    ServerInfo {
        version: SERVER_VERSION.to_owned(),
        protocol: PROTOCOL,
        node_id: "ND_reelroom".to_owned(),
        ..Default::default()
    }
}

impl Room {
    /// The room with its present counts.
    pub fn info(&self) -> proto::Room {
        let counted = self.participants.values().filter(|participant| !participant.is_dependent());
        let is_published = |track: &TrackSid| self.tracks.get(track).is_some_and(|track| track.is_published);
        let publishes = |participant: &&Participant| participant.published.iter().any(is_published);
        proto::Room {
            num_participants: counted.count() as u32,
            num_publishers: self.participants.values().filter(publishes).count() as u32,
            active_recording: self.recorder_comes
                || self.participants.values().any(|participant| participant.is_recorder()),
            ..self.base.clone()
        }
    }

    /// Whether a participant publishes; recorders and agents do not count.
    pub fn is_call(&self) -> bool {
        let mut others = self.participants.values().filter(|participant| !participant.is_dependent());
        others.any(|participant| !participant.published.is_empty())
    }

    /// Everybody, hidden ones and recorders included.
    pub fn participant_infos(&self) -> Vec<ParticipantInfo> {
        self.participants.keys().filter_map(|sid| self.participant_info(sid)).collect()
    }

    /// One participant.
    pub fn participant_info(&self, sid: &ParticipantSid) -> Option<ParticipantInfo> {
        let participant = self.participants.get(sid)?;
        let tracks = participant
            .published
            .iter()
            .filter_map(|track| self.tracks.get(track))
            .filter(|track| track.is_published)
            .map(|track| track.info.clone())
            .collect();
        Some(self.with_data_tracks(sid, participant.info(tracks)))
    }

    /// The present state as the facts that led to it, for a recorder that comes later.
    pub fn present_facts(&self) -> Vec<Fact> {
        let seen = |participant: &&Participant| {
            participant.is_active() && participant.is_visible() && !participant.is_recorder()
        };
        let mut facts = Vec::new();
        if self.consents.asks {
            facts.push(Fact::ConsentAsked);
        }
        for participant in self.participants.values().filter(seen) {
            facts.push(participant.joined_fact());
            facts.extend(participant.consent_fact());
            let tracks = participant.published.iter().filter_map(|track| self.tracks.get(track));
            facts.extend(tracks.filter_map(Track::published_fact));
        }
        facts
    }

    /// How much of the tracks of `kinds`, published or announced, can be recorded.
    pub fn readable(&self, kinds: &[TrackType]) -> Readable {
        let seen = self.participants.values().filter(|who| who.is_visible() && !who.is_recorder());
        let infos = seen.flat_map(|who| {
            let published = who.published.iter().filter_map(|track| self.tracks.get(track));
            published.map(|track| &track.info).chain(who.pending.iter().map(|pending| &pending.info))
        });
        let (mut encrypted, mut clear) = (false, false);
        for info in infos.filter(|info| kinds.contains(&info.r#type())) {
            if is_encrypted(info) { encrypted = true } else { clear = true }
        }
        match (encrypted, clear) {
            (false, _) => Readable::All,
            (true, true) => Readable::Some,
            (true, false) => Readable::None,
        }
    }

    /// The session of an identity.
    pub fn sid_of(&self, identity: &str) -> Option<ParticipantSid> {
        self.participants.values().find(|p| p.identity.as_str() == identity).map(|p| p.sid.clone())
    }

    pub(crate) fn join_response(&self, sid: &ParticipantSid) -> JoinResponse {
        let others = self
            .participants
            .values()
            .filter(|other| other.sid != *sid && other.is_visible())
            .filter_map(|other| self.participant_info(&other.sid))
            .collect();
        let participant = self.participants.get(sid);
        let grants = participant.map(|participant| &participant.grants);
        let may_publish =
            |codec: &Codec| participant.is_none_or(|participant| participant.client.may_publish(*codec));
        let publishable = Codec::ALL.into_iter().filter(may_publish).map(Codec::mime).chain([RED]);
        let named = |mime: &str| proto::Codec { mime: mime.to_owned(), ..Default::default() };
        JoinResponse {
            room: Some(self.info()),
            participant: self.participant_info(sid),
            other_participants: others,
            server_version: SERVER_VERSION.to_owned(),
            server_info: Some(server_info()),
            subscriber_primary: grants.is_some_and(|grants| grants.may_subscribe()),
            ping_interval: PING_INTERVAL_S,
            ping_timeout: PING_TIMEOUT_S,
            enabled_publish_codecs: publishable.map(named).collect(),
            client_configuration: participant.and_then(|participant| participant.client.configuration()),
            fast_publish: grants.is_some_and(|grants| grants.may_publish()),
            ..Default::default()
        }
    }

    pub(crate) fn signal(&mut self, to: &ParticipantSid, message: signal_response::Message) {
        self.outputs.push_back(Output::Signal { to: to.clone(), message: Box::new(message) });
    }

    /// Tells everybody who may know, and the participant itself where `include_self`.
    pub(crate) fn announce(&mut self, sid: &ParticipantSid, audience: Audience) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        participant.version += 1;
        let visible = participant.is_visible();
        let Some(info) = self.participant_info(sid) else { return };
        let to: Vec<_> = self
            .participants
            .values()
            .filter(|other| {
                if other.sid == *sid { audience == Audience::All } else { visible && !other.is_recorder() }
            })
            .map(|other| other.sid.clone())
            .collect();
        self.tell_of_participant(to, info);
    }

    /// Tells `to` the present state of a participant.
    pub(crate) fn tell_of_participant(&mut self, to: Vec<ParticipantSid>, info: ParticipantInfo) {
        let about = About::Participant(info.sid.as_str().into());
        let update = ParticipantUpdate { participants: vec![info] };
        self.broadcast(to, signal_response::Message::Update(update), Some(about));
    }

    pub(crate) fn broadcast(
        &mut self,
        to: Vec<ParticipantSid>,
        message: signal_response::Message,
        about: Option<About>,
    ) {
        let is_heard = self.end() != Some(RoomEnd::HandOver);
        if is_heard && !to.is_empty() {
            self.outputs.push_back(Output::Broadcast { to, message: Box::new(message), about });
        }
    }

    pub(crate) fn announce_room(&mut self) {
        let info = self.info();
        self.counts.were_told(&info);
        let everybody = self.participants.keys().cloned().collect();
        let update = signal_response::Message::RoomUpdate(RoomUpdate { room: Some(info) });
        self.broadcast(everybody, update, Some(About::Room));
    }

    pub(crate) fn webhook(&mut self, event: &str, fill: impl FnOnce(&Self, &mut WebhookEvent)) {
        let mut hook =
            WebhookEvent { event: event.to_owned(), room: Some(self.info()), ..Default::default() };
        fill(self, &mut hook);
        self.outputs.push_back(Output::Webhook(Box::new(hook)));
    }
}
