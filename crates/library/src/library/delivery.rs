//! A finished recording goes into a bucket that is not the library's, and is not listed here.

use std::sync::atomic::Ordering;

use super::Library;
use super::publish::sha256_of;
use crate::error::LibraryError;
use crate::publication::{Publication, Published};
use crate::sidecar::Sidecar;
use crate::store::{Journal, Limits, Progress, Proof, S3Config, Source, Store, StoreConfig};

/// As which the truth knows uploads into such buckets.
const PLACE: &str = "elsewhere";

/// Whether LiveKit's manifest is put into the folder of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// As `EG_….json`.
    Beside,
    /// Nothing but the file is.
    Nothing,
}

impl Library {
    /// Stores a recording in a bucket of somebody else's, and makes sure that it is there byte for byte, where its keys may read: those that
    /// LiveKit's recorder is given may write alone, and then the bucket's word counts. May be called again for the same one, and by one at a
    /// time for a key. Nothing of it is listed.
    ///
    /// # Errors
    /// As [`Library::publish`], but that nobody can have deleted it.
    pub async fn deliver(
        &self,
        publication: &Publication<'_>,
        bucket: &S3Config,
        manifest: Manifest,
    ) -> Result<Published, LibraryError> {
        let store = Store::open(&StoreConfig::S3(bucket.clone()), "", Limits::default())?;
        let location = store.location(publication.key)?;
        let local = |source| LibraryError::Local { path: publication.file.display().to_string(), source };
        let size = tokio::fs::metadata(publication.file).await.map_err(local)?.len();
        let sha256 = sha256_of(publication.file).await?;
        let (journal, progress) = (Journal::new(self.shared.truth.clone(), PLACE), Progress::default());
        let (source, proof) = (Source::File(publication.file), Proof { size, sha256: &sha256 });
        // Of a run that was killed. What the bucket keeps of it is in nobody's way.
        if let Err(error) = store.abort_of(publication.key, &journal).await {
            tracing::debug!(%error, key = publication.key, "what is left of a former upload stays in its bucket");
        }
        match store.put_file(publication.key, source, proof, &journal, &progress).await {
            Ok(_) => {}
            Err(error @ LibraryError::Unreadable { .. }) => {
                let is_sent = progress.is_verifying.load(Ordering::Relaxed);
                let is_hidden =
                    matches!(store.head(publication.key).await, Err(LibraryError::Unreadable { .. }));
                match (is_hidden, is_sent) {
                    (true, true) => {
                        tracing::debug!(key = publication.key, "the bucket took what it lets nobody read");
                    }
                    // Something has the name, perhaps of a former try.
                    (true, false) => return Err(LibraryError::Taken(publication.key.to_owned())),
                    (false, _) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
        let sidecar_location = match manifest {
            Manifest::Nothing => String::new(),
            Manifest::Beside => {
                let name = manifest_of(publication);
                let about =
                    Sidecar { sha256: Some(sha256), ..Sidecar::of(publication, location.clone(), size) };
                match store.write_verified(&name, about.to_json()).await {
                    // It is written before it is read.
                    Ok(()) | Err(LibraryError::Unreadable { .. }) => {}
                    Err(error) => return Err(error),
                }
                store.location(&name)?
            }
        };
        Ok(Published { location, sidecar_location })
    }
}

/// The name of LiveKit's manifest: that of the egress, in the folder of its file.
fn manifest_of(publication: &Publication<'_>) -> String {
    let folder = publication.key.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
    format!("{folder}{}.json", publication.egress_id)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use reelroom_truth::Truth;

    use super::*;
    use crate::library::LibraryConfig;
    use crate::link::LinkKey;
    use crate::query::ListQuery;
    use crate::s3_server::{self, Fault, Kind, Manner, S3Server};

    fn bucket(server: &S3Server) -> S3Config {
        S3Config {
            endpoint: Some(server.endpoint.clone()),
            access_key: Some(s3_server::ACCESS_KEY.into()),
            secret_key: Some(s3_server::SECRET_KEY.into()),
            region: "us-east-1".into(),
            bucket: s3_server::BUCKET.into(),
            ..S3Config::default()
        }
    }

    fn library(folder: &Path) -> Library {
        Library::open(LibraryConfig {
            store: StoreConfig::folder(folder.join("store")),
            prefix: "recordings/".into(),
            index: folder.join("index.db"),
            truth: Truth::open(&folder.join("truth.db")).unwrap(),
            link_key: LinkKey::new([7; 32]),
            refresh_every: Duration::ZERO,
            limits: Limits::default(),
            backup: None,
        })
        .unwrap()
    }

    fn publication(file: &Path) -> Publication<'_> {
        Publication {
            file,
            key: "recordings/theirs.mp4",
            egress_id: "EG_1",
            room_name: "r",
            room_id: "RM_1",
            started_at_ns: 1_000_000_000,
            duration_ns: 1_000_000,
            recovered: false,
            ended_early: None,
            lost_ns: 0,
            report: &serde_json::Value::Null,
        }
    }

    #[tokio::test]
    async fn a_recording_goes_into_somebody_elses_bucket_with_livekits_manifest_and_is_not_listed() {
        let (server, folder) = (S3Server::start().await, tempfile::tempdir().unwrap());
        let library = library(folder.path());
        let file = folder.path().join("made.mp4");
        std::fs::write(&file, b"what was recorded").unwrap();
        let publication = publication(&file);
        let theirs = Store::open(&StoreConfig::S3(bucket(&server)), "", Limits::default()).unwrap();
        for manifest in [Manifest::Nothing, Manifest::Beside, Manifest::Beside] {
            let published = library.deliver(&publication, &bucket(&server), manifest).await.unwrap();
            assert_eq!(published.location, theirs.location("recordings/theirs.mp4").unwrap());
            assert_eq!(published.sidecar_location.is_empty(), manifest == Manifest::Nothing);
        }
        assert_eq!(theirs.read("recordings/theirs.mp4").await.unwrap(), "what was recorded");
        let about = Sidecar::parse(&theirs.read("recordings/EG_1.json").await.unwrap()).unwrap();
        assert_eq!((about.room_name.as_str(), about.size), ("r", Some(17)));
        assert!(library.list(&ListQuery::default()).await.unwrap().recordings.is_empty());
        std::fs::write(&file, b"another one").unwrap();
        let taken = library.deliver(&publication, &bucket(&server), Manifest::Nothing).await;
        assert!(matches!(taken, Err(LibraryError::Taken(_))), "{taken:?}");
        let wrong = S3Config { secret_key: Some("wrong".into()), ..bucket(&server) };
        assert!(library.deliver(&publication, &wrong, Manifest::Nothing).await.is_err());
    }

    #[tokio::test]
    async fn what_a_killed_run_left_of_an_upload_is_removed_before_the_next_one() {
        let (server, folder) = (S3Server::start().await, tempfile::tempdir().unwrap());
        let (library, bucket) = (library(folder.path()), bucket(&server));
        let file = folder.path().join("made.mp4");
        std::fs::write(&file, vec![7_u8; 9 * 1024 * 1024]).unwrap();
        let publication = publication(&file);
        server.faults.set(Fault { kind: Kind::Hang, method: Some("PUT".into()), ..Fault::default() });
        let hangs = async {
            while server.faults.current().struck == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            delivered = library.deliver(&publication, &bucket, Manifest::Nothing) => panic!("{delivered:?}"),
            () = hangs => {}
        }
        assert!(!server.unfinished().is_empty());
        server.faults.set(Kind::None);
        library.deliver(&publication, &bucket, Manifest::Nothing).await.unwrap();
        assert!(server.unfinished().is_empty());
    }

    #[tokio::test]
    async fn keys_that_may_write_and_not_read_are_enough_and_replace_nothing() {
        let (server, folder) = (S3Server::start().await, tempfile::tempdir().unwrap());
        let (library, bucket) = (library(folder.path()), bucket(&server));
        let file = folder.path().join("made.mp4");
        std::fs::write(&file, b"what was recorded").unwrap();
        let publication = publication(&file);
        server.faults.set_manners(&[Manner::WriteOnly]);
        let published = library.deliver(&publication, &bucket, Manifest::Beside).await.unwrap();
        assert!(published.sidecar_location.ends_with("/recordings/EG_1.json"), "{published:?}");
        assert_eq!(server.object("recordings/theirs.mp4"), b"what was recorded");
        let taken = library.deliver(&publication, &bucket, Manifest::Beside).await;
        assert!(matches!(taken, Err(LibraryError::Taken(_))), "{taken:?}");
    }
}
