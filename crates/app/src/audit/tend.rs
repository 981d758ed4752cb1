//! Writes down what was done, immediately after it was, and what was refused once in a while; and once more when the program ends.

use std::sync::Arc;
use std::time::Duration;

use reelroom_audit::Whole;
use tokio_util::sync::CancellationToken;

use crate::app::WebApp;
use crate::clock;
use crate::owner::blocking;

/// What comes meanwhile is written together.
const RESTS: Duration = Duration::from_millis(50);
/// What may wait is written so often, and what the disk did not take is tried again.
const EVERY: Duration = Duration::from_secs(2);
/// A disk that is stuck when the program ends is not waited for longer.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// Runs until `stop` is cancelled.
pub(crate) async fn run(app: WebApp, stop: CancellationToken) {
    let work = async {
        let mut trouble: Option<String> = None;
        loop {
            tokio::select! {
                () = app.audit().news() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
            let written = write(&app, Whole::WhatIsDue).await;
            if let Err(text) = &written
                && trouble.as_ref() != Some(text)
            {
                tracing::warn!("the audit log is not written, and what was done waits in memory: {text}");
            }
            trouble = written.err();
            let pause = if trouble.is_some() { EVERY } else { RESTS };
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
    write_last(&app).await;
}

/// Writes down all there is, when the program ends.
pub(crate) async fn write_last(app: &WebApp) {
    let unwritten = || app.audit().standing().unwritten;
    match tokio::time::timeout(LAST_WITHIN, write(app, Whole::Everything)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(acts = unwritten(), "the last of the audit log is not written: {error}");
        }
        Err(_) => {
            tracing::warn!(acts = unwritten(), "the last of the audit log is not written: the disk is stuck");
        }
    }
}

async fn write(app: &WebApp, whole: Whole) -> Result<(), String> {
    let audit = Arc::clone(app.audit());
    blocking(move || audit.write(whole, clock::now().unix_ms)).await.map_err(|error| error.to_string())
}
