//! `/agent`: the WebSocket that a worker registers by, and by which it is asked, given jobs and told of their end.
//!
//! Messages are LiveKit's `WorkerMessage` and `ServerMessage`, in protobuf, or in JSON to a worker that speaks that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use reelroom_agents::Registration;
use reelroom_limits::agents::{
    WORKER_BURST, WORKER_MESSAGE_BYTES, WORKER_MESSAGE_FIELDS, WORKER_PER_SECOND, WORKER_REGISTERS_WITHIN,
    WORKER_SILENT_FOR, WORKER_WAITING_MESSAGES, WORKER_WRITE_WITHIN,
};
use reelroom_limits::pace::{Pace, Rate};
use reelroom_limits::signalling::TWIRP_BODY_DEPTH;
use reelroom_protocol::ids::WorkerId;
use reelroom_protocol::proto::{
    RegisterWorkerRequest, RegisterWorkerResponse, ServerInfo, ServerMessage, WorkerMessage, WorkerPong,
    server_message, worker_message,
};
use reelroom_protocol::token;
use reelroom_protocol::wire::{self, Shaped as _};
use reelroom_routes::{Needs, Part, Proof};
use reelroom_sfu::server_info;
use tokio::sync::mpsc;

use super::{Agents, Instruction};
use crate::room_task::now;
use crate::server::MediaServer;

/// Of LiveKit's workers.
const AGENT_PROTOCOL: i32 = 1;
/// The number of a message that simulates a job.
const SIMULATE: u32 = 6;
/// What a WebSocket reads at a time; each connection keeps as much.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// How often a worker is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(15);
/// How long a worker that stops reading holds up the end of its connection.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection is left open for the worker to read why it ends.
const LEFT_OPEN_FOR: Duration = Duration::from_secs(3);
/// Messages that are read, and thrown away, of a worker that has been told everything.
const READ_AT_THE_END: usize = 256;
/// Bytes of the reason in a close frame, by RFC 6455.
const REASON_BYTES: usize = 123;
/// Longer than a worker ever waits for its turn to be read.
const TURN_WITHIN: Duration = Duration::from_secs(60);

type ToWorker = SplitSink<WebSocket, Message>;
type FromWorker = SplitStream<WebSocket>;

pub(super) fn rows() -> Part<MediaServer> {
    Part::new("Workers of agents").row([Method::GET], "/agent", Needs::Proof(Proof::WorkerToken), connect)
}

async fn connect(
    State(server): State<MediaServer>,
    Query(params): Query<HashMap<String, String>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else { return StatusCode::NOT_FOUND.into_response() };
    let api_key = match admit(&server, &params, &headers) {
        Ok(api_key) => api_key,
        Err(refusal) => return (StatusCode::UNAUTHORIZED, refusal).into_response(),
    };
    upgrade
        .max_message_size(WORKER_MESSAGE_BYTES)
        .max_frame_size(WORKER_MESSAGE_BYTES)
        .read_buffer_size(READ_BUFFER_BYTES)
        .on_upgrade(move |socket| async move { run(server.agents(), &api_key, socket).await })
}

/// The key of a token that makes its bearer a worker, in LiveKit's words. An agent's own token, which is for a room, does not.
fn admit(
    server: &MediaServer,
    params: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Result<String, String> {
    const DENIED: &str = "permissions denied";
    let token = match headers.get(header::AUTHORIZATION) {
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("Bearer "))
            .ok_or("invalid authorization header. Must start with Bearer ")?,
        None => params.get("access_token").map(String::as_str).ok_or(DENIED)?,
    };
    let now_unix_s = (now().unix_ms / 1000) as u64;
    let claims = token::verify(server.keys(), token, now_unix_s).map_err(|error| error.to_string())?;
    let is_worker = claims.video.is_some_and(|grants| grants.agent && !grants.room_join);
    if is_worker { Ok(claims.iss) } else { Err(DENIED.to_owned()) }
}

/// What a worker speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

/// What came of a worker.
#[derive(Debug)]
enum Heard {
    Said(Box<worker_message::Message>, Form),
    /// A sign of life.
    Nothing,
    Gone,
    /// It is told why its connection ends.
    Wrong(String),
}

/// Why a connection ends.
enum End {
    Gone,
    /// The server lets it go.
    LetGo,
    Wrong(String),
}

async fn run(agents: &Agents, api_key: &str, socket: WebSocket) {
    let (mut to, mut from) = socket.split();
    let registering = registers(&mut to, &mut from);
    let (request, form) = match tokio::time::timeout(WORKER_REGISTERS_WITHIN, registering).await {
        Ok(Ok(registered)) => registered,
        Ok(Err(End::Gone | End::LetGo)) => return,
        Ok(Err(End::Wrong(why))) => return close(to, from, close_code::POLICY, &why).await,
        Err(_) => {
            let why = format!("a worker has to register within {WORKER_REGISTERS_WITHIN:?}");
            return close(to, from, close_code::POLICY, &why).await;
        }
    };
    let (queue, mut instructions) = mpsc::channel(WORKER_WAITING_MESSAGES);
    let registered =
        Registration::read(request, api_key).and_then(|registration| agents.register(registration, queue));
    let worker = match registered {
        Ok(worker) => worker,
        Err(error) => {
            tracing::info!(%error, "a worker of agents is refused");
            return close(to, from, close_code::POLICY, &error.to_string()).await;
        }
    };
    let response = RegisterWorkerResponse {
        worker_id: worker.to_string(),
        server_info: Some(ServerInfo { agent_protocol: AGENT_PROTOCOL, ..server_info() }),
        ..Default::default()
    };
    let is_json = AtomicBool::new(form == Form::Json);
    let end = if say(&mut to, server_message::Message::Register(response), form).await {
        tokio::select! {
            end = write(agents, &worker, &mut instructions, &is_json, &mut to) => end,
            end = read(agents, &worker, &is_json, &mut from) => end,
        }
    } else {
        End::Gone
    };
    agents.disconnected(&worker);
    tracing::info!(%worker, "a worker of agents is gone");
    match end {
        End::Gone => {}
        End::LetGo => {
            close(to, from, close_code::AWAY, "the server is about to restart, or was not read from").await;
        }
        End::Wrong(why) => {
            tracing::info!(%worker, why, "a worker of agents is let go");
            close(to, from, close_code::POLICY, &why).await;
        }
    }
}

/// What a worker registers with; before that it may ask for a sign of life, and say nothing else.
async fn registers(to: &mut ToWorker, from: &mut FromWorker) -> Result<(RegisterWorkerRequest, Form), End> {
    loop {
        let (message, form) = match hear(from.next().await) {
            Heard::Said(message, form) => (message, form),
            Heard::Nothing => continue,
            Heard::Gone => return Err(End::Gone),
            Heard::Wrong(why) => return Err(End::Wrong(why)),
        };
        match *message {
            worker_message::Message::Register(request) => return Ok((request, form)),
            worker_message::Message::Ping(ping) => {
                let pong = WorkerPong { last_timestamp: ping.timestamp, timestamp: now().unix_ms };
                if !say(to, server_message::Message::Pong(pong), form).await {
                    return Err(End::Gone);
                }
            }
            _ => return Err(End::Wrong("a worker has to register first".to_owned())),
        }
    }
}

/// Writes what a worker is told until its queue ends.
async fn write(
    agents: &Agents,
    worker: &WorkerId,
    instructions: &mut mpsc::Receiver<Instruction>,
    is_json: &AtomicBool,
    to: &mut ToWorker,
) -> End {
    let mut pings = tokio::time::interval(PING_EVERY);
    pings.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let instruction = tokio::select! {
            instruction = instructions.recv() => instruction,
            _ = pings.tick() => {
                if !send(to, Message::Ping(Bytes::new())).await {
                    return End::Gone;
                }
                continue;
            }
        };
        let Some(instruction) = instruction else { return End::LetGo };
        let Some(message) = agents.message(worker, instruction).await else { continue };
        let form = if is_json.load(Relaxed) { Form::Json } else { Form::Protobuf };
        if !say(to, message, form).await {
            return End::Gone;
        }
    }
}

/// Reads as fast as a worker may go on.
async fn read(agents: &Agents, worker: &WorkerId, is_json: &AtomicBool, from: &mut FromWorker) -> End {
    let mut pace = Pace::new(Rate::per_second(WORKER_BURST, WORKER_PER_SECOND), Instant::now());
    loop {
        let Ok(came) = tokio::time::timeout(WORKER_SILENT_FOR, from.next()).await else { return End::Gone };
        match hear(came) {
            Heard::Said(message, form) => {
                is_json.store(form == Form::Json, Relaxed);
                agents.hear(worker, *message);
            }
            Heard::Nothing => {}
            Heard::Gone => return End::Gone,
            Heard::Wrong(why) => return End::Wrong(why),
        }
        let wait = pace.take(1, TURN_WITHIN, Instant::now()).unwrap_or_else(|too_fast| too_fast.wait);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// What there is in a frame, counted before it is decoded.
fn hear(came: Option<Result<Message, axum::Error>>) -> Heard {
    let read = match came {
        None | Some(Ok(Message::Close(_))) => return Heard::Gone,
        // axum tells it as a text alone.
        Some(Err(error)) if error.to_string().contains("too long") => {
            return Heard::Wrong(format!("a message is longer than {WORKER_MESSAGE_BYTES} bytes"));
        }
        Some(Err(_)) => return Heard::Gone,
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Heard::Nothing,
        Some(Ok(Message::Binary(bytes))) => protobuf(&bytes).map(|message| (message, Form::Protobuf)),
        Some(Ok(Message::Text(text))) => json(&text).map(|message| (message, Form::Json)),
    };
    match read {
        Ok((Some(message), form)) => Heard::Said(Box::new(message), form),
        Ok((None, _)) => Heard::Nothing,
        Err(why) => Heard::Wrong(why),
    }
}

fn protobuf(bytes: &[u8]) -> Result<Option<worker_message::Message>, String> {
    // There is a room in it, and a participant: nobody needs that decoded.
    if wire::numbers(bytes).any(|number| number == SIMULATE) {
        tracing::info!("{NO_SIMULATION}");
        return Ok(None);
    }
    wire::fields(bytes, WorkerMessage::SHAPE, WORKER_MESSAGE_FIELDS)
        .map_err(|excess| format!("a message asks for too much: {excess}"))?;
    let message =
        WorkerMessage::decode(bytes).map_err(|error| format!("a message cannot be read: {error}"))?;
    Ok(message.message)
}

fn json(text: &str) -> Result<Option<worker_message::Message>, String> {
    wire::json_values(text.as_bytes(), WORKER_MESSAGE_FIELDS, TWIRP_BODY_DEPTH)
        .map_err(|excess| format!("a message asks for too much: {excess}"))?;
    let message: WorkerMessage =
        serde_json::from_str(text).map_err(|error| format!("a message cannot be read: {error}"))?;
    Ok(message.message)
}

const NO_SIMULATION: &str = "a worker of agents wants a job to be simulated, which is not done: CreateDispatch sends its agent into a room";

/// A worker wants a job that nobody asked for.
pub(super) fn simulates(worker: &WorkerId) {
    tracing::info!(%worker, "{NO_SIMULATION}");
}

/// Whether a message could be written in time.
async fn say(to: &mut ToWorker, message: server_message::Message, form: Form) -> bool {
    let message = ServerMessage { message: Some(message) };
    let frame = match form {
        Form::Protobuf => Message::Binary(message.encode_to_vec().into()),
        Form::Json => match serde_json::to_string(&message) {
            Ok(text) => Message::Text(text.into()),
            // What has no name in JSON a client has put there.
            Err(error) => {
                tracing::info!(%error, "a message to a worker of agents is none in JSON");
                return true;
            }
        },
    };
    send(to, frame).await
}

async fn send(to: &mut ToWorker, frame: Message) -> bool {
    matches!(tokio::time::timeout(WORKER_WRITE_WITHIN, to.send(frame)).await, Ok(Ok(())))
}

/// Says why a connection ends, and waits for that to have been read: one that is closed with something unread in it is reset.
async fn close(mut to: ToWorker, mut from: FromWorker, code: u16, why: &str) {
    let mut end = why.len().min(REASON_BYTES);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    let frame = Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from(&why[..end]) }));
    let _ = tokio::time::timeout(LAST_WORDS_WITHIN, to.send(frame)).await;
    let rest = async {
        for _ in 0..READ_AT_THE_END {
            if !matches!(from.next().await, Some(Ok(_))) {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(LEFT_OPEN_FOR, rest).await;
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::{MigrateJobRequest, SimulateJobRequest, WorkerPing};

    use super::*;

    fn binary(message: worker_message::Message) -> Message {
        Message::Binary(WorkerMessage { message: Some(message) }.encode_to_vec().into())
    }

    fn heard(frame: Message) -> Heard {
        hear(Some(Ok(frame)))
    }

    #[test]
    fn a_worker_is_understood_in_protobuf_and_in_json() {
        let ping = worker_message::Message::Ping(WorkerPing { timestamp: 7 });
        for (frame, expected) in [
            (binary(ping.clone()), Form::Protobuf),
            (Message::Text(r#"{"ping":{"timestamp":"7"}}"#.into()), Form::Json),
        ] {
            let Heard::Said(said, form) = heard(frame) else { panic!("{expected:?} is not understood") };
            assert_eq!((*said, form), (ping.clone(), expected));
        }
        assert!(matches!(heard(Message::Ping(Bytes::new())), Heard::Nothing));
        assert!(matches!(heard(Message::Close(None)), Heard::Gone));
        assert!(matches!(hear(None), Heard::Gone));
    }

    #[test]
    fn what_is_too_much_or_no_message_is_told_so_and_what_nobody_needs_is_not_decoded() {
        let ids = vec![String::new(); WORKER_MESSAGE_FIELDS];
        let many = worker_message::Message::MigrateJob(MigrateJobRequest { job_ids: ids });
        for (frame, what) in [
            (binary(many), "too much"),
            (Message::Binary(vec![0xff_u8].into()), "cannot be read"),
            (Message::Text(format!("[{}1]", "1,".repeat(WORKER_MESSAGE_FIELDS)).into()), "too much"),
            (Message::Text("{".into()), "cannot be read"),
        ] {
            let Heard::Wrong(why) = heard(frame) else { panic!("{what} is let through") };
            assert!(why.contains(what), "{why}");
        }
        let simulate = worker_message::Message::SimulateJob(SimulateJobRequest::default());
        assert!(matches!(heard(binary(simulate)), Heard::Nothing));
    }
}
