//! Who gets a job.

use reelroom_protocol::ids::WorkerId;

use crate::job::Job;
use crate::worker::Worker;

/// The least loaded of the workers that may take a job and have not refused it; of several the one with the fewest jobs.
pub(crate) fn choose<'a>(workers: impl Iterator<Item = &'a Worker>, job: &Job) -> Option<WorkerId> {
    let may_take = |worker: &&Worker| {
        worker.is_available() && job.is_for(&worker.registration) && !job.refused.contains_key(&worker.id)
    };
    let order = |one: &&Worker, other: &&Worker| {
        one.load()
            .total_cmp(&other.load())
            .then_with(|| one.jobs.len().cmp(&other.jobs.len()))
            .then_with(|| one.id.cmp(&other.id))
    };
    workers.filter(may_take).min_by(order).map(|worker| worker.id.clone())
}
