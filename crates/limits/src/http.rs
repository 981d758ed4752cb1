//! Of HTTP, before it is known who asks.

use std::time::Duration;

limits! {
    /// Bytes of the body of a REST call or a webhook; a larger one is answered 413.
    pub const REST_BODY_BYTES: usize = 1024 * 1024;
    /// Bytes of all webhooks that wait to be delivered, of which each receiver has the same share; what finds no room is dropped, and the next one says how many were.
    pub const WEBHOOKS_WAITING_BYTES: usize = 16 * 1024 * 1024;
    /// Bytes of the body of a call of LiveKit's APIs (Twirp); a larger one is answered 413.
    pub const TWIRP_BODY_BYTES: usize = 1024 * 1024;
    /// Bytes of a request's line and headers; more are answered 431 and the connection is closed. A token in the query of `/rtc` may have
    /// metadata and attributes in it, and no URL is longer than 64 KiB (414). These refusals, that of too many headers and that of what
    /// is no HTTP (400) come before anybody knows what is asked for, and have no text.
    pub const HEAD_BYTES: usize = 80 * 1024;
    /// Bytes of the heads of all requests that are being read or worked on, without the first 8 KiB of each: a connection that brings
    /// one more is closed.
    pub const HEADS_BYTES: usize = 32 * 1024 * 1024;
    /// The same of one address, as long as as many are free for others. Programs of this machine have the bound of all.
    pub const HEADS_BYTES_OF_AN_ADDRESS: usize = 8 * 1024 * 1024;
    /// Bytes of each head that are not counted.
    pub const HEAD_BYTES_UNCOUNTED: usize = 8 * 1024;
    /// Headers of a request; more are answered 431 and the connection is closed.
    pub const HEADERS: usize = 100;
    /// Bytes of a request's path and query; more are answered 414. That of `/rtc` may fill the whole head.
    pub const PATH_BYTES: usize = 16 * 1024;
    /// How long a connection may say nothing, and how long the head of a request may take; then it is closed.
    pub const HEAD_WITHIN: Duration = Duration::from_secs(30);
    /// How long a connection may wait between two requests; then it is closed.
    pub const IDLE_WITHIN: Duration = Duration::from_secs(75);
    /// How long the body of a request may take; a slower one is answered 408 and the connection is closed. Until all of it has come, the
    /// connection makes room for others.
    pub const BODY_WITHIN: Duration = Duration::from_secs(30);
    /// Bytes of a body that is refused that are read off, for its sender to get to the refusal; then the connection is closed.
    pub const UNWANTED_BYTES: usize = 16 * 1024 * 1024;
    /// How long they are read off.
    pub const UNWANTED_WITHIN: Duration = Duration::from_secs(5);
    /// How long whoever is being sent something may take nothing of it; then the connection is closed.
    pub const STALLED_READER: Duration = Duration::from_secs(60);
    /// How long an answer (all but the file of a recording) may take to be read, besides what the next row allows; then the connection is
    /// closed.
    pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
    /// Bytes of an answer that give it a second more to be read.
    pub const ANSWER_BYTES_PER_SECOND: u64 = 16 * 1024;
    /// Open files that are kept for recordings and stores, half of all where there are few, besides a quarter for media over TCP: no connection is taken beyond. The setting
    /// `max_connections` bounds connections, `max_connections_per_address` those of one address, which has half of all at
    /// most: where none waits that could go, one more is answered 503 and closed.
    pub const RESERVED_FILES: usize = 4096;
    /// Requests that are worked on, or whose answers are being read, at once; one more is answered 503. A refusal for which there is no room is
    /// told, and its connection makes room for others.
    pub const REQUESTS: usize = 512;
    /// Requests of one address that are worked on at once, as long as as many are free for others; one more is answered 503. Programs of
    /// this machine have the bound of all.
    pub const REQUESTS_OF_AN_ADDRESS: usize = 128;
    /// Bytes of the bodies of all requests that are worked on; with one more the request that brings it is answered 503.
    pub const BODIES_BYTES: usize = 64 * 1024 * 1024;
    /// Bytes of the bodies of the requests of one address, as long as as many are free for others; with one more the request that brings
    /// it is answered 503. Programs of this machine have the bound of all.
    pub const BODIES_BYTES_OF_AN_ADDRESS: usize = 16 * 1024 * 1024;
    /// Joins that wait for their turn or are being let in at once; one more is answered 503.
    pub const JOINS: usize = 2048;
    /// Joins of one address that do so, as long as as many are free for others; one more is answered 503. Programs of this machine have the
    /// bound of all.
    pub const JOINS_OF_AN_ADDRESS: usize = 512;
    /// Of a hundred connections so many may be WebSockets or follow events, so that others can ask; one beyond that is answered 503. An address may have
    /// `max_connections_per_address` of them, as long as as many are free for others, and counts as the proxy on this machine tells it.
    pub const WEBSOCKETS_PERCENT: usize = 75;
    /// Recordings that are being sent at once; one more is answered 503.
    pub const DOWNLOADS: usize = 512;
    /// Recordings that are being sent to one address at once, as long as as many are free for others; one more is answered 503. Programs
    /// of this machine have the bound of all.
    pub const DOWNLOADS_OF_AN_ADDRESS: usize = 128;
    /// Tokens of `POST /token` for an address at once. More wait for their turn, at most the time below; then they are answered 429.
    /// Programs of this machine have no such bound.
    pub const TOKENS_BURST_ADDRESS: u32 = 200;
    /// Tokens for an address in a second for good.
    pub const TOKENS_PER_SECOND_ADDRESS: u32 = 20;
    /// How long a token waits for its turn.
    pub const TOKEN_WAITS: Duration = Duration::from_secs(1);
    /// Addresses whose tokens are remembered at a time; while it is full, unknown ones share one place.
    pub const ASKERS_REMEMBERED: usize = 16_384;
    /// Seconds after which whoever was answered 503 is told to ask again (`Retry-After`).
    pub const RETRY_AFTER_S: u64 = 2;
    /// Connections to the port at which everybody is sent to HTTPS, and a quarter of these of one address.
    pub const PLAIN_CONNECTIONS: usize = 64;
    /// Connections that this program has to itself at once, by a port of its own: one for each request that is worked on, and some for
    /// what recordings say of themselves.
    pub const INNER_CONNECTIONS: usize = 640;
}
