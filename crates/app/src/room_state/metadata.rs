//! What a room's metadata says of its recording, and how that gets in without hurting what else is there. Pure.
//!
//! ```text
//!   {"createdBy": "an app", "recordingStatus": "STARTED", "recording": {"id", "status", "startedAt", "progress", "error"}}
//!     somebody else's, kept   OpenVidu's tutorial's words   ours: status as the list says it
//! ```
//!
//! # Invariants
//!
//! - A field of somebody else's is kept to the byte, also one that has a name of these two and another meaning.
//! - Text that is no JSON object is left as it is.

use std::collections::BTreeMap;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::board::Deleted;
use super::recorded::Recorded;

/// What OpenVidu's tutorial reads.
const RECORDING_STATUS: &str = "recordingStatus";
const RECORDING: &str = "recording";
const STOPPED: &str = "STOPPED";
/// Its words for what goes on, and for what is over.
const LIVE: [&str; 3] = ["STARTING", "STARTED", "STOPPING"];
const OVER: [&str; 2] = [STOPPED, "FAILED"];
/// Ours for what goes on.
const LIVE_WORDS: [&str; 3] = ["starting", "recording", "finishing"];

/// Metadata that is an object: each field as it was written.
type Fields = BTreeMap<String, Box<RawValue>>;

/// What is to be said.
pub(super) struct Said<'a> {
    /// Of which recording; `None`: of this session of the room none is known.
    pub(super) leading: Option<&'a Recorded>,
    /// What is not there any more.
    pub(super) deleted: &'a [Deleted],
}

/// What becomes of metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// It says that already.
    AsIs,
    /// It is no JSON object: somebody else's, and left alone.
    Foreign,
    To(String),
}

/// What a room has for metadata that opens while nothing is recorded.
pub(super) fn at_first() -> String {
    format!(r#"{{"{RECORDING_STATUS}":"{STOPPED}"}}"#)
}

/// Whether metadata says that something goes on.
pub(super) fn says_live(current: &str) -> bool {
    let Ok(fields) = serde_json::from_str::<Fields>(current) else { return false };
    let said = value(&fields, RECORDING_STATUS);
    let recording = value(&fields, RECORDING);
    is_one_of(said.as_ref(), &LIVE) || recording.is_some_and(|own| is_one_of(own.get("status"), &LIVE_WORDS))
}

/// Puts what is to be said into metadata.
pub(super) fn merge(current: &str, said: &Said<'_>) -> Merged {
    let mut fields = if current.is_empty() {
        Fields::new()
    } else {
        match serde_json::from_str(current) {
            Ok(fields) => fields,
            Err(_) => return Merged::Foreign,
        }
    };
    let (status, recording) = (value(&fields, RECORDING_STATUS), value(&fields, RECORDING));
    let new_status: Option<Value> = match said.leading {
        Some(recorded) => Some(recorded.stage.recording_status().into()),
        None if current.is_empty() || is_one_of(status.as_ref(), &LIVE) => Some(STOPPED.into()),
        None => status.clone(),
    };
    let new_recording = match said.leading {
        Some(recorded) => Some(body(recorded)),
        None => recording.clone().filter(|own| !is_past(own, said.deleted)),
    };
    let mut is_changed = false;
    let mut put = |name: &str, old: &Option<Value>, new: Option<Value>| {
        if *old == new {
            return;
        }
        is_changed = true;
        match new {
            Some(value) => {
                let raw = to_raw_value(&value).expect("what is said has string keys and finite numbers");
                fields.insert(name.to_owned(), raw);
            }
            None => drop(fields.remove(name)),
        }
    };
    if is_own_status(status.as_ref()) {
        put(RECORDING_STATUS, &status, new_status);
    }
    if is_own_recording(recording.as_ref()) {
        put(RECORDING, &recording, new_recording);
    }
    if !is_changed {
        return Merged::AsIs;
    }
    Merged::To(serde_json::to_string(&fields).expect("fields are JSON as they were read"))
}

/// Our field: what the tutorial's one word does not say.
fn body(recorded: &Recorded) -> Value {
    let mut body = Map::new();
    body.insert("id".into(), recorded.id.as_str().into());
    body.insert("status".into(), recorded.stage.word().into());
    if recorded.started_at_ms > 0 {
        body.insert("startedAt".into(), recorded.started_at_ms.into());
    }
    if let Some(percent) = recorded.percent {
        body.insert("progress".into(), (f64::from(percent) / 100.0).into());
    }
    if let Some(error) = &recorded.error {
        body.insert("error".into(), error.as_str().into());
    }
    Value::Object(body)
}

/// Whether what our field says is not so any more where no recording is known: it does not go on, or was deleted.
fn is_past(own: &Value, deleted: &[Deleted]) -> bool {
    let id = own.get("id").and_then(Value::as_str);
    is_one_of(own.get("status"), &LIVE_WORDS) || deleted.iter().any(|gone| Some(gone.id.as_str()) == id)
}

/// Whether a field of the tutorial's name has a word of the tutorial's.
fn is_own_status(status: Option<&Value>) -> bool {
    status.is_none() || is_one_of(status, &LIVE) || is_one_of(status, &OVER)
}

/// Whether a field of our name has what ours has.
fn is_own_recording(recording: Option<&Value>) -> bool {
    recording.is_none_or(|own| {
        own.get("id").is_some_and(Value::is_string) && own.get("status").is_some_and(Value::is_string)
    })
}

fn is_one_of(value: Option<&Value>, words: &[&str]) -> bool {
    value.and_then(Value::as_str).is_some_and(|word| words.contains(&word))
}

/// A field that is read; one that cannot be is somebody else's, and counts as such.
fn value(fields: &Fields, name: &str) -> Option<Value> {
    let raw = fields.get(name)?;
    Some(serde_json::from_str(raw.get()).unwrap_or(Value::Bool(false)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::recorded::Stage;
    use super::*;

    fn recorded(stage: Stage) -> Recorded {
        Recorded {
            id: "EG_1".into(),
            room_id: "RM_1".into(),
            stage,
            started_at_ms: 7,
            percent: None,
            error: None,
        }
    }

    fn told(current: &str, recorded: &Recorded) -> Merged {
        merge(current, &Said { leading: Some(recorded), deleted: &[] })
    }

    fn rested(current: &str, deleted: &[Deleted]) -> Merged {
        merge(current, &Said { leading: None, deleted })
    }

    fn written(merged: Merged) -> Value {
        match merged {
            Merged::To(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_room_is_told_in_the_tutorials_shape_and_in_ours() {
        let starting = written(told("", &recorded(Stage::Starting)));
        let own = json!({ "id": "EG_1", "status": "starting", "startedAt": 7 });
        assert_eq!(starting, json!({ "recordingStatus": "STARTING", "recording": own }));
        let finishing = Recorded { percent: Some(62), ..recorded(Stage::Finishing) };
        let finishing = written(told(&starting.to_string(), &finishing));
        assert_eq!(
            (&finishing["recordingStatus"], &finishing["recording"]["progress"]),
            (&json!("STOPPING"), &json!(0.62))
        );
        let failed = Recorded { error: Some("the disk is full".into()), ..recorded(Stage::Failed) };
        let failed = written(told(&finishing.to_string(), &failed));
        let own = json!({ "id": "EG_1", "status": "failed", "startedAt": 7, "error": "the disk is full" });
        assert_eq!(failed, json!({ "recordingStatus": "FAILED", "recording": own }));
        assert_eq!(
            told(
                &failed.to_string(),
                &Recorded { error: Some("the disk is full".into()), ..recorded(Stage::Failed) }
            ),
            Merged::AsIs
        );
    }

    #[test]
    fn what_an_app_has_set_is_kept_to_the_byte() {
        let apps = r#"{"createdBy":"an app","big":12345678901234567890123,"list":[1,  2],"recordingStatus":"STOPPED"}"#;
        let Merged::To(text) = told(apps, &recorded(Stage::Recording)) else { panic!() };
        for kept in [r#""createdBy":"an app""#, r#""big":12345678901234567890123"#, r#""list":[1,  2]"#] {
            assert!(text.contains(kept), "{text}");
        }
        let said = written(Merged::To(text.replace("12345678901234567890123", "1")));
        assert_eq!(said["recordingStatus"], "STARTED");
        // What has our name and another meaning is the app's.
        let theirs = r#"{"recording":true,"recordingStatus":"PAUSED"}"#;
        assert_eq!(told(theirs, &recorded(Stage::Recording)), Merged::AsIs);
        let half = written(told(r#"{"recording":true}"#, &recorded(Stage::Recording)));
        assert_eq!(half, json!({ "recording": true, "recordingStatus": "STARTED" }));
    }

    #[test]
    fn text_that_is_no_object_is_left_alone() {
        for theirs in ["agenda", "[1]", "7", "null", "\"x\"", "{", " "] {
            assert_eq!(told(theirs, &recorded(Stage::Recording)), Merged::Foreign, "{theirs}");
            assert_eq!(rested(theirs, &[]), Merged::Foreign, "{theirs}");
            assert!(!says_live(theirs));
        }
    }

    #[test]
    fn where_nothing_is_recorded_nothing_says_so_and_nothing_else_is_touched() {
        assert_eq!(rested("", &[]), Merged::To(at_first()));
        assert_eq!(written(rested("", &[])), json!({ "recordingStatus": "STOPPED" }));
        for quiet in ["{}", r#"{"agenda":1}"#, r#"{"recordingStatus":"FAILED"}"#, at_first().as_str()] {
            assert_eq!(rested(quiet, &[]), Merged::AsIs, "{quiet}");
            assert!(!says_live(quiet), "{quiet}");
        }
        let stale = r#"{"a":1,"recordingStatus":"STARTED","recording":{"id":"EG_1","status":"recording"}}"#;
        assert!(says_live(stale) && says_live(r#"{"recordingStatus":"STOPPING"}"#));
        assert_eq!(written(rested(stale, &[])), json!({ "a": 1, "recordingStatus": "STOPPED" }));
        let over = r#"{"recordingStatus":"STOPPED","recording":{"id":"EG_1","status":"complete"}}"#;
        assert_eq!(rested(over, &[]), Merged::AsIs);
        let gone = Deleted { number: 1, id: "EG_1".into(), name: "a.mp4".into() };
        assert_eq!(written(rested(over, &[gone])), json!({ "recordingStatus": "STOPPED" }));
    }
}
