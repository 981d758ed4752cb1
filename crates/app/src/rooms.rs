//! `/rooms`: the owner makes rooms, sees them with their links, changes them and deletes them; and what whoever comes by a link is told.
//!
//! ```text
//!   owner, or API key that may manage ─► /rooms, /rooms/{name}/links ─► Rooms ─┬─► truth
//!                                                                              └─► media server: who is in is looked at again
//!   whoever shows a link ─► /link, /recordings/{name}/pass
//!   whoever waits, and whoever runs the room ─► /rooms/{name}/lobby, /rooms/{name}/participants
//! ```
//!
//! # Invariants
//!
//! - A change is made to its end, also where whoever asked has gone: it is written, and it reaches those who are in the room. What takes a
//!   right away reaches them also where it could not be written, and does not wait for a disk that is slow.
//! - A link's secret is in answers to who may manage, and in no log.

pub(crate) mod consent;
pub(crate) mod invited;
pub(crate) mod kept;
pub(crate) mod links;
pub(crate) mod lobby;
pub(crate) mod pass;
pub(crate) mod people;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use reelroom_access::{Right, Rights};
use reelroom_audit::{Act, On};
use reelroom_protocol::ids::RoomName;
use reelroom_rooms::{Change, Keep, Layout, Link, NewRoom, Role, Room, Rooms, RoomsError, Settings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::config::Access;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{self, Json, Path};
use crate::owner::told;

/// A room that the owner made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomBody {
    name: String,
    /// What guests may do besides joining: docs/access.md says what each of them is; "-" stands for each space.
    guests: Vec<String>,
    /// What hosts may do besides what every host may.
    hosts: Vec<String>,
    /// So many people at most; absent where nothing is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_participants: Option<u32>,
    /// Whether guests wait until a host lets them in.
    lobby: bool,
    /// Whether people are recorded only if they agree.
    consent: bool,
    /// How its recordings look where nothing else is asked for; absent: as by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<&'static str>,
    /// For how many days its recordings are kept; absent: until somebody deletes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_days: Option<u32>,
    /// Milliseconds since 1970.
    made_at: i64,
    /// One for hosts and one for guests at most.
    links: Vec<RoomLinkBody>,
}

/// A link into a room.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomLinkBody {
    /// host or guest.
    role: &'static str,
    /// Behind this server's address: what is sent to whoever is invited. Absent where it was made with another key of the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// The same with the address by which everybody reaches the server: where PUBLIC_URL says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Milliseconds since 1970.
    made_at: i64,
    /// Milliseconds since 1970; absent where it lasts until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RoomsAnswer {
    /// By name.
    rooms: Vec<RoomBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MakeRoomRequest {
    /// Any text that no other room has or had for its name.
    #[schema(required = true)]
    name: Option<String>,
    /// Absent: publish-camera, publish-microphone, publish-screen, publish-screen-sound and chat.
    guests: Option<Vec<String>>,
    /// Absent: none.
    hosts: Option<Vec<String>>,
    /// Absent or 0: as many as the server takes. It holds from the next time that the room opens.
    max_participants: Option<u32>,
    /// Absent: guests come in by themselves.
    lobby: Option<bool>,
    /// Absent: everybody is recorded.
    consent: Option<bool>,
    /// Absent or empty: as by default.
    layout: Option<String>,
    /// Absent or 0: until somebody deletes them. Those that were recorded before the room was made stay in any case.
    keep_days: Option<u32>,
    /// When its first links expire: milliseconds since 1970; absent: they last until they are revoked.
    expires_at: Option<i64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeRoomRequest {
    /// Absent: as before. What they may not do any more is taken from those who are in; what they may beyond that is for those who come.
    guests: Option<Vec<String>>,
    /// Absent: as before.
    hosts: Option<Vec<String>>,
    /// Absent: as before; 0: as many as the server takes. It holds from the next time that the room opens.
    max_participants: Option<u32>,
    /// Absent: as before.
    lobby: Option<bool>,
    /// Absent: as before. Switched on, nobody in the room is recorded any more who has not agreed; switched off, it holds from the next time
    /// that the room opens.
    consent: Option<bool>,
    /// Absent: as before; empty: as by default.
    layout: Option<String>,
    /// Absent: as before; 0: until somebody deletes them. A shorter time than before deletes nothing for a day: GET /rooms/{name}/retention says
    /// what it will.
    keep_days: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeletedRoomAnswer {
    /// The name of the room that is closed for good.
    deleted: String,
}

impl RoomBody {
    fn of(app: &WebApp, room: Room) -> Self {
        Self {
            name: room.name.into(),
            guests: words(room.settings.guests),
            hosts: words(room.settings.hosts),
            max_participants: room.settings.people,
            lobby: room.settings.has_lobby,
            consent: room.settings.asks_consent,
            layout: room.settings.layout.map(Layout::word),
            keep_days: room.settings.keep_days,
            made_at: room.made_ms,
            links: room.links.into_iter().map(|link| RoomLinkBody::of(app, link)).collect(),
        }
    }
}

impl RoomLinkBody {
    fn of(app: &WebApp, link: Link) -> Self {
        let path = link.secret.map(|secret| format!("/join#{}", secret.reveal()));
        Self {
            role: link.role.word(),
            url: path.as_ref().filter(|_| app.public_url().is_some()).map(|path| app.link_to(path)),
            path,
            made_at: link.made_ms,
            expires_at: link.expires_ms,
        }
    }
}

/// Lists the rooms that the owner made, with their links.
#[utoipa::path(get, path = "/rooms", responses((status = 200, body = RoomsAnswer)))]
pub(crate) async fn list_rooms(State(app): State<WebApp>) -> Response {
    told(RoomsAnswer { rooms: app.rooms().all().into_iter().map(|room| RoomBody::of(&app, room)).collect() })
}

/// Makes a room with a link for hosts and one for guests.
#[utoipa::path(post, path = "/rooms", request_body = MakeRoomRequest, responses(
    (status = 200, body = RoomBody),
    (status = 400, description = "The name, a right or the time is none", body = ErrorBody),
    (status = 409, description = "A room has or had the name, or there are as many as there may be", body = ErrorBody),
    (status = 503, description = "The disk fails", body = ErrorBody),
))]
pub(crate) async fn make_room(
    State(app): State<WebApp>,
    actor: Actor,
    Json(request): Json<MakeRoomRequest>,
) -> Result<Response, ApiError> {
    let name = extract::name(request.name, "name")?;
    let default = Settings::default();
    let settings = Settings {
        guests: granted(request.guests.as_deref(), Role::Guest)?.unwrap_or(default.guests),
        hosts: granted(request.hosts.as_deref(), Role::Host)?.unwrap_or(default.hosts),
        people: request.max_participants.filter(|people| *people > 0),
        has_lobby: request.lobby.unwrap_or(default.has_lobby),
        asks_consent: request.consent.unwrap_or(default.asks_consent),
        layout: layout(request.layout.as_deref())?.unwrap_or(default.layout),
        keep_days: request.keep_days.filter(|days| *days > 0),
    };
    let expires_ms = request.expires_at;
    // Nobody is in it by a link yet. But whoever needs none may have opened it already, and has not been asked.
    let asked = settings.asks_consent.then(|| RoomName::from(name.trim()));
    let room = done(&app, asked, move |rooms| {
        let new = NewRoom { name: &name, settings, expires_ms };
        let room = rooms.make(new, clock::now().unix_ms, &mut rand::rng())?;
        actor.did_so(Act::RoomMade, On::room(&room.name), set(&room.settings));
        Ok(room)
    })
    .await?;
    tracing::info!(room = %room.name, "a room was made");
    Ok(told(RoomBody::of(&app, room)))
}

/// Tells of one room.
#[utoipa::path(get, path = "/rooms/{name}", params(("name" = String, Path)), responses(
    (status = 200, body = RoomBody),
    (status = 404, description = "There is no such room", body = ErrorBody),
))]
pub(crate) async fn read_room(
    State(app): State<WebApp>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    Ok(told(RoomBody::of(&app, app.rooms().room(&name.into())?)))
}

/// Changes what is set of a room. What is taken away is taken at once, from those who are in as well.
#[utoipa::path(patch, path = "/rooms/{name}", params(("name" = String, Path)), request_body = ChangeRoomRequest, responses(
    (status = 200, body = RoomBody),
    (status = 400, description = "A right is none that can be granted", body = ErrorBody),
    (status = 404, description = "There is no such room", body = ErrorBody),
    (status = 503, description = "What was taken away is, and the disk does not take that", body = ErrorBody),
))]
pub(crate) async fn change_room(
    State(app): State<WebApp>,
    actor: Actor,
    Path(name): Path<String>,
    Json(request): Json<ChangeRoomRequest>,
) -> Result<Response, ApiError> {
    let change = Change {
        guests: granted(request.guests.as_deref(), Role::Guest)?,
        hosts: granted(request.hosts.as_deref(), Role::Host)?,
        people: request.max_participants.map(|people| Some(people).filter(|people| *people > 0)),
        has_lobby: request.lobby,
        asks_consent: request.consent,
        layout: layout(request.layout.as_deref())?,
        keep: request.keep_days.map(kept_for),
    };
    let name = RoomName::from(name);
    let changed = name.clone();
    let room = done(&app, Some(name), move |rooms| {
        let outcome = rooms.change(&changed, change);
        let detail = outcome.as_ref().map(|room| set(&room.settings)).ok();
        actor.tried(Act::RoomChanged, On::room(&changed), detail, &outcome);
        outcome
    })
    .await?;
    tracing::info!(room = %room.name, "what is set of a room was changed");
    Ok(told(RoomBody::of(&app, room)))
}

/// Deletes a room: it is closed for good, its links open nothing, and whoever is in it is told to leave. Its recordings stay.
#[utoipa::path(delete, path = "/rooms/{name}", params(("name" = String, Path)), responses(
    (status = 200, body = DeletedRoomAnswer),
    (status = 404, description = "There is no such room", body = ErrorBody),
    (status = 503, description = "It is closed, and the disk does not take that", body = ErrorBody),
))]
pub(crate) async fn delete_room(
    State(app): State<WebApp>,
    actor: Actor,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let name = RoomName::from(name);
    let closed = name.clone();
    done(&app, Some(name.clone()), move |rooms| {
        let outcome = rooms.close(&closed, clock::now().unix_ms);
        actor.tried(Act::RoomDeleted, On::room(&closed), None, &outcome);
        outcome
    })
    .await?;
    tracing::info!(room = %name, "a room was deleted");
    Ok(told(DeletedRoomAnswer { deleted: name.into() }))
}

/// A disk that takes longer to answer is not waited for by what takes a right away.
const REACHES_AFTER: Duration = Duration::from_millis(50);
/// While it does not answer.
const REACHES_AGAIN: Duration = Duration::from_secs(5);

/// Does something to its end, and has it reach those who are in that room: what holds in memory also before the disk has answered.
pub(crate) async fn done<T: Send + 'static>(
    app: &WebApp,
    room: Option<RoomName>,
    work: impl FnOnce(&Rooms) -> Result<T, RoomsError> + Send + 'static,
) -> Result<T, ApiError> {
    let app = app.clone();
    let done = tokio::spawn(async move {
        let rooms = Arc::clone(app.rooms());
        let mut working = tokio::task::spawn_blocking(move || work(&rooms));
        let Some(room) = room else { return working.await };
        let mut pause = REACHES_AFTER;
        let done = loop {
            match tokio::time::timeout(pause, &mut working).await {
                Ok(done) => break done,
                Err(_) => reach(&app, &room).await,
            }
            pause = (pause * 4).min(REACHES_AGAIN);
        };
        reach(&app, &room).await;
        done
    });
    match done.await {
        Ok(Ok(done)) => Ok(done?),
        // The runtime ends, and with it whoever waits here.
        Ok(Err(error)) | Err(error) if error.is_cancelled() => std::future::pending().await,
        Ok(Err(error)) | Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Has what changed of a room reach those who are in it, and those who wait.
async fn reach(app: &WebApp, room: &RoomName) {
    app.lobbies().stir();
    match app.media() {
        Some(media) => media.recheck(room).await,
        None => tracing::warn!(
            %room,
            "the media server is another program's: whoever is in the room stays there as they are, and it gives them fresh tokens"
        ),
    }
    consent::end_unasked(app, room).await;
    if app.rooms().is_closed(room)
        && let Err(error) = app.livekit().close_room(room.as_str()).await
    {
        tracing::warn!(%room, %error, "a room was deleted, and could not be closed in the media server");
    }
}

/// Lets go, from time to time, whoever came by a link that has expired. It waits for no disk.
pub(crate) struct Expiry {
    looked_ms: i64,
}

impl Expiry {
    /// From now on.
    pub(crate) fn begin() -> Self {
        Self { looked_ms: clock::now().unix_ms }
    }

    /// Those whose link has expired since the last time.
    pub(crate) async fn look(&mut self, app: &WebApp) {
        let now_ms = clock::now().unix_ms;
        for room in app.rooms().expired_between(self.looked_ms, now_ms) {
            tracing::info!(%room, "a link into a room has expired");
            Actor::server(app).did(Act::RoomLinkExpired, On::room(&room));
            reach(app, &room).await;
        }
        self.looked_ms = now_ms;
        app.lobbies().with(|lobby, now| lobby.tidy(now));
    }
}

/// Has it written down, from time to time, what is over and could not be written when it ended.
#[derive(Default)]
pub(crate) struct Tending {
    trouble: Option<String>,
}

impl Tending {
    /// Tries it once.
    pub(crate) async fn look(&mut self, app: &WebApp) {
        let rooms = Arc::clone(app.rooms());
        let kept = tokio::task::spawn_blocking(move || rooms.keep()).await;
        let trouble = kept.ok().and_then(Result::err).map(|error| error.to_string());
        if let Some(trouble) = trouble.as_ref().filter(|trouble| self.trouble.as_ref() != Some(*trouble)) {
            tracing::warn!(
                "links that were revoked and rooms that were deleted are not written down: {trouble}"
            );
        }
        self.trouble = trouble;
    }
}

/// What is said to be granted.
fn granted(said: Option<&[String]>, role: Role) -> Result<Option<Rights>, ApiError> {
    let Some(said) = said else { return Ok(None) };
    let grantable = role.grantable();
    let known = |word: &String| Right::of_word(word).filter(|right| grantable.has(*right));
    let rights: Option<Rights> = said.iter().map(known).collect();
    rights.map(Some).ok_or_else(|| {
        ApiError::BadRequest(format!(
            "a {} is granted of these: {}",
            role.word(),
            words(grantable).join(", ")
        ))
    })
}

/// With 0 days recordings are kept until somebody deletes them.
fn kept_for(days: u32) -> Keep {
    Keep { days: Some(days).filter(|days| *days > 0), now_ms: clock::now().unix_ms }
}

/// The layout that is asked for, if one is: the inner one is `None` where it is the default.
pub(crate) fn layout(said: Option<&str>) -> Result<Option<Option<Layout>>, ApiError> {
    match said {
        None => Ok(None),
        Some("") => Ok(Some(None)),
        Some(word) => {
            let layout = Layout::of_word(word).ok_or_else(|| {
                let all: Vec<&str> = Layout::ALL.into_iter().map(Layout::word).collect();
                ApiError::BadRequest(format!("layout is none of {}", all.join(", ")))
            })?;
            Ok(Some(Some(layout)))
        }
    }
}

/// What is set of a room, in a few words.
fn set(settings: &Settings) -> String {
    let said = |rights: Rights| match words(rights).join(", ") {
        none if none.is_empty() => "nothing".to_owned(),
        some => some,
    };
    let mut words = format!("guests: {}; hosts: {}", said(settings.guests), said(settings.hosts));
    let more = [
        settings.people.map(|people| format!("people: {people}")),
        settings.has_lobby.then(|| "a lobby".to_owned()),
        settings.asks_consent.then(|| "consent".to_owned()),
        settings.layout.map(|layout| format!("layout: {}", layout.word())),
        settings.keep_days.map(|days| format!("recordings kept for {days} days")),
    ];
    for more in more.into_iter().flatten() {
        words.push_str("; ");
        words.push_str(&more);
    }
    words
}

/// What is set of a room; nothing where nobody made it, or access is open: there rooms are nothing.
pub(crate) fn in_force(app: &WebApp, room: &RoomName) -> Option<Settings> {
    if app.access() == Access::Open { None } else { app.rooms().settings(room) }
}

/// Their words.
pub(crate) fn words(rights: Rights) -> Vec<String> {
    Right::ALL.iter().filter(|right| rights.has(**right)).map(|right| right.word()).collect()
}

#[cfg(test)]
mod tests;
