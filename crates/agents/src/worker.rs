//! Programs that have agents, by one connection each.

use std::collections::BTreeSet;

use reelroom_limits::agents::{AGENT_NAME_BYTES, JOBS_ASKED_AT_ONCE, JOBS_CLAIMED};
use reelroom_protocol::ids::{JobId, WorkerId};
use reelroom_protocol::proto::{
    JobType, ParticipantPermission, RegisterWorkerRequest, UpdateWorkerStatus, WorkerStatus,
};

use crate::error::{AgentsError, within};
use crate::wish::deployment;

/// What a worker is taken to be loaded with for each job that it was given since it last said how loaded it is: several at once go to several workers.
const LOAD_OF_A_JOB: f32 = 0.1;
/// No id of a job is longer.
const ID_BYTES: usize = 32;
/// Of one whose load is no number.
const FULL: f32 = 1.0;

/// What a worker's agents are sent for, their name, their deployment and their namespace.
pub(crate) type AgentKey<'a> = (JobType, &'a str, &'a str, &'a str);

/// What a worker says of itself as it registers.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    pub(crate) kind: JobType,
    pub(crate) agent_name: String,
    pub(crate) namespace: String,
    pub(crate) deployment: String,
    permission: ParticipantPermission,
    api_key: String,
}

impl Registration {
    /// As it comes on the wire, of a worker whose token is signed with this key.
    ///
    /// # Errors
    /// What is too much of it, or not known here.
    pub fn read(request: RegisterWorkerRequest, api_key: &str) -> Result<Self, AgentsError> {
        let kind =
            JobType::try_from(request.r#type).map_err(|_| AgentsError::UnknownJobType(request.r#type))?;
        let namespace = request.namespace.unwrap_or_default();
        within("the agent's name", &request.agent_name, AGENT_NAME_BYTES)?;
        within("the namespace", &namespace, AGENT_NAME_BYTES)?;
        within("the version", &request.version, AGENT_NAME_BYTES)?;
        deployment(&request.deployment)?;
        let usual = || ParticipantPermission {
            can_subscribe: true,
            can_publish: true,
            can_publish_data: true,
            can_update_metadata: true,
            ..Default::default()
        };
        let mut permission = request.allowed_permissions.unwrap_or_else(usual);
        permission.can_publish_sources.sort_unstable();
        permission.can_publish_sources.dedup();
        permission.can_publish_sources.shrink_to_fit();
        Ok(Self {
            kind,
            agent_name: request.agent_name,
            namespace,
            deployment: request.deployment,
            permission,
            api_key: api_key.to_owned(),
        })
    }

    /// What its agents may do in a room.
    pub fn permission(&self) -> &ParticipantPermission {
        &self.permission
    }

    /// Which agents it has: jobs of the same go to it.
    pub(crate) fn agent_key(&self) -> AgentKey<'_> {
        (self.kind, &self.agent_name, &self.deployment, &self.namespace)
    }

    /// By which key it has come.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The name of its agent; empty where that has none.
    pub fn agent_name(&self) -> &str {
        &self.agent_name
    }

    /// What it is sent for.
    pub fn kind(&self) -> JobType {
        self.kind
    }
}

/// A worker that is registered.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) registration: Registration,
    /// Those that it is asked about and those that it has.
    pub(crate) jobs: BTreeSet<JobId>,
    /// The former of these.
    asked: BTreeSet<JobId>,
    /// Jobs that it says it has, and that are not known here.
    claimed: BTreeSet<JobId>,
    load: f32,
    is_full: bool,
    is_draining: bool,
    /// Jobs since it last said how loaded it is.
    fresh: u32,
    /// Of its last word on that.
    seq: u64,
}

impl Worker {
    pub(crate) fn new(id: WorkerId, registration: Registration) -> Self {
        Self {
            id,
            registration,
            jobs: BTreeSet::new(),
            asked: BTreeSet::new(),
            claimed: BTreeSet::new(),
            load: 0.0,
            is_full: false,
            is_draining: false,
            fresh: 0,
            seq: 0,
        }
    }

    /// Takes over how it is. Whether it may be asked again that could not before.
    pub(crate) fn update(&mut self, status: &UpdateWorkerStatus) -> bool {
        if status.seq != 0 && status.seq <= self.seq {
            return false;
        }
        self.seq = status.seq;
        let took_none = self.is_full || self.is_draining;
        if let Some(said) = status.status {
            self.is_full = said != i32::from(WorkerStatus::WsAvailable);
        }
        self.is_draining = status.draining;
        self.load = if status.load.is_finite() { status.load.max(0.0) } else { FULL };
        self.fresh = 0;
        took_none && !self.is_full && !self.is_draining
    }

    /// It is asked about a job.
    pub(crate) fn take(&mut self, job: &JobId) {
        self.jobs.insert(job.clone());
        self.asked.insert(job.clone());
        self.fresh = self.fresh.saturating_add(1);
    }

    /// It says that it has a job that is not known here.
    pub(crate) fn claims(&mut self, job: JobId) {
        if job.as_str().len() <= ID_BYTES && self.claimed.len() < JOBS_CLAIMED {
            self.claimed.insert(job);
        }
    }

    /// Whether it has said that it has a job.
    pub(crate) fn has_claimed(&self, job: &JobId) -> bool {
        self.claimed.contains(job)
    }

    /// It has a job that it claimed.
    pub(crate) fn gets_claimed(&mut self, job: &JobId) {
        self.claimed.remove(job);
        self.jobs.insert(job.clone());
    }

    /// It takes a job that it was asked about.
    pub(crate) fn accepts(&mut self, job: &JobId) {
        self.asked.remove(job);
    }

    /// It is not asked about a job any more, or does not have it any more.
    pub(crate) fn loses(&mut self, job: &JobId) {
        self.jobs.remove(job);
        self.asked.remove(job);
    }

    pub(crate) fn is_available(&self) -> bool {
        !self.is_full && !self.is_draining && self.asked.len() < JOBS_ASKED_AT_ONCE
    }

    /// How loaded it is taken to be.
    pub(crate) fn load(&self) -> f32 {
        self.load + LOAD_OF_A_JOB * self.fresh as f32
    }
}
