//! Recordings of a real media server's rooms, through the API; the composer is a shell script and the shelf a folder.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use common::{call, keys, may_record, media, now_unix_s};
use reelroom_egress::{Egress, EgressConfig, Shelf, ShelfError};
use reelroom_library::{Manifest, Publication, Published, S3Config};
use reelroom_media::MediaServer;
use reelroom_protocol::ids::ParticipantSid;
use reelroom_protocol::proto::{
    AddTrackRequest, CreateRoomRequest, TrackType, encryption, participant_info, signal_request,
};
use reelroom_protocol::token::VideoGrants;
use reelroom_protocol::webhook;
use reelroom_sfu::{Joining, Now, Room};
use serde_json::{Value, json};

const ROOM: &str = "Büro / 会議";
/// Waits for the end of the take, as `--follow` does, and writes a file.
const GOOD: &str = r#"
until grep -q '"event":"ended"' "$1/events.jsonl"; do sleep 0.05; done
printf 'an mp4' > "$3"
echo '{"state":"composing","position_ns":1,"available_ns":2,"ended_ns":null}'
echo '{"state":"done","duration_ns":1234000000,"size_bytes":6}'
"#;

/// A store in memory that refuses the first few.
#[derive(Default)]
struct TestShelf {
    refusals: Mutex<u32>,
    stored: Mutex<BTreeMap<String, Stored>>,
    /// Files of others, of which the store tells only when one is stored.
    hidden: Mutex<Vec<String>>,
    /// Keys and ids of recordings that somebody deleted.
    deleted: Mutex<Vec<(String, String)>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Stored {
    content: Vec<u8>,
    room_name: String,
    recovered: bool,
    lost_ns: u64,
}

impl TestShelf {
    fn stored(&self) -> BTreeMap<String, Stored> {
        self.stored.lock().unwrap().clone()
    }
}

#[async_trait]
impl Shelf for TestShelf {
    async fn publish(&self, recording: &Publication<'_>) -> Result<Published, ShelfError> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(ShelfError::Failed("no bucket".into()));
        }
        if self.hidden.lock().unwrap().iter().any(|key| key == recording.key) {
            return Err(ShelfError::Taken);
        }
        let stored = Stored {
            content: fs::read(recording.file).unwrap(),
            room_name: recording.room_name.into(),
            recovered: recording.recovered,
            lost_ns: recording.lost_ns,
        };
        self.stored.lock().unwrap().insert(recording.key.into(), stored);
        Ok(Published { location: format!("/store/{}", recording.key), ..Published::default() })
    }

    async fn deliver(
        &self,
        recording: &Publication<'_>,
        bucket: &S3Config,
        manifest: Manifest,
    ) -> Result<Published, ShelfError> {
        if bucket.secret_key.as_deref() != Some("right") {
            return Err(ShelfError::Failed("denied".into()));
        }
        let location = format!("{}/{}", bucket.bucket, recording.key);
        let stored = Stored {
            content: fs::read(recording.file).unwrap(),
            room_name: recording.room_name.into(),
            recovered: recording.recovered,
            lost_ns: recording.lost_ns,
        };
        self.stored.lock().unwrap().insert(location.clone(), stored);
        let sidecar_location = if manifest == Manifest::Beside { "beside it".into() } else { String::new() };
        Ok(Published { location, sidecar_location })
    }

    async fn has(&self, key: &str) -> Result<bool, ShelfError> {
        Ok(self.stored.lock().unwrap().contains_key(key))
    }

    async fn is_deleted(&self, key: &str, egress_id: &str) -> Result<bool, ShelfError> {
        Ok(self.deleted.lock().unwrap().contains(&(key.to_owned(), egress_id.to_owned())))
    }
}

struct Bench {
    root: tempfile::TempDir,
    media: MediaServer,
    egress: Egress,
    shelf: Arc<TestShelf>,
}

impl Bench {
    async fn new(composer: &str) -> Self {
        Self::with(composer, |_| {}).await
    }

    async fn with(composer: &str, set: fn(&mut EgressConfig)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let media = media(ROOM).await;
        let shelf = Arc::new(TestShelf::default());
        let egress = start_with(&root.path().join("data"), composer, &media, &shelf, set).await;
        Self { root, media, egress, shelf }
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn takes(&self) -> Vec<PathBuf> {
        fs::read_dir(self.data().join("takes")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    async fn call(&self, method: &str, body: Value) -> Result<Value, (StatusCode, Value)> {
        call(&self.egress, method, body, may_record()).await
    }

    async fn record(&self) -> Value {
        self.call("StartRoomCompositeEgress", start_request()).await.unwrap()
    }

    async fn stop(&self, id: &str) -> Value {
        self.call("StopEgress", json!({ "egressId": id })).await.unwrap()
    }

    async fn is_recorded(&self) -> bool {
        self.media.rooms().list(&[ROOM.into()]).await[0].active_recording
    }
}

/// A recorder with a script for a composer; `$1` is the take and `$3` the file.
async fn start(data: &Path, composer: &str, media: &MediaServer, shelf: &Arc<TestShelf>) -> Egress {
    start_with(data, composer, media, shelf, |_| {}).await
}

async fn start_with(
    data: &Path,
    composer: &str,
    media: &MediaServer,
    shelf: &Arc<TestShelf>,
    set: fn(&mut EgressConfig),
) -> Egress {
    let command = ["sh", "-c", composer, "composer"].map(OsString::from).to_vec();
    let mut config = EgressConfig {
        finish_within: Duration::from_millis(300),
        upload_backoff: Duration::from_millis(20),
        ..EgressConfig::new(data, command)
    };
    set(&mut config);
    Egress::start(config, media.clone(), Arc::clone(shelf) as Arc<dyn Shelf>).await.unwrap()
}

fn start_request() -> Value {
    json!({ "roomName": ROOM, "fileOutputs": [{ "filepath": "recordings/{room_name}-{room_id}", "fileType": "MP4" }] })
}

fn id(info: &Value) -> String {
    info["egress_id"].as_str().unwrap().to_owned()
}

/// Proto3 JSON leaves out a zero.
fn status(info: &Value) -> &str {
    info["status"].as_str().unwrap_or("EGRESS_STARTING")
}

async fn until(egress: &Egress, id: &str, wanted: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let grants = may_record();
        let list = call(egress, "ListEgress", json!({ "egressId": id }), grants).await.unwrap();
        let info = list["items"][0].clone();
        if status(&info) == wanted {
            return info;
        }
        assert!(Instant::now() < deadline, "waited for {wanted}: {info}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_started_stopped_and_stored() {
    let bench = Bench::new(GOOD).await;
    let (hook, events) = webhooks().await;
    bench.media.webhooks().add_url(hook);
    let info = bench.record().await;
    assert_eq!(status(&info), "EGRESS_STARTING");
    let filename = info["file_results"][0]["filename"].as_str().unwrap().to_owned();
    assert!(filename.starts_with("recordings/Büro - 会議-RM_") && filename.ends_with(".mp4"), "{filename}");
    assert!(bench.is_recorded().await, "at once");
    let info = until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    assert!(info["file_results"][0]["started_at"].is_string());
    let stopped = bench.stop(&id(&info)).await;
    assert_eq!(
        (status(&stopped), stopped["details"].as_str()),
        ("EGRESS_ENDING", Some("End reason: StopEgress API"))
    );
    let info = until(&bench.egress, &id(&info), "EGRESS_COMPLETE").await;
    assert!(!bench.is_recorded().await);
    let file = &info["file_results"][0];
    assert_eq!((file["duration"].as_str(), file["size"].as_str()), (Some("1234000000"), Some("6")));
    assert_eq!(file["location"].as_str().unwrap(), format!("/store/{filename}"));
    let stored = bench.shelf.stored();
    let expected =
        Stored { content: b"an mp4".to_vec(), room_name: ROOM.into(), recovered: false, lost_ns: 0 };
    assert_eq!(stored.get(&filename), Some(&expected));
    let refused = bench.call("StopEgress", json!({ "egressId": id(&info) })).await.unwrap_err();
    assert_eq!(refused.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(refused.1["msg"], "egress with status EGRESS_COMPLETE cannot be stopped");
    bench.egress.shutdown().await;
    assert!(bench.takes().is_empty(), "what is stored is not kept twice");
    bench.media.webhooks().flush(Duration::from_secs(5)).await;
    let events = events.lock().unwrap().clone();
    let told: Vec<_> = events.iter().filter(|(name, _)| name.starts_with("egress_")).cloned().collect();
    let expected = [
        ("egress_started", "EGRESS_STARTING"),
        ("egress_updated", "EGRESS_ACTIVE"),
        ("egress_updated", "EGRESS_ENDING"),
        ("egress_ended", "EGRESS_COMPLETE"),
    ];
    assert_eq!(told, expected.map(|(name, status)| (name.to_owned(), status.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layout_is_changed_while_it_is_recorded() {
    let bench = Bench::new(GOOD).await;
    let (hook, events) = webhooks().await;
    bench.media.webhooks().add_url(hook);
    let info = bench.record().await;
    let change =
        |layout: &str| bench.call("UpdateLayout", json!({ "egress_id": id(&info), "layout": layout }));
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    let changed = change("speaker-light").await.unwrap();
    let layout = |info: &Value| info["room_composite"]["layout"].as_str().unwrap_or_default().to_owned();
    assert_eq!(layout(&changed), "speaker-light");
    let refused = change("spiral").await.unwrap_err();
    assert_eq!((refused.0, &refused.1["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_argument")));
    let unknown =
        bench.call("UpdateLayout", json!({ "egressId": "EG_none", "layout": "grid" })).await.unwrap_err();
    assert_eq!((unknown.0, &unknown.1["msg"]), (StatusCode::NOT_FOUND, &json!("egress does not exist")));
    bench.stop(&id(&info)).await;
    let refused = change("grid").await.unwrap_err();
    assert_eq!(
        (refused.0, &refused.1["code"]),
        (StatusCode::PRECONDITION_FAILED, &json!("failed_precondition"))
    );
    let done = until(&bench.egress, &id(&info), "EGRESS_COMPLETE").await;
    assert_eq!(layout(&done), "speaker-light");
    bench.egress.shutdown().await;
    bench.media.webhooks().flush(Duration::from_secs(5)).await;
    let updates = events.lock().unwrap().iter().filter(|(name, _)| name == "egress_updated").count();
    assert_eq!(updates, 3, "active, the layout, ending");
}

type Told = Arc<Mutex<Vec<(String, String)>>>;

/// A receiver of webhooks that verifies them.
async fn webhooks() -> (url::Url, Told) {
    async fn receive(State(told): State<Told>, headers: HeaderMap, body: Bytes) {
        let signature = headers[header::AUTHORIZATION].to_str().unwrap();
        let event = webhook::verify(&keys(), signature, &body, now_unix_s()).unwrap();
        let status = event.egress_info.map(|info| info.status().as_str_name().to_owned()).unwrap_or_default();
        told.lock().unwrap().push((event.event, status));
    }
    let told = Told::default();
    let app = Router::new().route("/", post(receive)).with_state(Arc::clone(&told));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_calls_are_refused_as_livekit_refuses_them() {
    let bench = Bench::new(GOOD).await;
    let refusal = async |method: &str, body: Value| {
        let (status, body) = bench.call(method, body).await.unwrap_err();
        (status.as_u16(), body["code"].as_str().unwrap().to_owned(), body["msg"].as_str().unwrap().to_owned())
    };
    let (status, code, text) =
        refusal("StartRoomCompositeEgress", json!({ "roomName": "none", "fileOutputs": [{}] })).await;
    assert_eq!((status, code.as_str(), text.as_str()), (404, "not_found", "requested room does not exist"));
    let (status, code, text) = refusal("StartRoomCompositeEgress", json!({ "roomName": ROOM })).await;
    assert_eq!((status, code.as_str()), (400, "invalid_argument"));
    assert_eq!(text, "request has missing or invalid field: output");
    let (status, _, text) = refusal("StopEgress", json!({ "egressId": "EG_none" })).await;
    assert_eq!((status, text.as_str()), (404, "egress does not exist"));
    assert_eq!(refusal("ListEgress", json!({ "egressId": "EG_none" })).await.0, 404);
    assert_eq!(refusal("StartWebEgress", json!({})).await.1, "unimplemented");
    assert_eq!(refusal("Nothing", json!({})).await.1, "bad_route");
    let without = call(&bench.egress, "ListEgress", json!({}), VideoGrants::default()).await.unwrap_err();
    assert_eq!(without.0, StatusCode::UNAUTHORIZED);
    assert!(bench.takes().is_empty() && !bench.is_recorded().await);
}

/// Somebody announces tracks of these kinds, end-to-end encrypted or not.
async fn announce(media: &MediaServer, name: &'static str, tracks: &'static [(TrackType, encryption::Type)]) {
    let call = move |room: &mut Room, now: Now| {
        let sid = ParticipantSid::from(format!("PA_{name}"));
        let joining = Joining {
            sid: sid.clone(),
            identity: name.into(),
            ticket: Default::default(),
            serial: 0,
            issued_unix_s: 0,
            is_server: false,
            name: String::new(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            grants: VideoGrants::default(),
            kind: participant_info::Kind::Standard,
            auto_subscribe: true,
            client: Default::default(),
            kind_details: Vec::new(),
        };
        room.join(joining, now).unwrap();
        for (number, (kind, encryption)) in tracks.iter().enumerate() {
            let request = AddTrackRequest {
                cid: format!("{name}-{number}"),
                r#type: (*kind).into(),
                encryption: (*encryption).into(),
                ..AddTrackRequest::default()
            };
            room.handle_signal(&sid, signal_request::Message::AddTrack(request), now);
        }
    };
    media.rooms().with(&ROOM.into(), call).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_which_all_is_encrypted_is_not_recorded() {
    let bench = Bench::new(GOOD).await;
    let both = &[(TrackType::Audio, encryption::Type::Gcm), (TrackType::Video, encryption::Type::Custom)];
    announce(&bench.media, "ann", both).await;
    let (status, body) = bench.call("StartRoomCompositeEgress", start_request()).await.unwrap_err();
    assert_eq!(
        (status, body["code"].as_str()),
        (StatusCode::PRECONDITION_FAILED, Some("failed_precondition"))
    );
    assert!(body["msg"].as_str().unwrap().contains("end-to-end encrypted"), "{body}");
    // Whoever sends in clear can be recorded.
    announce(&bench.media, "bob", &[(TrackType::Video, encryption::Type::None)]).await;
    let mut sound_only = start_request();
    sound_only["audioOnly"] = json!(true);
    assert!(bench.call("StartRoomCompositeEgress", sound_only).await.is_err(), "nobody can be heard");
    bench.record().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_before_it_began_nothing_is_kept() {
    let bench = Bench::new(GOOD).await;
    let info = bench.record().await;
    let info = bench.stop(&id(&info)).await;
    assert_eq!(status(&info), "EGRESS_ABORTED");
    assert_eq!(info["error_code"], 412);
    bench.egress.shutdown().await;
    assert!(bench.takes().is_empty() && bench.shelf.stored().is_empty());
    assert!(!bench.is_recorded().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_composer_writes_after_its_recording_was_given_up_goes_at_the_next_start() {
    let bench = Bench::new(GOOD).await;
    let info = bench.record().await;
    let info = bench.stop(&id(&info)).await;
    assert_eq!(status(&info), "EGRESS_ABORTED");
    bench.egress.shutdown().await;
    let late = bench.data().join("composed").join(format!("{}.mp4", id(&info)));
    std::fs::write(&late, "begun by one that ended later than its program").unwrap();
    let again = start(&bench.data(), GOOD, &bench.media, &bench.shelf).await;
    again.shutdown().await;
    assert!(!late.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_recorded_once_to_each_path_however_many_ask_at_once() {
    let bench = Bench::new(GOOD).await;
    let name = |info: &Value| info["file_results"][0]["filename"].as_str().unwrap().to_owned();
    let starts =
        futures::future::join_all((0..8).map(|_| bench.call("StartRoomCompositeEgress", start_request())));
    let (started, refused): (Vec<_>, Vec<_>) = starts.await.into_iter().partition(Result::is_ok);
    assert_eq!((started.len(), refused.len()), (1, 7));
    for refusal in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!((refusal.0, &refusal.1["code"]), (StatusCode::CONFLICT, &json!("already_exists")));
    }
    let first = started.into_iter().next().unwrap().unwrap();
    let elsewhere =
        json!({ "roomName": ROOM, "fileOutputs": [{ "filepath": "mine/{room_name}", "fileType": "MP4" }] });
    let other = bench.call("StartRoomCompositeEgress", elsewhere).await.unwrap();
    for info in [&first, &other] {
        until(&bench.egress, &id(info), "EGRESS_ACTIVE").await;
    }
    bench.stop(&id(&first)).await;
    // What is only being finished is in nobody's way, and its file in nobody's place.
    let second = bench.record().await;
    assert_ne!(name(&first), name(&second));
    until(&bench.egress, &id(&first), "EGRESS_COMPLETE").await;
    assert!(bench.is_recorded().await, "the others go on");
    until(&bench.egress, &id(&second), "EGRESS_ACTIVE").await;
    for info in [&second, &other] {
        bench.stop(&id(info)).await;
        until(&bench.egress, &id(info), "EGRESS_COMPLETE").await;
    }
    assert_eq!(bench.shelf.stored().len(), 3);
    assert!(!bench.is_recorded().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_with_its_room() {
    let bench = Bench::new(GOOD).await;
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    bench.media.rooms().delete(&ROOM.into()).await.unwrap();
    let info = until(&bench.egress, &id(&info), "EGRESS_COMPLETE").await;
    assert_eq!(info["details"], "End reason: Source closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_composer_that_dies_is_started_again() {
    let dies_twice = format!(
        "n=$(cat \"$1/../tries\" 2>/dev/null || echo 0); echo $((n + 1)) > \"$1/../tries\"\n\
         if [ $n -lt 2 ]; then echo dying >&2; kill -9 $$; fi\n{GOOD}"
    );
    let bench = Bench::new(&dies_twice).await;
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    bench.stop(&id(&info)).await;
    until(&bench.egress, &id(&info), "EGRESS_COMPLETE").await;
    assert_eq!(fs::read_to_string(bench.data().join("takes/tries")).unwrap().trim(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_place_to_be_composed_waits_and_is_composed_when_it_is_over() {
    // Each notes when it begins and ends, and whether it follows.
    let noting = format!("echo \"begin $*\" >> \"$1/../notes\"\n{GOOD}\necho end >> \"$1/../notes\"");
    let bench = Bench::with(&noting, |config| config.max_composers = 1).await;
    let request =
        |path: &str| json!({ "roomName": ROOM, "fileOutputs": [{ "filepath": path, "fileType": "MP4" }] });
    let mut ids = Vec::new();
    for path in ["recordings/one", "recordings/two", "recordings/three"] {
        let info = bench.call("StartRoomCompositeEgress", request(path)).await.unwrap();
        until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
        ids.push(id(&info));
    }
    let notes = || fs::read_to_string(bench.data().join("takes/notes")).unwrap_or_default();
    let began = || notes().lines().filter(|line| line.starts_with("begin")).count();
    let deadline = Instant::now() + Duration::from_secs(10);
    while began() == 0 {
        assert!(Instant::now() < deadline, "nothing is composed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The last of them is over: it does not wait for the first one, which goes on.
    bench.stop(&ids[2]).await;
    until(&bench.egress, &ids[2], "EGRESS_COMPLETE").await;
    assert_eq!(began(), 2, "the second one waits: {}", notes());
    for waits in [&ids[0], &ids[1]] {
        bench.stop(waits).await;
        until(&bench.egress, waits, "EGRESS_COMPLETE").await;
    }
    let following = notes().lines().filter(|line| line.contains("--follow")).count();
    assert!((1..=2).contains(&following) && began() == 3, "{}", notes());
    assert_eq!(bench.shelf.stored().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_composed_is_kept_and_tried_at_the_next_start() {
    let bench = Bench::new("echo 'no encoder' >&2; exit 1").await;
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    bench.stop(&id(&info)).await;
    let failed = until(&bench.egress, &id(&info), "EGRESS_FAILED").await;
    assert!(failed["error"].as_str().unwrap().contains("no encoder"), "{failed}");
    assert_eq!(bench.takes().len(), 1);
    bench.egress.shutdown().await;
    let again = start(&bench.data(), GOOD, &bench.media, &bench.shelf).await;
    let info = until(&again, &id(&info), "EGRESS_COMPLETE").await;
    assert!(info["error"].as_str().unwrap_or("").is_empty());
    assert_eq!(bench.shelf.stored().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_composed_and_was_deleted_goes_at_the_next_start() {
    const BROKEN: &str = "echo 'no encoder' >&2; exit 1";
    let bench = Bench::new(BROKEN).await;
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    bench.stop(&id(&info)).await;
    let failed = until(&bench.egress, &id(&info), "EGRESS_FAILED").await;
    bench.egress.shutdown().await;
    let key = failed["file_results"][0]["filename"].as_str().unwrap().to_owned();
    assert_eq!(bench.takes().len(), 1);
    bench.shelf.deleted.lock().unwrap().push((key, id(&info)));
    let again = start(&bench.data(), BROKEN, &bench.media, &bench.shelf).await;
    let info = until(&again, &id(&info), "EGRESS_ABORTED").await;
    assert_eq!(info["details"].as_str(), Some("End reason: Deleted"));
    again.shutdown().await;
    assert!(bench.takes().is_empty() && bench.shelf.stored().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_refuses_is_tried_until_it_takes_the_file() {
    let bench = Bench::new(GOOD).await;
    *bench.shelf.refusals.lock().unwrap() = 5;
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    bench.stop(&id(&info)).await;
    let info = until(&bench.egress, &id(&info), "EGRESS_COMPLETE").await;
    assert!(info["error"].as_str().unwrap_or("").is_empty(), "the trouble is over: {info}");
    assert_eq!(bench.shelf.stored().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_keeps_its_name_whether_it_is_known_of_before_or_after() {
    let bench = Bench::new(GOOD).await;
    let record = async || {
        let asked = json!({ "roomName": ROOM, "fileOutputs": [{ "filepath": "out" }] });
        let info = bench.call("StartRoomCompositeEgress", asked).await.unwrap();
        until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
        bench.stop(&id(&info)).await;
        until(&bench.egress, &id(&info), "EGRESS_COMPLETE").await
    };
    let file = |info: &Value, what: &str| info["file_results"][0][what].as_str().unwrap().to_owned();
    assert_eq!(file(&record().await, "filename"), "out.mp4");
    assert_eq!(file(&record().await, "filename"), "out-2.mp4");
    bench.shelf.hidden.lock().unwrap().push("out-3.mp4".into());
    let third = record().await;
    let unique = format!("out-3-{}.mp4", id(&third));
    assert_eq!(
        (file(&third, "filename"), file(&third, "location")),
        (unique.clone(), format!("/store/{unique}"))
    );
    assert_eq!(bench.shelf.stored().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_room_and_one_request_may_ask_for_is_bounded() {
    let bench = Bench::new(GOOD).await;
    let asked = |path: String| json!({ "roomName": ROOM, "fileOutputs": [{ "filepath": path }] });
    let long = asked("../".repeat(reelroom_limits::library::EGRESS_REQUEST_BYTES));
    let refusal = bench.call("StartRoomCompositeEgress", long).await.unwrap_err();
    assert_eq!(refusal.1["code"], "invalid_argument", "{refusal:?}");
    let most = reelroom_limits::library::EGRESSES_OF_A_ROOM;
    let mut started = Vec::new();
    for n in 0..most {
        started.push(id(&bench.call("StartRoomCompositeEgress", asked(n.to_string())).await.unwrap()));
    }
    let refusal = bench.call("StartRoomCompositeEgress", asked("one more".into())).await.unwrap_err();
    assert_eq!(refusal.1["code"], "resource_exhausted");
    assert!(refusal.1["msg"].as_str().unwrap().contains("8 times already"), "{refusal:?}");
    for id in &started {
        until(&bench.egress, id, "EGRESS_ACTIVE").await;
        bench.stop(id).await;
    }
    for id in &started {
        until(&bench.egress, id, "EGRESS_COMPLETE").await;
    }
    bench.call("StartRoomCompositeEgress", asked("one more".into())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_of_the_server_loses_nothing() {
    let slow = "sleep 30";
    let bench = Bench::new(slow).await;
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    let began = Instant::now();
    bench.egress.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(5), "the composer is not waited for");
    let again = start(&bench.data(), GOOD, &bench.media, &bench.shelf).await;
    until(&again, &id(&info), "EGRESS_COMPLETE").await;
    let stored = bench.shelf.stored();
    let stored = stored.values().next().unwrap();
    assert!(!stored.recovered && stored.lost_ns == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_program_recorded_is_finished_by_the_next_even_without_its_job_file() {
    let bench = Bench::new(GOOD).await;
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    // What a power cut leaves: the take as it stands on disk now.
    let left = bench.root.path().join("left");
    let (from, to) = (bench.data().join("takes").join(id(&info)), left.join("takes").join(id(&info)));
    fs::create_dir_all(&to).unwrap();
    for file in fs::read_dir(&from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
    let mut facts = fs::read(to.join("events.jsonl")).unwrap();
    facts.extend(b"{\"at\":12");
    fs::write(to.join("events.jsonl"), facts).unwrap();
    let shelf = Arc::new(TestShelf::default());
    let next = start(&left, GOOD, &bench.media, &shelf).await;
    let found = until(&next, &id(&info), "EGRESS_COMPLETE").await;
    assert_eq!(found["details"], "End reason: Process killed");
    assert_eq!(found["room_name"], ROOM);
    let stored = shelf.stored();
    let stored = stored.values().next().unwrap();
    assert!(stored.recovered && stored.lost_ns <= 1_000_000_000 && stored.lost_ns > 0);
    next.shutdown().await;
    assert!(!to.exists());
    let third = start(&left, GOOD, &bench.media, &shelf).await;
    until(&third, &id(&info), "EGRESS_COMPLETE").await;
    bench.egress.shutdown().await;
}

/// A recording that runs and is suspended for the next run of the program, and its room, which ends with this one.
async fn suspended(bench: &Bench) -> Value {
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    bench.egress.suspend().await;
    assert!(began.elapsed() < Duration::from_secs(2), "calls wait for it");
    bench.media.rooms().delete(&ROOM.into()).await.unwrap();
    info
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_into_the_bucket_that_its_request_names_or_says_why_not() {
    let bench = Bench::new(GOOD).await;
    let request = |secret: &str| {
        let mut request = start_request();
        request["fileOutputs"][0]["s3"] =
            json!({ "bucket": "theirs", "accessKey": "a key", "secret": secret });
        request
    };
    let info = bench.call("StartRoomCompositeEgress", request("right")).await.unwrap();
    let seen = &info["room_composite"]["file_outputs"][0]["s3"];
    assert_eq!((&seen["bucket"], &seen["access_key"]), (&json!("theirs"), &json!("{access_key}")));
    assert!(!info.to_string().contains("right"), "{info}");
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    bench.stop(&id(&info)).await;
    let info = until(&bench.egress, &id(&info), "EGRESS_COMPLETE").await;
    let location = info["file_results"][0]["location"].as_str().unwrap();
    assert!(location.starts_with("theirs/recordings/"), "{info}");
    assert_eq!(info["manifest_location"], "beside it");
    let stored = bench.shelf.stored();
    assert_eq!(stored.keys().map(String::as_str).collect::<Vec<_>>(), [location], "and nowhere else");

    let info = bench.call("StartRoomCompositeEgress", request("wrong")).await.unwrap();
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    bench.stop(&id(&info)).await;
    let info = until(&bench.egress, &id(&info), "EGRESS_FAILED").await;
    assert!(info["error"].as_str().is_some_and(|error| error.contains("denied")), "{info}");
    let (status, refused) = bench.call("StartRoomCompositeEgress", request("")).await.unwrap_err();
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_argument")));
}

async fn reopen(media: &MediaServer) {
    let room = CreateRoomRequest { name: ROOM.into(), ..Default::default() };
    media.rooms().create(&room).await.unwrap();
}

/// The facts of a recording's take, by name, with their times in milliseconds.
fn facts(take: &Path) -> Vec<(String, u64)> {
    let text = fs::read_to_string(take.join("events.jsonl")).unwrap();
    let fact = |line: &str| {
        let fact: Value = serde_json::from_str(line).unwrap();
        (fact["event"].as_str().unwrap().to_owned(), fact["at"].as_u64().unwrap() / 1_000_000)
    };
    text.lines().map(fact).filter(|(name, _)| name != "complete").collect()
}

fn keeping(config: &mut EgressConfig) {
    config.keep_takes = Duration::from_secs(3600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_on_in_the_next_run_and_is_one_to_everybody() {
    let bench = Bench::with(GOOD, keeping).await;
    let (hook, events) = webhooks().await;
    bench.media.webhooks().add_url(hook);
    let info = suspended(&bench).await;
    let next = start_with(&bench.data(), GOOD, &bench.media, &bench.shelf, keeping).await;
    let waiting = until(&next, &id(&info), "EGRESS_ACTIVE").await;
    assert_eq!((&waiting["room_id"], &waiting["started_at"]), (&info["room_id"], &info["started_at"]));
    let layout = json!({ "egressId": id(&info), "layout": "speaker" });
    let refused = call(&next, "UpdateLayout", layout.clone(), may_record()).await.unwrap_err();
    assert!(refused.1["msg"].as_str().unwrap().contains("waits for its room"), "{refused:?}");
    tokio::time::sleep(Duration::from_millis(400)).await;
    reopen(&bench.media).await;
    assert!(bench.is_recorded().await, "from the first moment on");
    let again = call(&next, "StartRoomCompositeEgress", start_request(), may_record()).await.unwrap_err();
    assert_eq!(again.1["code"], "already_exists");
    tokio::time::sleep(Duration::from_millis(400)).await;
    call(&next, "UpdateLayout", layout, may_record()).await.unwrap();
    call(&next, "StopEgress", json!({ "egressId": id(&info) }), may_record()).await.unwrap();
    until(&next, &id(&info), "EGRESS_COMPLETE").await;
    assert!(!bench.is_recorded().await);
    let stored = bench.shelf.stored();
    assert_eq!(stored.len(), 1);
    assert!(stored.values().all(|stored| !stored.recovered && stored.lost_ns == 0));
    next.shutdown().await;
    let facts = facts(&bench.data().join("kept").join(id(&info)));
    let names: Vec<&str> = facts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["suspended", "resumed", "layout", "ended"], "{facts:?}");
    let [suspended, resumed, .., ended] = &facts[..] else { unreachable!() };
    assert!(
        (700..5_000).contains(&(resumed.1 - suspended.1 + 300)),
        "the clock on the wall goes on: {facts:?}"
    );
    assert!((300..5_000).contains(&(ended.1 - resumed.1)), "{facts:?}");
    bench.media.webhooks().flush(Duration::from_secs(5)).await;
    let told = events.lock().unwrap().clone();
    let count = |wanted: &str| told.iter().filter(|(name, _)| name == wanted).count();
    assert_eq!((count("egress_started"), count("egress_ended")), (1, 1), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_whose_room_does_not_open_again_ends_where_it_was_suspended() {
    let bench = Bench::with(GOOD, keeping).await;
    let info = suspended(&bench).await;
    let hasty = |config: &mut EgressConfig| {
        keeping(config);
        config.resume_within = Duration::from_millis(1_500);
    };
    let next = start_with(&bench.data(), GOOD, &bench.media, &bench.shelf, hasty).await;
    until(&next, &id(&info), "EGRESS_ACTIVE").await;
    let done = until(&next, &id(&info), "EGRESS_COMPLETE").await;
    assert_eq!(done["details"], "End reason: Source closed");
    reopen(&bench.media).await;
    assert!(!bench.is_recorded().await, "nothing waits for it any more");
    let stored = bench.shelf.stored();
    assert!(stored.values().all(|stored| !stored.recovered && stored.lost_ns == 0) && stored.len() == 1);
    next.shutdown().await;
    let facts = facts(&bench.data().join("kept").join(id(&info)));
    let [suspended, ended] = &facts[..] else { panic!("{facts:?}") };
    assert_eq!((suspended.0.as_str(), ended.0.as_str(), ended.1), ("suspended", "ended", suspended.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_was_suspended_for_too_long_is_finished_at_the_start() {
    let bench = Bench::new(GOOD).await;
    let info = suspended(&bench).await;
    let at_once = |config: &mut EgressConfig| config.resume_within = Duration::ZERO;
    let next = start_with(&bench.data(), GOOD, &bench.media, &bench.shelf, at_once).await;
    reopen(&bench.media).await;
    until(&next, &id(&info), "EGRESS_COMPLETE").await;
    assert!(!bench.is_recorded().await);
    assert!(bench.shelf.stored().values().all(|stored| !stored.recovered));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_recordings_do_not_go_on_they_end_at_a_planned_stop() {
    let bench = Bench::with(GOOD, |config| {
        keeping(config);
        config.resume_within = Duration::ZERO;
        config.finish_within = Duration::from_secs(10);
    })
    .await;
    let info = bench.record().await;
    until(&bench.egress, &id(&info), "EGRESS_ACTIVE").await;
    bench.egress.suspend().await;
    let done = until(&bench.egress, &id(&info), "EGRESS_COMPLETE").await;
    assert_eq!(done["details"], "End reason: Source closed");
    assert_eq!(bench.shelf.stored().len(), 1);
    let facts = facts(&bench.data().join("kept").join(id(&info)));
    assert!(facts.iter().all(|(name, _)| name != "suspended"), "{facts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_full_at_a_planned_stop_is_told_of_by_the_next_run() {
    let bench = Bench::new(GOOD).await;
    let info = suspended(&bench).await;
    // The disk took an end, and not that the recording is suspended: the writer says why it stopped.
    let facts = bench.data().join("takes").join(id(&info)).join("events.jsonl");
    let whole = fs::read(&facts).unwrap();
    let suspended_from = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let ended = br#"{"at":9000000000,"event":"ended","reason":"disk_full"}"#;
    fs::write(&facts, [&whole[..suspended_from], ended, b"\n"].concat()).unwrap();
    let next = start(&bench.data(), GOOD, &bench.media, &bench.shelf).await;
    let done = until(&next, &id(&info), "EGRESS_COMPLETE").await;
    assert_eq!(done["error"], "the recorder's disk is full: the recording ends early");
    assert!(bench.shelf.stored().values().all(|stored| !stored.recovered));
    next.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_waits_can_be_stopped_and_suspended_once_more() {
    let bench = Bench::new(GOOD).await;
    let info = suspended(&bench).await;
    let second = start(&bench.data(), GOOD, &bench.media, &bench.shelf).await;
    until(&second, &id(&info), "EGRESS_ACTIVE").await;
    second.suspend().await;
    let third = start(&bench.data(), GOOD, &bench.media, &bench.shelf).await;
    until(&third, &id(&info), "EGRESS_ACTIVE").await;
    call(&third, "StopEgress", json!({ "egressId": id(&info) }), may_record()).await.unwrap();
    let done = until(&third, &id(&info), "EGRESS_COMPLETE").await;
    assert_eq!(done["details"], "End reason: StopEgress API");
    assert!(bench.shelf.stored().values().all(|stored| !stored.recovered));
    // One that is stopped for good while it waits is finished.
    reopen(&bench.media).await;
    let other = call(&third, "StartRoomCompositeEgress", start_request(), may_record()).await.unwrap();
    until(&third, &id(&other), "EGRESS_ACTIVE").await;
    third.suspend().await;
    bench.media.rooms().delete(&ROOM.into()).await.unwrap();
    let fourth = start(&bench.data(), GOOD, &bench.media, &bench.shelf).await;
    until(&fourth, &id(&other), "EGRESS_ACTIVE").await;
    fourth.shutdown().await;
    let fifth = start(&bench.data(), GOOD, &bench.media, &bench.shelf).await;
    until(&fifth, &id(&other), "EGRESS_COMPLETE").await;
    assert_eq!(bench.shelf.stored().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_around_a_suspension_loses_nothing_of_what_came_before_it() {
    let bench = Bench::new(GOOD).await;
    let info = suspended(&bench).await;
    let take = bench.data().join("takes").join(id(&info));
    let whole = fs::read(take.join("events.jsonl")).unwrap();
    let suspended_from = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    // Killed in the middle of the last fact, behind it, and as the next run went on; with and without the job's file.
    let torn = [&whole[..], br#"{"at":9000000000,"ev"#].concat();
    let resumed = [&whole[..], b"{\"at\":9000000000,\"event\":\"resumed\"}\n"].concat();
    for (number, (facts, goes_on)) in
        [(whole[..suspended_from + 9].to_vec(), false), (whole.clone(), true), (torn, true), (resumed, false)]
            .into_iter()
            .enumerate()
    {
        for keeps_job in [true, false] {
            let left = bench.root.path().join(format!("left-{number}-{keeps_job}"));
            let to = left.join("takes").join(id(&info));
            fs::create_dir_all(&to).unwrap();
            fs::create_dir_all(left.join("egress")).unwrap();
            for file in fs::read_dir(&take).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
            fs::write(to.join("events.jsonl"), &facts).unwrap();
            if keeps_job {
                let name = format!("egress/{}.json", id(&info));
                fs::copy(bench.data().join(&name), left.join(&name)).unwrap();
            }
            let shelf = Arc::new(TestShelf::default());
            let next = start(&left, GOOD, &bench.media, &shelf).await;
            if goes_on {
                until(&next, &id(&info), "EGRESS_ACTIVE").await;
                call(&next, "StopEgress", json!({ "egressId": id(&info) }), may_record()).await.unwrap();
            }
            until(&next, &id(&info), "EGRESS_COMPLETE").await;
            let stored = shelf.stored();
            let stored = stored.values().next().unwrap();
            assert_eq!(stored.recovered, !goes_on, "{number}, {keeps_job}");
            next.shutdown().await;
        }
    }
}
