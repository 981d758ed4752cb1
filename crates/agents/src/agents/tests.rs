use std::time::Duration;

use proptest::prelude::*;
use reelroom_limits::agents::{AGENT_RETURNS_WITHIN, JOB_ERROR_BYTES, UNNAMED_WAITS, WORKER_RETURNS_WITHIN};
use reelroom_protocol::ids::DispatchId;
use reelroom_protocol::proto::{JobType, RegisterWorkerRequest, RoomAgentDispatch, WorkerStatus};

use super::*;
use crate::kept::KeptAgents;

/// Agents with a clock that the story moves.
struct Story {
    agents: Agents,
    now: Now,
}

impl Story {
    fn new() -> Self {
        let now = Now { at: Instant::now(), unix_ns: 1_800_000_000_000_000_000 };
        Self { agents: Agents::new(7), now }
    }

    fn worker(&mut self, kind: JobType, name: &str) -> WorkerId {
        self.worker_in(kind, name, "")
    }

    fn worker_in(&mut self, kind: JobType, name: &str, namespace: &str) -> WorkerId {
        self.agents.register(registration(kind, name, namespace), self.now).unwrap()
    }

    fn open(&mut self, room: &str, agents: &[&str]) {
        let asked = agents
            .iter()
            .map(|name| RoomAgentDispatch { agent_name: (*name).to_owned(), ..Default::default() })
            .collect();
        self.agents.open(room.into(), Opening { name: room.into(), asked, kept: None }, self.now);
    }

    fn comes(&mut self, room: &str, who: &str) {
        self.joins(room, who, false);
    }

    fn joins(&mut self, room: &str, who: &str, is_dependent: bool) {
        let sid = format!("PA_{who}").into();
        let person = Person { sid, identity: who.into(), is_dependent };
        self.agents.joined(&room.into(), person, self.now);
    }

    fn leaves(&mut self, room: &str, who: &str) {
        self.agents.left(&room.into(), &format!("PA_{who}").into(), self.now);
    }

    fn publishes(&mut self, room: &str, who: &str) {
        self.agents.published(&room.into(), &format!("PA_{who}").into(), self.now);
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.agents.poll_output()).collect()
    }

    /// Whom is asked about which jobs; there is nothing else to do.
    fn asked(&mut self) -> Vec<(WorkerId, JobId)> {
        let asked = |output| match output {
            Output::Ask { worker, job } => (worker, job),
            other => panic!("{other:?}"),
        };
        self.outputs().into_iter().map(asked).collect()
    }

    fn says(&mut self, worker: &WorkerId, job: &JobId, available: bool) {
        let response = AvailabilityResponse { job_id: job.to_string(), available, ..Default::default() };
        self.agents.answer(worker, response, self.now).unwrap();
    }

    /// The one who is asked takes the job, as somebody.
    fn takes(&mut self, identity: &str) -> (WorkerId, JobId) {
        let (worker, job) = self.asked().pop().unwrap();
        let response = AvailabilityResponse {
            job_id: job.to_string(),
            available: true,
            participant_identity: identity.to_owned(),
            ..Default::default()
        };
        self.agents.answer(&worker, response, self.now).unwrap();
        assert!(matches!(self.outputs().as_slice(), [Output::Assign { .. }]));
        (worker, job)
    }

    fn tells(&mut self, worker: &WorkerId, job: &JobId, status: JobStatus, error: &str) {
        let update = UpdateJobStatus { job_id: job.to_string(), status: status.into(), error: error.into() };
        self.agents.update_job(worker, &update, self.now);
    }

    fn is_loaded(&mut self, worker: &WorkerId, load: f32, status: WorkerStatus) {
        let update = UpdateWorkerStatus { load, status: Some(status.into()), ..Default::default() };
        self.agents.update_worker(worker, &update, self.now);
    }

    fn passes(&mut self, time: Duration) {
        self.now.at += time;
        self.agents.handle_timeout(self.now);
        assert!(
            self.agents.poll_timeout().is_none_or(|due| due > self.now.at),
            "it would be called for ever"
        );
    }

    fn states(&self, room: &str) -> Vec<(JobStatus, String)> {
        let dispatches = self.agents.dispatches(&room.into(), "").unwrap();
        let jobs = dispatches.into_iter().flat_map(|dispatch| dispatch.state.unwrap().jobs);
        jobs.map(|job| job.state.unwrap()).map(|state| (state.status(), state.error)).collect()
    }

    fn dispatch_ids(&self, room: &str) -> Vec<DispatchId> {
        let all = self.agents.dispatches(&room.into(), "").unwrap();
        all.into_iter().map(|dispatch| dispatch.id.into()).collect()
    }
}

fn registration(kind: JobType, name: &str, namespace: &str) -> Registration {
    let request = RegisterWorkerRequest {
        r#type: kind.into(),
        agent_name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
        version: "1".into(),
        ..Default::default()
    };
    Registration::read(request, "key").unwrap()
}

const ROOM: JobType = JobType::JtRoom;
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_kind_of_worker_gets_its_jobs_once() {
    let mut story = Story::new();
    let workers = [ROOM, JobType::JtPublisher, JobType::JtParticipant]
        .map(|kind| [story.worker(kind, ""), story.worker(kind, "")]);
    story.open("room", &[]);
    let asked = story.asked();
    assert!(asked.len() == 1 && workers[0].contains(&asked[0].0), "one for the room: {asked:?}");
    story.comes("room", "ada");
    story.comes("room", "bob");
    let asked = story.asked();
    assert!(asked.len() == 2 && asked.iter().all(|(worker, _)| workers[2].contains(worker)), "{asked:?}");
    assert_ne!(asked[0].0, asked[1].0, "two at once go to two workers");
    for _ in 0..2 {
        story.publishes("room", "ada");
    }
    let asked = story.asked();
    assert!(asked.len() == 1 && workers[1].contains(&asked[0].0), "one for each publisher: {asked:?}");
    assert!(
        workers[1].iter().all(|worker| story.agents.is_with(worker, &asked[0].1) == (*worker == asked[0].0))
    );
    let told = story.agents.job(&asked[0].1).unwrap();
    let participant = told.job.participant.unwrap();
    assert_eq!((participant.sid.as_str(), participant.identity.as_str()), ("PA_ada", "ada"));
    assert_eq!((told.room.as_str(), told.is_resumed), ("room", false));
    story.joins("room", "an agent", true);
    story.publishes("room", "an agent");
    assert!(story.asked().is_empty(), "no agent is sent to an agent");
}

#[test]
fn each_namespace_of_agents_without_a_name_has_a_job_and_a_name_is_for_its_own_alone() {
    let mut story = Story::new();
    let first = story.worker_in(ROOM, "", "one");
    story.open("room", &["", "named"]);
    let (asked, job) = story.asked().pop().unwrap();
    assert_eq!((&asked, story.agents.job(&job).unwrap().job.namespace.as_str()), (&first, "one"));
    // Whoever registers a moment after the room has opened is not too late.
    let second = story.worker_in(ROOM, "", "two");
    let (asked, other) = story.asked().pop().unwrap();
    assert_eq!((&asked, story.agents.job(&other).unwrap().job.namespace.as_str()), (&second, "two"));
    assert_ne!(job, other);
    story.worker(ROOM, "other");
    assert!(story.asked().is_empty());
    let named = story.worker(ROOM, "named");
    let asked = story.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, named);
    assert_eq!(story.agents.job(&asked[0].1).unwrap().job.agent_name, "named");
}

#[test]
fn an_agent_without_a_name_is_looked_for_for_a_while_and_one_with_a_name_as_long_as_its_dispatch_stands() {
    let mut story = Story::new();
    story.open("room", &["", "named"]);
    story.passes(UNNAMED_WAITS);
    story.worker(ROOM, "");
    assert!(story.asked().is_empty(), "the room has been open for long");
    story.worker(ROOM, "named");
    assert_eq!(story.asked().len(), 1);
    let participants = story.worker(JobType::JtParticipant, "");
    story.comes("room", "ada");
    assert_eq!(story.asked().pop().unwrap().0, participants, "whoever comes has just come");
    story.passes(UNNAMED_WAITS);
    story.worker_in(JobType::JtParticipant, "", "another");
    assert!(story.asked().is_empty(), "she has been there for long");
}

#[test]
fn the_least_loaded_of_those_who_take_jobs_is_asked() {
    use WorkerStatus::{WsAvailable as Available, WsFull as Full};
    for (loads, expected) in [
        ([(0.5, Available), (0.1, Available), (0.9, Available)], Some(1)),
        ([(0.0, Full), (0.9, Available), (f32::NAN, Available)], Some(1)),
        ([(0.3, Available), (0.2, Full), (0.1, Full)], Some(0)),
        ([(0.0, Full), (0.0, Full), (0.0, Full)], None),
    ] {
        let mut story = Story::new();
        let workers = [(); 3].map(|()| story.worker(ROOM, ""));
        for (worker, (load, status)) in workers.iter().zip(loads) {
            story.is_loaded(worker, load, status);
        }
        story.open("room", &[]);
        let asked = story.asked().pop().map(|(worker, _)| worker);
        assert_eq!(asked, expected.map(|index: usize| workers[index].clone()), "{loads:?}");
        if expected.is_none() {
            story.is_loaded(&workers[2], 0.2, Available);
            assert_eq!(story.asked().pop().unwrap().0, workers[2], "the first who can");
        }
    }
}

#[test]
fn several_jobs_at_once_go_to_several_workers() {
    let mut story = Story::new();
    let workers = [(); 4].map(|()| story.worker(ROOM, ""));
    for worker in &workers {
        story.is_loaded(worker, 0.1, WorkerStatus::WsAvailable);
    }
    for room in 0..8 {
        story.open(&format!("room {room}"), &[]);
    }
    let asked = story.asked();
    for worker in &workers {
        assert_eq!(asked.iter().filter(|(asked, _)| asked == worker).count(), 2);
    }
}

#[test]
fn a_worker_is_asked_about_so_many_jobs_at_a_time_and_about_the_others_then() {
    use reelroom_limits::agents::JOBS_ASKED_AT_ONCE;
    let mut story = Story::new();
    let names: Vec<String> = (0..JOBS_ASKED_AT_ONCE + 4).map(|number| format!("room {number}")).collect();
    for room in &names {
        story.open(room, &["helper"]);
    }
    let worker = story.worker(ROOM, "helper");
    let asked = story.asked();
    assert_eq!(asked.len(), JOBS_ASKED_AT_ONCE);
    story.says(&worker, &asked[0].1, true);
    assert!(matches!(story.outputs().as_slice(), [Output::Assign { .. }, Output::Ask { .. }]));
    story.says(&worker, &asked[1].1, false);
    assert_eq!(story.asked().len(), 1);
    let (room, other) =
        (story.agents.job(&asked[2].1).unwrap().room, story.agents.job(&asked[3].1).unwrap().room);
    story.agents.close(&room, story.now);
    assert_eq!(story.asked().len(), 1);
    let id = story.dispatch_ids(other.as_str()).pop().unwrap();
    story.agents.delete_dispatch(&other, &id, story.now).unwrap();
    assert_eq!(story.asked().len(), 1);
}

#[test]
fn who_refuses_or_says_nothing_is_followed_by_the_next_one() {
    let mut story = Story::new();
    let workers = [(); 3].map(|()| story.worker(ROOM, ""));
    story.open("room", &[]);
    let (first, job) = story.asked().pop().unwrap();
    story.says(&first, &job, false);
    let (second, same) = story.asked().pop().unwrap();
    assert!(second != first && same == job);
    // What somebody says who is not asked counts for nothing.
    story.says(&first, &job, true);
    assert!(story.asked().is_empty());
    story.passes(AVAILABILITY_WITHIN);
    let (third, same) = story.asked().pop().unwrap();
    assert!(third != first && third != second && workers.contains(&third) && same == job);
    story.says(&second, &job, true);
    assert!(story.asked().is_empty(), "it is too late for that");
    story.says(&third, &job, false);
    assert!(story.asked().is_empty(), "nobody is left");
    assert_eq!(story.states("room"), [(JobStatus::JsPending, String::new())]);
    story.passes(REFUSAL_HOLDS - AVAILABILITY_WITHIN);
    assert_eq!(story.asked().pop().unwrap(), (first, job), "it may have a place by now");
}

#[test]
fn a_worker_may_say_that_a_job_needs_nobody() {
    let mut story = Story::new();
    story.worker(ROOM, "");
    story.worker(ROOM, "");
    story.open("room", &[]);
    let (worker, job) = story.asked().pop().unwrap();
    let response = AvailabilityResponse { job_id: job.to_string(), terminate: true, ..Default::default() };
    story.agents.answer(&worker, response, story.now).unwrap();
    assert!(story.asked().is_empty());
    assert_eq!(story.states("room"), [(JobStatus::JsSuccess, String::new())]);
}

#[test]
fn an_agent_joins_as_its_worker_asks_within_what_anybody_may() {
    let mut story = Story::new();
    story.worker(ROOM, "helper");
    story.open("room", &["helper"]);
    let (worker, job) = story.asked().pop().unwrap();
    let asked = |name: &str| AvailabilityResponse {
        job_id: job.to_string(),
        available: true,
        participant_name: name.to_owned(),
        participant_attributes: [("mood".to_owned(), "kind".to_owned())].into(),
        ..Default::default()
    };
    let refused = story.agents.answer(&worker, asked(&"x".repeat(257)), story.now).unwrap_err();
    assert_eq!(refused, AgentsError::TooLong { what: "the name", at_most: 256 });
    story.passes(REFUSAL_HOLDS);
    assert_eq!(story.asked().len(), 1);
    story.agents.answer(&worker, asked("Helper"), story.now).unwrap();
    let outputs = story.outputs();
    let [Output::Assign { worker: to, job: which, accepted }] = outputs.as_slice() else {
        panic!("{outputs:?}")
    };
    assert_eq!((to, which), (&worker, &job));
    assert_eq!(
        (accepted.identity.as_str(), accepted.name.as_str()),
        (format!("agent-{job}").as_str(), "Helper")
    );
    assert_eq!(accepted.attributes["lk.agent_name"], "helper");
    assert_eq!(accepted.attributes["mood"], "kind");
    let state = story.agents.job(&job).unwrap().job.state.unwrap();
    assert_eq!((state.status(), state.worker_id), (JobStatus::JsRunning, worker.to_string()));
    assert_eq!(state.started_at, story.now.unix_ns);
}

#[test]
fn a_job_ends_as_its_worker_says_and_is_not_given_again() {
    for (status, error) in [(JobStatus::JsSuccess, ""), (JobStatus::JsFailed, "no such model")] {
        let mut story = Story::new();
        let other = story.worker(ROOM, "other");
        story.worker(ROOM, "");
        story.open("room", &[]);
        let (worker, job) = story.takes("helper");
        story.tells(&other, &job, JobStatus::JsFailed, "not its own");
        story.tells(&worker, &job, JobStatus::JsRunning, "");
        assert_eq!(story.states("room"), [(JobStatus::JsRunning, String::new())]);
        story.tells(&worker, &job, status, error);
        story.tells(&worker, &job, JobStatus::JsRunning, "back from the dead");
        assert_eq!(story.states("room"), [(status, error.to_owned())]);
        story.worker(ROOM, "");
        story.passes(UNNAMED_WAITS);
        assert!(story.asked().is_empty());
    }
}

#[test]
fn an_agent_that_leaves_and_does_not_come_back_has_failed_unless_its_worker_says_otherwise() {
    for (comes_back, says) in [(false, false), (true, false), (false, true)] {
        let mut story = Story::new();
        story.worker(ROOM, "");
        story.open("room", &[]);
        let (worker, job) = story.takes("helper");
        story.joins("room", "helper", true);
        story.leaves("room", "helper");
        story.passes(AGENT_RETURNS_WITHIN - SECOND);
        if comes_back {
            story.joins("room", "helper", true);
        }
        if says {
            story.tells(&worker, &job, JobStatus::JsSuccess, "");
        }
        story.passes(SECOND);
        let (expected, outputs) = match (comes_back, says) {
            (true, _) => (JobStatus::JsRunning, vec![]),
            (_, true) => (JobStatus::JsSuccess, vec![]),
            _ => (JobStatus::JsFailed, vec![Output::Terminate { worker, job }]),
        };
        assert_eq!((story.states("room")[0].0, story.outputs()), (expected, outputs));
    }
}

#[test]
fn a_worker_that_is_back_takes_up_its_jobs_and_their_agents_stay() {
    for is_told_of_the_end in [true, false] {
        let mut story = Story::new();
        let first = story.worker(ROOM, "helper");
        story.open("room", &["helper"]);
        let (_, job) = story.takes("agent");
        story.joins("room", "agent", true);
        if is_told_of_the_end {
            story.agents.disconnected(&first, story.now);
        }
        let again = story.worker(ROOM, "helper");
        let other = story.worker(ROOM, "other");
        let ids = [job.to_string(), "AJ_unknown".to_owned()];
        story.agents.migrate(&again, &ids, story.now);
        story.agents.disconnected(&first, story.now);
        story.passes(WORKER_RETURNS_WITHIN);
        assert!(story.outputs().is_empty());
        assert_eq!(story.states("room"), [(JobStatus::JsRunning, String::new())]);
        story.agents.migrate(&other, &[job.to_string()], story.now);
        assert_eq!(
            story.outputs(),
            [Output::Terminate { worker: other, job: job.clone() }],
            "it has no such agent"
        );
        story.tells(&again, &job, JobStatus::JsSuccess, "");
        assert_eq!(story.states("room"), [(JobStatus::JsSuccess, String::new())]);
        story.agents.migrate(&again, &[job.to_string()], story.now);
        assert_eq!(story.outputs(), [Output::Terminate { worker: again, job }], "it is over");
    }
}

#[test]
fn what_a_worker_has_not_told_before_its_connection_broke_counts_unless_its_job_was_given_again() {
    for is_given_again in [false, true] {
        let mut story = Story::new();
        let first = story.worker(ROOM, "helper");
        story.open("room", &["helper"]);
        let (_, job) = story.takes("agent");
        if is_given_again {
            story.agents.disconnected(&first, story.now);
            story.worker(ROOM, "helper");
            story.passes(WORKER_RETURNS_WITHIN);
            story.takes("agent");
        }
        let back = story.worker(ROOM, "helper");
        story.tells(&back, &job, JobStatus::JsSuccess, "");
        let expected = if is_given_again { JobStatus::JsRunning } else { JobStatus::JsSuccess };
        assert_eq!(story.states("room")[0].0, expected);
        story.agents.migrate(&back, &[job.to_string()], story.now);
        assert_eq!(story.outputs(), [Output::Terminate { worker: back, job }], "over, or another's");
    }
}

#[test]
fn a_worker_that_does_not_come_back_loses_jobs_whose_agents_are_gone_and_those_only() {
    let mut story = Story::new();
    let first = story.worker(ROOM, "helper");
    story.open("room", &["helper"]);
    story.open("other", &["helper"]);
    for (worker, job) in story.asked() {
        story.says(&worker, &job, true);
    }
    let jobs: Vec<JobId> = story
        .outputs()
        .into_iter()
        .map(|output| match output {
            Output::Assign { job, .. } => job,
            other => panic!("{other:?}"),
        })
        .collect();
    let stays =
        jobs.iter().find(|job| story.agents.job(job).unwrap().room.as_str() == "other").unwrap().clone();
    story.joins("other", &format!("agent-{stays}"), true);
    story.agents.disconnected(&first, story.now);
    let second = story.worker(ROOM, "helper");
    assert!(story.asked().is_empty(), "the first may come back");
    story.passes(WORKER_RETURNS_WITHIN);
    let asked = story.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0].0, asked[0].1 == stays), (&second, false));
    assert!(story.agents.job(&asked[0].1).unwrap().is_resumed);
    assert_eq!(story.states("other"), [(JobStatus::JsRunning, String::new())], "its agent is in the room");
    // When that goes too, the job is another's.
    story.leaves("other", &format!("agent-{stays}"));
    story.passes(AGENT_RETURNS_WITHIN);
    assert!(story.asked().iter().any(|(worker, job)| *worker == second && *job == stays));
}

#[test]
fn a_job_over_which_workers_are_lost_is_given_up() {
    let mut story = Story::new();
    story.open("room", &["helper"]);
    for given in 1..=JOB_GIVEN {
        let worker = story.worker(ROOM, "helper");
        let (asked, job) = story.takes("agent");
        assert_eq!((asked, story.agents.job(&job).unwrap().is_resumed), (worker.clone(), true), "{given}");
        story.agents.disconnected(&worker, story.now);
        story.passes(WORKER_RETURNS_WITHIN);
    }
    assert_eq!(story.states("room")[0].0, JobStatus::JsFailed);
    story.worker(ROOM, "helper");
    assert!(story.asked().is_empty());
}

#[test]
fn the_end_of_a_room_ends_its_jobs_and_nothing_is_kept_of_it() {
    let mut story = Story::new();
    story.worker(ROOM, "");
    story.open("room", &["", "helper"]);
    let (worker, job) = story.takes("agent");
    story.worker(ROOM, "helper");
    story.comes("room", "ada");
    story.outputs();
    story.agents.close(&"room".into(), story.now);
    assert_eq!(story.outputs(), [Output::Terminate { worker: worker.clone(), job: job.clone() }]);
    assert_eq!(story.agents.dispatches(&"room".into(), ""), Err(AgentsError::NoRoom));
    assert_eq!((story.agents.jobs.len(), story.agents.waiting.len(), story.agents.rooms.len()), (0, 0, 0));
    assert!(story.agents.workers.values().all(|worker| worker.jobs.is_empty()));
    story.tells(&worker, &job, JobStatus::JsSuccess, "");
    assert_eq!(story.agents.poll_timeout(), None);
}

#[test]
fn a_dispatch_that_is_deleted_ends_its_agents_and_those_that_stay_are_removed() {
    for leaves in [true, false] {
        let mut story = Story::new();
        story.worker(ROOM, "helper");
        story.open("room", &["other"]);
        let asked = Wish { agent_name: "helper".into(), metadata: "be kind".into(), ..Wish::default() };
        let made = story.agents.create_dispatch(&"room".into(), asked, story.now).unwrap();
        assert_eq!((made.agent_name.as_str(), made.room.as_str()), ("helper", "room"));
        assert_eq!(made.state.as_ref().unwrap().created_at, story.now.unix_ns);
        let (worker, job) = story.takes("agent");
        assert_eq!(story.agents.job(&job).unwrap().job.metadata, "be kind");
        story.joins("room", "agent", true);
        let id = DispatchId::from(made.id.as_str());
        let gone = story.agents.delete_dispatch(&"room".into(), &id, story.now).unwrap();
        let state = gone.state.unwrap();
        assert_eq!(
            (gone.id.as_str(), state.deleted_at, state.jobs.len()),
            (id.as_str(), story.now.unix_ns, 1)
        );
        assert_eq!(story.outputs(), [Output::Terminate { worker, job: job.clone() }]);
        assert_eq!(story.dispatch_ids("room").len(), 1);
        let again = story.agents.delete_dispatch(&"room".into(), &id, story.now);
        assert_eq!(again, Err(AgentsError::NoDispatch));
        if leaves {
            story.leaves("room", "agent");
        }
        story.passes(reelroom_limits::agents::AGENT_LEAVES_WITHIN);
        let removed = Output::Remove { room: "room".into(), participant: "PA_agent".into() };
        assert_eq!(story.outputs(), if leaves { vec![] } else { vec![removed] });
        assert_eq!(story.agents.job(&job), None, "nothing is kept of it");
    }
}

#[test]
fn an_agent_that_comes_under_the_identity_of_a_deleted_one_stays_and_one_that_is_late_goes() {
    for is_followed in [true, false] {
        let mut story = Story::new();
        story.worker(ROOM, "helper");
        story.open("room", &["helper"]);
        story.takes("agent");
        let id = story.dispatch_ids("room").pop().unwrap();
        story.agents.delete_dispatch(&"room".into(), &id, story.now).unwrap();
        story.outputs();
        if is_followed {
            let wish = Wish { agent_name: "helper".into(), ..Wish::default() };
            story.agents.create_dispatch(&"room".into(), wish, story.now).unwrap();
            story.takes("agent");
        }
        story.joins("room", "agent", true);
        story.passes(reelroom_limits::agents::AGENT_LEAVES_WITHIN);
        let removed = Output::Remove { room: "room".into(), participant: "PA_agent".into() };
        assert_eq!(story.outputs(), if is_followed { vec![] } else { vec![removed] });
    }
}

#[test]
fn a_dispatch_is_deleted_with_what_nobody_has_taken_yet() {
    let mut story = Story::new();
    let worker = story.worker(ROOM, "helper");
    story.open("room", &["helper"]);
    let (_, job) = story.asked().pop().unwrap();
    let id = story.dispatch_ids("room").pop().unwrap();
    story.agents.delete_dispatch(&"room".into(), &id, story.now).unwrap();
    assert!(!story.agents.is_with(&worker, &job));
    story.says(&worker, &job, true);
    assert!(story.outputs().is_empty() && story.agents.job(&job).is_none());
    let nothing = story.agents.delete_dispatch(&"room".into(), &DispatchId::default(), story.now);
    assert_eq!(nothing, Err(AgentsError::NoDispatch));
}

#[test]
fn who_has_left_gets_no_agent_any_more() {
    let mut story = Story::new();
    let worker = story.worker(JobType::JtParticipant, "");
    story.open("room", &[]);
    story.comes("room", "ada");
    let (_, job) = story.asked().pop().unwrap();
    story.leaves("room", "ada");
    story.says(&worker, &job, true);
    assert!(story.outputs().is_empty() && story.agents.jobs.is_empty());
    story.comes("room", "ada");
    assert_eq!(story.asked().len(), 1, "whoever comes again is somebody new");
}

#[test]
fn a_worker_that_is_full_or_drains_is_not_asked_and_a_stale_word_of_it_counts_for_nothing() {
    let mut story = Story::new();
    let worker = story.worker(ROOM, "");
    let update = |seq, draining| UpdateWorkerStatus {
        status: Some(WorkerStatus::WsAvailable.into()),
        draining,
        seq,
        ..Default::default()
    };
    story.agents.update_worker(&worker, &update(2, true), story.now);
    story.agents.update_worker(&worker, &update(1, false), story.now);
    story.open("room", &[]);
    assert!(story.asked().is_empty());
    story.worker(ROOM, "");
    assert_eq!(story.asked().len(), 1, "another one takes it");
}

#[test]
fn dispatches_workers_and_jobs_are_bounded_and_an_error_is_cut_off() {
    let mut story = Story::new();
    story.open("room", &[]);
    for number in 1..DISPATCHES {
        let wish = Wish { agent_name: format!("{number}"), ..Wish::default() };
        story.agents.create_dispatch(&"room".into(), wish, story.now).unwrap();
    }
    let refused = story.agents.create_dispatch(&"room".into(), Wish::default(), story.now);
    assert_eq!(refused, Err(AgentsError::TooManyDispatches));
    assert_eq!(story.dispatch_ids("room").len(), DISPATCHES, "the room stays");
    let nowhere = story.agents.create_dispatch(&"nowhere".into(), Wish::default(), story.now);
    assert_eq!(nowhere, Err(AgentsError::NoRoom));

    story.worker(JobType::JtParticipant, "1");
    for number in 0..JOBS_OF_A_ROOM + 10 {
        story.comes("room", &format!("{number}"));
    }
    let outputs = story.outputs();
    let full = outputs.iter().filter(|output| matches!(output, Output::TooManyJobs { .. })).count();
    assert_eq!((full, story.agents.jobs.len()), (1, JOBS_OF_A_ROOM), "it is said once");

    for _ in 1..WORKERS {
        story.worker(ROOM, "other");
    }
    let refused = story.agents.register(registration(ROOM, "", ""), story.now);
    assert_eq!(refused, Err(AgentsError::TooManyWorkers));
    assert_eq!(cut(&"ä".repeat(JOB_ERROR_BYTES)).len(), JOB_ERROR_BYTES);
    assert_eq!(cut(&format!("x{}", "ä".repeat(JOB_ERROR_BYTES))).len(), JOB_ERROR_BYTES - 1);
}

#[test]
fn jobs_are_listed_with_their_texts_as_long_as_these_are_few() {
    use reelroom_limits::agents::LISTED_TEXT_BYTES;
    let mut story = Story::new();
    story.worker(JobType::JtParticipant, "helper");
    story.open("room", &[]);
    let metadata = "x".repeat(LISTED_TEXT_BYTES / 3);
    let wish = Wish { agent_name: "helper".into(), metadata, ..Wish::default() };
    let made = story.agents.create_dispatch(&"room".into(), wish, story.now).unwrap();
    for who in ["ada", "bob", "eve", "zoe"] {
        story.comes("room", who);
    }
    let listed = story.agents.dispatches(&"room".into(), &made.id).unwrap().pop().unwrap();
    let jobs = listed.state.unwrap().jobs;
    let with_texts = jobs.iter().filter(|job| job.metadata == listed.metadata).count();
    assert_eq!((jobs.len(), with_texts), (4, 3));
}

#[test]
fn of_those_who_come_and_go_so_many_jobs_are_listed() {
    let mut story = Story::new();
    story.worker(JobType::JtParticipant, "helper");
    story.open("room", &["helper"]);
    for number in 0..3 * ENDED_JOBS {
        let who = format!("{number}");
        story.comes("room", &who);
        let (worker, job) = story.takes(&format!("agent {number}"));
        story.leaves("room", &who);
        story.now.unix_ns += 1;
        story.tells(&worker, &job, JobStatus::JsSuccess, "");
    }
    assert_eq!(story.states("room").len(), ENDED_JOBS);
    assert!(story.agents.workers.values().all(|worker| worker.jobs.is_empty()));
}

#[test]
fn agents_go_on_in_the_next_run_with_their_workers() {
    let mut story = Story::new();
    story.worker(ROOM, "helper");
    let by_participant = story.worker(JobType::JtParticipant, "");
    story.open("room", &["helper", ""]);
    story.takes("agent");
    story.comes("room", "ada");
    let (worker, job) = story.takes("ada's agent");
    assert_eq!(worker, by_participant);
    story.agents.hand_over();
    let kept = story.agents.kept(&"room".into()).unwrap();
    story.agents.disconnected(&worker, story.now);
    story.leaves("room", "agent");
    story.agents.close(&"room".into(), story.now);
    assert!(story.outputs().is_empty(), "nobody is told of an end");
    assert_eq!(story.agents.register(registration(ROOM, "", ""), story.now), Err(AgentsError::Restarting));

    let kept: KeptAgents = serde_json::from_slice(&serde_json::to_vec(&kept).unwrap()).unwrap();
    let ids: Vec<_> = kept.dispatches.iter().map(|dispatch| dispatch.id.clone()).collect();
    let mut next = Story::new();
    let opening = Opening { name: "room".into(), asked: Vec::new(), kept: Some(kept) };
    let early = next.worker(JobType::JtPublisher, "");
    next.agents.migrate(&early, &[job.to_string()], next.now);
    next.agents.open("RM_2".into(), opening, next.now);
    assert!(!next.agents.is_with(&early, &job), "such a job is not for it");
    assert_eq!(next.dispatch_ids("RM_2"), ids);
    assert_eq!(next.states("RM_2"), [(); 2].map(|()| (JobStatus::JsRunning, String::new())));
    let person = Person { sid: "PA_new".into(), identity: "ada".into(), is_dependent: false };
    next.agents.joined(&"RM_2".into(), person, next.now);
    next.joins("RM_2", "ada's agent", true);
    let again = next.worker(JobType::JtParticipant, "");
    next.agents.migrate(&again, &[job.to_string()], next.now);
    assert!(next.asked().is_empty(), "ada has her agent");
    assert_eq!(next.agents.job(&job).unwrap().job.participant.unwrap().sid, "PA_new");
    let helper = next.worker(ROOM, "helper");
    assert!(next.asked().is_empty());
    next.passes(WORKER_RETURNS_WITHIN);
    assert_eq!(next.asked().pop().unwrap().0, helper, "its worker did not say that it has it");
}

#[test]
fn who_was_sent_is_not_sent_again_in_the_next_run() {
    let mut story = Story::new();
    story.worker(ROOM, "helper");
    story.worker(JobType::JtParticipant, "");
    story.open("room", &["helper", ""]);
    let (worker, job) = story.takes("agent");
    story.tells(&worker, &job, JobStatus::JsFailed, "no such model");
    for who in ["ada", "bob"] {
        story.comes("room", who);
        let (worker, job) = story.takes(who);
        story.tells(&worker, &job, JobStatus::JsSuccess, "");
    }
    story.leaves("room", "bob");
    story.agents.hand_over();
    let kept = story.agents.kept(&"room".into());
    let mut next = Story::new();
    let opening = Opening { name: "room".into(), asked: Vec::new(), kept };
    next.agents.open("RM_2".into(), opening, next.now);
    let states = next.states("RM_2");
    assert_eq!(states.len(), 2, "he has left: {states:?}");
    assert!(states.contains(&(JobStatus::JsFailed, "no such model".to_owned())), "{states:?}");
    next.worker(ROOM, "helper");
    let participants = next.worker(JobType::JtParticipant, "");
    for (session, identity) in [("PA_1", "ada"), ("PA_2", "bob")] {
        let person = Person { sid: session.into(), identity: identity.into(), is_dependent: false };
        next.agents.joined(&"RM_2".into(), person, next.now);
    }
    let asked = next.asked();
    assert!(asked.len() == 1 && asked[0].0 == participants, "one for bob: {asked:?}");
    assert_eq!(next.agents.job(&asked[0].1).unwrap().job.participant.unwrap().identity, "bob");
}

#[test]
fn who_is_back_late_after_a_restart_gets_an_agent_anew() {
    let mut story = Story::new();
    story.worker(JobType::JtParticipant, "helper");
    story.open("room", &["helper"]);
    story.comes("room", "ada");
    let (_, former) = story.takes("agent");
    story.agents.hand_over();
    let kept = story.agents.kept(&"room".into());
    let mut next = Story::new();
    let opening = Opening { name: "room".into(), asked: Vec::new(), kept };
    next.agents.open("RM_2".into(), opening, next.now);
    next.worker(JobType::JtParticipant, "helper");
    next.passes(WORKER_RETURNS_WITHIN);
    assert!(next.asked().is_empty() && next.agents.job(&former).is_none());
    next.comes("RM_2", "ada");
    assert_eq!(next.asked().len(), 1);
}

#[test]
fn a_worker_may_be_back_before_its_room_is() {
    let mut story = Story::new();
    story.worker(ROOM, "helper");
    story.open("room", &["helper"]);
    let (_, job) = story.takes("agent");
    story.agents.hand_over();
    let kept = story.agents.kept(&"room".into());
    let mut next = Story::new();
    let worker = next.worker(ROOM, "helper");
    next.agents.migrate(&worker, &[job.to_string(), "AJ_unknown".to_owned()], next.now);
    let opening = Opening { name: "room".into(), asked: Vec::new(), kept };
    next.agents.open("RM_2".into(), opening, next.now);
    next.passes(WORKER_RETURNS_WITHIN);
    assert!(next.outputs().is_empty() && next.agents.is_with(&worker, &job));
    next.agents.close(&"RM_2".into(), next.now);
    assert_eq!(next.outputs(), [Output::Terminate { worker, job }]);
}

/// What may happen, each with whom or what it concerns.
fn happens(story: &mut Story, what: u8, which: u8) {
    let room = format!("room {}", which % 3);
    let who = format!("{}", which % 5);
    let workers: Vec<WorkerId> = story.agents.workers.keys().cloned().collect();
    let jobs: Vec<JobId> = story.agents.jobs.keys().cloned().collect();
    let worker = workers.get(usize::from(which) % workers.len().max(1)).cloned().unwrap_or_default();
    let job = jobs.get(usize::from(which / 3) % jobs.len().max(1)).cloned().unwrap_or_default();
    let kind = [ROOM, JobType::JtPublisher, JobType::JtParticipant][usize::from(which % 3)];
    match what % 14 {
        0 if !story.agents.rooms.contains_key(room.as_str()) => story.open(&room, &["", "helper"]),
        1 => story.agents.close(&room.as_str().into(), story.now),
        2 => drop(story.worker(kind, if which.is_multiple_of(2) { "" } else { "helper" })),
        3 => story.agents.disconnected(&worker, story.now),
        4 => story.comes(&room, &who),
        5 => story.leaves(&room, &who),
        6 => story.publishes(&room, &who),
        7 => story.says(&worker, &job, !which.is_multiple_of(4)),
        8 => story.tells(&worker, &job, JobStatus::try_from(i32::from(which % 5)).unwrap_or_default(), "x"),
        9 => story.agents.migrate(&worker, &[job.to_string()], story.now),
        10 => story.joins(&room, &format!("agent-{job}"), true),
        11 => story.leaves(&room, &format!("agent-{job}")),
        12 => {
            if let Ok(all) = story.agents.dispatches(&room.as_str().into(), "")
                && let Some(first) = all.first()
            {
                let id = first.id.as_str().into();
                story.agents.delete_dispatch(&room.as_str().into(), &id, story.now).unwrap();
            }
        }
        _ => story.passes(Duration::from_secs(u64::from(which % 40))),
    }
}

proptest! {
    #[test]
    fn whatever_happens_a_job_is_with_one_worker_at_most_and_none_is_lost(
        events in prop::collection::vec((any::<u8>(), any::<u8>()), 0..200),
    ) {
        let mut story = Story::new();
        for (what, which) in events {
            happens(&mut story, what, which);
            story.outputs();
            let agents = &story.agents;
            for (id, job) in &agents.jobs {
                let holders: Vec<_> =
                    agents.workers.values().filter(|worker| worker.jobs.contains(id)).map(|worker| &worker.id).collect();
                prop_assert_eq!(&holders, &job.worker().into_iter().collect::<Vec<_>>());
                prop_assert_eq!(agents.waiting.contains(id), job.stage == Stage::Waiting);
                prop_assert!(agents.rooms[&job.room].jobs.contains(id));
            }
            let of_rooms: usize = agents.rooms.values().map(|room| room.jobs.len()).sum();
            prop_assert_eq!(of_rooms, agents.jobs.len());
            let waiting = agents.jobs.values().filter(|job| job.stage == Stage::Waiting).count();
            prop_assert_eq!(waiting, agents.waiting.len());
        }
    }
}
