//! Agents: the workers that have them, and the rooms that they are sent into. A shell of [`reelroom_agents`].
//!
//! ```text
//!   /agent (WebSocket) ─► worker ───────┐                     ┌─► a worker's queue ─► its connection, with a token for the agent
//!   rooms' tasks ─► RoomAgents ─────────┼─► reelroom_agents ──┤
//!   /twirp/livekit.AgentDispatchService ┤                     └─► a room's task: somebody is to go
//!   time ───────────────────────────────┘
//! ```
//!
//! # Invariants
//!
//! - The lock is held while a state changes, and nobody waits for anything meanwhile. Rooms' tasks take it, and nobody who holds it takes another.
//! - What a worker is told goes through one queue, in the order in which it was decided; its connection looks up how room and participant are as it writes.
//! - A worker whose queue is full, or gone, is let go: its connection ends with its queue.

mod dispatches;
mod token;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use rand::Rng as _;
use reelroom_agents::{
    Accepted, AgentsError, KeptAgents, Now, Opening, Output, Person, Registration, Told, Wish,
};
use reelroom_protocol::ids::{DispatchId, JobId, ParticipantSid, RoomName, RoomSid, WorkerId};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    self, AgentDispatch, AvailabilityRequest, DisconnectReason, JobAssignment, JobTermination, WebhookEvent,
    WorkerPong, participant_info, server_message, worker_message,
};
use reelroom_routes::Part;
use reelroom_sfu::Room;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::room_task::{self, Command};
use crate::server::MediaServer;

pub(crate) fn rows() -> Part<MediaServer> {
    worker::rows().join(dispatches::rows())
}

/// A handle to them.
#[derive(Clone)]
pub(crate) struct Agents {
    shared: Arc<Shared>,
}

struct Shared {
    keys: ApiKeys,
    state: Mutex<State>,
    /// The next thing is due at another time.
    changed: Arc<Notify>,
}

struct State {
    agents: reelroom_agents::Agents,
    workers: HashMap<WorkerId, mpsc::Sender<Instruction>>,
    rooms: HashMap<RoomSid, mpsc::WeakSender<Command>>,
    /// Of rooms of a former run that have not opened again.
    former: HashMap<RoomName, KeptAgents>,
    due: Option<Instant>,
    /// No worker is let in any more.
    is_stopped: bool,
}

/// What a worker is to be told.
#[derive(Debug)]
enum Instruction {
    Ask(JobId),
    Assign(JobId, Box<Accepted>),
    Terminate(JobId),
    Say(Box<server_message::Message>),
}

/// The time now, for the pure part.
fn now() -> Now {
    let reelroom_sfu::Now { at, unix_ms } = room_task::now();
    Now { at, unix_ns: unix_ms.saturating_mul(1_000_000) }
}

impl Agents {
    /// Nobody is there yet. Time passes for them as long as there is a handle.
    pub(crate) fn new(keys: ApiKeys) -> Self {
        let changed = Arc::<Notify>::default();
        let state = State {
            agents: reelroom_agents::Agents::new(rand::rng().random()),
            workers: HashMap::new(),
            rooms: HashMap::new(),
            former: HashMap::new(),
            due: None,
            is_stopped: false,
        };
        let shared = Arc::new(Shared { keys, state: Mutex::new(state), changed: Arc::clone(&changed) });
        tokio::spawn(keep_time(Arc::downgrade(&shared), changed));
        Self { shared }
    }

    /// Does something with the state, and what follows from it.
    fn with<T>(&self, call: impl FnOnce(&mut State, Now) -> T) -> T {
        let mut state = self.shared.lock();
        let done = call(&mut state, now());
        if state.settle() {
            self.shared.changed.notify_one();
        }
        done
    }

    /// Looks at the state. Nothing follows from that.
    fn look<T>(&self, call: impl FnOnce(&State) -> T) -> T {
        call(&self.shared.lock())
    }

    /// A room opens. Whoever it sends for agents through asks by `commands` how it is.
    pub(crate) fn open(
        &self,
        sid: &RoomSid,
        commands: mpsc::WeakSender<Command>,
        opening: Opening,
    ) -> RoomAgents {
        self.with(|state, now| {
            state.rooms.insert(sid.clone(), commands);
            state.agents.open(sid.clone(), opening, now);
        });
        RoomAgents { agents: self.clone(), sid: sid.clone() }
    }

    /// CreateDispatch, in a room that is open.
    fn create_dispatch(&self, room: &RoomSid, wish: Wish) -> Result<AgentDispatch, AgentsError> {
        self.with(|state, now| state.agents.create_dispatch(room, wish, now))
    }

    /// DeleteDispatch.
    fn delete_dispatch(&self, room: &RoomSid, id: &DispatchId) -> Result<AgentDispatch, AgentsError> {
        self.with(|state, now| state.agents.delete_dispatch(room, id, now))
    }

    /// ListDispatch.
    fn dispatches(&self, room: &RoomSid, id: &str) -> Result<Vec<AgentDispatch>, AgentsError> {
        self.look(|state| state.agents.dispatches(room, id))
    }

    /// A worker comes, who is told what follows by `queue`.
    fn register(
        &self,
        registration: Registration,
        queue: mpsc::Sender<Instruction>,
    ) -> Result<WorkerId, AgentsError> {
        let (agent_name, kind) = (registration.agent_name().to_owned(), registration.kind());
        let worker = self.with(|state, now| {
            if state.is_stopped {
                return Err(AgentsError::Restarting);
            }
            let worker = state.agents.register(registration, now)?;
            // Before anything that follows is done.
            state.workers.insert(worker.clone(), queue);
            Ok(worker)
        })?;
        tracing::info!(%worker, agent_name, ?kind, "a worker of agents is registered");
        Ok(worker)
    }

    /// The connection of a worker is over.
    fn disconnected(&self, worker: &WorkerId) {
        self.with(|state, now| {
            state.workers.remove(worker);
            state.agents.disconnected(worker, now);
        });
    }

    /// A worker says something.
    fn hear(&self, worker: &WorkerId, message: worker_message::Message) {
        use worker_message::Message;
        match message {
            Message::Availability(response) => {
                let job = response.job_id.clone();
                if let Err(error) = self.with(|state, now| state.agents.answer(worker, response, now)) {
                    tracing::warn!(%worker, job, %error, "a worker would have its agent join as nobody may");
                }
            }
            Message::UpdateWorker(status) => {
                self.with(|state, now| state.agents.update_worker(worker, &status, now));
            }
            Message::UpdateJob(update) => {
                self.with(|state, now| state.agents.update_job(worker, &update, now));
            }
            Message::MigrateJob(request) => {
                self.with(|state, now| state.agents.migrate(worker, &request.job_ids, now));
            }
            Message::Ping(ping) => {
                let pong = WorkerPong { last_timestamp: ping.timestamp, timestamp: room_task::now().unix_ms };
                let pong = Instruction::Say(Box::new(server_message::Message::Pong(pong)));
                self.with(|state, _| state.tell(worker, pong));
            }
            Message::Register(_) => tracing::info!(%worker, "a worker registers again: it stays what it was"),
            Message::SimulateJob(_) => worker::simulates(worker),
        }
    }

    /// What a worker is told; `None` where that is of no use any more.
    async fn message(&self, worker: &WorkerId, instruction: Instruction) -> Option<server_message::Message> {
        use server_message::Message;
        match instruction {
            Instruction::Ask(id) => {
                let told = self.told(worker, &id).await?;
                tracing::info!(%worker, job = %id, sid = %told.room, "a worker is asked to take a job");
                let request = AvailabilityRequest { job: Some(told.job), resuming: told.is_resumed };
                Some(Message::Availability(request))
            }
            Instruction::Assign(id, accepted) => {
                let told = self.told(worker, &id).await?;
                let identity = accepted.identity.clone();
                tracing::info!(%worker, job = %id, sid = %told.room, %identity, "a worker has a job");
                let token = self.token(worker, told.job.room.as_ref()?, *accepted)?;
                let assignment = JobAssignment { job: Some(told.job), token, ..Default::default() };
                Some(Message::Assignment(assignment))
            }
            Instruction::Terminate(id) => {
                tracing::info!(%worker, job = %id, "a worker is told to end a job");
                Some(Message::Termination(JobTermination { job_id: id.into() }))
            }
            Instruction::Say(message) => Some(*message),
        }
    }

    /// A job that a worker is asked about or has, with its room and its participant as they are now. Of what it has lost
    /// while this waited it is not told: that its end follows at once a worker would not hear while it only begins.
    async fn told(&self, worker: &WorkerId, id: &JobId) -> Option<Told> {
        let (mut told, commands) = self.look(|state| {
            let told = state.agents.job(id).filter(|_| state.agents.is_with(worker, id))?;
            let commands = state.rooms.get(&told.room)?.upgrade()?;
            Some((told, commands))
        })?;
        let participant: Option<ParticipantSid> =
            told.job.participant.as_ref().map(|one| one.sid.as_str().into());
        let (reply, answer) = oneshot::channel();
        let look = Command::Call(Box::new(move |room, _| {
            let participant = participant.and_then(|sid| room.participant_info(&sid));
            let _ = reply.send((room.info(), participant));
        }));
        commands.send(look).await.ok()?;
        let (room, participant) = answer.await.ok()?;
        told.job.room = Some(room);
        told.job.participant = participant.or(told.job.participant);
        Some(told)
    }

    fn token(&self, worker: &WorkerId, room: &proto::Room, accepted: Accepted) -> Option<String> {
        let (permission, api_key) = self.look(|state| {
            let registration = state.agents.registration(worker)?;
            Some((registration.permission().clone(), registration.api_key().to_owned()))
        })?;
        // With the worker's own key: it may want to read it.
        let keys = match self.shared.keys.secret(&api_key) {
            Some(secret) => ApiKeys::new(api_key.as_str(), secret),
            None => self.shared.keys.clone(),
        };
        let now_unix_s = (room_task::now().unix_ms / 1000) as u64;
        Some(token::mint(&keys, &room.name, accepted, &permission, now_unix_s))
    }

    /// The server is about to start anew. From now on no job begins or ends; what the next run goes on with of rooms that are open, and of those that have
    /// not opened since the last start.
    pub(crate) fn hand_over<'a>(
        &self,
        open: impl Iterator<Item = (&'a RoomName, &'a RoomSid)>,
    ) -> Vec<(RoomName, KeptAgents)> {
        self.with(|state, _| {
            state.agents.hand_over();
            let mut kept = std::mem::take(&mut state.former);
            for (name, sid) in open {
                kept.extend(state.agents.kept(sid).map(|agents| (name.clone(), agents)));
            }
            kept.into_iter().collect()
        })
    }

    /// Rooms of a former run go on with these as they open again.
    pub(crate) fn go_on(&self, kept: Vec<(RoomName, KeptAgents)>) {
        self.with(|state, _| state.former = kept.into_iter().collect());
    }

    /// Those of a room of a former run, which nobody gets a second time.
    pub(crate) fn take_former(&self, name: &RoomName) -> Option<KeptAgents> {
        self.with(|state, _| state.former.remove(name))
    }

    /// Tells all workers to go, and lets none in any more.
    pub(crate) fn stop(&self) {
        self.with(|state, _| {
            state.is_stopped = true;
            state.workers.clear();
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the agents")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Whoever keeps the time sees that there is nobody left to keep it for.
        self.changed.notify_one();
    }
}

impl State {
    /// Does what is to be done. Whether the next thing is due at another time than before.
    fn settle(&mut self) -> bool {
        while let Some(output) = self.agents.poll_output() {
            match output {
                Output::Ask { worker, job } => self.tell(&worker, Instruction::Ask(job)),
                Output::Assign { worker, job, accepted } => {
                    self.tell(&worker, Instruction::Assign(job, accepted));
                }
                Output::Terminate { worker, job } => self.tell(&worker, Instruction::Terminate(job)),
                Output::Remove { room, participant } => self.remove(&room, participant),
                Output::TooManyJobs { room } => {
                    tracing::warn!(sid = %room, "there are as many jobs of agents as may be: no more agents are sent into this room");
                }
            }
        }
        let due = self.agents.poll_timeout();
        std::mem::replace(&mut self.due, due) != due
    }

    fn tell(&mut self, worker: &WorkerId, instruction: Instruction) {
        let Some(queue) = self.workers.get(worker) else { return };
        if queue.try_send(instruction).is_err() {
            tracing::info!(%worker, "a worker of agents does not read what it is told");
            self.workers.remove(worker);
        }
    }

    fn remove(&self, room: &RoomSid, participant: ParticipantSid) {
        let Some(commands) = self.rooms.get(room).and_then(mpsc::WeakSender::upgrade) else { return };
        tracing::info!(sid = %room, %participant, "an agent whose dispatch was deleted is removed");
        let leave = Command::Call(Box::new(move |room, now| {
            room.leave(&participant, DisconnectReason::ParticipantRemoved, now);
        }));
        tokio::spawn(async move {
            // A room that is over has nobody in it.
            let _ = commands.send(leave).await;
        });
    }
}

/// Wakes the state when something is due, until nobody has a handle to it.
async fn keep_time(shared: Weak<Shared>, changed: Arc<Notify>) {
    loop {
        let due = {
            let Some(shared) = shared.upgrade() else { return };
            let mut state = shared.lock();
            let now = now();
            if state.due.is_some_and(|due| due <= now.at) {
                state.agents.handle_timeout(now);
                state.settle();
            }
            state.due
        };
        match due {
            Some(due) => tokio::select! {
                () = changed.notified() => {}
                () = tokio::time::sleep_until(due.into()) => {}
            },
            None => changed.notified().await,
        }
    }
}

/// What a room says of itself to those who send agents into it. The room is over when this is dropped.
pub(crate) struct RoomAgents {
    agents: Agents,
    sid: RoomSid,
}

impl RoomAgents {
    /// Somebody has joined.
    pub(crate) fn joined(&self, room: &Room, who: &ParticipantSid) {
        use participant_info::Kind;
        let Some(info) = room.participant_info(who) else { return };
        let is_helper = info.permission.as_ref().is_some_and(|may| may.agent || may.recorder);
        let is_dependent = is_helper || matches!(info.kind(), Kind::Agent | Kind::Egress);
        let person = Person { sid: who.clone(), identity: info.identity.into(), is_dependent };
        self.agents.with(|state, now| state.agents.joined(&self.sid, person, now));
    }

    /// Something happened that webhooks tell of.
    pub(crate) fn heard(&self, event: &WebhookEvent) {
        if event.event == "track_published"
            && let Some(publisher) = &event.participant
        {
            let who = publisher.sid.as_str().into();
            self.agents.with(|state, now| state.agents.published(&self.sid, &who, now));
        }
    }

    /// Somebody has left.
    pub(crate) fn left(&self, who: &ParticipantSid) {
        self.agents.with(|state, now| state.agents.left(&self.sid, who, now));
    }
}

impl Drop for RoomAgents {
    fn drop(&mut self) {
        self.agents.with(|state, now| {
            state.rooms.remove(&self.sid);
            state.agents.close(&self.sid, now);
        });
    }
}
