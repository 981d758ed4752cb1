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
    /// Guests who wait to be let into rooms, at once.
    pub const KNOCKS: usize = 2000;
    /// Of them so many wait for one room, as long as as many are free for others; one more is told to come later.
    pub const KNOCKS_OF_A_ROOM: usize = 200;
    /// Of those so many come from one address, as long as as many are free for others. Programs of this machine have the bound of the room.
    pub const KNOCKS_OF_AN_ADDRESS: usize = 50;
    /// Whoever waits and is not heard of for so long waits no more; whoever was let in has as long to come in.
    pub const KNOCK_LASTS: Duration = Duration::from_secs(15);
    /// How long a guest whom a host did not let in waits before they can ask again.
    pub const KNOCK_AGAIN_AFTER: Duration = Duration::from_secs(60);
    /// Guests of one address who were not let into a room within that time, after whom nobody else of that address can ask until it is over.
    pub const REFUSED_OF_AN_ADDRESS: usize = 5;
    /// Guests who were not let in that are remembered of a room; the oldest is forgotten beyond that.
    pub const REFUSED_REMEMBERED: usize = 200;
    /// A host who has not asked for so long who waits is not there to let anybody in.
    pub const HOST_LOOKS_WITHIN: Duration = Duration::from_secs(20);
    /// How long a question about a lobby is held until there is something new to tell.
    pub const LOBBY_HOLDS: Duration = Duration::from_secs(10);
    /// Questions of those who wait that are held at once; more are answered at once, and asked again in a while.
    pub const LOBBY_HELD_OF_GUESTS: usize = 64;
    /// The same of those who let in.
    pub const LOBBY_HELD_OF_HOSTS: usize = 64;
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
