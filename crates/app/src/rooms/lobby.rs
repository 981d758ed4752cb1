//! `/rooms/{name}/lobby`: guests wait to be let in, and whoever runs the room lets them in, or does not.
//!
//! ```text
//!   POST /token ─► 202 {waiting: {id, secret}} ─► GET lobby/{id} (X-Reelroom-Knock: the secret) ─► waiting, alone, refused
//!                                                                                               └► admitted, with a token
//!   GET lobby ─► who waits ─► POST lobby/admit, lobby/refuse
//! ```
//!
//! # Invariants
//!
//! - Who waits has no token, and is told nothing of the room but whether somebody is there who can let them in.
//! - The secret of who waits is in one answer, and comes back in a header: it is in no address and in no log.
//! - Whether the link holds by which somebody came is asked each time before they are told something, and that of a host as well.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use reelroom_access::{Resource, Right, may};
use reelroom_audit::{Act, On};
use reelroom_limits::asker::Asker;
use reelroom_limits::rooms::KNOCKS_OF_A_ROOM;
use reelroom_protocol::ids::RoomName;
use reelroom_rooms::{
    Decision, Entrance, KnockId, LinkId, NewKnock, ShownKnock, Turn, Waiter, Waiters, shown_name,
};
use reelroom_routes::{Keeper as _, Refusal, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::consent;
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::config::Access;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Json, Path, Query};
use crate::lobby::{Found, Side};
use crate::origin::Origin;
use crate::owner::told;
use crate::token::{self, Bearer};

/// The secret of a knock.
const KNOCK: HeaderName = HeaderName::from_static("x-reelroom-knock");

/// Whoever asked for a token waits until a host lets them in.
#[derive(Serialize, ToSchema)]
pub(crate) struct WaitingAnswer {
    waiting: KnockBody,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KnockBody {
    /// Of GET /rooms/{name}/lobby/{id}.
    id: String,
    /// What is shown there in the header X-Reelroom-Knock.
    secret: String,
}

/// How it stands with somebody who waits.
#[derive(Serialize, ToSchema)]
pub(crate) struct TurnAnswer {
    /// waiting, alone (nobody is there who can let them in), admitted or refused.
    state: &'static str,
    /// Of whoever is admitted: a LiveKit access token for the room. Asked for again it is of the same participant.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Beside the token: whether that room records only those who agree. It may have been set while they waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<bool>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TurnParams {
    /// The state that is known already: then the answer comes when it is another one, or after some seconds. Absent: at once.
    shown: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LobbyParams {
    /// The version that is known already: then the answer comes when it is another one, or after some seconds. Absent: at once.
    seen: Option<u64>,
}

/// Who waits to be let into a room.
#[derive(Serialize, ToSchema)]
pub(crate) struct LobbyAnswer {
    /// Whether guests of this room have to wait. Where they do not there is nothing to be asked for often.
    lobby: bool,
    /// Another one after each change.
    version: u64,
    /// Whoever came first stands first.
    waiting: Vec<WaiterBody>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct WaiterBody {
    id: String,
    /// What they call themselves: nobody has looked whether it is so.
    name: String,
    /// Milliseconds since 1970.
    since: i64,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct DecideRequest {
    /// Of those who wait.
    #[schema(required = true)]
    ids: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DecidedAnswer {
    /// How many of them still waited.
    decided: usize,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LeftAnswer {
    /// They do not wait any more.
    left: bool,
}

impl From<Waiter> for WaiterBody {
    fn from(waiter: Waiter) -> Self {
        Self { id: waiter.id.as_str().to_owned(), name: waiter.name, since: waiter.since_ms }
    }
}

impl WebApp {
    /// Whether guests of a room wait until somebody lets them in.
    pub(crate) fn has_lobby(&self, room: &RoomName) -> bool {
        let is_set = self.rooms().settings(room).is_some_and(|settings| settings.has_lobby);
        is_set && self.access() == Access::Invite
    }
}

/// Whoever came by a link waits from now on to be let in.
pub(crate) fn knock(
    app: &WebApp,
    headers: &HeaderMap,
    room: &RoomName,
    name: &str,
    asker: Asker,
) -> Result<Response, ApiError> {
    let now = clock::now();
    // Between the door and here it may have ended.
    let link = app.link(headers, now.unix_ms).ok_or(Refusal::Nobody)?;
    let name = shown_name(name).ok_or_else(|| ApiError::required("a participantName that can be seen"))?;
    let new = NewKnock { room, link: &link, name: &name, asker };
    let (id, secret) = app.lobbies().with(|lobby, at| lobby.knock(new, at, now.unix_ms, &mut rand::rng()))?;
    tracing::info!(%room, %id, "somebody waits to be let into a room");
    let waiting = KnockBody { id: id.as_str().to_owned(), secret: secret.reveal().to_owned() };
    Ok((StatusCode::ACCEPTED, told(WaitingAnswer { waiting })).into_response())
}

/// Somebody who knocked, as far as they show it.
struct Knocked {
    room: RoomName,
    link: LinkId,
    id: KnockId,
    secret: String,
}

impl Knocked {
    fn of(app: &WebApp, room: RoomName, id: &str, headers: &HeaderMap) -> Result<Self, ApiError> {
        let link = app.link(headers, clock::now().unix_ms).ok_or_else(gone)?;
        let secret = headers.get(KNOCK).and_then(|secret| secret.to_str().ok()).unwrap_or_default();
        Ok(Self { room, link, id: id.into(), secret: secret.to_owned() })
    }

    fn shown(&self) -> ShownKnock<'_> {
        ShownKnock { room: &self.room, link: &self.link, id: &self.id, secret: &self.secret }
    }

    /// How it stands with them, who are heard of by that.
    fn turn(&self, app: &WebApp) -> Result<Turn, ApiError> {
        if app.rooms().caller(&self.link, clock::now().unix_ms).is_none() {
            return Err(Refusal::Nobody.into());
        }
        let has_lobby = app.has_lobby(&self.room);
        app.lobbies().with(|lobby, now| lobby.hear(&self.shown(), has_lobby, now)).ok_or_else(gone)
    }

    /// The token of whoever was let in.
    async fn token(&self, app: &WebApp, actor: &Actor) -> Result<String, ApiError> {
        let admitted = app.lobbies().with(|lobby, _| lobby.admitted(&self.shown()));
        let (name, before) = admitted.ok_or_else(gone)?;
        let is_first = before.is_none();
        let entrance = match before {
            Some(entrance) => entrance,
            None => {
                let identity = token::identity(app, &self.room, &name).await?;
                let entrance = Entrance { ticket: Origin::LetIn(self.link.clone()).ticket(), identity };
                app.lobbies().with(|lobby, _| lobby.enter(&self.shown(), entrance)).ok_or_else(gone)?
            }
        };
        let Entrance { ticket, identity } = entrance;
        let terms = token::Terms::by_invitation(app, &self.room, ticket)?;
        // They were held for a while: what their link grants now, whatever else they show.
        let caller = app.rooms().caller(&self.link, clock::now().unix_ms).ok_or(Refusal::Nobody)?;
        let bearer = Bearer { name, identity };
        // However often they ask, they come once.
        if is_first {
            token::note(app, actor, &self.room, &bearer);
        }
        token::sign(app, &caller, &self.room, bearer, terms).ok_or_else(|| Refusal::of(&caller).into())
    }
}

fn gone() -> ApiError {
    ApiError::NotFound("you do not wait to be let in any more: ask for a token again".into())
}

fn word(turn: Turn) -> &'static str {
    match turn {
        Turn::Waits => "waiting",
        Turn::WaitsAlone => "alone",
        Turn::Admitted => "admitted",
        Turn::Refused => "refused",
    }
}

/// Tells whoever waits to be let into a room how it stands with them. Who does not ask for 15 seconds waits no more.
#[utoipa::path(get, path = "/rooms/{name}/lobby/{id}", params(("name" = String, Path), ("id" = String, Path), TurnParams), responses(
    (status = 200, body = TurnAnswer),
    (status = 401, description = "The link by which they came opens nothing any more", body = ErrorBody),
    (status = 404, description = "They do not wait, or not any more, or the header X-Reelroom-Knock is wrong", body = ErrorBody),
    (status = 502, description = "The LiveKit server cannot be used", body = ErrorBody),
))]
pub(crate) async fn read_turn(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path((name, id)): Path<(String, String)>,
    Query(params): Query<TurnParams>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let room = RoomName::from(name);
    visitor.ask(Right::Join, &Resource::Room(&room))?;
    let knocked = Knocked::of(&app, room, &id, &headers)?;
    let look = || {
        let turn = knocked.turn(&app);
        let is_known = turn.as_ref().is_ok_and(|turn| params.shown.as_deref() == Some(word(*turn)));
        Found { what: turn, is_new: !is_known }
    };
    let turn = app.lobbies().until_new(Side::Guest, app.stop(), look).await?;
    let token = match turn {
        Turn::Admitted => Some(knocked.token(&app, &actor).await?),
        Turn::Waits | Turn::WaitsAlone | Turn::Refused => None,
    };
    let consent = token.is_some().then(|| consent::is_asked(&app, &knocked.room));
    Ok(told(TurnAnswer { state: word(turn), token, consent }))
}

/// Waits no more to be let in.
#[utoipa::path(delete, path = "/rooms/{name}/lobby/{id}", params(("name" = String, Path), ("id" = String, Path)), responses(
    (status = 200, body = LeftAnswer),
    (status = 404, description = "They did not wait, or the header X-Reelroom-Knock is wrong", body = ErrorBody),
))]
pub(crate) async fn leave_lobby(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path((name, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let room = RoomName::from(name);
    visitor.ask(Right::Join, &Resource::Room(&room))?;
    let knocked = Knocked::of(&app, room, &id, &headers)?;
    let left = app.lobbies().with(|lobby, _| lobby.leave(&knocked.shown()));
    if left { Ok(told(LeftAnswer { left })) } else { Err(gone()) }
}

/// Tells who waits to be let into a room. Whoever asks is there to let them in, as far as those who wait are told.
#[utoipa::path(get, path = "/rooms/{name}/lobby", params(("name" = String, Path), LobbyParams), responses(
    (status = 200, body = LobbyAnswer),
    (status = 403, description = "They do not run this room", body = ErrorBody),
))]
pub(crate) async fn read_lobby(
    State(app): State<WebApp>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(params): Query<LobbyParams>,
    request: Request,
) -> Result<Response, ApiError> {
    let room = RoomName::from(name);
    visitor.ask(Right::Moderate, &Resource::Room(&room))?;
    let (head, _) = request.into_parts();
    let look = || {
        let has_lobby = app.has_lobby(&room);
        let nobody = Waiters { version: 0, all: Vec::new() };
        let waiters =
            if has_lobby { app.lobbies().with(|lobby, now| lobby.look(&room, now)) } else { nobody };
        let is_new = !has_lobby || params.seen != Some(waiters.version);
        Found { what: (has_lobby, waiters), is_new }
    };
    let (lobby, waiters) = app.lobbies().until_new(Side::Host, app.stop(), look).await;
    // They may have been held for a while. Whoever may something else by now runs the room as before.
    let caller = app.caller(&head).await?;
    if !may(&caller, Right::Moderate, &Resource::Room(&room)) {
        return Err(Refusal::of(&caller).into());
    }
    let waiting = waiters.all.into_iter().map(WaiterBody::from).collect();
    Ok(told(LobbyAnswer { lobby, version: waiters.version, waiting }))
}

/// Lets in those who wait. Who knocked since the list was read is none of them.
#[utoipa::path(post, path = "/rooms/{name}/lobby/admit", params(("name" = String, Path)), request_body = DecideRequest, responses(
    (status = 200, body = DecidedAnswer),
    (status = 400, description = "ids is missing or too long", body = ErrorBody),
    (status = 404, description = "None of them waits any more", body = ErrorBody),
))]
pub(crate) async fn admit_waiting(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path(name): Path<String>,
    Json(request): Json<DecideRequest>,
) -> Result<Response, ApiError> {
    decide(&app, &visitor, &actor, name, request, Decision::Admit)
}

/// Does not let in those who wait. They are told, and can ask again after a minute.
#[utoipa::path(post, path = "/rooms/{name}/lobby/refuse", params(("name" = String, Path)), request_body = DecideRequest, responses(
    (status = 200, body = DecidedAnswer),
    (status = 400, description = "ids is missing or too long", body = ErrorBody),
    (status = 404, description = "None of them waits any more", body = ErrorBody),
))]
pub(crate) async fn refuse_waiting(
    State(app): State<WebApp>,
    visitor: Visitor,
    actor: Actor,
    Path(name): Path<String>,
    Json(request): Json<DecideRequest>,
) -> Result<Response, ApiError> {
    decide(&app, &visitor, &actor, name, request, Decision::Refuse)
}

fn decide(
    app: &WebApp,
    visitor: &Visitor,
    actor: &Actor,
    name: String,
    request: DecideRequest,
    decision: Decision,
) -> Result<Response, ApiError> {
    let room = RoomName::from(name);
    visitor.ask(Right::Moderate, &Resource::Room(&room))?;
    let ids = request.ids.filter(|ids| !ids.is_empty()).ok_or_else(|| ApiError::required("ids"))?;
    if ids.len() > KNOCKS_OF_A_ROOM {
        return Err(ApiError::BadRequest(format!("ids has too many: at most {KNOCKS_OF_A_ROOM} wait")));
    }
    let ids: Vec<KnockId> = ids.iter().map(|id| KnockId::from(id.as_str())).collect();
    let (names, decided) = app.lobbies().with(|lobby, now| {
        let all = lobby.look(&room, now).all.into_iter();
        let names: Vec<String> = all.filter(|one| ids.contains(&one.id)).map(|one| one.name).collect();
        (names, lobby.decide(&room, &ids, decision, now))
    });
    if decided == 0 {
        return Err(ApiError::NotFound("they do not wait any more".into()));
    }
    let act = match decision {
        Decision::Admit => Act::ParticipantAdmitted,
        Decision::Refuse => Act::ParticipantTurnedAway,
    };
    actor.did_so(act, On::room(room.as_str()), names.join(", "));
    tracing::info!(%room, decided, ?decision, "it was decided who is let into a room");
    Ok(told(DecidedAnswer { decided }))
}
