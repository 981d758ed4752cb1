//! Of HTTP, before it is known who asks.

limits! {
    /// Bytes of the body of a REST call or a webhook; a larger one is answered 413.
    pub const REST_BODY_BYTES: usize = 1024 * 1024;
    /// Bytes of the body of a call of LiveKit's APIs (Twirp); a larger one is answered 413.
    pub const TWIRP_BODY_BYTES: usize = 1024 * 1024;
}
