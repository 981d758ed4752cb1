//! How long a store may take before it counts as one that fails.

use std::time::Duration;

use crate::error::LibraryError;

/// Slower than this a store is of no use: a recording of an hour would take half a day.
const SLOWEST_BYTES_PER_S: usize = 64 * 1024;

/// Times after which a call to the store is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// For a call with little to carry, its own retries included.
    pub call: Duration,
    /// Between two pieces of a file that is read.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(10),
            stall: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// How long a call that carries `bytes` may take.
    pub(crate) fn transfer(&self, bytes: usize) -> Duration {
        self.call + Duration::from_secs((bytes / SLOWEST_BYTES_PER_S) as u64)
    }
}

/// Gives a call up when its time is over.
pub(crate) async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T, LibraryError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer),
        Err(_) => Err(LibraryError::Store(format!("it has not answered for {} s", limit.as_secs_f64()))),
    }
}
