//! Of stores and of what stands in them.

limits! {
    /// Bytes of a sidecar, or of another small file that is read whole; a larger one is not read, and its recording is listed with that reason.
    pub const SMALL_FILE_BYTES: u64 = 4 * 1024 * 1024;
    /// Bytes of a line that a composer says; what is longer is left out, with a warning.
    pub const COMPOSER_LINE_BYTES: usize = 8 * 1024 * 1024;
    /// Bytes of a line of a composer's own words, the last of which tell why it failed; a longer one is left out of them.
    pub const COMPOSER_WORDS_BYTES: usize = 16 * 1024;
    /// Bytes of a request to record, as it is kept and told by webhooks; a larger one is refused.
    pub const EGRESS_REQUEST_BYTES: usize = 16 * 1024;
    /// Recordings of one room that run at once; one more is refused.
    pub const EGRESSES_OF_A_ROOM: usize = 8;
    /// Recordings that are over and still told by ListEgress; the oldest are forgotten first, and their files stay.
    pub const EGRESSES_KEPT: usize = 2000;
    /// Bytes of the text that a list of recordings is searched for; a longer one is answered 400.
    pub const SEARCH_BYTES: usize = 256;
    /// Searches that run at once; each looks at every recording. Lists without a search do not wait for them.
    pub const SEARCHES_AT_ONCE: usize = 1;
    /// Searches that wait for others; one more is answered 503.
    pub const SEARCHES_WAITING: usize = 32;
}
