//! From one run of the server to the next: what rooms know, who was removed, and which tokens were used.
//!
//! ```text
//!   a planned stop ─► write ─► restart.json ─► take_up, once ─► rooms that open again
//!                                  └─► deleted before it is used: what one run takes up no other does
//! ```
//!
//! # Invariants
//!
//! - The file is the program's user's alone, and bounded. Rooms that do not fit open as new ones; who was removed always fits.
//! - Without it, or with one that cannot be read, the server starts as after a crash. Rooms of an old one open as new ones.

use std::collections::HashSet;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use reelroom_limits::signalling::{HAND_OVER_BYTES, HAND_OVER_LASTS};
use reelroom_protocol::ids::Ticket;
use reelroom_sfu::KeptRoom;
use serde::{Deserialize, Serialize};

use crate::gate::Gatehouse;
use crate::removals::Person;
use crate::room_task::now;
use crate::rooms::Rooms;

/// What this version writes; another one is not read.
const FORMAT: u32 = 1;
/// A disk that takes nothing keeps nobody from coming back.
const WRITE_WITHIN: Duration = Duration::from_secs(1);
/// Only its user reads it.
const MODE: u32 = 0o600;

#[derive(Debug, Serialize, Deserialize)]
struct HandedOver {
    format: u32,
    unix_ms: i64,
    rooms: Vec<KeptRoom>,
    removals: Vec<(Person, u64)>,
    /// Each with how long before it was used, seconds.
    spent: Vec<(Ticket, u32, u64)>,
}

/// Writes down what the next run takes up. What cannot be written costs what it says, and nothing else.
pub(crate) async fn write(rooms: &Rooms, gate: &Gatehouse, file: &Path) {
    let now = now();
    let (removals, spent) = gate.kept(now.at);
    let spent = spent.into_iter().map(|(ticket, serial, age)| (ticket, serial, age.as_secs())).collect();
    let handed =
        HandedOver { format: FORMAT, unix_ms: now.unix_ms, rooms: rooms.kept().await, removals, spent };
    let path = file.to_owned();
    let writing = tokio::task::spawn_blocking(move || write_file(&path, &within_bounds(handed)));
    let written = match tokio::time::timeout(WRITE_WITHIN, writing).await {
        Ok(written) => written.expect("writing a file does not panic"),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    if let Err(error) = written {
        tracing::warn!(file = %file.display(), %error, "what rooms know cannot be written down: they open as new ones");
    }
}

/// As it stands in the file: without the rooms that do not fit.
fn within_bounds(mut handed: HandedOver) -> Vec<u8> {
    let rooms = std::mem::take(&mut handed.rooms);
    let mut bytes = json(&handed).len();
    let all = rooms.len();
    let mut rooms: Vec<_> = rooms.into_iter().map(|room| (json(&room).len(), room)).collect();
    // Whoever fills a room with text takes the place of no other.
    rooms.sort_by_key(|(length, _)| *length);
    for (length, room) in rooms {
        bytes += length + 1;
        if bytes > HAND_OVER_BYTES {
            break;
        }
        handed.rooms.push(room);
    }
    let left_out = all - handed.rooms.len();
    if left_out > 0 {
        tracing::warn!(left_out, "rooms know more than is written down: some open as new ones");
    }
    json(&handed)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it has string keys and whole numbers only")
}

/// Replaces it as a whole.
fn write_file(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    // A file that is there keeps its rights.
    let _ = std::fs::remove_file(&new);
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(MODE).open(&new)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::rename(&new, file)
}

/// Takes up what the former run left, if it left something.
pub(crate) async fn take_up(rooms: &Rooms, gate: &Gatehouse, file: &Path, within: Duration) {
    let path = file.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_once(&path));
    let handed = match reading.await.expect("reading a file does not panic") {
        Ok(Some(handed)) => handed,
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "what a former run left cannot be read: rooms open as new ones");
            return;
        }
    };
    let now = now();
    let age = Duration::from_millis(now.unix_ms.saturating_sub(handed.unix_ms).unsigned_abs());
    let aged = |(ticket, serial, seconds): (Ticket, u32, u64)| {
        (ticket, serial, Duration::from_secs(seconds).saturating_add(age))
    };
    gate.go_on(handed.removals, handed.spent.into_iter().map(aged).collect(), now.at);
    if age > HAND_OVER_LASTS {
        return;
    }
    let count = handed.rooms.len();
    tracing::info!(rooms = count, "rooms of the former run go on as they were");
    let bearers = handed
        .rooms
        .iter()
        .flat_map(|room| room.bearers().iter().map(|ticket| (room.name().clone(), ticket.clone())));
    let bearers: HashSet<_> = bearers.collect();
    gate.expect(bearers, within, now.at);
    rooms.go_on(handed.rooms, now.at + within);
}

/// The file is gone when this returns.
fn read_once(file: &Path) -> io::Result<Option<HandedOver>> {
    let mut bytes = Vec::new();
    match std::fs::File::open(file) {
        // One that is larger is cut, and then no JSON.
        Ok(found) => found.take(2 * HAND_OVER_BYTES as u64).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    std::fs::remove_file(file)?;
    let handed: HandedOver = serde_json::from_slice(&bytes)?;
    Ok(Some(handed).filter(|handed| handed.format == FORMAT))
}

#[cfg(test)]
mod tests;
