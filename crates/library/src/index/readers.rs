//! Connections to the index that only read: so many at once, and a line of bounded length for who waits.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::home::Home;
use super::index_error;
use crate::error::LibraryError;

/// A reader hardly ever waits for a writer: only while a log of changes is taken in.
const BUSY: Duration = Duration::from_secs(5);

/// Connections that only read, as many at once as there are.
#[derive(Clone)]
pub(super) struct Readers {
    home: Arc<Home>,
    pub(super) places: Arc<Semaphore>,
    pub(super) waiting: Arc<AtomicUsize>,
    most_waiting: usize,
    /// With how often the index had been written anew when each was opened.
    idle: Arc<Mutex<Vec<(u64, Connection)>>>,
}

/// Somebody waits, until this is dropped.
struct InLine<'a>(&'a AtomicUsize);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Readers {
    pub(super) fn new(home: &Arc<Home>, at_once: usize, most_waiting: usize) -> Self {
        Self {
            home: Arc::clone(home),
            places: Arc::new(Semaphore::new(at_once)),
            waiting: Arc::default(),
            most_waiting,
            idle: Arc::default(),
        }
    }

    /// # Errors
    /// [`LibraryError::Busy`] when too many wait already; [`LibraryError::Index`].
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LibraryError> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
                let _in_line = InLine(&self.waiting);
                if waiting >= self.most_waiting {
                    return Err(LibraryError::Busy);
                }
                let place = Arc::clone(&self.places).acquire_owned().await;
                place.expect("nobody closes the queue")
            }
        };
        let readers = self.clone();
        blocking(move || {
            // It ends with the work, also when whoever asked has gone.
            let _place = place;
            let moves = readers.home.stay();
            readers.idle().retain(|(opened_at, _)| *opened_at == moves);
            let known = readers.idle().pop();
            let (opened_at, connection) = match known {
                Some(known) => known,
                None => (moves, open_to_read(readers.home.file())?),
            };
            let done = work(&connection);
            readers.idle().push((opened_at, connection));
            done
        })
        .await
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(u64, Connection)>> {
        self.idle.lock().expect("no code panics while it holds the connections")
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, LibraryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(index_error),
        // The runtime ends, and with it whoever waits here.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn open_to_read(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}
