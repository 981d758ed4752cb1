//! Has it written down from time to time how far those came who watch by links, and once more when the program ends. Forgets links that a
//! program left which was killed between deleting a recording and forgetting them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reelroom_library::LibraryError;
use reelroom_shares::SharesError;
use tokio_util::sync::CancellationToken;

use crate::app::WebApp;
use crate::clock;
use crate::owner::blocking;

/// Whether there is anything to write is decided by the shares.
const EVERY: Duration = Duration::from_secs(5);
/// How often links are looked for whose recording was deleted.
const FORGETS_EVERY: Duration = Duration::from_secs(10 * 60);
/// A disk that is stuck when the program ends is not waited for longer.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// Why links that were left were not all forgotten.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForgetError {
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Shares(#[from] SharesError),
}

/// Runs until `stop` is cancelled.
pub(crate) async fn run(app: WebApp, stop: CancellationToken) {
    let mut trouble = None;
    let mut forgot: Option<Instant> = None;
    loop {
        if forgot.is_none_or(|at| at.elapsed() >= FORGETS_EVERY) {
            forgot = Some(Instant::now());
            tokio::select! {
                done = forget_left(&app) => if let Err(error) = done {
                    tracing::warn!(%error, "links to recordings that were deleted may be listed still");
                },
                () = stop.cancelled() => break,
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => break,
        }
        let shares = Arc::clone(app.shares());
        match blocking(move || shares.keep(clock::now())).await {
            Ok(()) => trouble = None,
            Err(error) => {
                let text = error.to_string();
                if trouble.as_ref() != Some(&text) {
                    tracing::warn!("how far recordings were watched is not written down: {text}");
                    trouble = Some(text);
                }
            }
        }
    }
    let shares = Arc::clone(app.shares());
    let last = blocking(move || shares.write_down(clock::now()));
    match tokio::time::timeout(LAST_WITHIN, last).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "how far recordings were watched last is not written down"),
        Err(_) => {
            tracing::warn!("how far recordings were watched last is not written down: the disk is stuck")
        }
    }
}

/// Forgets the links to recordings that somebody deleted. Of one that is there all the same, whose deletion is under way or has failed,
/// they stay.
pub(super) async fn forget_left(app: &WebApp) -> Result<(), ForgetError> {
    let library = app.library();
    for (name, id) in app.shares().recordings() {
        let key = format!("{}{name}", library.prefix());
        if !library.is_deleted(&key, &id).await? {
            continue;
        }
        match library.find(&name).await {
            Ok(found) if found.id == *id => continue,
            Ok(_) | Err(LibraryError::NotFound(_) | LibraryError::Deleted(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let (shares, recording) = (Arc::clone(app.shares()), Arc::clone(&name));
        let links = blocking(move || shares.forget_recording_of_id(&recording, &id)).await?;
        tracing::info!(recording = %name, links, "links to a recording that was deleted were left, and are gone");
    }
    Ok(())
}
