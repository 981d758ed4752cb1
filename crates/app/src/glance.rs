//! What somebody without a right learns of readiness: yes or no, looked at once for all who ask within a moment.
//!
//! # Invariants
//!
//! - However many ask, the LiveKit server and the store are asked once in [`HOLDS`].
//! - The log says why once for as long as it is so.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::error::ApiError;

/// What was found counts for so long.
const HOLDS: Duration = Duration::from_secs(2);

/// What was found last.
#[derive(Default)]
pub(crate) struct Glance {
    /// Held by who looks: the others wait for what comes of it.
    last: Mutex<Option<(Instant, bool)>>,
}

impl Glance {
    /// Whether all is well, by `look` unless that is known.
    pub(crate) async fn is_ready<T>(&self, look: impl Future<Output = Result<T, ApiError>>) -> bool {
        let mut last = self.last.lock().await;
        if let Some((at, is_ready)) = *last
            && at.elapsed() < HOLDS
        {
            return is_ready;
        }
        let was_ready = last.is_none_or(|(_, was_ready)| was_ready);
        let found = look.await.map(drop);
        if let Err(error) = &found
            && was_ready
        {
            tracing::warn!(%error, "somebody was told that the server is not ready, and not why");
        }
        *last = Some((Instant::now(), found.is_ok()));
        found.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn however_many_ask_it_is_looked_at_once() {
        for expected in [true, false] {
            let (glance, looks) = (Glance::default(), AtomicUsize::new(0));
            let look = async || {
                looks.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                if expected { Ok(()) } else { Err(ApiError::Unavailable("it is away".into())) }
            };
            let all = futures::future::join_all((0..100).map(|_| glance.is_ready(look()))).await;
            assert_eq!(all, [expected; 100]);
            assert_eq!(looks.load(Ordering::Relaxed), 1);
        }
    }
}
