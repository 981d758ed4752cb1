//! How many passwords are hashed at once. Nobody waits here: waiting would hold a thread, and strangers could hold all of them.
//!
//! Those of links have fewer places than there are: whoever guesses at one does not keep the owner from signing in.

use std::sync::atomic::{AtomicUsize, Ordering};

use reelroom_limits::accounts::{HASHES_AT_ONCE, LINK_HASHES_AT_ONCE};

const _: () = assert!(LINK_HASHES_AT_ONCE < HASHES_AT_ONCE);

/// The places.
#[derive(Default)]
pub(crate) struct Hashing {
    taken: AtomicUsize,
    /// Of those, for links.
    by_links: AtomicUsize,
}

/// One of them, free again when it goes.
pub(crate) struct Place<'a> {
    of: &'a Hashing,
}

/// One of the places for links, free again when it goes.
pub(crate) struct LinkPlace<'a> {
    place: Place<'a>,
}

impl Hashing {
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        take(&self.taken, HASHES_AT_ONCE)?;
        Some(Place { of: self })
    }

    pub(crate) fn link_place(&self) -> Option<LinkPlace<'_>> {
        let place = self.place()?;
        take(&self.by_links, LINK_HASHES_AT_ONCE)?;
        Some(LinkPlace { place })
    }
}

fn take(taken: &AtomicUsize, most: usize) -> Option<()> {
    let one_more = |taken| (taken < most).then_some(taken + 1);
    taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok().map(drop)
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for LinkPlace<'_> {
    fn drop(&mut self) {
        self.place.of.by_links.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_leave_a_place_for_the_owner() {
        let hashing = Hashing::default();
        let of_links: Vec<_> = (0..LINK_HASHES_AT_ONCE).map_while(|_| hashing.link_place()).collect();
        assert_eq!(of_links.len(), LINK_HASHES_AT_ONCE);
        assert!(hashing.link_place().is_none(), "and what is refused takes nothing");
        let others: Vec<_> = (of_links.len()..HASHES_AT_ONCE).map_while(|_| hashing.place()).collect();
        assert_eq!(of_links.len() + others.len(), HASHES_AT_ONCE);
        assert!(hashing.place().is_none());
        drop(of_links);
        assert!(hashing.link_place().is_some() && hashing.place().is_some(), "they are free again");
    }
}
