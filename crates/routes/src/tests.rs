//! What stands before handlers, asked over a table of a few rows.

#![allow(clippy::unwrap_used)]

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse as _;
use reelroom_access::{Caller, Resource, Right, Rights};
use tower::ServiceExt as _;

use super::*;

#[derive(Clone)]
struct House(Result<Caller, Refusal>);

impl Keeper for House {
    async fn caller(&self, _: &Parts) -> Result<Caller, Refusal> {
        self.0.clone()
    }
}

/// Asks for the room in its path.
async fn record(visitor: Visitor, Path(room): Path<String>) -> Result<&'static str, Refusal> {
    visitor.ask(Right::Record, &Resource::Room(&room.as_str().into()))?;
    Ok("recorded")
}

/// Asks for another right than its row needs.
async fn mistake(visitor: Visitor) -> &'static str {
    visitor.may(Right::Play, &Resource::Server);
    "told"
}

/// Looks at a proof that stands in the path.
async fn show(visitor: Visitor, Path(proof): Path<String>) -> Result<&'static str, Refusal> {
    match proof.as_str() {
        "signed" => visitor.has_proven(),
        "forged" => return Err(Refusal::Forbidden),
        _ => visitor.ask(Right::Play, &Resource::Server)?,
    }
    Ok("shown")
}

async fn details(visitor: Visitor) -> &'static str {
    if visitor.may(Right::Observe, &Resource::Server) { "all of it" } else { "well" }
}

async fn whoever(visitor: Visitor) -> String {
    format!("{:?}", visitor.caller())
}

fn table() -> Part<House> {
    let in_a_room = Needs::Right(Right::Record, On::Room);
    let played = Needs::RightOrProof(Right::Play, On::Recording, Proof::SignedLink);
    Part::new("House")
        .row([Method::GET], "/open", Needs::Public, async || "open")
        .row([Method::GET], "/metrics", Needs::Right(Right::Observe, On::Server), async || "7")
        .row([Method::POST], "/record/{room}", in_a_room, record)
        .row([Method::POST], "/mistake", in_a_room, mistake)
        .row([Method::POST], "/gone", in_a_room, async || StatusCode::NOT_FOUND)
        .row([Method::GET, Method::HEAD], "/show/{proof}", played, show)
        .row([Method::GET], "/ready", Needs::Details(Right::Observe), details)
        .row([Method::GET], "/whoever", Needs::Public, whoever)
        .refusing_methods(|method, uri| {
            (StatusCode::METHOD_NOT_ALLOWED, format!("{method} {uri}")).into_response()
        })
        .any("/any", Needs::Proof(Proof::ApiToken), async || "any")
        .rest(Needs::Public, async || "rest")
}

async fn ask(caller: Caller, method: Method, path: &str) -> (u16, String) {
    ask_as(Ok(caller), method, path).await
}

async fn ask_as(caller: Result<Caller, Refusal>, method: Method, path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let answer = table().with_state(House(caller)).doors().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn guest(granted: &[Right]) -> Caller {
    Caller::Guest { room: "own".into(), granted: Rights::of(granted) }
}

#[tokio::test]
async fn a_right_on_the_server_is_asked_for_before_the_handler() {
    assert_eq!(ask(Caller::Owner, Method::GET, "/metrics").await, (200, "7".into()));
    assert_eq!(ask(Caller::Everybody, Method::HEAD, "/metrics").await.0, 200);
    assert_eq!(ask(Caller::Nobody, Method::GET, "/metrics").await.0, 401);
    assert_eq!(ask(Caller::Nobody, Method::HEAD, "/metrics").await.0, 401);
    assert_eq!(
        ask(guest(&[]), Method::GET, "/metrics").await.0,
        403,
        "a guest observes a room, not the server"
    );
}

#[tokio::test]
async fn a_right_on_what_the_request_names_is_asked_for_inside() {
    let granted = || guest(&[Right::Record]);
    assert_eq!(ask(granted(), Method::POST, "/record/own").await, (200, "recorded".into()));
    assert_eq!(ask(granted(), Method::POST, "/record/other").await.0, 403);
    assert_eq!(ask(guest(&[]), Method::POST, "/record/own").await.0, 403);
    assert_eq!(ask(Caller::Nobody, Method::POST, "/record/own").await.0, 401);
    assert_eq!(ask(Caller::Owner, Method::POST, "/record/other").await.0, 200);
}

#[tokio::test]
async fn nothing_is_answered_by_a_handler_that_does_not_ask_what_its_row_needs() {
    for caller in [Caller::Owner, Caller::Everybody, guest(&[Right::Record])] {
        let (status, text) = ask(caller.clone(), Method::POST, "/mistake").await;
        assert!(status == 500 && !text.contains("told"), "{caller:?} {status} {text}");
        assert_eq!(ask(caller, Method::POST, "/gone").await.0, 404, "a refusal needs no right");
    }
}

#[tokio::test]
async fn a_proof_of_its_own_stands_for_a_right() {
    for (caller, unproven) in [(Caller::Owner, 200), (Caller::Nobody, 401), (guest(&[Right::Play]), 403)] {
        for method in [Method::GET, Method::HEAD] {
            let status = async |path| ask(caller.clone(), method.clone(), path).await.0;
            assert_eq!(status("/show/signed").await, 200, "{caller:?}");
            assert_eq!(status("/show/forged").await, 403, "{caller:?}");
            assert_eq!(status("/show/nothing").await, unproven, "{caller:?}");
        }
    }
}

#[tokio::test]
async fn what_is_asked_in_somebodys_name_by_others_gets_past_no_row_that_asks_who_it_is() {
    for path in ["/record/own", "/mistake", "/gone"] {
        assert_eq!(ask_as(Err(Refusal::Forged), Method::POST, path).await.0, 403, "{path}");
    }
    for path in ["/metrics", "/show/signed", "/ready"] {
        assert_eq!(ask_as(Err(Refusal::Forged), Method::GET, path).await.0, 403, "{path}");
    }
    assert_eq!(ask_as(Err(Refusal::Forged), Method::GET, "/open").await.0, 200, "nobody is asked who it is");
}

#[tokio::test]
async fn what_is_public_is_for_nobody_too_and_details_are_not() {
    for path in ["/open", "/any", "/somewhere/else"] {
        assert_eq!(ask(Caller::Nobody, Method::GET, path).await.0, 200, "{path}");
    }
    assert_eq!(ask(Caller::Nobody, Method::GET, "/ready").await, (200, "well".into()));
    assert_eq!(ask(Caller::Owner, Method::GET, "/ready").await, (200, "all of it".into()));
    let (status, text) = ask(Caller::Owner, Method::GET, "/whoever").await;
    assert!(status == 500 && !text.contains("Owner"), "its row has nobody worked out: {text}");
    assert_eq!(ask(Caller::Owner, Method::PUT, "/open").await, (405, "PUT /open".into()));
}

#[tokio::test]
async fn a_state_that_knows_nobody_lets_nobody_in() {
    let needs = Needs::Right(Right::Observe, On::Server);
    let part = Part::<()>::new("Alone").row([Method::GET], "/", needs, async || "in");
    let request = Request::builder().uri("/").body(Body::empty()).unwrap();
    let answer = part.doors().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn every_row_is_listed_with_its_part_and_what_it_needs() {
    let joined =
        table().join(Part::new("Annex").row([Method::GET], "/annex", Needs::Public, async || "annex"));
    let listed: Vec<String> = joined
        .rows()
        .iter()
        .map(|row| {
            let method = row.method.as_ref().map_or("*", Method::as_str);
            format!("{} {method} {}: {}", row.part, row.path, row.needs)
        })
        .collect();
    assert_eq!(
        listed,
        [
            "House GET /open: nothing",
            "House GET /metrics: *observe*",
            "House POST /record/{room}: *record* in that room",
            "House POST /mistake: *record* in that room",
            "House POST /gone: *record* in that room",
            "House GET /show/{proof}: *play* for that recording, or a signed link",
            "House HEAD /show/{proof}: *play* for that recording, or a signed link",
            "House GET /ready: nothing; its details: *observe*",
            "House GET /whoever: nothing",
            "House * /any: a token of the API secret that grants it",
            "House * /{*rest}: nothing",
            "Annex GET /annex: nothing",
        ]
    );
}
