#![allow(clippy::unwrap_used)]

pub(crate) mod house;

use axum::http::Method;
use serde_json::json;

use self::house::{Shows, house, house_at};
use crate::config::Access;
use crate::routes::api;

#[test]
fn the_committed_description_of_the_api_is_the_one_that_is_served() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let served = format!("{}\n", api().to_openapi().to_pretty_json().unwrap());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &served).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(committed == served, "docs/openapi.json is out of date: UPDATE=1 cargo test -p reelroom-app");
}

#[tokio::test]
async fn links_begin_with_the_address_that_everybody_has_and_are_paths_where_there_is_none() {
    let whole = house_at(Access::Invite, "https://example.org/calls/", None).await;
    let bare = house(Access::Invite).await;
    for (house, address) in [(&whole, "https://example.org/calls"), (&bare, "")] {
        let key = Shows::key(&house.key(&["manage", "play", "download", "share"]));
        let said = json!({ "name": "a room" });
        let (status, room) = house.answer(&Method::POST, "/rooms", &key, &said).await;
        assert_eq!(status, 200, "{room}");
        for link in room["links"].as_array().unwrap() {
            let path = link["path"].as_str().unwrap();
            assert!(path.starts_with("/join#"), "{path}");
            let url = (!address.is_empty()).then(|| format!("{address}{path}"));
            assert_eq!(link["url"].as_str().map(str::to_owned), url);
        }
        let (status, made) =
            house.answer(&Method::POST, "/recordings/own.mp4/shares", &key, &json!({})).await;
        assert_eq!(status, 200, "{made}");
        let link = made["link"].as_str().unwrap();
        assert!(link.starts_with(&format!("{address}/watch#")), "{link}");
        let (status, told) = house.answer(&Method::GET, "/recordings/own.mp4/url", &key, &json!({})).await;
        assert_eq!(status, 200, "{told}");
        let path = told["recordingPath"].as_str().unwrap();
        assert!(path.starts_with("/recordings/own.mp4?expires="), "{path}");
        assert_eq!(told["recordingUrl"], format!("{address}{path}"));
        let status = house.status(&Method::GET, path, &Shows::default(), &json!({})).await;
        assert_eq!(status, 200, "what it leads to needs nothing else");
    }
}
