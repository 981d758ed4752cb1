//! Of stores and of what stands in them.

limits! {
    /// Bytes of a sidecar, or of another small file that is read whole; a larger one is not read, and its recording is listed with that reason.
    pub const SMALL_FILE_BYTES: u64 = 4 * 1024 * 1024;
}
