//! Who may join, or come back, by their token and what they ask for.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode, header};
use reelroom_limits::signalling::NAME_BYTES;
use reelroom_protocol::ids::{ParticipantSid, RoomName};
use reelroom_protocol::proto::{ClientInfo, RoomCompositeEgressRequest};
use reelroom_protocol::token::{self, Claims};
use reelroom_sfu::{Joining, Refusal, RoomOptions, Standing};

use super::join_request::{self, Wishes};
use crate::introduction;
use crate::mux::addresses::Reach;
use crate::peer::{Connections, Opening};
use crate::room_options::Wanted;
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
    /// From its beginning on, if this opens it.
    pub(super) recorded: Option<RoomCompositeEgressRequest>,
    pub(super) joining: Joining,
    pub(super) reach: Reach,
    pub(super) opening: Opening,
    /// They get every data track without asking.
    pub(super) auto_subscribe_data: bool,
    /// They can be told that a stream is paused.
    pub(super) allows_pause: bool,
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

/// What somebody says of themselves beside their token.
struct Introduction {
    client: ClientInfo,
    /// Instead of the token's, unless it is empty.
    metadata: String,
    /// Beside the token's.
    attributes: BTreeMap<String, String>,
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
    let (introduction, opening) = match wishes {
        None => {
            let attributes = introduction::attributes(&params)
                .ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "cannot decode attributes"))?;
            let client = introduction::client(&params);
            (Introduction { client, metadata: String::new(), attributes }, Opening::Two)
        }
        Some(wishes) => {
            let Wishes { client, metadata, attributes, tracks, offer, .. } = wishes;
            let attributes = attributes.into_iter().collect();
            (Introduction { client, metadata, attributes }, Opening::One { tracks, offer })
        }
    };
    let (Wanted { options, recorded }, joining) = check(server, &params, headers, purpose, introduction)?;
    Ok(Admission {
        options,
        recorded,
        joining,
        reach: server.reach(peer, headers),
        opening,
        auto_subscribe_data: is_set("auto_subscribe_data_track"),
        allows_pause: is_set("subscriber_allow_pause"),
        resumes,
    })
}

fn check(
    server: &MediaServer,
    params: &Params,
    headers: &HeaderMap,
    purpose: Purpose,
    introduction: Introduction,
) -> Result<(Wanted, Joining), Refused> {
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
    if grants.room.is_empty() {
        return Err(refuse(StatusCode::BAD_REQUEST, "no room name"));
    }
    let room = RoomName::from(grants.room.as_str());
    if server.rooms().is_closing(&room) {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, RESTARTING));
    }
    let most = match server.gate().standing_at_the_door(&claims.ticket, &room, Instant::now()) {
        // Who is in may stay.
        Standing::NotAgain if purpose == Purpose::Resume => None,
        Standing::NotAgain | Standing::Over => {
            return Err(refuse(StatusCode::UNAUTHORIZED, &Refusal::Over.to_string()));
        }
        Standing::AtMost(most) | Standing::StaysAtMost(most) => Some(most),
        Standing::AsSaid => None,
    };
    let wanted = Wanted::of_token(&grants.room, &claims)
        .map_err(|refusal| (StatusCode::BAD_REQUEST, refusal.to_string()))?;
    let Introduction { client, metadata, attributes } = introduction;
    let mut joining = Joining {
        sid: ParticipantSid::generate(&mut rand::rng()),
        identity: identity.into(),
        ticket: claims.ticket.clone(),
        serial: claims.serial,
        issued_unix_s: claims.issued_unix_s(),
        is_server: false,
        name: claims.name.clone(),
        metadata: claims.metadata.clone(),
        attributes: claims.attributes.clone(),
        kind: claims.participant_kind(),
        grants,
        auto_subscribe: params.get("auto_subscribe").is_none_or(|value| value != "0" && value != "false"),
        client,
        kind_details: claims.kind_details(),
    };
    // Whoever takes up a session again was introduced as it began.
    if purpose == Purpose::Join && !joining.introduces_itself(&metadata, attributes, most.as_deref()) {
        return Err(refuse(StatusCode::UNAUTHORIZED, "permissions denied"));
    }
    if server.gate().was_removed(&joining, &wanted.options.name) {
        return Err(refuse(StatusCode::UNAUTHORIZED, &Refusal::Over.to_string()));
    }
    joining.check().map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok((wanted, joining))
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
    let late_s = match purpose {
        Purpose::Join => 0,
        // A client that is in has been given fresh tokens meanwhile, which are good for so long, whether it kept them or not.
        Purpose::Resume => FRESH_TOKEN_VALID.as_secs(),
    };
    token::verify_late(server.keys(), token, now_unix_s, late_s).map_err(|error| refuse(error.to_string()))
}
