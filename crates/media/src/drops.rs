//! What was not taken, by reason: nothing is lost in silence, and what somebody forges is counted and not logged.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! reasons {
    ($($(#[doc = $what:literal])+ $name:ident => $label:literal,)+) => {
        /// Why something was not taken, or not sent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Reason {
            $($(#[doc = $what])+ $name,)+
        }

        impl Reason {
            const LABELS: &[&str] = &[$($label),+];
        }
    };
}

reasons! {
    /// Neither STUN, DTLS, RTP nor RTCP.
    NoWebRtc => "no_webrtc",
    /// A STUN request for a session that is not there.
    UnknownSession => "unknown_session",
    /// A STUN request that its session's peer has not signed.
    WrongSignature => "wrong_signature",
    /// A STUN request from another machine for a session of this one.
    OutOfReach => "out_of_reach",
    /// More signed requests than a peer needs.
    TooManyRequests => "too_many_requests",
    /// From more new addresses than a peer has.
    TooManyAddresses => "too_many_addresses",
    /// From an address that belongs to nobody.
    UnknownAddress => "unknown_address",
    /// More than the room has taken so far, of one connection.
    ConnectionFloods => "connection_floods",
    /// More than the room has taken so far, of all.
    RoomBusy => "room_busy",
    /// More feedback than a peer has to give.
    TooMuchFeedback => "too_much_feedback",
    /// From more new senders of media than a peer has.
    TooManySenders => "too_many_senders",
    /// A packet of media that is longer than one may be.
    TooLong => "too_long",
    /// From an address of a peer, but not encrypted by it.
    Forged => "forged",
    /// Not sent: the peer or the network does not take it.
    NotTaken => "not_taken",
    /// A TCP connection of an address, or of all, that was one too many.
    TcpTooMany => "tcp_too_many",
    /// A TCP connection that did not name its session in time, or gave way to another one.
    TcpUnnamed => "tcp_unnamed",
    /// A TCP connection on which nothing was heard.
    TcpIdle => "tcp_idle",
    /// A TCP connection whose peer did not read.
    TcpStalled => "tcp_stalled",
    /// No message of TURN.
    NoTurn => "no_turn",
    /// To or from a TURN client that has no allocation, or did not ask for that.
    TurnRefused => "turn_refused",
    /// More than a TURN client may send, or be sent.
    TurnTooMuch => "turn_too_much",
    /// More requests than a TURN client has.
    TurnTooFast => "turn_too_fast",
    /// A reliable data packet for a receiver that took too little.
    SlowReceiver => "slow_receiver",
    /// A lossy data packet for a receiver that took too little.
    LossyData => "lossy_data",
}

const REASONS: usize = Reason::LABELS.len();

/// The counts.
#[derive(Debug)]
pub(crate) struct Drops([AtomicU64; REASONS]);

impl Default for Drops {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Drops {
    pub(crate) fn count(&self, reason: Reason) {
        self.add(reason, 1);
    }

    pub(crate) fn add(&self, reason: Reason, count: u64) {
        self.0[reason as usize].fetch_add(count, Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize].load(Relaxed)
    }

    /// All of them, by their label.
    pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
        Reason::LABELS.iter().copied().zip(self.0.iter().map(|count| count.load(Relaxed))).collect()
    }
}
