//! Workers of agents: how they are asked, how their agents come into rooms, and how that ends.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::signal::{Client, Join, KEY, SETTINGS};
use common::worker::{Worker, worker_token};
use common::{Program, now_s, room_admin_token};
use futures::{SinkExt as _, StreamExt as _};
use reelroom_limits::agents::{DISPATCH_METADATA_BYTES, WORKER_MESSAGE_BYTES};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    JobStatus, JobType, MigrateJobRequest, RoomAgentDispatch, RoomConfiguration, WorkerPing,
    participant_info, signal_response, worker_message,
};
use reelroom_protocol::token::{Claims, VideoGrants, mint, verify};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

fn start(data: &Path) -> Program {
    Program::start(&[], data, &SETTINGS)
}

/// A call of an admin of the room.
async fn call(program: &Program, method: &str, room: &str, body: Value) -> (StatusCode, Value) {
    let token = room_admin_token(KEY.0, KEY.1, room);
    let request = program.post(&format!("/twirp/livekit.{method}"), &body).bearer_auth(token);
    program.answer(request).await
}

async fn done(program: &Program, method: &str, room: &str, body: Value) -> Value {
    let (status, answer) = call(program, method, room, body).await;
    assert_eq!(status, StatusCode::OK, "{method}: {answer}");
    answer
}

/// The jobs of all dispatches of a room.
async fn jobs(program: &Program, room: &str) -> Vec<Value> {
    let listed = done(program, "AgentDispatchService/ListDispatch", room, json!({ "room": room })).await;
    let dispatches = listed["agent_dispatches"].as_array().cloned().unwrap_or_default();
    dispatches.iter().flat_map(|one| one["state"]["jobs"].as_array().cloned().unwrap_or_default()).collect()
}

/// Waits until a job of a room has a status.
async fn until_status(program: &Program, room: &str, status: &str) -> Value {
    let began = Instant::now();
    loop {
        let all = jobs(program, room).await;
        if let Some(job) = all.iter().find(|job| job["state"]["status"] == status) {
            return job.clone();
        }
        assert!(began.elapsed() < Duration::from_secs(10), "no job is {status}: {all:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An agent joins by the token that its worker was given.
async fn joins(program: &Program, token: &str) -> Client {
    let mut agent = Client::try_join(program, Join { token: Some(token), ..Join::default() }).await.unwrap();
    let Some(signal_response::Message::Join(joined)) = agent.next().await else { panic!("it is not let in") };
    assert_eq!(joined.participant.unwrap().kind(), participant_info::Kind::Agent);
    agent
}

#[tokio::test]
async fn a_worker_is_asked_as_a_room_opens_and_its_agent_joins() {
    let data = tempfile::tempdir().unwrap();
    let program = start(data.path());
    let mut worker = Worker::new(&program, JobType::JtRoom, "").await;
    let mut named = Worker::new(&program, JobType::JtRoom, "named").await;
    let mut ada = Client::join(&program, "room", "ada").await;
    let (asked, given) = worker.takes("helper").await;
    let room = asked.room.clone().unwrap();
    assert_eq!((room.name.as_str(), asked.r#type()), ("room", JobType::JtRoom));
    assert!(
        asked.id.starts_with("AJ_") && asked.dispatch_id.starts_with("AD_") && room.sid.starts_with("RM_")
    );
    let job = given.job.unwrap();
    assert_eq!((job.id.as_str(), job.state.unwrap().status()), (asked.id.as_str(), JobStatus::JsRunning));
    let claims = verify(&ApiKeys::new(KEY.0, KEY.1), &given.token, now_s()).unwrap();
    let grants = claims.video.clone().unwrap();
    assert!(grants.room_join && grants.room == "room" && grants.agent && !grants.room_admin);
    assert_eq!((claims.identity(), claims.kind.as_str()), ("helper", "agent"));
    let _agent = joins(&program, &given.token).await;
    let wanted = |message: &_| match message {
        signal_response::Message::Update(update) => update
            .participants
            .iter()
            .any(|one| one.identity == "helper" && one.kind() == participant_info::Kind::Agent),
        _ => false,
    };
    assert!(ada.until(wanted).await.is_some(), "she sees it come");
    let listed = until_status(&program, "room", "JS_RUNNING").await;
    assert_eq!(
        (&listed["id"], &listed["state"]["participant_identity"]),
        (&json!(asked.id), &json!("helper"))
    );
    assert_eq!(listed["room"]["name"], "room");
    let info = done(&program, "RoomService/ListRooms", "", json!({ "names": ["room"] })).await;
    assert_eq!(info["rooms"][0]["num_participants"], 1, "an agent does not count: {info}");
    worker.tells(&asked.id, JobStatus::JsSuccess).await;
    until_status(&program, "room", "JS_SUCCESS").await;
    named.has_heard_nothing().await;
    worker.has_heard_nothing().await;
    program.stop();
}

#[tokio::test]
async fn each_participant_has_an_agent_and_an_agent_has_none() {
    let data = tempfile::tempdir().unwrap();
    let program = start(data.path());
    let mut worker = Worker::new(&program, JobType::JtParticipant, "").await;
    let _ada = Client::join(&program, "room", "ada").await;
    let (asked, given) = worker.takes("ada's helper").await;
    assert_eq!(asked.participant.unwrap().identity, "ada");
    let _agent = joins(&program, &given.token).await;
    worker.has_heard_nothing().await;
    let _bob = Client::join(&program, "room", "bob").await;
    let (asked, _) = worker.takes("bob's helper").await;
    assert_eq!(asked.participant.unwrap().identity, "bob");
    program.stop();
}

#[tokio::test]
async fn dispatches_are_made_listed_and_deleted_by_an_admin_of_the_room() {
    const CREATE: &str = "AgentDispatchService/CreateDispatch";
    const DELETE: &str = "AgentDispatchService/DeleteDispatch";
    let data = tempfile::tempdir().unwrap();
    let program = start(data.path());
    let mut worker = Worker::new(&program, JobType::JtRoom, "helper").await;
    let wanted =
        json!({ "room": "room", "agentName": "helper", "metadata": "be kind", "attributes": { "a": "b" } });
    let made = done(&program, CREATE, "room", wanted.clone()).await;
    assert_eq!(
        (&made["agent_name"], &made["room"], &made["metadata"]),
        (&json!("helper"), &json!("room"), &json!("be kind"))
    );
    let (job, given) = worker.takes("helper").await;
    assert_eq!((job.metadata.as_str(), job.agent_name.as_str()), ("be kind", "helper"));
    assert_eq!((job.dispatch_id.as_str(), job.attributes["a"].as_str()), (made["id"].as_str().unwrap(), "b"));
    let mut agent = joins(&program, &given.token).await;

    let one = json!({ "room": "room", "dispatchId": made["id"] });
    let listed = done(&program, "AgentDispatchService/ListDispatch", "room", one.clone()).await;
    assert_eq!(listed["agent_dispatches"].as_array().unwrap().len(), 1);
    assert_eq!(call(&program, DELETE, "other", one.clone()).await.0, StatusCode::UNAUTHORIZED);
    let gone = done(&program, DELETE, "room", one.clone()).await;
    assert_eq!((&gone["id"], gone["state"]["deleted_at"].is_null()), (&made["id"], false));
    assert_eq!(worker.ended().await, job.id);
    let told = agent.until(|message| matches!(message, signal_response::Message::Leave(_))).await;
    assert!(told.is_some(), "it did not leave by itself");
    let (status, refused) = call(&program, DELETE, "room", one).await;
    assert_eq!((status, &refused["msg"]), (StatusCode::NOT_FOUND, &json!("dispatch ID not found")));
    assert!(jobs(&program, "room").await.is_empty());

    let long = json!({ "room": "room", "metadata": "x".repeat(DISPATCH_METADATA_BYTES + 1) });
    assert_eq!(call(&program, CREATE, "room", long).await.0, StatusCode::BAD_REQUEST);
    let nowhere = json!({ "room": "nowhere" });
    assert_eq!(
        call(&program, "AgentDispatchService/ListDispatch", "nowhere", nowhere).await.0,
        StatusCode::NOT_FOUND
    );
    program.stop();
}

#[tokio::test]
async fn a_room_and_a_token_name_the_agents_that_are_to_come_and_no_others_do() {
    let data = tempfile::tempdir().unwrap();
    let program = start(data.path());
    let mut unnamed = Worker::new(&program, JobType::JtRoom, "").await;
    let mut one = Worker::new(&program, JobType::JtRoom, "one").await;
    let agents = json!([{ "agentName": "one", "metadata": "of the room" }, { "agentName": "later" }]);
    done(&program, "RoomService/CreateRoom", "", json!({ "name": "made", "agents": agents })).await;
    let asked = one.asked().await.job.unwrap();
    assert_eq!((asked.metadata.as_str(), asked.room.unwrap().name.as_str()), ("of the room", "made"));
    // One with a name is waited for.
    let mut later = Worker::new(&program, JobType::JtRoom, "later").await;
    assert_eq!(later.asked().await.job.unwrap().room.unwrap().name, "made");

    let named =
        RoomAgentDispatch { agent_name: "one".into(), metadata: "of the token".into(), ..Default::default() };
    let token = |agents| {
        let config = RoomConfiguration { agents, ..Default::default() };
        let grants = VideoGrants { room_join: true, room: "joined".into(), ..VideoGrants::default() };
        let claims = Claims {
            sub: "ada".into(),
            exp: now_s() + 600,
            video: Some(grants),
            room_config: Some(config),
            ..Claims::default()
        };
        mint(&ApiKeys::new(KEY.0, KEY.1), claims)
    };
    let odd = RoomAgentDispatch { deployment: "a_b".into(), ..Default::default() };
    let odd = token(vec![odd]);
    let refused = Client::try_join(&program, Join { token: Some(&odd), ..Join::default() }).await.map(drop);
    assert_eq!(refused, Err(400));
    let token = token(vec![named]);
    let _ada = Client::try_join(&program, Join { token: Some(&token), ..Join::default() }).await.unwrap();
    let asked = one.asked().await.job.unwrap();
    assert_eq!((asked.metadata.as_str(), asked.room.unwrap().name.as_str()), ("of the token", "joined"));
    unnamed.has_heard_nothing().await;
    program.stop();
}

#[tokio::test]
async fn the_next_worker_is_asked_where_one_refuses_or_goes() {
    let data = tempfile::tempdir().unwrap();
    let program = start(data.path());
    let mut first = Worker::new(&program, JobType::JtRoom, "").await;
    let _ada = Client::join(&program, "room", "ada").await;
    let asked = first.asked().await.job.unwrap();
    let refusal =
        reelroom_protocol::proto::AvailabilityResponse { job_id: asked.id.clone(), ..Default::default() };
    first.send(worker_message::Message::Availability(refusal)).await;
    let mut second = Worker::new(&program, JobType::JtRoom, "").await;
    assert_eq!(second.asked().await.job.unwrap().id, asked.id);
    drop(second);
    let mut third = Worker::new(&program, JobType::JtRoom, "").await;
    let (job, _) = third.takes("helper").await;
    assert_eq!(job.id, asked.id);
    first.has_heard_nothing().await;
    program.stop();
}

#[tokio::test]
async fn a_worker_that_is_back_has_its_jobs_and_a_room_that_is_over_ends_them() {
    let data = tempfile::tempdir().unwrap();
    let program = start(data.path());
    let mut worker = Worker::new(&program, JobType::JtRoom, "").await;
    let _ada = Client::join(&program, "room", "ada").await;
    let (job, given) = worker.takes("helper").await;
    let mut agent = joins(&program, &given.token).await;
    drop(worker);
    let mut again = Worker::new(&program, JobType::JtRoom, "").await;
    again.has(&[&job.id, "AJ_nobody"]).await;
    again.has_heard_nothing().await;
    assert!(agent.ping().await.is_some(), "its agent has stayed");
    done(&program, "RoomService/DeleteRoom", "", json!({ "room": "room" })).await;
    assert_eq!(again.ended().await, job.id);
    program.stop();
}

#[tokio::test]
async fn a_worker_that_is_wrong_is_told_why_its_connection_ends() {
    let data = tempfile::tempdir().unwrap();
    let program = start(data.path());
    let token = worker_token();
    let mut worker = Worker::try_connect(&program, &token).await.unwrap();
    worker.send(worker_message::Message::Ping(WorkerPing { timestamp: 1 })).await;
    assert!(worker.next().await.is_some(), "it is answered before it has registered");
    worker.send(worker_message::Message::MigrateJob(MigrateJobRequest::default())).await;
    assert!(worker.why_closed().await.contains("register first"));

    let mut worker = Worker::try_connect(&program, &token).await.unwrap();
    worker.socket.send(Message::Binary(vec![0xff_u8].into())).await.unwrap();
    assert!(worker.why_closed().await.contains("cannot be read"));

    let mut worker = Worker::new(&program, JobType::JtRoom, "").await;
    let _ = worker.socket.send(Message::Binary(vec![0_u8; WORKER_MESSAGE_BYTES + 1].into())).await;
    // The connection ends, with the reason where it is still read.
    while let Ok(Some(Ok(message))) =
        tokio::time::timeout(Duration::from_secs(10), worker.socket.next()).await
    {
        if let Message::Close(Some(frame)) = message {
            assert!(frame.reason.contains("longer than"), "{frame:?}");
        }
    }
    program.stop();
}

#[tokio::test]
async fn a_worker_that_speaks_json_is_answered_in_json() {
    let data = tempfile::tempdir().unwrap();
    let program = start(data.path());
    let mut worker = Worker::try_connect(&program, &worker_token()).await.unwrap();
    let register = json!({ "register": { "type": "JT_ROOM", "agentName": "", "version": "1" } });
    worker.socket.send(Message::Text(register.to_string().into())).await.unwrap();
    let mut next = async || loop {
        match tokio::time::timeout(Duration::from_secs(10), worker.socket.next()).await.unwrap() {
            Some(Ok(Message::Text(text))) => return serde_json::from_str::<Value>(&text).unwrap(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(next().await["register"]["workerId"].as_str().unwrap().starts_with("AW_"));
    let _ada = Client::join(&program, "room", "ada").await;
    assert_eq!(next().await["availability"]["job"]["room"]["name"], "room");
    program.stop();
}

#[tokio::test]
async fn agents_go_on_over_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port().to_string()
    };
    let settings = [SETTINGS.as_slice(), &[("SERVER_PORT", port.as_str())]].concat();
    let program = Program::start(&[], data.path(), &settings);
    let mut worker = Worker::new(&program, JobType::JtRoom, "helper").await;
    let wanted = json!({ "room": "room", "agentName": "helper" });
    let made = done(&program, "AgentDispatchService/CreateDispatch", "room", wanted).await;
    let (job, given) = worker.takes("helper").await;
    let _agent = joins(&program, &given.token).await;
    let _ada = Client::join(&program, "room", "ada").await;
    program.hand_over();

    let program = Program::start(&[], data.path(), &settings);
    let mut again = Worker::new(&program, JobType::JtRoom, "helper").await;
    // Whoever is back first opens the room.
    let _agent = joins(&program, &given.token).await;
    again.has(&[&job.id]).await;
    again.has_heard_nothing().await;
    let listed = until_status(&program, "room", "JS_RUNNING").await;
    assert_eq!((&listed["id"], &listed["dispatch_id"]), (&json!(job.id), &made["id"]));
    assert_eq!(jobs(&program, "room").await.len(), 1);
    program.stop();
}
