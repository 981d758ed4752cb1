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
}
