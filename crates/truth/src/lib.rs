//! What can be derived from nothing else, in one database: `truth.db` of the data folder.
//!
//! ```text
//!  truth.db ── steps (numbered SQL) ── uploads    what waits to be stored, and which uploads are under way
//!     │                             ├─ deletions  what was deleted and is not to come back
//!     │                             ├─ alone      recordings beside which nothing stands in the store
//!     │                             ├─ owner      the owner's password, and the link that sets it
//!     │                             ├─ sessions   where the owner is signed in
//!     │                             ├─ api_keys   what programs show instead of a password
//!     │                             ├─ shares     links to one recording, and who watched by them
//!     │                             ├─ rooms      rooms that the owner made, and the links into them
//!     │                             ├─ retention  which recordings are a room's, and for how long they are kept
//!     │                             ├─ webhooks   what others are told, until they have heard it
//!     │                             └─ audit      what was done to recordings and rights, and what was refused
//!     └─ backup ─► a file
//! ```
//!
//! # Invariants
//!
//! - What was written is on the disk when the call returns, all of it or nothing: each write is one transaction, synced.
//! - The file is never thrown away, emptied or written over. One that is damaged, of a newer version or of another program is refused as it
//!   is, with a sentence that says what to do.
//! - The file has its name only when it is whole: an empty one is a damaged one.
//! - SQL of this database stands in this crate alone, one module for each matter.

#![forbid(unsafe_code)]

mod alone;
mod api_keys;
mod audit;
mod backup;
mod deletions;
mod error;
mod files;
mod older;
mod open;
mod owner;
mod retention;
mod rooms;
mod sessions;
mod shares;
mod steps;
mod uploads;
mod webhooks;

use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use alone::Alone;
pub use api_keys::ApiKey;
pub use audit::{AuditAct, AuditKept, AuditPage, AuditRefusal, AuditSearch, KeptAuditAct};
pub use backup::backup;
pub use deletions::Discarded;
pub use error::TruthError;
pub use older::Older;
pub use owner::{NewPassword, Owner, OwnerLink, SetBy};
pub use retention::{EndedRecordings, RetentionClock, RoomRecording};
pub use rooms::{Ended, Room, RoomLink};
pub use sessions::{Begin, Happened, Session};
pub use shares::{Share, ShareNews, ShareView};
pub use uploads::{Multipart, Waiting};
pub use webhooks::{Delivery, DeliveryId, DeliveryState, NewDelivery, Settled, WaitingDelivery};

/// A handle to the open database.
#[derive(Clone)]
pub struct Truth {
    connections: Arc<Connections>,
}

/// Whoever reads does not wait for whoever syncs.
struct Connections {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl Truth {
    /// Opens the file and brings it to this version, or makes it.
    ///
    /// # Errors
    /// [`TruthError::Damaged`], [`TruthError::Newer`], [`TruthError::Unusable`]: the file is left as it is.
    pub fn open(file: &Path) -> Result<Self, TruthError> {
        let writer = open::to_write(file)?;
        let reader = open::to_read(file)?;
        Ok(Self {
            connections: Arc::new(Connections { writer: Mutex::new(writer), reader: Mutex::new(reader) }),
        })
    }

    /// Opens a file that another program may be using, and takes no step in it.
    ///
    /// # Errors
    /// [`TruthError::Older`], [`TruthError::Missing`], and those of [`Truth::open`]: the file is left as it is.
    pub fn open_as_it_is(file: &Path) -> Result<Self, TruthError> {
        open::check_step(file)?;
        Self::open(file)
    }

    fn read_now<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, TruthError> {
        let reader = self.connections.reader.lock().expect("no code panics while it reads the truth");
        Ok(work(&reader)?)
    }

    fn write_now<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, TruthError> {
        let mut writer = self.connections.writer.lock().expect("no code panics while it writes the truth");
        let change = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&change)?;
        change.commit()?;
        Ok(done)
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, TruthError> {
        let truth = self.clone();
        blocking(move || truth.read_now(work)).await
    }

    /// One transaction. Whoever stops waiting for it does not stop it.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, TruthError> {
        let truth = self.clone();
        blocking(move || truth.write_now(work)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TruthError> + Send + 'static,
) -> Result<T, TruthError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The runtime ends, and with it whoever waits here.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests;
