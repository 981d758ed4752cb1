//! What has to be put right in the stores without anybody asking: uploads that did not end are aborted, what is left of
//! deleted recordings goes, and recordings in the backup store are moved to the first one. The store is looked at although
//! nobody lists it, so that its troubles are told before somebody needs it.

use std::time::Duration;

use reelroom_truth::Alone;
use tokio_util::sync::CancellationToken;

use super::publish::{Beside, put};
use super::{Library, unix_ms};
use crate::error::LibraryError;
use crate::recording::Recording;
use crate::sidecar::{self, Sidecar};
use crate::store::{Progress, Source};

/// With nothing to do it costs a question to the index and two to the truth.
const EVERY: Duration = Duration::from_secs(5);
/// While a store fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The store is looked at so often at most, and takes this part of the time at most: each page of a bucket's listing costs.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const LOOK_PART: u32 = 50;
const LONGEST_LOOK_PAUSE: Duration = Duration::from_secs(60 * 60);

impl Library {
    /// Puts the stores right, again and again until it is told to stop.
    pub async fn tend(&self, stop: CancellationToken) {
        let work = async {
            let mut pause = EVERY;
            let mut trouble: Option<String> = None;
            loop {
                if self.is_look_due() {
                    // A failure is told by the state, and in the log.
                    let _ = self.refresh().await;
                }
                match self.put_right().await {
                    Ok(()) => (pause, trouble) = (EVERY, None),
                    Err(error) => {
                        let text = error.to_string();
                        if trouble.as_ref() != Some(&text) {
                            tracing::warn!("the stores cannot be put right: {text}");
                            trouble = Some(text);
                        }
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    fn is_look_due(&self) -> bool {
        let state = self.shared.state();
        let pause = (state.refresh_took * LOOK_PART).clamp(LOOK_EVERY, LONGEST_LOOK_PAUSE);
        state.refreshed_at.is_none_or(|at| at.elapsed() >= pause)
    }

    /// Puts the stores right once.
    ///
    /// # Errors
    /// [`LibraryError::Store`], [`LibraryError::Index`], [`LibraryError::Truth`]: what is left is done by the next call.
    pub async fn put_right(&self) -> Result<(), LibraryError> {
        let shared = &self.shared;
        self.clean_up_discarded().await?;
        let aborted = shared.root.abort(&shared.journal).await.map_err(|error| shared.placed(error));
        if let Some(backup) = &shared.backup {
            backup.root.abort(&backup.journal).await?;
            for recording in shared.index.in_backup().await? {
                self.move_home(&recording).await.map_err(|error| shared.placed(error))?;
            }
        }
        aborted
    }

    /// From the backup store to the first one.
    async fn move_home(&self, recording: &Recording) -> Result<(), LibraryError> {
        let (shared, name) = (&self.shared, recording.name.as_str());
        let Some(backup) = &shared.backup else { return Ok(()) };
        let key = shared.key_of(name);
        if shared.truth.is_dismissed_at(&key, &recording.id).await? {
            // Somebody is about to delete it.
            return Ok(());
        }
        let sidecar_name = sidecar::own(name);
        let object = match backup.store.head(name).await {
            // Somebody took it away: the next scan says so.
            Err(LibraryError::NotFound(_)) => return Ok(()),
            object => object?,
        };
        let sidecar = backup.store.read(&sidecar_name).await.map(|json| Sidecar::parse(&json));
        let Some(mut sidecar) = sidecar?.filter(|sidecar| sidecar.sha256.is_some()) else {
            tracing::warn!(
                recording = name,
                "it stays in the backup store: nothing tells what its bytes have to be"
            );
            return Ok(());
        };
        sidecar.size = Some(object.size);
        let is_dismissed = || shared.truth.is_dismissed_at(&key, &recording.id);
        let began_ms = unix_ms();
        let source = Source::Object(&backup.store, &object);
        let beside = if sidecar.stands_alone { Beside::Nothing } else { Beside::Sidecar };
        let (store, progress) = (&shared.store, Progress::default());
        let (_, moved) =
            match put(store, &shared.journal, name, source, &mut sidecar, beside, &progress).await {
                Err(LibraryError::Taken(_)) => {
                    if shared.state().kept_back.insert(name.to_owned()) {
                        tracing::warn!(
                            recording = name,
                            "it stays in the backup store: the first one has another file of that name"
                        );
                    }
                    return Ok(());
                }
                // Whatever of it is there by now.
                _ if is_dismissed().await? => return self.take_back(recording).await,
                put => put?,
            };
        if shared.index.by_name(name).await?.is_none() {
            return self.take_back(recording).await;
        }
        if sidecar.stands_alone {
            // What told of it goes with its copy.
            let (key, about) = (key.clone(), sidecar.brief().to_json());
            shared.truth.keep_alone(Alone { key, is_failed: false, about }).await?;
        }
        shared.index.put(sidecar.to_recording(name), moved.etag, shared.generation()).await?;
        // Whoever deletes it since either is seen here, or sees the row.
        if is_dismissed().await? {
            shared.index.remove_of(name, &recording.id).await?;
            shared.truth.forget_alone(&key).await?;
            return self.take_back(recording).await;
        }
        backup.store.delete(name).await?;
        backup.store.delete(&sidecar_name).await?;
        let took_ms = unix_ms() - began_ms;
        tracing::info!(recording = name, took_ms, "moved from the backup store to the first one");
        Ok(())
    }
}
