//! The token by which an agent joins.

use std::time::Duration;

use reelroom_agents::Accepted;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{ParticipantPermission, participant_info};
use reelroom_protocol::token::{self, Claims, VideoGrants};

/// As with LiveKit. Whoever is in a room gets fresh ones there.
const VALID: Duration = Duration::from_secs(60 * 60);

/// For one room, with what the agent's worker lets it do there, and as whom it asked.
pub(super) fn mint(
    keys: &ApiKeys,
    room: &str,
    accepted: Accepted,
    permission: &ParticipantPermission,
    now_unix_s: u64,
) -> String {
    let mut grants =
        VideoGrants { room_join: true, room: room.to_owned(), agent: true, ..VideoGrants::default() };
    grants.apply(permission);
    let claims = Claims {
        sub: accepted.identity.into(),
        name: accepted.name,
        metadata: accepted.metadata,
        attributes: accepted.attributes.into_iter().collect(),
        kind: token::kind_name(participant_info::Kind::Agent).to_owned(),
        video: Some(grants),
        nbf: now_unix_s,
        exp: now_unix_s + VALID.as_secs(),
        ..Claims::default()
    };
    token::mint(keys, claims)
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::TrackSource;

    use super::*;

    #[test]
    fn an_agent_may_do_what_its_worker_lets_it_in_that_room_alone() {
        let keys = ApiKeys::new("key", "a secret that is long enough to be one");
        let accepted = Accepted {
            identity: "agent-1".into(),
            name: "Helper".into(),
            metadata: "be kind".into(),
            attributes: [("lk.agent_name".to_owned(), "helper".to_owned())].into(),
        };
        let permission = ParticipantPermission {
            can_publish: true,
            can_publish_sources: vec![TrackSource::Microphone.into()],
            can_publish_data: true,
            recorder: true,
            hidden: true,
            ..Default::default()
        };
        let token = mint(&keys, "room", accepted, &permission, 1_800_000_000);
        let claims = token::verify(&keys, &token, 1_800_000_000).unwrap();
        assert_eq!(claims.participant_kind(), participant_info::Kind::Agent);
        assert_eq!((claims.identity(), claims.name.as_str()), ("agent-1", "Helper"));
        assert_eq!(
            (claims.metadata.as_str(), claims.attributes["lk.agent_name"].as_str()),
            ("be kind", "helper")
        );
        let grants = claims.video.unwrap();
        assert!(grants.room_join && grants.room == "room" && grants.agent && grants.hidden);
        assert!(grants.may_publish_source(TrackSource::Microphone) && grants.may_publish_data());
        assert!(!grants.may_publish_source(TrackSource::Camera) && !grants.may_subscribe());
        assert!(!grants.recorder && !grants.room_admin && !grants.may_update_own_metadata());
        assert!(token::verify(&keys, &token, 1_800_000_000 + VALID.as_secs() + 61).is_err());
    }
}
