//! The program as others meet it: a process, and HTTP.

#![allow(dead_code, clippy::unwrap_used)]

pub(crate) mod house;
pub(crate) mod library;
pub(crate) mod signal;
pub(crate) mod tls;
pub(crate) mod worker;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// A running program, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    log: Option<std::thread::JoinHandle<String>>,
    output: BufReader<ChildStdout>,
    pub(crate) url: String,
    pub(crate) client: Client,
}

impl Program {
    /// Starts it on free ports, with `settings` over those.
    pub(crate) fn start(args: &[&str], data_dir: &Path, settings: &[(&str, &str)]) -> Self {
        match Self::try_start(args, data_dir, settings) {
            Ok(program) => program,
            Err(log) => panic!("it does not start:\n{log}"),
        }
    }

    /// The log, when it ends before it is ready.
    pub(crate) fn try_start(
        args: &[&str],
        data_dir: &Path,
        settings: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reelroom"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SERVER_PORT", "0")
            .env("UDP_PORT", "0")
            .env("DATA_DIR", data_dir)
            .env("LIVEKIT_API_KEY", "devkey")
            .env("LIVEKIT_API_SECRET", "secret")
            .envs(settings.iter().copied())
            .current_dir(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            let _ = stderr.read_to_string(&mut log);
            log
        });
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let Some(url) = line.trim().rsplit(' ').next().filter(|url| url.starts_with("http")) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(log.join().unwrap());
        };
        // Nobody vouches for the certificate that a server makes itself.
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .tls_danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        Ok(Self { child, log: Some(log), output, url: url.to_owned(), client })
    }

    /// The next line that it prints, when it prints one; empty when it has ended.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    /// Status and JSON of an answer.
    pub(crate) async fn answer(&self, request: RequestBuilder) -> (StatusCode, Value) {
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} with {text:?} is no JSON")))
    }

    /// Asserts that a request is refused as every one is, and gives the message.
    pub(crate) async fn refusal(&self, request: RequestBuilder, expected: u16) -> String {
        let (status, body) = self.answer(request).await;
        let message = body["errorMessage"].as_str().unwrap_or_else(|| panic!("{status} with {body}"));
        assert_eq!(status.as_u16(), expected, "{message}");
        assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
        message.to_owned()
    }

    /// A Twirp call with the development key.
    pub(crate) async fn twirp(&self, method: &str, body: Value) -> Value {
        let token = admin_token("devkey", "secret");
        let (status, answer) =
            self.answer(self.post(&format!("/twirp/livekit.{method}"), &body).bearer_auth(token)).await;
        assert_eq!(status, StatusCode::OK, "{method}: {answer}");
        answer
    }

    /// Makes a room that stays without participants.
    pub(crate) async fn make_room(&self, name: &str) {
        self.twirp("RoomService/CreateRoom", json!({ "name": name, "emptyTimeout": 300 })).await;
    }

    pub(crate) async fn start_recording(&self, room: &str) -> Value {
        let (status, body) = self.answer(self.post("/recordings/start", &json!({ "roomName": room }))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["recording"].clone()
    }

    /// Makes a room and records it for so long; gives the recording's name.
    pub(crate) async fn record_for(&self, room: &str, time: Duration) -> String {
        self.make_room(room).await;
        let recording = self.start_recording(room).await;
        let name = recording["name"].as_str().unwrap();
        self.until_status(name, "recording").await;
        tokio::time::sleep(time).await;
        name.to_owned()
    }

    pub(crate) async fn stop_recording(&self, room: &str) -> Value {
        let (status, body) = self.answer(self.post("/recordings/stop", &json!({ "roomName": room }))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["recording"].clone()
    }

    /// The recordings that a query lists.
    pub(crate) async fn list(&self, query: &[(&str, &str)]) -> Vec<Value> {
        let (status, body) = self.answer(self.get("/recordings").query(query)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["recordings"].as_array().unwrap().clone()
    }

    /// Waits until a recording has a status, and has not to be stored any more.
    pub(crate) async fn until_status(&self, name: &str, wanted: &str) -> Value {
        let began = Instant::now();
        loop {
            let all = self.list(&[]).await;
            if let Some(found) =
                all.iter().find(|r| r["name"] == name && r["status"] == wanted && r["upload"].is_null())
            {
                return found.clone();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{name} is not {wanted}: {all:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What it holds of the machine's memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Kills it, whatever it does: nothing of it goes on.
    pub(crate) fn kill(&self) {
        Command::new("kill").args(["-9", &self.child.id().to_string()]).status().unwrap();
    }

    /// Has it read its settings again.
    pub(crate) fn hang_up(&self) {
        Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap();
    }

    /// Sends it a signal as a person does: Ctrl-C.
    pub(crate) fn end(&self) {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
    }

    /// Sends it a signal as whoever starts it anew does.
    pub(crate) fn end_to_start_anew(&self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
    }

    /// Stops it with a signal as a person does, and gives the log; fails if that has errors.
    pub(crate) fn stop(self) -> String {
        self.end();
        self.ended()
    }

    /// Has it hand over to the next start, and gives the log; fails if that has errors.
    pub(crate) fn hand_over(self) -> String {
        self.end_to_start_anew();
        self.ended()
    }

    /// Waits until it has ended, and gives the log; fails if that has errors.
    pub(crate) fn ended(mut self) -> String {
        let status = self.child.wait().unwrap();
        let log = self.log.take().unwrap().join().unwrap();
        assert!(status.success(), "{status}:\n{log}");
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
        log
    }
}

impl Program {
    /// Sends two signals, one shortly after the other, and gives the exit code.
    pub(crate) fn stop_twice(mut self) -> Option<i32> {
        self.end();
        std::thread::sleep(Duration::from_millis(200));
        self.end();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A token for all that belongs to no room.
pub(crate) fn admin_token(key: &str, secret: &str) -> String {
    room_admin_token(key, secret, "")
}

/// The same, and for all that belongs to this room.
pub(crate) fn room_admin_token(key: &str, secret: &str, room: &str) -> String {
    use reelroom_protocol::keys::ApiKeys;
    use reelroom_protocol::token::{Claims, VideoGrants, mint};
    let grants = VideoGrants {
        room_create: true,
        room_list: true,
        room_admin: true,
        room_record: true,
        room: room.to_owned(),
        ..VideoGrants::default()
    };
    let claims = Claims { sub: "test".into(), exp: now_s() + 600, video: Some(grants), ..Claims::default() };
    mint(&ApiKeys::new(key, secret), claims)
}

pub(crate) fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
