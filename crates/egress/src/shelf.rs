//! Where finished recordings go.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use reelroom_library::{Manifest, Publication, Published, S3Config};

/// A recording whose file is still being made.
#[derive(Clone, Copy, Debug)]
pub struct Growing<'a> {
    /// The file so far, on local disk: an MP4 in fragments of a second.
    pub file: &'a Path,
    /// As in [`Publication`].
    pub key: &'a str,
    /// So many seconds of it play and stay as they are; 0: none.
    pub seconds: u64,
    /// Length that it will have, as far as is known, nanoseconds.
    pub total_ns: u64,
}

/// Why a recording is not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShelfError {
    /// It did not work; it is tried again.
    #[error("{0}")]
    Failed(String),
    /// Another file has the name, and stays: this one needs another name.
    #[error("another file has the name already")]
    Taken,
    /// Somebody deleted it while it waited: nothing of it is kept.
    #[error("the recording was deleted before it was stored")]
    Deleted,
}

/// Takes finished recordings.
#[async_trait]
pub trait Shelf: Send + Sync + 'static {
    /// Stores a recording and makes sure that it is there. May be called again for the same recording, also after a restart: what it
    /// stored before is as good. Another file is never replaced. The file stays where it is.
    ///
    /// # Errors
    /// Why it is not stored; the caller tries again later, unless it was deleted.
    async fn publish(&self, publication: &Publication<'_>) -> Result<Published, ShelfError>;

    /// As [`Shelf::publish`], and nothing stands beside the file: `disableManifest` was set. A shelf that puts nothing there anyway
    /// does not tell them apart.
    ///
    /// # Errors
    /// As [`Shelf::publish`].
    async fn publish_alone(&self, publication: &Publication<'_>) -> Result<Published, ShelfError> {
        self.publish(publication).await
    }

    /// Stores a recording in a bucket that its request names, and lists it nowhere. As [`Shelf::publish`] otherwise.
    ///
    /// # Errors
    /// As [`Shelf::publish`].
    async fn deliver(
        &self,
        publication: &Publication<'_>,
        bucket: &S3Config,
        manifest: Manifest,
    ) -> Result<Published, ShelfError> {
        let _ = (publication, bucket, manifest);
        Err(ShelfError::Failed("there is no way to other buckets than the server's".into()))
    }

    /// Whether something stands at `key` already.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn has(&self, key: &str) -> Result<bool, ShelfError> {
        let _ = key;
        Ok(false)
    }

    /// Whether somebody deleted the recording: nothing of it is kept, and nothing need be made of it.
    ///
    /// # Errors
    /// It is not known.
    async fn is_deleted(&self, key: &str, egress_id: &str) -> Result<bool, ShelfError> {
        let _ = (key, egress_id);
        Ok(false)
    }

    /// Hears how much of a file plays that is still being made. The file may be replaced or finished at any moment.
    fn grows(&self, growing: &Growing<'_>) {
        let _ = growing;
    }

    /// Waits before the recording at `key` is tried again; less than `pause` when somebody asks for it.
    async fn pause(&self, key: &str, pause: Duration) {
        let _ = key;
        tokio::time::sleep(pause).await;
    }
}
