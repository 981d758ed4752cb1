use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::{CreateRoomRequest, UpdateParticipantRequest, participant_info};
use reelroom_protocol::token::VideoGrants;
use reelroom_sfu::{Joining, Now, Room};

use super::*;
use crate::error::MediaError;
use crate::mux::addresses::MediaListen;
use crate::rooms::Crowd;
use crate::server::{MediaConfig, MediaServer};

const WITHIN: Duration = Duration::from_secs(60);

async fn server() -> MediaServer {
    MediaServer::start(MediaConfig {
        keys: ApiKeys::new("key", "a secret that is long enough to be one"),
        listen: MediaListen::At(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        udp_port: 0,
        advertise: Vec::new(),
        advertise_names: Vec::new(),
        passage: crate::Passage::default(),
        webhook_urls: Vec::new(),
        crowd: Crowd::default(),
    })
    .await
    .unwrap()
}

fn asked(name: &str, metadata: &str) -> CreateRoomRequest {
    CreateRoomRequest { name: name.into(), metadata: metadata.into(), ..Default::default() }
}

/// Ada, by an app's token.
fn ada(room: &mut Room, now: Now) -> ParticipantSid {
    let sid = ParticipantSid::from("PA_ada");
    let joining = Joining {
        sid: sid.clone(),
        identity: "ada".into(),
        ticket: Ticket::default(),
        serial: 0,
        issued_unix_s: 0,
        is_server: false,
        name: "Ada".into(),
        metadata: String::new(),
        attributes: BTreeMap::new(),
        grants: VideoGrants::default(),
        kind: participant_info::Kind::Standard,
        auto_subscribe: true,
        client: Default::default(),
        kind_details: Vec::new(),
    };
    room.join(joining, now).unwrap();
    sid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_goes_on_in_the_next_run_and_only_in_that() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("restart.json");
    let first = server().await;
    first.rooms().create(&asked("room", "of the first run")).await.unwrap();
    let rename = |room: &mut Room, now| {
        let sid = ada(room, now);
        let request = UpdateParticipantRequest { name: "Ada L.".into(), ..Default::default() };
        room.update_participant(&sid, &request, now).unwrap();
    };
    first.rooms().with(&"room".into(), rename).await.unwrap();
    first.gate().removed(&"room".into(), &Ticket::default(), &"eve".into(), 7);
    first.hand_over(&file).await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, MODE);

    let second = server().await;
    second.take_up(&file, WITHIN).await;
    assert!(!file.exists(), "it is used once");
    let found = second.rooms().create(&asked("room", "of the second run")).await.unwrap();
    assert_eq!(found.metadata, "of the first run");
    let named = |room: &mut Room, now: Now| {
        let sid = ada(room, now);
        room.participant_info(&sid).unwrap().name
    };
    assert_eq!(second.rooms().with(&"room".into(), named).await.unwrap(), "Ada L.");
    assert_eq!(second.gate().kept(Instant::now()).0.len(), 1);
    second.rooms().delete(&"room".into()).await.unwrap();
    let anew = second.rooms().create(&asked("room", "anew")).await.unwrap();
    assert_eq!(anew.metadata, "anew", "that life of the room is over");
    second.shutdown().await;

    let third = server().await;
    third.take_up(&file, WITHIN).await;
    assert_eq!(third.rooms().create(&asked("room", "of the third")).await.unwrap().metadata, "of the third");
    third.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_nobody_opened_again_is_handed_over_once_more_and_lasts_as_long_as_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("restart.json");
    let first = server().await;
    for name in ["room", "deleted"] {
        first.rooms().create(&asked(name, "of the first run")).await.unwrap();
    }
    first.hand_over(&file).await;
    let second = server().await;
    second.take_up(&file, Duration::ZERO).await;
    let gone = second.rooms().delete(&"deleted".into()).await;
    assert!(matches!(gone, Err(MediaError::NoRoom(_))), "it is not open");
    second.hand_over(&file).await;

    let third = server().await;
    third.take_up(&file, Duration::ZERO).await;
    let metadata = async |name| third.rooms().create(&asked(name, "new")).await.unwrap().metadata;
    assert_eq!(metadata("room").await, "of the first run");
    assert_eq!(metadata("deleted").await, "new");
    third.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_that_are_open_go_on_and_no_other_opens() {
    let server = server().await;
    server.rooms().create(&asked("room", "")).await.unwrap();
    server.rooms().open_no_more();
    server.rooms().create(&asked("room", "")).await.unwrap();
    assert!(!server.rooms().is_closing(&"room".into()) && server.rooms().is_closing(&"other".into()));
    let refused = server.rooms().create(&asked("other", "")).await;
    assert!(matches!(refused, Err(MediaError::Restarting)));
    assert_eq!(server.rooms().count(), 1);
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_for_which_recordings_wait_is_shown_as_recorded_until_none_waits() {
    let server = server().await;
    let name = "room".into();
    server.rooms().expect_recorder(&name);
    server.rooms().expect_recorder(&name);
    let is_recorded = async || server.rooms().list(&["room".into()]).await[0].active_recording;
    server.rooms().create(&asked("room", "")).await.unwrap();
    assert!(is_recorded().await);
    server.rooms().expect_recorder_no_more(&name).await;
    assert!(is_recorded().await, "one waits still");
    server.rooms().expect_recorder_no_more(&name).await;
    assert!(!is_recorded().await);
    server.shutdown().await;
}

fn handed(rooms: Vec<KeptRoom>) -> HandedOver {
    HandedOver {
        format: FORMAT,
        unix_ms: 1,
        rooms,
        removals: Vec::new(),
        spent: Vec::new(),
        agents: Vec::new(),
    }
}

#[test]
fn of_rooms_that_do_not_fit_texts_are_left_out_first_and_the_rest_is_whole() {
    let kept = |number: usize| {
        let text = "x".repeat(if number == 4 { 1 } else { HAND_OVER_BYTES / 4 });
        let options = reelroom_sfu::RoomOptions {
            name: format!("room {number}").into(),
            metadata: text,
            ..Default::default()
        };
        Room::new(options, now()).kept()
    };
    let bytes = within_bounds(handed((0..5).map(kept).collect()));
    assert!(bytes.len() <= HAND_OVER_BYTES, "{}", bytes.len());
    let found: HandedOver = serde_json::from_slice(&bytes).unwrap();
    let metadata = |room: &KeptRoom| room.reopens(reelroom_sfu::RoomOptions::default()).metadata.len();
    assert_eq!(found.rooms.len(), 5, "that a room asks for consent is known of all");
    assert_eq!(metadata(&found.rooms[4]), 1, "those that need little come first");
    assert_eq!(found.rooms.iter().filter(|room| metadata(room) > 1).count(), 3);
}

#[test]
fn who_may_do_what_is_kept_of_a_room_that_its_guests_have_filled_with_text() {
    let mut room = Room::new(reelroom_sfu::RoomOptions { name: "room".into(), ..Default::default() }, now());
    let sid = ada(&mut room, now());
    let attributes = (0..2).map(|number| (format!("{number}"), "\u{1}".repeat(30_000))).collect();
    let mut request = UpdateParticipantRequest { attributes, ..Default::default() };
    request.permission.get_or_insert_default().can_subscribe = true;
    room.update_participant(&sid, &request, now()).unwrap();
    let full = room.kept();
    assert!(json(&full).len() > 300_000, "a control character is six in the file");
    // So many that a few texts of them fill it.
    let rooms = HAND_OVER_BYTES / json(&full).len() * 2;
    let bytes = within_bounds(handed(vec![full; rooms]));
    assert!(bytes.len() <= HAND_OVER_BYTES, "{}", bytes.len());
    let found: HandedOver = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(found.rooms.len(), rooms);
    for kept in found.rooms {
        let mut next = Room::new(kept.reopens(reelroom_sfu::RoomOptions::default()), now());
        next.go_on(kept);
        let sid = ada(&mut next, now());
        let shown = next.participant_info(&sid).unwrap();
        assert!(!shown.permission.unwrap().can_publish, "what was taken from her stays taken");
    }
}

#[test]
fn a_file_that_is_none_is_gone_and_nothing_comes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("restart.json");
    assert!(read_once(&file).unwrap().is_none(), "there is none");
    for text in ["", "{", "[]", "{\"format\":1}"] {
        std::fs::write(&file, text).unwrap();
        assert!(read_once(&file).is_err(), "{text}");
        assert!(!file.exists());
    }
    let other = HandedOver { format: FORMAT + 1, ..handed(Vec::new()) };
    write_file(&file, &json(&other)).unwrap();
    assert!(read_once(&file).unwrap().is_none(), "of a version that is not known here");
}
