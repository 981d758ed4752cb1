//! What of agents goes from one run of the server to the next: what they were sent for, those that are on their way or in rooms, and those that were there and
//! are not sent again. Their workers come back by themselves, and so do they.

use std::sync::Arc;

use reelroom_protocol::ids::{DispatchId, JobId, ParticipantIdentity, RoomSid};
use reelroom_protocol::proto::{JobStatus, JobType};
use serde::{Deserialize, Serialize};

use crate::agents::Agents;
use crate::job::{Call, Job, Stage, Target, cut};
use crate::output::Now;
use crate::wish::Wish;
use crate::worker::Worker;

/// What is kept of the agents of one room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAgents {
    pub(crate) dispatches: Vec<KeptDispatch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptDispatch {
    pub(crate) id: DispatchId,
    pub(crate) wish: Wish,
    pub(crate) created_unix_ns: i64,
    pub(crate) jobs: Vec<KeptJob>,
}

/// A job that was given, or is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptJob {
    pub(crate) id: JobId,
    pub(crate) kind: i32,
    pub(crate) target: Option<Target>,
    pub(crate) namespace: String,
    pub(crate) identity: ParticipantIdentity,
    pub(crate) started_unix_ns: i64,
    pub(crate) given: u32,
    /// How it has ended, if it has.
    pub(crate) end: Option<KeptEnd>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptEnd {
    pub(crate) status: i32,
    pub(crate) error: String,
    pub(crate) unix_ns: i64,
}

impl Agents {
    /// The server is about to begin anew: from now on nothing begins or ends.
    pub fn hand_over(&mut self) {
        self.is_handing_over = true;
    }

    /// With what a room is to open again.
    pub fn kept(&self, sid: &RoomSid) -> Option<KeptAgents> {
        let room = self.rooms.get(sid)?;
        let has_left = |target: &Target| !room.guests.contains_key(&target.sid);
        let lasts = |job: &&Job| match job.stage {
            Stage::Running { .. } => true,
            Stage::Ended { clears_at: None } => !job.target.as_ref().is_some_and(has_left),
            Stage::Waiting | Stage::Asked { .. } | Stage::Ended { clears_at: Some(_) } => false,
        };
        let end = |job: &Job| KeptEnd {
            status: job.state.status,
            error: job.state.error.clone(),
            unix_ns: job.state.ended_at,
        };
        let keep = |job: &Job| KeptJob {
            id: job.id.clone(),
            kind: job.kind.into(),
            target: job.target.clone(),
            namespace: job.namespace.clone(),
            identity: job.state.participant_identity.as_str().into(),
            started_unix_ns: job.state.started_at,
            given: job.given,
            end: job.is_over().then(|| end(job)),
        };
        let dispatches = room.dispatches.values().map(|dispatch| {
            let jobs = room.jobs.iter().filter_map(|id| self.jobs.get(id));
            let of_it = jobs.filter(|job| job.dispatch == dispatch.id).filter(lasts);
            KeptDispatch {
                id: dispatch.id.clone(),
                wish: Wish::clone(&dispatch.wish),
                created_unix_ns: dispatch.created_unix_ns,
                jobs: of_it.map(keep).collect(),
            }
        });
        Some(KeptAgents { dispatches: dispatches.collect() })
    }

    /// A job of a former run goes on, and its worker and agent are expected; or it is over, and stays so.
    pub(crate) fn restore(
        &mut self,
        sid: &RoomSid,
        dispatch: DispatchId,
        wish: Arc<Wish>,
        kept: KeptJob,
        now: Now,
    ) {
        let Ok(kind) = JobType::try_from(kept.kind) else { return };
        if !self.has_room_for_a_job(sid) || self.jobs.contains_key(&kept.id) {
            return;
        }
        let Some(room) = self.rooms.get_mut(sid) else { return };
        let call = Call { dispatch, kind, target: kept.target, namespace: kept.namespace };
        let mut job = Job::new(kept.id, sid.clone(), call, wish, now);
        job.stage = Stage::Running { worker: None, since: now.at };
        job.gives_up_at = None;
        job.given = kept.given;
        job.is_former = true;
        job.state.status = JobStatus::JsRunning.into();
        job.state.started_at = kept.started_unix_ns;
        job.state.participant_identity = kept.identity.to_string();
        if let Some(end) = kept.end {
            job.stage = Stage::Ended { clears_at: None };
            job.state.status = end.status;
            job.state.error = cut(&end.error);
            job.state.ended_at = end.unix_ns;
            room.jobs.insert(job.id.clone());
            self.jobs.insert(job.id.clone(), job);
            return;
        }
        // Workers may be back before their rooms are open.
        let claims = |worker: &&mut Worker| worker.has_claimed(&job.id) && job.is_for(&worker.registration);
        if let Some(worker) = self.workers.values_mut().find(claims) {
            worker.gets_claimed(&job.id);
            job.state.worker_id = worker.id.to_string();
            job.stage = Stage::Running { worker: Some(worker.id.clone()), since: now.at };
        }
        room.jobs.insert(job.id.clone());
        self.jobs.insert(job.id.clone(), job);
    }
}
