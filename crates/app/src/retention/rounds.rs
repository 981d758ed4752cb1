//! Looks again and again what is due, and deletes it.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use reelroom_accounts::Now;
use reelroom_audit::{Act, On};
use reelroom_library::LibraryError;
use reelroom_limits::rooms::RETENTION_AT_ONCE;
use reelroom_rooms::{Due, Rooms, RoomsError};
use tokio_util::sync::CancellationToken;

use super::caution::{Caution, Verdict};
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::config::Access;
use crate::owner::blocking;
use crate::shares;

/// How often it is looked what is due.
const EVERY: Duration = Duration::from_secs(60);
/// While the store or the disk fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// So many that fail one after the other mean that the store does.
const FAILURES_OF_A_STORE: usize = 3;
/// How often it is written down how the clock stands.
const CLOCK_EVERY: Duration = Duration::from_secs(60 * 60);
/// A failure is told for so long after it, unless something is deleted before.
const TROUBLE_LASTS: Duration = Duration::from_secs(2 * 60 * 60);

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// What the store has not had for so long after it was due is gone for good.
const GONE_AFTER_MS: i64 = 30 * DAY_MS;
/// The end of the year 9999: what is later has no form.
const LATEST_MS: i64 = 253_402_300_799_000;

/// Runs until `stop` is cancelled. A deletion that has begun goes to its end.
pub(crate) async fn run(app: WebApp, stop: CancellationToken) {
    let work = async {
        let mut rounds = Rounds::default();
        loop {
            let pause = rounds.look(&app, clock::now()).await;
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// Why a recording could not be deleted.
#[derive(Debug, thiserror::Error)]
enum DeleteError {
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Rooms(#[from] RoomsError),
}

/// What became of a recording that was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Deleted,
    /// It is not due any more.
    Stays,
    /// It is being made or stored.
    NotYet,
    /// The store does not have it, and nobody here deleted it.
    NotThere,
    /// It was deleted, or is gone for so long that it does not come back.
    Gone,
}

/// What a round came to.
enum Came {
    /// Nothing is due, or nothing went wrong with what was.
    Well,
    /// Recordings are due and are not deleted, for this reason.
    Held(String),
    /// One or more could not be deleted, for this reason.
    Failed(String),
}

/// What is remembered from one round to the next.
#[derive(Default)]
pub(super) struct Rounds {
    caution: Option<Caution>,
    /// When it was written down how the clock stands.
    written_at: Option<Instant>,
    /// What was put off by a clock that said something else is taken up.
    is_taken_up: bool,
    failures: u32,
    trouble: Option<(Instant, String)>,
}

impl Rounds {
    /// Deletes what is due, and says when to look again.
    pub(super) async fn look(&mut self, app: &WebApp, now: Now) -> Duration {
        if app.access() == Access::Open {
            return EVERY;
        }
        let came = match self.round(app, now).await {
            Ok(came) => came,
            Err(error) => Came::Failed(format!("which recordings are due is not known: {error}")),
        };
        let held = match came {
            Came::Failed(reason) => {
                self.failures = self.failures.saturating_add(1);
                if self.trouble.as_ref().is_none_or(|(_, told)| *told != reason) {
                    tracing::warn!("{reason}");
                }
                self.trouble = Some((now.at, reason));
                None
            }
            Came::Well => {
                self.failures = 0;
                None
            }
            Came::Held(reason) => {
                self.failures = 0;
                Some(reason)
            }
        };
        let is_told = |at: Instant| now.at.saturating_duration_since(at) < TROUBLE_LASTS;
        self.trouble = self.trouble.take().filter(|(at, _)| is_told(*at));
        let trouble = self.trouble.as_ref().map(|(_, reason)| reason.clone());
        app.retention().warn(held.or(trouble));
        // After one minute, two, four, …
        EVERY.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE)
    }

    async fn round(&mut self, app: &WebApp, now: Now) -> Result<Came, RoomsError> {
        let unnoted = app.clone();
        ask(app, move |rooms| {
            unnoted.retention().note_again(rooms);
            Ok(())
        })
        .await?;
        let verdict = self.believe(app, now).await?;
        if !app.rooms().has_retention() {
            return Ok(Came::Well);
        }
        let now_ms = now.unix_ms;
        let due = ask(app, move |rooms| rooms.due(now_ms, RETENTION_AT_ONCE)).await?;
        if due.is_empty() {
            return Ok(Came::Well);
        }
        match verdict {
            Verdict::Believed => self.delete_all(app, due, now_ms).await,
            Verdict::TooEarly => Ok(Came::Well),
            Verdict::Doubted { until_ms } => Ok(Came::Held(format!(
                "recordings are older than their rooms keep them by the clock of this machine, which has moved by more than a day or is looked \
                 at for the first time: nothing is deleted before {}; if it is wrong, set it right until then, and keep what is wanted",
                moment(until_ms)
            ))),
        }
    }

    async fn believe(&mut self, app: &WebApp, now: Now) -> Result<Verdict, RoomsError> {
        let mut caution = match self.caution.take() {
            Some(caution) => caution,
            None => Caution::begin(ask(app, Rooms::retention_clock).await?, now),
        };
        let verdict = caution.look(now);
        let (clock, has_moved) = (caution.clock(), caution.has_moved());
        self.caution = Some(caution);
        if has_moved {
            tracing::warn!(
                "the clock has moved by more than a day since it was looked at: no recording is deleted by itself for a day"
            );
            self.is_taken_up = false;
        }
        if !self.is_taken_up {
            let latest_ms = now.unix_ms.saturating_add(DAY_MS);
            ask(app, move |rooms| rooms.take_up(latest_ms)).await?;
            self.is_taken_up = true;
        }
        let is_due = |at: Instant| now.at.saturating_duration_since(at) >= CLOCK_EVERY;
        if let Some(clock) = clock
            && (has_moved || self.written_at.is_none_or(is_due))
        {
            ask(app, move |rooms| rooms.put_retention_clock(clock)).await?;
            self.written_at = Some(now.at);
        }
        Ok(verdict)
    }

    async fn delete_all(&mut self, app: &WebApp, due: Vec<Due>, now_ms: i64) -> Result<Came, RoomsError> {
        if let Err(error) = app.library().check().await {
            return Ok(Came::Failed(format!("recordings are due to be deleted, and cannot be: {error}")));
        }
        let (mut failed, mut in_a_row) = (None, 0);
        for due in due {
            let put_off_ms = match delete(app, &due, now_ms).await {
                Ok(Outcome::Deleted) => {
                    let days = due.days;
                    tracing::info!(
                        recording = due.name, room = %due.room, days,
                        "deleted: it is older than its room keeps recordings"
                    );
                    Actor::server(app).did_so(
                        Act::RecordingDeleted,
                        On::recording(&due.name),
                        format!("its room keeps recordings for {days} days"),
                    );
                    in_a_row = 0;
                    self.trouble = None;
                    continue;
                }
                Ok(Outcome::Stays) => continue,
                Ok(Outcome::NotYet) => HOUR_MS,
                Ok(Outcome::NotThere) => DAY_MS,
                Ok(Outcome::Gone) => {
                    ask(app, move |rooms| rooms.forget_recording(&due.name, Some(&due.id))).await?;
                    continue;
                }
                Err(error) => {
                    let name = &due.name;
                    failed = Some(format!(
                        "the recording {name:?} is due to be deleted, and cannot be: {error}; it is tried again in an hour"
                    ));
                    in_a_row += 1;
                    HOUR_MS
                }
            };
            ask(app, move |rooms| rooms.put_off(&due, now_ms.saturating_add(put_off_ms))).await?;
            if in_a_row >= FAILURES_OF_A_STORE {
                break;
            }
        }
        Ok(failed.map_or(Came::Well, Came::Failed))
    }
}

/// Deletes one, if that is still to be done and can be.
async fn delete(app: &WebApp, due: &Due, now_ms: i64) -> Result<Outcome, DeleteError> {
    // Whoever keeps it in this moment has done so before it is asked, or finds it gone.
    let _turn = app.retention().turn(&due.name).await;
    let asked = due.clone();
    if !ask(app, move |rooms| rooms.is_due(&asked, now_ms)).await? {
        return Ok(Outcome::Stays);
    }
    let found = match app.library().find(&due.name).await {
        Ok(found) if found.id == due.id => found,
        // By now the name is another one's.
        Ok(_) | Err(LibraryError::NotFound(_) | LibraryError::Deleted(_)) => {
            return is_gone(app, due, now_ms).await;
        }
        Err(error) => return Err(error.into()),
    };
    if found.status.is_active() || found.upload.is_some() {
        return Ok(Outcome::NotYet);
    }
    // The list may say what was there before its folder was taken away: then it would be deleted nowhere, and be back with that.
    match app.library().file(&due.name).await {
        Ok(_) => {}
        Err(LibraryError::NotFound(_)) => return is_gone(app, due, now_ms).await,
        Err(LibraryError::NotFinished(_)) => return Ok(Outcome::NotYet),
        Err(error) => return Err(error.into()),
    }
    match shares::delete_recording(app, &due.name).await {
        Ok(()) => Ok(Outcome::Deleted),
        Err(LibraryError::NotFound(_) | LibraryError::Deleted(_)) => is_gone(app, due, now_ms).await,
        Err(LibraryError::NotFinished(_)) => Ok(Outcome::NotYet),
        Err(error) => Err(error.into()),
    }
}

/// Whether what the store does not have was deleted, or has been away for too long to come back.
async fn is_gone(app: &WebApp, due: &Due, now_ms: i64) -> Result<Outcome, DeleteError> {
    let key = format!("{}{}", app.library().prefix(), due.name);
    let since_ms = due.ended_ms.saturating_add(i64::from(due.days) * DAY_MS);
    let is_gone =
        app.library().is_deleted(&key, &due.id).await? || now_ms.saturating_sub(since_ms) > GONE_AFTER_MS;
    Ok(if is_gone { Outcome::Gone } else { Outcome::NotThere })
}

/// Asks what waits for a disk.
async fn ask<T: Send + 'static>(
    app: &WebApp,
    work: impl FnOnce(&Rooms) -> Result<T, RoomsError> + Send + 'static,
) -> Result<T, RoomsError> {
    let rooms = Arc::clone(app.rooms());
    blocking(move || work(&rooms)).await
}

fn moment(unix_ms: i64) -> String {
    let since = Duration::from_millis(unix_ms.clamp(0, LATEST_MS).unsigned_abs());
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}
