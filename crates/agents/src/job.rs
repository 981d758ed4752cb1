//! One agent that is sent: where it stands, and with whom.
//!
//! ```text
//!             ┌──── refused, silent, gone ────┐
//!             ▼                               │
//!   new ─► Waiting ─► Asked ─► Running ─► Ended
//!             │                   │  ▲
//!             └─► forgotten       └──┘ its worker goes and comes back
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use reelroom_limits::agents::{
    AGENT_RETURNS_WITHIN, JOB_ERROR_BYTES, REFUSAL_HOLDS, UNNAMED_WAITS, WORKER_RETURNS_WITHIN,
};
use reelroom_protocol::ids::{DispatchId, JobId, ParticipantIdentity, ParticipantSid, RoomSid, WorkerId};
use reelroom_protocol::proto::{self, JobState, JobStatus, JobType, ParticipantInfo};
use serde::{Deserialize, Serialize};

use crate::output::Now;
use crate::wish::Wish;
use crate::worker::{AgentKey, Registration};

/// The participant that an agent is sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) sid: ParticipantSid,
    pub(crate) identity: ParticipantIdentity,
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nobody is asked.
    Waiting,
    /// A worker is asked whether it takes it.
    Asked { worker: WorkerId, until: Instant },
    /// It is given to a worker, which may have lost its connection; since when it is as it is.
    Running { worker: Option<WorkerId>, since: Instant },
    /// It is over. Then something may be left to do.
    Ended { clears_at: Option<Instant> },
}

/// Whether the agent is in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has not come yet.
    Awaited,
    Here(ParticipantSid),
    /// It has left.
    Gone(Instant),
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) room: RoomSid,
    pub(crate) dispatch: DispatchId,
    pub(crate) wish: Arc<Wish>,
    pub(crate) kind: JobType,
    pub(crate) target: Option<Target>,
    pub(crate) namespace: String,
    pub(crate) stage: Stage,
    pub(crate) agent: Presence,
    pub(crate) state: JobState,
    /// Workers that did not take it, and when that was.
    pub(crate) refused: BTreeMap<WorkerId, Instant>,
    /// How often it was given to a worker.
    pub(crate) given: u32,
    /// When nobody is looked for any more.
    pub(crate) gives_up_at: Option<Instant>,
    /// It is of a former run of the server, and the participant that it is for has not come back yet.
    pub(crate) is_former: bool,
}

impl Job {
    pub(crate) fn new(id: JobId, room: RoomSid, call: Call, wish: Arc<Wish>, now: Now) -> Self {
        let state = JobState { updated_at: now.unix_ns, ..Default::default() };
        let Call { dispatch, kind, target, namespace } = call;
        let mut job = Self {
            id,
            room,
            dispatch,
            wish,
            kind,
            target,
            namespace,
            stage: Stage::Waiting,
            agent: Presence::Awaited,
            state,
            refused: BTreeMap::new(),
            given: 0,
            gives_up_at: None,
            is_former: false,
        };
        job.waits(now);
        job
    }

    /// A worker is looked for from now on.
    pub(crate) fn waits(&mut self, now: Now) {
        self.stage = Stage::Waiting;
        self.gives_up_at = self.wish.agent_name.is_empty().then(|| now.at + UNNAMED_WAITS);
    }

    /// Whether a worker has the agent that this is for.
    pub(crate) fn is_for(&self, worker: &Registration) -> bool {
        self.agent_key() == worker.agent_key()
    }

    /// Which agent this is for.
    pub(crate) fn agent_key(&self) -> AgentKey<'_> {
        (self.kind, &self.wish.agent_name, &self.wish.deployment, &self.namespace)
    }

    /// The worker that is asked about it or has it.
    pub(crate) fn worker(&self) -> Option<&WorkerId> {
        match &self.stage {
            Stage::Asked { worker, .. } | Stage::Running { worker: Some(worker), .. } => Some(worker),
            Stage::Waiting | Stage::Running { worker: None, .. } | Stage::Ended { .. } => None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    /// When something is to be done about it, if nothing happens before.
    pub(crate) fn due(&self) -> Option<Instant> {
        let returns = |left: Instant| left + AGENT_RETURNS_WITHIN;
        match (&self.stage, &self.agent) {
            (Stage::Waiting, _) => {
                let again = self.refused.values().min().map(|refused| *refused + REFUSAL_HOLDS);
                again.into_iter().chain(self.gives_up_at).min()
            }
            (Stage::Asked { until, .. }, _) => Some(*until),
            // It has left, and nobody says how that has ended.
            (Stage::Running { worker: Some(_), .. }, Presence::Gone(left)) => Some(returns(*left)),
            (Stage::Running { worker: Some(_), .. }, _) => None,
            // An agent that is there goes on without its worker.
            (Stage::Running { worker: None, .. }, Presence::Here(_)) => None,
            (Stage::Running { worker: None, since }, Presence::Awaited) => {
                Some(*since + WORKER_RETURNS_WITHIN)
            }
            (Stage::Running { worker: None, since }, Presence::Gone(left)) => {
                Some((*since + WORKER_RETURNS_WITHIN).max(returns(*left)))
            }
            (Stage::Ended { clears_at }, _) => *clears_at,
        }
    }

    /// It is over, as its worker or the server says.
    pub(crate) fn end(&mut self, status: JobStatus, error: &str, now: Now) {
        self.stage = Stage::Ended { clears_at: None };
        self.state.status = status.into();
        self.state.error = cut(error);
        self.state.ended_at = now.unix_ns;
        self.state.updated_at = now.unix_ns;
    }

    /// As LiveKit writes it; of its participant just who that is, and nothing of its room.
    pub(crate) fn info(&self) -> proto::Job {
        proto::Job {
            metadata: self.wish.metadata.clone(),
            attributes: self.wish.attributes.clone(),
            ..self.info_without_texts()
        }
    }

    /// The same, without what its dispatch says as well.
    pub(crate) fn info_without_texts(&self) -> proto::Job {
        let participant = self.target.as_ref().map(|target| ParticipantInfo {
            sid: target.sid.to_string(),
            identity: target.identity.to_string(),
            ..Default::default()
        });
        proto::Job {
            id: self.id.to_string(),
            dispatch_id: self.dispatch.to_string(),
            r#type: self.kind.into(),
            participant,
            namespace: self.namespace.clone(),
            agent_name: self.wish.agent_name.clone(),
            state: Some(self.state.clone()),
            deployment: self.wish.deployment.clone(),
            ..Default::default()
        }
    }
}

/// What there is one job for.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) dispatch: DispatchId,
    pub(crate) kind: JobType,
    pub(crate) target: Option<Target>,
    pub(crate) namespace: String,
}

/// Of a text as much as is kept of an error.
pub(crate) fn cut(text: &str) -> String {
    let mut end = text.len().min(JOB_ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
