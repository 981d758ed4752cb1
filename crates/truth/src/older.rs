//! What versions without this database kept in the index of recordings.

use crate::deletions::UNKNOWN_KEY;
use crate::{Alone, Discarded, Multipart, Truth, TruthError, Waiting, alone, deletions, uploads};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Older {
    /// What waits to be stored.
    pub waiting: Vec<Waiting>,
    /// What was deleted before it was stored.
    pub discarded: Vec<Discarded>,
    /// Ids of recordings that were deleted.
    pub dismissed: Vec<String>,
    /// Uploads that are under way, or were left.
    pub multiparts: Vec<Multipart>,
    /// What is known of recordings that stand alone.
    pub alone: Vec<Alone>,
}

impl Truth {
    /// Takes all of it over in one transaction: when this returns it is on the disk, and may be deleted where it stood. Doing it again
    /// changes nothing.
    ///
    /// # Errors
    /// [`TruthError::Failed`]: nothing is taken over.
    pub fn take_over(&self, older: &Older) -> Result<(), TruthError> {
        self.write_now(|db| {
            older.waiting.iter().try_for_each(|waiting| uploads::put_waiting(db, waiting))?;
            older.discarded.iter().try_for_each(|gone| deletions::put_discarded(db, gone))?;
            older
                .dismissed
                .iter()
                .try_for_each(|id| deletions::put_dismissed(db, UNKNOWN_KEY, id).map(drop))?;
            older.multiparts.iter().try_for_each(|multipart| uploads::put_multipart(db, multipart))?;
            older.alone.iter().try_for_each(|one| alone::put(db, &one.key, one.is_failed, &one.about))
        })
    }
}
