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

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use reelroom_limits::signalling::{DEPARTURES_REMEMBERED, SIGNAL_LOST_FOR};
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    DisconnectReason, MuteTrackRequest, ParticipantInfo, ParticipantUpdate, PublishDataTrackResponse,
    ReconnectResponse, RoomUpdate, StreamState, StreamStateUpdate, SyncState, TrackPublishedResponse,
    UpdateTrackSettings, VideoQuality, signal_response,
};

use crate::info::server_info;
use crate::packet::stream_state;
use crate::participant::{Joining, Participant};
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
    /// refreshed. What else it may not have heard follows by itself.
    pub fn resume(
        &mut self,
        sid: &ParticipantSid,
        heard: Instant,
        now: Now,
    ) -> Vec<signal_response::Message> {
        let Some(participant) = self.participants.get_mut(sid) else { return Vec::new() };
        participant.refresh_at = now.at;
        participant.lacks_data = true;
        let reconnect = ReconnectResponse {
            client_configuration: participant.client.configuration(),
            server_info: Some(server_info()),
            last_message_seq: self.last_sequence(sid),
            ..Default::default()
        };
        let mut messages = vec![signal_response::Message::Reconnect(reconnect)];
        let held = self.ask_to_mute_again(sid);
        let is_held = !held.is_empty();
        messages.extend(held);
        let mut gone = self.departures.since(heard);
        // Of whoever has come again, or stays by another session, the present one is told.
        gone.retain(|info| self.sid_of(&info.identity).is_none());
        // Whoever reads of itself that it is muted, and is not, says so, and is not muted any more: it hears of itself with its echo.
        let is_told = |other: &&Participant| if other.sid == *sid { !is_held } else { other.is_visible() };
        let seen = self.participants.values().filter(is_told);
        let here = seen.filter_map(|other| self.participant_info(&other.sid)).collect();
        let update = |participants| signal_response::Message::Update(ParticipantUpdate { participants });
        if !gone.is_empty() {
            messages.push(update(gone));
        }
        messages.push(update(here));
        let room = RoomUpdate { room: Some(self.info()) };
        messages.push(signal_response::Message::RoomUpdate(room));
        self.tell_again(sid, now);
        messages
    }

    /// A moderator may have muted a track while its publisher did not hear of it.
    fn ask_to_mute_again(&mut self, sid: &ParticipantSid) -> Vec<signal_response::Message> {
        let due = self.echo_is_due();
        let held = self.tracks.iter_mut().filter(|(_, track)| track.publisher == *sid && track.held);
        held.map(|(track_sid, track)| {
            track.echo_due = Some(due);
            let mute = MuteTrackRequest { sid: track_sid.to_string(), muted: true };
            signal_response::Message::Mute(mute)
        })
        .collect()
    }

    /// What goes by changes alone is told as it is now: streams that are paused, who speaks, which layers are wanted, how connections are, and what
    /// the handles of data tracks mean.
    fn tell_again(&mut self, sid: &ParticipantSid, now: Now) {
        let Some(participant) = self.participants.get(sid) else { return };
        let (allows_pause, published) = (participant.downlink.allows_pause, participant.published.clone());
        let mut stream_states = Vec::new();
        let (mut seen, mut heard) = (BTreeSet::new(), BTreeSet::new());
        for (track_sid, track) in &self.tracks {
            let Some(subscription) = track.down.get(sid) else { continue };
            seen.insert(track.publisher.clone());
            if !track.is_video() {
                heard.insert(track.publisher.clone());
            } else if allows_pause && subscription.is_wanted() {
                let state =
                    if subscription.is_told_paused { StreamState::Paused } else { StreamState::Active };
                stream_states.push(stream_state(&track.publisher, track_sid, state));
            }
        }
        if !stream_states.is_empty() {
            let update = StreamStateUpdate { stream_states };
            self.signal(sid, signal_response::Message::StreamStateUpdate(update));
        }
        self.tell_of_speakers(sid, &heard);
        self.qualities.tells_again(sid, &seen);
        for track_sid in published {
            if let Some(track) = self.tracks.get_mut(&track_sid) {
                track.codings.iter_mut().for_each(|coding| coding.dynacast.forget());
            }
            self.report_wanted(&track_sid, now);
        }
        self.tell_handles_again(sid);
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
        let is_known_data = |said: &PublishDataTrackResponse| {
            said.info.as_ref().is_none_or(|track| participant.data_tracks.publishes(&track.sid))
        };
        let agrees =
            state.publish_tracks.iter().all(is_known) && state.publish_data_tracks.iter().all(is_known_data);
        if !agrees {
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
        if let Some(said) = &state.data_subscription {
            self.update_data_subscription(from, said, now);
        }
        // Once each time that it comes back: what is remembered is much, and a few bytes ask for it.
        let lacks_data = self.participants.get_mut(from).map(|participant| &mut participant.lacks_data);
        if lacks_data.is_some_and(std::mem::take) {
            self.replay(from, &state.datachannel_receive_states);
        }
    }
}

#[cfg(test)]
mod tests;
