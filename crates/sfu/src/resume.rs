//! What a room does when somebody comes back whose signalling was lost, while the session goes on.
//!
//! ```text
//!   lost ─► the room goes on as if nothing were ─► a new connection ─► resume: how everything stands
//!              └ who leaves is remembered                       └────► sync_state: how the client thinks it stands
//! ```
//!
//! # Invariants
//!
//! - Nobody else hears of it.
//! - A session is taken up by whoever it belongs to: by the bearer of its ticket, with the token it began with or one that was given since; where
//!   there is no ticket, by the identity.
//! - A client that thinks it publishes what the room does not know joins anew: nothing else would make both agree.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use reelroom_limits::signalling::{DEPARTURES_REMEMBERED, SIGNAL_LOST_FOR};
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    DataChannelReceiveState, DisconnectReason, ParticipantInfo, ParticipantUpdate, ReconnectResponse,
    RoomUpdate, SyncState, TrackPublishedResponse, UpdateTrackSettings, VideoQuality, signal_response,
};

use crate::info::server_info;
use crate::participant::Joining;
use crate::person::Person;
use crate::room::{Now, Room};

/// What was said so shortly before somebody was last heard may have been lost already.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// Those who left of late, for whoever did not hear of it.
#[derive(Debug, Default)]
pub(crate) struct Departures(VecDeque<(Instant, ParticipantInfo)>);

impl Departures {
    /// Somebody has left whom others saw.
    pub(crate) fn note(&mut self, info: &ParticipantInfo, at: Instant) {
        let goes_on = |since: Instant| at.saturating_duration_since(since) <= SIGNAL_LOST_FOR + UNDER_WAY;
        while self.0.front().is_some_and(|(since, _)| !goes_on(*since))
            || self.0.len() >= DEPARTURES_REMEMBERED
        {
            self.0.pop_front();
        }
        // Who it was, and nothing that may be long.
        let gone = ParticipantInfo {
            sid: info.sid.clone(),
            identity: info.identity.clone(),
            state: info.state,
            version: info.version,
            disconnect_reason: info.disconnect_reason,
            ..Default::default()
        };
        self.0.push_back((at, gone));
    }

    /// Those who left since somebody was heard.
    fn since(&self, heard: Instant) -> Vec<ParticipantInfo> {
        let late = self.0.iter().filter(|(at, _)| *at + UNDER_WAY >= heard);
        late.map(|(_, info)| info.clone()).collect()
    }
}

impl Room {
    /// Whether a session is that of whoever comes with a token.
    pub fn is_session_of(&self, sid: &ParticipantSid, joining: &Joining) -> bool {
        self.participants.get(sid).is_some_and(|participant| {
            // One that is older than that of this session was another one's.
            let is_of_session = joining.serial == 0
                || (participant.serial..=participant.given_serial).contains(&joining.serial);
            !participant.is_server && participant.person == Person::of(joining) && is_of_session
        })
    }

    /// A participant comes back that was last heard at a time: what it is told, in this order, before anything else. Its token is due to be
    /// refreshed.
    pub fn resume(
        &mut self,
        sid: &ParticipantSid,
        heard: Instant,
        now: Now,
    ) -> Vec<signal_response::Message> {
        let Some(participant) = self.participants.get_mut(sid) else { return Vec::new() };
        participant.refresh_at = now.at;
        let reconnect = ReconnectResponse {
            server_info: Some(server_info()),
            last_message_seq: self.last_sequences(sid),
            ..Default::default()
        };
        let mut gone = self.departures.since(heard);
        // Of whoever has come again, or stays by another session, the present one is told.
        gone.retain(|info| self.sid_of(&info.identity).is_none());
        let seen = self.participants.values().filter(|other| other.sid == *sid || other.is_visible());
        let here = seen.filter_map(|other| self.participant_info(&other.sid)).collect();
        let update = |participants| signal_response::Message::Update(ParticipantUpdate { participants });
        let mut messages = vec![signal_response::Message::Reconnect(reconnect)];
        if !gone.is_empty() {
            messages.push(update(gone));
        }
        messages.push(update(here));
        let room = RoomUpdate { room: Some(self.info()) };
        messages.push(signal_response::Message::RoomUpdate(room));
        messages
    }

    /// How a client that has come back thinks that its session stands.
    pub(crate) fn sync_state(&mut self, from: &ParticipantSid, state: &SyncState, now: Now) {
        let Some(participant) = self.participants.get(from) else { return };
        let is_known = |said: &TrackPublishedResponse| {
            said.track.as_ref().is_none_or(|track| {
                participant.published.iter().any(|sid| sid.as_str() == track.sid)
                    || participant.pending.iter().any(|pending| pending.info.sid == track.sid)
            })
        };
        if !state.publish_tracks.iter().all(is_known) {
            return self.leave(from, DisconnectReason::StateMismatch, now);
        }
        if let Some(said) = &state.subscription {
            let in_participants = said.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
            let tracks = said.track_sids.iter().chain(in_participants).map(String::as_str);
            self.set_subscribed(from, tracks, said.subscribe, now);
        }
        if !state.track_sids_disabled.is_empty() {
            let disabled = UpdateTrackSettings {
                track_sids: state.track_sids_disabled.clone(),
                disabled: true,
                quality: VideoQuality::High.into(),
                ..Default::default()
            };
            self.set_track_settings(from, &disabled, now);
        }
        self.replay(from, &state.datachannel_receive_states);
    }

    /// The number of the last reliable packet that came from a participant: it sends those behind that again.
    pub(crate) fn last_sequences(&self, sid: &ParticipantSid) -> u32 {
        self.participants.get(sid).map_or(0, |participant| participant.last_reliable_sequence)
    }

    /// A receiver says what it has of each sender's reliable data. What waits for it goes on from where its connection was.
    pub(crate) fn replay(&mut self, to: &ParticipantSid, _received: &[DataChannelReceiveState]) {
        self.data_wanted(to);
    }
}

#[cfg(test)]
mod tests;
