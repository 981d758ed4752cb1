//! The task that looks at the disk and the machine, twice a second.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::capacity::{Capacity, Sample, processor_time};
use crate::disk::kept;
use crate::disk::space::{Forecast, Space};
use crate::shared::Shared;

const TICK: Duration = Duration::from_millis(500);
/// A disk that has taken nothing for this long is stuck. A slow one takes something now and then.
const STUCK_AFTER: Duration = Duration::from_secs(3);
/// A disk that does not say within this time how full it is, is not asked any longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Watches until the recorder stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut forecast = Forecast::default();
    let mut capacity = Capacity::default();
    let mut space = Space::Plenty;
    let mut ticks = tokio::time::interval(TICK);
    let mut swept: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.stopping.cancelled() => return,
        }
        let now = Instant::now();
        let reserve_bytes = shared.limits().disk_reserve_bytes;
        let free_bytes = free_bytes(shared.config.data_dir.clone()).await;
        let disk_use = shared.writers.disk_use(now);
        if let Some(free_bytes) = free_bytes {
            space = forecast.look(now, free_bytes, reserve_bytes);
            let running = shared.running() as u64;
            let calls = shared.media.rooms().calls();
            let free_bytes = free_bytes.saturating_sub(reserve_bytes);
            let sample =
                Sample { at: now, running, calls, processor: processor_time(), disk_use, free_bytes };
            shared.capacity.send_replace(capacity.look(sample));
        }
        let space = if disk_use.stuck_for >= STUCK_AFTER { Space::Stuck } else { space };
        shared.disk.send_if_modified(|known| {
            let is_new = *known != space;
            if std::mem::discriminant(known) != std::mem::discriminant(&space) {
                tell(space);
            }
            *known = space;
            is_new
        });
        if swept.is_none_or(|at| now.saturating_duration_since(at) >= kept::SWEEP_EVERY) {
            swept = Some(now);
            kept::sweep(&shared).await;
        }
    }
}

fn tell(space: Space) {
    match space {
        Space::Plenty => tracing::info!("the disk takes recordings again"),
        Space::Stuck => {
            tracing::warn!("the disk takes nothing: what comes is kept in memory, and no recording begins")
        }
        Space::Low { minutes } => {
            tracing::warn!(minutes, "at this pace the disk is full soon: recordings will end")
        }
        Space::Full { free_bytes, reserve_bytes } => {
            tracing::warn!(free_bytes, reserve_bytes, "the disk is full: recordings end, and none begins");
        }
    }
}

/// What a user of this program may still write; `None` where the disk does not say.
async fn free_bytes(dir: PathBuf) -> Option<u64> {
    let asking = tokio::task::spawn_blocking(move || rustix::fs::statvfs(dir).ok());
    let space = tokio::time::timeout(ANSWER_WITHIN, asking).await.ok()?.ok()??;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}
