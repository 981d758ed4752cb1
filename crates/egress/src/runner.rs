//! The life of one job, as a task: capture, compose, publish.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reelroom_library::{Manifest, Publication, Published};
use reelroom_media::Recorder;
use reelroom_media::record::Detached;
use reelroom_protocol::ids::EgressId;
use reelroom_protocol::proto::EgressStatus;
use reelroom_take as take;
use tokio::sync::{Notify, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use crate::capture::{Capturing, News};
use crate::compose::{Composed, Composition, Growth, crumb_of, journal_of};
use crate::disk::trouble;
use crate::job::{EndReason, Outcome};
use crate::shared::{Shared, remove_dir, unix_ns};
use crate::shelf::ShelfError;

const TICK: Duration = Duration::from_millis(100);
/// With nobody publishing, an empty room is recorded after this.
const ACTIVE_AFTER: Duration = Duration::from_millis(500);
/// A store that has a file under every name has none: it answers something else than what it is asked, and is asked again later.
const MOST_NAMES: u32 = 8;
/// A room is shown as being recorded no longer than this after its recording has ended: a file that takes longer is looked for later.
const SHOWN_AT_MOST: Duration = Duration::from_secs(60);
const LONGEST_UPLOAD_BACKOFF: Duration = Duration::from_secs(60);
/// A bucket that a request names is tried as often, over half a minute; the server's own for as long as it takes.
const DELIVERIES: u32 = 6;
/// HTTP status of a failure that is ours.
const CODE_INTERNAL: i32 = 500;

/// A composer that runs since the recording began, or since it was its turn.
pub(crate) type Composer = AbortOnDropHandle<Result<Composed, String>>;

/// What a recording leaves to whoever finishes it; nothing where another run of the program recorded it.
#[derive(Default)]
pub(crate) struct Following {
    /// It has followed the recording so far.
    pub(crate) composer: Option<Composer>,
    pub(crate) shown: Option<Shown>,
}

/// Why a capture ends.
enum End {
    Stopped,
    RoomClosed,
    Shutdown,
    /// The next run goes on.
    Suspended,
    WriterFailed(take::EndReason, String),
}

/// Records until something ends it, then finishes the file.
pub(crate) async fn record(
    shared: Arc<Shared>,
    id: EgressId,
    recorder: Recorder,
    mut capturing: Capturing,
    stop: Arc<Notify>,
) {
    let ended = CancellationToken::new();
    let following = compose_in_turn(Arc::clone(&shared), id.clone(), ended.clone());
    let composer = Some(AbortOnDropHandle::new(tokio::spawn(following)));
    let end = capture(&shared, &id, &mut capturing, &stop).await;
    let at = Instant::now();
    if matches!(end, End::Suspended) {
        // It dies with its supervisor, and the next one goes on with what there is of the file.
        drop(composer);
        // The recorder stays in the room, which is not seen to be recorded no more.
        return suspend(&shared, &id, capturing, at).await;
    }
    let shown = leave(&shared, &id, recorder).await;
    let (job_reason, take_reason) = match &end {
        End::Stopped => (EndReason::StopCalled, take::EndReason::Stopped),
        End::RoomClosed => (EndReason::SourceClosed, take::EndReason::RoomClosed),
        End::Shutdown | End::Suspended => (EndReason::SourceClosed, take::EndReason::ServerShutdown),
        End::WriterFailed(reason, _) => (EndReason::Failure, *reason),
    };
    shared.update(&id, |job| match (job.status(), &end) {
        // A take that cannot be written is a failure even before there was anything to write.
        (EgressStatus::EgressStarting, End::WriterFailed(..)) => {
            job.activate(unix_ns());
            job.end(unix_ns(), job_reason)
        }
        (EgressStatus::EgressStarting, _) => job.abort(unix_ns(), job_reason, "Start signal not received"),
        _ => job.end(unix_ns(), job_reason),
    });
    let finishing = tokio::task::spawn_blocking(move || capturing.finish(at, take_reason));
    let finished = finishing.await.expect("ending a take does not panic");
    ended.cancel();
    let failure = match (end, finished) {
        (End::WriterFailed(reason, message), _) => Some(writer_failure(reason, &message)),
        (_, Err(take::TakeError::DiskFull)) => Some(writer_failure(take::EndReason::DiskFull, "")),
        (_, Err(error)) => Some(writer_failure(take::EndReason::WriteFailed, &error.reason())),
        (_, Ok(summary)) => {
            if summary.dropped > 0 {
                tracing::warn!(egress = %id, frames = summary.dropped, "the disk could not follow: frames are missing");
            }
            None
        }
    };
    if let Some(failure) = failure {
        shared.update(&id, |job| job.end_early(unix_ns(), &failure));
    }
    if shared.job(&id).is_none_or(|job| !job.is_active()) {
        drop(composer);
        discard(&shared, &id).await;
        return;
    }
    finish(&shared, &id, Following { composer, shown }, None).await;
}

/// Leaves a recording to the next run: to everybody else it goes on.
async fn suspend(shared: &Shared, id: &EgressId, capturing: Capturing, at: Instant) {
    shared.update(id, |job| job.activate(unix_ns()));
    let now_ns = unix_ns().try_into().unwrap_or_default();
    let suspending = tokio::task::spawn_blocking(move || capturing.suspend(at, now_ns));
    match suspending.await.expect("suspending a take does not panic") {
        Ok(_) => tracing::info!(egress = %id, "the recording is suspended until the next start"),
        Err(error) => {
            tracing::warn!(egress = %id, %error, "the recording cannot be suspended; the next start recovers it");
        }
    }
}

/// A room that is still shown as being recorded, until this is dropped or has ended.
pub(crate) struct Shown {
    stored: DropGuard,
    leaving: JoinHandle<()>,
}

impl Shown {
    /// Shows it no more. When this returns everybody is being told.
    async fn end(self) {
        drop(self.stored);
        let _ = self.leaving.await;
    }
}

/// Captures nothing more, and leaves the room: at once, or, where no manifest is wanted, when the file is stored. Whoever wants none
/// has no other sign of a recording than its file, and looks for it when the room is not shown as being recorded any more: LiveKit's
/// own recorder leaves some 20 s after the stop.
async fn leave(shared: &Shared, id: &EgressId, recorder: Recorder) -> Option<Shown> {
    if shared.job(id).is_none_or(|job| job.plan().manifest) {
        recorder.detach().await;
        return None;
    }
    recorder.release().await;
    let stored = CancellationToken::new();
    let told = stored.clone();
    let leaving = shared.tasks.spawn(async move {
        let _ = tokio::time::timeout(SHOWN_AT_MOST, told.cancelled()).await;
        recorder.detach().await;
    });
    Some(Shown { stored: stored.drop_guard(), leaving })
}

fn writer_failure(reason: take::EndReason, message: &str) -> String {
    match reason {
        take::EndReason::DiskFull => "the recorder's disk is full: the recording ends early".into(),
        _ => format!("the recorder's disk failed: the recording ends early ({message})"),
    }
}

/// Why a take ended before somebody stopped it, as it says itself: the run that wrote it may not have come to say so.
pub(crate) fn ended_early(reason: take::EndReason) -> Option<String> {
    match reason {
        take::EndReason::DiskFull => Some(writer_failure(reason, "")),
        take::EndReason::WriteFailed => Some(writer_failure(reason, "it took nothing more")),
        _ => None,
    }
}

async fn capture(shared: &Shared, id: &EgressId, capturing: &mut Capturing, stop: &Notify) -> End {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let active_at = tokio::time::Instant::now() + ACTIVE_AFTER;
    let mut disk_warning = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                capturing.tick(Instant::now());
                if let Some((reason, message)) = capturing.failure() {
                    return End::WriterFailed(reason, message);
                }
                if shared.disk.borrow().is_full() {
                    return End::WriterFailed(take::EndReason::DiskFull, String::new());
                }
                trouble::warn(shared, id, &mut disk_warning);
                if tokio::time::Instant::now() >= active_at {
                    shared.update(id, |job| job.activate(unix_ns()));
                }
            }
            news = capturing.news.recv() => match news {
                Some(News::Media) => shared.update(id, |job| job.activate(unix_ns())),
                Some(News::Detached(Detached::ServerShutdown)) => return at_the_end(shared),
                Some(News::Detached(_)) | None => return End::RoomClosed,
            },
            () = stop.notified() => return End::Stopped,
            () = shared.stopping.cancelled() => return at_the_end(shared),
        }
    }
}

/// What becomes of a recording when the server stops.
fn at_the_end(shared: &Shared) -> End {
    if shared.suspending.is_cancelled() { End::Suspended } else { End::Shutdown }
}

/// Finishes the file of an ended take. When the server stops it has a bounded time, none where it starts anew, and the next start does the rest.
/// `turn` is given back when the file is composed: a store that fails keeps nobody else from composing.
pub(crate) async fn finish(
    shared: &Arc<Shared>,
    id: &EgressId,
    following: Following,
    turn: Option<SemaphorePermit<'_>>,
) {
    let too_late = async {
        shared.stopping.cancelled().await;
        if !shared.suspending.is_cancelled() {
            tokio::time::sleep(shared.config.finish_within).await;
        }
    };
    tokio::select! {
        () = compose_and_publish(shared, id, following, turn) => {}
        () = too_late => tracing::info!(egress = %id, "the recording is kept as a take and is finished at the next start"),
    }
}

async fn compose_and_publish(
    shared: &Arc<Shared>,
    id: &EgressId,
    following: Following,
    turn: Option<SemaphorePermit<'_>>,
) {
    let composed = match compose_when_possible(shared, id, following.composer).await {
        Ok(composed) => composed,
        Err(error) => {
            let error =
                format!("the recording could not be composed and is tried again at the next start: {error}");
            tracing::warn!(egress = %id, error, "composing failed");
            remember_skips(shared, id);
            shared.grows(id, 0, 0);
            shared.update(id, |job| job.fail(unix_ns(), &error, CODE_INTERNAL));
            return;
        }
    };
    drop(turn);
    remember_skips(shared, id);
    // What is composed and waits for its store is not composed again after a restart.
    shared.update(id, |job| {
        job.composed(composed.clone());
        None
    });
    shared.keep(id);
    let Some(published) = publish(shared, id, &composed).await else { return };
    if let Some(shown) = following.shown {
        shown.end().await;
    }
    let is_described = shared.job(id).is_some_and(|job| job.plan().manifest);
    let manifest_location = if is_described { published.sidecar_location } else { String::new() };
    let outcome = Outcome {
        duration_ns: composed.duration_ns,
        size_bytes: composed.size_bytes,
        location: published.location,
        manifest_location,
        skipped: composed.report.skipped.len(),
        left_out: composed.report.left_out(),
    };
    shared.update(id, |job| job.complete(unix_ns(), outcome));
    // The take may go only when it is known for good that it is not needed.
    shared.store.flush().await;
    retire(shared, id).await;
}

/// What composers died of need kill no more of them.
fn remember_skips(shared: &Shared, id: &EgressId) {
    let skips = shared.progress(id).skips();
    shared.update(id, |job| {
        job.skip(skips);
        None
    });
}

/// Composes beside the recording, or once it is over, as there are places.
async fn compose_in_turn(
    shared: Arc<Shared>,
    id: EgressId,
    ended: CancellationToken,
) -> Result<Composed, String> {
    if shared.turns.is_full() {
        tracing::info!(egress = %id, "as many composers run as may: this recording is composed later");
    }
    let over = async {
        ended.cancelled().await;
        shared.turns.finish().await
    };
    let (_turn, growth) = tokio::select! {
        biased;
        turn = shared.turns.follow() => (turn, Growth::Follow),
        turn = over => (turn, Growth::Ended),
    };
    let job = shared.job(&id).ok_or("the job is gone")?;
    let composition = shared.composition(&id, &job, growth);
    Composition { wanted: ended, ..composition }.run().await
}

async fn compose(
    shared: &Arc<Shared>,
    id: &EgressId,
    composer: Option<Composer>,
) -> Result<Composed, String> {
    if let Some(composer) = composer {
        match composer.await {
            Ok(Ok(composed)) => return Ok(composed),
            Ok(Err(error)) => tracing::warn!(egress = %id, error, "composing while recording failed"),
            Err(error) => tracing::warn!(egress = %id, %error, "the composer's supervisor died"),
        }
    }
    // A take that has ended is composed without anything that depends on when it was written.
    let job = shared.job(id).ok_or("the job is gone")?;
    if let Some(composed) = job.is_composed()
        && tokio::fs::metadata(shared.composed_file(id))
            .await
            .is_ok_and(|file| file.len() == composed.size_bytes)
    {
        return Ok(composed);
    }
    shared.composition(id, &job, Growth::Ended).run().await
}

/// A disk that takes nothing is not the take's fault, and not for ever.
async fn compose_when_possible(
    shared: &Arc<Shared>,
    id: &EgressId,
    mut composer: Option<Composer>,
) -> Result<Composed, String> {
    loop {
        match compose(shared, id, composer.take()).await {
            Err(_) if trouble::wait_until_writable(shared, id).await == trouble::Waited::Long => {}
            result => return result,
        }
    }
}

/// Tries until it works: the file stays until then.
async fn publish(shared: &Shared, id: &EgressId, composed: &Composed) -> Option<Published> {
    let file = shared.composed_file(id);
    let mut backoff = shared.config.upload_backoff;
    let mut trouble: Option<String> = None;
    let (mut renamed, mut deliveries) = (1, 0);
    loop {
        let job = shared.job(id)?;
        let info = job.info();
        let report = composed.report.to_json();
        let (recovered, lost_ns) = job.recovered();
        let publication = Publication {
            file: &file,
            key: &job.plan().key,
            egress_id: &info.egress_id,
            room_name: &info.room_name,
            room_id: &info.room_id,
            ended_early: job.ended_early().or_else(|| everything_left_out(composed)),
            started_at_ns: info.started_at,
            duration_ns: composed.duration_ns,
            recovered,
            lost_ns,
            report: &report,
        };
        let published = match (&job.plan().storage, job.plan().manifest) {
            (Some(storage), manifest) => {
                deliveries += 1;
                let manifest = if manifest { Manifest::Beside } else { Manifest::Nothing };
                shared.shelf.deliver(&publication, &storage.config(), manifest).await
            }
            (None, true) => shared.shelf.publish(&publication).await,
            (None, false) => shared.shelf.publish_alone(&publication).await,
        };
        match published {
            Ok(published) => {
                if let Some(trouble) = trouble {
                    shared.update(id, |job| {
                        job.trouble_over(&trouble);
                        None
                    });
                }
                return Some(published);
            }
            Err(ShelfError::Deleted) => {
                let_go(shared, id).await;
                return None;
            }
            Err(ShelfError::Taken) if renamed < MOST_NAMES => {
                let taken = job.plan().key.clone();
                renamed += 1;
                shared.rename(id, renamed);
                let key = shared.job(id)?.plan().key.clone();
                tracing::info!(egress = %id, taken, key, "another file has the recording's name, and it gets another one");
                continue;
            }
            // Whoever named it has to know that it does not work: nobody else looks at it.
            Err(error) if deliveries >= DELIVERIES => {
                tracing::warn!(egress = %id, %error, "the recording could not be stored in the bucket of its request");
                let text = format!(
                    "the bucket of the request does not take the recording, which is tried again at the next start: {error}"
                );
                shared.update(id, |job| job.fail(unix_ns(), &text, CODE_INTERNAL));
                return None;
            }
            Err(error) => {
                tracing::warn!(egress = %id, %error, "the recording could not be stored and is tried again");
                let text = format!("the recording could not be stored and is tried again: {error}");
                shared.update(id, |job| job.trouble(unix_ns(), &text));
                trouble = Some(text);
            }
        }
        if job.plan().storage.is_some() {
            tokio::time::sleep(backoff).await;
        } else {
            shared.shelf.pause(&shared.job(id)?.plan().key, backoff).await;
        }
        backoff = (backoff * 2).min(LONGEST_UPLOAD_BACKOFF);
    }
}

/// A file of which nobody gets what the room was about says why.
fn everything_left_out(composed: &Composed) -> Option<&'static str> {
    let left_out = composed.report.left_out();
    match (left_out.by_choice, left_out.encrypted, left_out.unreadable) {
        _ if !left_out.everything => None,
        (1.., 0, 0) => Some("nobody who sent anything agreed to being recorded: the recording is empty"),
        (1.., ..) => {
            Some("who sent anything that could be recorded did not agree to it: the recording is empty")
        }
        (0, 1.., _) => Some("everything that was sent was end-to-end encrypted: the recording is empty"),
        (0, 0, _) => Some("nothing that was sent could be decoded: the recording is empty"),
    }
}

/// Somebody deleted the recording: nothing of it is kept.
pub(crate) async fn let_go(shared: &Shared, id: &EgressId) {
    let deleted = ShelfError::Deleted.to_string();
    shared.update(id, |job| job.abort(unix_ns(), EndReason::Deleted, &deleted));
    // The take may go only when it is known for good that it is not needed.
    shared.store.flush().await;
    discard(shared, id).await;
}

/// Deletes what is not needed any more.
pub(crate) async fn discard(shared: &Shared, id: &EgressId) {
    remove_dir(&shared.take(id)).await;
    let composed = shared.composed_file(id);
    shared.grows(id, 0, 0);
    let _ = tokio::fs::remove_file(crumb_of(&composed)).await;
    let _ = tokio::fs::remove_file(journal_of(&composed)).await;
    let _ = tokio::fs::remove_file(composed).await;
}

/// The recording is in the store: its take is deleted, or put aside for as long as is wanted.
pub(crate) async fn retire(shared: &Shared, id: &EgressId) {
    if shared.limits().keep_takes > Duration::ZERO
        && let Err(error) = tokio::fs::rename(shared.take(id), shared.kept().join(id.as_str())).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(egress = %id, %error, "the take cannot be put aside; it stays where it is");
        return;
    }
    discard(shared, id).await;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compose::Report;

    #[test]
    fn an_empty_recording_says_why_it_is_and_one_with_media_nothing() {
        let of = |tracks: serde_json::Value| {
            let report = Report { tracks, ..Report::default() };
            everything_left_out(&Composed { duration_ns: 1, size_bytes: 1, report }).unwrap_or_default()
        };
        let out = |why: &str| json!({ "left_out": { "why": why } });
        assert!(of(json!({ "a": out("declined") })).starts_with("nobody who sent anything agreed"));
        let both = of(json!({ "a": out("not_agreed"), "b": out("encrypted") }));
        assert!(both.starts_with("who sent anything that could be recorded"), "{both}");
        assert!(
            of(json!({ "a": out("encrypted"), "b": out("unreadable") })).contains("end-to-end encrypted")
        );
        assert!(of(json!({ "a": out("unreadable") })).contains("decoded"));
        assert_eq!(of(json!({ "a": out("declined"), "b": { "media_from_ns": 1 } })), "");
        assert_eq!(of(json!({})), "", "nothing was sent");
    }
}
