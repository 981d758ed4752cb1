//! Feedback on what was never sent. Pure.
//!
//! str0m collects what a peer reports of a stream until it counts that stream, and it counts none that has sent nothing: of a muted track a peer
//! could report without end. So it is counted here how much feedback came while there was such a stream, and they are begun anew in time.

use std::collections::BTreeSet;

use reelroom_limits::media::FEEDBACK_BYTES_ON_SILENCE;
use str0m::media::Mid;

/// Sections by which nothing has been sent, and the feedback that came since they began.
#[derive(Debug, Default)]
pub(super) struct Reports {
    sections: BTreeSet<Mid>,
    silent: Vec<Mid>,
    bytes: usize,
    /// The payload types of packets that are sent again, which fill up the line as well.
    resent_as: Vec<u8>,
    /// The streams by which such packets went.
    fillers: BTreeSet<u32>,
}

const RTP_HEADER_BYTES: usize = 12;
const RTP_VERSION: u8 = 2;

impl Reports {
    /// These are all sections that there are.
    pub(super) fn sections(&mut self, all: BTreeSet<Mid>) {
        self.silent.retain(|mid| all.contains(mid));
        self.sections.retain(|mid| all.contains(mid));
        for mid in all {
            self.section(mid);
        }
    }

    /// There is a section; it may be told again.
    pub(super) fn section(&mut self, mid: Mid) {
        if self.sections.insert(mid) {
            self.silent.push(mid);
        }
    }

    /// A section goes on by another stream, which has sent nothing.
    pub(super) fn begins(&mut self, mid: Mid) {
        self.sections.insert(mid);
        if !self.silent.contains(&mid) {
            self.silent.push(mid);
        }
    }

    /// Something is sent by a section.
    pub(super) fn sent(&mut self, mid: Mid) {
        if let Some(place) = self.silent.iter().position(|silent| *silent == mid) {
            self.silent.swap_remove(place);
        }
    }

    /// Packets that are sent again have these payload types.
    pub(super) fn resent_as(&mut self, payload_types: Vec<u8>) {
        self.resent_as = payload_types;
    }

    /// A datagram goes to the peer.
    pub(super) fn wrote(&mut self, bytes: &[u8]) {
        let is_rtp = bytes.len() >= RTP_HEADER_BYTES && bytes[0] >> 6 == RTP_VERSION;
        if is_rtp && self.resent_as.contains(&(bytes[1] & 0x7f)) {
            self.fillers.insert(u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]));
        }
    }

    /// There are no other streams than these for packets that are sent again.
    pub(super) fn keep_fillers(&mut self, there: &BTreeSet<u32>) {
        self.fillers.retain(|ssrc| there.contains(ssrc));
    }

    /// A stream for packets that are sent again ends. Whether anything went by it.
    pub(super) fn forget_filler(&mut self, ssrc: u32) -> bool {
        self.fillers.remove(&ssrc)
    }

    /// So many bytes of feedback have come: the sections to begin anew, if it is time.
    pub(super) fn heard(&mut self, bytes: usize) -> &[Mid] {
        if !self.silent.is_empty() {
            self.bytes += bytes;
        }
        if self.bytes < FEEDBACK_BYTES_ON_SILENCE {
            return &[];
        }
        self.bytes = 0;
        &self.silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_by_which_streams_packets_were_sent_again_or_the_line_was_filled_up() {
        let mut reports = Reports::default();
        let packet = |payload_type: u8, ssrc: u8| [0x80, payload_type, 0, 1, 0, 0, 0, 0, 0, 0, 0, ssrc, 1, 2];
        reports.wrote(&packet(97, 1));
        reports.resent_as(vec![97, 127]);
        for datagram in [packet(97 | 0x80, 2), packet(96, 3), packet(72, 4)] {
            reports.wrote(&datagram);
        }
        // A handshake, and nothing.
        let mut handshake = packet(97, 3);
        handshake[0] = 22;
        reports.wrote(&handshake);
        reports.wrote(&[0x80, 97]);
        let used: Vec<_> = (1..=4).filter(|ssrc| reports.forget_filler(*ssrc)).collect();
        assert_eq!(used, [2]);
        assert!(!reports.forget_filler(2), "it is another one by now");
        reports.wrote(&packet(97, 5));
        reports.keep_fillers(&BTreeSet::new());
        assert!(!reports.forget_filler(5));
    }

    #[test]
    fn what_is_reported_of_silence_is_forgotten_in_time_and_what_was_sent_stays() {
        let mids: [Mid; 3] = ["0", "1", "2"].map(Mid::from);
        let mut reports = Reports::default();
        assert!(reports.heard(10 * FEEDBACK_BYTES_ON_SILENCE).is_empty(), "there is nothing to report of");
        for mid in mids.iter().chain(&mids) {
            reports.section(*mid);
        }
        reports.sections(mids.into());
        reports.sent(mids[0]);
        assert!(reports.heard(FEEDBACK_BYTES_ON_SILENCE - 1).is_empty());
        let mut anew = reports.heard(1).to_vec();
        anew.sort();
        assert_eq!(anew, mids[1..]);
        assert!(reports.heard(1).is_empty(), "it is counted from nothing");
        // One that has sent is begun anew when it goes on by another stream.
        let mut other = Reports::default();
        other.section(mids[0]);
        other.sent(mids[0]);
        for _ in 0..2 {
            other.begins(mids[0]);
        }
        assert_eq!(other.heard(FEEDBACK_BYTES_ON_SILENCE), &mids[..1]);
        // One that has sent is never begun anew, though it is offered again.
        reports.section(mids[0]);
        reports.sent(mids[1]);
        assert_eq!(reports.heard(FEEDBACK_BYTES_ON_SILENCE), &mids[2..]);
        reports.sections([mids[0], mids[1]].into());
        assert!(reports.heard(FEEDBACK_BYTES_ON_SILENCE).is_empty());
    }
}
