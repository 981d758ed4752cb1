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
}

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

    /// Something is sent by a section.
    pub(super) fn sent(&mut self, mid: Mid) {
        if let Some(place) = self.silent.iter().position(|silent| *silent == mid) {
            self.silent.swap_remove(place);
        }
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
        // One that has sent is never begun anew, though it is offered again.
        reports.section(mids[0]);
        reports.sent(mids[1]);
        assert_eq!(reports.heard(FEEDBACK_BYTES_ON_SILENCE), &mids[2..]);
        reports.sections([mids[0], mids[1]].into());
        assert!(reports.heard(FEEDBACK_BYTES_ON_SILENCE).is_empty());
    }
}
