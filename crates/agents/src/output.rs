//! What is to be done, and the time.

use std::collections::HashMap;
use std::time::Instant;

use reelroom_limits::agents::AGENT_NAME_BYTES;
use reelroom_limits::signalling::{NAME_BYTES, OWN_METADATA_BYTES};
use reelroom_protocol::ids::{JobId, ParticipantIdentity, ParticipantSid, RoomSid, WorkerId};
use reelroom_protocol::proto::{self, AvailabilityResponse};

use crate::error::{AgentsError, within};
use crate::wish::bounded;

/// The attribute by which LiveKit's clients tell agents apart.
const AGENT_NAME: &str = "lk.agent_name";

/// The time, twice: for intervals, and as LiveKit writes it in the states of jobs.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For everything that is compared.
    pub at: Instant,
    /// Unix time in nanoseconds.
    pub unix_ns: i64,
}

/// One thing to do. Order matters for each worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Ask a worker whether it takes a job: see [`crate::Agents::job`].
    Ask {
        /// Whom.
        worker: WorkerId,
        /// About what.
        job: JobId,
    },
    /// Give a worker a job that it takes, and a token for its agent.
    Assign {
        /// To whom.
        worker: WorkerId,
        /// Which.
        job: JobId,
        /// As whom the agent joins.
        accepted: Box<Accepted>,
    },
    /// Tell a worker that a job is over.
    Terminate {
        /// Whom.
        worker: WorkerId,
        /// Which.
        job: JobId,
    },
    /// Remove an agent from its room, which should have left by itself.
    Remove {
        /// The room.
        room: RoomSid,
        /// The agent's session.
        participant: ParticipantSid,
    },
    /// No more agents are sent into a room: there are as many jobs as may be. It is said once of a room.
    TooManyJobs {
        /// The room.
        room: RoomSid,
    },
}

/// A job as a worker is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// In which room.
    pub room: RoomSid,
    /// As LiveKit writes it; of its participant just who that is, and nothing of its room.
    pub job: proto::Job,
    /// It was given to another worker before.
    pub is_resumed: bool,
}

/// As whom an agent joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// As the worker asked, or the job's.
    pub identity: ParticipantIdentity,
    /// For people.
    pub name: String,
    /// Free text.
    pub metadata: String,
    /// Free key-value pairs, and the agent's name among them.
    pub attributes: HashMap<String, String>,
}

impl Accepted {
    /// As a worker says it that takes a job of an agent of this name.
    ///
    /// # Errors
    /// What is too much for a participant.
    pub(crate) fn read(response: AvailabilityResponse, agent_name: &str) -> Result<Self, AgentsError> {
        let identity = match response.participant_identity.as_str() {
            "" => format!("agent-{}", response.job_id),
            asked => asked.to_owned(),
        };
        let mut attributes = response.participant_attributes;
        attributes.insert(AGENT_NAME.to_owned(), agent_name.to_owned());
        within("the agent's name", agent_name, AGENT_NAME_BYTES)?;
        within("the identity", &identity, NAME_BYTES)?;
        within("the name", &response.participant_name, NAME_BYTES)?;
        within("the metadata", &response.participant_metadata, OWN_METADATA_BYTES)?;
        bounded(&attributes)?;
        Ok(Self {
            identity: identity.into(),
            name: response.participant_name,
            metadata: response.participant_metadata,
            attributes,
        })
    }
}
