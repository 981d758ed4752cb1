//! What waits to be stored: it is listed and played from local disk until the store has it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;

/// How far a recording's way into the store is.
#[derive(Clone, Debug, PartialEq)]
pub struct Upload {
    /// 0 to 1; 0 while it waits for another try.
    pub progress: f64,
    /// Tries so far, the running one included.
    pub attempts: u32,
    /// Why the last one failed.
    pub last_error: Option<String>,
}

/// A file that is not in the store yet.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) file: PathBuf,
    size: u64,
    sent: Arc<AtomicU64>,
    attempts: u32,
    last_error: Option<String>,
    again: Arc<Notify>,
}

/// All of them, by name.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: Mutex<HashMap<String, Waiting>>,
}

impl Outbox {
    /// Another try begins; gives where to count the bytes that are sent.
    pub(crate) fn begin(&self, name: &str, file: PathBuf, size: u64) -> Arc<AtomicU64> {
        let mut all = self.lock();
        let waiting = all.entry(name.to_owned()).or_insert_with(|| Waiting {
            file: file.clone(),
            size,
            sent: Arc::default(),
            attempts: 0,
            last_error: None,
            again: Arc::default(),
        });
        waiting.file = file;
        waiting.size = size;
        waiting.attempts += 1;
        waiting.sent.store(0, Ordering::Relaxed);
        Arc::clone(&waiting.sent)
    }

    pub(crate) fn failed(&self, name: &str, error: String) {
        if let Some(waiting) = self.lock().get_mut(name) {
            waiting.sent.store(0, Ordering::Relaxed);
            waiting.last_error = Some(error);
        }
    }

    pub(crate) fn done(&self, name: &str) {
        self.lock().remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<Waiting> {
        self.lock().get(name).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits for `pause`, or until somebody asks for another try.
    pub(crate) async fn pause(&self, name: &str, pause: Duration) {
        let again = self.lock().get(name).map(|waiting| Arc::clone(&waiting.again));
        match again {
            Some(again) => drop(tokio::time::timeout(pause, again.notified()).await),
            None => tokio::time::sleep(pause).await,
        }
    }

    /// Asks for another try at once; false when nothing of that name waits.
    pub(crate) fn retry(&self, name: &str) -> bool {
        self.lock().get(name).is_some_and(|waiting| {
            waiting.again.notify_one();
            true
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().expect("no code panics while it holds the outbox")
    }
}

impl Waiting {
    pub(crate) fn upload(&self) -> Upload {
        let sent = self.sent.load(Ordering::Relaxed);
        let progress = if self.size == 0 { 0.0 } else { (sent as f64 / self.size as f64).min(1.0) };
        Upload { progress, attempts: self.attempts, last_error: self.last_error.clone() }
    }
}
