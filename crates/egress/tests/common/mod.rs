//! A media server with a room, and calls of the Egress API.

#![allow(dead_code)]

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use reelroom_egress::Egress;
use reelroom_media::{MediaConfig, MediaListen, MediaServer};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::CreateRoomRequest;
use reelroom_protocol::token::{Claims, VideoGrants, mint};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) fn now_unix_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn keys() -> ApiKeys {
    ApiKeys::new("key", "a secret that is long enough to be one")
}

/// A server with an open room.
pub(crate) async fn media(room: &str) -> MediaServer {
    let media = MediaServer::start(MediaConfig {
        keys: keys(),
        listen: MediaListen::At(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        udp_port: 0,
        advertise: Vec::new(),
        advertise_names: Vec::new(),
        passage: reelroom_media::Passage::default(),
        webhook_urls: Vec::new(),
        crowd: reelroom_media::Crowd::default(),
    })
    .await
    .unwrap();
    media.rooms().create(&CreateRoomRequest { name: room.into(), ..Default::default() }).await.unwrap();
    media
}

/// What the Egress API asks for.
pub(crate) fn may_record() -> VideoGrants {
    VideoGrants { room_record: true, ..VideoGrants::default() }
}

/// Calls a method; gives back the answer, or the status of a refusal and what it says.
pub(crate) async fn call(
    egress: &Egress,
    method: &str,
    body: Value,
    grants: VideoGrants,
) -> Result<Value, (StatusCode, Value)> {
    let now = now_unix_s();
    let claims = Claims { video: Some(grants), exp: (now + 60) as _, ..Claims::default() };
    let request = Request::post(format!("/twirp/livekit.Egress/{method}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {}", mint(&keys(), claims)))
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = egress.router().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap();
    if status.is_success() { Ok(body) } else { Err((status, body)) }
}
