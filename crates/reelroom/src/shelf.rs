//! Finished recordings go into the library.

use std::time::Duration;

use async_trait::async_trait;
use reelroom_egress::{Growing, Shelf, ShelfError};
use reelroom_library::{Library, LibraryError, Manifest, Publication, Published, S3Config};

/// The library, as the recorder sees it.
pub(crate) struct LibraryShelf(pub(crate) Library);

#[async_trait]
impl Shelf for LibraryShelf {
    async fn publish(&self, publication: &Publication<'_>) -> Result<Published, ShelfError> {
        self.0.publish(publication).await.map_err(refused)
    }

    async fn publish_alone(&self, publication: &Publication<'_>) -> Result<Published, ShelfError> {
        self.0.publish_alone(publication).await.map_err(refused)
    }

    async fn deliver(
        &self,
        publication: &Publication<'_>,
        bucket: &S3Config,
        manifest: Manifest,
    ) -> Result<Published, ShelfError> {
        self.0.deliver(publication, bucket, manifest).await.map_err(refused)
    }

    async fn has(&self, key: &str) -> Result<bool, ShelfError> {
        self.0.has(key).await.map_err(refused)
    }

    async fn is_deleted(&self, key: &str, egress_id: &str) -> Result<bool, ShelfError> {
        self.0.is_deleted(key, egress_id).await.map_err(refused)
    }

    fn grows(&self, growing: &Growing<'_>) {
        let Growing { file, key, seconds, total_ns } = *growing;
        self.0.grows(key, file, seconds, Duration::from_nanos(total_ns));
    }

    async fn pause(&self, key: &str, pause: Duration) {
        self.0.pause(key, pause).await;
    }
}

fn refused(error: LibraryError) -> ShelfError {
    match error {
        LibraryError::Deleted(_) => ShelfError::Deleted,
        LibraryError::Taken(_) => ShelfError::Taken,
        error => ShelfError::Failed(error.to_string()),
    }
}
