//! Finished recordings go into the library.

use std::time::Duration;

use async_trait::async_trait;
use reelroom_egress::{Published, Recording, Shelf, ShelfError};
use reelroom_library::{Library, Publication};

/// The library, as the recorder sees it.
pub(crate) struct LibraryShelf(pub(crate) Library);

#[async_trait]
impl Shelf for LibraryShelf {
    async fn publish(&self, recording: &Recording<'_>) -> Result<Published, ShelfError> {
        let publication = Publication {
            file: recording.file,
            key: recording.key,
            egress_id: recording.egress_id,
            room_name: recording.room_name,
            room_id: recording.room_id,
            started_at_ns: recording.started_at_ns,
            duration_ns: recording.duration_ns,
            ended_early: recording.ended_early,
            recovered: recording.recovered,
            lost_ns: recording.lost_ns,
            report: recording.report,
        };
        let published = self.0.publish(&publication).await.map_err(|error| ShelfError(error.to_string()))?;
        // The library's own description is always there; others are told of it only when they asked for one.
        let manifest_location = if recording.manifest { published.sidecar_location } else { String::new() };
        Ok(Published { location: published.location, manifest_location })
    }

    async fn pause(&self, key: &str, pause: Duration) {
        self.0.pause(key, pause).await;
    }
}
