//! Those who wait to be let into rooms, and who is told when something changes.
//!
//! ```text
//!   whoever waits ────► held ─► how it stands with them ─┐  at most 10 s each, and so many of each kind at once;
//!   whoever lets in ──► held ─► who waits               ─┘  more are answered at once and ask again
//!   a knock, a decision, a change of the room ─► everybody who is held looks again
//! ```

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reelroom_limits::rooms::{LOBBY_HELD_OF_GUESTS, LOBBY_HELD_OF_HOSTS, LOBBY_HOLDS};
use reelroom_rooms::Lobby;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

/// How often whoever is held looks again by themselves: what time changes wakes nobody.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// Those who wait, and those who are held until something changes.
pub(crate) struct Lobbies {
    lobby: Mutex<Lobby>,
    changes: watch::Sender<u64>,
    guests: Semaphore,
    hosts: Semaphore,
    holds: Duration,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    /// Whoever waits.
    Guest,
    /// Whoever lets in.
    Host,
}

/// What was found by looking.
pub(crate) struct Found<T> {
    pub(crate) what: T,
    /// Whether it is worth telling.
    pub(crate) is_new: bool,
}

impl Default for Lobbies {
    fn default() -> Self {
        Self::holding(LOBBY_HOLDS)
    }
}

impl Lobbies {
    fn holding(holds: Duration) -> Self {
        Self {
            lobby: Mutex::default(),
            changes: watch::Sender::new(0),
            guests: Semaphore::new(LOBBY_HELD_OF_GUESTS),
            hosts: Semaphore::new(LOBBY_HELD_OF_HOSTS),
            holds,
        }
    }

    /// Does something with those who wait, and has everybody look again whom it changes something for. It waits for nothing.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Lobby, Instant) -> T) -> T {
        let mut lobby = self.lobby();
        let before = lobby.changes();
        let done = work(&mut lobby, Instant::now());
        let has_changed = lobby.changes() != before;
        drop(lobby);
        if has_changed {
            self.stir();
        }
        done
    }

    /// Has everybody who is held look again.
    pub(crate) fn stir(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Looks until there is something new, as long as somebody may be held. `stop` ends it.
    pub(crate) async fn until_new<T>(
        &self,
        side: Side,
        stop: &CancellationToken,
        mut look: impl FnMut() -> Found<T>,
    ) -> T {
        let mut changes = self.changes.subscribe();
        let mut found = look();
        let seats = match side {
            Side::Guest => &self.guests,
            Side::Host => &self.hosts,
        };
        let Ok(_seat) = seats.try_acquire() else { return found.what };
        let end = tokio::time::Instant::now() + self.holds;
        while !found.is_new && tokio::time::Instant::now() < end {
            let next = end.min(tokio::time::Instant::now() + LOOKS_EVERY);
            tokio::select! {
                // The sender lives as long as the app does.
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(next) => {}
                () = stop.cancelled() => return found.what,
            }
            found = look();
        }
        found.what
    }

    fn lobby(&self) -> MutexGuard<'_, Lobby> {
        self.lobby.lock().expect("no code panics while it holds the lobby")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    /// A machine that is busy is as slow as that, and no slower.
    const SOON: Duration = Duration::from_secs(30);

    fn found(what: u32) -> Found<u32> {
        Found { what, is_new: what > 0 }
    }

    #[tokio::test]
    async fn whoever_is_held_is_told_of_what_is_new_and_otherwise_at_the_end() {
        let stop = CancellationToken::new();
        let short = Lobbies::holding(Duration::from_millis(5));
        assert_eq!(short.until_new(Side::Guest, &stop, || found(0)).await, 0);
        let (lobbies, value) = (Arc::new(Lobbies::holding(LONG)), Arc::new(AtomicU32::new(0)));
        let held = tokio::spawn({
            let (lobbies, stop, value) = (Arc::clone(&lobbies), stop.clone(), Arc::clone(&value));
            async move {
                let look = || found(value.load(Ordering::Relaxed));
                lobbies.until_new(Side::Guest, &stop, look).await
            }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        value.store(7, Ordering::Relaxed);
        lobbies.stir();
        assert_eq!(tokio::time::timeout(SOON, held).await.unwrap().unwrap(), 7);
        stop.cancel();
        let told = lobbies.until_new(Side::Guest, &stop, || found(0));
        assert_eq!(tokio::time::timeout(SOON, told).await, Ok(0), "a program that stops holds nobody");
    }

    #[tokio::test]
    async fn no_more_are_held_than_may_be_and_those_who_let_in_have_places_of_their_own() {
        let (lobbies, stop) = (Arc::new(Lobbies::holding(LONG)), CancellationToken::new());
        for _ in 0..LOBBY_HELD_OF_GUESTS {
            let (lobbies, stop) = (Arc::clone(&lobbies), stop.clone());
            tokio::spawn(async move { lobbies.until_new(Side::Guest, &stop, || found(0)).await });
        }
        while lobbies.guests.available_permits() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let one_more = lobbies.until_new(Side::Guest, &stop, || found(0));
        assert_eq!(tokio::time::timeout(SOON, one_more).await, Ok(0), "it asks again in a while");
        let host = lobbies.until_new(Side::Host, &stop, || found(0));
        assert!(tokio::time::timeout(Duration::from_millis(50), host).await.is_err(), "is held");
    }
}
