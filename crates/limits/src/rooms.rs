//! Of rooms that the owner makes, and the links into them.

use std::time::Duration;

limits! {
    /// Rooms that the owner made and has not deleted; one more is refused.
    pub const ROOMS_KEPT: usize = 1000;
    /// Names of deleted rooms, which no other room gets; when there are as many, no more rooms are made.
    pub const ROOMS_CLOSED: usize = 100000;
    /// How long a page that came by a room's link may play a recording by the address that it was given; it ends with the link in any case.
    pub const PASS_LASTS: Duration = Duration::from_secs(12 * 60 * 60);
    /// Days for which the recordings of a room can be kept at most, where a time is set at all.
    pub const KEEP_DAYS: u32 = 3650;
    /// How long a token lasts where access is by invitation: whoever is in a room is given fresh ones.
    pub const TOKEN_LASTS: Duration = Duration::from_secs(10 * 60);
    /// For how long no recording of a room is deleted by itself after its room was set to keep recordings for a time, or for a shorter one, and no
    /// recording after it was let go that was kept for good.
    pub const RETENTION_GRACE: Duration = Duration::from_secs(24 * 60 * 60);
    /// For how long a program that was started deletes nothing by itself.
    pub const RETENTION_AFTER_START: Duration = Duration::from_secs(60 * 60);
    /// By how much the clock may move on or back against the time that passes; one that moves more is not believed for as long.
    pub const RETENTION_CLOCK_MOVES: Duration = Duration::from_secs(24 * 60 * 60);
    /// Recordings that are deleted by themselves at once; more are deleted a minute later.
    pub const RETENTION_AT_ONCE: usize = 20;
    /// Recordings that are named to whoever asks what a time for which recordings are kept would delete; more are counted.
    pub const RETENTION_SHOWN: usize = 20;
    /// Recordings of rooms that are noted later because the disk takes nothing; with one more the oldest is noted after the next start.
    pub const RETENTION_UNNOTED: usize = 1000;
    /// Uses of tokens that are good once, which are remembered for as long as those last; with one more the first of them is forgotten.
    pub const TICKETS_REMEMBERED: usize = 50_000;
}
