//! What changed in the library, for whoever follows it. What a change says of a recording is what a list would say at that moment.

use std::time::Duration;

use tokio::sync::watch;

use super::{Library, Shared};
use crate::feed::{Behind, Change, ChangeNumber, What};
use crate::sidecar;

/// How often it is told how far the upload of a recording is.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Library {
    /// The number of the newest change, and of those to come.
    pub fn follow(&self) -> watch::Receiver<ChangeNumber> {
        self.shared.index.feed().follow()
    }

    /// The first changes behind `seen`, oldest first and `most` at most: of each recording the newest alone.
    ///
    /// # Errors
    /// [`Behind`] where changes since then are forgotten, or the number is of another run of the program: read the list, from the number
    /// that [`Library::follow`] has before it is read.
    pub fn changes(&self, seen: ChangeNumber, most: usize) -> Result<Vec<Change>, Behind> {
        let mut changes = self.shared.index.feed().since(seen, most)?;
        for change in &mut changes {
            if let What::Changed(recording) = &mut change.what {
                self.shared.complement(recording);
            }
        }
        Ok(changes)
    }
}

impl Shared {
    /// Tells how far a recording's way into the store is, as long as it is on it. Nothing waits for that.
    pub(super) async fn telling<T>(&self, key: &str, storing: impl Future<Output = T>) -> T {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(storing);
        loop {
            tokio::select! {
                stored = &mut storing => return stored,
                _ = ticks.tick() => {
                    if let Some(name) = self.listed(key) {
                        self.index.feed().again(name);
                    }
                }
            }
        }
    }

    /// Something of what waits to be stored is different, which no row says.
    pub(super) async fn tell_again(&self, key: &str) {
        let Some(name) = self.listed(key) else { return };
        if let Err(error) = self.index.tell_again(name).await {
            // It is told once more when it is stored, and by the list.
            tracing::debug!(%error, recording = name, "how far a recording is cannot be told");
        }
    }

    /// The name of what waits to be stored at `key`, where it is listed.
    fn listed<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.prefix.as_str()).filter(|name| sidecar::is_recording(name))
    }
}
