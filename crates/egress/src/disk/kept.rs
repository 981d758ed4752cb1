//! Takes of recordings that are stored, kept for a while (`keep_takes`).

use std::time::{Duration, SystemTime};

use crate::shared::{Shared, remove_dir};

/// How often takes that were kept long enough are looked for.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

/// Deletes takes that were kept long enough.
pub(crate) async fn sweep(shared: &Shared) {
    let Ok(mut entries) = tokio::fs::read_dir(shared.kept()).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let Ok(metadata) = entry.metadata().await else { continue };
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > shared.limits().keep_takes) {
            tracing::info!(take = %entry.path().display(), "a take was kept long enough and is deleted");
            remove_dir(&entry.path()).await;
        }
    }
}
