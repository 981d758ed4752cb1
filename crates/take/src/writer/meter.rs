//! How the disk follows a take. The writer counts without a lock, so that a look at the counts never waits for the writer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How the disk follows a take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// For how long the disk has taken nothing, though there was something to write.
    pub stuck_for: Duration,
    /// Bytes written so far.
    pub bytes: u64,
    /// Syncs so far.
    pub syncs: u64,
    /// How long these took together.
    pub syncing: Duration,
}

/// The writer's counts. Each is read on its own: two of them may be a moment apart.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    /// Since when the thread waits for the disk: nanoseconds after `began`, plus one; 0 while it does not wait.
    busy_since: AtomicU64,
    bytes: AtomicU64,
    syncs: AtomicU64,
    syncing_ns: AtomicU64,
    is_over: AtomicBool,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            busy_since: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            syncing_ns: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// The thread waits for the disk from now on.
    pub(super) fn busy(&self) {
        self.busy_since.store(nanoseconds(self.began.elapsed()).saturating_add(1), Relaxed);
    }

    /// The thread has nothing to write.
    pub(super) fn idle(&self) {
        self.busy_since.store(0, Relaxed);
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn synced(&self, took: Duration) {
        self.syncs.fetch_add(1, Relaxed);
        self.syncing_ns.fetch_add(nanoseconds(took), Relaxed);
    }

    /// Nothing more is written.
    pub(super) fn end(&self) {
        self.is_over.store(true, Relaxed);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Looks at a take's writer. Unlike a [`super::TakeHandle`] it does not keep the take open.
#[derive(Debug, Clone)]
pub struct TakeWatch {
    pub(super) meter: Arc<Meter>,
}

impl TakeWatch {
    /// How the disk follows at `now`; `None` once nothing more is written.
    #[must_use]
    pub fn disk_use(&self, now: Instant) -> Option<DiskUse> {
        let meter = &*self.meter;
        if meter.is_over.load(Relaxed) {
            return None;
        }
        let stuck_for = meter.busy_since.load(Relaxed).checked_sub(1).map_or(Duration::ZERO, |since| {
            now.saturating_duration_since(meter.began + Duration::from_nanos(since))
        });
        Some(DiskUse {
            stuck_for,
            bytes: meter.bytes.load(Relaxed),
            syncs: meter.syncs.load(Relaxed),
            syncing: Duration::from_nanos(meter.syncing_ns.load(Relaxed)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_sees_what_the_writer_counts_until_it_ends() {
        let meter = Arc::new(Meter::new());
        let watch = TakeWatch { meter: Arc::clone(&meter) };
        assert_eq!(watch.disk_use(Instant::now()), Some(DiskUse::default()));
        meter.busy();
        meter.wrote(100);
        meter.wrote(20);
        meter.synced(Duration::from_millis(3));
        meter.synced(Duration::from_millis(4));
        let seen = watch.disk_use(Instant::now() + Duration::from_secs(60)).expect("it writes");
        assert_eq!((seen.bytes, seen.syncs, seen.syncing), (120, 2, Duration::from_millis(7)));
        assert!(seen.stuck_for >= Duration::from_secs(60), "{seen:?}");
        meter.idle();
        assert_eq!(watch.disk_use(Instant::now()).map(|seen| seen.stuck_for), Some(Duration::ZERO));
        meter.end();
        assert_eq!(watch.disk_use(Instant::now()), None);
    }
}
