//! One peer connection of a participant.

use std::time::Instant;

use super::downs::PayloadTypes;
use crate::mux::{LocalAddresses, SessionId};
use crate::session::{Session, Way};

/// A connection, and whether it has something to drain.
pub(crate) struct Line {
    pub(crate) session: Session,
    pub(crate) id: Option<SessionId>,
    pub(crate) dirty: bool,
}

impl Line {
    pub(super) fn new(addresses: &LocalAddresses, way: Way, now: Instant) -> Self {
        Self { session: Session::new(addresses, way, now), id: None, dirty: true }
    }

    /// What the client calls what it can decode on a section.
    pub(super) fn payload_types(&self, mid: &str) -> PayloadTypes {
        PayloadTypes { codecs: self.session.payload_types(mid), red: self.session.red_payload_type(mid) }
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        if self.session.is_alive() && self.session.next_timeout() <= now {
            self.session.timeout(now);
            self.dirty = true;
        }
    }
}
