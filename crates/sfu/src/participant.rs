//! One session of a participant.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use reelroom_limits::pace::{Pace, Rate};
use reelroom_limits::signalling::{
    AGREE_BURST, AGREE_EVERY, PENDING_TRACKS, PERMIT_BURST, PERMIT_EVERY, PUBLISH_BURST, PUBLISH_EVERY,
};
use reelroom_protocol::ids::{ParticipantIdentity, ParticipantSid, Ticket, TrackSid};
use reelroom_protocol::proto::{ClientInfo, ParticipantInfo, TrackInfo, participant_info};
use reelroom_protocol::token::VideoGrants;

use crate::announce::TooMuch;
use crate::blobs::Blobs;
use crate::client::Client;
use crate::codec::Codec;
use crate::consent::{CONSENT, Consent};
use crate::data::queue::DataQueue;
use crate::data_track::DataTracksOf;
use crate::downlink::Downlink;
use crate::layers::TrackSettings;
use crate::output::Fact;
use crate::permission::Permission;
use crate::person::{Person, REFRESH_EVERY};
use crate::room::Now;
use crate::simulate::Simulated;

/// Who wants to join, from token and query.
#[derive(Clone, Debug)]
pub struct Joining {
    /// New for this session.
    pub sid: ParticipantSid,
    /// What the token says; whether it is unique in the room decides the room.
    pub identity: ParticipantIdentity,
    /// The bearer of a token of this server's; empty with an app's own token, whose bearer takes the place of whoever has the identity.
    pub ticket: Ticket,
    /// Of tokens that are good for one session at a time: which of its ticket's it is; 0 for others.
    pub serial: u32,
    /// When the token was issued (`nbf`): what the server changed later holds.
    pub issued_unix_s: u64,
    /// It is this server itself that joins: nobody takes its place or removes it.
    pub is_server: bool,
    /// Display name.
    pub name: String,
    /// Free text.
    pub metadata: String,
    /// Free key-value pairs.
    pub attributes: BTreeMap<String, String>,
    /// What the token allows.
    pub grants: VideoGrants,
    /// Standard, egress, agent, …
    pub kind: participant_info::Kind,
    /// Whether every track is subscribed to without asking.
    pub auto_subscribe: bool,
    /// What the client says of itself.
    pub client: ClientInfo,
    /// `KindDetail`s of the token: what kind of an agent it is, …
    pub kind_details: Vec<i32>,
}

/// Why a client may not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `maxParticipants` are here.
    #[error("room has exceeded its max participants")]
    Full,
    /// The room is over.
    #[error("requested room does not exist")]
    Closed,
    /// The identity is that of what records.
    #[error("this identity belongs to a recorder")]
    Reserved,
    /// The token was good for one session, which goes on or is over.
    #[error("this token was used: ask for another one")]
    Used,
    /// What the token was given for does not hold any more.
    #[error("the link or the session that this token was given for is over")]
    Over,
    /// The server has as many rooms as it may have.
    #[error("the server has exceeded its max rooms")]
    TooManyRooms,
    /// Somebody's address has opened as many as one may have.
    #[error("this address has opened as many rooms as one may have")]
    ManyRoomsOfAddress,
}

/// Why an administrator's call does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminRefusal {
    /// It is this server's recorder: what records is shown until it stops.
    #[error("this participant is the server's recorder: StopEgress ends it")]
    Recorder,
    /// It asks for more than anybody may.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
    /// It says in somebody's name whether they agree to being recorded.
    #[error(
        "whether somebody agrees to being recorded they say themselves: reelroom.consent is not set for them"
    )]
    Consent,
}

impl Joining {
    /// Recorders make the room show that it is being recorded.
    pub(crate) fn is_recorder(&self) -> bool {
        self.kind == participant_info::Kind::Egress || self.grants.recorder
    }
}

/// An announced track of which no section of the SDP is known yet.
#[derive(Debug)]
pub(crate) struct PendingTrack {
    /// What the client calls it.
    pub(crate) cid: String,
    /// What it is to be encoded with; `None` leaves the choice to us.
    pub(crate) announced_codec: Option<Codec>,
    pub(crate) info: TrackInfo,
    /// When it was announced.
    pub(crate) since: Now,
}

/// A choice about a track that is not there yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    pub(crate) subscribe: bool,
    pub(crate) since: Instant,
}

#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) sid: ParticipantSid,
    pub(crate) identity: ParticipantIdentity,
    pub(crate) person: Person,
    pub(crate) is_server: bool,
    /// When it is given a fresh token.
    pub(crate) refresh_at: Instant,
    /// Of the token that it came with.
    pub(crate) serial: u32,
    /// Of the last one that it was given.
    pub(crate) given_serial: u32,
    pub(crate) name: String,
    pub(crate) metadata: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) grants: VideoGrants,
    pub(crate) kind: participant_info::Kind,
    pub(crate) state: participant_info::State,
    pub(crate) version: u32,
    pub(crate) joined_unix_ms: i64,
    pub(crate) auto_subscribe: bool,
    pub(crate) pending: Vec<PendingTrack>,
    pub(crate) published: Vec<TrackSid>,
    /// What it said of tracks that it does not receive yet.
    pub(crate) early_settings: BTreeMap<TrackSid, TrackSettings>,
    /// Tracks that were expressly subscribed to or not, against the automatic choice.
    pub(crate) refused: BTreeSet<TrackSid>,
    pub(crate) wanted: BTreeSet<TrackSid>,
    /// How fast it may announce tracks.
    pub(crate) publishing: Pace,
    /// How fast it may let others subscribe to its tracks again.
    pub(crate) permitting: Pace,
    /// What it was asked about being recorded, and has answered.
    pub(crate) consent: Consent,
    /// How fast it may agree to that.
    pub(crate) agreeing: Pace,
    /// The same about tracks that are not there yet.
    pub(crate) awaited: BTreeMap<TrackSid, Awaited>,
    pub(crate) permission: Option<Permission>,
    pub(crate) last_reliable_sequence: u32,
    /// Reliable data on its way to it.
    pub(crate) data: DataQueue,
    /// From where on reliable data is for it; see [`crate::data::replay`].
    pub(crate) data_since: u64,
    /// The data tracks that it publishes and gets.
    pub(crate) data_tracks: DataTracksOf,
    /// What it has stored for others.
    pub(crate) blobs: Blobs,
    pub(crate) client: Client,
    pub(crate) kind_details: Vec<i32>,
    /// What it tries.
    pub(crate) simulated: Simulated,
    /// Sections that still send what was unpublished: nothing that is announced later is taken for that.
    pub(crate) spent: BTreeSet<String>,
    /// What it calls tracks that it may not publish, or codecs that nobody asks for: a section that sends one even so is not taken for what is announced
    /// later.
    pub(crate) denied: BTreeSet<String>,
    /// What is known of the line to it.
    pub(crate) downlink: Downlink,
    /// It has come back, and has not said yet what it has got of reliable data.
    pub(crate) lacks_data: bool,
}

impl Participant {
    pub(crate) fn new(mut joining: Joining, now: Now) -> Self {
        let publishing = Rate::one_in(PUBLISH_BURST, PUBLISH_EVERY);
        let permitting = Rate::one_in(PERMIT_BURST, PERMIT_EVERY);
        let agreeing = Rate::one_in(AGREE_BURST, AGREE_EVERY);
        // A token agrees to nothing.
        joining.attributes.remove(CONSENT);
        Self {
            person: Person::of(&joining),
            is_server: joining.is_server,
            // A token that is good once has been used by now.
            refresh_at: if joining.serial > 0 { now.at } else { now.at + REFRESH_EVERY },
            serial: joining.serial,
            given_serial: joining.serial,
            publishing: Pace::new(publishing, now.at),
            permitting: Pace::new(permitting, now.at),
            consent: Consent::NotAsked,
            agreeing: Pace::new(agreeing, now.at),
            sid: joining.sid,
            identity: joining.identity,
            name: joining.name,
            metadata: joining.metadata,
            attributes: joining.attributes,
            grants: joining.grants,
            kind: joining.kind,
            state: participant_info::State::Joined,
            version: 1,
            joined_unix_ms: now.unix_ms,
            auto_subscribe: joining.auto_subscribe,
            pending: Vec::new(),
            published: Vec::new(),
            early_settings: BTreeMap::new(),
            refused: BTreeSet::new(),
            wanted: BTreeSet::new(),
            awaited: BTreeMap::new(),
            permission: None,
            last_reliable_sequence: 0,
            data: DataQueue::default(),
            data_since: 0,
            data_tracks: DataTracksOf::default(),
            blobs: Blobs::default(),
            client: Client::of(&joining.client),
            kind_details: joining.kind_details,
            simulated: Simulated::default(),
            spent: BTreeSet::new(),
            denied: BTreeSet::new(),
            downlink: Downlink::default(),
            lacks_data: false,
        }
    }

    /// What it calls so is not to be taken for anything that it announces.
    pub(crate) fn deny(&mut self, cid: String) {
        self.denied.insert(cid);
        if self.denied.len() > PENDING_TRACKS {
            self.denied.pop_first();
        }
    }

    /// Takes a new description over: what is empty in it stays, but an attribute without a value goes.
    pub(crate) fn describe(&mut self, metadata: &str, attributes: &HashMap<String, String>) {
        if !metadata.is_empty() {
            metadata.clone_into(&mut self.metadata);
        }
        for (key, value) in attributes {
            if value.is_empty() {
                self.attributes.remove(key);
            } else {
                self.attributes.insert(key.clone(), value.clone());
            }
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.state == participant_info::State::Active
    }

    /// Recorders make the room show that it is being recorded.
    pub(crate) fn is_recorder(&self) -> bool {
        self.kind == participant_info::Kind::Egress || self.grants.recorder
    }

    /// Whether it is a program that takes part: it may speak for others.
    pub(crate) fn is_agent(&self) -> bool {
        self.kind == participant_info::Kind::Agent || self.grants.agent
    }

    /// Whether it is a recorder or an agent: these keep no room open and are not counted.
    pub(crate) fn is_dependent(&self) -> bool {
        self.is_recorder() || self.is_agent()
    }

    /// Whether what it publishes is recorded. Who was not seen when they agreed is not known to those who record.
    pub(crate) fn is_recorded(&self) -> bool {
        self.consent == Consent::NotAsked || (self.consent.is_recorded() && self.is_visible())
    }

    /// Whether clients see it.
    pub(crate) fn is_visible(&self) -> bool {
        !self.grants.hidden
    }

    /// The fact that recorders get when it is there.
    pub(crate) fn joined_fact(&self) -> Fact {
        Fact::ParticipantJoined {
            sid: self.sid.clone(),
            identity: self.identity.clone(),
            name: self.name.clone(),
        }
    }

    /// What recorders are told of what it answered. Whom they know nothing of has not agreed; who was seen when they agreed and is not any more
    /// may still take it back.
    pub(crate) fn consent_fact(&self) -> Option<Fact> {
        let answer = self.consent.answer().filter(|answer| self.is_visible() || !answer.agrees)?;
        Some(Fact::Consent { sid: self.sid.clone(), answer })
    }

    /// What the server may set of its attributes: all but what it answered. That can be said as it is, by whoever writes back what they read.
    ///
    /// # Errors
    /// [`AdminRefusal::Consent`].
    pub(crate) fn settable(
        &self,
        attributes: &HashMap<String, String>,
    ) -> Result<HashMap<String, String>, AdminRefusal> {
        let mut attributes = attributes.clone();
        match attributes.remove(CONSENT) {
            Some(said) if said != self.consent.word() => Err(AdminRefusal::Consent),
            _ => Ok(attributes),
        }
    }

    /// The participant as clients see it; `tracks` are its announced tracks.
    pub(crate) fn info(&self, tracks: Vec<TrackInfo>) -> ParticipantInfo {
        let mut attributes: HashMap<String, String> = self.attributes.clone().into_iter().collect();
        if self.consent != Consent::NotAsked {
            attributes.insert(CONSENT.to_owned(), self.consent.word().to_owned());
        }
        ParticipantInfo {
            sid: self.sid.to_string(),
            identity: self.identity.to_string(),
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            attributes,
            state: self.state.into(),
            is_publisher: !tracks.is_empty(),
            tracks,
            joined_at: self.joined_unix_ms / 1000,
            joined_at_ms: self.joined_unix_ms,
            version: self.version,
            permission: Some(self.grants.permission()),
            kind: self.kind.into(),
            kind_details: self.kind_details.clone(),
            client_protocol: self.client.client_protocol,
            capabilities: self.client.capabilities.clone(),
            ..Default::default()
        }
    }

    /// Whether the publisher lets `identity`/`sid` subscribe to `track`. Recorders are exempt.
    pub(crate) fn permits(&self, subscriber: &Self, track: &TrackSid) -> bool {
        self.permission.as_ref().is_none_or(|permission| permission.permits(subscriber, track))
    }
}

/// Which clients hear of a change of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Everybody else.
    Others,
    /// Itself too.
    All,
}
