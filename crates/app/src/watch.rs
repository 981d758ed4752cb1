//! Keeps the list true when webhooks do not come: asks the LiveKit server what it records, and logs at the start whether
//! the servers that this program depends on are there.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::WebApp;
use crate::livekit::LiveKitError;
use crate::{audit, retention, room_state, shares, tend};

/// While something is being recorded.
const OFTEN: Duration = Duration::from_secs(2);
/// Otherwise: another program may have started a recording.
const SELDOM: Duration = Duration::from_secs(30);

impl WebApp {
    /// Begins to follow what the LiveKit server records, to tell rooms of it, to keep accounts, views and the audit log, and to delete recordings
    /// whose time is over. Has to be called within a tokio runtime.
    pub fn watch(&self) {
        self.spawn(run);
        self.spawn(tend::run);
        self.spawn(shares::tend::run);
        self.spawn(audit::run);
        self.spawn(retention::run);
        if self.room_state().is_told() {
            self.spawn(room_state::run);
        }
    }

    /// Writes down what was done while the app stopped, once nobody is answered any more. A disk that is stuck is not waited for.
    pub async fn write_down(&self) {
        audit::write_last(self).await;
    }
}

/// Runs until `stop` is cancelled.
async fn run(app: WebApp, stop: CancellationToken) {
    let work = async {
        // A store that fails is in the log, and in the answer to a client that lists.
        let _ = app.library().refresh().await;
        let mut trouble = None;
        let mut is_first = true;
        loop {
            let asked = if is_first { catch_up(&app).await } else { follow(&app).await };
            match asked {
                Ok(()) => {
                    is_first = false;
                    if trouble.take().is_some() {
                        tracing::info!("the media server answers again");
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if trouble.as_ref() != Some(&text) {
                        tracing::warn!("{text}");
                        trouble = Some(text);
                    }
                }
            }
            let is_busy = app.library().in_the_making().await.is_ok_and(|making| !making.is_empty());
            tokio::time::sleep(OFTEN).await;
            if !is_busy && trouble.is_none() {
                let _ = tokio::time::timeout(SELDOM, app.something_began()).await;
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

/// What happened while this program did not run.
async fn catch_up(app: &WebApp) -> Result<(), LiveKitError> {
    for info in app.livekit().all_recordings().await? {
        app.learn_or_warn(&info).await;
    }
    room_state::catch_up(app).await
}

async fn follow(app: &WebApp) -> Result<(), LiveKitError> {
    let active = app.livekit().all_active_recordings().await?;
    for info in &active {
        app.learn_or_warn(info).await;
    }
    let ids: HashSet<_> = active.into_iter().map(|info| info.egress_id).collect();
    let making = app.library().in_the_making().await.unwrap_or_default().into_iter();
    // Rooms are told of recordings that no list has, too.
    let known: BTreeSet<_> = making.map(|recording| recording.id).chain(app.room_state().live()).collect();
    for id in known.into_iter().filter(|id| !ids.contains(id)) {
        match app.livekit().recording(&id).await? {
            Some(info) => app.learn_or_warn(&info).await,
            None => {
                app.room_state().forget(&id);
                if let Err(error) = app.library().forget(&id).await {
                    tracing::warn!(%error, "the library cannot be kept up to date");
                }
            }
        }
    }
    Ok(())
}
