//! `POST /token`: who may join which room.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use reelroom_protocol::token::{Claims, VideoGrants, mint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{self, Json};

/// As LiveKit's SDKs give by default. It bounds when a call may be joined, not how long it lasts.
const VALID: Duration = Duration::from_secs(6 * 60 * 60);
/// So long after its token was given somebody may still be on their way into the room.
const ON_THE_WAY: Duration = Duration::from_secs(30);
const SUFFIX_CHARS: usize = 4;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenRequest {
    /// Any text. The room is made when the first participant joins.
    #[schema(required = true)]
    room_name: Option<String>,
    /// What the others see.
    #[schema(required = true)]
    participant_name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TokenAnswer {
    /// A LiveKit access token for that room.
    token: String,
}

/// Makes a token for one participant of one room.
#[utoipa::path(post, path = "/token", request_body = TokenRequest, responses(
    (status = 200, body = TokenAnswer),
    (status = 400, description = "roomName or participantName is missing", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn create(
    State(app): State<WebApp>,
    Json(request): Json<TokenRequest>,
) -> Result<axum::Json<TokenAnswer>, ApiError> {
    let (Some(room_name), Some(participant_name)) = (&request.room_name, &request.participant_name) else {
        return Err(ApiError::BadRequest("roomName and participantName are required".into()));
    };
    let room_name = extract::name(Some(room_name.clone()), "roomName")?;
    let participant_name = extract::name(Some(participant_name.clone()), "participantName")?;
    let present = app.livekit().identities(&room_name).await?;
    let identity = app.identities().reserve(&room_name, &participant_name, &present, Instant::now());
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = Claims {
        sub: identity,
        name: participant_name,
        nbf: now_s,
        exp: now_s + VALID.as_secs(),
        video: Some(VideoGrants { room_join: true, room: room_name, ..VideoGrants::default() }),
        ..Claims::default()
    };
    Ok(axum::Json(TokenAnswer { token: mint(app.keys(), claims) }))
}

/// Identities given lately. A second participant of a name would push the first out of the room.
#[derive(Default)]
pub(crate) struct Identities {
    given: Mutex<HashMap<(String, String), Instant>>,
}

impl Identities {
    /// The name itself where nobody has it, otherwise the name and something of its own.
    fn reserve(&self, room: &str, name: &str, present: &[String], now: Instant) -> String {
        let mut given = self.given.lock().expect("no code panics while it holds the identities");
        given.retain(|_, at| now.saturating_duration_since(*at) < ON_THE_WAY);
        let mut identity = name.to_owned();
        while present.contains(&identity) || given.contains_key(&(room.to_owned(), identity.clone())) {
            let suffix: String =
                rand::rng().sample_iter(Alphanumeric).take(SUFFIX_CHARS).map(char::from).collect();
            identity = format!("{name}-{suffix}");
        }
        given.insert((room.to_owned(), identity.clone()), now);
        identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_use_or_on_its_way_gets_an_identity_of_its_own() {
        let identities = Identities::default();
        let now = Instant::now();
        assert_eq!(identities.reserve("r", "Ada", &[], now), "Ada");
        let second = identities.reserve("r", "Ada", &[], now);
        assert!(second.starts_with("Ada-") && second.len() == 8, "{second}");
        assert_eq!(identities.reserve("other", "Ada", &[], now), "Ada");
        let later = now + ON_THE_WAY;
        assert_ne!(identities.reserve("r", "Ada", &["Ada".into()], later), "Ada");
        assert_eq!(identities.reserve("r", "Ada", &[], later), "Ada");
    }
}
