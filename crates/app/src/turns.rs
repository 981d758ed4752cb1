//! Whose turn it is to start or stop the recording of a room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// One start or stop of a room at a time: two at once make one recording.
#[derive(Default)]
pub(crate) struct Turns {
    rooms: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    /// Waits until it is the caller's turn, which lasts until the guard is dropped.
    pub(crate) async fn take(&self, room: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
            rooms.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(rooms.entry(room.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}
