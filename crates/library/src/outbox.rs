//! What waits to be stored: it is listed and played from local disk until the store has it. What a restart must not
//! forget of it stands in the truth.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use reelroom_truth::Waiting;
use tokio::sync::Notify;

use crate::sidecar::Sidecar;
use crate::store::Progress;

const FIRST_PAUSE_MS: i64 = 1000;
const LONGEST_PAUSE_MS: i64 = 60_000;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadState {
    /// Nothing, until the next try.
    Waiting,
    /// It is sent.
    Uploading,
    /// It is read back.
    Verifying,
}

impl UploadState {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Uploading => "uploading",
            Self::Verifying => "verifying",
        }
    }
}

/// How far a recording's way into the store is.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// What is being done.
    pub state: UploadState,
    /// 0 to 1, of being sent and again of being read back; 0 while it waits for another try.
    pub progress: f64,
    /// Tries so far, the running one and those of former runs included.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// Unix milliseconds of the next try, while it waits for one.
    pub next_try_at_ms: Option<i64>,
}

struct Entry {
    waiting: Waiting,
    progress: Arc<Progress>,
    is_running: bool,
    /// Somebody deleted it; whoever publishes it does not know yet.
    is_discarded: bool,
    /// It is stored, which is being written down: nobody can discard it any more.
    is_settled: bool,
    again: Arc<Notify>,
    /// What is to stand beside it, as JSON; nothing before this run has come to it.
    about: Option<Bytes>,
}

impl Entry {
    fn new(waiting: Waiting) -> Self {
        Self {
            waiting,
            progress: Arc::default(),
            is_running: false,
            is_discarded: false,
            is_settled: false,
            again: Arc::default(),
            about: None,
        }
    }
}

/// All of them, by key.
#[derive(Default)]
pub(crate) struct Outbox {
    entries: Mutex<HashMap<String, Entry>>,
}

impl Outbox {
    /// With what a former run left.
    pub(crate) fn new(left: Vec<Waiting>) -> Self {
        let entries = left.into_iter().map(|waiting| (waiting.key.clone(), Entry::new(waiting))).collect();
        Self { entries: Mutex::new(entries) }
    }

    /// A file is to be stored; what is known of it from before is kept.
    pub(crate) fn add(&self, key: &str, file: PathBuf, size: u64) -> Waiting {
        let mut all = self.lock();
        if all.get(key).is_some_and(|entry| entry.is_discarded && !is_copy_of(&entry.waiting.file, &file)) {
            // Of one that is being let go: this is another.
            all.remove(key);
        }
        let entry = all
            .entry(key.to_owned())
            .or_insert_with(|| Entry::new(Waiting { key: key.to_owned(), ..Waiting::default() }));
        entry.waiting.file = file;
        entry.waiting.size = size;
        entry.waiting.clone()
    }

    /// Another try begins.
    pub(crate) fn begin(&self, key: &str) -> Option<(Waiting, Arc<Progress>)> {
        let mut all = self.lock();
        let entry = all.get_mut(key)?;
        entry.waiting.attempts = entry.waiting.attempts.saturating_add(1);
        entry.waiting.next_try_at_ms = None;
        entry.is_running = true;
        entry.is_settled = false;
        entry.progress.reset();
        Some((entry.waiting.clone(), Arc::clone(&entry.progress)))
    }

    /// This is told of it, until the store can tell it.
    pub(crate) fn describe(&self, key: &str, sidecar: &Sidecar) {
        if let Some(entry) = self.lock().get_mut(key) {
            entry.about = Some(sidecar.to_json().into());
            entry.waiting.about = Some(sidecar.brief().to_json());
        }
    }

    /// What is told of it.
    pub(crate) fn about(&self, key: &str) -> Option<Bytes> {
        let all = self.lock();
        all.get(key).filter(|entry| !entry.is_discarded)?.about.clone()
    }

    /// The try is over, and the file is not stored.
    pub(crate) fn failed(&self, key: &str, error: String, now_ms: i64) -> Option<Waiting> {
        let mut all = self.lock();
        let entry = all.get_mut(key)?;
        entry.is_running = false;
        entry.waiting.last_error = Some(error);
        entry.waiting.failing_since_ms.get_or_insert(now_ms);
        entry.waiting.next_try_at_ms = Some(now_ms + backoff_ms(entry.waiting.attempts));
        Some(entry.waiting.clone())
    }

    /// How long the store has refused it.
    pub(crate) fn failing_for(&self, key: &str, now_ms: i64) -> Duration {
        let since_ms =
            self.lock().get(key).and_then(|entry| entry.waiting.failing_since_ms).unwrap_or(now_ms);
        Duration::from_millis(now_ms.saturating_sub(since_ms).max(0).unsigned_abs())
    }

    /// It is stored, and is shown until that is written down: false when somebody deleted it in the meantime.
    pub(crate) fn settle(&self, key: &str, file: &Path) -> bool {
        let mut all = self.lock();
        let entry =
            all.get_mut(key).filter(|entry| is_copy_of(&entry.waiting.file, file) && !entry.is_discarded);
        entry.map(|entry| entry.is_settled = true).is_some()
    }

    /// It waits no longer, unless the name is another one's by now.
    pub(crate) fn done(&self, key: &str, file: &Path) {
        let mut all = self.lock();
        if all.get(key).is_some_and(|entry| is_copy_of(&entry.waiting.file, file)) {
            all.remove(key);
        }
    }

    /// Somebody deletes it: its running try ends as soon as it can. False when nothing of that key waits.
    pub(crate) fn discard(&self, key: &str) -> bool {
        let mut all = self.lock();
        let waits = |entry: &&mut Entry| !entry.is_discarded && !entry.is_settled;
        let Some(entry) = all.get_mut(key).filter(waits) else { return false };
        entry.is_discarded = true;
        entry.progress.cancel();
        entry.again.notify_one();
        true
    }

    /// Whether something of that key waits, or is still being let go.
    pub(crate) fn waits(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    /// Where the file is.
    pub(crate) fn file(&self, key: &str) -> Option<PathBuf> {
        let all = self.lock();
        all.get(key).filter(|entry| !entry.is_discarded).map(|entry| entry.waiting.file.clone())
    }

    pub(crate) fn upload(&self, key: &str) -> Option<Upload> {
        self.lock().get(key).filter(|entry| !entry.is_discarded).map(Entry::upload)
    }

    /// Of some of those that wait.
    pub(crate) fn keys(&self, most: usize) -> Vec<String> {
        let all = self.lock();
        let waiting = all.iter().filter(|(_, entry)| !entry.is_discarded);
        waiting.map(|(key, _)| key.clone()).take(most).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().values().filter(|entry| !entry.is_discarded).count()
    }

    /// Waits until the next try is due, and at least for `pause`, or until somebody asks for it. False when nothing of that key
    /// waits.
    pub(crate) async fn pause(&self, key: &str, pause: Duration, now_ms: i64) -> bool {
        let (again, pause) = {
            let mut all = self.lock();
            let Some(entry) = all.get_mut(key) else { return false };
            if entry.is_discarded {
                return true;
            }
            let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            // A clock that was set back must not make it wait for ever.
            let due_ms = entry.waiting.next_try_at_ms.unwrap_or(now_ms).min(now_ms + LONGEST_PAUSE_MS);
            let due_ms = due_ms.max(now_ms.saturating_add(pause_ms));
            entry.waiting.next_try_at_ms = Some(due_ms);
            let pause = Duration::from_millis(due_ms.saturating_sub(now_ms).unsigned_abs());
            (Arc::clone(&entry.again), pause)
        };
        let _ = tokio::time::timeout(pause, again.notified()).await;
        if let Some(entry) = self.lock().get_mut(key) {
            entry.waiting.next_try_at_ms = None;
        }
        true
    }

    /// Asks for another try at once; false when nothing of that key waits.
    pub(crate) fn retry(&self, key: &str) -> bool {
        self.lock().get(key).filter(|entry| !entry.is_discarded).is_some_and(|entry| {
            entry.again.notify_one();
            true
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().expect("no code panics while it holds the outbox")
    }
}

impl Entry {
    fn upload(&self) -> Upload {
        let sent = self.progress.bytes.load(Ordering::Relaxed);
        let size = self.waiting.size;
        let progress = if size == 0 || !self.is_running { 0.0 } else { (sent as f64 / size as f64).min(1.0) };
        let state = match (self.is_running, self.progress.is_verifying.load(Ordering::Relaxed)) {
            (false, _) => UploadState::Waiting,
            (true, false) => UploadState::Uploading,
            (true, true) => UploadState::Verifying,
        };
        Upload {
            state,
            progress,
            attempts: self.waiting.attempts,
            last_error: self.waiting.last_error.clone(),
            next_try_at_ms: self.waiting.next_try_at_ms.filter(|_| !self.is_running),
        }
    }
}

/// Whether both are the local copy of one recording. A copy is named after its egress: its folder may have been moved, or copied, or be
/// spelled in another way.
pub(crate) fn is_copy_of(one: &Path, other: &Path) -> bool {
    one.file_name().is_some() && one.file_name() == other.file_name()
}

fn backoff_ms(attempts: u32) -> i64 {
    FIRST_PAUSE_MS.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_shown_until_that_is_written_down_and_cannot_be_discarded_meanwhile() {
        let (outbox, file) = (Outbox::default(), Path::new("/made.mp4"));
        outbox.add("a", file.to_owned(), 5);
        outbox.begin("a").unwrap();
        assert!(!outbox.settle("a", Path::new("/other.mp4")), "the name is another one's");
        assert!(outbox.settle("a", file));
        assert!(outbox.upload("a").is_some() && !outbox.discard("a"));
        // It could not be written down, and is tried again.
        outbox.begin("a").unwrap();
        assert!(outbox.discard("a"));
        assert!(!outbox.settle("a", file));
        outbox.done("a", Path::new("/other.mp4"));
        assert!(outbox.waits("a"));
        outbox.done("a", file);
        assert!(!outbox.waits("a"));
    }
}
