//! What one client has: its relayed address, whom it may reach by it, and how much it may send. Pure.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use reelroom_limits::media::{
    TURN_BYTES_PER_S, TURN_CHANNEL_LASTS, TURN_CHANNELS, TURN_LASTS, TURN_PERMISSION_LASTS,
    TURN_REQUESTS_BURST, TURN_REQUESTS_PER_S, TURN_UNUSED_LASTS,
};
use reelroom_limits::pace::{Pace, Rate};
use turn_types::stun::message::{IntegrityKey, TransactionId};

const RATE: Rate = Rate::per_second(TURN_BYTES_PER_S, TURN_BYTES_PER_S);
/// Of requests: of a client, or of an address that has none.
pub(crate) const REQUESTS: Rate = Rate::per_second(TURN_REQUESTS_BURST, TURN_REQUESTS_PER_S);

/// A channel number and the peer that it stands for.
struct Channel {
    number: u16,
    peer: SocketAddr,
    until: Instant,
}

/// Why a channel is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotBound {
    /// The number is another peer's, or the peer has another number.
    Taken,
    /// It has as many as it may.
    TooMany,
}

/// An allocation.
pub(crate) struct Allocation {
    pub(crate) relayed: SocketAddr,
    pub(crate) participant: String,
    /// Whose requests it takes.
    pub(crate) username: String,
    pub(crate) key: IntegrityKey,
    /// Of the request that made it: one that is sent again is answered again.
    pub(crate) made_by: TransactionId,
    until: Instant,
    /// When a session sent something to it, or it was made.
    used: Instant,
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<Channel>,
    /// By which address the client knows each of ours that it sent to.
    known_as: Vec<(SocketAddr, SocketAddr)>,
    to_media: Pace,
    to_client: Pace,
    requests: Pace,
}

impl Allocation {
    pub(crate) fn new(relayed: SocketAddr, of: Owner, now: Instant) -> Self {
        let Owner { participant, username, key, made_by } = of;
        Self {
            relayed,
            participant,
            username,
            key,
            made_by,
            until: now + TURN_LASTS,
            used: now,
            permissions: Vec::new(),
            channels: Vec::new(),
            known_as: Vec::new(),
            to_media: Pace::new(RATE, now),
            to_client: Pace::new(RATE, now),
            requests: Pace::new(REQUESTS, now),
        }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// Its client asks for something. Whether it may.
    pub(crate) fn asks(&mut self, now: Instant) -> bool {
        takes(&mut self.requests, 1, now)
    }

    /// Whether it goes on for another while: not where no session wants it any more.
    pub(crate) fn refresh(&mut self, now: Instant) -> bool {
        let is_used = now.saturating_duration_since(self.used) < TURN_UNUSED_LASTS;
        if is_used {
            self.until = now + TURN_LASTS;
        }
        is_used
    }

    /// Lets the client reach an address from now on. Whether there is room for it.
    pub(crate) fn permit(&mut self, peer: IpAddr, now: Instant) -> bool {
        let until = now + TURN_PERMISSION_LASTS;
        if let Some(known) = self.permissions.iter_mut().find(|(ip, _)| *ip == peer) {
            known.1 = until;
            return true;
        }
        self.permissions.retain(|(_, until)| *until > now);
        let has_room = self.permissions.len() < TURN_CHANNELS;
        if has_room {
            self.permissions.push((peer, until));
        }
        has_room
    }

    pub(crate) fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|(ip, until)| *ip == peer && *until > now)
    }

    /// Has a number stand for a peer, or go on to do so.
    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr, now: Instant) -> Result<(), NotBound> {
        self.channels.retain(|channel| channel.until > now);
        let until = now + TURN_CHANNEL_LASTS;
        let of_either = |channel: &&mut Channel| channel.number == number || channel.peer == peer;
        let has_room = self.channels.len() < TURN_CHANNELS;
        match self.channels.iter_mut().find(of_either) {
            Some(channel) if channel.number == number && channel.peer == peer => channel.until = until,
            Some(_) => return Err(NotBound::Taken),
            None if has_room => self.channels.push(Channel { number, peer, until }),
            None => return Err(NotBound::TooMany),
        }
        Ok(())
    }

    /// The peer that a number stands for.
    pub(crate) fn peer_of(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        let channel = self.channels.iter().find(|channel| channel.number == number && channel.until > now);
        channel.map(|channel| channel.peer)
    }

    /// The number that stands for a peer.
    pub(crate) fn channel_of(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let channel = self.channels.iter().find(|channel| channel.peer == peer && channel.until > now);
        channel.map(|channel| channel.number)
    }

    /// The client sends so many bytes to `local`, which it knows as `peer`. Whether it may.
    pub(crate) fn sends(&mut self, peer: SocketAddr, local: SocketAddr, bytes: usize, now: Instant) -> bool {
        if !takes(&mut self.to_media, bytes, now) {
            return false;
        }
        // Both are addresses of this server's, which has few.
        let has_room = self.known_as.len() < TURN_CHANNELS;
        match self.known_as.iter_mut().find(|(known, _)| *known == local) {
            Some(known) => known.1 = peer,
            None if has_room => self.known_as.push((local, peer)),
            None => {}
        }
        true
    }

    /// The address by which the client knows one of ours, where it sent something there.
    pub(crate) fn known_as(&self, local: SocketAddr) -> Option<SocketAddr> {
        self.known_as.iter().find(|(known, _)| *known == local).map(|(_, peer)| *peer)
    }

    /// A session sends so many bytes to the client. Whether the client may get them.
    pub(crate) fn gets(&mut self, bytes: usize, now: Instant) -> bool {
        let may = takes(&mut self.to_client, bytes, now);
        if may {
            self.used = now;
        }
        may
    }
}

fn takes(pace: &mut Pace, amount: usize, now: Instant) -> bool {
    pace.take(u32::try_from(amount).unwrap_or(u32::MAX), Duration::ZERO, now).is_ok()
}

/// Who made an allocation.
pub(crate) struct Owner {
    pub(crate) participant: String,
    pub(crate) username: String,
    pub(crate) key: IntegrityKey,
    pub(crate) made_by: TransactionId,
}
