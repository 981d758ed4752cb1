//! Of datagrams and of the connections that carry media.

use std::time::Duration;

limits! {
    /// Bytes of a datagram; what is longer is dropped, and a TCP connection that announces it is closed.
    pub const DATAGRAM_BYTES: usize = 2000;
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
    /// Bytes of reliable data of one sender that may wait for one receiver; the sender is slowed so that it does not get more, and who sends more even so loses its streams to that receiver.
    pub const DATA_WAITING_BYTES: usize = 1024 * 1024;
    /// Bytes of reliable data of all senders that may wait for one receiver; with more the sender with the most loses its streams to it.
    pub const DATA_WAITING_BYTES_OF_RECEIVER: usize = 16 * 1024 * 1024;
    /// How long a sender waits for a receiver that takes nothing, or less than `DATA_SLOWEST_BYTES_PER_S` while others wait for the same sender; then the receiver loses the streams, and both are told.
    pub const DATA_PATIENCE: Duration = Duration::from_secs(5);
    /// Bytes of reliable data a second that a receiver takes at least for whom others have to wait.
    pub const DATA_SLOWEST_BYTES_PER_S: usize = 125_000;
    /// Streams that a receiver has lost and of which the rest is kept from it; with more the oldest are forgotten.
    pub const DATA_LOST_STREAMS: usize = 256;
    /// Blocks of sound in one packet of redundant sound (RED), its own included; one with more is dropped.
    pub const RED_BLOCKS: usize = 8;
    /// Packets of sound of one track that are kept for a receiver who lost some; older ones are not sent again.
    pub const SOUND_KEPT: usize = 32;
    /// Packets of sound that a receiver may have sent again at once; what it asks for beyond that is not sent.
    pub const SOUND_RESENT: u32 = 64;
    /// How long it takes until a receiver may have one packet of sound more sent again.
    pub const SOUND_RESENT_EVERY: Duration = Duration::from_millis(10);
}
