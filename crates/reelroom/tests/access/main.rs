//! Who may do what, asked of the real program: every row of the table of routes, by everybody, about their own room and another one.
//!
//! ```text
//!   routes::table() x askers x rooms ─┬─► a request to the program ─► let in, 401 or 403 ─┐
//!                                     └─► access::may ────────────────────────────────────┴─► the same
//! ```

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod livekit;
mod requests;
mod stage;

use reelroom::routes::table;
use reelroom_access::{Caller, Reach, RecordingName, Resource, Right, may, reach};
use reelroom_protocol::ids::RoomName;
use reelroom_routes::{Needs, On, Proof, Row};
use reqwest::Method;
use serde_json::json;

use requests::{Ask, signed_webhook};
use stage::{Asker, Mode, ROOMS, Shows, Stage, Target};

/// Whoever has no proof is told so in one of these ways: 410 a link is none, 429 too many were wrong.
const WITHOUT_PROOF: [u16; 4] = [401, 403, 410, 429];

/// Whether a caller may have what is asked for.
fn is_let_in(needs: Needs, ask: &Ask, asker: &Asker, caller: &Caller, target: &Target) -> bool {
    let (room, name) = (RoomName::from(target.room), RecordingName::from(target.recording.as_str()));
    let recording = Resource::Recording { name: &name, room: Some(&room) };
    let has = |right: Right, on: On| match on {
        On::Server => may(caller, right, &Resource::Server),
        On::Room => may(caller, right, &Resource::Room(&room)),
        On::Recording => may(caller, right, &recording),
        On::Reach if ask.names_room => may(caller, right, &Resource::Room(&room)),
        On::Reach => reach(caller, right) != Reach::Nothing,
    };
    match needs {
        Needs::Public | Needs::Details(_) => true,
        Needs::Right(right, on) | Needs::RightOrProof(right, on, _) => {
            has(right, on)
                && ask.also.iter().all(|right| has(*right, on))
                && (!ask.is_of_session || matches!(asker.shows, Shows::Owner))
        }
        // Of what is asked for without any other proof, whoever watches has one for their own link.
        Needs::Proof(proof) => proof == Proof::ShareTicket && asker.watches.as_ref() == Some(&target.watched),
    }
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a status is that of a refusal of who asks.
fn is_refused(status: u16, needs: Needs) -> bool {
    match needs {
        // There is no provider here, and so nobody who could prove it.
        Needs::Proof(Proof::OpenId) => status == 404,
        Needs::Proof(_) => WITHOUT_PROOF.contains(&status),
        _ => [401, 403].contains(&status),
    }
}

/// Asks for a row as everybody, and says where that did not come out as `access` has it.
async fn ask_as_everybody(stage: &mut Stage, row: &Row, wrong: &mut Vec<String>) {
    let method = row.method.clone().unwrap_or(Method::GET);
    for room in 0..ROOMS.len() {
        for number in 0..stage.askers.len() {
            let target = stage.target(room);
            let ask = requests::of(row, &target).unwrap_or_else(|| {
                panic!("{method} {} is new: tests/access/requests.rs needs a request for it", row.path)
            });
            stage.house.stay_signed_in().await;
            let asker = &stage.askers[number];
            let caller = stage.caller(asker, changes(&method));
            let expected = is_let_in(row.needs, &ask, asker, &caller, &target);
            let mut request = stage.house.program.request(method.clone(), &ask.path);
            for (name, value) in &ask.headers {
                request = request.header(*name, value);
            }
            if let Some(body) = &ask.body {
                request = request.json(body);
            }
            let status = stage.shown(asker, request).send().await.unwrap().status().as_u16();
            let what = || format!("{method} {} by {}: {status}", ask.path, asker.name);
            if is_refused(status, row.needs) == expected {
                wrong.push(format!("{}, and {}", what(), if expected { "they may" } else { "they may not" }));
            } else if status >= 500 {
                wrong.push(what());
            } else if !expected && matches!(row.needs, Needs::Right(..) | Needs::RightOrProof(..)) {
                // Who has shown something is not asked to show it again.
                let is_nobody = caller == Caller::Nobody && !matches!(asker.shows, Shows::Forged);
                if (status == 401) != is_nobody {
                    wrong.push(format!("{}, which tells them the wrong thing", what()));
                }
            }
            if ask.spends && expected {
                stage.spend(room);
            }
        }
    }
}

async fn ask_for_everything(mode: Mode) -> Stage {
    let mut stage = Stage::new(mode).await;
    let mut wrong = Vec::new();
    let mut count = 0;
    for row in table() {
        // What LiveKit's APIs look at has tests of its own: `livekit`.
        if matches!(row.needs, Needs::Proof(Proof::ApiToken | Proof::RoomToken | Proof::WorkerToken)) {
            continue;
        }
        ask_as_everybody(&mut stage, &row, &mut wrong).await;
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} rows:\n{}", wrong.len(), wrong.join("\n"));
    stage
}

#[tokio::test]
async fn by_invitation_each_row_lets_in_whom_access_lets_in_and_nobody_else() {
    let stage = ask_for_everything(Mode::Invite).await;
    stage.house.program.stop();
}

#[tokio::test]
async fn where_access_is_open_everybody_is_let_in_but_to_what_its_owner_manages() {
    let stage = ask_for_everything(Mode::Open).await;
    stage.house.program.stop();
}

#[tokio::test]
async fn what_proves_itself_needs_nothing_else_and_what_looks_like_it_proves_nothing() {
    let mut stage = Stage::new(Mode::Invite).await;
    let target = stage.target(0);
    let path = format!("/recordings/{}/url", target.recording);
    let told = stage.house.own(Method::GET, &path, &json!({})).await;
    let link = told["recordingUrl"].as_str().unwrap().to_owned();
    let (before, signature) = link.rsplit_once("signature=").unwrap();
    let forged = format!("{before}signature={}", "0".repeat(signature.len()));
    let other = link.replace(&target.recording, &stage.target(1).recording);
    let (signature, body) = signed_webhook();
    for asker in &stage.askers {
        for (url, expected) in [(&link, 206), (&forged, 403), (&other, 403)] {
            let asked = stage.house.program.get(url).header("range", "bytes=0-9");
            let answer = stage.shown(asker, asked).send().await.unwrap();
            assert_eq!(answer.status(), expected, "{url} by {}", asker.name);
        }
        // A key stands where the signature would.
        let hook = stage.house.program.request(Method::POST, "/livekit/webhook");
        let hook = stage.shown(asker, hook.body(body.clone()));
        assert_eq!(hook.send().await.unwrap().status(), 401, "{}", asker.name);
    }
    let hook = stage.house.program.request(Method::POST, "/livekit/webhook").body(body);
    let hook = hook.header("authorization", signature);
    assert_eq!(hook.send().await.unwrap().status(), 200, "the signature is enough");
    stage.house.program.stop();
}
