//! One signalling connection, from its first message to its close frame.
//!
//! ```text
//!   joins, or comes back ─► write ‖ read ─► last words ─► close frame ─► the client's own ─► end
//!           └ refused ─► Leave, and time to read it ──────────┘
//! ```
//!
//! A connection that is dropped with something unread in it is reset, and what was said last is lost; browsers, moreover, wait ever longer before
//! they connect again to a server whose connections end so. Each one therefore ends by the closing handshake (RFC 6455, 7.1.2), which a client that
//! does not take part in it holds up for a bounded time.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use reelroom_limits::signalling::{
    SIGNAL_FLOOD_FOR, SIGNAL_PER_SECOND, SIGNAL_WRITE_BYTES_PER_SECOND, SIGNAL_WRITE_WITHIN, SYNC_STATE_BYTES,
};
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    DisconnectReason, LeaveRequest, client_info, leave_request, request_response, signal_response,
};
use reelroom_sfu::door::{self, Refused, Said, Turn, Turns};

use super::admission::Admission;
use super::outbox::{self, Outgoing};
use crate::peer::Connections;
use crate::room_task::{Arrival, Comeback, Command, RoomHandle};
use crate::rooms::{CameBack, Joined};
use crate::server::MediaServer;

/// How long a client that stops reading holds up the end of its connection.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(5);
/// How long a client has to read that it has to leave, before the connection is closed under it.
const LEAVE_READ_WITHIN: Duration = Duration::from_secs(1);
/// How long the connection of somebody who asked for too much is left open to be read, and how long a client may take to close its side.
const LEFT_OPEN_FOR: Duration = Duration::from_secs(3);
/// Messages that are read, and thrown away, of a client that has been told everything.
const READ_AT_THE_END: usize = 256;

/// How long the answer to an offer that came with the request to join waits behind the response. Go's client has not taken up its own offer as it
/// reads that, refuses an answer that is there already, and then waits for one until it gives up.
const GO_TAKES_UP_ITS_OFFER_WITHIN: Duration = Duration::from_millis(50);

type ToClient = SplitSink<WebSocket, Message>;
type FromClient = SplitStream<WebSocket>;

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

/// Why a connection ends, as its close frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    /// Everything has been said: the participant has left, or goes on by another connection.
    Said,
    /// The client asked for more than anybody may.
    Expelled,
    /// The client did not read.
    Stuck,
}

impl Closing {
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Said => (close_code::NORMAL, "everything has been said"),
            Self::Expelled => (close_code::POLICY, "more was asked for than anybody may"),
            Self::Stuck => (close_code::POLICY, "nothing was read for too long"),
        };
        CloseFrame { code, reason: reason.into() }
    }
}

/// Runs the connection of whoever was admitted.
pub(super) async fn run(server: MediaServer, admission: Admission, from: Option<IpAddr>, socket: WebSocket) {
    let (mut to_client, mut from_client) = socket.split();
    let (outbox, mut outgoing) = outbox::new();
    let Admission { options, recorded, joining, reach, opening, auto_subscribe_data, allows_pause, resumes } =
        admission;
    let room = options.name.clone();
    let is_hasty = joining.client.sdk() == client_info::Sdk::Go && opening.connections() == Connections::One;
    let pause = if is_hasty { GO_TAKES_UP_ITS_OFFER_WITHIN } else { Duration::ZERO };
    let (sid, entered) = match resumes {
        Some(sid) => {
            let connections = opening.connections();
            let comeback = Comeback { sid: sid.clone(), joining, outbox, reach, connections };
            let entered = match server.rooms().resume(&room, comeback).await {
                CameBack::Here(joined) => Ok(joined),
                CameBack::Breaks => return,
                // Who is not there any more joins anew, which takes a second.
                CameBack::NotThere => {
                    Err(leave(DisconnectReason::StateMismatch, leave_request::Action::Reconnect))
                }
            };
            (sid, entered)
        }
        None => {
            let sid = joining.sid.clone();
            let arrival = Arrival { joining, outbox, reach, auto_subscribe_data, allows_pause, opening };
            let joined = server.rooms().join(options, arrival, from, recorded).await.map_err(|refusal| {
                tracing::info!(participant = %sid, %refusal, "a join was refused");
                // The server begins anew at this very moment.
                let action = match server.rooms().is_closing(&room) {
                    true => leave_request::Action::Reconnect,
                    false => leave_request::Action::Disconnect,
                };
                leave(DisconnectReason::JoinFailure, action)
            });
            (sid, joined)
        }
    };
    let joined = match entered {
        Ok(joined) => joined,
        Err(leave) => return see_off(leave, to_client, from_client).await,
    };
    let closing = signal(&sid, &joined, pause, &mut outgoing, &mut to_client, &mut from_client).await;
    if let Some(closing) = closing {
        close(closing, &mut to_client, &mut from_client).await;
    }
}

/// Lets a participant and its room speak until either ends it. How the connection is closed, if it still stands.
async fn signal(
    sid: &ParticipantSid,
    joined: &Joined,
    pause: Duration,
    outgoing: &mut Outgoing,
    to_client: &mut ToClient,
    from_client: &mut FromClient,
) -> Option<Closing> {
    let commands = &joined.room.commands;
    let connection = outgoing.connection();
    let writing = write(sid, pause, outgoing, to_client);
    tokio::pin!(writing);
    let end = tokio::select! {
        end = &mut writing => Ok(end),
        end = read(sid, &joined.room, from_client) => Err(end),
    };
    match end {
        Ok(WriteEnd::Said) => Some(Closing::Said),
        Ok(WriteEnd::ClientGone) | Err(ReadEnd::ClientGone) => {
            let _ = commands.send(Command::SignalClosed { sid: sid.clone(), connection }).await;
            None
        }
        Ok(WriteEnd::Stuck) => {
            let _ = commands.send(Command::SignalStuck { sid: sid.clone(), connection }).await;
            Some(Closing::Stuck)
        }
        // A client that does not hear why it has to leave would come back and open the room anew.
        Err(ReadEnd::RoomClosed) => {
            let _ = tokio::time::timeout(LAST_WORDS_WITHIN, writing).await;
            Some(Closing::Said)
        }
        Err(ReadEnd::Expelled(why)) => {
            tracing::info!(participant = %sid, why, "a participant is let go");
            let told = Box::new(door::response(request_response::Reason::LimitExceeded, &why));
            let _ = commands.send(Command::Expel { sid: sid.clone(), told }).await;
            let _ = tokio::time::timeout(LAST_WORDS_WITHIN, writing).await;
            Some(Closing::Expelled)
        }
    }
}

fn leave(reason: DisconnectReason, action: leave_request::Action) -> LeaveRequest {
    LeaveRequest {
        reason: reason.into(),
        action: action.into(),
        // Clients of before actions were told go by this.
        can_reconnect: action == leave_request::Action::Reconnect,
        ..LeaveRequest::default()
    }
}

/// Tells a client that it is not let in. It closes the connection when it has read that: one that is closed under it may be taken for a network that broke.
async fn see_off(leave: LeaveRequest, mut to_client: ToClient, mut from_client: FromClient) {
    let leave = Message::Binary(outbox::encode(signal_response::Message::Leave(leave)));
    if let Ok(Ok(())) = tokio::time::timeout(SIGNAL_WRITE_WITHIN, to_client.send(leave)).await {
        read_to_the_end(&mut from_client, LEAVE_READ_WITHIN).await;
        close(Closing::Said, &mut to_client, &mut from_client).await;
    }
}

/// The closing handshake, from the server's side.
async fn close(closing: Closing, to_client: &mut ToClient, from_client: &mut FromClient) {
    let frame = Message::Close(Some(closing.frame()));
    // One that does not read is not waited for as others are.
    let within = if closing == Closing::Stuck { LEAVE_READ_WITHIN } else { SIGNAL_WRITE_WITHIN };
    if !matches!(tokio::time::timeout(within, to_client.send(frame)).await, Ok(Ok(()))) {
        return;
    }
    match closing {
        Closing::Said | Closing::Stuck => read_to_the_end(from_client, LEFT_OPEN_FOR).await,
        // What it still sends is not read: to close at once would reset the connection, and it would not hear why.
        Closing::Expelled => tokio::time::sleep(LEFT_OPEN_FOR).await,
    }
}

/// Waits for the client to close its side, or for so long.
async fn read_to_the_end(from_client: &mut FromClient, at_most: Duration) {
    let read = async {
        for _ in 0..READ_AT_THE_END {
            if !matches!(from_client.next().await, Some(Ok(_))) {
                return;
            }
        }
        // Whoever floods is not read from any more.
        std::future::pending().await
    };
    let _ = tokio::time::timeout(at_most, read).await;
}

/// Writes what waits until everything is said, each message within its time, and makes a pause behind the first one.
async fn write(
    sid: &ParticipantSid,
    mut pause: Duration,
    outgoing: &mut Outgoing,
    to_client: &mut ToClient,
) -> WriteEnd {
    loop {
        let message = match outgoing.next().await {
            Ok(Some(message)) => message,
            // The room has let go of this participant: everything that was to be said has been said.
            Ok(None) => return WriteEnd::Said,
            Err(_) => return WriteEnd::Stuck,
        };
        // What is long, such as the description of a large room, takes its time on a slow line.
        let within =
            SIGNAL_WRITE_WITHIN + Duration::from_secs((message.len() / SIGNAL_WRITE_BYTES_PER_SECOND) as u64);
        tokio::select! {
            written = tokio::time::timeout(within, to_client.send(Message::Binary(message))) => {
                match written {
                    Ok(Ok(())) => tokio::time::sleep(std::mem::take(&mut pause)).await,
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
async fn read(sid: &ParticipantSid, room: &RoomHandle, from_client: &mut FromClient) -> ReadEnd {
    let mut turns = Turns::new(Instant::now());
    loop {
        let said = match from_client.next().await {
            None => return ReadEnd::ClientGone,
            Some(Err(error)) if is_too_long(&error) => {
                return ReadEnd::Expelled(format!(
                    "a signalling message is longer than {SYNC_STATE_BYTES} bytes"
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
