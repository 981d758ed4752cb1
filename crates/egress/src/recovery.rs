//! What a former run left: takes that were being written, composed or stored when the program ended. Those that it left on purpose go on
//! ([`resume`]).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use reelroom_protocol::ids::EgressId;
use reelroom_protocol::proto::EgressStatus;
use reelroom_take::{Recovery, TakeReader, recover};

use crate::compose::kept_seconds;
use crate::error::EgressError;
use crate::job::{EndReason, Job};
use crate::resume::{self, Left};
use crate::runner::{self, Following};
use crate::shared::{Shared, unix_ns};

/// Begins to finish every take that is there. Jobs without a take, if not over, are failed.
pub(crate) fn begin(shared: &Arc<Shared>) -> Result<(), EgressError> {
    let takes = shared.takes();
    for entry in std::fs::read_dir(&takes).map_err(EgressError::data_dir(&takes))? {
        let path = entry.map_err(EgressError::data_dir(&takes))?.path();
        let Some(id) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if id.starts_with(".new-") {
            // A take of which nothing was recorded yet.
            let _ = std::fs::remove_dir_all(&path);
            continue;
        }
        let id = EgressId::from(id);
        if !know(shared, &id, &path) {
            continue;
        }
        shared.tasks.spawn(offer(Arc::clone(shared), id.clone()));
        match resume::look(shared, &id, &path) {
            Left::GoesOn(pause) => {
                resume::expect(shared, &id);
                shared.tasks.spawn(resume::wait(Arc::clone(shared), id, pause));
                continue;
            }
            Left::ForTooLong => shared.update(&id, |job| {
                job.activate(unix_ns());
                job.end(unix_ns(), EndReason::SourceClosed)
            }),
            Left::Over => shared.update(&id, |job| job.resume(unix_ns())),
        }
        shared.tasks.spawn(finish(Arc::clone(shared), id));
    }
    for job in shared.jobs() {
        let id = EgressId::from(job.info().egress_id.as_str());
        if job.is_active() && !shared.take(&id).exists() {
            shared.update(&id, |job| job.fail(unix_ns(), "what was recorded is not on disk any more", 500));
        } else if job.status() == EgressStatus::EgressAborted {
            // A composer that ended later than the program may have begun a file of it since.
            shared.tasks.spawn(discarding(Arc::clone(shared), id));
        }
    }
    Ok(())
}

async fn discarding(shared: Arc<Shared>, id: EgressId) {
    runner::discard(&shared, &id).await;
}

/// Finds the job of a take, by its file or else by the take's own header.
fn know(shared: &Shared, id: &EgressId, dir: &Path) -> bool {
    if shared.job(id).is_some() {
        return true;
    }
    let found = TakeReader::open(dir).map_err(|error| error.to_string()).and_then(|reader| {
        serde_json::from_value(reader.header().job.clone()).map_err(|error| error.to_string())
    });
    match found {
        Ok(job) => {
            let job: Job = job;
            if job.info().egress_id != id.as_str() {
                tracing::warn!(take = %dir.display(), "the take is another one's; it is left alone");
                return false;
            }
            shared.insert(job);
            true
        }
        Err(error) => {
            tracing::warn!(take = %dir.display(), error, "the take cannot be read; it is left alone");
            false
        }
    }
}

/// What there is of its file plays at once, long before it is its turn.
async fn offer(shared: Arc<Shared>, id: EgressId) {
    let seconds = kept_seconds(&shared.composed_file(&id)).await;
    if seconds == 0 {
        return;
    }
    let take = shared.take(&id);
    let looking =
        tokio::task::spawn_blocking(move || TakeReader::open(&take).map(|take| take.available_ns()));
    let total_ns = looking.await.expect("opening a take does not panic").unwrap_or(0);
    let progress = shared.progress(&id);
    let _ = progress.composed_ns.compare_exchange(
        0,
        seconds * 1_000_000_000,
        Ordering::Relaxed,
        Ordering::Relaxed,
    );
    let _ = progress.available_ns.compare_exchange(0, total_ns, Ordering::Relaxed, Ordering::Relaxed);
    shared.grows(&id, seconds, total_ns);
}

/// Finishes a take that nobody writes any more.
pub(crate) async fn finish(shared: Arc<Shared>, id: EgressId) {
    let Some(job) = shared.job(&id) else { return };
    match job.status() {
        EgressStatus::EgressComplete => return runner::retire(&shared, &id).await,
        EgressStatus::EgressAborted => return runner::discard(&shared, &id).await,
        _ => {}
    }
    // What nobody wants need not be composed, and perhaps cannot be.
    match shared.shelf.is_deleted(&job.plan().key, id.as_str()).await {
        Ok(true) => return runner::let_go(&shared, &id).await,
        Ok(false) => {}
        // Whoever stores it asks again.
        Err(error) => tracing::warn!(egress = %id, %error, "whether the recording was deleted is not known"),
    }
    let Ok(turn) = shared.recoveries.acquire().await else { return };
    if shared.stopping.is_cancelled() {
        return;
    }
    let dir = shared.take(&id);
    let recovering = tokio::task::spawn_blocking(move || recover(&dir));
    match recovering.await.expect("recovering a take does not panic") {
        Ok(Recovery { duration_ns: 0, .. }) => {
            shared.update(&id, |job| {
                job.abort(
                    unix_ns(),
                    EndReason::ProcessKilled,
                    "the program ended before anything was recorded",
                )
            });
            shared.store.flush().await;
            runner::discard(&shared, &id).await;
        }
        Ok(found) => {
            tracing::info!(egress = %id, ?found, "a recording of a former run is finished");
            if !found.was_ended {
                shared.update(&id, |job| {
                    job.mark_recovered(found.lost_ns);
                    None
                });
            }
            if let Some(why) = runner::ended_early(found.reason) {
                shared.update(&id, |job| match job.ended_early() {
                    Some(_) => None,
                    None => job.end_early(unix_ns(), &why),
                });
            }
            runner::finish(&shared, &id, Following::default(), Some(turn)).await;
        }
        Err(error) => {
            tracing::warn!(egress = %id, %error, "the take cannot be recovered; it is left alone");
            let error = format!("what was recorded cannot be read: {}", error.reason());
            shared.update(&id, |job| job.fail(unix_ns(), &error, 500));
        }
    }
}
