//! The disk that takes are written to: a part of it is left alone, so that what was begun can be finished.
//!
//! ```text
//!  watch: free bytes, twice a second ─► Forecast (pure) ─► Space: plenty, low (for some minutes), full
//!  Writers: how long each take's writer waits ────────────┘    │    or stuck
//!                                                     low: the recordings say so   full: they end, and none begins
//!                                                     stuck: they say so, and none begins; what comes waits in memory
//!  trouble: what a job says of the disk    kept: takes that are deleted when they were kept long enough
//! ```

pub(crate) mod kept;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
pub(crate) mod space;
pub(crate) mod trouble;
pub(crate) mod watch;
pub(crate) mod writers;
