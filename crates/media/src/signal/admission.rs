//! Who may join, or come back, by their token and what they ask for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reelroom_limits::signalling::{METADATA_BYTES, NAME_BYTES};
use reelroom_protocol::ids::{ParticipantSid, RoomName};
use reelroom_protocol::token::{self, Claims, TokenError};
use reelroom_sfu::{Joining, Refusal, RoomOptions, Standing};
use serde::Deserialize;

use super::join_request;
use crate::mux::addresses::Reach;
use crate::peer::{Connections, Opening};
use crate::room_task::FRESH_TOKEN_VALID;
use crate::server::MediaServer;

/// To whoever would open a room while calls end. Clients of LiveKit's try again after this status, and after no other one that says no.
const RESTARTING: &str = "the server is about to restart and opens no more rooms: come back in a moment";

/// What was asked for in the address.
pub(super) type Params = HashMap<String, String>;
/// Its status, and what the client shows.
pub(super) type Refused = (StatusCode, String);

/// A request to join or to come back that may go on.
pub(super) struct Admission {
    pub(super) options: RoomOptions,
    pub(super) joining: Joining,
    pub(super) reach: Reach,
    pub(super) opening: Opening,
    /// As which session they come back.
    pub(super) resumes: Option<ParticipantSid>,
}

/// What somebody comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Join,
    /// To take up a session, as its bearer.
    Resume,
}

fn refuse(status: StatusCode, text: &str) -> Refused {
    (status, text.to_owned())
}

/// The checks of a join by this way, in LiveKit's order and words: clients show them.
pub(super) fn admit(
    server: &MediaServer,
    connections: Connections,
    mut params: Params,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<Admission, Refused> {
    let mut wishes = None;
    if connections == Connections::One {
        // Nothing is unpacked for whoever shows no token.
        claims(server, &params, headers, Purpose::Resume)?;
        let text = params
            .get("join_request")
            .ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "join_request is required"))?;
        let mut read = join_request::read(text)
            .map_err(|unreadable| (StatusCode::BAD_REQUEST, unreadable.to_string()))?;
        // What is said there stands for all the rest.
        params.retain(|name, _| name == "access_token");
        params.extend(std::mem::take(&mut read.params));
        wishes = Some(read);
    }
    let is_set = |name: &str| params.get(name).is_some_and(|value| value == "1" || value == "true");
    let session = || ParticipantSid::from(params.get("sid").map(String::as_str).unwrap_or_default());
    let resumes = is_set("reconnect").then(session);
    let purpose = if resumes.is_some() { Purpose::Resume } else { Purpose::Join };
    let (options, mut joining) = check(server, &params, headers, purpose)?;
    let opening = match wishes {
        None => Opening::Two,
        Some(wishes) => {
            let describes = !wishes.metadata.is_empty() || !wishes.attributes.is_empty();
            if describes && !joining.grants.may_update_own_metadata() {
                return Err(refuse(StatusCode::UNAUTHORIZED, "permissions denied"));
            }
            if !wishes.metadata.is_empty() {
                joining.metadata = wishes.metadata;
            }
            joining.attributes.extend(wishes.attributes);
            Opening::One { tracks: wishes.tracks, offer: wishes.offer }
        }
    };
    joining.check().map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(Admission { options, joining, reach: server.reach(peer, headers), opening, resumes })
}

fn check(
    server: &MediaServer,
    params: &Params,
    headers: &HeaderMap,
    purpose: Purpose,
) -> Result<(RoomOptions, Joining), Refused> {
    let claims = claims(server, params, headers, purpose)?;
    let Some(grants) = claims.video.clone().filter(|grants| grants.room_join) else {
        return Err(refuse(StatusCode::UNAUTHORIZED, "permissions denied"));
    };
    let identity = claims.identity().to_owned();
    if identity.is_empty() {
        return Err(refuse(StatusCode::BAD_REQUEST, "identity cannot be empty"));
    }
    if identity.len() > NAME_BYTES || grants.room.len() > NAME_BYTES {
        return Err(refuse(StatusCode::BAD_REQUEST, "identity or room name is too long"));
    }
    let room_metadata = claims.room_config.as_ref().map_or(0, |config| config.metadata.len());
    if room_metadata > METADATA_BYTES {
        return Err(refuse(StatusCode::BAD_REQUEST, "the metadata of the room is too long"));
    }
    if grants.room.is_empty() {
        return Err(refuse(StatusCode::BAD_REQUEST, "no room name"));
    }
    let room = RoomName::from(grants.room.as_str());
    if server.rooms().is_closing(&room) {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, RESTARTING));
    }
    let standing = server.gate().standing_at_the_door(&claims.ticket, &room, Instant::now());
    let may_come = match standing {
        Standing::Over => false,
        // Who is in may stay.
        Standing::NotAgain => purpose == Purpose::Resume,
        Standing::AsSaid | Standing::AtMost(_) | Standing::StaysAtMost(_) => true,
    };
    if !may_come {
        return Err(refuse(StatusCode::UNAUTHORIZED, &Refusal::Over.to_string()));
    }
    let config = claims.room_config.clone().unwrap_or_default();
    let options = RoomOptions {
        name: room,
        empty_timeout_s: config.empty_timeout,
        departure_timeout_s: config.departure_timeout,
        max_participants: config.max_participants,
        metadata: config.metadata,
        ..RoomOptions::default()
    };
    let joining = Joining {
        sid: ParticipantSid::generate(&mut rand::rng()),
        identity: identity.into(),
        ticket: claims.ticket.clone(),
        serial: claims.serial,
        issued_unix_s: claims.nbf,
        is_server: false,
        name: claims.name.clone(),
        metadata: claims.metadata.clone(),
        attributes: claims.attributes.clone(),
        kind: claims.participant_kind(),
        grants,
        auto_subscribe: params.get("auto_subscribe").is_none_or(|value| value != "0" && value != "false"),
    };
    if server.gate().was_removed(&joining, &options.name) {
        return Err(refuse(StatusCode::UNAUTHORIZED, &Refusal::Over.to_string()));
    }
    Ok((options, joining))
}

/// The token comes in the header, or, from browsers, in the query.
fn claims(
    server: &MediaServer,
    params: &Params,
    headers: &HeaderMap,
    purpose: Purpose,
) -> Result<Claims, Refused> {
    let refuse = |text: String| (StatusCode::UNAUTHORIZED, text);
    let token = match headers.get(header::AUTHORIZATION) {
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("Bearer "))
            .ok_or_else(|| refuse("invalid authorization header. Must start with Bearer ".to_owned()))?,
        None => params
            .get("access_token")
            .map(String::as_str)
            .ok_or_else(|| refuse("permissions denied".to_owned()))?,
    };
    let now_unix_s = (crate::room_task::now().unix_ms / 1000).unsigned_abs();
    let verified = match token::verify(server.keys(), token, now_unix_s) {
        Err(TokenError::Expired) if purpose == Purpose::Resume => {
            // A client that is in has been given fresh tokens meanwhile, which are good for so long, whether it kept them or not.
            match expiry(token).filter(|exp| exp.saturating_add(FRESH_TOKEN_VALID.as_secs()) >= now_unix_s) {
                Some(exp) => token::verify(server.keys(), token, exp),
                None => Err(TokenError::Expired),
            }
        }
        verified => verified,
    };
    verified.map_err(|error| refuse(error.to_string()))
}

/// When a token says that it expires. Nothing of it is believed before its signature is checked.
fn expiry(token: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Expiring {
        exp: u64,
    }
    let body = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    serde_json::from_slice::<Expiring>(&body).ok().map(|expiring| expiring.exp)
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::keys::ApiKeys;

    use super::*;

    #[test]
    fn the_expiry_of_a_token_is_read_without_its_signature() {
        let claims = Claims { sub: "ada".into(), exp: 1_800_000_000, ..Claims::default() };
        let token = token::mint(&ApiKeys::new("key", "a secret that is long enough to be one"), claims);
        assert_eq!(expiry(&token), Some(1_800_000_000));
        for nonsense in ["", ".", "a.b.c", "a.e30.c", "a.!!.c"] {
            assert_eq!(expiry(nonsense), None, "{nonsense}");
        }
    }
}
