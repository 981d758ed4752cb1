//! Of datagrams and of the connections that carry media.

limits! {
    /// Bytes of a datagram; what is longer is dropped.
    pub const DATAGRAM_BYTES: usize = 2000;
}
