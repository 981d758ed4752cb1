//! Of HTTPS: handshakes, the streams of HTTP/2, certificates.

use std::time::Duration;

limits! {
    /// TLS handshakes that are under way at once; one more connection is closed.
    pub const HANDSHAKES: usize = 1024;
    /// Those of one address, as long as as many are free for others. Programs of this machine have the bound of all. A handshake has the time of
    /// a request's head (`HEAD_WITHIN`).
    pub const HANDSHAKES_OF_AN_ADDRESS: usize = 128;
    /// Handshakes of an address that are done at once, as each costs a signature. More wait for their turn, at most the time below; then the connection is
    /// closed. Programs of this machine have no such bound.
    pub const HANDSHAKES_BURST_ADDRESS: u32 = 200;
    /// Handshakes of an address in a second for good.
    pub const HANDSHAKES_PER_SECOND_ADDRESS: u32 = 50;
    /// How long a handshake waits for its turn.
    pub const HANDSHAKE_WAITS: Duration = Duration::from_secs(3);
    /// Requests of one HTTP/2 connection at once; one more is refused by the protocol, and asked again by browsers. Each counts as one of its own
    /// beside that, with what it takes.
    pub const STREAMS: u32 = 64;
    /// What such a request counts for among the bytes of heads (`HEADS_BYTES`), besides all of its own head: one that only begins costs memory too, and a few bytes
    /// of HPACK make a long head. One for which there is no room is reset.
    pub const STREAM_COSTS_BYTES: usize = 4 * 1024;
    /// Bytes of the body of a request that its sender may be ahead, in one stream.
    pub const STREAM_BYTES: u32 = 64 * 1024;
    /// The same, in all streams of a connection.
    pub const STREAMS_BYTES: u32 = 256 * 1024;
    /// Bytes of an answer that wait in a stream before its source is asked for more.
    pub const STREAM_WAITING_BYTES: usize = 64 * 1024;
    /// Requests of an HTTP/2 connection that may be given up before they are answered, at once; one more ends the connection.
    pub const STREAMS_GIVEN_UP: u32 = 100;
    /// Such requests in a second for good.
    pub const STREAMS_GIVEN_UP_PER_SECOND: u32 = 10;
    /// How often an HTTP/2 connection is asked whether somebody is there.
    pub const PING_EVERY: Duration = Duration::from_secs(30);
    /// How long that answer may take; then the connection is closed.
    pub const PING_WITHIN: Duration = Duration::from_secs(20);
    /// Bytes of a file of certificates or of a key; a longer one is not read.
    pub const CERTIFICATE_FILE_BYTES: usize = 256 * 1024;
    /// Names and addresses that the server's own certificate is for; those that were served last stay.
    pub const OWN_NAMES: usize = 64;
    /// Bytes of an answer of an ACME server; a longer one fails.
    pub const ACME_ANSWER_BYTES: usize = 1024 * 1024;
    /// How long an answer of an ACME server may take.
    pub const ACME_ANSWER_WITHIN: Duration = Duration::from_secs(30);
    /// How long an order at an ACME server may take from its beginning to the certificate.
    pub const ACME_ORDER_WITHIN: Duration = Duration::from_secs(300);
}
