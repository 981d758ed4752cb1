//! What changed in the library, in order and with growing numbers, for whoever follows it.
//!
//! ```text
//!   a row is written, or goes ─► the newest change of each name ─► since a number ─► whoever follows
//!   an upload, a file that grows ─►  │ more than are kept: the oldest go
//!                                    └─► who has not seen them is behind, and reads the list anew
//! ```
//!
//! # Invariants
//!
//! - Of a name the newest change alone is kept: who comes late is told how things are, and not all that they went through.
//! - Changes of a name are told in the order in which its rows are written: whoever writes the index tells while nobody else writes.
//! - What is kept is bounded in number and in bytes. What is forgotten is forgotten for all who have not seen it, and they are told.
//! - A follower costs nothing here: it holds the number of what it has seen.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use reelroom_limits::events::{CHANGES_BYTES, CHANGES_KEPT};
use tokio::sync::watch;

use crate::recording::{Recording, Status};

/// What a change has besides its texts.
const CHANGE_BYTES: usize = 400;

/// Which change: a later one has a higher number. Numbers begin anew with the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeNumber(u64);

impl ChangeNumber {
    /// The number itself.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for ChangeNumber {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// A change of the library.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its number.
    pub number: ChangeNumber,
    /// What changed.
    pub what: What,
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A recording is new, or is another one than it was.
    Changed(Box<Recording>),
    /// A recording is listed no longer, or no longer under this name.
    Deleted(Gone),
}

/// A recording that is listed no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The egress id, or the name where none was known.
    pub id: String,
    /// Under which name it was listed.
    pub name: String,
    /// Empty where it was not known.
    pub room_name: String,
}

/// Changes since that number are forgotten: the list has to be read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what changed since then is not known any more: read the list anew")]
pub struct Behind;

impl What {
    fn name(&self) -> &str {
        match self {
            Self::Changed(recording) => &recording.name,
            Self::Deleted(gone) => &gone.name,
        }
    }

    fn bytes(&self) -> usize {
        let texts = match self {
            Self::Changed(recording) => {
                let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
                recording.id.len()
                    + recording.name.len()
                    + recording.room_name.len()
                    + recording.room_id.len()
                    + optional(&recording.error)
                    + optional(&recording.sha256)
            }
            Self::Deleted(gone) => gone.id.len() + gone.name.len() + gone.room_name.len(),
        };
        // Names stand twice.
        CHANGE_BYTES + texts + self.name().len()
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
struct Room {
    changes: usize,
    bytes: usize,
}

/// The changes that are kept.
struct Log {
    room: Room,
    changes: BTreeMap<u64, What>,
    /// The number of the change of each name.
    names: HashMap<String, u64>,
    bytes: usize,
    newest: u64,
    /// The highest number of what was forgotten.
    forgotten: u64,
}

impl Log {
    fn known(&self, name: &str) -> Option<&What> {
        self.changes.get(self.names.get(name)?)
    }

    fn put(&mut self, what: What) {
        if let Some(number) = self.names.remove(what.name()) {
            self.remove(number);
        }
        self.newest += 1;
        self.bytes += what.bytes();
        self.names.insert(what.name().to_owned(), self.newest);
        self.changes.insert(self.newest, what);
        while self.changes.len() > self.room.changes || self.bytes > self.room.bytes {
            let Some((&oldest, _)) = self.changes.first_key_value() else { break };
            if let Some(what) = self.remove(oldest) {
                self.names.remove(what.name());
            }
            self.forgotten = oldest;
        }
    }

    fn remove(&mut self, number: u64) -> Option<What> {
        let what = self.changes.remove(&number)?;
        self.bytes -= what.bytes();
        Some(what)
    }

    /// Everybody is behind.
    fn forget_all(&mut self) {
        self.changes.clear();
        self.names.clear();
        self.bytes = 0;
        self.newest += 1;
        self.forgotten = self.newest;
    }
}

/// The feed of a library.
pub(crate) struct Feed {
    log: Mutex<Log>,
    newest: watch::Sender<ChangeNumber>,
}

impl Default for Feed {
    fn default() -> Self {
        Self::with(Room { changes: CHANGES_KEPT, bytes: CHANGES_BYTES })
    }
}

impl Feed {
    fn with(room: Room) -> Self {
        let log =
            Log { room, changes: BTreeMap::new(), names: HashMap::new(), bytes: 0, newest: 0, forgotten: 0 };
        Self { log: Mutex::new(log), newest: watch::Sender::new(ChangeNumber(0)) }
    }

    /// A row was written. One that says what the last one said is no change.
    pub(crate) fn changed(&self, row: &Recording) {
        let row = Recording { upload: None, unfinished: None, ..row.clone() };
        let mut log = self.lock();
        if let Some(What::Changed(known)) = log.known(&row.name) {
            if **known == row {
                return;
            }
            // Whoever sees that room alone is told of no other one: they read the list, in which it is not.
            if !known.room_name.is_empty() && known.room_name != row.room_name {
                log.forget_all();
            }
        }
        log.put(What::Changed(Box::new(row)));
        self.tell(&log);
    }

    /// Rows went.
    pub(crate) fn deleted(&self, gone: impl IntoIterator<Item = Gone>) {
        let mut log = self.lock();
        for gone in gone {
            log.put(What::Deleted(gone));
        }
        self.tell(&log);
    }

    /// Something of a recording is different that its row does not say. False where its row has to be read to say so.
    pub(crate) fn again(&self, name: &str) -> bool {
        self.again_where(name, |_| true)
    }

    /// More of a file plays, which is told of those that are being finished.
    pub(crate) fn grew(&self, name: &str) {
        self.again_where(name, |recording| recording.status == Status::Finishing);
    }

    fn again_where(&self, name: &str, is_told: impl Fn(&Recording) -> bool) -> bool {
        let mut log = self.lock();
        match log.known(name).cloned() {
            Some(what @ What::Changed(_)) => {
                if matches!(&what, What::Changed(recording) if is_told(recording)) {
                    log.put(what);
                    self.tell(&log);
                }
                true
            }
            // It is gone.
            Some(What::Deleted(_)) => true,
            None => false,
        }
    }

    /// The first changes behind `seen`, `most` at most.
    ///
    /// # Errors
    /// [`Behind`].
    pub(crate) fn since(&self, seen: ChangeNumber, most: usize) -> Result<Vec<Change>, Behind> {
        let log = self.lock();
        if seen.0 < log.forgotten || seen.0 > log.newest {
            return Err(Behind);
        }
        let later = log.changes.range(seen.0 + 1..).take(most);
        Ok(later.map(|(number, what)| Change { number: ChangeNumber(*number), what: what.clone() }).collect())
    }

    /// The number of the newest change, and of those to come.
    pub(crate) fn follow(&self) -> watch::Receiver<ChangeNumber> {
        self.newest.subscribe()
    }

    /// By whoever holds the log, so that numbers only grow.
    fn tell(&self, log: &Log) {
        self.newest.send_if_modified(|newest| {
            let is_new = newest.0 != log.newest;
            newest.0 = log.newest;
            is_new
        });
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no code panics while it holds the changes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, status: Status) -> Recording {
        Recording { status, room_name: "a".into(), id: format!("EG_{name}"), ..Recording::named(name) }
    }

    fn gone(name: &str) -> Gone {
        Gone { id: format!("EG_{name}"), name: name.into(), room_name: "a".into() }
    }

    fn since(feed: &Feed, seen: u64) -> Result<Vec<(u64, String)>, Behind> {
        let told = |change: Change| {
            let what = match change.what {
                What::Changed(recording) => format!("{} {}", recording.name, recording.status),
                What::Deleted(gone) => format!("{} deleted", gone.name),
            };
            (change.number.get(), what)
        };
        Ok(feed.since(seen.into(), 100)?.into_iter().map(told).collect())
    }

    #[test]
    fn who_comes_late_is_told_the_newest_of_each_recording_in_order() {
        let feed = Feed::default();
        let newest = feed.follow();
        assert_eq!(since(&feed, 0), Ok(Vec::new()));
        feed.changed(&row("a", Status::Starting));
        feed.changed(&row("b", Status::Starting));
        feed.changed(&row("a", Status::Recording));
        feed.changed(&row("a", Status::Recording));
        assert_eq!(newest.borrow().get(), 3, "what is as it was is no change");
        assert_eq!(since(&feed, 0), Ok(vec![(2, "b starting".into()), (3, "a recording".into())]));
        feed.deleted([gone("b")]);
        assert_eq!(since(&feed, 2), Ok(vec![(3, "a recording".into()), (4, "b deleted".into())]));
        assert_eq!(since(&feed, 4), Ok(Vec::new()));
        assert_eq!(feed.since(ChangeNumber(0), 1).unwrap().len(), 1);
        assert_eq!(since(&feed, 5), Err(Behind), "that number is of another run");
    }

    #[test]
    fn what_no_row_says_is_told_again_and_of_what_is_gone_nothing() {
        let feed = Feed::default();
        assert!(!feed.again("a"), "its row has to be read");
        feed.changed(&row("a", Status::Recording));
        feed.grew("a");
        assert_eq!(since(&feed, 1), Ok(Vec::new()), "it plays when it is over");
        feed.changed(&row("a", Status::Finishing));
        feed.grew("a");
        assert!(feed.again("a"));
        assert_eq!(since(&feed, 2), Ok(vec![(4, "a finishing".into())]));
        feed.deleted([gone("a")]);
        assert!(feed.again("a"));
        assert_eq!(since(&feed, 4), Ok(vec![(5, "a deleted".into())]));
    }

    #[test]
    fn what_is_kept_is_bounded_and_who_has_not_seen_what_is_forgotten_is_behind() {
        let feed = Feed::with(Room { changes: 3, bytes: 100_000 });
        for name in ["a", "b", "c", "d"] {
            feed.changed(&row(name, Status::Complete));
        }
        assert_eq!(since(&feed, 0), Err(Behind));
        assert_eq!(since(&feed, 1).unwrap().len(), 3);
        // One name takes one place, however often it changes.
        for _ in 0..100 {
            feed.again("d");
        }
        assert_eq!(since(&feed, 1).unwrap().len(), 3);
        let long = Recording { error: Some("x".repeat(200_000)), ..row("e", Status::Failed) };
        feed.changed(&long);
        let newest = feed.follow().borrow().get();
        assert_eq!((since(&feed, newest - 1), since(&feed, newest)), (Err(Behind), Ok(Vec::new())));
        let log = feed.lock();
        assert_eq!((log.bytes, log.names.len(), log.changes.len()), (0, 0, 0));
    }

    #[test]
    fn a_recording_that_turns_out_to_be_of_another_room_is_left_in_nobodys_list() {
        let feed = Feed::default();
        feed.changed(&row("a", Status::Complete));
        feed.changed(&Recording { room_name: "b".into(), ..row("a", Status::Complete) });
        assert_eq!(since(&feed, 1), Err(Behind));
        // What was not known of any room was in no room's list.
        feed.changed(&Recording::named("c"));
        let seen = feed.follow().borrow().get();
        feed.changed(&row("c", Status::Complete));
        assert_eq!(since(&feed, seen).unwrap().len(), 1);
    }
}
