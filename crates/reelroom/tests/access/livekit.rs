//! LiveKit's own APIs: Twirp and `/agent` by a token of the API secret, `/rtc` by a token that `POST /token` gave, and none by anything else.

use axum::http::Method;
use reelroom::routes::table;
use reelroom_access::{Caller, Resource, Right, grants, may};
use reelroom_protocol::ids::RoomName;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::signal_response;
use reelroom_protocol::token::{Claims, VideoGrants, mint, verify};
use reelroom_routes::{Needs, Proof};
use serde_json::{Value, json};

use crate::common::now_s;
use crate::common::signal::{Client, Join, KEY};
use crate::common::worker::Worker;
use crate::stage::{Asker, Mode, ROOMS, Stage};

/// The last part of the path of a row for whatever other method.
const ANY_METHOD: &str = "{method}";

fn keys() -> ApiKeys {
    ApiKeys::new(KEY.0, KEY.1)
}

/// A token of the API secret.
fn of_secret(video: VideoGrants) -> String {
    mint(&keys(), Claims { sub: "app".into(), exp: now_s() + 600, video: Some(video), ..Claims::default() })
}

/// What a method of Twirp needs a token to grant; `None` for one that is not known here.
fn needed(method: &str) -> Option<VideoGrants> {
    let none = VideoGrants::default();
    Some(match method {
        "CreateRoom" | "DeleteRoom" => VideoGrants { room_create: true, ..none },
        "ListRooms" => VideoGrants { room_list: true, ..none },
        "ListParticipants"
        | "GetParticipant"
        | "RemoveParticipant"
        | "MutePublishedTrack"
        | "UpdateParticipant"
        | "UpdateSubscriptions"
        | "UpdateRoomMetadata"
        | "SendData"
        | "ForwardParticipant"
        | "MoveParticipant"
        | "PerformRpc"
        | "CreateDispatch"
        | "DeleteDispatch"
        | "ListDispatch" => VideoGrants { room_admin: true, room: ROOMS[0].into(), ..none },
        "StartRoomCompositeEgress" | "ListEgress" | "StopEgress" | "UpdateLayout" | "StartWebEgress" => {
            VideoGrants { room_record: true, ..none }
        }
        _ => return None,
    })
}

/// Of everybody who may join a room: a token for it.
async fn token(stage: &Stage, asker: &Asker, room: &str) -> Option<String> {
    let said = json!({ "roomName": room, "participantName": "Ada" });
    let asked = stage.shown(asker, stage.house.program.post("/token", &said));
    let answer = asked.send().await.unwrap();
    if answer.status() != 200 {
        return None;
    }
    let answer: Value = answer.json().await.unwrap();
    Some(answer["token"].as_str().unwrap().to_owned())
}

/// As what a caller is shown to the others.
fn role(caller: &Caller) -> Option<&'static str> {
    match caller {
        Caller::Owner => Some("owner"),
        Caller::Host { .. } => Some("host"),
        Caller::Guest { .. } => Some("guest"),
        _ => None,
    }
}

async fn call(stage: &Stage, path: &str, shown: Option<&str>) -> u16 {
    let said = json!({
        "name": ROOMS[0],
        "room": ROOMS[0],
        "roomName": ROOMS[0],
        "identity": "Ada",
        "egressId": "EG_nobody",
        "fileOutputs": [{ "filepath": "recordings/a.mp4" }],
    });
    let request = stage.house.program.post(path, &said);
    let request = match shown {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_method_of_twirp_takes_a_token_of_the_api_secret_that_grants_it_and_no_other() {
    let stage = Stage::new(Mode::Invite).await;
    let program = &stage.house.program;
    let mut participants = Vec::new();
    for asker in &stage.askers {
        for room in ROOMS {
            participants.extend(token(&stage, asker, room).await.map(|token| (asker.name.as_str(), token)));
        }
    }
    assert!(participants.len() > 6, "the owner, keys, hosts and guests");
    let mut count = 0;
    for row in table().into_iter().filter(|row| row.needs == Needs::Proof(Proof::ApiToken)) {
        assert_eq!(row.method, Some(Method::POST), "{}", row.path);
        let path = row.path.replace(ANY_METHOD, "StartWebEgress");
        let method = path.rsplit('/').next().unwrap();
        let wanted = needed(method).unwrap_or_else(|| {
            panic!("{path} is new: tests/access/livekit.rs has to know which grant it needs")
        });
        let allowed = call(&stage, &path, Some(&of_secret(wanted.clone()))).await;
        assert!(![401, 403].contains(&allowed), "{path} with its grant: {allowed}");

        // All others, but for the room: one admin of a room is no admin of another.
        let other = VideoGrants {
            room_create: !wanted.room_create,
            room_list: !wanted.room_list,
            room_record: !wanted.room_record,
            room_admin: true,
            room_join: true,
            room: ROOMS[1].into(),
            ..VideoGrants::default()
        };
        let is_of_any_room = ["ForwardParticipant", "MoveParticipant", "PerformRpc"].contains(&method);
        let other = VideoGrants { room_admin: !is_of_any_room, ..other };
        let claims =
            |exp| Claims { sub: "app".into(), exp, video: Some(wanted.clone()), ..Claims::default() };
        let mut shown = vec![
            ("no token".to_owned(), None),
            ("all but its grant".to_owned(), Some(of_secret(other))),
            ("a token that is over".to_owned(), Some(mint(&keys(), claims(now_s() - 600)))),
            (
                "a token of another secret".to_owned(),
                Some(mint(&ApiKeys::new(KEY.0, "another secret that is long enough"), claims(now_s() + 600))),
            ),
            (
                "a token of another key".to_owned(),
                Some(mint(&ApiKeys::new("another", KEY.1), claims(now_s() + 600))),
            ),
        ];
        for (name, token) in &participants {
            shown.push((format!("the participant's token of {name}"), Some(token.clone())));
        }
        for (what, token) in shown {
            let status = call(&stage, &path, token.as_deref()).await;
            assert!([401, 403].contains(&status), "{path} with {what}: {status}");
        }
        for asker in &stage.askers {
            let request = stage.shown(asker, program.post(&path, &json!({})));
            let status = request.send().await.unwrap().status();
            assert_eq!(status, 401, "{path} by {}", asker.name);
        }
        count += 1;
    }
    assert!(count > 15, "{count} methods");
    stage.house.program.stop();
}

#[tokio::test]
async fn a_worker_of_agents_comes_by_a_token_of_the_api_secret_that_makes_it_one_and_by_nothing_else() {
    let stage = Stage::new(Mode::Invite).await;
    let program = &stage.house.program;
    let rows = table().into_iter().filter(|row| row.needs == Needs::Proof(Proof::WorkerToken));
    assert_eq!(rows.map(|row| row.path).collect::<Vec<_>>(), ["/agent"]);
    let worker = VideoGrants { agent: true, ..VideoGrants::default() };
    let all = VideoGrants {
        room_create: true,
        room_list: true,
        room_record: true,
        room_admin: true,
        ..VideoGrants::default()
    };
    let of_a_room = VideoGrants { room_join: true, room: ROOMS[0].into(), ..worker.clone() };
    let claims = |exp| Claims { exp, video: Some(worker.clone()), ..Claims::default() };
    let other = ApiKeys::new(KEY.0, "another secret that is long enough");
    let mut refused = vec![
        ("all but its grant".to_owned(), of_secret(all)),
        ("an agent's own token".to_owned(), of_secret(of_a_room)),
        ("a token that is over".to_owned(), mint(&keys(), claims(now_s() - 600))),
        ("a token of another secret".to_owned(), mint(&other, claims(now_s() + 600))),
        ("no token".to_owned(), String::new()),
    ];
    for asker in &stage.askers {
        let token = token(&stage, asker, ROOMS[0]).await;
        refused.extend(token.map(|token| (format!("the participant's token of {}", asker.name), token)));
    }
    for (what, token) in refused {
        let status = Worker::try_connect(program, &token).await.map(drop);
        assert_eq!(status, Err(401), "{what}");
    }
    assert!(Worker::try_connect(program, &of_secret(worker)).await.is_ok());
    let asked = program.get("/agent").send().await.unwrap();
    assert_eq!(asked.status(), 404, "it is for WebSockets alone");
    stage.house.program.stop();
}

async fn tokens_say_what_their_bearers_may(mode: Mode) {
    let stage = Stage::new(mode).await;
    let program = &stage.house.program;
    let paths: Vec<String> = table()
        .into_iter()
        .filter(|row| row.needs == Needs::Proof(Proof::RoomToken))
        .map(|row| row.path)
        .collect();
    let tried = ["/rtc", "/rtc/validate", "/rtc/v1", "/rtc/v1/validate"];
    assert_eq!(paths, tried, "a new one has to be tried below");
    for asker in &stage.askers {
        // What opens everything else opens no call by itself.
        for path in ["/rtc/validate", "/rtc/v1/validate", "/rtc/v1/validate?join_request="] {
            let bare = stage.shown(asker, program.get(path)).send().await.unwrap();
            assert_eq!(bare.status(), 401, "{path} by {}", asker.name);
        }
        for name in ROOMS {
            let room = RoomName::from(name);
            let caller = stage.caller(asker, true);
            let is_let_in = may(&caller, Right::Join, &Resource::Room(&room));
            let token = token(&stage, asker, name).await;
            assert_eq!(token.is_some(), is_let_in, "{} into {name}", asker.name);
            let Some(token) = token else { continue };
            joins_as_granted(&stage, asker, &caller, &room, &token).await;
        }
    }
    stage.house.program.stop();
}

/// A token says what its bearer may do there, and that is what they may do when they have joined by it.
async fn joins_as_granted(stage: &Stage, asker: &Asker, caller: &Caller, room: &RoomName, token: &str) {
    let (program, who) = (&stage.house.program, &asker.name);
    let claims = verify(&keys(), token, now_s()).unwrap();
    let granted = claims.video.unwrap();
    assert_eq!(Some(&granted), grants(caller, room).as_ref(), "{who}");
    assert!(!granted.room_admin && !granted.hidden && !granted.recorder && !granted.agent, "{who}");
    assert!(!granted.room_create && !granted.room_list && !granted.ingress_admin, "{who}");
    assert!(granted.room_join && granted.room == room.as_str() && granted.destination_room.is_empty());
    assert_eq!(granted.room_record, *caller == Caller::Everybody, "{who}: only where access is open");
    assert!(claims.kind.is_empty() && claims.metadata.is_empty(), "{who}");
    let said: Vec<_> =
        claims.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let role: Vec<_> = role(caller).map(|role| ("reelroom.role", role)).into_iter().collect();
    assert_eq!(said, role, "{who}: as what they come, and nothing else");
    if stage.mode == Mode::Invite {
        assert!(claims.exp <= now_s() + 600 && claims.serial == 1, "{who}: ten minutes, and one session");
    }
    for path in ["/rtc/validate?", "/rtc/v1/validate?join_request=&"] {
        let valid = program.get(&format!("{path}access_token={token}")).send().await.unwrap();
        assert_eq!(valid.status(), 200, "{path} by {who}");
    }
    // Whoever may describe themselves may do so in the address by which they join, and nobody else.
    let described = format!("/rtc/validate?access_token={token}&attributes=eyJhIjoiYiJ9");
    let described = program.get(&described).send().await.unwrap();
    let expected = if granted.may_update_own_metadata() { 200 } else { 401 };
    assert_eq!(described.status(), expected, "{who}");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let changed = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    for (shown, expected) in [(changed.as_str(), Err(401)), (token, Ok(()))] {
        let joining = Join { token: Some(shown), ..Join::default() };
        let joined = Client::try_join(program, joining).await;
        assert_eq!(joined.as_ref().map(drop).map_err(|status| *status), expected, "{who}");
        let Ok(mut client) = joined else { continue };
        let Some(signal_response::Message::Join(told)) = client.next().await else {
            panic!("{who} is not let in")
        };
        assert_eq!(told.room.unwrap().name, room.as_str(), "{who}");
        assert_eq!(told.participant.unwrap().permission, Some(granted.permission()), "{who}");
    }
}

#[tokio::test]
async fn by_invitation_a_token_is_for_those_who_may_join_and_says_what_they_may() {
    tokens_say_what_their_bearers_may(Mode::Invite).await;
}

#[tokio::test]
async fn where_access_is_open_a_token_is_for_everybody_and_makes_nobody_an_admin() {
    tokens_say_what_their_bearers_may(Mode::Open).await;
}
