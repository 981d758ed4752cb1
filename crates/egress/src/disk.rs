//! Guards the disk that takes are written to: a part of it is left alone, so that what was begun can be finished.
//!
//! ```text
//!  free bytes, twice a second ─► Forecast (pure) ─► Space: plenty, low (so long), full
//!  Writers: how long each take's writer waits ──────────┘    │    or stuck
//!                                                     low: the recordings say so   full: they end, and none begins
//!                                                     stuck: they say so, and none begins; what comes waits in memory
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use reelroom_protocol::ids::EgressId;
use reelroom_take::{DiskUse, TakeWatch};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::capacity::{Capacity, Sample, processor_time};
use crate::egress::{Shared, remove_dir, unix_ns};

const TICK: Duration = Duration::from_millis(500);
/// How far back the forecast looks.
const WINDOW: Duration = Duration::from_secs(30);
/// Too short a look says nothing.
const MIN_WINDOW: Duration = Duration::from_secs(5);
/// With less time than this left the disk is low.
const LOW: Duration = Duration::from_secs(15 * 60);
/// A disk that has taken nothing for so long is stuck. A slow one takes something now and then.
const STUCK_AFTER: Duration = Duration::from_secs(3);
/// A disk that does not even tell how full it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How often takes that were kept long enough are looked for.
const SWEEP: Duration = Duration::from_secs(60 * 60);
/// A composer cannot even begin with less.
const PROBE_BYTES: usize = 256 * 1024;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    Plenty,
    /// At the present pace recordings have to end in so many minutes.
    Low {
        minutes: u64,
    },
    /// No more than the reserve is left.
    Full {
        free_bytes: u64,
        reserve_bytes: u64,
    },
    /// It takes nothing at present.
    Stuck,
}

impl Space {
    /// Recordings have to end.
    pub(crate) fn is_full(self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Why no recording can begin.
    pub(crate) fn refusal(self) -> Option<String> {
        match self {
            Self::Full { free_bytes, reserve_bytes } => Some(format!(
                "the recorder's disk has {} MB left, and {} MB of it are kept free (disk_reserve): delete something first",
                free_bytes / 1_000_000,
                reserve_bytes / 1_000_000
            )),
            Self::Stuck => {
                Some("the recorder's disk takes nothing at present: look at it, then try again".into())
            }
            Self::Plenty | Self::Low { .. } => None,
        }
    }

    /// What a running recording has to say of it.
    pub(crate) fn warning(self) -> Option<String> {
        match self {
            Self::Low { minutes } => Some(format!("the recorder's disk is full in about {minutes} minutes")),
            Self::Stuck => Some(
                "the recorder's disk takes nothing at present: what comes is kept in memory for a while"
                    .into(),
            ),
            Self::Plenty | Self::Full { .. } => None,
        }
    }
}

/// Everybody who writes a take.
#[derive(Default)]
pub(crate) struct Writers {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    writers: BTreeMap<EgressId, Writer>,
    /// Of all there ever were.
    total: DiskUse,
}

enum Writer {
    /// Its take is being made since then.
    Beginning(Instant),
    Writing {
        watch: TakeWatch,
        /// As counted into the total.
        counted: DiskUse,
    },
}

impl Writers {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no code panics while it holds the writers")
    }

    pub(crate) fn begins(&self, id: &EgressId, now: Instant) {
        self.lock().writers.insert(id.clone(), Writer::Beginning(now));
    }

    pub(crate) fn writes(&self, id: &EgressId, watch: TakeWatch) {
        self.lock().writers.insert(id.clone(), Writer::Writing { watch, counted: DiskUse::default() });
    }

    pub(crate) fn ends(&self, id: &EgressId) {
        self.lock().writers.remove(id);
    }

    /// What all have written, and how long one of them waits at most.
    pub(crate) fn disk_use(&self, now: Instant) -> DiskUse {
        let Known { writers, total } = &mut *self.lock();
        total.stuck_for = Duration::ZERO;
        writers.retain(|_, writer| match writer {
            Writer::Beginning(since) => {
                total.stuck_for = total.stuck_for.max(now.saturating_duration_since(*since));
                true
            }
            Writer::Writing { watch, counted } => {
                let Some(found) = watch.disk_use(now) else { return false };
                total.stuck_for = total.stuck_for.max(found.stuck_for);
                total.bytes += found.bytes - counted.bytes;
                total.syncs += found.syncs - counted.syncs;
                total.syncing += found.syncing.saturating_sub(counted.syncing);
                *counted = found;
                true
            }
        });
        *total
    }
}

/// Looks ahead from how much was free and when. Pure.
#[derive(Default)]
pub(crate) struct Forecast {
    samples: VecDeque<(Instant, u64)>,
}

impl Forecast {
    pub(crate) fn look(&mut self, now: Instant, free_bytes: u64, reserve_bytes: u64) -> Space {
        self.samples.push_back((now, free_bytes));
        while self.samples.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
            self.samples.pop_front();
        }
        if free_bytes <= reserve_bytes {
            return Space::Full { free_bytes, reserve_bytes };
        }
        let Some((since, before)) = self.samples.front().copied() else { return Space::Plenty };
        let passed = now.saturating_duration_since(since);
        let used = before.saturating_sub(free_bytes);
        if passed < MIN_WINDOW || used == 0 {
            return Space::Plenty;
        }
        let left_s = (free_bytes - reserve_bytes) as f64 / (used as f64 / passed.as_secs_f64());
        if left_s < LOW.as_secs_f64() {
            Space::Low { minutes: (left_s / 60.0).ceil() as u64 }
        } else {
            Space::Plenty
        }
    }
}

/// Watches until the recorder stops.
pub(crate) async fn watch(shared: Arc<Shared>) {
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
        let reserve_bytes = shared.config.disk_reserve_bytes;
        let free_bytes = free_bytes(shared.config.data_dir.clone()).await;
        let disk_use = shared.writers.disk_use(now);
        if let Some(free_bytes) = free_bytes {
            space = forecast.look(now, free_bytes, reserve_bytes);
            let running = shared.running() as u64;
            let rooms = shared.media.rooms().list(&[]).await;
            let calls = rooms.iter().filter(|room| room.num_publishers > 0).count() as u64;
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
        if swept.is_none_or(|at| now.saturating_duration_since(at) >= SWEEP) {
            swept = Some(now);
            sweep(&shared).await;
        }
    }
}

/// A wait that is worth telling.
pub(crate) fn stall(waited: Duration) -> Duration {
    if waited < Duration::from_secs(1) { Duration::ZERO } else { waited }
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

/// Deletes takes that were kept long enough.
async fn sweep(shared: &Shared) {
    let Ok(mut entries) = tokio::fs::read_dir(shared.kept()).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let Ok(metadata) = entry.metadata().await else { continue };
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > shared.config.keep_takes) {
            tracing::info!(take = %entry.path().display(), "a take was kept long enough and is deleted");
            remove_dir(&entry.path()).await;
        }
    }
}

/// What a user of this program may still write; `None` where the disk does not say.
async fn free_bytes(dir: PathBuf) -> Option<u64> {
    let asking = tokio::task::spawn_blocking(move || rustix::fs::statvfs(dir).ok());
    let space = tokio::time::timeout(ANSWER_WITHIN, asking).await.ok()?.ok()??;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Whether somebody had to wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    No,
    Long,
}

/// Waits for as long as no file can be written where composers write, and says so in the job.
pub(crate) async fn wait_until_writable(shared: &Shared, id: &reelroom_protocol::ids::EgressId) -> Waited {
    let mut said = None;
    while let Err(error) = try_to_write(&shared.composed()) {
        let text =
            format!("the recorder's disk takes nothing ({error}): the file is made as soon as it does");
        if said.as_ref() != Some(&text) {
            tracing::warn!(egress = %id, %error, "the disk takes nothing; composing waits for it");
            shared.update(id, |job| job.trouble(unix_ns(), &text));
            said = Some(text);
        }
        tokio::time::sleep(TICK).await;
    }
    let Some(text) = said else { return Waited::No };
    shared.update(id, |job| {
        job.trouble_over(&text);
        None
    });
    Waited::Long
}

/// Writes a file without a name, which is gone when it is closed. File systems that know no such files are trusted.
fn try_to_write(dir: &Path) -> std::io::Result<()> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => {
            let mut file = std::fs::File::from(file);
            file.write_all(&[0; PROBE_BYTES])?;
            file.sync_all()
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Says it in the job, for as long as it is so.
pub(crate) fn warn(shared: &Shared, id: &reelroom_protocol::ids::EgressId, said: &mut Option<String>) {
    let warning = shared.disk.borrow().warning();
    if *said == warning {
        return;
    }
    if let Some(old) = said.take() {
        shared.update(id, |job| {
            job.trouble_over(&old);
            None
        });
    }
    if let Some(text) = &warning {
        shared.update(id, |job| job.trouble(unix_ns(), text));
    }
    *said = warning;
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    #[test]
    fn a_disk_that_fills_up_is_low_and_then_full() {
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let mut forecast = Forecast::default();
        assert_eq!(forecast.look(at(0), 10 * GB, GB), Space::Plenty);
        assert_eq!(forecast.look(at(1), 9 * GB, GB), Space::Plenty, "a moment says nothing");
        assert_eq!(forecast.look(at(10), 9 * GB, GB), Space::Low { minutes: 2 });
        assert_eq!(forecast.look(at(41), 9 * GB, GB), Space::Plenty, "nothing is written any more");
        let full = forecast.look(at(42), GB, GB);
        assert_eq!(full, Space::Full { free_bytes: GB, reserve_bytes: GB });
        assert!(full.refusal().unwrap().contains("1000 MB"));
        assert_eq!(forecast.look(at(80), 5 * GB, GB), Space::Plenty);
    }

    #[test]
    fn a_folder_that_takes_a_file_keeps_nothing_of_the_try() {
        let folder = tempfile::tempdir().unwrap();
        try_to_write(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn slow_writing_on_a_large_disk_is_no_trouble() {
        let began = Instant::now();
        let mut forecast = Forecast::default();
        for second in 0..100 {
            let free = 100 * GB - second * 1_000_000;
            assert_eq!(forecast.look(began + Duration::from_secs(second), free, GB), Space::Plenty);
        }
    }
}
