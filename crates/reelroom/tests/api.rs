//! The REST API over HTTP: what it answers, and what it says to wrong input.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Program, now_s};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::WebhookEvent;
use reelroom_protocol::token;
use reelroom_protocol::webhook;
use reqwest::{Method, StatusCode};
use serde_json::json;

const HOSTILE: &str = "../<b>räume</b> & 50% {time} 💥'\"";

#[tokio::test]
async fn requests_that_are_none_are_refused_in_words() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let posts = ["/token", "/recordings/start", "/recordings/stop"];
    for path in posts {
        let json = |body: &'static str| {
            program.request(Method::POST, path).header("content-type", "application/json").body(body)
        };
        for body in [
            "",
            "{",
            "[]",
            "7",
            "null",
            "\"text\"",
            "{\"roomName\":5}",
            "{\"roomName\":[\"a\"]}",
            "\u{feff}{}",
        ] {
            program.refusal(json(body), 400).await;
        }
        for body in ["{}", "{\"roomName\":null}", "{\"roomName\":\"\"}", "{\"roomName\":\"  \"}"] {
            assert!(program.refusal(json(body), 400).await.contains("roomName"), "{path} {body}");
        }
        let long = json!({ "roomName": "x".repeat(257), "participantName": "a" });
        assert!(program.refusal(program.post(path, &long), 400).await.contains("too long"));
        program.refusal(program.request(Method::POST, path).body("{\"roomName\":\"a\"}"), 415).await;
        let huge = json!({ "roomName": "x".repeat(1_100_000), "participantName": "a" });
        program.refusal(program.post(path, &huge), 413).await;
        program.refusal(program.request(Method::PUT, path), 405).await;
    }
    for body in [json!({ "roomName": "a" }), json!({ "roomName": "a", "participantName": "" })] {
        assert!(program.refusal(program.post("/token", &body), 400).await.contains("participantName"));
    }
    for path in [
        "/nothing",
        "/recordings/",
        "/token/",
        "/%2e%2e/etc/passwd",
        "/assets/../../Cargo.toml",
        "/assets/none.js",
    ] {
        program.refusal(program.get(path), 404).await;
    }
    program.refusal(program.get("/token"), 405).await;
    program.refusal(program.request(Method::POST, "/recordings"), 405).await;
    program.refusal(program.request(Method::POST, "/"), 405).await;
    program.stop();
}

#[tokio::test]
async fn a_token_is_for_one_room_and_a_second_person_of_a_name_gets_an_identity_of_their_own() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let mut identities = Vec::new();
    for _ in 0..2 {
        let request = program.post("/token", &json!({ "roomName": HOSTILE, "participantName": "Ada" }));
        let (status, body) = program.answer(request).await;
        assert_eq!(status, StatusCode::OK);
        let claims =
            token::verify(&ApiKeys::new("devkey", "secret"), body["token"].as_str().unwrap(), now_s())
                .unwrap();
        let grants = claims.video.clone().unwrap();
        assert!(grants.room_join && grants.room == HOSTILE);
        // As the tutorial's; what it reaches is bounded by the recorder.
        assert!(grants.room_record && !grants.room_admin && !grants.room_create && !grants.room_list);
        assert_eq!(claims.name, "Ada");
        identities.push(claims.identity().to_owned());
    }
    assert_eq!(identities[0], "Ada");
    assert_ne!(identities[1], "Ada");
    program.stop();
}

#[tokio::test]
async fn a_room_is_recorded_once_and_listed_played_and_deleted_under_any_name() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[("RECORDING_FILE_PORTION_SIZE", "1000")]);
    let start = |room: &str| program.post("/recordings/start", &json!({ "roomName": room }));
    assert_eq!(program.refusal(start("no such room"), 404).await, "Room not found");
    let stop = program.post("/recordings/stop", &json!({ "roomName": HOSTILE }));
    assert!(program.refusal(stop, 409).await.contains("not started"));
    program.make_room(HOSTILE).await;
    let layout = program.post("/recordings/start", &json!({ "roomName": HOSTILE, "layout": "spiral" }));
    assert!(program.refusal(layout, 400).await.contains("layout"));

    // However many press Start at once, one recording begins.
    let answers = futures::future::join_all((0..5).map(|_| program.answer(start(HOSTILE)))).await;
    let started: Vec<_> = answers.iter().filter(|(status, _)| *status == StatusCode::OK).collect();
    let refused = answers.iter().filter(|(status, _)| *status == StatusCode::CONFLICT).count();
    assert_eq!((started.len(), refused), (1, 4), "{answers:?}");
    let recording = &started[0].1["recording"];
    assert_eq!(started[0].1["message"], "Recording started");
    let name = recording["name"].as_str().unwrap().to_owned();
    assert!(
        recording["id"].as_str().unwrap().starts_with("EG_") && name.ends_with(".mp4") && !name.contains('/')
    );
    assert!(recording["startedAt"].as_u64().unwrap().abs_diff(now_s() * 1000) < 5000);
    let path = format!("/recordings/{}", urlencode(&name));

    program.until_status(&name, "recording").await;
    program.refusal(program.get(&path), 409).await;
    program.refusal(program.get(&format!("{path}/url")), 409).await;
    program.refusal(program.request(Method::DELETE, &path), 409).await;
    tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
    let stopped = program.stop_recording(HOSTILE).await;
    assert_eq!(stopped["name"], *name);
    let again = program.post("/recordings/stop", &json!({ "roomName": HOSTILE }));
    program.refusal(again, 409).await;
    let complete = program.until_status(&name, "complete").await;
    assert_eq!(
        (complete["roomName"].as_str(), complete["id"].as_str()),
        (Some(HOSTILE), recording["id"].as_str())
    );
    let seconds = complete["duration"].as_f64().unwrap();
    assert!((1.0..4.0).contains(&seconds), "{seconds}");
    let size = complete["size"].as_u64().unwrap();

    // Whole, in parts, by tag, by link.
    let whole = program.get(&path).send().await.unwrap();
    assert_eq!(
        (whole.status(), whole.headers()["content-type"].to_str().unwrap()),
        (StatusCode::OK, "video/mp4")
    );
    let etag = whole.headers()["etag"].clone();
    let bytes = whole.bytes().await.unwrap();
    assert_eq!(bytes.len() as u64, size);
    let head = program.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(
        (head.status(), head.headers()["content-length"].to_str().unwrap()),
        (StatusCode::OK, size.to_string().as_str())
    );
    assert_eq!(head.headers()["accept-ranges"], "bytes");
    for (range, expected) in
        [("bytes=0-", 0..1000), ("bytes=10-19", 10..20), ("bytes=-5", size as usize - 5..size as usize)]
    {
        let part = program.get(&path).header("range", range).send().await.unwrap();
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let said = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
        assert_eq!(part.headers()["content-range"].to_str().unwrap(), said);
        assert_eq!(part.bytes().await.unwrap(), bytes.slice(expected));
    }
    let other =
        program.get(&path).header("range", "bytes=0-4").header("if-range", "\"other\"").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
    let beyond = program.get(&path).header("range", format!("bytes={size}-"));
    program.refusal(beyond, 416).await;
    let same = program.get(&path).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    let (_, link) = program.answer(program.get(&format!("{path}/url"))).await;
    let link = link["recordingUrl"].as_str().unwrap();
    assert_eq!(program.get(link).send().await.unwrap().status(), StatusCode::OK);
    program.refusal(program.get(&link.replace("signature=", "signature=0")), 403).await;
    program.refusal(program.get(&format!("{path}?expires=99999999999")), 403).await;
    program.refusal(program.get(&format!("{path}?expires=soon&signature=x")), 400).await;

    let (_, report) = program.answer(program.get(&format!("{path}/report"))).await;
    assert_eq!(report["sha256"], sha256(&bytes));
    assert!(report["tracks"].is_object() && report["status"] == "complete", "{report}");
    program.refusal(program.request(Method::POST, &format!("{path}/retry")), 409).await;

    let (status, body) = program.answer(program.request(Method::DELETE, &path)).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "message": "Recording deleted" })));
    program.refusal(program.request(Method::DELETE, &path), 404).await;
    program.refusal(program.get(&path), 404).await;
    for part in ["url", "report"] {
        program.refusal(program.get(&format!("{path}/{part}")), 404).await;
    }
    program.refusal(program.request(Method::POST, &format!("{path}/retry")), 404).await;
    assert!(program.list(&[]).await.is_empty());
    program.stop();
    let left: Vec<_> = ["recordings", "takes", "composed"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(data.path().join(folder)).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn names_are_data_and_lead_nowhere_else() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(data.path().join("recordings")).unwrap();
    std::fs::write(data.path().join("outside.mp4"), "secret").unwrap();
    std::fs::write(data.path().join("recordings/a.mp4.json"), "{}").unwrap();
    std::fs::write(data.path().join("recordings/.*.mp4"), "star").unwrap();
    let program = Program::start(&[], data.path(), &[]);
    for name in [
        "../outside.mp4",
        "..%2Foutside.mp4",
        "%2e%2e%2foutside.mp4",
        "a/../../outside.mp4",
        "/etc/passwd",
        "a.mp4.json",
        "a.mp4",
        "",
        "\0.mp4",
        "x\ny.mp4",
        "secrets.json",
    ] {
        let path = format!("/recordings/{}", urlencode(name));
        for method in [Method::GET, Method::DELETE] {
            let (status, body) = program.answer(program.request(method, &path)).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{name:?}: {body}");
        }
    }
    let raw = program.get("/recordings/%ff%fe.mp4");
    program.refusal(raw, 400).await;
    let star = program.get(&format!("/recordings/{}", urlencode(".*.mp4"))).send().await.unwrap();
    assert_eq!(star.text().await.unwrap(), "star");
    assert!(data.path().join("outside.mp4").exists());
    program.stop();
}

#[tokio::test]
async fn the_list_is_filtered_sorted_and_paged_and_says_what_it_does_not_understand() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("recordings");
    std::fs::create_dir_all(&folder).unwrap();
    for (n, room) in ["räume", "Plain", "plain", "<b>"].iter().enumerate() {
        let name = format!("{n}.mp4");
        std::fs::write(folder.join(&name), vec![0; 10 + n]).unwrap();
        let sidecar = json!({ "egress_id": format!("EG_{n}"), "room_name": room, "room_id": format!("RM_{n}"),
            "started_at": (n as u64 + 1) * 1_000_000_000, "duration_ns": 5_000_000_000_u64 - n as u64 });
        std::fs::write(folder.join(format!("{name}.json")), sidecar.to_string()).unwrap();
    }
    let program = Program::start(&[], data.path(), &[]);
    let names = async |query: &[(&str, &str)]| -> Vec<String> {
        program.list(query).await.iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]).await, ["3.mp4", "2.mp4", "1.mp4", "0.mp4"]);
    assert_eq!(names(&[("roomName", "räume")]).await, ["0.mp4"]);
    assert_eq!(names(&[("roomName", "plain"), ("roomId", "RM_1")]).await, Vec::<String>::new());
    assert_eq!(names(&[("roomId", "RM_1")]).await, ["1.mp4"]);
    assert_eq!(names(&[("q", "PLAIN"), ("sort", "startedAt")]).await, ["1.mp4", "2.mp4"]);
    assert_eq!(names(&[("q", ".*")]).await, Vec::<String>::new());
    assert_eq!(names(&[("status", "failed,recording")]).await, Vec::<String>::new());
    assert_eq!(names(&[("status", "complete"), ("sort", "-size"), ("limit", "2")]).await, ["3.mp4", "2.mp4"]);
    let (_, first) = program.answer(program.get("/recordings?limit=3")).await;
    let cursor = first["nextCursor"].as_str().unwrap();
    assert_eq!(names(&[("limit", "3"), ("cursor", cursor)]).await, ["0.mp4"]);
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=-1",
        "sort=name",
        "status=done",
        "cursor=x",
        "roomName=a&roomName=b",
    ] {
        program.refusal(program.get(&format!("/recordings?{query}")), 400).await;
    }
    let other_order = format!("/recordings?sort=size&cursor={cursor}");
    program.refusal(program.get(&other_order), 400).await;
    program.stop();
}

#[tokio::test]
async fn webhooks_are_believed_only_when_signed_by_our_key() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let event = WebhookEvent { event: "room_started".into(), id: "EV_1".into(), ..Default::default() };
    let body = webhook::event_body(&event);
    let send = |authorization: Option<String>, body: Vec<u8>| {
        let request = program
            .request(Method::POST, "/livekit/webhook")
            .header("content-type", "application/webhook+json")
            .body(body);
        match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        }
    };
    let signed = |key: &str, secret: &str| Some(webhook::sign(&ApiKeys::new(key, secret), &body, now_s()));
    let fine = send(signed("devkey", "secret"), body.clone()).send().await.unwrap();
    assert_eq!(fine.status(), StatusCode::OK);
    program.refusal(send(None, body.clone()), 401).await;
    program.refusal(send(Some("Bearer nonsense".into()), body.clone()), 401).await;
    program.refusal(send(signed("devkey", "other"), body.clone()), 401).await;
    program.refusal(send(signed("other", "secret"), body.clone()), 401).await;
    program.refusal(send(signed("devkey", "secret"), b"{}".to_vec()), 401).await;
    let stale = Some(webhook::sign(&ApiKeys::new("devkey", "secret"), &body, now_s() - 3600));
    program.refusal(send(stale, body.clone()), 401).await;
    program.stop();
}

#[tokio::test]
async fn whoever_runs_it_sees_how_it_is() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            program.answer(program.get(path)).await,
            (StatusCode::OK, json!({ "status": "ok" })),
            "{path}"
        );
    }
    let (_, settings) = program.answer(program.get("/settings.json")).await;
    let expected = json!({ "access": "open" });
    assert_eq!(settings, expected, "participants connect to the page's own address");
    program.make_room("a").await;
    program.start_recording("a").await;
    let metrics = program.get("/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        "reelroom_recordings_started_total 1",
        "reelroom_store_up 1",
        "reelroom_recordings{status=\"complete\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.contains("route=\"/recordings/start\"") && metrics.ends_with("# EOF\n"));
    let (_, document) = program.answer(program.get("/openapi.json")).await;
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    for path in &paths {
        // Each path that is described is there: what it refuses is not that it is unknown.
        let sample = path.replace("{name}", "x.mp4");
        let (status, body) = program.answer(program.request(Method::TRACE, &sample)).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}: {body}");
    }
    assert!(paths.len() >= 10, "{paths:?}");
    program.stop();
}

/// The path of a page's first script, which is told from the page's own: below which path a proxy shows it, only the browser knows.
fn script_of(html: &str) -> String {
    let told = html.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
    format!("/{}", told.strip_prefix("./").expect("it is relative"))
}

#[tokio::test]
async fn the_page_is_there_and_loads_nothing_from_outside() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    for path in ["/", "/recordings.html", "/owner"] {
        let page = program.get(path).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{path}: is web/dist built?");
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        let html = page.text().await.unwrap();
        assert!(!html.contains("src=\"http") && !html.contains("href=\"http"), "{html}");
        let script = program.get(&script_of(&html)).send().await.unwrap();
        assert_eq!(script.status(), StatusCode::OK);
        assert!(script.headers()["content-type"].to_str().unwrap().contains("javascript"));
        assert!(script.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    }
    program.stop();
}

#[tokio::test]
async fn whoever_takes_gzip_gets_a_script_smaller_with_a_length_and_a_tag_of_its_own() {
    let data = tempfile::tempdir().unwrap();
    let program = Program::start(&[], data.path(), &[]);
    let html = program.get("/").send().await.unwrap().text().await.unwrap();
    let path = script_of(&html);
    let plain = program.get(&path).send().await.unwrap();
    let gzip = || program.get(&path).header("accept-encoding", "gzip");
    let small = gzip().send().await.unwrap();
    for answer in [&plain, &small] {
        let mut vary =
            answer.headers().get_all("vary").iter().flat_map(|line| line.to_str().unwrap().split(','));
        assert!(vary.any(|name| name.trim() == "accept-encoding"), "{:?}", answer.headers());
    }
    assert!(!plain.headers().contains_key("content-encoding"));
    assert_eq!(small.headers()["content-encoding"], "gzip");
    let (tag, small_tag) = (plain.headers()["etag"].clone(), small.headers()["etag"].clone());
    assert_ne!(tag, small_tag);
    let length = small.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    let head = program.request(Method::HEAD, &path).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(head.headers()["content-length"], length.to_string().as_str());
    let (plain, small) = (plain.bytes().await.unwrap(), small.bytes().await.unwrap());
    assert!(small.len() == length && length < plain.len() && small.starts_with(&[0x1f, 0x8b]));
    assert_eq!(gzip().send().await.unwrap().bytes().await.unwrap(), small);
    let known = gzip().header("if-none-match", &small_tag).send().await.unwrap();
    assert_eq!((known.status(), &known.headers()["etag"]), (StatusCode::NOT_MODIFIED, &small_tag));
    program.stop();
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn urlencode(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}
