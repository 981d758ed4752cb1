//! Of links to recordings: how many there are, and who watches by them.

use std::time::Duration;

limits! {
    /// Links to recordings, those that are over included; with one more the one that has been over for the longest time is forgotten, and where
    /// none is over it is refused.
    pub const SHARES: usize = 10_000;
    /// The same, of one recording.
    pub const SHARES_OF_A_RECORDING: usize = 50;
    /// Bytes of the name of a link; a longer one is refused.
    pub const SHARE_NAME_BYTES: usize = 128;
    /// Views of a link that are listed; older ones are counted, and not listed any more.
    pub const SHARE_VIEWS_LISTED: usize = 100;
    /// People who watch by links at once; one more is answered 503.
    pub const VIEWS_AT_ONCE: usize = 4096;
    /// The same by one link; with one more the view ends that was seen longest ago.
    pub const VIEWS_OF_A_SHARE: usize = 256;
    /// How long a view lasts in which nothing is asked for: then the link has to be opened again, which the page does by itself where there is no
    /// password.
    pub const VIEW_IDLE: Duration = Duration::from_secs(10 * 60);
    /// How often it is written down at most how far a view has come.
    pub const VIEWS_KEPT_EVERY: Duration = Duration::from_secs(10);
    /// After how long at most an answer that is under way ends when its link is over.
    pub const SHARE_ENDS_WITHIN: Duration = Duration::from_secs(1);
    /// Views that an address begins at once. Programs of this machine have no such bound.
    pub const VIEWS_BURST_ADDRESS: u32 = 30;
    /// After how long an address may begin one more for good. Who is too fast is told how long to wait.
    pub const VIEW_EVERY_ADDRESS: Duration = Duration::from_secs(2);
    /// Wrong passwords for a link at once, of all addresses together.
    pub const SHARE_TRIES_BURST: u32 = 30;
    /// After how long all addresses together may try one more for good.
    pub const SHARE_TRY_EVERY: Duration = Duration::from_secs(60);
    /// Wrong passwords of an address for a link at once; a program of this machine, which may stand for anybody, has the bound of all alone.
    pub const SHARE_TRIES_BURST_ADDRESS: u32 = 5;
    /// After how long an address may try one more for good. Who is too fast is told how long to wait.
    pub const SHARE_TRY_EVERY_ADDRESS: Duration = Duration::from_secs(120);
    /// Addresses whose tries and views are remembered at a time; while it is full, unknown ones share one place.
    pub const SHARE_ADDRESSES: usize = 4096;
}
