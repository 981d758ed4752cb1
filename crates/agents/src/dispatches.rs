//! What agents are sent for: made, deleted and listed.

use std::sync::Arc;

use reelroom_limits::agents::{AGENT_LEAVES_WITHIN, DISPATCHES, LISTED_TEXT_BYTES};
use reelroom_protocol::ids::{DispatchId, JobId, RoomSid};
use reelroom_protocol::proto::{self, JobStatus};

use crate::agents::Agents;
use crate::error::AgentsError;
use crate::job::Stage;
use crate::output::{Now, Output};
use crate::room::{Dispatch, Room};
use crate::wish::Wish;

impl Agents {
    /// CreateDispatch.
    ///
    /// # Errors
    /// [`AgentsError::NoRoom`], [`AgentsError::TooManyDispatches`].
    pub fn create_dispatch(
        &mut self,
        sid: &RoomSid,
        wish: Wish,
        now: Now,
    ) -> Result<proto::AgentDispatch, AgentsError> {
        let mut room = self.rooms.remove(sid).ok_or(AgentsError::NoRoom)?;
        let made = if room.dispatches.len() < DISPATCHES {
            Ok(self.dispatch(&mut room, wish, now))
        } else {
            Err(AgentsError::TooManyDispatches)
        };
        self.rooms.insert(sid.clone(), room);
        let id = made?;
        self.launch(sid, None, now);
        self.assign(now);
        self.dispatches(sid, id.as_str())?.pop().ok_or(AgentsError::NoDispatch)
    }

    /// DeleteDispatch: its agents are told to end, and those that do not leave are removed.
    ///
    /// # Errors
    /// [`AgentsError::NoRoom`], [`AgentsError::NoDispatch`].
    pub fn delete_dispatch(
        &mut self,
        sid: &RoomSid,
        id: &DispatchId,
        now: Now,
    ) -> Result<proto::AgentDispatch, AgentsError> {
        let room = self.rooms.get(sid).ok_or(AgentsError::NoRoom)?;
        let dispatch = room.dispatches.get(id).ok_or(AgentsError::NoDispatch)?;
        let mut told = self.told(room, dispatch);
        told.state.get_or_insert_default().deleted_at = now.unix_ns;
        let room = self.rooms.get_mut(sid).ok_or(AgentsError::NoRoom)?;
        room.dispatches.remove(id);
        let jobs: Vec<JobId> = room.jobs.iter().cloned().collect();
        for job in jobs {
            let Some(state) = self.jobs.get(&job).filter(|job| job.dispatch == *id) else { continue };
            match state.stage.clone() {
                Stage::Waiting | Stage::Asked { .. } | Stage::Ended { clears_at: None } => self.forget(&job),
                Stage::Ended { clears_at: Some(_) } => {}
                Stage::Running { worker, .. } => {
                    if let Some(worker) = worker {
                        self.outputs.push_back(Output::Terminate { worker, job: job.clone() });
                    }
                    self.end(&job, JobStatus::JsSuccess, "", now);
                    if let Some(state) = self.jobs.get_mut(&job) {
                        state.stage = Stage::Ended { clears_at: Some(now.at + AGENT_LEAVES_WITHIN) };
                    }
                }
            }
        }
        // Whoever was asked about one of these may be asked about another.
        self.assign(now);
        Ok(told)
    }

    /// ListDispatch: all of a room, or the one of that id. Of the rooms and participants of jobs they say just which these are.
    ///
    /// # Errors
    /// [`AgentsError::NoRoom`].
    pub fn dispatches(&self, sid: &RoomSid, id: &str) -> Result<Vec<proto::AgentDispatch>, AgentsError> {
        let room = self.rooms.get(sid).ok_or(AgentsError::NoRoom)?;
        let wanted = room.dispatches.values().filter(|one| id.is_empty() || one.id.as_str() == id);
        Ok(wanted.map(|dispatch| self.told(room, dispatch)).collect())
    }

    fn told(&self, room: &Room, dispatch: &Dispatch) -> proto::AgentDispatch {
        let mut info = dispatch.info(&room.name);
        let jobs = room.jobs.iter().filter_map(|id| self.jobs.get(id));
        let of_it = jobs.filter(|job| job.dispatch == dispatch.id);
        // They have the texts of the dispatch, each once more.
        let with_texts = LISTED_TEXT_BYTES / dispatch.wish.text_bytes().max(1);
        let listed = of_it
            .enumerate()
            .map(|(index, job)| if index < with_texts { job.info() } else { job.info_without_texts() });
        info.state.get_or_insert_default().jobs = listed.collect();
        info
    }

    /// Adds one to a room.
    pub(crate) fn dispatch(&mut self, room: &mut Room, wish: Wish, now: Now) -> DispatchId {
        let id = DispatchId::generate(&mut self.ids);
        let created_unix_ns = now.unix_ns;
        let dispatch = Dispatch { id: id.clone(), wish: Arc::new(wish), created_unix_ns, since: now.at };
        room.dispatches.insert(id.clone(), dispatch);
        id
    }
}
