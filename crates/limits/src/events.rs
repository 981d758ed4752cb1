//! Of what is told by itself: to whoever follows, and to programs by webhook.

use std::time::Duration;

limits! {
    /// Changes of recordings that are kept for whoever follows the library, the newest of each recording; whoever has not seen older ones is
    /// told to read the list anew.
    pub const CHANGES_KEPT: usize = 1024;
    /// Bytes of all of them.
    pub const CHANGES_BYTES: usize = 4 * 1024 * 1024;
    /// Followers of `GET /events` at once; one more is answered 503. Each is a connection, and counts as a WebSocket does.
    pub const FOLLOWERS: usize = 2048;
    /// Followers of one address at once, as long as as many are free for others; one more is answered 503. Programs of this machine have the
    /// bound of all.
    pub const FOLLOWERS_OF_AN_ADDRESS: usize = 256;
    /// Changes that a follower is told at once; where more wait for it, it is told to read the list anew.
    pub const CHANGES_AT_ONCE: usize = 32;
    /// Bytes of them; where they have more, it is told to read the list anew, too.
    pub const CHANGES_AT_ONCE_BYTES: usize = 128 * 1024;
    /// After how long a follower is told more: what changes several times meanwhile is told once.
    pub const FOLLOWER_RESTS: Duration = Duration::from_millis(250);
    /// How often a follower hears from the server where nothing changes.
    pub const FOLLOWER_BEAT: Duration = Duration::from_secs(15);
    /// How often it is asked anew who a follower is and what they may: whose session, key or link is over is told so, and no more.
    pub const FOLLOWER_ASKED: Duration = Duration::from_secs(3);
    /// Webhooks of recordings that wait to be delivered to one receiver, on disk; with more, updates are dropped first and then the oldest,
    /// which the log, the metrics and `/readyz` tell, and the next webhook says how many they were.
    pub const WEBHOOKS_KEPT: usize = 5000;
    /// Bytes of them; with more it is the same.
    pub const WEBHOOKS_KEPT_BYTES: usize = 16 * 1024 * 1024;
    /// How long a webhook of a recording is tried; then it is dropped in the same way.
    pub const WEBHOOK_LASTS: Duration = Duration::from_secs(24 * 60 * 60);
    /// After how long it is tried for the second time; each further pause is twice as long.
    pub const WEBHOOK_FIRST_PAUSE: Duration = Duration::from_secs(1);
    /// The longest pause between two tries.
    pub const WEBHOOK_LONGEST_PAUSE: Duration = Duration::from_secs(300);
    /// Webhooks of recordings that are sent to one receiver at once.
    pub const WEBHOOKS_AT_ONCE: usize = 8;
    /// Webhooks of recordings that wait to be written to disk; where that takes no more, they are delivered as those of rooms are, from memory.
    pub const WEBHOOKS_UNWRITTEN: usize = 512;
    /// Deliveries to one receiver that are over and still shown; the oldest are forgotten first.
    pub const WEBHOOKS_SHOWN: usize = 500;
    /// Rooms whose state waits to be told to those in them, or is remembered so that it does not go back; with more, those that were told go first.
    pub const ROOMS_TOLD: usize = 2048;
    /// Recordings of a room that its state is made of; with more, those that are over go first, the oldest in front.
    pub const RECORDINGS_OF_A_ROOM_TOLD: usize = 16;
    /// Deletions that wait to be told in a room; with more, those who are in it are not told of the oldest, and see it when they read the list.
    pub const DELETIONS_TOLD: usize = 64;
    /// Rooms that the media server is asked of at once, so that they can be told.
    pub const ROOMS_TOLD_AT_ONCE: usize = 64;
    /// Rooms that are told at the same time: one that is slow holds up the others for no longer than its call takes.
    pub const ROOMS_TOLD_TOGETHER: usize = 8;
    /// After how long rooms are told more: what changes several times meanwhile is told once.
    pub const ROOM_STATE_RESTS: Duration = Duration::from_millis(250);
    /// How often a room is told how far its recording is being finished.
    pub const ROOM_STATE_PROGRESS: Duration = Duration::from_secs(1);
    /// How often it is looked at whether a room that is being recorded still says so.
    pub const ROOM_STATE_LOOKED: Duration = Duration::from_secs(15);
    /// After how long a room is told again what could not be told; with a media server that does not answer each pause is twice as long, up to
    /// ROOM_STATE_LONGEST_PAUSE.
    pub const ROOM_STATE_FIRST_PAUSE: Duration = Duration::from_secs(1);
    /// The longest of these pauses.
    pub const ROOM_STATE_LONGEST_PAUSE: Duration = Duration::from_secs(30);
    /// For how long it is remembered how the recordings of a room ended.
    pub const ROOM_STATE_KEPT: Duration = Duration::from_secs(600);
    /// The longest reason of a failure that a room is told, in bytes.
    pub const ROOM_STATE_ERROR_BYTES: usize = 500;
}
