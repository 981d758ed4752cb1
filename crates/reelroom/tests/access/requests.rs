//! A request for each row of the table of routes, of which nothing is wrong: whoever is refused is refused for who they are.
//!
//! A row that is new needs one here. What it asks for may be away (404) or impossible (409); it must not be refused as 401 or 403 to
//! whoever may do it.

use reelroom_access::Right;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::webhook;
use reelroom_routes::{REST, Row};
use serde_json::{Value, json};

use crate::common::now_s;
use crate::common::signal::KEY;
use crate::stage::Target;

/// What is asked for.
#[derive(Default)]
pub(crate) struct Ask {
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    /// What whoever asks needs besides the right of the row.
    pub(crate) also: Vec<Right>,
    /// Of a row for what the right reaches: it asks for a room of it.
    pub(crate) names_room: bool,
    /// It takes something away that is not there a second time.
    pub(crate) spends: bool,
    /// It is about a browser's own session, which nobody else has.
    pub(crate) is_of_session: bool,
}

fn at(path: impl Into<String>) -> Ask {
    Ask { path: path.into(), ..Ask::default() }
}

fn says(path: impl Into<String>, body: Value) -> Ask {
    Ask { path: path.into(), body: Some(body), ..Ask::default() }
}

fn part(path: impl Into<String>) -> Ask {
    Ask { headers: vec![("range", "bytes=0-0".to_owned())], ..at(path) }
}

/// The request for a row; `None` where there is none yet.
pub(crate) fn of(row: &Row, target: &Target) -> Option<Ask> {
    let Target { room, recording, spare, watched, share, count } = target;
    let in_room = || json!({ "roomName": room });
    let nothing = "A".repeat(43);
    let method = row.method.as_ref().map_or("any", |method| method.as_str());
    let ask = match (method, row.path.as_str()) {
        ("GET", "/healthz" | "/readyz" | "/metrics" | "/settings.json" | "/openapi.json" | "/") => {
            at(&row.path)
        }
        ("any", "/twirp" | "/twirp/") => at(&row.path),
        ("any", "/twirp/{*path}") => at("/twirp/livekit.Nothing/Do"),
        ("any", REST) => at("/"),

        ("POST", "/token") => says("/token", json!({ "roomName": room, "participantName": "Ada" })),
        ("POST", "/livekit/webhook") => says("/livekit/webhook", json!({ "event": "room_started" })),
        ("POST", "/recordings/start" | "/recordings/stop") => says(&row.path, in_room()),
        ("GET", "/recordings") => Ask { names_room: true, ..at(format!("/recordings?roomName={room}")) },
        ("GET" | "HEAD", "/recordings/{name}") => part(format!("/recordings/{recording}")),
        ("DELETE", "/recordings/{name}") => Ask { spends: true, ..at(format!("/recordings/{spare}")) },
        ("GET", "/recordings/{name}/url" | "/recordings/{name}/report" | "/recordings/{name}/pass")
        | ("POST", "/recordings/{name}/retry") => at(row.path.replace("{name}", recording)),
        // It tells of recordings, and to those alone who may know which there are.
        ("GET", "/events") => Ask { also: vec![Right::List], ..at("/events") },
        ("GET", "/link") => at("/link"),

        ("GET", "/recordings/{name}/shares") => at(format!("/recordings/{recording}/shares")),
        // A link gives no more than whoever makes it has.
        ("POST", "/recordings/{name}/shares") => {
            Ask { also: vec![Right::Play], ..says(format!("/recordings/{recording}/shares"), json!({})) }
        }
        ("PATCH", "/recordings/{name}/shares/{id}") => {
            says(format!("/recordings/{recording}/shares/{share}"), json!({ "download": false }))
        }
        ("DELETE", "/recordings/{name}/shares/{id}") => at(format!("/recordings/{recording}/shares/{share}")),
        ("GET", "/recordings/{name}/shares/{id}/views") => {
            at(format!("/recordings/{recording}/shares/{share}/views"))
        }
        ("POST", "/watch/open") => says("/watch/open", json!({ "secret": nothing })),
        ("GET", "/watch/{id}") => at(format!("/watch/{watched}")),
        ("GET" | "HEAD", "/watch/{id}/file") => part(format!("/watch/{watched}/file")),

        ("GET", "/rooms" | "/owner/session" | "/owner/sessions" | "/owner/keys") => at(&row.path),
        ("POST", "/rooms") => says("/rooms", json!({ "name": format!("room {count} made for {room}") })),
        ("GET" | "DELETE", "/rooms/{name}") => at("/rooms/nowhere"),
        ("PATCH", "/rooms/{name}") => says("/rooms/nowhere", json!({})),
        ("POST", "/rooms/{name}/links/{id}") => says("/rooms/nowhere/links/guest", json!({})),
        ("DELETE", "/rooms/{name}/links/{id}") => at("/rooms/nowhere/links/guest"),

        ("POST", "/owner/password") => {
            says("/owner/password", json!({ "link": nothing, "password": "staple of another kind" }))
        }
        // Refused as a password, so that the owner's stays.
        ("PUT", "/owner/password") => {
            Ask { is_of_session: true, ..says("/owner/password", json!({ "old": "short", "new": "short" })) }
        }
        ("POST", "/owner/session") => says("/owner/session", json!({ "password": "staple of another kind" })),
        ("DELETE", "/owner/session") => Ask { is_of_session: true, ..at("/owner/session") },
        ("DELETE", "/owner/sessions") => at("/owner/sessions"),
        ("DELETE", "/owner/sessions/{id}") => at("/owner/sessions/SE_nobody"),
        ("POST", "/owner/keys") => says("/owner/keys", json!({ "name": "", "rights": ["list"] })),
        ("DELETE", "/owner/keys/{id}") => at("/owner/keys/rr_nobody"),

        ("GET", "/webhooks/deliveries") => at("/webhooks/deliveries"),
        ("POST", "/webhooks/deliveries/{id}/replay") => at("/webhooks/deliveries/1/replay"),
        ("POST", "/webhooks/test") => at("/webhooks/test"),

        ("GET", "/owner/oidc" | "/owner/oidc/back" | "/overview" | "/audit") => at(&row.path),
        ("GET", "/rooms/{name}/participants" | "/rooms/{name}/lobby") => at(row.path.replace("{name}", room)),
        ("POST", "/rooms/{name}/participants/{id}/mute") => {
            says(format!("/rooms/{room}/participants/nobody/mute"), json!({ "source": "camera" }))
        }
        ("DELETE", "/rooms/{name}/participants/{id}") => at(format!("/rooms/{room}/participants/nobody")),
        ("POST", "/rooms/{name}/lobby/admit" | "/rooms/{name}/lobby/refuse") => {
            says(row.path.replace("{name}", room), json!({ "ids": ["nobody"] }))
        }
        ("GET", "/rooms/{name}/retention") => at("/rooms/nowhere/retention"),
        ("POST", "/recordings/{name}/keep") => {
            says(format!("/recordings/{recording}/keep"), json!({ "keep": true }))
        }
        ("GET" | "DELETE", "/rooms/{name}/lobby/{id}") => at(format!("/rooms/{room}/lobby/nobody")),
        _ => return None,
    };
    Some(ask)
}

/// A webhook as the media server signs it.
pub(crate) fn signed_webhook() -> (String, Vec<u8>) {
    let body = json!({ "event": "room_started" }).to_string().into_bytes();
    (webhook::sign(&ApiKeys::new(KEY.0, KEY.1), &body, now_s()), body)
}
