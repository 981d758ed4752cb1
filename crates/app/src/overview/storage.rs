//! How much room there is for recordings.

use std::path::PathBuf;

use reelroom_library::{Library, Usage};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Places;

/// What the default preset makes: 3000 kbit/s of picture and 128 of sound.
const DEFAULT_BYTES_PER_S: u64 = 391_000;
/// What is known of less than this says nothing of other recordings.
const LEAST_MEASURED_MS: u64 = 10 * 60 * 1000;
/// A take stands beside its file until that is finished.
const WHILE_IT_IS_MADE: u64 = 2;

pub(super) type Stored = Usage;

/// The disk of the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    free_bytes: u64,
    total_bytes: u64,
}

/// The disk of the data folder.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiskBody {
    /// What may still be written.
    free_bytes: u64,
    total_bytes: u64,
    /// Of what is free so much is left alone.
    reserve_bytes: u64,
}

/// Where recordings are kept, and how much room there is.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StorageBody {
    /// folder or s3.
    kind: &'static str,
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// Of the backup store, where one is set: folder or s3.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<&'static str>,
    /// Why the store cannot be read at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    /// How many recordings are finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    recordings: Option<u64>,
    /// Bytes of their files.
    #[serde(skip_serializing_if = "Option::is_none")]
    recordings_bytes: Option<u64>,
    /// Absent where it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<DiskBody>,
    /// What a second of a finished recording takes.
    bytes_per_second: u64,
    /// Of the recordings that there are; false: it is what recordings take as they are made where nothing is said.
    is_measured: bool,
    /// How many hours of recording the disk of the data folder has room for. While a recording is made it takes twice of what it takes then.
    #[serde(skip_serializing_if = "Option::is_none")]
    hours_left: Option<f64>,
}

impl StorageBody {
    pub(super) fn of(
        places: &Places,
        reserve_bytes: u64,
        stored: Option<Stored>,
        disk: Option<Disk>,
        trouble: Option<String>,
    ) -> Self {
        let measured =
            stored.and_then(|stored| stored.bytes_per_s(LEAST_MEASURED_MS)).filter(|bytes| *bytes > 0);
        let bytes_per_second = measured.unwrap_or(DEFAULT_BYTES_PER_S);
        let hours_left = disk.map(|disk| {
            let left_bytes = disk.free_bytes.saturating_sub(reserve_bytes);
            left_bytes as f64 / (bytes_per_second * WHILE_IT_IS_MADE) as f64 / 3600.0
        });
        Self {
            kind: places.store.as_str(),
            place: places.bucket.clone(),
            backup: places.backup.map(|kind| kind.as_str()),
            trouble,
            recordings: stored.map(|stored| stored.recordings),
            recordings_bytes: stored.map(|stored| stored.bytes),
            disk: disk.map(|Disk { free_bytes, total_bytes }| DiskBody {
                free_bytes,
                total_bytes,
                reserve_bytes,
            }),
            bytes_per_second,
            is_measured: measured.is_some(),
            hours_left,
        }
    }
}

/// What the finished recordings take.
pub(super) async fn stored(library: Library) -> Result<Stored, String> {
    library.usage().await.map_err(|error| error.to_string())
}

/// Looks at the disk of a folder; `None` where it does not say.
pub(super) async fn disk(folder: PathBuf) -> Option<Disk> {
    let asking = tokio::task::spawn_blocking(move || rustix::fs::statvfs(folder).ok());
    let space = asking.await.ok()??;
    Some(Disk {
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreKind;

    const GB: u64 = 1_000_000_000;

    fn places() -> Places {
        Places {
            data_dir: PathBuf::new(),
            disk_reserve_bytes: GB,
            store: StoreKind::S3,
            bucket: Some("calls".into()),
            backup: Some(StoreKind::Folder),
        }
    }

    #[test]
    fn hours_are_told_by_what_recordings_take_and_by_the_preset_as_long_as_there_are_few() {
        let disk = Some(Disk { free_bytes: 73 * GB, total_bytes: 100 * GB });
        let hour = Usage { recordings: 1, bytes: 36 * GB, timed_bytes: 36 * GB, timed_ms: 3_600_000 };
        let told = StorageBody::of(&places(), GB, Some(hour), disk, None);
        assert_eq!((told.bytes_per_second, told.is_measured, told.hours_left), (10_000_000, true, Some(1.0)));
        assert_eq!((told.kind, told.place.as_deref(), told.backup), ("s3", Some("calls"), Some("folder")));
        let few = Usage { timed_ms: 1000, ..hour };
        let told = StorageBody::of(&places(), GB, Some(few), disk, None);
        assert_eq!((told.bytes_per_second, told.is_measured), (DEFAULT_BYTES_PER_S, false));
        assert!(told.hours_left.is_some_and(|hours| (25.0..26.0).contains(&hours)), "{told:?}");
        let full = Some(Disk { free_bytes: GB / 2, total_bytes: GB });
        assert_eq!(StorageBody::of(&places(), GB, None, full, None).hours_left, Some(0.0));
        let unknown = StorageBody::of(&places(), GB, None, None, Some("it is away".into()));
        assert_eq!((unknown.hours_left, unknown.recordings, unknown.disk), (None, None, None));
    }

    #[tokio::test]
    async fn the_disk_of_a_folder_is_looked_at_and_one_that_is_not_there_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let found = disk(folder.path().to_owned()).await.unwrap();
        assert!(found.free_bytes <= found.total_bytes && found.total_bytes > 0);
        assert_eq!(disk(folder.path().join("missing")).await, None);
    }
}
