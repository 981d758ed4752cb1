//! The time, as accounts want it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use reelroom_accounts::Now;

/// Now.
pub(crate) fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { at: Instant::now(), unix_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) }
}
