//! `/rtc`: the WebSocket that clients join and signal by, and `/rtc/validate`, which says why that failed.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use axum::body::Bytes;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use reelroom_limits::signalling::NAME_BYTES;
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    DisconnectReason, LeaveRequest, SignalRequest, SignalResponse, leave_request, signal_response,
};
use reelroom_protocol::token::{self, Claims};
use reelroom_sfu::{Joining, RoomOptions};
use tokio::sync::mpsc;

use crate::mux::addresses::Reach;
use crate::room_task::{Arrival, Command};
use crate::server::MediaServer;

/// LiveKit's limit of a signalling message.
const MAX_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// How long a client that stops reading holds up the end of its connection.
const LAST_WORDS_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
/// Messages that may wait for a client that reads slowly.
const QUEUE: usize = 512;

pub(crate) fn router() -> Router<MediaServer> {
    Router::new()
        .route("/rtc", get(join))
        .route("/rtc/validate", get(validate))
        // One peer connection for both directions is not offered: 404 makes every client fall back to two.
        .route("/rtc/v1", get(not_offered))
        .route("/rtc/v1/validate", get(not_offered))
}

async fn not_offered() -> StatusCode {
    StatusCode::NOT_FOUND
}

type Params = Query<HashMap<String, String>>;

/// A request to join that may go on.
struct Admission {
    options: RoomOptions,
    joining: Joining,
    reach: Reach,
}

/// The address of the peer of a connection, where the server was told to keep it.
type PeerAddress = Option<Extension<ConnectInfo<SocketAddr>>>;

fn ip_of(peer: PeerAddress) -> Option<IpAddr> {
    peer.map(|Extension(ConnectInfo(address))| address.ip())
}

async fn validate(State(server): State<MediaServer>, Query(params): Params, headers: HeaderMap) -> Response {
    match admit(&server, &params, &headers, None) {
        Ok(_) => "success".into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn join(
    State(server): State<MediaServer>,
    Query(params): Params,
    headers: HeaderMap,
    peer: PeerAddress,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else { return StatusCode::NOT_FOUND.into_response() };
    let admission = match admit(&server, &params, &headers, ip_of(peer)) {
        Ok(admission) => admission,
        Err(refusal) => return refusal.into_response(),
    };
    let resumes = params.get("reconnect").is_some_and(|value| value == "1" || value == "true");
    upgrade
        .max_message_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            if resumes {
                restart(socket).await;
            } else {
                run(server, admission, socket).await;
            }
        })
        .into_response()
}

/// The checks of a join, in LiveKit's order and words: clients show them.
fn admit(
    server: &MediaServer,
    params: &HashMap<String, String>,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<Admission, (StatusCode, String)> {
    let refuse = |status, text: &str| (status, text.to_owned());
    let claims = claims(server, params, headers)?;
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
    let config = claims.room_config.clone().unwrap_or_default();
    Ok(Admission {
        options: RoomOptions {
            name: grants.room.as_str().into(),
            empty_timeout_s: config.empty_timeout,
            departure_timeout_s: config.departure_timeout,
            max_participants: config.max_participants,
            metadata: config.metadata,
            ..RoomOptions::default()
        },
        joining: Joining {
            sid: ParticipantSid::generate(&mut rand::rng()),
            identity: identity.into(),
            ticket: claims.ticket.clone(),
            issued_unix_s: claims.nbf,
            is_server: false,
            name: claims.name.clone(),
            metadata: claims.metadata.clone(),
            attributes: claims.attributes.clone(),
            kind: claims.participant_kind(),
            grants,
            auto_subscribe: params.get("auto_subscribe").is_none_or(|value| value != "0" && value != "false"),
        },
        reach: server.reach(peer, headers),
    })
}

/// The token comes in the header, or, from browsers, in the query.
fn claims(
    server: &MediaServer,
    params: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Result<Claims, (StatusCode, String)> {
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
    let now_unix_s = crate::room_task::now().unix_ms / 1000;
    token::verify(server.keys(), token, now_unix_s as u64).map_err(|error| refuse(error.to_string()))
}

/// A session cannot be taken up again: the client is told to join anew, which takes it a second.
async fn restart(mut socket: WebSocket) {
    let leave = LeaveRequest {
        reason: DisconnectReason::StateMismatch.into(),
        action: leave_request::Action::Reconnect.into(),
        can_reconnect: true,
        ..Default::default()
    };
    let _ = socket.send(encode(signal_response::Message::Leave(leave))).await;
    let _ = socket.send(Message::Close(None)).await;
}

/// Why nothing more is read from a client.
enum ReadEnd {
    ClientGone,
    RoomClosed,
}

async fn run(server: MediaServer, admission: Admission, socket: WebSocket) {
    let (mut to_client, mut from_client) = socket.split();
    let sid = admission.joining.sid.clone();
    let (signals, mut outgoing) = mpsc::channel(QUEUE);
    let Admission { options, joining, reach } = admission;
    let joined = match server.rooms().join(options, Arrival { joining, signals, reach }).await {
        Ok(joined) => joined,
        Err(refusal) => {
            tracing::info!(participant = %sid, %refusal, "a join was refused");
            let leave = LeaveRequest {
                reason: DisconnectReason::JoinFailure.into(),
                action: leave_request::Action::Disconnect.into(),
                ..Default::default()
            };
            let _ = to_client.send(encode(signal_response::Message::Leave(leave))).await;
            return;
        }
    };
    let writing = async {
        while let Some(message) = outgoing.recv().await {
            if to_client.send(encode(message)).await.is_err() {
                return;
            }
        }
        // The room has let go of this participant: everything that was to be said has been said.
        let _ = to_client.send(Message::Close(None)).await;
    };
    let reading = async {
        while let Some(Ok(message)) = from_client.next().await {
            let Message::Binary(bytes) = message else { continue };
            let Ok(SignalRequest { message: Some(message) }) = SignalRequest::decode(bytes) else { continue };
            let command = Command::Signal { from: sid.clone(), message: Box::new(message) };
            if joined.room.commands.send(command).await.is_err() {
                return ReadEnd::RoomClosed;
            }
        }
        ReadEnd::ClientGone
    };
    tokio::pin!(writing);
    tokio::select! {
        () = &mut writing => {}
        end = reading => match end {
            ReadEnd::ClientGone => {
                let _ = joined.room.commands.send(Command::SignalClosed(sid.clone())).await;
            }
            // A client that does not hear why it has to leave would come back and open the room anew.
            ReadEnd::RoomClosed => {
                let _ = tokio::time::timeout(LAST_WORDS_WITHIN, writing).await;
            }
        }
    }
}

fn encode(message: signal_response::Message) -> Message {
    Message::Binary(Bytes::from(SignalResponse { message: Some(message) }.encode_to_vec()))
}
