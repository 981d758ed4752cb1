//! Of stores and of what stands in them.

limits! {
    /// Bytes of a sidecar, or of another small file that is read whole; a larger one is not read, and its recording is listed with that reason.
    pub const SMALL_FILE_BYTES: u64 = 4 * 1024 * 1024;
    /// Bytes of the text, room or cursor that recordings are searched by; a longer one is answered 400.
    pub const SEARCH_BYTES: usize = 4096;
    /// Searches of the list that read every recording: one runs and the others wait; one more is answered 503. Lists in the order of
    /// an index never wait for them.
    pub const SEARCHES: usize = 32;
}
