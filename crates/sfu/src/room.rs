//! The room: joining, leaving, closing, and the calls of its administrators.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reelroom_limits::signalling::{METADATA_BYTES, PARTICIPANTS};
use reelroom_protocol::ids::{DataTrackSid, ParticipantSid, RoomName, RoomSid, TrackSid};
use reelroom_protocol::proto::{
    self, DisconnectReason, JoinResponse, LeaveRequest, ParticipantInfo, RoomEndReason, TrackInfo,
    UpdateParticipantRequest, leave_request, participant_info, signal_response,
};
use reelroom_protocol::token::VideoGrants;

use crate::admin::{Nonces, Rpcs};
use crate::codec::Codec;
use crate::consent::Consents;
use crate::counts::Counts;
use crate::data::replay::Replay;
use crate::data_track::DataTrack;
use crate::layers::{KeyframeFor, Layer};
use crate::output::{Fact, Output};
use crate::participant::{AdminRefusal, Audience, Joining, Participant, Refusal};
use crate::person::Changes;
use crate::quality::Qualities;
use crate::recording::Recording;
use crate::resume::Departures;
use crate::speakers::Speakers;
use crate::track::Track;

const DEFAULT_EMPTY_TIMEOUT_S: u32 = 300;
const DEFAULT_DEPARTURE_TIMEOUT_S: u32 = 20;
/// How often the end of the room, silent layers and missing keyframes are looked at.
const TICK: Duration = Duration::from_millis(250);

/// The time, twice: for intervals, and as LiveKit writes it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For everything that is compared.
    pub at: Instant,
    /// Unix time in milliseconds, for messages to clients.
    pub unix_ms: i64,
}

/// How a room begins.
#[derive(Clone, Debug, Default)]
pub struct RoomOptions {
    /// New for this life of the room.
    pub sid: RoomSid,
    /// Its name.
    pub name: RoomName,
    /// Seconds after which a room closes to which no participant came; 0 for LiveKit's 300.
    pub empty_timeout_s: u32,
    /// Seconds after which a room closes that its last participant left; 0 for LiveKit's 20.
    pub departure_timeout_s: u32,
    /// As LiveKit's; 0 for no other limit than the next one.
    pub max_participants: u32,
    /// However many a room may ask for; 0 for [`PARTICIPANTS`].
    pub participants_at_most: u32,
    /// Free text.
    pub metadata: String,
    /// Ids of tracks follow from it.
    pub seed: u64,
    /// The agents that are to come, as CreateRoom or the first token names them. They are not the room's to send.
    pub agents: Vec<proto::RoomAgentDispatch>,
    /// Whether what belongs together, such as a camera and a microphone, comes as one media stream, so that clients play it in step.
    pub sync_streams: bool,
}

/// Why a room is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomEnd {
    /// The last participant is gone.
    Empty,
    /// DeleteRoom.
    Deleted,
    /// The server stops.
    Shutdown,
    /// The server starts anew: everybody is told to come back.
    HandOver,
}

/// See the crate's documentation.
#[derive(Debug)]
pub struct Room {
    pub(crate) base: proto::Room,
    pub(crate) participants: BTreeMap<ParticipantSid, Participant>,
    pub(crate) tracks: BTreeMap<TrackSid, Track>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) speakers: Speakers,
    pub(crate) ids: StdRng,
    pub(crate) changes: Changes,
    pub(crate) consents: Consents,
    participants_at_most: usize,
    /// Senders of reliable data that may not send as much as they want.
    pub(crate) slowed_senders: BTreeSet<ParticipantSid>,
    created: Instant,
    pub(crate) last_left: Option<Instant>,
    pub(crate) next_tick: Instant,
    end: Option<RoomEnd>,
    /// A recorder comes in a moment.
    pub(crate) recorder_comes: bool,
    /// Reliable data that was sent of late.
    pub(crate) replay: Replay,
    pub(crate) data_tracks: BTreeMap<DataTrackSid, DataTrack>,
    pub(crate) rpcs: Rpcs,
    pub(crate) nonces: Nonces,
    pub(crate) sync_streams: bool,
    pub(crate) counts: Counts,
    pub(crate) qualities: Qualities,
    /// What recorders take.
    pub(crate) recordings: BTreeMap<ParticipantSid, Recording>,
    /// Who speaks or did of late, and when last.
    pub(crate) spoke: BTreeMap<ParticipantSid, Instant>,
    pub(crate) departures: Departures,
}

impl Room {
    /// An empty room; its `room_started` webhook is the first output.
    pub fn new(options: RoomOptions, now: Now) -> Self {
        let or = |value: u32, default: u32| if value == 0 { default } else { value };
        let base = proto::Room {
            sid: options.sid.to_string(),
            name: options.name.to_string(),
            empty_timeout: or(options.empty_timeout_s, DEFAULT_EMPTY_TIMEOUT_S),
            departure_timeout: or(options.departure_timeout_s, DEFAULT_DEPARTURE_TIMEOUT_S),
            max_participants: options.max_participants,
            creation_time: now.unix_ms / 1000,
            creation_time_ms: now.unix_ms,
            metadata: options.metadata,
            enabled_codecs: Codec::ALL
                .map(|codec| proto::Codec { mime: codec.mime().to_owned(), ..Default::default() })
                .into(),
            ..Default::default()
        };
        let at_most = or(options.participants_at_most, PARTICIPANTS);
        let mut room = Self {
            participants_at_most: at_most.min(or(base.max_participants, at_most)) as usize,
            base,
            participants: BTreeMap::new(),
            tracks: BTreeMap::new(),
            outputs: VecDeque::new(),
            speakers: Speakers::default(),
            ids: StdRng::seed_from_u64(options.seed),
            changes: Changes::default(),
            consents: Consents::default(),
            slowed_senders: BTreeSet::new(),
            created: now.at,
            last_left: None,
            next_tick: now.at + TICK,
            end: None,
            recorder_comes: false,
            replay: Replay::new(now.at),
            data_tracks: BTreeMap::new(),
            rpcs: Rpcs::default(),
            nonces: Nonces::default(),
            sync_streams: options.sync_streams,
            counts: Counts::new(now),
            qualities: Qualities::new(now),
            recordings: BTreeMap::new(),
            spoke: BTreeMap::new(),
            departures: Departures::default(),
        };
        room.webhook("room_started", |_, _| {});
        room
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Room::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Instant {
        self.speakers.next_window().map_or(self.next_tick, |window| window.min(self.next_tick))
    }

    /// Its name.
    pub fn name(&self) -> RoomName {
        self.base.name.as_str().into()
    }

    /// Why the room is over, once it is.
    pub fn end(&self) -> Option<RoomEnd> {
        self.end
    }

    /// A participant joins. The answer is the first message to send; messages to others are output.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn join(&mut self, joining: Joining, now: Now) -> Result<JoinResponse, Refusal> {
        self.admit(joining, None, now)
    }

    /// The same, for somebody who may do no more than this, whatever their token says and however the server left them when they were here
    /// before.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn join_at_most(
        &mut self,
        joining: Joining,
        most: &VideoGrants,
        now: Now,
    ) -> Result<JoinResponse, Refusal> {
        self.admit(joining, Some(most), now)
    }

    fn admit(
        &mut self,
        mut joining: Joining,
        most: Option<&VideoGrants>,
        now: Now,
    ) -> Result<JoinResponse, Refusal> {
        if self.end.is_some() {
            return Err(Refusal::Closed);
        }
        let older = self.recognise(&mut joining)?;
        if let Some(most) = most {
            joining.grants = joining.grants.narrowed_to(most);
        }
        let mut participant = Participant::new(joining, now);
        participant.consent = self.consents.of(&participant);
        participant.data_since = self.replay.place();
        let others = self.participants.values().filter(|other| Some(&other.sid) != older.as_ref());
        let counted = others.filter(|other| !other.is_dependent()).count();
        if !participant.is_dependent() && counted >= self.participants_at_most {
            return Err(Refusal::Full);
        }
        if let Some(older) = older {
            self.leave(&older, DisconnectReason::DuplicateIdentity, now);
        }
        let sid = participant.sid.clone();
        let is_recorder = participant.is_recorder();
        self.participants.insert(sid.clone(), participant);
        let response = self.join_response(&sid);
        self.announce(&sid, Audience::Others);
        if is_recorder {
            self.recorder_comes = false;
            self.announce_room();
        }
        Ok(response)
    }

    /// A participant's primary connection stands: it is active, seen, and gets what is published.
    pub fn connected(&mut self, sid: &ParticipantSid, now: Now) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if participant.is_active() {
            return;
        }
        participant.state = participant_info::State::Active;
        let fact =
            (participant.is_visible() && !participant.is_recorder()).then(|| participant.joined_fact());
        let consent = participant.consent_fact();
        self.outputs.extend(fact.into_iter().chain(consent).map(Output::Fact));
        self.announce(sid, Audience::All);
        let info = self.participant_info(sid);
        self.webhook("participant_joined", |_, hook| hook.participant = info);
        let tracks: Vec<_> = self.tracks.keys().cloned().collect();
        for track in tracks {
            self.subscribe_by_default(sid, &track, now);
        }
        self.open_data(sid);
        self.subscribe_to_data(sid);
        self.publish_waiting(sid, now);
    }

    /// A session ends, for whatever reason. A reason of the server's is said to it first. Whoever wants to be in, and whose connection or state
    /// is of no use any more, comes back by itself.
    pub fn leave(&mut self, sid: &ParticipantSid, reason: DisconnectReason, now: Now) {
        let action = match reason {
            DisconnectReason::StateMismatch
            | DisconnectReason::ConnectionTimeout
            | DisconnectReason::MediaFailure
            | DisconnectReason::Migration => leave_request::Action::Reconnect,
            _ => leave_request::Action::Disconnect,
        };
        self.part(sid, reason, action, now);
    }

    /// The same, and what its client does then.
    pub(crate) fn part(
        &mut self,
        sid: &ParticipantSid,
        reason: DisconnectReason,
        action: leave_request::Action,
        now: Now,
    ) {
        if !self.participants.contains_key(sid) {
            return;
        }
        if !matches!(reason, DisconnectReason::ClientInitiated | DisconnectReason::SignalClose) {
            self.signal(
                sid,
                signal_response::Message::Leave(LeaveRequest {
                    reason: reason.into(),
                    action: action.into(),
                    // Clients of before actions were told go by this.
                    can_reconnect: action == leave_request::Action::Reconnect,
                    ..Default::default()
                }),
            );
        }
        self.outputs.push_back(Output::Disconnect(sid.clone()));
        let published = self.participants.get(sid).map(|p| p.published.clone()).unwrap_or_default();
        for track in published {
            self.unpublish(&track);
        }
        let subscribed: Vec<_> = self
            .tracks
            .iter()
            .filter(|(_, track)| track.down.contains_key(sid))
            .map(|(id, _)| id.clone())
            .collect();
        for track in subscribed {
            self.unsubscribe(sid, &track);
        }
        self.leave_data_tracks(sid);
        self.speakers.remove(sid);
        self.lose_rpcs_to(sid);
        self.qualities.remove(sid);
        self.spoke.remove(sid);
        self.recordings.remove(sid);
        let Some(mut participant) = self.participants.remove(sid) else { return };
        let was_active = participant.is_active();
        participant.state = participant_info::State::Disconnected;
        participant.version += 1;
        let info = ParticipantInfo { disconnect_reason: reason.into(), ..participant.info(Vec::new()) };
        if participant.is_visible() && reason != DisconnectReason::DuplicateIdentity {
            self.departures.note(&info, now.at);
            let others = self.participants.keys().cloned().collect();
            self.tell_of_participant(others, info.clone());
        }
        let event = if was_active { "participant_left" } else { "participant_connection_aborted" };
        self.webhook(event, |_, hook| hook.participant = Some(info));
        if was_active && participant.is_visible() && !participant.is_recorder() {
            self.outputs.push_back(Output::Fact(Fact::ParticipantLeft(sid.clone())));
        }
        if participant.is_recorder() {
            self.announce_room();
        }
        if !participant.is_dependent() {
            self.last_left = Some(now.at);
        }
    }

    /// RemoveParticipant.
    ///
    /// # Errors
    /// [`AdminRefusal::Recorder`].
    pub fn remove(&mut self, sid: &ParticipantSid, now: Now) -> Result<(), AdminRefusal> {
        self.may_be_changed(sid)?;
        self.leave(sid, DisconnectReason::ParticipantRemoved, now);
        Ok(())
    }

    fn may_be_changed(&self, sid: &ParticipantSid) -> Result<(), AdminRefusal> {
        let is_server = self.participants.get(sid).is_some_and(|participant| participant.is_server);
        if is_server { Err(AdminRefusal::Recorder) } else { Ok(()) }
    }

    /// MutePublishedTrack: nothing of the track is forwarded or recorded until its publisher unmutes it. The publisher is asked to mute,
    /// and echoes it. `None` where there is no such track.
    pub fn mute_by_admin(&mut self, sid: &TrackSid) -> Option<TrackInfo> {
        self.muted_by_moderator(sid);
        self.tracks.get(sid).map(|track| track.info.clone())
    }

    /// UpdateParticipant: empty name and metadata are left as they are, attributes are merged, a permission replaces
    /// the whole set and takes away what it does not allow. All of it outlives the session.
    ///
    /// # Errors
    /// [`AdminRefusal`]; then nothing is changed.
    pub fn update_participant(
        &mut self,
        sid: &ParticipantSid,
        request: &UpdateParticipantRequest,
        now: Now,
    ) -> Result<(), AdminRefusal> {
        self.may_be_changed(sid)?;
        let Some(participant) = self.participants.get_mut(sid) else { return Ok(()) };
        let attributes = participant.settable(&request.attributes)?;
        participant.bounds(&request.name, &request.metadata, METADATA_BYTES, &attributes)?;
        participant.describe(&request.metadata, &attributes);
        if let Some(permission) = &request.permission {
            participant.grants.apply(permission);
        }
        let grants = participant.grants.clone();
        self.rename(sid, &request.name);
        self.enforce_sources(sid);
        let tracks: Vec<_> = self.tracks.keys().cloned().collect();
        for track in tracks {
            if grants.may_subscribe() {
                self.subscribe_by_default(sid, &track, now);
            } else {
                self.unsubscribe(sid, &track);
            }
        }
        self.announce(sid, Audience::All);
        self.remember(sid, now);
        Ok(())
    }

    /// Sets the display name, unless it is empty.
    pub(crate) fn rename(&mut self, sid: &ParticipantSid, name: &str) {
        let Some(participant) = self.participants.get_mut(sid) else { return };
        if name.is_empty() || participant.name == name {
            return;
        }
        name.clone_into(&mut participant.name);
        if participant.is_active() && participant.is_visible() {
            self.outputs
                .push_back(Output::Fact(Fact::ParticipantNamed { sid: sid.clone(), name: name.to_owned() }));
        }
    }

    /// UpdateRoomMetadata.
    pub fn update_metadata(&mut self, metadata: String) {
        self.base.metadata = metadata;
        self.announce_room();
    }

    /// The room ends for everybody.
    pub fn close(&mut self, end: RoomEnd, now: Now) {
        if self.end.is_some() {
            return;
        }
        let reason = match end {
            RoomEnd::Empty => DisconnectReason::RoomClosed,
            RoomEnd::Deleted => DisconnectReason::RoomDeleted,
            RoomEnd::Shutdown | RoomEnd::HandOver => DisconnectReason::ServerShutdown,
        };
        let action = match end {
            RoomEnd::HandOver => leave_request::Action::Reconnect,
            RoomEnd::Empty | RoomEnd::Deleted | RoomEnd::Shutdown => leave_request::Action::Disconnect,
        };
        // Before anybody goes: of those who all come back nobody is told that they are gone.
        self.end = Some(end);
        let everybody: Vec<_> = self.participants.keys().cloned().collect();
        for sid in everybody {
            self.part(&sid, reason, action, now);
        }
        let why = match end {
            RoomEnd::Empty => RoomEndReason::RoomEndIdleTimeout,
            RoomEnd::Deleted => RoomEndReason::RoomEndApiDelete,
            RoomEnd::Shutdown | RoomEnd::HandOver => RoomEndReason::RoomEndServerShutdown,
        };
        self.webhook("room_finished", |_, hook| hook.room_end_reason = why.into());
    }

    /// Time has come to [`Room::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now) {
        self.tell_speakers(now);
        if now.at >= self.next_tick {
            self.next_tick = now.at + TICK;
            self.refresh_layers(now);
            self.refresh_tokens(now);
            self.give_up_awaited(now);
            self.give_up_slow_receivers(now);
            self.look_at_replay(now);
            self.look_at_data_tracks(now);
            self.give_up_rpcs(now);
            self.tell_of_mutes(now);
            self.tell_counts(now);
            self.tell_qualities(now);
            self.close_if_empty(now);
        }
    }

    fn close_if_empty(&mut self, now: Now) {
        if self.end.is_some() || self.participants.values().any(|participant| !participant.is_dependent()) {
            return;
        }
        let (since, timeout_s) = match self.last_left {
            Some(left) => (left, self.base.departure_timeout),
            None => (self.created, self.base.empty_timeout),
        };
        if now.at.saturating_duration_since(since) >= Duration::from_secs(timeout_s.into()) {
            self.close(RoomEnd::Empty, now);
        }
    }

    /// Asks the publisher of a video track for a keyframe of `layer` in one of its codecs, unless it was asked a moment ago; then it is asked later.
    pub(crate) fn ask_keyframe(
        &mut self,
        track: &TrackSid,
        coding: usize,
        layer: Layer,
        whom: KeyframeFor,
        now: Now,
    ) {
        let Some(state) = self.tracks.get_mut(track) else { return };
        let asked = state.request_keyframe(track, coding, layer, whom, now.at);
        self.outputs.extend(asked);
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(crate) mod tests;
