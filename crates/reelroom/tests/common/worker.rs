//! A worker of agents that says what it likes.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{
    AvailabilityRequest, AvailabilityResponse, Job, JobAssignment, JobStatus, JobType, MigrateJobRequest,
    RegisterWorkerRequest, ServerMessage, UpdateJobStatus, WorkerMessage, WorkerPing, server_message,
    worker_message,
};
use reelroom_protocol::token::{Claims, VideoGrants, mint};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::signal::KEY;
use super::{Program, now_s};

pub(crate) struct Worker {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

/// The token of a stock worker.
pub(crate) fn worker_token() -> String {
    let grants = VideoGrants { agent: true, ..VideoGrants::default() };
    let claims = Claims { exp: now_s() + 600, video: Some(grants), ..Claims::default() };
    mint(&ApiKeys::new(KEY.0, KEY.1), claims)
}

impl Worker {
    /// The status of a refusal.
    pub(crate) async fn try_connect(program: &Program, token: &str) -> Result<Self, u16> {
        let url = format!("{}/agent", program.url.replace("http://", "ws://"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let host = program.url.trim_start_matches("http://").trim_end_matches('/');
        let stream = TcpStream::connect(host).await.unwrap();
        match client_async_with_config(request, stream, Some(WebSocketConfig::default())).await {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// One that is registered, for agents of this name.
    pub(crate) async fn new(program: &Program, kind: JobType, agent_name: &str) -> Self {
        let mut worker = Self::try_connect(program, &worker_token()).await.unwrap();
        let register = RegisterWorkerRequest {
            r#type: kind.into(),
            agent_name: agent_name.to_owned(),
            version: "1.8.9".to_owned(),
            ..Default::default()
        };
        worker.send(worker_message::Message::Register(register)).await;
        match worker.next().await {
            Some(server_message::Message::Register(told)) => {
                assert!(told.worker_id.starts_with("AW_"), "{told:?}");
                assert_eq!(told.server_info.unwrap().agent_protocol, 1);
            }
            other => panic!("{other:?}"),
        }
        worker
    }

    pub(crate) async fn send(&mut self, message: worker_message::Message) {
        let bytes = WorkerMessage { message: Some(message) }.encode_to_vec();
        self.socket.send(Message::Binary(bytes.into())).await.unwrap();
    }

    /// The next message; `None` when the connection has ended, or after ten seconds.
    pub(crate) async fn next(&mut self) -> Option<server_message::Message> {
        loop {
            match tokio::time::timeout(Duration::from_secs(10), self.socket.next()).await.ok()?? {
                Ok(Message::Binary(bytes)) => return ServerMessage::decode(bytes).unwrap().message,
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The job that it is asked about next.
    pub(crate) async fn asked(&mut self) -> AvailabilityRequest {
        match self.next().await {
            Some(server_message::Message::Availability(asked)) => asked,
            other => panic!("{other:?}"),
        }
    }

    /// Takes the job that it is asked about next, as somebody.
    pub(crate) async fn takes(&mut self, identity: &str) -> (Job, JobAssignment) {
        let job = self.asked().await.job.unwrap();
        let response = AvailabilityResponse {
            job_id: job.id.clone(),
            available: true,
            participant_identity: identity.to_owned(),
            ..Default::default()
        };
        self.send(worker_message::Message::Availability(response)).await;
        match self.next().await {
            Some(server_message::Message::Assignment(assignment)) => (job, assignment),
            other => panic!("{other:?}"),
        }
    }

    /// Asserts that it has been told nothing by now.
    pub(crate) async fn has_heard_nothing(&mut self) {
        let timestamp = rand::random::<u32>().into();
        self.send(worker_message::Message::Ping(WorkerPing { timestamp })).await;
        match self.next().await {
            Some(server_message::Message::Pong(pong)) => assert_eq!(pong.last_timestamp, timestamp),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn tells(&mut self, job: &str, status: JobStatus) {
        let update = UpdateJobStatus { job_id: job.to_owned(), status: status.into(), ..Default::default() };
        self.send(worker_message::Message::UpdateJob(update)).await;
    }

    /// Says which jobs it has from before.
    pub(crate) async fn has(&mut self, jobs: &[&str]) {
        let job_ids = jobs.iter().map(|job| (*job).to_owned()).collect();
        self.send(worker_message::Message::MigrateJob(MigrateJobRequest { job_ids })).await;
    }

    /// The job that it is told to end next.
    pub(crate) async fn ended(&mut self) -> String {
        match self.next().await {
            Some(server_message::Message::Termination(told)) => told.job_id,
            other => panic!("{other:?}"),
        }
    }

    /// Why its connection ends.
    pub(crate) async fn why_closed(&mut self) -> String {
        loop {
            match tokio::time::timeout(Duration::from_secs(15), self.socket.next()).await.unwrap() {
                Some(Ok(Message::Close(Some(frame)))) => return frame.reason.to_string(),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
