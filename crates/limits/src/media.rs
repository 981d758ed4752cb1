//! Of datagrams and of the connections that carry media.

use std::time::Duration;

limits! {
    /// Bytes of a datagram; what is longer is dropped, and a TCP connection that announces it is closed.
    pub const DATAGRAM_BYTES: usize = 2000;
    /// Bytes of a packet of media as it comes; a longer one is dropped. On its way out more stands in front of it and behind it than in what came, and all of
    /// that has to fit into [`DATAGRAM_BYTES`].
    pub const MEDIA_BYTES: usize = 1600;
    /// Bytes of a frame that is recorded, whole or in part; what is longer is dropped, and told in the report.
    pub const FRAME_BYTES: usize = 8 * 1024 * 1024;
    /// Addresses that a connection is heard from at a time; a further one takes the place of the one that was unused for longest, never of the one that media flows on.
    pub const ADDRESSES_OF_SESSION: usize = 16;
    /// New addresses that a connection may be heard from at once; datagrams from more are dropped.
    pub const NEW_ADDRESSES: u32 = 32;
    /// How long it takes until a connection may be heard from one new address more.
    pub const NEW_ADDRESS_EVERY: Duration = Duration::from_secs(10);
    /// Connections that one address can belong to (a port of a NAT may have had another user before); a further one takes the place of the one that was unused for longest.
    pub const SESSIONS_OF_ADDRESS: usize = 4;
    /// Addresses of all connections; with more, a new address costs its connection the one that was unused for longest.
    pub const ADDRESSES: usize = 65_536;
    /// Signed STUN requests of a connection a second; more are dropped.
    pub const REQUESTS_PER_S: u32 = 100;
    /// Senders of media (SSRCs) of a connection that are remembered; the one that was silent for longest is forgotten first.
    pub const SSRCS_OF_SESSION: usize = 256;
    /// New senders of media (SSRCs) of a connection at once, and one more a second; packets of more are dropped.
    pub const NEW_SSRCS: u32 = 128;
    /// Bytes of feedback (RTCP) of a connection a second: a small packet can ask for thousands of others; more is dropped.
    pub const FEEDBACK_BYTES_PER_S: u32 = 128 * 1024;
    /// Bytes of feedback that are kept of a connection while nothing has been sent of what it is on.
    pub const FEEDBACK_BYTES_ON_SILENCE: usize = 64 * 1024;
    /// Datagrams a second from addresses that belong to nobody for which it is looked whose address changed; more are dropped.
    pub const SEARCHES_PER_S: u32 = 200;
    /// Connections that one such datagram is tried with.
    pub const SEARCHED_SESSIONS: usize = 16;
    /// Datagrams of one connection that may wait for their room; more are dropped.
    pub const WAITING_OF_SESSION: usize = 1024;
    /// Data channels of a connection; with more it is closed.
    pub const DATA_CHANNELS: usize = 16;
    /// TCP connections for media; a further one is closed at once. Where the system allows fewer open files than four times that, a quarter of what it allows.
    pub const TCP_CONNECTIONS: usize = 4096;
    /// TCP connections for media of one address (an office behind a NAT that lets no UDP through has one); a further one is closed at once.
    pub const TCP_OF_ADDRESS: usize = 512;
    /// TCP connections that have not named their session with a signed STUN request; a further one takes the place of the oldest.
    pub const TCP_UNNAMED: usize = 256;
    /// The same of one address.
    pub const TCP_UNNAMED_OF_ADDRESS: usize = 32;
    /// How long a TCP connection may take to name its session; then it is closed.
    pub const TCP_NAMED_WITHIN: Duration = Duration::from_secs(5);
    /// How long a TCP connection may say nothing, or nothing that belongs to its session; then it is closed.
    pub const TCP_IDLE: Duration = Duration::from_secs(30);
    /// Bytes that may wait for a peer to read its TCP connection; datagrams beyond that are dropped, as a full network would.
    pub const TCP_WAITING_BYTES: usize = 256 * 1024;
    /// How long a peer may take nothing from its TCP connection; then it is closed.
    pub const TCP_STALLED: Duration = Duration::from_secs(5);
    /// Fields of a data packet, those of messages inside it included, counted before it is decoded; with more it is dropped, and its sender told.
    pub const DATA_FIELDS: usize = 4096;
    /// Bytes of reliable data of one sender that may wait for one receiver, each packet counted with 64 bytes more; the sender is slowed so that it does not get more, and who sends twice as much even so loses its streams to that receiver.
    pub const DATA_WAITING_BYTES: usize = 4 * 1024 * 1024;
    /// Bytes of reliable data of all senders that may wait for one receiver; with more the sender with the most loses its streams to it.
    pub const DATA_WAITING_BYTES_OF_RECEIVER: usize = 16 * 1024 * 1024;
    /// The same for a receiver that is announced and not connected yet, which slows nobody.
    pub const DATA_WAITING_BYTES_OF_NEWCOMER: usize = 1024 * 1024;
    /// How long a sender waits, while others wait for the same sender, for a receiver that takes less than `DATA_SLOWEST_BYTES_PER_S`; then the receiver loses the streams, and both are told.
    pub const DATA_PATIENCE: Duration = Duration::from_secs(5);
    /// How much longer than that for a receiver that has taken more before: a network that stands still for a moment.
    pub const DATA_CREDIT: Duration = Duration::from_secs(10);
    /// How long a sender waits for a receiver that takes nothing, while nobody else waits; then the receiver loses the streams, and both are told.
    pub const DATA_STALLED: Duration = Duration::from_secs(30);
    /// Bytes of reliable data a second that a receiver takes at least for whom others have to wait.
    pub const DATA_SLOWEST_BYTES_PER_S: usize = 4_000;
    /// Streams that a receiver has lost and of which the rest is kept from it; with more the oldest are forgotten.
    pub const DATA_LOST_STREAMS: usize = 256;
    /// How late lossy data, and packets of data tracks, may be for a receiver whose network takes them slowly; what would be later is dropped.
    pub const LOSSY_LATEST: Duration = Duration::from_millis(500);
    /// Bytes of the newest reliable data of a sender that are remembered for receivers who come back after their connection broke.
    pub const DATA_REPLAY_BYTES: usize = 512 * 1024;
    /// The same of all senders of a room together; of more the oldest of whoever has the most is forgotten.
    pub const DATA_REPLAY_BYTES_OF_ROOM: usize = 16 * 1024 * 1024;
    /// For how long they are remembered.
    pub const DATA_REPLAY_FOR: Duration = Duration::from_secs(20);
    /// Senders whose data a client may say it has received, as it comes back; of more it gets all that is remembered.
    pub const DATA_RECEIVE_STATES: usize = 1024;
    /// Data tracks that a participant publishes; one more is refused with LIMIT_EXCEEDED.
    pub const DATA_TRACKS: usize = 64;
    /// Bytes of one packet of a data track; a longer one is dropped. Clients make them as long as 16 000.
    pub const DATA_TRACK_PACKET_BYTES: usize = 32 * 1024;
    /// Data tracks that a participant subscribes to, those that are not there yet included; of more it is told that they are left out.
    pub const DATA_SUBSCRIPTIONS: usize = 512;
    /// Bytes of the name of an encoding, or of a schema's encoding, that an app made up; with a longer one a data track or a data blob is refused.
    pub const DATA_ENCODING_BYTES: usize = 32;
    /// Bytes of one data blob; a longer one is refused with LIMIT_EXCEEDED.
    pub const DATA_BLOB_BYTES: usize = 50 * 1024;
    /// Bytes of all data blobs of a participant with their keys, each counted with 128 bytes more; one that does not fit is refused with LIMIT_EXCEEDED.
    pub const DATA_BLOBS_BYTES: usize = 256 * 1024;
    /// TURN allocations of one participant (a browser makes one for each connection, interface and way to the server); a further one is refused.
    pub const TURN_OF_PARTICIPANT: usize = 32;
    /// TURN allocations of one address, or IPv6 network of 64 bits; a further one is refused.
    pub const TURN_OF_ADDRESS: usize = 1024;
    /// TURN allocations of all; a further one is refused.
    pub const TURN_ALLOCATIONS: usize = 8192;
    /// How long a TURN allocation lasts that its client does not refresh.
    pub const TURN_LASTS: Duration = Duration::from_secs(600);
    /// How long a TURN allocation is refreshed to which no session sends anything; then it is over.
    pub const TURN_UNUSED_LASTS: Duration = Duration::from_secs(600);
    /// How long a TURN client may exchange data with an address of this server's media after it asked for that.
    pub const TURN_PERMISSION_LASTS: Duration = Duration::from_secs(300);
    /// How long a TURN channel lasts that its client does not bind again.
    pub const TURN_CHANNEL_LASTS: Duration = Duration::from_secs(600);
    /// Permissions, and channels, of a TURN allocation; a further one is refused.
    pub const TURN_CHANNELS: usize = 32;
    /// How long a participant can make TURN allocations by what it was given as it joined; one that is made goes on.
    pub const TURN_CREDENTIALS_LAST: Duration = Duration::from_secs(3600);
    /// How long a nonce of TURN holds; then a client is given another one, which costs it a message.
    pub const TURN_NONCE_LASTS: Duration = Duration::from_secs(3600);
    /// Bytes a second of a TURN allocation, each way; more is dropped.
    pub const TURN_BYTES_PER_S: u32 = 4_000_000;
    /// TURN and STUN requests at once of an address, or IPv6 network of 64 bits, that has no TURN allocation yet (those by UDP and those by TCP apart; an office behind a NAT has one address), and of each allocation; more are dropped.
    pub const TURN_REQUESTS_BURST: u32 = 1000;
    /// Such requests in a second for good.
    pub const TURN_REQUESTS_PER_S: u32 = 200;
    /// Addresses whose TURN requests are counted apart; those of more share what one has.
    pub const TURN_ASKERS: usize = 16_384;
    /// Names of this server whose addresses clients are told; with more the settings are refused.
    pub const ADVERTISED_NAMES: usize = 4;
    /// How long a look-up of such a name may take; then the addresses that it had hold on.
    pub const NAME_LOOKED_UP_WITHIN: Duration = Duration::from_secs(5);
    /// Blocks of sound in one packet of redundant sound (RED), its own included; one with more is dropped.
    pub const RED_BLOCKS: usize = 8;
    /// Packets of sound of one track that are kept for a receiver who lost some; older ones are not sent again.
    pub const SOUND_KEPT: usize = 32;
    /// Packets of sound that a receiver may have sent again at once; what it asks for beyond that is not sent.
    pub const SOUND_RESENT: u32 = 64;
    /// How long it takes until a receiver may have one packet of sound more sent again.
    pub const SOUND_RESENT_EVERY: Duration = Duration::from_millis(10);
}
