//! Of signalling messages, and of what rooms and participants hold.

limits! {
    /// Bytes of the name of a room and of a participant's identity; a join with a longer one is refused.
    pub const NAME_BYTES: usize = 256;
    /// Bytes of the metadata of a room or a participant; a change to more is refused.
    pub const METADATA_BYTES: usize = 512 * 1024;
    /// Bytes of all attributes of a participant; a change to more is refused.
    pub const ATTRIBUTES_BYTES: usize = 64 * 1024;
    /// Announced tracks of a participant that wait for their media; one more is refused.
    pub const PENDING_TRACKS: usize = 20;
    /// Participants of a room whose rights, name, metadata or attributes the server changed and remembers while the room is open; the oldest is
    /// forgotten beyond that.
    pub const REMEMBERED_CHANGES: usize = 1000;
}
