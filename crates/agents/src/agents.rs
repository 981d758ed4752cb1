//! The state: workers, rooms and jobs, and what becomes of them.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reelroom_limits::agents::{
    AVAILABILITY_WITHIN, DISPATCHES, ENDED_JOBS, JOB_GIVEN, JOBS, JOBS_OF_A_ROOM, REFUSAL_HOLDS, WORKERS,
};
use reelroom_protocol::ids::{JobId, ParticipantSid, RoomSid, WorkerId};
use reelroom_protocol::proto::{
    AvailabilityResponse, JobState, JobStatus, UpdateJobStatus, UpdateWorkerStatus,
};

use crate::choice::choose;
use crate::error::AgentsError;
use crate::job::{Call, Job, Presence, Stage, Target, cut};
use crate::output::{Accepted, Now, Output, Told};
use crate::room::{Dispatch, Guest, Opening, Person, Room};
use crate::wish::Wish;
use crate::worker::{Registration, Worker};

/// See the crate's documentation.
#[derive(Debug)]
pub struct Agents {
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    pub(crate) rooms: BTreeMap<RoomSid, Room>,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    /// Those of them that no worker is asked about.
    waiting: BTreeSet<JobId>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) ids: StdRng,
    /// Everything goes on in the next run of the server: nothing begins, and nobody is told of an end.
    pub(crate) is_handing_over: bool,
}

impl Agents {
    /// Without workers and rooms. Ids follow from the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            workers: BTreeMap::new(),
            rooms: BTreeMap::new(),
            jobs: BTreeMap::new(),
            waiting: BTreeSet::new(),
            outputs: VecDeque::new(),
            ids: StdRng::seed_from_u64(seed),
            is_handing_over: false,
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Agents::handle_timeout`] wants to be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_handing_over {
            return None;
        }
        self.jobs.values().filter_map(Job::due).min()
    }

    /// Time has come to [`Agents::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now) {
        if self.is_handing_over {
            return;
        }
        let is_due = |job: &&Job| job.due().is_some_and(|due| due <= now.at);
        let due: Vec<JobId> = self.jobs.values().filter(is_due).map(|job| job.id.clone()).collect();
        for id in due {
            self.due(&id, now);
        }
        self.assign(now);
    }

    fn due(&mut self, id: &JobId, now: Now) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        match job.stage.clone() {
            // Nobody came who takes it.
            Stage::Waiting | Stage::Asked { .. } if job.gives_up_at.is_some_and(|at| at <= now.at) => {
                self.forget(id);
            }
            Stage::Waiting => job.refused.retain(|_, refused| *refused + REFUSAL_HOLDS > now.at),
            Stage::Asked { .. } => self.set_aside(id, now),
            Stage::Running { worker: Some(worker), .. } => {
                self.outputs.push_back(Output::Terminate { worker, job: id.clone() });
                self.end(id, JobStatus::JsFailed, "agent worker left the room", now);
            }
            Stage::Running { worker: None, .. } => self.give_again(id, now),
            Stage::Ended { .. } => {
                job.stage = Stage::Ended { clears_at: None };
                if let Presence::Here(agent) = &job.agent {
                    let (room, participant) = (job.room.clone(), agent.clone());
                    self.outputs.push_back(Output::Remove { room, participant });
                }
                let (room, dispatch) = (&job.room, &job.dispatch);
                if self.rooms.get(room).is_none_or(|room| !room.dispatches.contains_key(dispatch)) {
                    self.forget(id);
                }
            }
        }
    }

    /// A worker comes. It is to be told its id before anything that follows.
    ///
    /// # Errors
    /// [`AgentsError::TooManyWorkers`], [`AgentsError::Restarting`].
    pub fn register(&mut self, registration: Registration, now: Now) -> Result<WorkerId, AgentsError> {
        if self.is_handing_over {
            return Err(AgentsError::Restarting);
        }
        if self.workers.len() >= WORKERS {
            return Err(AgentsError::TooManyWorkers);
        }
        let id = WorkerId::generate(&mut self.ids);
        self.workers.insert(id.clone(), Worker::new(id.clone(), registration));
        let rooms: Vec<_> = self.rooms.keys().cloned().collect();
        for room in rooms {
            self.launch(&room, None, now);
        }
        self.assign(now);
        Ok(id)
    }

    /// A worker that is registered.
    pub fn registration(&self, worker: &WorkerId) -> Option<&Registration> {
        self.workers.get(worker).map(|worker| &worker.registration)
    }

    /// The connection of a worker is over. What it was asked about others are asked, and its jobs wait for it to come back.
    pub fn disconnected(&mut self, worker: &WorkerId, now: Now) {
        let Some(gone) = self.workers.remove(worker) else { return };
        for id in gone.jobs {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            match job.stage {
                Stage::Asked { .. } => {
                    job.stage = Stage::Waiting;
                    self.waiting.insert(id);
                }
                Stage::Running { .. } => job.stage = Stage::Running { worker: None, since: now.at },
                Stage::Waiting | Stage::Ended { .. } => {}
            }
        }
        for job in self.jobs.values_mut() {
            job.refused.remove(worker);
        }
        self.assign(now);
    }

    /// A worker says how loaded it is, and whether it takes jobs.
    pub fn update_worker(&mut self, worker: &WorkerId, status: &UpdateWorkerStatus, now: Now) {
        let Some(state) = self.workers.get_mut(worker) else { return };
        if state.update(status) {
            // What it refused it refused as it had no place.
            for id in &self.waiting {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.refused.remove(worker);
                }
            }
            self.assign(now);
        }
    }

    /// A worker says whether it takes a job that it was asked about.
    ///
    /// # Errors
    /// It would have its agent join in a way that nobody may; then others are asked.
    pub fn answer(
        &mut self,
        worker: &WorkerId,
        response: AvailabilityResponse,
        now: Now,
    ) -> Result<(), AgentsError> {
        let id = JobId::from(response.job_id.as_str());
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        if !matches!(job.stage, Stage::Asked { .. }) || job.worker() != Some(worker) {
            return Ok(());
        }
        if response.terminate {
            self.end(&id, JobStatus::JsSuccess, "", now);
            self.assign(now);
            return Ok(());
        }
        if !response.available {
            self.set_aside(&id, now);
            self.assign(now);
            return Ok(());
        }
        let accepted = match Accepted::read(response, &job.wish.agent_name) {
            Ok(accepted) => accepted,
            Err(error) => {
                self.set_aside(&id, now);
                self.assign(now);
                return Err(error);
            }
        };
        job.stage = Stage::Running { worker: Some(worker.clone()), since: now.at };
        job.agent = Presence::Awaited;
        job.given += 1;
        job.state = JobState {
            status: JobStatus::JsRunning.into(),
            started_at: now.unix_ns,
            updated_at: now.unix_ns,
            participant_identity: accepted.identity.to_string(),
            worker_id: worker.to_string(),
            ..Default::default()
        };
        if let Some(state) = self.workers.get_mut(worker) {
            state.accepts(&id);
        }
        let assign = Output::Assign { worker: worker.clone(), job: id, accepted: Box::new(accepted) };
        self.outputs.push_back(assign);
        self.assign(now);
        Ok(())
    }

    /// A worker says how a job of its is.
    pub fn update_job(&mut self, worker: &WorkerId, update: &UpdateJobStatus, now: Now) {
        let id = JobId::from(update.job_id.as_str());
        let Ok(status) = JobStatus::try_from(update.status) else { return };
        // One that is back tells what it has not told before it says which jobs it has.
        if !self.take_up(worker, &id, now) {
            return;
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match status {
            JobStatus::JsPending | JobStatus::JsRunning => {
                job.state.status = status.into();
                job.state.error = cut(&update.error);
                job.state.updated_at = now.unix_ns;
            }
            JobStatus::JsSuccess | JobStatus::JsFailed => self.end(&id, status, &update.error, now),
        }
    }

    /// A worker that has come back says which jobs it has. Those that are over, or another's by now, it is told to end; of those that this server
    /// does not know nothing is said, for their agents may be at work all the same, in rooms that open again in a moment.
    pub fn migrate(&mut self, worker: &WorkerId, ids: &[String], now: Now) {
        for id in ids {
            let id = JobId::from(id.as_str());
            if self.take_up(worker, &id, now) {
                continue;
            }
            if self.jobs.contains_key(&id) {
                self.outputs.push_back(Output::Terminate { worker: worker.clone(), job: id });
            } else if let Some(state) = self.workers.get_mut(worker) {
                state.claims(id);
            }
        }
    }

    /// Whether a worker has a job, if only from now on. A job that another one seems to have it may take up as long as that job was given once: then both
    /// are one, whose connection broke without a word. What was given again is another's.
    fn take_up(&mut self, worker: &WorkerId, id: &JobId, now: Now) -> bool {
        let (Some(job), Some(state)) = (self.jobs.get_mut(id), self.workers.get_mut(worker)) else {
            return false;
        };
        let Stage::Running { worker: former, .. } = &job.stage else { return false };
        let former = former.clone();
        if former.as_ref() == Some(worker) {
            return true;
        }
        if !job.is_for(&state.registration) || former.is_some() && job.given > 1 {
            return false;
        }
        job.stage = Stage::Running { worker: Some(worker.clone()), since: now.at };
        job.state.worker_id = worker.to_string();
        job.state.updated_at = now.unix_ns;
        state.jobs.insert(id.clone());
        if let Some(former) = former.and_then(|former| self.workers.get_mut(&former)) {
            former.loses(id);
        }
        true
    }

    /// A room opens.
    pub fn open(&mut self, sid: RoomSid, opening: Opening, now: Now) {
        let mut room = Room::new(opening.name);
        let mut jobs = Vec::new();
        if let Some(kept) = opening.kept {
            for kept in kept.dispatches.into_iter().take(DISPATCHES) {
                let wish = Arc::new(kept.wish);
                jobs.extend(kept.jobs.into_iter().map(|job| (kept.id.clone(), Arc::clone(&wish), job)));
                let created_unix_ns = kept.created_unix_ns;
                let dispatch = Dispatch { id: kept.id.clone(), wish, created_unix_ns, since: now.at };
                room.dispatches.insert(kept.id, dispatch);
            }
        } else {
            // What asks for too much was refused at the door.
            let mut wishes: Vec<Wish> =
                opening.asked.iter().filter_map(|asked| Wish::of_room(asked).ok()).take(DISPATCHES).collect();
            if opening.asked.is_empty() {
                wishes.push(Wish::default());
            }
            for wish in wishes {
                self.dispatch(&mut room, wish, now);
            }
        }
        self.rooms.insert(sid.clone(), room);
        for (dispatch, wish, job) in jobs {
            self.restore(&sid, dispatch, wish, job, now);
        }
        self.launch(&sid, None, now);
        self.assign(now);
    }

    /// A room is over.
    pub fn close(&mut self, sid: &RoomSid, now: Now) {
        let Some(room) = self.rooms.remove(sid) else { return };
        for id in room.jobs {
            let running = match self.jobs.get(&id).map(|job| &job.stage) {
                Some(Stage::Running { worker: Some(worker), .. }) => Some(worker.clone()),
                _ => None,
            };
            if let Some(worker) = running.filter(|_| !self.is_handing_over) {
                self.outputs.push_back(Output::Terminate { worker, job: id.clone() });
            }
            self.forget(&id);
        }
        self.assign(now);
    }

    /// Somebody has joined, perhaps an agent.
    pub fn joined(&mut self, sid: &RoomSid, person: Person, now: Now) {
        let Some(room) = self.rooms.get_mut(sid) else { return };
        let Person { sid: who, identity, is_dependent } = person;
        let is_its = |job: &Job| is_dependent && job.state.participant_identity == identity.as_str();
        let is_running = |job: &Job| matches!(job.stage, Stage::Running { .. });
        // An agent may have the identity of one whose job is over: that one's end is not for the new one.
        let mut jobs = room.jobs.iter().filter_map(|id| self.jobs.get(id));
        let has_running = jobs.any(|job| is_its(job) && is_running(job));
        for id in &room.jobs {
            let Some(job) = self.jobs.get_mut(id) else { continue };
            if is_its(job) && (is_running(job) || !has_running) {
                job.agent = Presence::Here(who.clone());
            }
            // Whoever is back after a restart has the agents that they had; when they come once more, they are somebody new as anybody is.
            if let Some(target) = job.target.as_mut().filter(|target| target.identity == identity)
                && job.is_former
            {
                target.sid = who.clone();
                job.is_former = false;
            }
        }
        if !is_dependent {
            room.guests.insert(who.clone(), Guest { identity, since: now.at, publishes_since: None });
            self.launch(sid, Some(&who), now);
            self.assign(now);
        }
    }

    /// A participant publishes.
    pub fn published(&mut self, sid: &RoomSid, who: &ParticipantSid, now: Now) {
        let guest = self.rooms.get_mut(sid).and_then(|room| room.guests.get_mut(who));
        let Some(guest) = guest.filter(|guest| guest.publishes_since.is_none()) else { return };
        guest.publishes_since = Some(now.at);
        self.launch(sid, Some(who), now);
        self.assign(now);
    }

    /// Somebody has left. Who was to be sent to them and is not on their way is not sent any more.
    pub fn left(&mut self, sid: &RoomSid, who: &ParticipantSid, now: Now) {
        let Some(room) = self.rooms.get_mut(sid) else { return };
        room.guests.remove(who);
        let mut needless = Vec::new();
        for id in &room.jobs {
            let Some(job) = self.jobs.get_mut(id) else { continue };
            if matches!(&job.agent, Presence::Here(agent) if agent == who) {
                job.agent = Presence::Gone(now.at);
            }
            let is_about = job.target.as_ref().is_some_and(|target| target.sid == *who);
            if is_about && matches!(job.stage, Stage::Waiting | Stage::Asked { .. }) {
                needless.push(id.clone());
            }
        }
        for id in needless {
            self.forget(&id);
        }
        self.prune(sid);
        self.assign(now);
    }

    /// What a worker is told of a job; `None` once there is no such job.
    pub fn job(&self, id: &JobId) -> Option<Told> {
        let job = self.jobs.get(id)?;
        Some(Told { room: job.room.clone(), job: job.info(), is_resumed: job.given > 0 })
    }

    /// Whether a worker is still asked about a job, or still has it.
    pub fn is_with(&self, worker: &WorkerId, job: &JobId) -> bool {
        self.jobs.get(job).is_some_and(|job| job.worker() == Some(worker))
    }

    /// How many workers, and jobs that are not over, there are.
    pub fn counts(&self) -> (usize, usize) {
        (self.workers.len(), self.jobs.values().filter(|job| !job.is_over()).count())
    }

    pub(crate) fn has_room_for_a_job(&self, sid: &RoomSid) -> bool {
        let of_room = self.rooms.get(sid).map_or(0, |room| room.jobs.len());
        self.jobs.len() < JOBS && of_room < JOBS_OF_A_ROOM
    }

    /// Makes jobs of whatever in a room has none yet: of everything, or of what concerns one participant.
    pub(crate) fn launch(&mut self, sid: &RoomSid, only: Option<&ParticipantSid>, now: Now) {
        if self.is_handing_over {
            return;
        }
        for (call, wish) in self.calls(sid, only, now) {
            let has_room = self.has_room_for_a_job(sid);
            let Some(room) = self.rooms.get_mut(sid) else { return };
            if !has_room {
                if !std::mem::replace(&mut room.is_full_told, true) {
                    self.outputs.push_back(Output::TooManyJobs { room: sid.clone() });
                }
                return;
            }
            let id = JobId::generate(&mut self.ids);
            room.jobs.insert(id.clone());
            self.waiting.insert(id.clone());
            self.jobs.insert(id.clone(), Job::new(id, sid.clone(), call, wish, now));
        }
    }

    /// What is called for in a room, has workers, and has no job.
    fn calls(&self, sid: &RoomSid, only: Option<&ParticipantSid>, now: Now) -> Vec<(Call, Arc<Wish>)> {
        let mut calls = Vec::new();
        let Some(room) = self.rooms.get(sid).filter(|_| !self.workers.is_empty()) else { return calls };
        let jobs = room.jobs.iter().filter_map(|id| self.jobs.get(id));
        let known: HashSet<_> = jobs
            .map(|job| {
                let target = job.target.as_ref().map(|target| &target.sid);
                (&job.dispatch, job.kind, target, job.namespace.as_str())
            })
            .filter(|(_, _, target, _)| only.is_none() || *target == only)
            .collect();
        for dispatch in room.dispatches.values() {
            let of_it = self.workers.values().map(|worker| &worker.registration).filter(|worker| {
                worker.agent_name == dispatch.wish.agent_name && worker.deployment == dispatch.wish.deployment
            });
            let kinds: BTreeSet<_> = of_it.map(|worker| (worker.kind, worker.namespace.as_str())).collect();
            for (kind, namespace) in kinds {
                for target in room.targets(dispatch, kind, only, now) {
                    let sid = target.as_ref().map(|target| &target.sid);
                    if known.contains(&(&dispatch.id, kind, sid, namespace)) {
                        continue;
                    }
                    let (dispatch_id, namespace) = (dispatch.id.clone(), namespace.to_owned());
                    let call = Call { dispatch: dispatch_id, kind, target, namespace };
                    calls.push((call, Arc::clone(&dispatch.wish)));
                    // One more than there may be is enough to say so.
                    if calls.len() > JOBS_OF_A_ROOM {
                        return calls;
                    }
                }
            }
        }
        calls
    }

    /// Asks workers about the jobs that wait.
    pub(crate) fn assign(&mut self, now: Now) {
        if self.is_handing_over {
            return;
        }
        let waiting: Vec<JobId> = {
            // Jobs that nobody could take now, which may be many, cost no more than a look.
            let free = self.workers.values().filter(|worker| worker.is_available());
            let free: HashSet<_> = free.map(|worker| worker.registration.agent_key()).collect();
            let has_worker =
                |id: &&JobId| self.jobs.get(*id).is_some_and(|job| free.contains(&job.agent_key()));
            self.waiting.iter().filter(has_worker).cloned().collect()
        };
        for id in waiting {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let Some(chosen) = choose(self.workers.values(), job) else { continue };
            let Some(worker) = self.workers.get_mut(&chosen) else { continue };
            worker.take(&id);
            job.stage = Stage::Asked { worker: chosen.clone(), until: now.at + AVAILABILITY_WITHIN };
            self.waiting.remove(&id);
            self.outputs.push_back(Output::Ask { worker: chosen, job: id });
        }
    }

    /// Its worker does not take a job: others are to be asked.
    fn set_aside(&mut self, id: &JobId, now: Now) {
        let worker = self.release(id);
        let Some(job) = self.jobs.get_mut(id) else { return };
        // Whose refusal ended while another was asked may be asked again at once.
        job.refused.retain(|_, refused| *refused + REFUSAL_HOLDS > now.at);
        job.refused.extend(worker.map(|worker| (worker, now.at)));
        job.stage = Stage::Waiting;
        self.waiting.insert(id.clone());
    }

    /// Its worker does not come back, and its agent is not there: others are to be asked, unless it was given too often.
    fn give_again(&mut self, id: &JobId, now: Now) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let has_left = |target: &Target| {
            self.rooms.get(&job.room).is_none_or(|room| !room.guests.contains_key(&target.sid))
        };
        let is_alone = job.target.as_ref().is_some_and(has_left);
        if is_alone && job.is_former {
            // Who has not been back since a restart is somebody new when they are.
            self.forget(id);
            return;
        }
        if job.given >= JOB_GIVEN || is_alone {
            self.end(id, JobStatus::JsFailed, "the agent's worker is gone", now);
            return;
        }
        job.agent = Presence::Awaited;
        job.refused.clear();
        job.state = JobState { updated_at: now.unix_ns, ..Default::default() };
        job.waits(now);
        self.waiting.insert(id.clone());
    }

    pub(crate) fn end(&mut self, id: &JobId, status: JobStatus, error: &str, now: Now) {
        self.release(id);
        self.waiting.remove(id);
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.end(status, error, now);
        let room = job.room.clone();
        self.prune(&room);
    }

    /// Takes a job from its worker, and says from which.
    fn release(&mut self, id: &JobId) -> Option<WorkerId> {
        let worker = self.jobs.get(id)?.worker()?.clone();
        if let Some(state) = self.workers.get_mut(&worker) {
            state.loses(id);
        }
        Some(worker)
    }

    pub(crate) fn forget(&mut self, id: &JobId) {
        self.release(id);
        self.waiting.remove(id);
        if let Some(job) = self.jobs.remove(id)
            && let Some(room) = self.rooms.get_mut(&job.room)
        {
            room.jobs.remove(id);
        }
    }

    /// Forgets the oldest of the jobs of a room that are over and were for participants who have left. Others are kept: who was sent is not sent again.
    fn prune(&mut self, sid: &RoomSid) {
        let Some(room) = self.rooms.get(sid) else { return };
        let is_needless = |job: &&Job| {
            let has_left = |target: &Target| !room.guests.contains_key(&target.sid);
            job.stage == Stage::Ended { clears_at: None } && job.target.as_ref().is_some_and(has_left)
        };
        let jobs = room.jobs.iter().filter_map(|id| self.jobs.get(id)).filter(is_needless);
        let mut over: Vec<_> = jobs.map(|job| (job.state.ended_at, job.id.clone())).collect();
        over.sort_unstable();
        let too_many = over.len().saturating_sub(ENDED_JOBS);
        for (_, id) in over.into_iter().take(too_many) {
            self.forget(&id);
        }
    }
}

#[cfg(test)]
mod tests;
