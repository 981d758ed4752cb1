//! File names from templates: `recordings/{room_name}-{room_id}-{time}`.
//!
//! The result is a path inside a store: relative, without empty, `.` and `..` parts, its extension that of the file type. What is
//! substituted comes from users: any Unicode stays, but it never separates folders and never controls a terminal.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const TIME: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour][minute][second]");
const UTC: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day][hour][minute][second][subsecond digits:3]");
const DEFAULT_NAME: &str = "{room_name}-{time}";
/// File systems take 255 bytes per part; a suffix and a sidecar's extension have to fit too.
const MAX_PART_BYTES: usize = 230;
const MAX_BYTES: usize = 900;
/// So that a long room name leaves room for the rest.
const MAX_VALUE_BYTES: usize = 150;
/// Extensions that name a media type; another one than the file's is replaced.
const MEDIA_EXTENSIONS: [&str; 13] =
    ["mp4", "m4a", "mov", "ogg", "oga", "opus", "mp3", "aac", "wav", "webm", "mkv", "ts", "m3u8"];

/// What the templates stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) room_name: &'a str,
    pub(crate) room_id: &'a str,
    /// When recording began.
    pub(crate) at: OffsetDateTime,
}

/// The path can be no path inside a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPath;

/// The path of a file of type `extension` (without dot), cleaned as LiveKit's Egress cleans it: `a//b`, `a/./b` and `x/../a/b` are
/// `a/b`, and a leading `/` or `../` is dropped. Empty, or a folder with `/` at its end, gets LiveKit's default name
/// `{room_name}-{time}`; an unknown template stays as it is.
///
/// # Errors
/// [`BadPath`] for a path that is too long for stores.
pub(crate) fn resolve(filepath: &str, extension: &str, facts: &Facts<'_>) -> Result<String, BadPath> {
    let mut template = clean(filepath);
    if template.is_empty() || filepath.ends_with('/') {
        template.push(DEFAULT_NAME);
    }
    let mut parts: Vec<_> = template
        .into_iter()
        .map(|part| {
            let part = substitute(&visible(part), facts);
            // A room may be called "..".
            if matches!(part.as_str(), "" | "." | "..") { "_".to_owned() } else { part }
        })
        .collect();
    let name = parts.pop().ok_or(BadPath)?;
    let name = with_extension(&name, extension);
    parts.push(name);
    let path = parts.join("/");
    if path.len() > MAX_BYTES || parts.iter().any(|part| part.len() > MAX_PART_BYTES) {
        return Err(BadPath);
    }
    Ok(path)
}

/// The parts of a path, without those that are empty or lead nowhere else; `..` leads up, but not out of the store.
fn clean(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts
}

/// What controls a terminal, or separates lines of a list, is no part of a name.
fn visible(part: &str) -> String {
    part.chars().map(|character| if character.is_control() { '_' } else { character }).collect()
}

/// The same path with `-n` before the extension.
pub(crate) fn numbered(path: &str, n: impl std::fmt::Display) -> String {
    match path.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}-{n}.{extension}"),
        None => format!("{path}-{n}"),
    }
}

/// The same path with the egress id in it: no other file has that.
pub(crate) fn unique(path: &str, id: &str, n: u32) -> String {
    if path.contains(id) { numbered(path, n) } else { numbered(path, id) }
}

/// One pass: what is substituted is not looked at again.
fn substitute(part: &str, facts: &Facts<'_>) -> String {
    let mut out = String::new();
    let mut rest = part;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let Some(close) = rest.find('}') else { break };
        let value = match &rest[1..close] {
            "room_name" => safe(facts.room_name),
            "room_id" => safe(facts.room_id),
            "time" => format(facts.at, TIME),
            "utc" => format(facts.at, UTC),
            "retry" => "0".to_owned(),
            _ => rest[..=close].to_owned(),
        };
        out.push_str(&value);
        rest = &rest[close + 1..];
    }
    out.push_str(rest);
    out
}

fn format(at: OffsetDateTime, items: &[BorrowedFormatItem<'_>]) -> String {
    at.format(items).expect("a time has every part of it")
}

fn safe(value: &str) -> String {
    let mut out = String::new();
    for character in visible(value).chars() {
        let character = if matches!(character, '/' | '\\') { '-' } else { character };
        if out.len() + character.len_utf8() > MAX_VALUE_BYTES {
            break;
        }
        out.push(character);
    }
    out
}

fn with_extension(name: &str, extension: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, old))
            if !stem.is_empty() && MEDIA_EXTENSIONS.contains(&old.to_ascii_lowercase().as_str()) =>
        {
            format!("{stem}.{extension}")
        }
        _ => format!("{name}.{extension}"),
    }
}

#[cfg(test)]
mod tests;
