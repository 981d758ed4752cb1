//! What whoever manages the server sees at a glance.

use axum::http::Method;
use serde_json::json;

use crate::config::{Access, Adjustment, SettingBody};
use crate::tests::house::{SIZE, Shows, owned};

#[tokio::test]
async fn what_is_known_is_told_though_the_media_server_is_away() {
    let house = owned(Access::Invite).await;
    let owner = Shows::of(&house.signed_in());
    let (status, told) = house.answer(&Method::GET, "/overview", &owner, &json!({})).await;
    assert_eq!(status, 200, "{told}");
    assert!(told["roomsTrouble"].as_str().unwrap().contains("cannot be reached"), "{told}");
    assert_eq!((&told["rooms"], &told["roomsCount"]), (&json!([]), &json!(0)));
    assert_eq!(told["recordings"], json!([]));
    assert_eq!(told["recordingsTrouble"], json!(null));
    assert_eq!(told["queues"], json!({ "composing": [], "storing": [], "storingCount": 0 }));
    let storage = &told["storage"];
    assert_eq!((&storage["kind"], &storage["recordings"]), (&json!("folder"), &json!(2)));
    assert_eq!(storage["recordingsBytes"], json!(2 * SIZE));
    assert!(storage["hoursLeft"].as_f64().unwrap() > 0.0 && storage["isMeasured"] == json!(false));
    assert_eq!(told["access"], json!("invite"));
    assert!(told["startedAt"].as_i64().unwrap() <= told["at"].as_i64().unwrap());
    let secret = json!({ "name": "s3_secret_key", "value": "set", "from": "environment", "isSecret": true });
    assert_eq!(told["settings"], json!([secret]));
    assert!(told.get("capacity").is_none(), "another server records");
}

#[tokio::test]
async fn what_is_being_recorded_and_finished_is_told_with_its_time() {
    use reelroom_library::{Recording, Status};
    let house = owned(Access::Open).await;
    let key = Shows::key(&house.key(&["manage"]));
    let began_ms = crate::clock::now().unix_ms - 5000;
    for (id, status) in [("EG_1", Status::Recording), ("EG_2", Status::Finishing)] {
        let recording = Recording {
            id: id.into(),
            status,
            started_at_ms: began_ms,
            room_name: "own".into(),
            progress: Some(0.5).filter(|_| status == Status::Finishing),
            ..Recording::named(format!("{id}.mp4"))
        };
        house.app.library().note(recording).await.unwrap();
    }
    let (_, told) = house.answer(&Method::GET, "/overview", &key, &json!({})).await;
    assert_eq!(told["recordings"].as_array().unwrap().len(), 1, "{told}");
    let recording = &told["recordings"][0];
    assert_eq!((&recording["id"], &recording["status"]), (&json!("EG_1"), &json!("recording")));
    assert!((5.0..60.0).contains(&recording["elapsed"].as_f64().unwrap()), "{recording}");
    let finishing = &told["queues"]["composing"][0];
    assert_eq!((&finishing["id"], &finishing["progress"]), (&json!("EG_2"), &json!(0.5)));
    for shows in [Shows::default(), Shows::key(&house.key(&["observe", "list"]))] {
        assert_eq!(house.status(&Method::GET, "/overview", &shows, &json!({})).await, 403);
    }
}

#[tokio::test]
async fn what_is_set_anew_holds_and_is_told_with_what_waits_for_the_next_start() {
    let house = owned(Access::Invite).await;
    let key = Shows::key(&house.key(&["manage"]));
    let waits = SettingBody {
        name: "udp_port",
        value: "7882".into(),
        from: "file",
        is_secret: false,
        next: Some("7883".into()),
    };
    house.app.adjust(Adjustment {
        portion_bytes: 5,
        disk_reserve_bytes: 6,
        public_hosts: vec!["other.example.org".into()],
        oidc_owners: None,
        settings: [waits].into(),
        settings_trouble: Some("the settings file is not read".into()),
    });
    let (_, told) = house.answer(&Method::GET, "/overview", &key, &json!({})).await;
    let setting =
        json!({ "name": "udp_port", "value": "7882", "from": "file", "isSecret": false, "next": "7883" });
    assert_eq!(told["settings"], json!([setting]));
    assert_eq!(told["storage"]["disk"]["reserveBytes"], json!(6));
    assert!(told["warnings"].as_array().unwrap().contains(&json!("the settings file is not read")), "{told}");
    assert!(house.app.is_public_host("other.example.org") && !house.app.is_public_host("calls.example.org"));
    assert_eq!(house.app.portion_bytes(), 5);
}
