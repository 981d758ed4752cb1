//! The places of composers: each composer needs memory and a good part of a processor, so their number is limited.
//!
//! ```text
//!   a recording begins ──► follows, if a place is free ──────────► its composer runs until the file is finished
//!                          waits, if not ──┐
//!   a recording ends ──────────────────────┴─► finishes, if a place is free or becomes so ──► composed from its beginning
//! ```
//!
//! There are places of two kinds: a recording that is over never waits for calls that go on for hours. Invariant: no more composers
//! run than there are places, but for what a crash left, which has its own turn.

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many composers follow their recordings for each processor: one needs half of it to keep up.
const FOLLOWING_PER_PROCESSOR: usize = 2;

/// The right to run a composer.
pub(crate) type Turn<'a> = SemaphorePermit<'a>;

/// All places.
#[derive(Debug)]
pub(crate) struct Turns {
    following: Semaphore,
    finishing: Semaphore,
}

impl Turns {
    /// With `following` places beside recordings that run, or as this machine has processors for 0; and half as many for those that
    /// are over.
    pub(crate) fn new(following: usize) -> Self {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let following = match following {
            0 => FOLLOWING_PER_PROCESSOR * processors(),
            places => places.min(Semaphore::MAX_PERMITS),
        };
        Self { following: Semaphore::new(following), finishing: Semaphore::new(following.div_ceil(2)) }
    }

    /// A place beside a recording that runs.
    pub(crate) async fn follow(&self) -> Turn<'_> {
        self.following.acquire().await.expect("places are never closed")
    }

    /// A place for a recording that is over.
    pub(crate) async fn finish(&self) -> Turn<'_> {
        self.finishing.acquire().await.expect("places are never closed")
    }

    /// Whether a composer that wants to follow has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.following.available_permits() == 0
    }
}
