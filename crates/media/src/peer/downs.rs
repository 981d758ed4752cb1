//! The tracks that go to a participant, and the sections of its connection that carry them, one after another. Pure.
//!
//! ```text
//!   add ─► waits ─► seated ─► its types are known: it flows ─► remove
//!                     ▲                                          │
//!   a section:      free ◄── stopped ◄── stopping ◄── leaving ◄──┘
//! ```
//!
//! # Invariants
//!
//! - A section carries one track at a time, and its stop has been negotiated before it carries the next one: browsers and libwebrtc tell their
//!   applications of a track where a section begins to send, and not where it only takes another name.
//! - So a connection has as many sections as its participant received tracks at the same time, and not as many as have come and gone.
//! - LiveKit's clients for Rust, Python and what else is made of them tell of a stream that a section of the server's own carries once, however often
//!   it comes back. A track that comes back takes a section that has not carried it, or the section that was made for it under another name of the
//!   stream: such a section's receiver has the track's id as its own, for life.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use reelroom_protocol::ids::TrackSid;
use reelroom_protocol::proto::TrackType;
use reelroom_sfu::forward::Rewrite;
use reelroom_sfu::{Codec, DownTrackSpec};

use crate::session::sdp;
use crate::session::sdp::names::TrackName;
use crate::session::sdp::offered::Offered;

/// So many of the tracks that a section has carried are remembered; one that was away for longer comes back as a new one.
const CARRIED: usize = 64;
/// A stream has numbers from 0 on: the first one that is sent is below this (RFC 3711, 3.3.1).
const FIRST_BELOW: u64 = 1 << 16;

/// Who makes the sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// The server, each for a track.
    Server,
    /// The client, for whatever comes.
    Client,
}

/// What a codec is of.
pub(super) fn kind_of(codec: Codec) -> TrackType {
    if codec == Codec::Opus { TrackType::Audio } else { TrackType::Video }
}

/// How the payload of a packet is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Of(Codec),
    /// Redundant sound.
    Red,
}

/// What a client calls what it can decode on a section.
#[derive(Clone, Debug, Default)]
pub(super) struct PayloadTypes {
    pub(super) codecs: Vec<(Codec, u8)>,
    /// Redundant sound, if it reads that.
    pub(super) red: Option<u8>,
}

impl PayloadTypes {
    fn named(&self, wanted: Encoding) -> Option<u8> {
        match wanted {
            Encoding::Red => self.red,
            Encoding::Of(codec) => {
                self.codecs.iter().find(|(known, _)| *known == codec).map(|(_, name)| *name)
            }
        }
    }
}

/// A track that goes to this participant.
#[derive(Debug)]
struct Down {
    codec: Codec,
    /// What it can be had in besides.
    backups: Vec<Codec>,
    publisher: String,
    /// The media stream that it comes in, where nothing is in the way.
    stream_id: String,
    is_stereo: bool,
    /// Where it is carried, and as which stream.
    seat: Option<Seat>,
    /// Known once that is negotiated.
    payload_types: PayloadTypes,
    /// The client gave up the section that was to carry it.
    is_given_up: bool,
}

impl Down {
    /// No section carries it yet.
    fn waits(&self) -> bool {
        self.seat.is_none() && !self.is_given_up
    }

    /// The client can decode it in one of its codecs.
    fn is_readable(&self) -> bool {
        let mut codecs = std::iter::once(&self.codec).chain(&self.backups);
        codecs.any(|codec| self.payload_types.named(Encoding::Of(*codec)).is_some())
    }
}

#[derive(Debug)]
struct Seat {
    mid: String,
    stream_id: String,
    /// What the numbers of its stream are counted from; known with the first packet.
    begin: Option<u64>,
    /// It has been looked whether the client can decode it.
    is_settled: bool,
}

/// A section, and what it is used for.
#[derive(Debug)]
struct Slot {
    mid: String,
    kind: TrackType,
    state: State,
    /// For which track the server made it.
    made_for: Option<TrackSid>,
    carried: VecDeque<TrackSid>,
    /// How many tracks it has carried.
    times: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Carries,
    /// Its track is gone.
    Leaving,
    /// Its stop is offered.
    Stopping,
}

/// Where a track is to be carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) mid: String,
    pub(super) stream_id: String,
}

/// What became of the tracks whose negotiation has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settled {
    /// They can flow, in what the client can decode of their codecs.
    pub(crate) ready: Vec<TrackSid>,
    /// The client can decode them in none of their codecs.
    pub(crate) refused: Vec<TrackSid>,
}

/// Where a packet of a track goes.
pub(super) struct Outlet<'a> {
    pub(super) mid: &'a str,
    pub(super) payload_type: u8,
    pub(super) rewrite: Rewrite,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Downs {
    maker: Maker,
    tracks: BTreeMap<TrackSid, Down>,
    slots: Vec<Slot>,
    /// Something has come, gone or become free since it was last known that nothing was to be negotiated. It is asked of each participant with
    /// each packet, and tracks and sections are gone through only then.
    has_changed: bool,
}

impl Downs {
    pub(super) fn new(maker: Maker) -> Self {
        Self { maker, tracks: BTreeMap::new(), slots: Vec::new(), has_changed: false }
    }

    pub(super) fn add(&mut self, spec: &DownTrackSpec) {
        self.remove(&spec.track);
        let down = Down {
            codec: spec.codec,
            backups: spec.backups.clone(),
            publisher: spec.publisher.to_string(),
            stream_id: spec.stream_id.clone(),
            is_stereo: spec.is_stereo,
            seat: None,
            payload_types: PayloadTypes::default(),
            is_given_up: false,
        };
        self.tracks.insert(spec.track.clone(), down);
        self.has_changed = true;
    }

    /// Whether something may have to be negotiated.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// All that has changed is being negotiated, or need not be.
    pub(super) fn rest(&mut self) {
        self.has_changed = false;
    }

    pub(super) fn remove(&mut self, track: &TrackSid) {
        let Some(seat) = self.tracks.remove(track).and_then(|down| down.seat) else { return };
        if let Some(slot) = self.slot_mut(&seat.mid) {
            slot.state = State::Leaving;
            self.has_changed = true;
        }
    }

    fn slot_mut(&mut self, mid: &str) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.mid == mid)
    }

    /// How many sections of a kind there are.
    pub(super) fn sections_of(&self, kind: TrackType) -> usize {
        self.slots.iter().filter(|slot| slot.kind == kind).count()
    }

    /// How many tracks there are.
    pub(super) fn len(&self) -> usize {
        self.tracks.len()
    }

    /// The tracks that no section carries yet.
    pub(super) fn waiting(&self) -> Vec<(TrackSid, Codec)> {
        let waiting = self.tracks.iter().filter(|(_, down)| down.waits());
        waiting.map(|(track, down)| (track.clone(), down.codec)).collect()
    }

    /// How many tracks of a kind wait, and how many sections are free for them, or will be with the next offer.
    pub(super) fn demand(&self, kind: TrackType) -> (usize, usize) {
        let waits = |down: &&Down| down.waits() && kind_of(down.codec) == kind;
        let is_free = |slot: &&Slot| matches!(slot.state, State::Free | State::Stopping) && slot.kind == kind;
        (self.tracks.values().filter(waits).count(), self.slots.iter().filter(is_free).count())
    }

    /// Whether the track of some section is gone, and its stop has not been offered.
    pub(super) fn has_leaving(&self) -> bool {
        self.slots.iter().any(|slot| slot.state == State::Leaving)
    }

    /// The stops of sections whose tracks are gone are being offered.
    pub(super) fn stop(&mut self) -> Vec<String> {
        let leaving = self.slots.iter_mut().filter(|slot| slot.state == State::Leaving);
        leaving
            .map(|slot| {
                slot.state = State::Stopping;
                slot.mid.clone()
            })
            .collect()
    }

    /// What was offered has been answered: sections that were to stop are free.
    pub(super) fn stopped(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.state == State::Stopping) {
            slot.state = State::Free;
        }
        self.has_changed = true;
    }

    /// The client may not have heard what was answered last. A section that has carried something carries the next track when its stop has been
    /// answered once more: otherwise the client would see nothing but another name.
    pub(super) fn stop_again(&mut self) {
        for slot in self.slots.iter_mut().filter(|slot| slot.state == State::Free && slot.times > 0) {
            slot.state = State::Stopping;
        }
        self.has_changed = true;
    }

    /// A section that can carry a track now.
    pub(super) fn choose(&self, track: &TrackSid) -> Option<Choice> {
        let down = self.tracks.get(track)?;
        let kind = kind_of(down.codec);
        let is_free = move |slot: &&Slot| slot.state == State::Free && slot.kind == kind;
        let free = || self.slots.iter().filter(is_free);
        let choice = |slot: &Slot, stream_id| Choice { mid: slot.mid.clone(), stream_id };
        let fresh = free().find(|slot| self.maker == Maker::Client || !slot.carried.contains(track));
        if let Some(slot) = fresh {
            // By a section that was made for another one clients know a track by nothing but the name of its stream.
            let stream_id = match self.maker {
                Maker::Client => down.stream_id.clone(),
                Maker::Server => format!("{}|{track}", down.publisher),
            };
            return Some(choice(slot, stream_id));
        }
        let own = free().find(|slot| slot.made_for.as_ref() == Some(track))?;
        Some(choice(own, format!("{}|{}", down.publisher, own.times)))
    }

    /// A section carries a track from now on.
    pub(super) fn seat(&mut self, track: &TrackSid, choice: Choice) {
        let Some(down) = self.tracks.get_mut(track) else { return };
        down.payload_types = PayloadTypes::default();
        down.seat = Some(Seat {
            mid: choice.mid.clone(),
            stream_id: choice.stream_id,
            begin: None,
            is_settled: false,
        });
        let Some(slot) = self.slot_mut(&choice.mid) else { return };
        slot.state = State::Carries;
        slot.times = slot.times.saturating_add(1);
        slot.carried.retain(|carried| carried != track);
        slot.carried.push_back(track.clone());
        if slot.carried.len() > CARRIED {
            slot.carried.pop_front();
        }
    }

    /// The server has made a section for a track, which it carries at once.
    pub(super) fn seat_on_new(&mut self, track: &TrackSid, mid: String) {
        let Some(down) = self.tracks.get(track) else { return };
        let stream_id = down.stream_id.clone();
        self.slots.push(Slot {
            mid: mid.clone(),
            kind: kind_of(down.codec),
            state: State::Free,
            made_for: Some(track.clone()),
            carried: VecDeque::new(),
            times: 0,
        });
        self.seat(track, Choice { mid, stream_id });
    }

    /// The client's sections as it offers them: tracks on those that it does not receive on any more wait for another one.
    pub(super) fn follow(&mut self, offered: &[Offered]) {
        let receiving: BTreeMap<&str, &Offered> =
            offered.iter().filter(|one| one.receives).map(|one| (one.mid.as_str(), one)).collect();
        self.keep(|mid| receiving.contains_key(mid));
        let known: Vec<String> = self.slots.iter().map(|slot| slot.mid.clone()).collect();
        let new = receiving.values().filter(|one| !known.contains(&one.mid));
        let new = new.map(|one| Slot {
            mid: one.mid.clone(),
            kind: one.kind,
            state: State::Free,
            made_for: None,
            carried: VecDeque::new(),
            times: 0,
        });
        self.slots.extend(new);
    }

    /// Forgets sections; tracks that they carried wait for another one.
    pub(super) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.has_changed = true;
        self.slots.retain(|slot| is_there(&slot.mid));
        for down in self.tracks.values_mut() {
            if down.seat.as_ref().is_some_and(|seat| !is_there(&seat.mid)) {
                down.seat = None;
                down.payload_types = PayloadTypes::default();
            }
        }
    }

    /// Forgets sections that the client gave up in its answer, as one does that can decode nothing of their kind; the tracks that they were to carry.
    /// These do not wait for another section: the client would give that up as well, and so on without end.
    pub(super) fn give_up(&mut self, is_there: impl Fn(&str) -> bool) -> Vec<TrackSid> {
        self.slots.retain(|slot| is_there(&slot.mid));
        let mut given_up = Vec::new();
        for (track, down) in &mut self.tracks {
            if down.seat.as_ref().is_some_and(|seat| !is_there(&seat.mid)) {
                down.seat = None;
                down.payload_types = PayloadTypes::default();
                down.is_given_up = true;
                given_up.push(track.clone());
            }
        }
        given_up
    }

    /// The sections that carry tracks.
    pub(super) fn carrying(&self) -> BTreeSet<String> {
        let carrying = self.slots.iter().filter(|slot| slot.state == State::Carries);
        carrying.map(|slot| slot.mid.clone()).collect()
    }

    /// The names of what the sections carry.
    pub(super) fn names(&self) -> Vec<TrackName> {
        let seated = self.tracks.iter().filter_map(|(track, down)| Some((track, down.seat.as_ref()?)));
        seated
            .map(|(track, seat)| TrackName {
                mid: seat.mid.clone(),
                stream_id: seat.stream_id.clone(),
                track_id: track.to_string(),
            })
            .collect()
    }

    /// All of it, as clients are told: they forget what they were told before.
    pub(super) fn mid_to_track_id(&self) -> HashMap<String, String> {
        self.names().into_iter().map(|name| (name.mid, name.track_id)).collect()
    }

    /// Looks which of the tracks the client can decode whose negotiation has just ended; the others leave their sections, for otherwise the client
    /// would show something that never comes. `types_of` gives the payload types of a section.
    pub(super) fn settle(&mut self, types_of: impl Fn(&str) -> PayloadTypes) -> Settled {
        let mut settled = Settled::default();
        let mut left = BTreeSet::new();
        for (track, down) in &mut self.tracks {
            let Some(seat) = down.seat.as_mut().filter(|seat| !seat.is_settled) else { continue };
            seat.is_settled = true;
            let mid = seat.mid.clone();
            down.payload_types = types_of(&mid);
            if down.is_readable() {
                settled.ready.push(track.clone());
                continue;
            }
            settled.refused.push(track.clone());
            left.insert(mid);
            down.seat = None;
            down.is_given_up = true;
        }
        for slot in self.slots.iter_mut().filter(|slot| left.contains(&slot.mid)) {
            slot.state = State::Leaving;
            self.has_changed = true;
        }
        settled
    }

    /// What the client can decode on the section of a track, each once.
    pub(super) fn takes(&self, track: &TrackSid) -> Vec<Codec> {
        let types = self.tracks.get(track).map(|down| &down.payload_types);
        let is_named = |codec: &Codec| types.is_some_and(|types| types.named(Encoding::Of(*codec)).is_some());
        Codec::ALL.into_iter().filter(is_named).collect()
    }

    /// Whether the client reads redundant sound of a track.
    pub(super) fn takes_red(&self, track: &TrackSid) -> bool {
        self.tracks.get(track).is_some_and(|down| down.payload_types.red.is_some())
    }

    /// A description of the server's that says what its sections carry: by which names, and which of it is sound in stereo.
    pub(super) fn described(&self, sdp: &str) -> String {
        let in_stereo = self.tracks.values().filter(|down| down.is_stereo);
        let in_stereo: BTreeSet<&str> =
            in_stereo.filter_map(|down| Some(down.seat.as_ref()?.mid.as_str())).collect();
        sdp::with_stereo(&sdp::names::named(sdp, &self.names()), |mid| in_stereo.contains(mid))
    }

    /// The track that goes out on a section.
    pub(super) fn track_on(&self, mid: &str) -> Option<TrackSid> {
        let carried = |down: &Down| down.seat.as_ref().is_some_and(|seat| seat.mid == mid);
        self.tracks.iter().find(|(_, down)| carried(down)).map(|(track, _)| track.clone())
    }

    /// Where a packet of a track goes, and under which number of its stream; none where it does not go yet.
    pub(super) fn outlet(
        &mut self,
        track: &TrackSid,
        wanted: Encoding,
        rewrite: Rewrite,
    ) -> Option<Outlet<'_>> {
        let down = self.tracks.get_mut(track)?;
        let payload_type = down.payload_types.named(wanted)?;
        let seat = down.seat.as_mut()?;
        let begin = *seat.begin.get_or_insert(rewrite.seq - rewrite.seq % FIRST_BELOW);
        // What was sent before the section carried it is not sent again.
        let seq = rewrite.seq.checked_sub(begin)?;
        Some(Outlet { mid: &seat.mid, payload_type, rewrite: Rewrite { seq, ..rewrite } })
    }
}

#[cfg(test)]
mod tests;
