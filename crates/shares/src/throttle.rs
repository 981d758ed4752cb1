//! How often somebody may be wrong about the password of a link, and how many views an address begins.
//!
//! ```text
//!   a wrong password ─► the link: 30 at once, then one in a minute ─► the address, for that link: 5 at once, then one in two minutes
//!   a view           ─► the address: 30 at once, then one in two seconds
//! ```
//!
//! It is as with the owner's password (`accounts/src/throttle.rs`), and apart from it: whoever guesses at a link costs its owner no try, and
//! whoever guesses at one link costs no other. Nothing is locked: a pace refills, and whoever watches already goes on.
//!
//! # Invariants
//!
//! - A try is taken before the password is looked at, and given back when it is the right one.
//! - Who is refused uses nothing up, neither of their own pace nor of the others'.
//! - Memory is bounded. Nothing here is written to the disk.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use reelroom_limits::asker::Asker;
use reelroom_limits::pace::{Paces, Rate, TooFast};
use reelroom_limits::shares::{
    SHARE_ADDRESSES, SHARE_TRIES_BURST, SHARE_TRIES_BURST_ADDRESS, SHARE_TRY_EVERY, SHARE_TRY_EVERY_ADDRESS,
    SHARES, VIEW_EVERY_ADDRESS, VIEWS_BURST_ADDRESS,
};

use crate::ids::ShareId;

const AT_ONCE: Duration = Duration::ZERO;

/// A try that was taken.
pub(crate) struct Try {
    share: ShareId,
    address: Option<IpAddr>,
}

/// Everybody who was wrong, or began to watch, of late.
pub(crate) struct Throttle {
    shares: Paces<ShareId>,
    addresses: Paces<(ShareId, IpAddr)>,
    views: Paces<IpAddr>,
}

impl Default for Throttle {
    fn default() -> Self {
        let share = Rate::one_in(SHARE_TRIES_BURST, SHARE_TRY_EVERY);
        let address = Rate::one_in(SHARE_TRIES_BURST_ADDRESS, SHARE_TRY_EVERY_ADDRESS);
        let views = Rate::one_in(VIEWS_BURST_ADDRESS, VIEW_EVERY_ADDRESS);
        Self {
            shares: Paces::new(share, SHARES),
            addresses: Paces::new(address, SHARE_ADDRESSES),
            views: Paces::new(views, SHARE_ADDRESSES),
        }
    }
}

impl Throttle {
    /// One more try at the password of a share.
    ///
    /// # Errors
    /// [`TooFast`]: then nothing is taken.
    pub(crate) fn take(&mut self, share: &ShareId, asker: Asker, now: Instant) -> Result<Try, TooFast> {
        let Asker(address) = asker;
        self.shares.take(share.clone(), 1, AT_ONCE, now)?;
        if let Some(address) = address
            && let Err(too_fast) = self.addresses.take((share.clone(), address), 1, AT_ONCE, now)
        {
            self.shares.give_back(share, 1);
            return Err(too_fast);
        }
        Ok(Try { share: share.clone(), address })
    }

    /// It was the right password, or it was not looked at.
    pub(crate) fn give_back(&mut self, Try { share, address }: Try) {
        self.shares.give_back(&share, 1);
        if let Some(address) = address {
            self.addresses.give_back(&(share, address), 1);
        }
    }

    /// One more view.
    ///
    /// # Errors
    /// [`TooFast`]: then nothing is taken.
    pub(crate) fn take_view(&mut self, asker: Asker, now: Instant) -> Result<(), TooFast> {
        let Asker(Some(address)) = asker else { return Ok(()) };
        self.views.take(address, 1, AT_ONCE, now).map(drop)
    }
}
