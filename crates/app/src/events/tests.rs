//! What whoever follows is told, and how little it costs that somebody does not listen.

use axum::body::BodyDataStream;
use axum::http::{HeaderMap, Method, StatusCode};
use futures::StreamExt as _;
use reelroom_access::Rights;
use reelroom_library::{Recording, Status};
use serde_json::Value;

use super::*;
use crate::config::Access;
use crate::tests::house::{House, Shows, house, owned};

const SHORT: Times = Times {
    rests: Duration::from_millis(5),
    beat: Duration::from_millis(200),
    asked: Duration::from_millis(50),
};
/// Nothing that happens here takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// An event as it came.
#[derive(Debug, PartialEq)]
struct Told {
    kind: String,
    id: Option<String>,
    data: Value,
}

/// Somebody who reads what they are told.
struct Reader {
    body: BodyDataStream,
    events: Vec<Told>,
    last_id: Option<String>,
}

impl Reader {
    fn new(body: Body) -> Self {
        Self { body: body.into_data_stream(), events: Vec::new(), last_id: None }
    }

    /// More of the stream; false at its end.
    async fn read(&mut self) -> bool {
        let piece = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("something is told");
        let Some(piece) = piece else { return false };
        let text = String::from_utf8(piece.unwrap().to_vec()).unwrap();
        for block in text.split_terminator("\n\n").filter(|block| !block.starts_with("retry:")) {
            let mut told = Told { kind: String::new(), id: None, data: Value::Null };
            for line in block.lines() {
                match line.split_once(": ").unwrap() {
                    ("event", kind) => told.kind = kind.into(),
                    ("id", id) => told.id = Some(id.into()),
                    ("data", data) => told.data = serde_json::from_str(data).unwrap(),
                    other => panic!("{other:?}"),
                }
            }
            self.events.push(told);
        }
        true
    }

    /// The next event that is no beat.
    async fn next(&mut self) -> Option<Told> {
        loop {
            while self.events.is_empty() {
                if !self.read().await {
                    return None;
                }
            }
            let told = self.events.remove(0);
            self.last_id = told.id.clone().or(self.last_id.take());
            if told.kind != "beat" {
                return Some(told);
            }
        }
    }

    /// The next event, as its kind and the name in it.
    async fn hears(&mut self) -> String {
        let Told { kind, data, .. } = self.next().await.expect("the stream goes on");
        format!("{kind} {}", data["name"].as_str().unwrap_or_default()).trim().to_owned()
    }
}

/// One who comes with the id of the last event that they had.
fn follow(house: &House, caller: Caller, last_id: Option<&str>) -> Reader {
    follow_at(house, caller, last_id, SHORT)
}

fn follow_at(house: &House, caller: Caller, last_id: Option<&str>, times: Times) -> Reader {
    let mut head = Request::new(()).into_parts().0;
    if let Some(id) = last_id {
        head.headers.insert(LAST_EVENT_ID, id.parse().unwrap());
    }
    Reader::new(Follower::new(house.app.clone(), &head, caller, times).into_body())
}

fn making(room: &str, name: &str, status: Status) -> Recording {
    Recording { id: format!("EG_{name}"), room_name: room.into(), status, ..Recording::named(name) }
}

async fn note(house: &House, recording: Recording) {
    house.app.library().note(recording).await.unwrap();
}

/// A house of which everything is known.
async fn settled(access: Access) -> House {
    let house = house(access).await;
    for _ in 0..2 {
        house.app.library().refresh().await.unwrap();
    }
    house
}

#[tokio::test]
async fn who_follows_is_told_what_the_list_says_and_what_is_deleted() {
    let house = settled(Access::Open).await;
    let response = house.ask(&Method::GET, "/events", &Shows::default(), &json!({})).await;
    assert_eq!(response.status(), StatusCode::OK);
    let said = |headers: &HeaderMap, name: &str| headers[name].to_str().unwrap().to_owned();
    assert_eq!(said(response.headers(), "content-type"), "text/event-stream");
    assert_eq!(said(response.headers(), "cache-control"), "no-store");
    assert_eq!(said(response.headers(), "x-accel-buffering"), "no");
    let mut reader = Reader::new(response.into_body());
    assert_eq!(reader.hears().await, "reload");
    let finishing = Recording { progress: Some(0.62), ..making("own", "new.mp4", Status::Finishing) };
    note(&house, finishing).await;
    let told = reader.next().await.unwrap();
    let list = "/recordings?status=finishing";
    let (_, listed) = house.answer(&Method::GET, list, &Shows::default(), &json!({})).await;
    assert_eq!((told.kind.as_str(), &told.data), ("recording.changed", &listed["recordings"][0]));
    assert_eq!(told.data["progress"], 0.62);
    house.app.library().delete("own.mp4").await.unwrap();
    let told = reader.next().await.unwrap();
    let gone = json!({ "id": "EG_own", "name": "own.mp4", "roomName": "own" });
    assert_eq!((told.kind.as_str(), told.data), ("recording.deleted", gone));
}

#[tokio::test]
async fn nobody_is_told_of_a_recording_that_their_list_does_not_have() {
    let house = settled(Access::Invite).await;
    let host = || Caller::Host { room: "own".into(), granted: Rights::NONE };
    let guest = Caller::Guest { room: "own".into(), granted: Rights::of(&[Right::List]) };
    // Nobody knows these callers in this house: they follow until they are asked anew.
    let times = Times { asked: Duration::from_secs(2), ..SHORT };
    let mut readers = [follow_at(&house, host(), None, times), follow_at(&house, guest, None, times)];
    for reader in &mut readers {
        assert_eq!(reader.hears().await, "reload");
    }
    note(&house, making("other", "a.mp4", Status::Recording)).await;
    note(&house, making("", "b.mp4", Status::Recording)).await;
    note(&house, making("own", "c.mp4", Status::Recording)).await;
    house.app.library().delete("other.mp4").await.unwrap();
    for reader in &mut readers {
        assert_eq!(reader.hears().await, "recording.changed c.mp4");
    }
    for reader in &mut readers {
        assert_eq!(reader.hears().await, "over");
        assert_eq!(reader.next().await, None);
    }
    let viewer = Caller::Viewer { recording: "own.mp4".into(), granted: Rights::ALL };
    let visible = |name: &str, room: &str| is_seen(reach(&viewer, Right::List), name, room);
    assert!(visible("own.mp4", "own") && visible("own.mp4", "") && !visible("c.mp4", "own"));
}

#[tokio::test]
async fn who_may_not_both_follow_and_list_is_refused() {
    let house = owned(Access::Invite).await;
    for (words, status) in [(&["observe", "list"][..], 200), (&["observe"][..], 403), (&["list"][..], 403)] {
        let key = Shows::key(&house.key(words));
        assert_eq!(house.status(&Method::GET, "/events", &key, &json!({})).await, status, "{words:?}");
    }
    assert_eq!(house.status(&Method::GET, "/events", &Shows::default(), &json!({})).await, 401);
}

#[tokio::test]
async fn who_comes_again_misses_nothing_or_is_told_to_read_the_list() {
    let house = settled(Access::Open).await;
    let mut reader = follow(&house, Caller::Everybody, None);
    assert_eq!(reader.hears().await, "reload");
    note(&house, making("own", "a.mp4", Status::Starting)).await;
    assert_eq!(reader.hears().await, "recording.changed a.mp4");
    let last_id = reader.last_id.clone().unwrap();
    drop(reader);
    note(&house, making("own", "b.mp4", Status::Starting)).await;
    note(&house, making("own", "a.mp4", Status::Recording)).await;
    let mut again = follow(&house, Caller::Everybody, Some(&last_id));
    assert_eq!(again.hears().await, "recording.changed b.mp4");
    assert_eq!(again.hears().await, "recording.changed a.mp4");
    // Where nothing happened nothing is told, and the server is heard all the same.
    let last_id = again.last_id.clone().unwrap();
    let mut quiet = follow(&house, Caller::Everybody, Some(&last_id));
    assert!(quiet.read().await && quiet.events.is_empty());
    assert!(quiet.read().await && quiet.events[0].kind == "beat");
    assert_eq!(quiet.events[0].id.as_deref(), Some(last_id.as_str()));
    // Of another run, and none at all.
    for id in ["0000000000000000-1", "x"] {
        assert_eq!(follow(&house, Caller::Everybody, Some(id)).hears().await, "reload", "{id}");
    }
}

#[tokio::test]
async fn who_does_not_read_costs_nothing_and_is_told_to_read_the_list_in_the_end() {
    let house = settled(Access::Open).await;
    let mut slow = follow(&house, Caller::Everybody, None);
    assert_eq!(slow.hears().await, "reload");
    for number in 0..=CHANGES_AT_ONCE {
        note(&house, making("own", &format!("{number}.mp4"), Status::Recording)).await;
    }
    assert_eq!(slow.hears().await, "reload", "more than it is told at once");
    for number in 0..CHANGES_AT_ONCE {
        note(&house, making("own", &format!("{number}.mp4"), Status::Finishing)).await;
    }
    let mut heard = Vec::new();
    while heard.len() < CHANGES_AT_ONCE {
        heard.push(slow.hears().await);
    }
    assert!(heard.iter().all(|told| told.starts_with("recording.changed")), "{heard:?}");
    let long = Recording {
        error: Some("x".repeat(CHANGES_AT_ONCE_BYTES)),
        ..making("own", "long.mp4", Status::Recording)
    };
    note(&house, long).await;
    assert_eq!(slow.hears().await, "reload", "it is longer than what is told at once");
    assert!(size_of::<Follower>() < 2048, "{} bytes for each who follows", size_of::<Follower>());
}

#[tokio::test]
async fn a_stream_ends_with_the_session_or_the_key_by_which_it_was_opened_and_says_so() {
    let house = owned(Access::Invite).await;
    let session = house.signed_in();
    let key = house.key(&["observe", "list"]);
    for shows in [Shows::of(&session), Shows::key(&key)] {
        let response = house.ask(&Method::GET, "/events", &shows, &json!({})).await;
        let mut reader = Reader::new(response.into_body());
        assert_eq!(reader.hears().await, "reload");
        if shows.session.is_some() {
            let id = house.app.accounts().sessions(crate::clock::now()).remove(0).id;
            house.app.accounts().end_session(&id).unwrap();
        } else {
            let id = house.app.accounts().keys().remove(0).id;
            house.app.accounts().revoke_key(&id, crate::clock::now()).unwrap();
        }
        note(&house, making("own", "a.mp4", Status::Recording)).await;
        let mut last = reader.next().await.unwrap();
        while let Some(told) = reader.next().await {
            last = told;
        }
        assert_eq!(last.kind, "over");
        assert!(last.data["errorMessage"].as_str().is_some_and(|text| !text.is_empty()), "{last:?}");
        assert_eq!(house.status(&Method::GET, "/events", &shows, &json!({})).await, 401);
    }
}

#[tokio::test]
async fn a_stream_of_whoever_came_by_a_link_goes_on_as_long_as_the_link_and_ends_when_it_is_revoked() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let (status, room) =
        house.answer(&Method::POST, "/rooms", &owner, &json!({ "name": "own", "guests": ["list"] })).await;
    assert_eq!(status, 200, "{room}");
    for link in room["links"].as_array().unwrap() {
        let role = link["role"].as_str().unwrap();
        let secret = link["path"].as_str().unwrap().strip_prefix("/join#").unwrap();
        let mut head = Request::new(()).into_parts().0;
        head.headers.insert(LINK, secret.parse().unwrap());
        let caller = house.app.caller(&head).await.unwrap();
        let follower = Follower::new(house.app.clone(), &head, caller, SHORT);
        let mut reader = Reader::new(follower.into_body());
        assert_eq!(reader.hears().await, "reload");
        // Who they are is asked more than once meanwhile.
        tokio::time::sleep(SHORT.asked * 4).await;
        let name = format!("{role}.mp4");
        note(&house, making("own", &name, Status::Recording)).await;
        loop {
            let told = reader.next().await.unwrap();
            assert_eq!(told.kind, "recording.changed", "{role} {told:?}");
            if told.data["name"] == name.as_str() {
                break;
            }
        }
        let path = format!("/rooms/own/links/{role}");
        assert_eq!(house.status(&Method::DELETE, &path, &owner, &json!({})).await, 200);
        let mut last = reader.next().await.unwrap();
        while let Some(told) = reader.next().await {
            last = told;
        }
        assert_eq!(last.kind, "over", "{role}");
    }
}

#[tokio::test]
async fn a_stream_ends_when_the_program_stops_and_none_begins_then() {
    let house = settled(Access::Open).await;
    let mut reader = follow(&house, Caller::Everybody, None);
    assert_eq!(reader.hears().await, "reload");
    house.app.shutdown().await;
    assert_eq!(reader.next().await, None);
    assert_eq!(house.status(&Method::GET, "/events", &Shows::default(), &json!({})).await, 503);
}
