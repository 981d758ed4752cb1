//! `GET /overview`: what goes on at this moment, for whoever manages the server.
//!
//! ```text
//!   LiveKit's API ─► rooms, who is in ─┐
//!   library ─► recordings, queues ─────┼─ each asked by itself, once for all who ask, and not waited for longer than a moment
//!   data folder's disk ─► storage ─────┘
//!   settings, receivers, recorder ──────── in memory
//! ```
//!
//! # Invariants
//!
//! - What does not answer is left out and said to be: the rest is there.
//! - No list is longer than its bound, and says how many there are.
//! - No secret is in it.

mod rooms;
mod storage;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use reelroom_library::{Library, Recording, Status};
use reelroom_limits::audit::OVERVIEW_RECORDINGS;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::WebApp;
use crate::clock;
use crate::config::SettingBody;
use crate::health;
use crate::overview::rooms::{OpenRoomBody, OpenRooms};
use crate::overview::storage::{Disk, StorageBody, Stored};
use crate::owner::told;
use crate::probe::Probe;
use crate::receivers::ReceiverBody;
use crate::recordings::RecordingBody;

/// What was found last.
#[derive(Default)]
pub(crate) struct Seen {
    rooms: Probe<Arc<OpenRooms>>,
    recordings: Probe<Result<Arc<Making>, String>>,
    stored: Probe<Result<Stored, String>>,
    disk: Probe<Option<Disk>>,
}

/// What is being made of recordings, and waits.
#[derive(Default)]
struct Making {
    active: Vec<Recording>,
    unstored: Vec<Recording>,
}

/// A recording in the making.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActiveBody {
    #[serde(flatten)]
    recording: RecordingBody,
    /// Seconds since it began.
    elapsed: f64,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueuesBody {
    /// They are over, and their files are being finished.
    composing: Vec<ActiveBody>,
    /// They wait to be stored, and play from local disk.
    storing: Vec<RecordingBody>,
    /// All that wait to be stored.
    storing_count: usize,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OverviewAnswer {
    /// Milliseconds since 1970.
    at: i64,
    version: &'static str,
    /// When this program was started: milliseconds since 1970.
    started_at: i64,
    /// open or invite.
    access: &'static str,
    /// Those that are open, by name.
    rooms: Vec<OpenRoomBody>,
    /// All that are open.
    rooms_count: usize,
    /// Why it is not known which rooms are open.
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms_trouble: Option<String>,
    /// Those that start or are recorded.
    recordings: Vec<ActiveBody>,
    queues: QueuesBody,
    /// Why recordings and queues are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    recordings_trouble: Option<String>,
    storage: StorageBody,
    /// How many more recordings could begin now; absent where another server records.
    #[serde(skip_serializing_if = "Option::is_none")]
    capacity: Option<u64>,
    /// Why none can.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorder_trouble: Option<String>,
    /// What works all the same and should be looked at.
    warnings: Vec<String>,
    /// Receivers of webhooks.
    webhooks: Vec<ReceiverBody>,
    /// By name as the settings file has them, in its order.
    settings: Vec<SettingBody>,
}

impl ActiveBody {
    fn of(recording: &Recording, now_ms: i64) -> Self {
        // Where it is not known when it began, nothing has passed.
        let began_ms = Some(recording.started_at_ms).filter(|at_ms| *at_ms > 0).unwrap_or(now_ms);
        let elapsed = now_ms.saturating_sub(began_ms).max(0) as f64 / 1000.0;
        Self { recording: recording.clone().into(), elapsed }
    }
}

/// Tells who is in which room, what is recorded, what waits, how much room there is, and which settings are in force.
#[utoipa::path(get, path = "/overview", responses((status = 200, body = OverviewAnswer)))]
pub(crate) async fn read_overview(State(app): State<WebApp>) -> Response {
    told(look(&app).await)
}

async fn look(app: &WebApp) -> OverviewAnswer {
    let (seen, library) = (app.seen(), app.library());
    let (rooms, making, stored, disk) = tokio::join!(
        seen.rooms.ask(rooms::look(app.clone())),
        seen.recordings.ask(making(library.clone())),
        seen.stored.ask(storage::stored(library.clone())),
        seen.disk.ask(storage::disk(app.places().data_dir.clone())),
    );
    let now_ms = clock::now().unix_ms;
    let rooms =
        rooms.unwrap_or_else(|| Arc::new(OpenRooms::unknown("the media server does not answer in time")));
    let (making, recordings_trouble) = match making {
        Some(Ok(making)) => (making, None),
        Some(Err(trouble)) => (Arc::default(), Some(trouble)),
        None => {
            (Arc::default(), Some("the list of recordings does not answer: is the disk stuck?".to_owned()))
        }
    };
    let is_finishing = |recording: &&Recording| recording.status == Status::Finishing;
    let active = |recordings: Vec<&Recording>| -> Vec<ActiveBody> {
        let some = recordings.into_iter().take(OVERVIEW_RECORDINGS);
        some.map(|recording| ActiveBody::of(recording, now_ms)).collect()
    };
    let (finishing, recorded): (Vec<_>, Vec<_>) = making.active.iter().partition(is_finishing);
    let recorder = app.recorder();
    OverviewAnswer {
        at: now_ms,
        version: env!("CARGO_PKG_VERSION"),
        started_at: app.started_ms(),
        access: app.access().as_str(),
        rooms: rooms.rooms.clone(),
        rooms_count: rooms.count,
        rooms_trouble: rooms.trouble.clone(),
        recordings: active(recorded),
        queues: QueuesBody {
            composing: active(finishing),
            storing: making.unstored.iter().cloned().map(RecordingBody::from).collect(),
            storing_count: library.waiting(),
        },
        recordings_trouble,
        storage: StorageBody::of(
            app.places(),
            app.adjustment().disk_reserve_bytes,
            stored.and_then(Result::ok),
            disk.flatten(),
            library.trouble(),
        ),
        capacity: recorder.as_ref().map(|recorder| recorder.more),
        recorder_trouble: recorder.and_then(|recorder| recorder.trouble),
        warnings: health::warnings(app),
        webhooks: health::standing(app),
        settings: app.adjustment().settings.to_vec(),
    }
}

async fn making(library: Library) -> Result<Arc<Making>, String> {
    let told = |error: reelroom_library::LibraryError| error.to_string();
    let mut active = library.in_the_making().await.map_err(told)?;
    active.sort_by(|one, other| (one.started_at_ms, &one.name).cmp(&(other.started_at_ms, &other.name)));
    let unstored = library.unstored(OVERVIEW_RECORDINGS).await.map_err(told)?;
    Ok(Arc::new(Making { active, unstored }))
}

#[cfg(test)]
mod tests;
