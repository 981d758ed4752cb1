//! What ends an answer before its end.

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

/// Goes with an answer, as an extension of the response, where its reader may lose the right to it while it is sent. Once it is cut nothing more
/// of it goes out: whatever of it waits in buffers is thrown away with the connection.
#[derive(Clone, Debug)]
pub struct Cut {
    now: CancellationToken,
    _held: Arc<DropGuard>,
}

/// Whoever sees to it that an answer is cut, as long as anybody has to do with it.
#[derive(Debug)]
pub struct Cutter {
    now: CancellationToken,
    unheld: CancellationToken,
}

impl Cut {
    /// One that is not cut.
    pub fn new() -> (Self, Cutter) {
        let (now, unheld) = (CancellationToken::new(), CancellationToken::new());
        let cutter = Cutter { now: now.clone(), unheld: unheld.clone() };
        (Self { now, _held: Arc::new(unheld.drop_guard()) }, cutter)
    }

    /// Cuts it.
    pub fn now(&self) {
        self.now.cancel();
    }

    /// Whether it is cut.
    pub fn is_cut(&self) -> bool {
        self.now.is_cancelled()
    }

    /// Waits until it is cut.
    pub async fn cut(&self) {
        self.now.cancelled().await;
    }
}

impl Cutter {
    /// Cuts it.
    pub fn now(&self) {
        self.now.cancel();
    }

    /// Waits until nobody has to do with the answer any more.
    pub async fn unheld(&self) {
        self.unheld.cancelled().await;
    }
}
