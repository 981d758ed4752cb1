//! `GET /events`: what happens to recordings, told as it happens (server-sent events).
//!
//! ```text
//!   who comes first, or is behind ──► reload (read the list) ─┐
//!   Last-Event-ID: what was missed ───────────────────────────┴─► recording.changed, recording.deleted, …, beat ─► over
//!        library's feed ─► what the caller may list ─► text, a batch at a time
//! ```
//!
//! # Invariants
//!
//! - Nobody is told of a recording that their list does not have. Who they are is asked anew every few seconds, and who is another one by
//!   then, or nobody, is told so and no more.
//! - A follower holds a number and a place in a stream: while its reader takes nothing, nothing is made for it. Who is behind is told to
//!   read the list, and has missed nothing then.
//! - What is not told is never taken for no change: every event says by its id behind which change whoever follows is.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use reelroom_access::{Caller, Reach, RecordingName, Resource, Right, reach};
use reelroom_library::{ChangeNumber, What};
use reelroom_limits::events::{
    CHANGES_AT_ONCE, CHANGES_AT_ONCE_BYTES, FOLLOWER_ASKED, FOLLOWER_BEAT, FOLLOWER_RESTS,
};
use reelroom_protocol::ids::RoomName;
use reelroom_routes::{Keeper as _, Refusal, Visitor};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::WebApp;
use crate::error::{ApiError, ErrorBody};
use crate::keeper::LINK;
use crate::recordings::RecordingBody;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx holds nothing back that says so.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Milliseconds after which a browser whose connection broke comes again.
const RETRY: &str = "retry: 2000\n\n";

/// Tells what happens to recordings as it happens. The events: `reload` (read the list: what changed since is not known), `recording.changed`
/// (a recording, as the list shows it), `recording.deleted` (its id, name and roomName), `beat` (the server is there), `over` (errorMessage:
/// the caller may not follow any more). After a break nothing is missed with the header Last-Event-ID.
#[utoipa::path(get, path = "/events", responses(
    (status = 200, description = "A stream of server-sent events", body = String, content_type = "text/event-stream"),
    (status = 503, description = "Too many follow already, or the server stops", body = ErrorBody),
))]
pub(crate) async fn follow(
    State(app): State<WebApp>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, ApiError> {
    if visitor.reach(Right::Observe) == Reach::Nothing || visitor.reach(Right::List) == Reach::Nothing {
        return Err(visitor.refusal().into());
    }
    if app.stop().is_cancelled() {
        return Err(ApiError::Unavailable("the server stops: ask again shortly".into()));
    }
    let (head, _) = request.into_parts();
    let follower = Follower::new(app, &head, visitor.caller().clone(), Times::default());
    let told = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    Ok((told, follower.into_body()).into_response())
}

/// How often a follower is told and asked something.
#[derive(Clone, Copy, Debug)]
struct Times {
    rests: Duration,
    beat: Duration,
    asked: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { rests: FOLLOWER_RESTS, beat: FOLLOWER_BEAT, asked: FOLLOWER_ASKED }
    }
}

/// Somebody who follows.
struct Follower {
    app: WebApp,
    stop: CancellationToken,
    /// By which it is known who they are.
    shown: Parts,
    caller: Caller,
    newest: watch::Receiver<ChangeNumber>,
    /// Behind which change they are; `None`: they have to read the list.
    seen: Option<ChangeNumber>,
    times: Times,
    course: Course,
    rested_at: Instant,
    beat_at: Instant,
    asked_at: Instant,
}

/// How far a stream of events is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Begins,
    GoesOn,
    Over,
}

impl Follower {
    fn new(app: WebApp, head: &Parts, caller: Caller, times: Times) -> Self {
        let newest = app.library().follow();
        let last = head.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
        let seen = last.and_then(|id| app.run().seen(id));
        let now = Instant::now();
        Self {
            stop: app.stop().clone(),
            shown: shown(head),
            app,
            caller,
            newest,
            seen,
            times,
            course: Course::Begins,
            rested_at: now,
            beat_at: now + times.beat,
            asked_at: now + times.asked,
        }
    }

    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut follower| async move {
            let text = follower.next().await?;
            Some((Ok::<_, Infallible>(Bytes::from(text)), follower))
        }))
    }

    /// What is told next; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        match self.course {
            Course::Over => return None,
            Course::Begins => {
                self.course = Course::GoesOn;
                // A head without anything behind it is held back by some that stand in between.
                return Some(format!("{RETRY}{}", self.look().unwrap_or_default()));
            }
            Course::GoesOn => {}
        }
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep_until(self.rested_at) => {}
            }
            let now = Instant::now();
            if now >= self.asked_at {
                self.asked_at = now + self.times.asked;
                if let Some(refusal) = self.is_refused().await {
                    self.course = Course::Over;
                    return Some(event("over", None, &json!({ "errorMessage": refusal.to_string() })));
                }
            }
            if let Some(text) = self.look() {
                return Some(self.tells(text));
            }
            if now >= self.beat_at {
                let id = self.seen.map(|seen| self.app.run().event_id(seen));
                let text = event("beat", id.as_deref(), &json!({}));
                return Some(self.tells(text));
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                changed = self.newest.changed() => changed.ok()?,
                () = tokio::time::sleep_until(self.beat_at.min(self.asked_at)) => {}
            }
        }
    }

    fn tells(&mut self, text: String) -> String {
        self.beat_at = Instant::now() + self.times.beat;
        text
    }

    /// Everything that is new for the caller; `None` where nothing is.
    fn look(&mut self) -> Option<String> {
        let newest = *self.newest.borrow_and_update();
        if self.seen == Some(newest) {
            return None;
        }
        self.rested_at = Instant::now() + self.times.rests;
        let text = self.seen.and_then(|seen| self.changes_behind(seen));
        Some(match text {
            Some(text) => text,
            None => {
                // Before the list is read: what changes from here on is told, whether the list has it or not.
                self.seen = Some(newest);
                event("reload", Some(&self.app.run().event_id(newest)), &json!({}))
            }
        })
        .filter(|text| !text.is_empty())
    }

    /// The changes that the caller may see, as text; `None` where they are not known any more, or too many.
    fn changes_behind(&mut self, seen: ChangeNumber) -> Option<String> {
        let changes = self.app.library().changes(seen, CHANGES_AT_ONCE + 1).ok()?;
        if changes.len() > CHANGES_AT_ONCE {
            return None;
        }
        let reach = reach(&self.caller, Right::List);
        let mut text = String::new();
        for change in changes {
            self.seen = Some(change.number);
            let (name, room) = match &change.what {
                What::Changed(recording) => (&recording.name, &recording.room_name),
                What::Deleted(gone) => (&gone.name, &gone.room_name),
            };
            if !is_seen(reach, name, room) {
                continue;
            }
            let id = self.app.run().event_id(change.number);
            text += &match change.what {
                What::Changed(recording) => {
                    event("recording.changed", Some(&id), &RecordingBody::from(*recording))
                }
                What::Deleted(gone) => {
                    let gone = json!({ "id": gone.id, "name": gone.name, "roomName": gone.room_name });
                    event("recording.deleted", Some(&id), &gone)
                }
            };
            if text.len() > CHANGES_AT_ONCE_BYTES {
                return None;
            }
        }
        Some(text)
    }

    /// Why the caller may not go on, where that is so.
    async fn is_refused(&self) -> Option<Refusal> {
        match self.app.caller(&self.shown).await {
            Ok(caller) if caller == self.caller => None,
            // With other rights they see another list.
            Ok(caller) => Some(Refusal::of(&caller)),
            Err(refusal) => Some(refusal),
        }
    }
}

/// Whether a list has a recording that reaches so far.
fn is_seen(reach: Reach<'_>, name: &str, room: &str) -> bool {
    if reach == Reach::Everything {
        return true;
    }
    let (name, room) = (RecordingName::from(name), Some(RoomName::from(room)).filter(|_| !room.is_empty()));
    reach.covers(&Resource::Recording { name: &name, room: room.as_ref() })
}

/// What of a request says who asks; the rest of its head is not kept for as long as somebody follows.
fn shown(head: &Parts) -> Parts {
    let mut parts = Request::new(()).into_parts().0;
    parts.uri = head.uri.clone();
    for name in [AUTHORIZATION, COOKIE, LINK] {
        for value in head.headers.get_all(&name) {
            parts.headers.append(name.clone(), value.clone());
        }
    }
    parts
}

/// An event as it is written. JSON has no line breaks, so it is one line.
fn event(kind: &str, id: Option<&str>, data: &impl Serialize) -> String {
    let data = serde_json::to_string(data).expect("what is told has string keys and finite numbers");
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {kind}\n{id}data: {data}\n\n")
}

#[cfg(test)]
mod tests;
