//! Stores: a small object is stored, read back and deleted.

use std::path::Path;

use reelroom_library::{LibraryError, Limits, Store, StoreConfig};

use crate::checks::store::{StoreFacts, Tried};
use crate::subject::{BackupStore, Bucket, Subject};

/// What is stored: whoever finds it knows what it was.
const CONTENT: &[u8] = b"reelroom doctor looks whether this store works; it may be deleted\n";

/// The store of recordings.
pub(crate) async fn main(subject: &Subject) -> StoreFacts {
    match &subject.bucket {
        Some(bucket) => of_bucket(bucket).await,
        None => StoreFacts {
            what: "recordings stay in the data folder (S3_BUCKET is not set)".to_owned(),
            tried: Tried::NotNeeded,
        },
    }
}

/// The backup store.
pub(crate) async fn backup(subject: &Subject) -> Option<StoreFacts> {
    Some(match subject.backup.as_ref()? {
        BackupStore::Bucket(bucket) => of_bucket(bucket).await,
        BackupStore::Folder(path) => {
            let path = path.clone();
            let looking = tokio::task::spawn_blocking(move || of_folder(&path));
            looking.await.unwrap_or_else(|error| StoreFacts {
                what: "the backup folder".to_owned(),
                tried: Tried::NoAnswer(error.to_string()),
            })
        }
    })
}

/// The library would make the folder; here nothing is made.
fn of_folder(path: &Path) -> StoreFacts {
    let what = path.display().to_string();
    let tried = match std::fs::metadata(path) {
        Err(error) => Tried::NoAnswer(error.to_string()),
        Ok(metadata) if !metadata.is_dir() => Tried::NoAnswer("it is no folder".to_owned()),
        Ok(_) => match tempfile::tempfile_in(path) {
            Ok(_) => Tried::Works,
            Err(error) => Tried::NotWritten(error.to_string()),
        },
    };
    StoreFacts { what, tried }
}

async fn of_bucket(bucket: &Bucket) -> StoreFacts {
    let endpoint = bucket.config.endpoint.as_deref().map_or("Amazon's".to_owned(), place);
    let what = format!("bucket {} at {endpoint}", bucket.config.bucket);
    StoreFacts { what, tried: tried(bucket).await }
}

async fn tried(bucket: &Bucket) -> Tried {
    let store = match Store::open(&StoreConfig::S3(bucket.config.clone()), &bucket.prefix, Limits::default())
    {
        Ok(store) => store,
        Err(error) => return Tried::NoAnswer(said(&error)),
    };
    if let Err(error) = store.check().await {
        return Tried::NoAnswer(said(&error));
    }
    let name = format!("reelroom-doctor-{:016x}.txt", rand::random::<u64>());
    let written = store.write_verified(&name, CONTENT).await;
    let deleted = store.delete(&name).await;
    match (written, deleted) {
        (Err(error), _) => Tried::NotWritten(said(&error)),
        (Ok(()), Ok(())) => Tried::Works,
        (Ok(()), Err(error)) => {
            Tried::NotDeleted { name: format!("{}{name}", bucket.prefix), reason: said(&error) }
        }
    }
}

/// What the line begins with says already whose fault it is.
fn said(error: &LibraryError) -> String {
    match error {
        LibraryError::Store(reason) => reason.clone(),
        other => other.to_string(),
    }
}

/// Where a URL is, without a name or a password, which may stand in it.
pub(crate) fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_tried_and_nothing_is_made_there() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_folder(folder.path()).tried, Tried::Works);
        assert!(matches!(of_folder(&folder.path().join("missing")).tried, Tried::NoAnswer(_)));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_password_of_an_endpoint_is_shown() {
        assert_eq!(place("https://key:secret@s3.example.org:9000/x?y=secret"), "https://s3.example.org:9000");
        assert_eq!(place("s3.example.org"), "s3.example.org");
    }
}
