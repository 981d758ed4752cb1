//! Ctrl-C and SIGTERM: the first ends what runs in its order, the second ends at once.
//!
//! ```text
//!   Ctrl-C (SIGINT) ─► Stop::End       calls end, recordings are finished
//!   terminal gone   ─► the same
//!   SIGTERM         ─► Stop::HandOver  the program starts anew in a moment: clients come back by themselves, recordings go on
//! ```

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How the program is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// For good: calls end, and recordings are finished.
    End,
    /// To start anew: what runs goes on in the next run.
    HandOver,
}

/// Resolves at the first Ctrl-C or SIGTERM, or once `orphaned` is cancelled: the program's terminal is gone. From then on a further signal ends the
/// process with status 130.
///
/// # Errors
/// The system refuses to install a handler.
pub(crate) fn shutdown(orphaned: CancellationToken) -> std::io::Result<impl Future<Output = Stop>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        let stop = tokio::select! {
            _ = interrupt.recv() => Stop::End,
            _ = terminate.recv() => Stop::HandOver,
            () = orphaned.cancelled() => Stop::End,
        };
        match stop {
            Stop::End => {
                tracing::info!("stopping: calls end, recordings are finished; once more ends at once")
            }
            Stop::HandOver => tracing::info!(
                "handing over to the next start: clients come back by themselves, recordings go on; once more ends at once"
            ),
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(130);
        });
        stop
    })
}
