//! What the RoomService does in a room by data: calls that a participant answers, and data that is told once.
//!
//! ```text
//!   PerformRpc ─► request ─► participant ─► acknowledgement, soon ─► answer, in time ─► RpcAnswered
//!                                └ gone, silent, or refuses ────────────────────────────────┘
//! ```
//!
//! # Invariants
//!
//! - Each call is answered once, whatever becomes of its participant, as long as the room is open.
//! - Only the participant that was called answers a call; what it says of it is told to nobody else.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use reelroom_limits::signalling::{NONCES, RPC_ANSWER_WITHIN, RPC_PAYLOAD_BYTES, RPCS};
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    self, DataPacket, RpcRequest, RpcResponse, SendDataRequest, data_packet, rpc_response,
};

use crate::output::{DataKind, Output};
use crate::room::{Now, Room};

/// A call is acknowledged within this time, by LiveKit's clients.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(2);
/// Where a call does not say how long it waits for its answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// However little time a call leaves, its participant is given as much.
const LEAST_FOR_ANSWER: Duration = Duration::from_secs(1);
/// The version of the protocol in which a payload stands in the request itself.
const VERSION: u32 = 1;

/// A call to a participant.
#[derive(Clone, Debug, Default)]
pub struct RpcCall {
    /// Unlike that of any other call.
    pub id: String,
    /// The identity of who is called.
    pub to: String,
    /// What is called.
    pub method: String,
    /// What is said.
    pub payload: String,
    /// How long the answer may take, in milliseconds; 0 for 10 s.
    pub timeout_ms: u32,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// Nobody has that identity.
    #[error("participant does not exist")]
    NoParticipant,
    /// As many calls wait as may.
    #[error("{at_most} calls wait for an answer in this room, and no more may: try again shortly")]
    TooMany {
        /// How many may.
        at_most: usize,
    },
    /// As LiveKit's clients say it.
    #[error(transparent)]
    Failed(#[from] RpcFailure),
}

/// A failure as LiveKit's clients tell it each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcFailure {
    /// 1400 and above: LiveKit's own. Others are the application's.
    pub code: u32,
    /// In words.
    pub message: String,
    /// Whatever an application adds.
    pub data: String,
}

impl std::error::Error for RpcFailure {}

impl fmt::Display for RpcFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, message, data } = self;
        write!(f, "RpcError {code}: {message}")?;
        if data.is_empty() { Ok(()) } else { write!(f, ": {data}") }
    }
}

impl RpcFailure {
    /// Its code where a participant knows no such method.
    pub const UNSUPPORTED_METHOD: u32 = 1400;
    /// Its code where what is said is too long.
    pub const REQUEST_TOO_LARGE: u32 = 1402;
    /// Its code where the answer is in a form that is not known.
    pub const UNSUPPORTED_VERSION: u32 = 1404;
    /// Its code where a participant does not acknowledge a call.
    pub const CONNECTION_TIMEOUT: u32 = 1501;
    /// Its code where it does not answer in time.
    pub const RESPONSE_TIMEOUT: u32 = 1502;
    /// Its code where it leaves before it has answered.
    pub const RECIPIENT_DISCONNECTED: u32 = 1503;
    /// Its code where the answer is too long.
    pub const RESPONSE_TOO_LARGE: u32 = 1504;

    /// One of LiveKit's own, in its words.
    pub fn built_in(code: u32) -> Self {
        let message = match code {
            Self::REQUEST_TOO_LARGE => "Request payload too large",
            Self::UNSUPPORTED_VERSION => "Unsupported RPC version",
            Self::CONNECTION_TIMEOUT => "Connection timeout",
            Self::RESPONSE_TIMEOUT => "Response timeout",
            Self::RECIPIENT_DISCONNECTED => "Recipient disconnected",
            Self::RESPONSE_TOO_LARGE => "Response payload too large",
            _ => "Application error in method handler",
        };
        Self { code, message: message.to_owned(), data: String::new() }
    }
}

impl From<proto::RpcError> for RpcFailure {
    fn from(error: proto::RpcError) -> Self {
        Self { code: error.code, message: error.message, data: error.data }
    }
}

/// Calls that wait for an answer, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Rpcs(BTreeMap<String, Waiting>);

#[derive(Debug)]
struct Waiting {
    to: ParticipantSid,
    /// Until it is acknowledged.
    acknowledged_by: Option<Instant>,
    answered_by: Instant,
}

/// What SendData was told of late to send once.
#[derive(Debug, Default)]
pub(crate) struct Nonces(VecDeque<Vec<u8>>);

impl Nonces {
    /// Whether it is new. It is known from then on.
    fn take(&mut self, nonce: &[u8]) -> bool {
        if self.0.iter().any(|known| known == nonce) {
            return false;
        }
        if self.0.len() >= NONCES {
            self.0.pop_front();
        }
        self.0.push_back(nonce.to_owned());
        true
    }
}

impl Room {
    /// Calls a participant. What comes of it is output as [`Output::RpcAnswered`].
    pub fn perform_rpc(&mut self, call: RpcCall, now: Now) {
        let id = call.id.clone();
        if let Err(error) = self.begin_rpc(call, now) {
            self.outputs.push_back(Output::RpcAnswered { id, answer: Err(error) });
        }
    }

    fn begin_rpc(&mut self, call: RpcCall, now: Now) -> Result<(), RpcError> {
        let mut called = self.participants.values().filter(|participant| !participant.is_recorder());
        let called = called.find(|participant| participant.identity.as_str() == call.to);
        let to = called.map(|participant| participant.sid.clone()).ok_or(RpcError::NoParticipant)?;
        if call.payload.len() > RPC_PAYLOAD_BYTES {
            return Err(RpcFailure::built_in(RpcFailure::REQUEST_TOO_LARGE).into());
        }
        if self.rpcs.0.len() >= RPCS {
            return Err(RpcError::TooMany { at_most: RPCS });
        }
        let asked = Duration::from_millis(call.timeout_ms.into());
        let within = if asked.is_zero() { ANSWERED_WITHIN } else { asked.min(RPC_ANSWER_WITHIN) };
        // The way there and back is not the participant's time.
        let for_answer = within.saturating_sub(ACKNOWLEDGED_WITHIN).max(LEAST_FOR_ANSWER);
        let waiting = Waiting {
            to: to.clone(),
            acknowledged_by: Some(now.at + ACKNOWLEDGED_WITHIN),
            answered_by: now.at + within,
        };
        self.rpcs.0.insert(call.id.clone(), waiting);
        let request = RpcRequest {
            id: call.id.clone(),
            method: call.method,
            payload: call.payload,
            response_timeout_ms: u32::try_from(for_answer.as_millis()).unwrap_or(u32::MAX),
            version: VERSION,
            ..Default::default()
        };
        let packet = DataPacket {
            kind: data_packet::Kind::Reliable.into(),
            // Clients answer whoever is named here, and Rust's and Python's take no call of nobody.
            participant_identity: call.id,
            destination_identities: vec![call.to],
            value: Some(data_packet::Value::RpcRequest(request)),
            ..Default::default()
        };
        self.route(packet, DataKind::Reliable, None);
        Ok(())
    }

    /// Takes what a participant says of a call to it; false where a packet is for others.
    pub(crate) fn rpc_answered(&mut self, from: &ParticipantSid, packet: &DataPacket) -> bool {
        let id = match &packet.value {
            Some(data_packet::Value::RpcAck(acknowledged)) => &acknowledged.request_id,
            Some(data_packet::Value::RpcResponse(response)) => &response.request_id,
            _ => return false,
        };
        let Some(waiting) = self.rpcs.0.get_mut(id).filter(|waiting| waiting.to == *from) else {
            return false;
        };
        match &packet.value {
            Some(data_packet::Value::RpcResponse(response)) => {
                self.rpcs.0.remove(id);
                let answer = answer_of(response).map_err(RpcError::from);
                self.outputs.push_back(Output::RpcAnswered { id: id.clone(), answer });
            }
            _ => waiting.acknowledged_by = None,
        }
        true
    }

    /// A participant is gone, and answers nothing any more.
    pub(crate) fn lose_rpcs_to(&mut self, gone: &ParticipantSid) {
        let failure = RpcFailure::built_in(RpcFailure::RECIPIENT_DISCONNECTED);
        self.fail_rpcs(|waiting| (waiting.to == *gone).then(|| failure.clone()));
    }

    /// Waits no longer for what was due.
    pub(crate) fn give_up_rpcs(&mut self, now: Now) {
        self.fail_rpcs(|waiting| {
            let is_over = |by: &Instant| *by <= now.at;
            let code = match &waiting.acknowledged_by {
                Some(by) if is_over(by) => RpcFailure::CONNECTION_TIMEOUT,
                _ if is_over(&waiting.answered_by) => RpcFailure::RESPONSE_TIMEOUT,
                _ => return None,
            };
            Some(RpcFailure::built_in(code))
        });
    }

    fn fail_rpcs(&mut self, failure: impl Fn(&Waiting) -> Option<RpcFailure>) {
        let outputs = &mut self.outputs;
        self.rpcs.0.retain(|id, waiting| {
            let Some(failure) = failure(waiting) else { return true };
            outputs.push_back(Output::RpcAnswered { id: id.clone(), answer: Err(failure.into()) });
            false
        });
    }

    /// SendData of the RoomService, unless its nonce says that it was sent before.
    pub fn send_data_once(&mut self, request: SendDataRequest) {
        if request.nonce.is_empty() || self.nonces.take(&request.nonce) {
            self.send_data(request);
        }
    }
}

fn answer_of(response: &RpcResponse) -> Result<String, RpcFailure> {
    match &response.value {
        Some(rpc_response::Value::Payload(payload)) if payload.len() > RPC_PAYLOAD_BYTES => {
            Err(RpcFailure::built_in(RpcFailure::RESPONSE_TOO_LARGE))
        }
        Some(rpc_response::Value::Payload(payload)) => Ok(payload.clone()),
        Some(rpc_response::Value::Error(error)) => Err(error.clone().into()),
        Some(rpc_response::Value::CompressedPayload(_)) => {
            Err(RpcFailure::built_in(RpcFailure::UNSUPPORTED_VERSION))
        }
        None => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests;
