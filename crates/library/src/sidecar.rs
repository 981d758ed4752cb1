//! What stands beside an MP4 and describes it: ours, LiveKit's, and the tutorials'. Pure.
//!
//! ```text
//!  <name>.mp4.json               ours; the basic tutorial's and LiveKit's manifest have the same fields, fewer of them
//!  EG_xxx.json                   LiveKit's manifest of a file that was not named after
//!  .metadata/<name>.json         the advanced tutorial's: milliseconds and seconds
//!  (nothing)                     a name such as "Room-RM_x-2026-01-01T101010.mp4" tells the rest
//! ```
//!
//! Others may have written them, and anything in them: a field that is not what it should be is as good as missing, and no
//! text or time is larger than a list can show.

use reelroom_limits::library::SMALL_FILE_BYTES;
use serde::Serialize;
use serde_json::Value;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::publication::Publication;
use crate::recording::{Recording, Status};

pub(crate) const EXTENSION: &str = ".mp4";
const METADATA_FOLDER: &str = ".metadata/";
/// As the tutorials' template `{time}` writes it, in UTC.
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour][minute][second]");
const TIME_LEN: usize = "2026-01-01T101010".len();

/// Whether an object is a recording and not something beside one.
pub(crate) fn is_recording(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.len() > EXTENSION.len() && file.to_ascii_lowercase().ends_with(EXTENSION)
}

/// Our sidecar of a recording.
pub(crate) fn own(name: &str) -> String {
    format!("{name}.json")
}

/// The recording that a sidecar of ours is of.
pub(crate) fn recording_of(sidecar: &str) -> Option<&str> {
    sidecar.strip_suffix(".json").filter(|name| is_recording(name))
}

/// The advanced tutorial's.
pub(crate) fn advanced(name: &str) -> String {
    let stem = name.get(..name.len() - EXTENSION.len()).unwrap_or(name);
    format!("{METADATA_FOLDER}{stem}.json")
}

/// Whether an object may be a manifest that LiveKit named after the egress.
pub(crate) fn is_manifest(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.starts_with("EG_") && file.ends_with(".json")
}

/// Of a room's name, a file's or an id.
const MAX_NAME_CHARS: usize = 1024;
const MAX_ERROR_CHARS: usize = 4096;
/// The end of the year 9999: what is later shows nowhere.
const LATEST_MS: i64 = 253_402_300_799_999;
/// A hundred years.
const LONGEST_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1000;
/// A manifest is of one egress, which has a file or a few.
const MAX_FILES: usize = 1000;

/// Our sidecar, which is LiveKit's manifest and more. Times are Unix nanoseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sidecar {
    pub(crate) egress_id: String,
    pub(crate) room_id: String,
    pub(crate) room_name: String,
    pub(crate) started_at: i64,
    pub(crate) ended_at: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<File>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recovered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lost_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// This stands in the backup store only: nothing is to stand beside the file in the first one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stands_alone: bool,
    /// What happened to each track.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) tracks: serde_json::Value,
    /// What was left out because it is damaged.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) skipped: serde_json::Value,
    /// Frames that are missing because the disk could not follow.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) dropped_frames: serde_json::Value,
    /// What everybody said to being recorded.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) consents: serde_json::Value,
    /// Where nothing was recorded because the recorder's program was started anew.
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) suspended: serde_json::Value,
}

/// LiveKit's `files[]`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct File {
    pub(crate) filename: String,
    pub(crate) location: String,
}

/// What others wrote, field by field.
struct Fields(Value);

impl Fields {
    fn parse(bytes: &[u8]) -> Option<Self> {
        // As some editors and systems begin a file.
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let value: Value = serde_json::from_slice(bytes).ok()?;
        value.is_object().then_some(Self(value))
    }

    fn text(&self, name: &str, most: usize) -> String {
        self.0[name].as_str().unwrap_or_default().chars().take(most).collect()
    }

    fn name(&self, name: &str) -> String {
        self.text(name, MAX_NAME_CHARS)
    }

    /// LiveKit's protojson writes 64-bit numbers as texts, its manifests as numbers.
    fn number(&self, name: &str) -> Option<f64> {
        match &self.0[name] {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number| number.is_finite())
    }

    fn whole(&self, name: &str) -> Option<i64> {
        let exact = match &self.0[name] {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        exact.or_else(|| self.number(name).map(|number| number as i64))
    }

    fn count(&self, name: &str) -> Option<u64> {
        self.whole(name).and_then(|number| u64::try_from(number).ok())
    }
}

impl Sidecar {
    /// Reads ours or LiveKit's. `None` for something else.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::parse(bytes)?;
        let files = fields.0["files"].as_array().map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().chars().take(MAX_NAME_CHARS).collect();
        let files = files
            .iter()
            .take(MAX_FILES)
            .map(|file| File { filename: text(&file["filename"]), location: text(&file["location"]) })
            .filter(|file| !file.filename.is_empty() || !file.location.is_empty())
            .collect();
        let sidecar = Self {
            egress_id: fields.name("egress_id"),
            room_id: fields.name("room_id"),
            room_name: fields.name("room_name"),
            started_at: fields.whole("started_at").unwrap_or(0),
            ended_at: fields.whole("ended_at").unwrap_or(0),
            files,
            status: fields.name("status"),
            duration_ns: fields.count("duration_ns"),
            size: fields.count("size"),
            sha256: fields.0["sha256"].is_string().then(|| fields.name("sha256")),
            recovered: fields.0["recovered"].as_bool(),
            stands_alone: fields.0["stands_alone"].as_bool().unwrap_or(false),
            lost_ns: fields.count("lost_ns"),
            error: fields.0["error"].is_string().then(|| fields.text("error", MAX_ERROR_CHARS)),
            tracks: fields.0["tracks"].take(),
            skipped: fields.0["skipped"].take(),
            dropped_frames: fields.0["dropped_frames"].take(),
            consents: fields.0["consents"].take(),
            suspended: fields.0["suspended"].take(),
        };
        (!sidecar.egress_id.is_empty() || !sidecar.room_name.is_empty()).then_some(sidecar)
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        let write = |sidecar: &Self| {
            let mut json = serde_json::to_vec_pretty(sidecar).expect("texts and numbers make JSON");
            json.push(b'\n');
            json
        };
        let json = write(self);
        if json.len() as u64 <= SMALL_FILE_BYTES {
            return json;
        }
        // It would not be read again.
        let left_out = Value::from("left out: it would make this file too large");
        let skipped = left_out.clone();
        write(&Self { tracks: left_out, skipped, ..self.clone() })
    }

    /// Of a recording that is being published, without the file's hash.
    pub(crate) fn of(publication: &Publication<'_>, location: String, size: u64) -> Self {
        Self {
            egress_id: publication.egress_id.to_owned(),
            room_id: publication.room_id.to_owned(),
            room_name: publication.room_name.to_owned(),
            started_at: publication.started_at_ns,
            ended_at: publication.started_at_ns.saturating_add_unsigned(publication.duration_ns),
            files: vec![File { filename: publication.key.to_owned(), location }],
            status: Status::Complete.to_string(),
            duration_ns: Some(publication.duration_ns),
            size: Some(size),
            sha256: None,
            recovered: Some(publication.recovered),
            lost_ns: Some(publication.lost_ns),
            error: publication.ended_early.map(str::to_owned),
            stands_alone: false,
            tracks: publication.report["tracks"].clone(),
            skipped: publication.report["skipped"].clone(),
            dropped_frames: publication.report["dropped_frames"].clone(),
            consents: publication.report["consents"].clone(),
            suspended: publication.report["suspended"].clone(),
        }
    }

    /// Without what only its report tells.
    pub(crate) fn brief(&self) -> Self {
        Self {
            tracks: Value::Null,
            skipped: Value::Null,
            dropped_frames: Value::Null,
            consents: Value::Null,
            suspended: Value::Null,
            ..self.clone()
        }
    }

    /// What is known of a recording, where nothing else tells of it.
    pub(crate) fn of_known(recording: &Recording) -> Self {
        if recording.status == Status::Failed {
            return Self::of_failed(recording);
        }
        Self {
            status: recording.status.to_string(),
            duration_ns: recording.duration_ms.map(|ms| ms.saturating_mul(1_000_000)),
            size: recording.size,
            sha256: recording.sha256.clone(),
            recovered: Some(recording.recovered),
            lost_ns: Some(recording.lost_ms.saturating_mul(1_000_000)),
            ..Self::of_failed(recording)
        }
    }

    pub(crate) fn to_recording(&self, name: &str) -> Recording {
        let mut recording = Recording::named(name);
        self.clone().describe(&mut recording);
        recording
    }

    /// Adds what it tells.
    pub(crate) fn describe(self, recording: &mut Recording) {
        if !self.egress_id.is_empty() {
            recording.id = self.egress_id;
        }
        recording.room_name = self.room_name;
        recording.room_id = self.room_id;
        if self.started_at > 0 {
            recording.started_at_ms = (self.started_at / 1_000_000).min(LATEST_MS);
        }
        // LiveKit's own manifest has no length, and the time between start and end is not that of the file.
        recording.duration_ms = self.duration_ns.map(|duration| (duration / 1_000_000).min(LONGEST_MS));
        recording.size = recording.size.or(self.size);
        recording.sha256 = self.sha256;
        recording.recovered = self.recovered.unwrap_or(false);
        recording.lost_ms = self.lost_ns.unwrap_or(0) / 1_000_000;
        recording.error = self.error;
    }

    /// What is kept of a recording of which no file came out.
    pub(crate) fn of_failed(recording: &Recording) -> Self {
        Self {
            egress_id: recording.id.clone(),
            room_id: recording.room_id.clone(),
            room_name: recording.room_name.clone(),
            started_at: recording.started_at_ms.saturating_mul(1_000_000),
            status: Status::Failed.to_string(),
            error: recording.error.clone(),
            ..Self::default()
        }
    }

    /// Whether this program wrote it, about a file that it had stored. LiveKit's has no hash.
    pub(crate) fn is_of_a_stored_file(&self) -> bool {
        self.sha256.as_deref().is_some_and(|hash| hash.len() == 64)
            && self.duration_ns.is_some()
            && !self.is_failed()
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.status == Status::Failed.as_str()
    }
}

/// Adds what the advanced tutorial's metadata tells, whose times are milliseconds and seconds, with fractions. `None` for
/// something else.
pub(crate) fn describe_advanced(bytes: &[u8], recording: &mut Recording) -> Option<()> {
    let fields = Fields::parse(bytes)?;
    let (id, room_name) = (fields.name("id"), fields.name("roomName"));
    if id.is_empty() && room_name.is_empty() {
        return None;
    }
    if !id.is_empty() {
        recording.id = id;
    }
    recording.room_name = room_name;
    recording.room_id = fields.name("roomId");
    if let Some(started_at_ms) = fields.number("startedAt").filter(|started_at_ms| *started_at_ms > 0.0) {
        recording.started_at_ms = (started_at_ms as i64).min(LATEST_MS);
    }
    let seconds = fields.number("duration").filter(|seconds| *seconds > 0.0);
    recording.duration_ms = seconds.map(|seconds| ((seconds * 1000.0) as u64).min(LONGEST_MS));
    Some(())
}

/// Adds what the name itself tells, if it was made from a template of the tutorials: `{room_name}-{room_id}-{time}` or
/// `{room_name}-{time}-{room_id}`, or from LiveKit's own `{room_name}-{time}`; a number may follow.
pub(crate) fn describe_by_name(recording: &mut Recording) {
    let file = recording.name.rsplit('/').next().unwrap_or(&recording.name);
    let stem = file.get(..file.len().saturating_sub(EXTENSION.len())).unwrap_or(file);
    let without_number = || {
        let (rest, number) = stem.rsplit_once('-')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(rest)
    };
    let Some(told) = by_template(stem).or_else(|| by_template(without_number()?)) else { return };
    recording.room_name = told.0.to_owned();
    recording.room_id = told.1.to_owned();
    recording.started_at_ms = told.2;
}

/// The room's name and id, and when it began in Unix milliseconds.
fn by_template(stem: &str) -> Option<(&str, &str, i64)> {
    let with_id = |text: &str| -> Option<(usize, usize)> {
        let at = text.rfind('-')?;
        text.get(at + 1..)?.starts_with("RM_").then_some((at, at + 1))
    };
    let (rest, id_behind) = match with_id(stem) {
        Some((end, from)) => (&stem[..end], &stem[from..]),
        None => (stem, ""),
    };
    let at = rest.len().checked_sub(TIME_LEN)?;
    let (rest, time) = (rest.get(..at)?.strip_suffix('-')?, rest.get(at..)?);
    let started_at_ms = PrimitiveDateTime::parse(time, TIME).ok()?.assume_utc().unix_timestamp() * 1000;
    let (room_name, room_id) = match with_id(rest) {
        Some((end, from)) if id_behind.is_empty() => (&rest[..end], &rest[from..]),
        _ => (rest, id_behind),
    };
    Some((room_name, room_id, started_at_ms))
}

#[cfg(test)]
mod tests;
