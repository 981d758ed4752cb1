//! How a program gets its owner: by a link that it prints, once.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::Program;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "staple of another kind";
const INVITE: &[(&str, &str)] =
    &[("ACCESS", "invite"), ("LOG", "trace"), ("LIVEKIT_API_KEY", ""), ("LIVEKIT_API_SECRET", "")];

/// `reelroom owner` for a data folder.
fn owner(data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reelroom"))
        .arg("owner")
        .env_clear()
        .env("DATA_DIR", data)
        .env("ACCESS", "invite")
        .env("SERVER_PORT", "6081")
        .output()
        .unwrap()
}

/// What a line has behind "setup=".
fn secret(line: &str) -> String {
    line.trim().split_once("/owner#setup=").unwrap_or_else(|| panic!("{line:?} has no link")).1.to_owned()
}

/// What a browser of the owner keeps and shows.
struct Browser {
    cookie: String,
    csrf: String,
}

impl Browser {
    /// By the link of this secret.
    async fn by_link(program: &Program, secret: &str, password: &str) -> Result<Self, StatusCode> {
        let said = json!({ "link": secret, "password": password });
        Self::by(program.post("/owner/password", &said)).await
    }

    async fn by(request: RequestBuilder) -> Result<Self, StatusCode> {
        let answer = request.send().await.unwrap();
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        let kept = answer.headers().get_all("set-cookie").iter();
        let cookies: Vec<&str> = kept.map(|line| line.to_str().unwrap().split(';').next().unwrap()).collect();
        let cookie = cookies.join("; ");
        let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        Ok(Self { cookie, csrf: said["csrf"].as_str().unwrap().to_owned() })
    }

    fn shows(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("cookie", &self.cookie).header("x-csrf-token", &self.csrf)
    }
}

async fn sign_in(program: &Program, password: &str) -> Result<Browser, StatusCode> {
    Browser::by(program.post("/owner/session", &json!({ "password": password }))).await
}

#[tokio::test]
async fn a_first_start_prints_a_link_that_makes_an_owner_once_and_none_of_it_is_in_the_log() {
    let data = tempfile::tempdir().unwrap();
    let mut program = Program::start(&[], data.path(), INVITE);
    let line = program.line();
    assert!(line.contains(&format!("{}/owner#setup=", program.url)), "{line}");
    let secret = secret(&line);
    let room = json!({ "roomName": "a", "participantName": "Ada" });
    program.refusal(program.get("/recordings"), 401).await;
    program.refusal(program.post("/token", &room), 401).await;
    program.refusal(program.get("/metrics"), 401).await;

    let browser = Browser::by_link(&program, &secret, PASSWORD).await.unwrap();
    let again = Browser::by_link(&program, &secret, OTHER).await;
    assert_eq!(again.map(drop), Err(StatusCode::GONE));
    assert_eq!(program.answer(browser.shows(program.get("/recordings"))).await.0, StatusCode::OK);
    let bare = program.post("/token", &room).header("cookie", &browser.cookie);
    assert!(program.refusal(bare, 403).await.contains("X-CSRF-Token"));
    let (status, token) = program.answer(browser.shows(program.post("/token", &room))).await;
    assert_eq!(status, StatusCode::OK);
    let new = json!({ "name": "a program", "rights": ["observe"] });
    let (status, made) = program.answer(browser.shows(program.post("/owner/keys", &new))).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let key = made["secret"].as_str().unwrap();
    assert_eq!(program.get("/metrics").bearer_auth(key).send().await.unwrap().status(), StatusCode::OK);
    program.refusal(program.get("/recordings").bearer_auth(key), 403).await;
    assert_eq!(sign_in(&program, OTHER).await.map(drop), Err(StatusCode::UNAUTHORIZED));
    let log = program.stop();
    assert!(log.contains("the owner's password was set by a link"), "{log}");
    let values = browser.cookie.split("; ").map(|pair| pair.split_once('=').unwrap().1);
    let token = token["token"].as_str().unwrap();
    for hidden in values.chain([secret.as_str(), PASSWORD, OTHER, browser.csrf.as_str(), &key[16..], token]) {
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }

    // The owner, the session and the key are still there, and nothing is printed any more.
    let mut program = Program::start(
        &[],
        data.path(),
        &[("ACCESS", "invite"), ("LIVEKIT_API_KEY", ""), ("LIVEKIT_API_SECRET", "")],
    );
    assert_eq!(program.answer(browser.shows(program.get("/recordings"))).await.0, StatusCode::OK);
    assert_eq!(program.get("/metrics").bearer_auth(key).send().await.unwrap().status(), StatusCode::OK);
    let out = browser.shows(program.request(Method::DELETE, "/owner/session"));
    assert_eq!(program.answer(out).await.0, StatusCode::OK);
    program.refusal(browser.shows(program.get("/recordings")), 401).await;
    program.end();
    assert_eq!(program.line(), "");
    program.stop();
}

#[tokio::test]
async fn the_command_makes_a_link_while_the_server_runs_that_works_once_and_ends_what_was() {
    let data = tempfile::tempdir().unwrap();
    let mut program = Program::start(&[], data.path(), INVITE);
    let first = secret(&program.line());
    let made = owner(data.path());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(made.stderr.is_empty(), "{}", String::from_utf8_lossy(&made.stderr));
    let line = String::from_utf8(made.stdout).unwrap();
    assert!(line.contains("http://localhost:6081/owner#setup="), "{line}");
    let gone = Browser::by_link(&program, &first, PASSWORD).await;
    assert_eq!(gone.map(drop), Err(StatusCode::GONE), "a newer one was made");
    let browser = Browser::by_link(&program, &secret(&line), PASSWORD).await.unwrap();
    assert_eq!(sign_in(&program, PASSWORD).await.map(drop), Ok(()));

    // Who has forgotten the password begins anew; whoever was signed in is not any more.
    let link = secret(&String::from_utf8(owner(data.path()).stdout).unwrap());
    assert_eq!(program.answer(browser.shows(program.get("/recordings"))).await.0, StatusCode::OK);
    Browser::by_link(&program, &link, OTHER).await.unwrap();
    program.refusal(browser.shows(program.get("/recordings")), 401).await;
    assert_eq!(sign_in(&program, PASSWORD).await.map(drop), Err(StatusCode::UNAUTHORIZED));
    assert_eq!(sign_in(&program, OTHER).await.map(drop), Ok(()));
    assert_eq!(Browser::by_link(&program, &link, PASSWORD).await.map(drop), Err(StatusCode::GONE));
    program.stop();
}

#[test]
fn the_command_says_where_it_finds_no_server_and_makes_nothing_there() {
    let folder = tempfile::tempdir().unwrap();
    for (path, expected) in [
        (folder.path().join("missing"), "there is no data folder"),
        (folder.path().to_owned(), "there is no truth.db in"),
    ] {
        let refused = owner(&path);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(expected) && said.contains("DATA_DIR"), "{said}");
    }
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn where_others_come_and_nothing_is_said_a_link_is_printed_and_nobody_is_let_in() {
    let own = [("LIVEKIT_API_KEY", ""), ("LIVEKIT_API_SECRET", "")];
    for more in [("LISTEN", "0.0.0.0"), ("PUBLIC_HOSTS", "calls.example.org"), ("ADVERTISE_IPS", "192.0.2.1")]
    {
        let data = tempfile::tempdir().unwrap();
        let mut program = Program::start(&[], data.path(), &[own.as_slice(), &[more]].concat());
        secret(&program.line());
        program.refusal(program.get("/recordings"), 401).await;
        let log = program.stop();
        assert!(log.contains("whoever is invited") && log.contains("ACCESS=open"), "{more:?}: {log}");
        assert!(log.contains(more.0), "{log}");

        // Who ran the same folder with everybody let in goes on as before.
        let open = [own.as_slice(), &[more, ("ACCESS", "open")]].concat();
        let mut program = Program::start(&[], data.path(), &open);
        assert!(program.list(&[]).await.is_empty());
        let message = program.refusal(program.get("/rooms"), 403).await;
        assert!(message.contains("ACCESS=invite"), "{message}");
        program.end();
        loop {
            let line = program.line();
            assert!(!line.contains("/owner#setup="), "{line}");
            if line.is_empty() {
                break;
            }
        }
        let log = program.stop();
        assert!(!log.contains("whoever is invited"), "{log}");
    }
}

#[tokio::test]
async fn where_access_is_open_nobody_is_asked_and_no_link_is_printed() {
    let data = tempfile::tempdir().unwrap();
    let mut program = Program::start(&[], data.path(), &[]);
    assert!(program.list(&[]).await.is_empty());
    program.end();
    assert_eq!(program.line(), "");
    program.stop();
}
