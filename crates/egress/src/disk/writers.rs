//! The writers of takes: what they have written, and how long one of them waits for the disk.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reelroom_protocol::ids::EgressId;
use reelroom_take::{DiskUse, TakeWatch};

/// A shorter wait for the disk appears in no figure.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// All writers of takes.
#[derive(Default)]
pub(crate) struct Writers {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    writers: BTreeMap<EgressId, Writer>,
    /// What all writers of this run have written, those that have ended included.
    total: DiskUse,
}

enum Writer {
    /// Its take has been in the making since then.
    Beginning(Instant),
    Writing {
        watch: TakeWatch,
        /// The part of it that is in the total already.
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

    /// How long the disk has taken nothing, where the wait is worth telling.
    pub(crate) fn stalled_for(&self, now: Instant) -> Duration {
        Some(self.disk_use(now).stuck_for).filter(|waited| *waited >= WORTH_TELLING).unwrap_or_default()
    }
}
