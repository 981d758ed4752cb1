//! `/rtc` and `/rtc/v1`: the WebSockets that clients join and signal by, the one for two peer connections, the other for one; and `…/validate`, which
//! says why that failed.
//!
//! ```text
//!   address, token ─► admission ─► its turn ─► connection ◄──► room
//!                        └ join_request (v1)       └ outbox
//! ```

mod admission;
mod connection;
mod join_request;
pub(crate) mod outbox;

use std::net::{IpAddr, SocketAddr};

use axum::Extension;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reelroom_limits::asker::Asker;
use reelroom_limits::pace::TooFast;
use reelroom_limits::signalling::SYNC_STATE_BYTES;
use reelroom_routes::{Needs, Part, Proof};
use reelroom_sfu::Joining;

use crate::peer::Connections;
use crate::server::MediaServer;
use admission::{Params, admit};

/// What a WebSocket reads at a time; each connection keeps as much.
const READ_BUFFER_BYTES: usize = 16 * 1024;

pub(crate) fn rows() -> Part<MediaServer> {
    let needs = || Needs::Proof(Proof::RoomToken);
    Part::new("Signalling")
        .row([Method::GET], "/rtc", needs(), join_by_two)
        .row([Method::GET], "/rtc/validate", needs(), validate_two)
        .row([Method::GET], "/rtc/v1", needs(), join_by_one)
        .row([Method::GET], "/rtc/v1/validate", needs(), validate_one)
}

/// Reads what a client says of itself in an address, and keeps nothing of it; for fuzzers.
pub(crate) fn read_join_request(text: &str) {
    let _ = join_request::read(text);
}

/// The address of the peer of a connection, where the server was told to keep it.
type PeerAddress = Option<Extension<ConnectInfo<SocketAddr>>>;

fn ip_of(peer: &PeerAddress) -> Option<IpAddr> {
    peer.as_ref().map(|Extension(ConnectInfo(address))| address.ip())
}

/// How many connections a client wants that came by the old address: those that send a request along know of the new way (Go's do so).
fn by_old_address(params: &Params) -> Connections {
    let has_request = params.get("join_request").is_some_and(|request| !request.is_empty());
    if has_request { Connections::One } else { Connections::Two }
}

async fn validate_two(server: State<MediaServer>, params: Query<Params>, headers: HeaderMap) -> Response {
    validate(&server, by_old_address(&params), params.0, &headers)
}

async fn validate_one(server: State<MediaServer>, params: Query<Params>, headers: HeaderMap) -> Response {
    validate(&server, Connections::One, params.0, &headers)
}

fn validate(server: &MediaServer, connections: Connections, params: Params, headers: &HeaderMap) -> Response {
    match admit(server, connections, params, headers, None) {
        Ok(_) => "success".into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Who asks to join, and how.
struct Asked {
    server: MediaServer,
    params: Params,
    headers: HeaderMap,
    peer: PeerAddress,
    asker: Option<Extension<Asker>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
}

async fn join_by_two(
    State(server): State<MediaServer>,
    Query(params): Query<Params>,
    headers: HeaderMap,
    peer: PeerAddress,
    asker: Option<Extension<Asker>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    join(by_old_address(&params), Asked { server, params, headers, peer, asker, upgrade }).await
}

async fn join_by_one(
    State(server): State<MediaServer>,
    Query(params): Query<Params>,
    headers: HeaderMap,
    peer: PeerAddress,
    asker: Option<Extension<Asker>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    join(Connections::One, Asked { server, params, headers, peer, asker, upgrade }).await
}

async fn join(connections: Connections, asked: Asked) -> Response {
    let Asked { server, params, headers, peer, asker, upgrade } = asked;
    let Ok(upgrade) = upgrade else { return StatusCode::NOT_FOUND.into_response() };
    let admission = match admit(&server, connections, params, &headers, ip_of(&peer)) {
        Ok(admission) => admission,
        Err(refusal) => return refusal.into_response(),
    };
    // Before anything is made for it: whoever comes too fast waits here, or comes later.
    let Joining { identity, ticket, .. } = &admission.joining;
    // Whoever has got a token for somebody's name does not use up their turns.
    let who = if ticket.as_str().is_empty() { identity.as_str() } else { ticket.as_str() };
    let from = asker.and_then(|Extension(Asker(ip))| ip);
    match server.join_waits(from, &admission.options.name, who) {
        Ok(wait) => tokio::time::sleep(wait).await,
        Err(TooFast { wait }) => {
            let later = [(header::RETRY_AFTER, (wait.as_secs() + 1).to_string())];
            return (StatusCode::TOO_MANY_REQUESTS, later, "too many joins").into_response();
        }
    }
    upgrade
        .max_message_size(SYNC_STATE_BYTES)
        .max_frame_size(SYNC_STATE_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| connection::run(server, admission, from, socket))
        .into_response()
}
