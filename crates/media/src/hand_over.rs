//! From one run of the server to the next: what rooms know, who was removed, and which tokens were used.
//!
//! ```text
//!   a planned stop ─► rooms end ─► write ─► restart.json ─► take_up, once ─► rooms that open again
//!                                               └─► deleted before it is used: what one run takes up no other does
//! ```
//!
//! # Invariants
//!
//! - The file is the program's user's alone, and bounded. Who was removed always fits, and so do agents, which have a bound of their own;
//!   then comes that a room asks for consent, then what everybody may do in it and has answered, then how it and they are described.
//! - Without it, or with one that cannot be read, the server starts as after a crash. Rooms of an old one open as new ones.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use reelroom_agents::KeptAgents;
use reelroom_limits::agents::AGENTS_HAND_OVER_BYTES;
use reelroom_limits::signalling::{HAND_OVER_BYTES, HAND_OVER_LASTS};
use reelroom_protocol::ids::{RoomName, Ticket};
use reelroom_sfu::KeptRoom;
use serde::{Deserialize, Serialize};

use crate::gate::Gatehouse;
use crate::removals::Person;
use crate::room_task::now;
use crate::rooms::Rooms;

/// What this version writes; another one is not read.
const FORMAT: u32 = 1;
/// A disk that takes nothing keeps nobody from coming back: clients try for half a minute.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Who was removed is not left out, whatever names of rooms and people take.
const READ_AT_MOST: u64 = 4 * HAND_OVER_BYTES as u64;
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
    /// The agents of rooms, for those that go on.
    #[serde(default)]
    agents: Vec<(RoomName, KeptAgents)>,
}

/// Writes down what the next run takes up of `rooms`, which are over. What cannot be written costs what it says, and nothing else.
pub(crate) async fn write(
    rooms: Vec<KeptRoom>,
    agents: Vec<(RoomName, KeptAgents)>,
    gate: &Gatehouse,
    file: &Path,
) {
    let now = now();
    let (removals, spent) = gate.kept(now.at);
    let spent = spent.into_iter().map(|(ticket, serial, age)| (ticket, serial, age.as_secs())).collect();
    let agents = those_that_fit(agents, AGENTS_HAND_OVER_BYTES);
    let handed = HandedOver { format: FORMAT, unix_ms: now.unix_ms, rooms, removals, spent, agents };
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

/// The agents of as many rooms as fit into so many bytes, those that need little first.
fn those_that_fit(agents: Vec<(RoomName, KeptAgents)>, bytes: usize) -> Vec<(RoomName, KeptAgents)> {
    let all = agents.len();
    let mut measured: Vec<_> = agents.into_iter().map(|room| (json(&room).len() + 1, room)).collect();
    measured.sort_by_key(|(length, _)| *length);
    let mut left = bytes;
    let fit = measured.into_iter().map_while(|(length, room)| {
        left = left.checked_sub(length)?;
        Some(room)
    });
    let fit: Vec<_> = fit.collect();
    if fit.len() < all {
        let rooms = all - fit.len();
        tracing::warn!(
            rooms,
            "there is more to know of agents than is written down: of some rooms it is left out"
        );
    }
    fit
}

/// A room, and what is written of it so far.
struct Written {
    whole: KeptRoom,
    room: KeptRoom,
    length: usize,
}

/// As it stands in the file: of each room as much as fits.
fn within_bounds(mut handed: HandedOver) -> Vec<u8> {
    let rooms = std::mem::take(&mut handed.rooms);
    let all = rooms.len();
    let mut left = HAND_OVER_BYTES.saturating_sub(json(&handed).len());
    let mut written = Vec::with_capacity(all);
    for whole in rooms {
        let room = whole.bare();
        if let Some(length) = length(&room, left) {
            left -= length;
            written.push(Written { whole, room, length });
        }
    }
    let mut as_they_were = 0;
    let forms: [fn(&KeptRoom) -> KeptRoom; 2] = [KeptRoom::without_texts, KeptRoom::clone];
    for form in forms {
        let most = |room: &Written| length(&form(&room.whole), left + room.length);
        let mut longer: Vec<_> = written.iter_mut().filter_map(|room| Some((most(&*room)?, room))).collect();
        // Whoever fills a room with text takes the place of no other.
        longer.sort_by_key(|(length, _)| *length);
        as_they_were = 0;
        for (length, room) in longer {
            if length > left + room.length {
                break;
            }
            left = left + room.length - length;
            (room.room, room.length) = (form(&room.whole), length);
            as_they_were += 1;
        }
    }
    if as_they_were < all {
        let rooms = all - as_they_were;
        tracing::warn!(rooms, "rooms know more than is written down: what is too long of some is left out");
    }
    handed.rooms = written.into_iter().map(|written| written.room).collect();
    json(&handed)
}

/// How long a room is in the file, with what stands between it and the next one. `None` for one that is longer than `most`.
fn length(room: &KeptRoom, most: usize) -> Option<usize> {
    let mut counter = Counter { bytes: 1, most };
    serde_json::to_writer(&mut counter, room).ok().map(|()| counter.bytes)
}

/// Counts what is written to it, and takes no more than it may.
struct Counter {
    bytes: usize,
    most: usize,
}

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        if self.bytes > self.most { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
    // By no clock that can be moved: what was used holds for longer, by as long as nothing ran.
    let spent = handed.spent.into_iter();
    let spent = spent.map(|(ticket, serial, age_s)| (ticket, serial, Duration::from_secs(age_s)));
    gate.go_on(handed.removals, spent.collect(), now.at);
    let age = Duration::from_millis(now.unix_ms.saturating_sub(handed.unix_ms).unsigned_abs());
    if age > HAND_OVER_LASTS {
        return;
    }
    let count = handed.rooms.len();
    tracing::info!(rooms = count, "rooms of the former run go on as they were");
    let tickets = |room: &KeptRoom| room.bearers().iter().cloned().collect::<HashSet<Ticket>>();
    let bearers: HashMap<RoomName, _> =
        handed.rooms.iter().map(|room| (room.name().clone(), tickets(room))).collect();
    gate.expect(bearers, within, now.at);
    rooms.go_on(handed.rooms, handed.agents, within, now.at);
    // Those that never come cost nothing for long.
    let (rooms, gate) = (rooms.clone(), gate.clone());
    tokio::spawn(async move {
        tokio::time::sleep(HAND_OVER_LASTS).await;
        rooms.go_on_no_more();
        gate.expect_nobody();
    });
}

/// The file is gone when this returns.
fn read_once(file: &Path) -> io::Result<Option<HandedOver>> {
    let mut bytes = Vec::new();
    match File::open(file) {
        // One that is larger is cut, and then no JSON.
        Ok(found) => found.take(READ_AT_MOST).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    std::fs::remove_file(file)?;
    // Also for a machine that fails now, wherever a folder can be synced.
    let _ = file.parent().map(|folder| File::open(folder).and_then(|folder| folder.sync_all()));
    let handed: HandedOver = serde_json::from_slice(&bytes)?;
    Ok(Some(handed).filter(|handed| handed.format == FORMAT))
}

#[cfg(test)]
mod tests;
