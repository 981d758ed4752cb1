//! What agents are sent for into a room, and who is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use reelroom_limits::agents::UNNAMED_WAITS;
use reelroom_protocol::ids::{DispatchId, JobId, ParticipantIdentity, ParticipantSid, RoomName};
use reelroom_protocol::proto::{self, JobType, RoomAgentDispatch};

use crate::job::Target;
use crate::kept::KeptAgents;
use crate::output::Now;
use crate::wish::Wish;

/// How a room opens.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// Its name.
    pub name: RoomName,
    /// The agents that whoever opens it asks for; nobody's in particular where there are none.
    pub asked: Vec<RoomAgentDispatch>,
    /// With what it goes on from a former run of the server, in the place of those.
    pub kept: Option<KeptAgents>,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The session.
    pub sid: ParticipantSid,
    /// Unique in the room.
    pub identity: ParticipantIdentity,
    /// Whether it is an agent or a recorder: no agent is sent to these.
    pub is_dependent: bool,
}

/// What agents are sent for.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) id: DispatchId,
    pub(crate) wish: Arc<Wish>,
    pub(crate) created_unix_ns: i64,
    /// From when on it counts that somebody is looked for.
    pub(crate) since: Instant,
}

/// A participant that agents are sent to.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) identity: ParticipantIdentity,
    pub(crate) since: Instant,
    pub(crate) publishes_since: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: RoomName,
    pub(crate) dispatches: BTreeMap<DispatchId, Dispatch>,
    pub(crate) guests: BTreeMap<ParticipantSid, Guest>,
    pub(crate) jobs: BTreeSet<JobId>,
    /// That there are more jobs than may be was said once.
    pub(crate) is_full_told: bool,
}

impl Room {
    pub(crate) fn new(name: RoomName) -> Self {
        Self {
            name,
            dispatches: BTreeMap::new(),
            guests: BTreeMap::new(),
            jobs: BTreeSet::new(),
            is_full_told: false,
        }
    }

    /// What workers of a kind are to be sent for now by a dispatch: of all that there is, or of one participant alone.
    pub(crate) fn targets(
        &self,
        dispatch: &Dispatch,
        kind: JobType,
        only: Option<&ParticipantSid>,
        now: Now,
    ) -> Vec<Option<Target>> {
        let is_timely = |since: Instant| {
            let waited = now.at.saturating_duration_since(since.max(dispatch.since));
            !dispatch.wish.agent_name.is_empty() || waited < UNNAMED_WAITS
        };
        if kind == JobType::JtRoom {
            let is_wanted = only.is_none() && is_timely(dispatch.since);
            return if is_wanted { vec![None] } else { Vec::new() };
        }
        let since = |guest: &Guest| match kind {
            JobType::JtPublisher => guest.publishes_since,
            JobType::JtParticipant | JobType::JtRoom => Some(guest.since),
        };
        let mut targets = Vec::new();
        for (sid, guest) in &self.guests {
            let is_meant = only.is_none_or(|only| only == sid);
            if is_meant && since(guest).is_some_and(is_timely) {
                targets.push(Some(Target { sid: sid.clone(), identity: guest.identity.clone() }));
            }
        }
        targets
    }
}

impl Dispatch {
    /// As LiveKit writes it, without its jobs.
    pub(crate) fn info(&self, room: &RoomName) -> proto::AgentDispatch {
        proto::AgentDispatch {
            id: self.id.to_string(),
            agent_name: self.wish.agent_name.clone(),
            room: room.to_string(),
            metadata: self.wish.metadata.clone(),
            state: Some(proto::AgentDispatchState { created_at: self.created_unix_ns, ..Default::default() }),
            restart_policy: self.wish.restart_policy,
            deployment: self.wish.deployment.clone(),
            attributes: self.wish.attributes.clone(),
        }
    }
}
