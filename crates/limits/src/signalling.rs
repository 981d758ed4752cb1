//! Of signalling messages, and of what rooms and participants hold.

use std::time::Duration;

limits! {
    /// Bytes of a signalling message, all of its fragments together; a longer one ends the connection of whoever sent it, who is told.
    pub const SIGNAL_MESSAGE_BYTES: usize = 256 * 1024;
    /// Bytes of an answer to the server's offer, and of a client's offer where one connection goes both ways, which are as long as a room is large; a longer one ends the connection of whoever sent it, who is told.
    pub const SIGNAL_ANSWER_BYTES: usize = 1024 * 1024;
    /// Bytes of what a client that comes back says of its session (`SyncState`, with its last descriptions in it), and of any signalling message; a longer one ends the connection of whoever sent it, who is told.
    pub const SYNC_STATE_BYTES: usize = 2 * 1024 * 1024;
    /// Fields of what a client that comes back says of its session; with more it is refused with LIMIT_EXCEEDED, and the session goes on as the server knows it.
    pub const SYNC_STATE_FIELDS: usize = 16 * 1024;
    /// Bytes of the request that a client joins `/rtc/v1` by, packed in its address or unpacked; a longer one is answered 400.
    pub const JOIN_REQUEST_BYTES: usize = 512 * 1024;
    /// Fields of a signalling message, those of messages inside it included, counted before it is decoded; the message is refused with LIMIT_EXCEEDED.
    pub const SIGNAL_MESSAGE_FIELDS: usize = 4096;
    /// Fields of the body of a Twirp call, or values of one in JSON, counted before it is decoded; the call is refused with `resource_exhausted`.
    pub const TWIRP_BODY_FIELDS: usize = 8192;
    /// How deep a JSON body of a Twirp call may be nested; the call is refused with `resource_exhausted`.
    pub const TWIRP_BODY_DEPTH: usize = 32;
    /// Signalling a participant may do at once, in the units of the next row; one who has used it up is read more slowly.
    pub const SIGNAL_BURST: u32 = 600;
    /// Signalling a participant may do in a second for good: a message counts 1, one that others are told of 5 more, a subscription 1 more, an offer 10 more, and each 4 KiB 1 more, of an answer each 64 KiB.
    pub const SIGNAL_PER_SECOND: u32 = 60;
    /// How long a participant may signal faster than that without a pause; then its connection ends, and it is told why.
    pub const SIGNAL_FLOOD_FOR: Duration = Duration::from_secs(30);
    /// Bytes of signalling that wait for a participant who reads slowly; with more it is disconnected, and the log says why. What is outdated does not wait.
    pub const SIGNAL_WAITING_BYTES: usize = 2 * 1024 * 1024;
    /// Signalling messages that wait for a participant who reads slowly; with more it is disconnected, and the log says why.
    pub const SIGNAL_WAITING_MESSAGES: usize = 2048;
    /// How long one signalling message may take to be written to a participant, besides what the next row allows; then it is disconnected, and the log says why.
    pub const SIGNAL_WRITE_WITHIN: Duration = Duration::from_secs(10);
    /// Bytes of a signalling message that give it a second more to be written.
    pub const SIGNAL_WRITE_BYTES_PER_SECOND: usize = 64 * 1024;
    /// Bytes of the name of a room, of a participant's identity and of its display name; a join or a change with a longer one is refused.
    pub const NAME_BYTES: usize = 256;
    /// Bytes of an id (of a track, a section, a stream) that a client says; what has a longer one is refused.
    pub const ID_BYTES: usize = 256;
    /// Bytes of the metadata of a room or a participant in a token or a RoomService call; more is refused.
    pub const METADATA_BYTES: usize = 512 * 1024;
    /// Bytes of the metadata that a participant gives itself; more is refused with LIMIT_EXCEEDED.
    pub const OWN_METADATA_BYTES: usize = 64 * 1024;
    /// Bytes of all attributes of a participant; a change to more is refused.
    pub const ATTRIBUTES_BYTES: usize = 64 * 1024;
    /// Attributes of a participant; a change to more is refused.
    pub const ATTRIBUTES: usize = 512;
    /// Bytes of the name of an attribute; a change with a longer one is refused.
    pub const ATTRIBUTE_NAME_BYTES: usize = 256;
    /// Announced tracks of a participant that wait for their media; one more is refused with LIMIT_EXCEEDED.
    pub const PENDING_TRACKS: usize = 20;
    /// Participants of a room whose rights, name, metadata or attributes the server changed and remembers while the room is open; the oldest is
    /// forgotten beyond that.
    pub const REMEMBERED_CHANGES: usize = 1000;
    /// Participants of all rooms who were removed together with their tokens of before, for whom those are worth nothing; the oldest is forgotten
    /// beyond that.
    pub const REMOVALS_REMEMBERED: usize = 10_000;
    /// Tracks that a participant publishes, those that wait for their media included; one more is refused with LIMIT_EXCEEDED.
    pub const TRACKS: usize = 32;
    /// Codecs of an announced track; one with more is refused with LIMIT_EXCEEDED.
    pub const TRACK_CODECS: usize = 4;
    /// Layers of an announced track and of each codec of it; one with more is refused with LIMIT_EXCEEDED.
    pub const TRACK_LAYERS: usize = 4;
    /// Subscriptions of a participant to tracks that are not there (yet); for more it hears that there is no such track.
    pub const AWAITED_TRACKS: usize = 64;
    /// How long a subscription waits for a track that is not there yet; then its participant hears that there is no such track.
    pub const AWAITED_FOR: Duration = Duration::from_secs(60);
    /// Entries of a publisher's list of who may subscribe to it; a longer list is refused with LIMIT_EXCEEDED, and the old one holds on.
    pub const SUBSCRIPTION_PERMISSIONS: usize = 1024;
    /// Bytes of an SDP besides those that are as long as a room is large; what is longer is refused, and its participant joins anew.
    pub const SDP_BYTES: usize = 256 * 1024;
    /// Media sections of an offer. A participant who offers more is disconnected and told why.
    pub const SDP_SECTIONS: usize = 128;
    /// Media sections of an offer where one connection goes both ways: of more tracks than these allow the last ones wait until others end. A participant who offers more is disconnected and told why.
    pub const SINGLE_SECTIONS: usize = 256;
    /// Lines of one section of an SDP; with more it is refused, and its participant is disconnected and told why.
    pub const SDP_SECTION_LINES: usize = 1000;
    /// Bytes of one line of an SDP; with a longer one it is refused, and its participant is disconnected and told why.
    pub const SDP_LINE_BYTES: usize = 8 * 1024;
    /// Codecs, header extensions, stream ids or layers that one section of an SDP may name, of each kind; with more it is refused, and its participant is disconnected and told why.
    pub const SDP_SECTION_ITEMS: usize = 200;
    /// Candidates of a participant, in each of its two connections; of more the participant is told once that they are left out.
    pub const CANDIDATES: usize = 64;
    /// Bytes of a candidate; a longer one is left out, and the participant is told once.
    pub const CANDIDATE_BYTES: usize = 1024;
    /// Sections of the server's offers to a participant that carry nothing at the moment; with more that participant joins anew, within a second.
    pub const IDLE_SECTIONS: usize = 400;
    /// How long a participant is kept whose signalling is lost while its media flows; then it has left.
    pub const SIGNAL_LOST_FOR: Duration = Duration::from_secs(120);
    /// Participants who left a room of late that it tells those of who come back; of more the last ones.
    pub const DEPARTURES_REMEMBERED: usize = 512;
    /// Tracks that a participant may announce at once; more are refused with LIMIT_EXCEEDED.
    pub const PUBLISH_BURST: u32 = 64;
    /// How often a participant may announce a track for good: each new one makes the offers to all others longer.
    pub const PUBLISH_EVERY: Duration = Duration::from_secs(5);
    /// Tracks that a participant's list may let others subscribe to again at once; a list that allows more is refused with LIMIT_EXCEEDED, and the old one
    /// holds on.
    pub const PERMIT_BURST: u32 = 128;
    /// How often it may do so for good: each makes the offers to those others longer.
    pub const PERMIT_EVERY: Duration = Duration::from_secs(2);
    /// Joins from an address at once, where nothing else is set. More wait for their turn, at most the time below; then they are answered 429.
    pub const JOINS_BURST_ADDRESS: u32 = 200;
    /// Joins from an address in a second for good.
    pub const JOINS_PER_SECOND_ADDRESS: u32 = 20;
    /// Joins of one identity to one room at once. More wait for their turn, at most the time below; then they are answered 429.
    pub const JOINS_BURST_IDENTITY: u32 = 20;
    /// Joins of one identity to one room in a second for good.
    pub const JOINS_PER_SECOND_IDENTITY: u32 = 1;
    /// How long a join waits for its turn.
    pub const JOIN_WAITS: Duration = Duration::from_secs(5);
    /// Addresses, and identities in rooms, whose joins are remembered at a time; while it is full, unknown ones share one place.
    pub const JOINERS_REMEMBERED: usize = 16_384;
    /// Participants of a room, where `MAX_PARTICIPANTS` says nothing else. One more is refused, as by LiveKit's `maxParticipants`.
    pub const PARTICIPANTS: u32 = 500;
    /// Rooms of the server, where `MAX_ROOMS` says nothing else. A join that would open one more is refused, CreateRoom with `resource_exhausted`.
    pub const ROOMS: u32 = 1000;
    /// Rooms that are open and were opened by joins from one address, as long as as many are free for others; a join that would open one
    /// more is refused. Programs of this machine, and those that may call CreateRoom, have the bound of all.
    pub const ROOMS_OF_AN_ADDRESS: usize = 250;
    /// Participants of a room that asks for consent whose answers are remembered while it is open; the oldest is forgotten beyond that, and asked again.
    pub const REMEMBERED_ANSWERS: usize = 1000;
    /// How often a participant may agree to being recorded at once; more is refused with LIMIT_EXCEEDED. To decline never is.
    pub const AGREE_BURST: u32 = 10;
    /// How often it may do so for good: each time a recording has more files.
    pub const AGREE_EVERY: Duration = Duration::from_secs(10);
    /// Bytes of what a server that is about to start again writes down of its rooms. Of rooms that do not fit it is first left out how they and those in
    /// them are described, then what everybody may do and has answered; that they ask for consent is kept.
    pub const HAND_OVER_BYTES: usize = 16 * 1024 * 1024;
    /// How old that may be for rooms to be taken up again, and how long after the start one may open again as it was; who was removed, and which tokens were used, holds longer.
    pub const HAND_OVER_LASTS: Duration = Duration::from_secs(10 * 60);
    /// Calls that wait for a participant's answer (PerformRpc), of a room; one more is refused with `resource_exhausted`.
    pub const RPCS: usize = 256;
    /// Bytes of what PerformRpc says to a participant, and of the answer; more is refused, as by LiveKit's clients.
    pub const RPC_PAYLOAD_BYTES: usize = 15 * 1024;
    /// How long PerformRpc waits for an answer at most, whatever it asks for.
    pub const RPC_ANSWER_WITHIN: Duration = Duration::from_secs(60);
    /// Nonces of SendData that a room remembers, so that what is sent again is not told twice; the oldest is forgotten beyond that.
    pub const NONCES: usize = 1024;
    /// Bytes of a fresh token that says a participant's metadata and attributes; a longer one leaves them out, for clients send it in an address.
    pub const FRESH_TOKEN_BYTES: usize = 48 * 1024;
    /// What a participant's client can do by its own word, of which others are told; of more the rest is left out.
    pub const CLIENT_CAPABILITIES: usize = 16;
    /// How long a participant may be shown as speaking who asks for that (LiveKit's `simulateScenario`).
    pub const SIMULATED_SPEECH: Duration = Duration::from_secs(30);
}
