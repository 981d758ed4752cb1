//! Of workers that have agents, and of what they are sent for.

use std::time::Duration;

limits! {
    /// Workers that are registered at a time; the connection of one more is closed, and it is told why.
    pub const WORKERS: usize = 256;
    /// Bytes of a message of a worker; a longer one ends its connection, and it is told why.
    pub const WORKER_MESSAGE_BYTES: usize = 1024 * 1024;
    /// Fields of a message of a worker, those of messages inside it included, or values of one in JSON, counted before it is decoded; with more its
    /// connection ends, and it is told why.
    pub const WORKER_MESSAGE_FIELDS: usize = 8192;
    /// Messages that a worker may send at once; one that has used them up is read more slowly.
    pub const WORKER_BURST: u32 = 1000;
    /// Messages that a worker may send in a second for good.
    pub const WORKER_PER_SECOND: u32 = 200;
    /// How long a worker may take to register, from when it has connected; then its connection ends, and it is told why.
    pub const WORKER_REGISTERS_WITHIN: Duration = Duration::from_secs(10);
    /// Messages that wait for a worker which reads slowly; with more its connection ends. The end of the largest room fits.
    pub const WORKER_WAITING_MESSAGES: usize = 4096;
    /// Jobs that a worker is asked about at a time; about more it is asked when it has answered.
    pub const JOBS_ASKED_AT_ONCE: usize = 100;
    /// How long one message may take to be written to a worker; then its connection ends.
    pub const WORKER_WRITE_WITHIN: Duration = Duration::from_secs(10);
    /// How long nothing may be heard of a worker, which is asked for a sign of life every 15 s; then its connection ends.
    pub const WORKER_SILENT_FOR: Duration = Duration::from_secs(45);
    /// Jobs of rooms that have not opened again which a worker that is back may say it has; of more nothing is remembered, and their end it is not told.
    pub const JOBS_CLAIMED: usize = 1000;
    /// Bytes of the name of an agent, and of a worker's namespace and version; a worker or a dispatch with a longer one is refused.
    pub const AGENT_NAME_BYTES: usize = 256;
    /// Bytes of the deployment of an agent, as with LiveKit; a worker or a dispatch with a longer one is refused.
    pub const DEPLOYMENT_BYTES: usize = 64;
    /// Dispatches of a room; a call that makes one more is refused with `resource_exhausted`, and a room or token that names more with 400.
    pub const DISPATCHES: usize = 32;
    /// Bytes of the metadata of a dispatch; one with more is refused.
    pub const DISPATCH_METADATA_BYTES: usize = 64 * 1024;
    /// Jobs of agents that the server knows of; beyond that no agent is sent, and the log says so.
    pub const JOBS: usize = 10_000;
    /// The same of one room.
    pub const JOBS_OF_A_ROOM: usize = 2000;
    /// Jobs of a room that are over and are still listed; of more the oldest are forgotten.
    pub const ENDED_JOBS: usize = 100;
    /// Bytes of metadata and attributes of all jobs of a dispatch as they are listed; the jobs that go beyond are listed without, for the dispatch has the same.
    pub const LISTED_TEXT_BYTES: usize = 1024 * 1024;
    /// Bytes of the error that a worker tells of a job; what goes beyond is cut off.
    pub const JOB_ERROR_BYTES: usize = 1024;
    /// How long a worker may take to say whether it takes a job; then the next one is asked.
    pub const AVAILABILITY_WITHIN: Duration = Duration::from_secs(10);
    /// How long a worker that did not take a job is not asked about it again.
    pub const REFUSAL_HOLDS: Duration = Duration::from_secs(30);
    /// How long an agent without a name is looked for, from when there is something for it in a room. One with a name is waited for as long as its dispatch
    /// stands.
    pub const UNNAMED_WAITS: Duration = Duration::from_secs(60);
    /// How long a worker that lost its connection may take to be back, before those of its jobs whose agents are gone too are given to others.
    pub const WORKER_RETURNS_WITHIN: Duration = Duration::from_secs(30);
    /// How long an agent that left its room may take to be back, or its worker to say how the job has ended; then it has failed.
    pub const AGENT_RETURNS_WITHIN: Duration = Duration::from_secs(10);
    /// How long an agent whose dispatch was deleted may take to leave by itself; then it is removed from the room.
    pub const AGENT_LEAVES_WITHIN: Duration = Duration::from_secs(3);
    /// How often a job is given to a worker; when that many were lost over it, it has failed.
    pub const JOB_GIVEN: u32 = 3;
    /// Bytes of what a server that is about to start again writes down of agents. Rooms that do not fit open as if none had been sent.
    pub const AGENTS_HAND_OVER_BYTES: usize = 4 * 1024 * 1024;
}
