//! What whoever opens a room may ask for: CreateRoom, or the token of the first participant.
//!
//! ```text
//!   CreateRoomRequest ──────────┐
//!   roomConfig, roomPreset ─────┴─► Wanted: the room's options, and how it is recorded from its beginning on
//!                                     └ what is too much, or is not offered here: refused, or told in the log
//! ```

use reelroom_agents::AgentsError;
use reelroom_limits::signalling::{METADATA_BYTES, NAME_BYTES};
use reelroom_protocol::proto::{
    CreateRoomRequest, RoomCompositeEgressRequest, RoomConfiguration, RoomEgress,
};
use reelroom_protocol::token::Claims;
use reelroom_protocol::twirp::{TwirpCode, TwirpError};
use reelroom_sfu::RoomOptions;

/// A room as somebody wants it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) options: RoomOptions,
    /// From its beginning on.
    pub(crate) recorded: Option<RoomCompositeEgressRequest>,
}

/// Why a room is not opened so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RoomRefusal {
    #[error("request has missing or invalid field: name")]
    NoName,
    #[error("room name or metadata is too long")]
    TooLong,
    #[error(transparent)]
    Agents(#[from] AgentsError),
    /// There are none here.
    #[error("unknown room configuration in create room request")]
    Preset,
    #[error(
        "not supported by this recorder: recordings of each participant or track (egress.participant, egress.tracks)"
    )]
    Egress,
}

impl From<RoomRefusal> for TwirpError {
    fn from(refusal: RoomRefusal) -> Self {
        let code = match refusal {
            RoomRefusal::Egress => TwirpCode::Unimplemented,
            RoomRefusal::NoName | RoomRefusal::TooLong | RoomRefusal::Agents(_) | RoomRefusal::Preset => {
                TwirpCode::InvalidArgument
            }
        };
        Self::new(code, refusal.to_string())
    }
}

impl Wanted {
    /// As CreateRoom asks for it.
    ///
    /// # Errors
    /// See [`RoomRefusal`].
    pub(crate) fn of_request(request: &CreateRoomRequest) -> Result<Self, RoomRefusal> {
        if request.name.is_empty() {
            return Err(RoomRefusal::NoName);
        }
        let config = RoomConfiguration {
            empty_timeout: request.empty_timeout,
            departure_timeout: request.departure_timeout,
            max_participants: request.max_participants,
            metadata: request.metadata.clone(),
            egress: request.egress.clone(),
            min_playout_delay: request.min_playout_delay,
            max_playout_delay: request.max_playout_delay,
            sync_streams: request.sync_streams,
            agents: request.agents.clone(),
            ..Default::default()
        };
        if request.replay_enabled {
            tell_ignored(&request.name, "replayEnabled");
        }
        Self::with(&request.name, config, &request.room_preset)
    }

    /// As the token asks for it by which somebody may come who opens it.
    ///
    /// # Errors
    /// See [`RoomRefusal`].
    pub(crate) fn of_token(name: &str, claims: &Claims) -> Result<Self, RoomRefusal> {
        Self::with(name, claims.room_config.clone().unwrap_or_default(), &claims.room_preset)
    }

    fn with(name: &str, config: RoomConfiguration, preset: &str) -> Result<Self, RoomRefusal> {
        if name.len() > NAME_BYTES || config.metadata.len() > METADATA_BYTES {
            return Err(RoomRefusal::TooLong);
        }
        if !preset.is_empty() {
            return Err(RoomRefusal::Preset);
        }
        reelroom_agents::check(&config.agents)?;
        let RoomEgress { room: recorded, participant, tracks } = config.egress.unwrap_or_default();
        if participant.is_some() || tracks.is_some() {
            return Err(RoomRefusal::Egress);
        }
        // Nothing in an answer could say so, and a room without them is one all the same.
        if config.min_playout_delay > 0 || config.max_playout_delay > 0 {
            tell_ignored(name, "minPlayoutDelay and maxPlayoutDelay");
        }
        let options = RoomOptions {
            name: name.into(),
            empty_timeout_s: config.empty_timeout,
            departure_timeout_s: config.departure_timeout,
            max_participants: config.max_participants,
            metadata: config.metadata,
            agents: config.agents,
            sync_streams: config.sync_streams,
            ..RoomOptions::default()
        };
        Ok(Self { options, recorded })
    }
}

fn tell_ignored(room: &str, what: &str) {
    tracing::info!(room, "a room is asked for with {what}, which this server does not offer: it is ignored");
}

#[cfg(test)]
mod tests {
    use reelroom_limits::agents::{DISPATCH_METADATA_BYTES, DISPATCHES};
    use reelroom_protocol::proto::{AutoParticipantEgress, AutoTrackEgress, RoomAgentDispatch};

    use super::*;

    fn request() -> CreateRoomRequest {
        CreateRoomRequest { name: "r".into(), ..Default::default() }
    }

    fn refused(request: &CreateRoomRequest) -> RoomRefusal {
        Wanted::of_request(request).unwrap_err()
    }

    #[test]
    fn a_room_is_wanted_as_a_request_or_a_token_asks_for_it() {
        let agent = |name: &str| RoomAgentDispatch { agent_name: name.into(), ..Default::default() };
        let recorded = RoomCompositeEgressRequest { layout: "speaker".into(), ..Default::default() };
        let egress = RoomEgress { room: Some(recorded.clone()), ..Default::default() };
        let said = CreateRoomRequest {
            empty_timeout: 7,
            departure_timeout: 8,
            max_participants: 9,
            metadata: "m".into(),
            agents: vec![agent("a"), agent("b")],
            egress: Some(egress.clone()),
            tags: [("a".to_owned(), "b".to_owned())].into(),
            sync_streams: true,
            ..request()
        };
        let config = RoomConfiguration {
            name: "of no room".into(),
            empty_timeout: 7,
            departure_timeout: 8,
            max_participants: 9,
            metadata: "m".into(),
            agents: vec![agent("a"), agent("b")],
            egress: Some(egress),
            sync_streams: true,
            ..Default::default()
        };
        let claims = Claims { room_config: Some(config), ..Claims::default() };
        for wanted in [Wanted::of_request(&said).unwrap(), Wanted::of_token("r", &claims).unwrap()] {
            let options = &wanted.options;
            let times = (options.empty_timeout_s, options.departure_timeout_s, options.max_participants);
            assert_eq!((options.name.as_str(), options.metadata.as_str(), times), ("r", "m", (7, 8, 9)));
            assert_eq!((options.agents.len(), options.sync_streams), (2, true));
            assert_eq!(wanted.recorded.as_ref(), Some(&recorded));
        }
        assert!(Wanted::of_token("r", &Claims::default()).unwrap().recorded.is_none());
    }

    #[test]
    fn what_is_too_much_or_not_offered_is_refused_and_not_ignored() {
        assert_eq!(refused(&CreateRoomRequest::default()), RoomRefusal::NoName);
        assert_eq!(refused(&CreateRoomRequest { name: "x".repeat(257), ..request() }), RoomRefusal::TooLong);
        let long = "x".repeat(METADATA_BYTES + 1);
        assert_eq!(refused(&CreateRoomRequest { metadata: long, ..request() }), RoomRefusal::TooLong);
        assert_eq!(
            refused(&CreateRoomRequest { room_preset: "large".into(), ..request() }),
            RoomRefusal::Preset
        );
        let claims = Claims { room_preset: "large".into(), ..Claims::default() };
        assert_eq!(Wanted::of_token("r", &claims).unwrap_err(), RoomRefusal::Preset);
        let agents = vec![RoomAgentDispatch::default(); DISPATCHES + 1];
        let refusal = refused(&CreateRoomRequest { agents, ..request() });
        assert_eq!(refusal, RoomRefusal::Agents(AgentsError::TooManyDispatches));
        let metadata = "x".repeat(DISPATCH_METADATA_BYTES + 1);
        let agents = vec![RoomAgentDispatch { metadata, ..Default::default() }];
        let refusal = refused(&CreateRoomRequest { agents, ..request() });
        assert!(matches!(refusal, RoomRefusal::Agents(AgentsError::TooLong { .. })), "{refusal}");
        for egress in [
            RoomEgress { participant: Some(AutoParticipantEgress::default()), ..Default::default() },
            RoomEgress { tracks: Some(AutoTrackEgress::default()), ..Default::default() },
        ] {
            let refusal = refused(&CreateRoomRequest { egress: Some(egress), ..request() });
            assert_eq!(TwirpError::from(refusal).code, TwirpCode::Unimplemented);
        }
    }
}
