//! `/rtc`: the WebSocket that clients join and signal by, and `/rtc/validate`, which says why that failed.

pub(crate) mod outbox;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use reelroom_limits::asker::Asker;
use reelroom_limits::pace::TooFast;
use reelroom_limits::signalling::{
    NAME_BYTES, SIGNAL_ANSWER_BYTES, SIGNAL_FLOOD_FOR, SIGNAL_PER_SECOND, SIGNAL_WRITE_BYTES_PER_SECOND,
    SIGNAL_WRITE_WITHIN,
};
use reelroom_protocol::ids::{ParticipantSid, RoomName};
use reelroom_protocol::proto::{
    DisconnectReason, LeaveRequest, RoomCompositeEgressRequest, leave_request, request_response,
    signal_response,
};
use reelroom_protocol::token::{self, Claims};
use reelroom_routes::{Needs, Part, Proof};
use reelroom_sfu::door::{self, Refused, Said, Turn, Turns};
use reelroom_sfu::{Joining, Refusal, RoomOptions, Standing};

use crate::introduction;
use crate::mux::addresses::Reach;
use crate::room_options::Wanted;
use crate::room_task::{Arrival, Command, RoomHandle};
use crate::server::MediaServer;
use outbox::Outgoing;

/// To whoever would open a room while calls end. Clients of LiveKit's try again after this status, and after no other one that says no.
const RESTARTING: &str = "the server is about to restart and opens no more rooms: come back in a moment";
/// How long a client that stops reading holds up the end of its connection.
const LAST_WORDS_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
/// How long the connection of somebody who asked for too much is left open to be read.
const LEFT_OPEN_FOR: Duration = Duration::from_secs(3);
/// Messages that are read, and thrown away, of a client that has been told everything.
const READ_AT_THE_END: usize = 256;
/// What a WebSocket reads at a time; each connection keeps as much.
const READ_BUFFER_BYTES: usize = 16 * 1024;

pub(crate) fn rows() -> Part<MediaServer> {
    Part::new("Signalling")
        .row([Method::GET], "/rtc", Needs::Proof(Proof::RoomToken), join)
        .row([Method::GET], "/rtc/validate", Needs::Proof(Proof::RoomToken), validate)
        // One peer connection for both directions is not offered: 404 makes every client fall back to two.
        .row([Method::GET], "/rtc/v1", Needs::Public, not_offered)
        .row([Method::GET], "/rtc/v1/validate", Needs::Public, not_offered)
}

async fn not_offered() -> StatusCode {
    StatusCode::NOT_FOUND
}

type Params = Query<HashMap<String, String>>;

/// A request to join that may go on.
struct Admission {
    options: RoomOptions,
    /// From its beginning on, if this opens it.
    recorded: Option<RoomCompositeEgressRequest>,
    joining: Joining,
    reach: Reach,
    auto_subscribe_data: bool,
    /// It can be told that a stream is paused.
    allows_pause: bool,
}

/// The address of the peer of a connection, where the server was told to keep it.
type PeerAddress = Option<Extension<ConnectInfo<SocketAddr>>>;

fn ip_of(peer: &PeerAddress) -> Option<IpAddr> {
    peer.as_ref().map(|Extension(ConnectInfo(address))| address.ip())
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
    asker: Option<Extension<Asker>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else { return StatusCode::NOT_FOUND.into_response() };
    let admission = match admit(&server, &params, &headers, ip_of(&peer)) {
        Ok(admission) => admission,
        Err(refusal) => return refusal.into_response(),
    };
    let resumes = params.get("reconnect").is_some_and(|value| value == "1" || value == "true");
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
        .max_message_size(SIGNAL_ANSWER_BYTES)
        .max_frame_size(SIGNAL_ANSWER_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| async move {
            if resumes {
                restart(socket).await;
            } else {
                run(server, admission, from, socket).await;
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
    let room = RoomName::from(grants.room.as_str());
    if server.rooms().is_closing(&room) {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, RESTARTING));
    }
    let most = match server.gate().standing_at_the_door(&claims.ticket, &room, Instant::now()) {
        Standing::NotAgain | Standing::Over => {
            return Err(refuse(StatusCode::UNAUTHORIZED, &Refusal::Over.to_string()));
        }
        Standing::AtMost(most) | Standing::StaysAtMost(most) => Some(most),
        Standing::AsSaid => None,
    };
    let Wanted { options, recorded } = Wanted::of_token(&grants.room, &claims)
        .map_err(|refusal| (StatusCode::BAD_REQUEST, refusal.to_string()))?;
    let attributes = introduction::attributes(params)
        .ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "cannot decode attributes"))?;
    let mut admission = Admission {
        options,
        recorded,
        joining: Joining {
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
            client: introduction::client(params),
            kind_details: claims.kind_details(),
        },
        reach: server.reach(peer, headers),
        auto_subscribe_data: params
            .get("auto_subscribe_data_track")
            .is_some_and(|value| value == "1" || value == "true"),
        allows_pause: params
            .get("subscriber_allow_pause")
            .is_some_and(|value| value == "1" || value == "true"),
    };
    if !admission.joining.introduces_itself("", attributes, most.as_deref()) {
        return Err(refuse(StatusCode::UNAUTHORIZED, "permissions denied"));
    }
    if server.gate().was_removed(&admission.joining, &admission.options.name) {
        return Err(refuse(StatusCode::UNAUTHORIZED, &Refusal::Over.to_string()));
    }
    admission.joining.check().map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(admission)
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
    let _ = socket.send(binary(signal_response::Message::Leave(leave))).await;
    let _ = socket.send(Message::Close(None)).await;
}

/// Why nothing more is read from a client.
enum ReadEnd {
    ClientGone,
    RoomClosed,
    /// It asks for too much, and is told so.
    Expelled(String),
}

/// Why nothing more is written to a client.
enum WriteEnd {
    /// Everything has been said.
    Said,
    ClientGone,
    /// It does not read.
    Stuck,
}

async fn run(server: MediaServer, admission: Admission, from: Option<IpAddr>, socket: WebSocket) {
    let (mut to_client, mut from_client) = socket.split();
    let sid = admission.joining.sid.clone();
    let (outbox, mut outgoing) = outbox::new();
    let Admission { options, recorded, joining, reach, auto_subscribe_data, allows_pause } = admission;
    let room = options.name.clone();
    let arrival = Arrival { joining, outbox, reach, auto_subscribe_data, allows_pause };
    let joined = match server.rooms().join(options, arrival, from, recorded).await {
        Ok(joined) => joined,
        Err(refusal) => {
            tracing::info!(participant = %sid, %refusal, "a join was refused");
            // The server begins anew at this very moment.
            let comes_back = server.rooms().is_closing(&room);
            let action = match comes_back {
                true => leave_request::Action::Reconnect,
                false => leave_request::Action::Disconnect,
            };
            let leave = LeaveRequest {
                reason: DisconnectReason::JoinFailure.into(),
                action: action.into(),
                can_reconnect: comes_back,
                ..Default::default()
            };
            let leave = to_client.send(binary(signal_response::Message::Leave(leave)));
            let _ = tokio::time::timeout(SIGNAL_WRITE_WITHIN, leave).await;
            return;
        }
    };
    let commands = &joined.room.commands;
    {
        let writing = write(&sid, &mut outgoing, &mut to_client);
        tokio::pin!(writing);
        let end = tokio::select! {
            end = &mut writing => Ok(end),
            end = read(&sid, &joined.room, &mut from_client) => Err(end),
        };
        let is_expelled = matches!(end, Err(ReadEnd::Expelled(_)));
        let last_words = match end {
            Ok(WriteEnd::Said) => return linger(&mut from_client).await,
            Ok(WriteEnd::ClientGone) | Err(ReadEnd::ClientGone) => {
                let _ = commands.send(Command::SignalClosed(sid.clone())).await;
                false
            }
            Ok(WriteEnd::Stuck) => {
                let _ = commands.send(Command::SignalStuck(sid.clone())).await;
                false
            }
            // A client that does not hear why it has to leave would come back and open the room anew.
            Err(ReadEnd::RoomClosed) => true,
            Err(ReadEnd::Expelled(why)) => {
                tracing::info!(participant = %sid, why, "a participant is let go");
                let told = Box::new(door::response(request_response::Reason::LimitExceeded, &why));
                let _ = commands.send(Command::Expel { sid: sid.clone(), told }).await;
                true
            }
        };
        if last_words {
            let _ = tokio::time::timeout(LAST_WORDS_WITHIN, writing).await;
            if is_expelled {
                // What it still sends is not read: to close at once would reset the connection, and it would not hear why.
                tokio::time::sleep(LEFT_OPEN_FOR).await;
            }
        }
    }
}

/// Waits for the client to have read the last words: a connection that is closed with something unread in it is reset, and they are lost.
async fn linger(from_client: &mut SplitStream<WebSocket>) {
    let read = async {
        for _ in 0..READ_AT_THE_END {
            if !matches!(from_client.next().await, Some(Ok(_))) {
                return;
            }
        }
        // Whoever floods is not read from any more.
        std::future::pending().await
    };
    let _ = tokio::time::timeout(LEFT_OPEN_FOR, read).await;
}

/// Writes what waits until everything is said, each message within its time.
async fn write(
    sid: &ParticipantSid,
    outgoing: &mut Outgoing,
    to_client: &mut SplitSink<WebSocket, Message>,
) -> WriteEnd {
    loop {
        let message = match outgoing.next().await {
            Ok(Some(message)) => message,
            Ok(None) => {
                // The room has let go of this participant: everything that was to be said has been said.
                let _ = tokio::time::timeout(SIGNAL_WRITE_WITHIN, to_client.send(Message::Close(None))).await;
                return WriteEnd::Said;
            }
            Err(_) => return WriteEnd::Stuck,
        };
        // What is long, such as the description of a large room, takes its time on a slow line.
        let within =
            SIGNAL_WRITE_WITHIN + Duration::from_secs((message.len() / SIGNAL_WRITE_BYTES_PER_SECOND) as u64);
        tokio::select! {
            written = tokio::time::timeout(within, to_client.send(Message::Binary(message))) => {
                match written {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return WriteEnd::ClientGone,
                    Err(_) => {
                        tracing::info!(participant = %sid, "a participant has not read a message for {within:?}");
                        return WriteEnd::Stuck;
                    }
                }
            }
            _ = outgoing.behind() => return WriteEnd::Stuck,
        }
    }
}

/// Reads as fast as the client may go on: what it sends faster waits in its own connection.
async fn read(sid: &ParticipantSid, room: &RoomHandle, from_client: &mut SplitStream<WebSocket>) -> ReadEnd {
    let mut turns = Turns::new(Instant::now());
    loop {
        let said = match from_client.next().await {
            None => return ReadEnd::ClientGone,
            Some(Err(error)) if is_too_long(&error) => {
                return ReadEnd::Expelled(format!(
                    "a signalling message is longer than {SIGNAL_ANSWER_BYTES} bytes"
                ));
            }
            Some(Err(_)) => return ReadEnd::ClientGone,
            Some(Ok(Message::Binary(bytes))) => match Said::read(&bytes) {
                Ok(said) => said,
                Err(refused @ Refused::TooLong { .. }) => return ReadEnd::Expelled(refused.to_string()),
                Err(refused @ (Refused::TooMuch(_) | Refused::Several)) => {
                    Said { answer: Some(refused.response()), ..Said::nothing(bytes.len()) }
                }
            },
            Some(Ok(Message::Text(text))) => Said::nothing(text.len()),
            Some(Ok(_)) => Said::nothing(0),
        };
        match turns.take(said.weight, Instant::now()) {
            Turn::Now => {}
            Turn::After(wait) => tokio::time::sleep(wait).await,
            Turn::Never => {
                return ReadEnd::Expelled(format!(
                    "more signalling than {SIGNAL_PER_SECOND} in a second for {SIGNAL_FLOOD_FOR:?}"
                ));
            }
        }
        let message =
            said.message.map(|message| Command::Signal { from: sid.clone(), message: Box::new(message) });
        let answer = said.answer.map(|answer| Command::Answer { to: sid.clone(), answer: Box::new(answer) });
        for command in message.into_iter().chain(answer) {
            if room.commands.send(command).await.is_err() {
                return ReadEnd::RoomClosed;
            }
        }
    }
}

/// Whether a message was longer than the WebSocket takes; axum tells it as a text alone.
fn is_too_long(error: &axum::Error) -> bool {
    error.to_string().contains("too long")
}

fn binary(message: signal_response::Message) -> Message {
    Message::Binary(outbox::encode(message))
}
