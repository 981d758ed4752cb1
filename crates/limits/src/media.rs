//! Of datagrams and of the connections that carry media.

limits! {
    /// Bytes of a datagram; what is longer is dropped.
    pub const DATAGRAM_BYTES: usize = 2000;
    /// Bytes of a frame that is recorded, whole or in part; what is longer is dropped, and told in the report.
    pub const FRAME_BYTES: usize = 8 * 1024 * 1024;
}
