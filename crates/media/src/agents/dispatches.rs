//! `livekit.AgentDispatchService` over Twirp.

use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse as _, Response};
use reelroom_agents::{AgentsError, Wish};
use reelroom_limits::signalling::NAME_BYTES;
use reelroom_protocol::ids::{RoomName, RoomSid};
use reelroom_protocol::proto::{
    self, AgentDispatch, CreateAgentDispatchRequest, CreateRoomRequest, DeleteAgentDispatchRequest,
    ListAgentDispatchRequest, ListAgentDispatchResponse,
};
use reelroom_protocol::twirp::{self, Request, TwirpCode, TwirpError, respond};
use reelroom_routes::{Needs, Part, Proof};

use crate::error::MediaError;
use crate::server::MediaServer;

type Answer = Result<Response, TwirpError>;

pub(super) fn rows() -> Part<MediaServer> {
    const NEEDS: Needs = Needs::Proof(Proof::ApiToken);
    let path = |method: &str| format!("/twirp/livekit.AgentDispatchService/{method}");
    Part::new("Dispatch of agents (`livekit.AgentDispatchService`)")
        .row([Method::POST], &path("CreateDispatch"), NEEDS, create)
        .row([Method::POST], &path("DeleteDispatch"), NEEDS, delete)
        .row([Method::POST], &path("ListDispatch"), NEEDS, list)
        .refusing_methods(|method, uri| TwirpError::bad_route(&method, uri.path()).into_response())
}

/// The room that the caller is admin of.
fn admin<T>(request: &Request<T>, room: &str) -> Result<RoomName, TwirpError> {
    twirp::require_room_admin(&request.claims, room)?;
    if room.is_empty() || room.len() > NAME_BYTES {
        let text = format!("room must have a name of at most {NAME_BYTES} bytes");
        return Err(TwirpError::new(TwirpCode::InvalidArgument, text));
    }
    Ok(room.into())
}

fn refused(error: AgentsError) -> TwirpError {
    let code = match error {
        AgentsError::NoRoom | AgentsError::NoDispatch => TwirpCode::NotFound,
        AgentsError::TooManyWorkers | AgentsError::TooManyDispatches => TwirpCode::ResourceExhausted,
        AgentsError::Restarting => TwirpCode::Unavailable,
        AgentsError::UnknownJobType(_)
        | AgentsError::TooLong { .. }
        | AgentsError::TooManyAttributes { .. }
        | AgentsError::Deployment => TwirpCode::InvalidArgument,
    };
    TwirpError::new(code, error.to_string())
}

fn open_room(server: &MediaServer, name: RoomName) -> Result<RoomSid, TwirpError> {
    server.rooms().sid(&name).ok_or_else(|| MediaError::NoRoom(name).into())
}

/// A room that is not open opens: an agent may be there before anybody else.
async fn create(State(server): State<MediaServer>, request: Request<CreateAgentDispatchRequest>) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let wish = Wish::of_call(request.message).map_err(refused)?;
    let opening = CreateRoomRequest { name: room.to_string(), ..Default::default() };
    server.rooms().create(&opening).await?;
    let sid = open_room(&server, room)?;
    let dispatch = server.agents().create_dispatch(&sid, wish).map_err(refused)?;
    Ok(respond(request.encoding, &in_room(&sid, dispatch)))
}

async fn delete(State(server): State<MediaServer>, request: Request<DeleteAgentDispatchRequest>) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let sid = open_room(&server, room)?;
    let id = request.message.dispatch_id.into();
    let dispatch = server.agents().delete_dispatch(&sid, &id).map_err(refused)?;
    Ok(respond(request.encoding, &in_room(&sid, dispatch)))
}

async fn list(State(server): State<MediaServer>, request: Request<ListAgentDispatchRequest>) -> Answer {
    let room = admin(&request, &request.message.room)?;
    let sid = open_room(&server, room)?;
    let dispatches = server.agents().dispatches(&sid, &request.message.dispatch_id).map_err(refused)?;
    let agent_dispatches = dispatches.into_iter().map(|dispatch| in_room(&sid, dispatch)).collect();
    Ok(respond(request.encoding, &ListAgentDispatchResponse { agent_dispatches }))
}

/// Its jobs say in which room they are. How that is, and how their participants are, their workers are told: here it would be there once for each job.
fn in_room(sid: &RoomSid, mut dispatch: AgentDispatch) -> AgentDispatch {
    let room = proto::Room { sid: sid.to_string(), name: dispatch.room.clone(), ..Default::default() };
    for job in dispatch.state.iter_mut().flat_map(|state| &mut state.jobs) {
        job.room = Some(room.clone());
    }
    dispatch
}
