//! Has accounts written down from time to time when sessions and API keys were seen, and of accounts and rooms what could not be written when
//! it ended. Who came into a room by a link that has expired is let go, and waits for none of these writes.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::WebApp;
use crate::{clock, owner, rooms};

/// Whether there is anything to write is decided by the accounts.
const EVERY: Duration = Duration::from_secs(5);

/// Runs until `stop` is cancelled. A disk that is stuck then is not waited for.
pub(crate) async fn run(app: WebApp, stop: CancellationToken) {
    run_every(EVERY, app, stop).await;
}

async fn run_every(time: Duration, app: WebApp, stop: CancellationToken) {
    let expires = async {
        let mut expiry = rooms::Expiry::begin();
        loop {
            tokio::time::sleep(time).await;
            expiry.look(&app).await;
        }
    };
    let writes = async {
        let mut trouble = None;
        let mut tending = rooms::Tending::default();
        loop {
            tokio::time::sleep(time).await;
            tending.look(&app).await;
            let accounts = Arc::clone(app.accounts());
            match owner::blocking(move || accounts.keep(clock::now())).await {
                Ok(()) => trouble = None,
                Err(error) => {
                    let text = error.to_string();
                    if trouble.as_ref() != Some(&text) {
                        tracing::warn!("sessions and API keys are not written down: {text}");
                        trouble = Some(text);
                    }
                }
            }
        }
    };
    tokio::select! {
        () = expires => {}
        () = writes => {}
        () = stop.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use super::*;
    use crate::config::Access;
    use crate::tests::house::{Shows, owned};

    #[tokio::test]
    async fn what_was_seen_is_written_down_until_the_program_ends() {
        let house = owned(Access::Invite).await;
        let key = Shows::key(&house.key(&["list"]));
        assert_eq!(house.status(&Method::GET, "/recordings", &key, &json!({})).await, 200);
        let used = || house.truth().api_keys().unwrap()[0].used_ms;
        assert_eq!(used(), None, "nobody waits for a disk to be known");
        let stop = CancellationToken::new();
        let tending = tokio::spawn(run_every(Duration::from_millis(5), house.app.clone(), stop.clone()));
        while used().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        tending.await.unwrap();
    }
}
