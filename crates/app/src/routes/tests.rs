//! What callers get of the REST API: by the table as nobody and as everybody, and from handlers as those who come by links.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE, RANGE, USER_AGENT,
};
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use reelroom_access::{Caller, Right, Rights};
use reelroom_routes::{Needs, Proof, REST, Visitor};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::WebApp;
use crate::audit::Actor;
use crate::config::Access;
use crate::extract::{Path, Query};
use crate::play::{self, Asked, By};
use crate::recordings;
use crate::tests::house::{SIZE, body, house, house_of_portions};

fn host() -> Caller {
    Caller::Host { room: "own".into(), granted: Rights::NONE }
}

fn guest(granted: &[Right]) -> Caller {
    Caller::Guest { room: "own".into(), granted: Rights::of(granted) }
}

fn viewer(granted: &[Right]) -> Caller {
    Caller::Viewer { recording: "own.mp4".into(), granted: Rights::of(granted) }
}

/// Asks for each row of the table, with what is nothing at all for most of them.
async fn ask_all(app: &WebApp) -> Vec<(Needs, String, Response)> {
    let doors = app.routes().doors();
    let mut answers = Vec::new();
    for row in WebApp::table() {
        let method = row.method.unwrap_or(Method::GET);
        let path = if row.path == REST {
            "/nothing".to_owned()
        } else {
            row.path.replace("{name}", "no.mp4").replace("{id}", "no")
        };
        let request =
            Request::builder().method(method.clone()).uri(&path).header(CONTENT_TYPE, "application/json");
        let answer = doors.clone().oneshot(request.body(Body::from("{}")).unwrap()).await.unwrap();
        answers.push((row.needs, format!("{method} {path}"), answer));
    }
    answers
}

#[tokio::test]
async fn nobody_gets_past_a_row_that_needs_a_right() {
    let house = house(Access::Invite).await;
    for (needs, what, answer) in ask_all(&house.app).await {
        let status = answer.status();
        match needs {
            Needs::Right(..) | Needs::RightOrProof(..) => {
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}");
                let said = body(answer).await;
                assert!(what.starts_with("HEAD") || said["errorMessage"].is_string(), "{what}: {said}");
            }
            // The body has none of them.
            Needs::Proof(Proof::OwnerLink | Proof::Password | Proof::ShareLink) => {
                assert_eq!(status, StatusCode::BAD_REQUEST, "{what}");
            }
            // None is set.
            Needs::Proof(Proof::OpenId) => assert_eq!(status, StatusCode::NOT_FOUND, "{what}"),
            // The signature of a webhook is missing, or the ticket of a link.
            Needs::Proof(_) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{what}"),
            Needs::Details(_) => {
                assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{what}");
                assert_eq!(
                    body(answer).await,
                    json!({ "errorMessage": "the server is not ready" }),
                    "{what}"
                );
            }
            Needs::Public => {
                assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{what}: {status}");
            }
        }
    }
}

#[tokio::test]
async fn everybody_is_let_in_where_access_is_open_but_to_what_only_its_owner_manages() {
    let house = house(Access::Open).await;
    for (needs, what, answer) in ask_all(&house.app).await {
        let status = answer.status();
        let is_refused = [401, 403, 500].contains(&status.as_u16());
        let is_managed = needs.right() == Some(Right::Manage);
        let has_proof = matches!(needs, Needs::Proof(Proof::WebhookSignature | Proof::ShareTicket));
        assert_eq!(is_refused, has_proof || is_managed, "{what}: {status}");
        if matches!(needs, Needs::Details(_)) {
            assert!(body(answer).await.to_string().contains("127.0.0.1:9"), "{what} says what is away");
        }
    }
}

/// Asks for the file of a recording.
async fn file(
    app: &WebApp,
    caller: Caller,
    name: &str,
    params: Value,
    headers: &[(HeaderName, &str)],
) -> Response {
    ask_for(app, Method::GET, caller, name, params, headers).await
}

async fn ask_for(
    app: &WebApp,
    method: Method,
    caller: Caller,
    name: &str,
    params: Value,
    headers: &[(HeaderName, &str)],
) -> Response {
    let visitor = Visitor::new(caller, Right::Play);
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    let params = serde_json::from_value(params).unwrap();
    let asked = Asked { method, name: name.to_owned(), params, headers };
    play::send(app, &visitor, &Actor::server(app), asked, By::Itself).await.into_response()
}

#[tokio::test]
async fn no_portion_is_all_of_what_may_only_be_played() {
    let house = house_of_portions(Access::Invite, 1 << 30).await;
    for range in ["bytes=0-", "bytes=0-4999", "bytes=-5000"] {
        let headers = [(RANGE, range)];
        let part = file(&house.app, viewer(&[Right::Play]), "own.mp4", json!({}), &headers).await;
        assert_eq!(part.headers()[CONTENT_RANGE], "bytes 0-2499/5000", "{range}");
    }
}

#[tokio::test]
async fn whoever_may_only_play_gets_portions_and_no_name_to_save_them_by() {
    let house = house(Access::Invite).await;
    let app = &house.app;
    let (play, keep) = ([Right::Play], [Right::Play, Right::Download]);
    for caller in [viewer(&play), guest(&play)] {
        for (range, expected) in [
            ("bytes=0-", "bytes 0-999/5000"),
            ("bytes=4500-", "bytes 4500-4999/5000"),
            ("bytes=0-4999", "bytes 0-999/5000"),
            ("bytes=-4000", "bytes 1000-1999/5000"),
            ("bytes=10-19", "bytes 10-19/5000"),
        ] {
            for agent in ["Mozilla/5.0", "curl/8.14.1"] {
                let headers = [(RANGE, range), (USER_AGENT, agent)];
                let part = file(app, caller.clone(), "own.mp4", json!({}), &headers).await;
                assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{caller:?} {range}");
                assert_eq!(part.headers()[CONTENT_RANGE], expected, "{caller:?} {agent}");
                assert_eq!(part.headers()[CONTENT_DISPOSITION], "inline");
            }
        }
        let head = ask_for(app, Method::HEAD, caller.clone(), "own.mp4", json!({}), &[]).await;
        assert_eq!(
            (head.status(), head.headers()[CONTENT_LENGTH].to_str().unwrap()),
            (StatusCode::OK, "5000")
        );
        assert_eq!(head.headers()[CONTENT_DISPOSITION], "inline");
        for (params, headers, status) in [
            (json!({}), vec![], 403),
            (json!({}), vec![(RANGE, "seconds=0-1")], 403),
            (json!({ "download": "" }), vec![(RANGE, "bytes=0-")], 403),
            (json!({}), vec![(RANGE, "bytes=5-"), (IF_RANGE, "\"another\"")], 412),
        ] {
            let refused = file(app, caller.clone(), "own.mp4", params, &headers).await;
            assert_eq!(refused.status().as_u16(), status, "{caller:?} {headers:?}");
        }
        for name in ["other.mp4", "no.mp4"] {
            let refused = file(app, caller.clone(), name, json!({}), &[(RANGE, "bytes=0-")]).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{caller:?} {name}");
        }
    }
    for caller in [viewer(&keep), guest(&keep), host()] {
        let whole = file(app, caller.clone(), "own.mp4", json!({ "download": "1" }), &[]).await;
        assert_eq!(whole.status(), StatusCode::OK, "{caller:?}");
        assert_eq!(whole.headers()[CONTENT_DISPOSITION], "attachment; filename=\"own.mp4\"");
        assert_eq!(axum::body::to_bytes(whole.into_body(), SIZE).await.unwrap().len(), SIZE);
    }
    for caller in [viewer(&[]), guest(&[])] {
        let refused = file(app, caller.clone(), "own.mp4", json!({}), &[(RANGE, "bytes=0-")]).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{caller:?}");
    }
}

#[tokio::test]
async fn a_link_to_pass_on_is_for_those_who_may_share_and_holds_for_whoever_has_it() {
    let house = house(Access::Invite).await;
    let url = async |caller: Caller, name: &str| {
        let visitor = Visitor::new(caller, Right::Play);
        let (app, actor) = (State(house.app.clone()), Actor::server(&house.app));
        let answer = play::url(app, visitor, actor, Path(name.to_owned())).await.into_response();
        (answer.status().as_u16(), body(answer).await["recordingUrl"].as_str().map(str::to_owned))
    };
    let plain = (200, Some("/recordings/own.mp4".to_owned()));
    assert_eq!(url(guest(&[Right::Play, Right::Download]), "own.mp4").await, plain);
    assert_eq!(url(viewer(&[Right::Play]), "own.mp4").await, plain);
    let key = |rights: &[Right]| Caller::Key { rights: Rights::of(rights) };
    assert_eq!(
        url(key(&[Right::Play, Right::Share]), "own.mp4").await,
        plain,
        "it would download by its link"
    );
    assert_eq!(url(guest(&[Right::Download]), "own.mp4").await.0, 403);
    assert_eq!(url(host(), "other.mp4").await.0, 403);
    assert_eq!(url(host(), "no.mp4").await.0, 403, "whether it is there is nothing for a host of one room");
    assert_eq!(url(Caller::Owner, "no.mp4").await.0, 404);
    assert_eq!(url(key(&[Right::Play]), "no.mp4").await.0, 404);

    let link = url(host(), "own.mp4").await.1.unwrap();
    assert!(link.contains("signature="), "{link}");
    let ask = async |uri: &str| {
        let request = Request::builder().uri(uri).body(Body::empty()).unwrap();
        house.app.routes().doors().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!(ask(&link).await, 200, "nobody needs a right who holds a link");
    assert_eq!(ask(&link.replace("signature=", "signature=0")).await, 403);
    assert_eq!(ask("/recordings/own.mp4").await, 401);
}

#[tokio::test]
async fn a_list_is_of_what_its_reader_reaches() {
    let house = house(Access::Invite).await;
    let list = async |caller: Caller, params: Value| {
        let visitor = Visitor::new(caller, Right::List);
        let params = Query(serde_json::from_value(params).unwrap());
        let answer = recordings::list(State(house.app.clone()), visitor, params).await.into_response();
        let status = answer.status().as_u16();
        let found = body(answer).await;
        let mut names: Vec<String> = found["recordings"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|recording| recording["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        (status, names.join(" "))
    };
    let all = || json!({});
    assert_eq!(list(Caller::Owner, all()).await, (200, "other.mp4 own.mp4".into()));
    for caller in [host(), guest(&[Right::List]), viewer(&[])] {
        assert_eq!(list(caller.clone(), all()).await, (200, "own.mp4".into()), "{caller:?}");
        let of_own = json!({ "roomName": "own", "status": "complete" });
        assert_eq!(list(caller, of_own).await, (200, "own.mp4".into()));
    }
    let of_other = || json!({ "roomName": "other" });
    assert_eq!(list(host(), of_other()).await, (403, String::new()));
    assert_eq!(list(viewer(&[]), of_other()).await, (200, String::new()));
    assert_eq!(list(guest(&[]), all()).await, (403, String::new()));
    let gone = Caller::Viewer { recording: "gone.mp4".into(), granted: Rights::ALL };
    assert_eq!(list(gone, all()).await, (200, String::new()));
}
