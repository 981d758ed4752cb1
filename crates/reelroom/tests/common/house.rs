//! A program that has an owner, and those who come by links.

use std::path::Path;
use std::process::Command;

use reelroom_protocol::proto::{JoinResponse, signal_response};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::Program;
use super::signal::{Client, Join, SETTINGS};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A program, and the browser of its owner.
pub(crate) struct House {
    pub(crate) program: Program,
    /// What the browser shows with each request: its session, and its mark.
    pub(crate) cookie: String,
    /// What its page says with what changes something.
    pub(crate) csrf: String,
}

impl House {
    /// One that lets in by invitation.
    pub(crate) async fn new(data: &tempfile::TempDir) -> Self {
        Self::with(data, &[]).await
    }

    /// The same, with more settings.
    pub(crate) async fn with(data: &tempfile::TempDir, more: &[(&str, &str)]) -> Self {
        let by_invitation = [[("ACCESS", "invite"), ("LOG", "trace")].as_slice(), more].concat();
        let mut program = Program::start(&[], data.path(), &settings(&by_invitation));
        let line = program.line();
        Self::owned(program, line.trim().split_once("/owner#setup=").unwrap().1).await
    }

    /// One that lets in everybody.
    pub(crate) async fn open(data: &tempfile::TempDir) -> Self {
        let program = Program::start(&[], data.path(), &settings(&[("ACCESS", "open")]));
        let link = owner_link(data.path());
        Self::owned(program, &link).await
    }

    /// The program alone.
    pub(crate) fn start(data: &tempfile::TempDir) -> Program {
        Program::start(&[], data.path(), &settings(&[("ACCESS", "invite"), ("LOG", "trace")]))
    }

    /// Has somebody set the password by the link with this secret.
    async fn owned(program: Program, link: &str) -> Self {
        let said = json!({ "link": link, "password": PASSWORD });
        let answer = program.post("/owner/password", &said).send().await.unwrap();
        let (cookie, csrf) = signed_in(answer).await;
        Self { program, cookie, csrf }
    }

    /// Signs in again, if the owner's browser is not signed in any more.
    pub(crate) async fn stay_signed_in(&mut self) {
        let asked = self.program.get("/owner/session").header("cookie", &self.cookie);
        if self.program.answer(asked).await.1["signedIn"] == true {
            return;
        }
        let said = json!({ "password": PASSWORD });
        let asked = self.program.post("/owner/session", &said).header("cookie", &self.cookie);
        (self.cookie, self.csrf) = signed_in(asked.send().await.unwrap()).await;
    }

    /// What its owner asks for, before it is sent.
    pub(crate) fn as_owner(&self, method: Method, path: &str, said: &Value) -> RequestBuilder {
        let asked = self.program.request(method, path).json(said);
        asked.header("cookie", &self.cookie).header("x-csrf-token", &self.csrf)
    }

    /// What its owner asks for.
    pub(crate) async fn own(&self, method: Method, path: &str, said: &Value) -> Value {
        let (status, answer) = self.program.answer(self.as_owner(method, path, said)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    pub(crate) async fn make(&self, said: &Value) -> Value {
        self.own(Method::POST, "/rooms", said).await
    }

    /// The secret of a new API key with these rights.
    pub(crate) async fn key(&self, rights: &[String]) -> String {
        let said = json!({ "name": "a program", "rights": rights });
        let made = self.own(Method::POST, "/owner/keys", &said).await;
        made["secret"].as_str().unwrap().to_owned()
    }

    pub(crate) fn token_for(&self, link: &str, room: &str) -> RequestBuilder {
        let said = json!({ "roomName": room, "participantName": "Ada" });
        self.program.post("/token", &said).header("x-reelroom-link", link)
    }

    pub(crate) async fn token(&self, link: &str, room: &str) -> String {
        let (status, answer) = self.program.answer(self.token_for(link, room)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["token"].as_str().unwrap().to_owned()
    }

    /// What whoever came by a link asks for.
    pub(crate) async fn by(&self, link: &str, method: Method, path: &str, said: &Value) -> Value {
        let asked = self.program.request(method, path).json(said).header("x-reelroom-link", link);
        let (status, answer) = self.program.answer(asked).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// Asks for a token, and waits to be let in.
    pub(crate) async fn knock(&self, link: &str, room: &str) -> Knock {
        let (status, answer) = self.program.answer(self.token_for(link, room)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        let text = |key: &str| answer["waiting"][key].as_str().unwrap().to_owned();
        Knock { id: text("id"), secret: text("secret") }
    }

    /// How it stands with somebody who waits.
    pub(crate) async fn turn(&self, link: &str, room: &str, knock: &Knock) -> Value {
        let asked = self.program.get(&format!("/rooms/{room}/lobby/{}", knock.id));
        let asked = asked.header("x-reelroom-link", link).header("x-reelroom-knock", &knock.secret);
        let (status, answer) = self.program.answer(asked).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// Joins with a token, and has heard so; or what it is told instead.
    pub(crate) async fn come(&self, token: &str) -> Result<Client, u16> {
        self.joined(token).await.map(|(client, _)| client)
    }

    /// The same, and what it has heard.
    pub(crate) async fn joined(&self, token: &str) -> Result<(Client, JoinResponse), u16> {
        let join = Join { token: Some(token), ..Join::default() };
        let mut client = Client::try_join(&self.program, join).await?;
        match client.next().await {
            Some(signal_response::Message::Join(joined)) => Ok((client, joined)),
            Some(signal_response::Message::Leave(leave)) => Err(leave.reason as u16),
            other => panic!("{other:?}"),
        }
    }
}

/// What somebody who waits is known by.
pub(crate) struct Knock {
    pub(crate) id: String,
    pub(crate) secret: String,
}

fn settings<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [SETTINGS.as_slice(), more].concat()
}

/// What a browser keeps of an answer by which a session began, and what its page says then.
async fn signed_in(answer: Response) -> (String, String) {
    assert_eq!(answer.status(), StatusCode::OK);
    let kept = answer.headers().get_all("set-cookie").iter();
    let cookies: Vec<&str> = kept.map(|line| line.to_str().unwrap().split(';').next().unwrap()).collect();
    let cookie = cookies.join("; ");
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    (cookie, said["csrf"].as_str().unwrap().to_owned())
}

/// The secret of a link by which whoever has it becomes the owner, from `reelroom owner`.
pub(crate) fn owner_link(data: &Path) -> String {
    let printed = Command::new(env!("CARGO_BIN_EXE_reelroom"))
        .arg("owner")
        .env_clear()
        .env("DATA_DIR", data)
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let link = printed.split_once("/owner#setup=").unwrap_or_else(|| panic!("{printed:?} has no link")).1;
    link.split_whitespace().next().unwrap().to_owned()
}

/// Of a room as it is told: the secret of its link for a role.
pub(crate) fn secret(room: &Value, role: &str) -> String {
    let links = room["links"].as_array().unwrap();
    let link = links.iter().find(|link| link["role"] == role).unwrap();
    link["path"].as_str().unwrap().strip_prefix("/join#").unwrap().to_owned()
}

/// The fresh token that a client is given.
pub(crate) async fn fresh(client: &mut Client) -> String {
    let wanted = |message: &_| matches!(message, signal_response::Message::RefreshToken(_));
    match client.until(wanted).await {
        Some(signal_response::Message::RefreshToken(token)) => token,
        other => panic!("{other:?}"),
    }
}

/// Why a client has to leave, and that its connection ends with that.
pub(crate) async fn why_out(client: &mut Client) -> Option<i32> {
    let wanted = |message: &_| matches!(message, signal_response::Message::Leave(_));
    match client.until(wanted).await? {
        signal_response::Message::Leave(leave) => Some(leave.reason),
        _ => None,
    }
}
