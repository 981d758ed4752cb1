//! What an SDP may ask for, looked at line by line before anything parses it: parsers are slow with many of anything.

use std::collections::BTreeSet;

use reelroom_limits::signalling::{
    CANDIDATE_BYTES, CANDIDATES, SDP_LINE_BYTES, SDP_SECTION_ITEMS, SDP_SECTION_LINES,
};

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an SDP has {amount} {what}, {at_most} are allowed")]
pub(crate) struct Excess {
    what: &'static str,
    amount: usize,
    at_most: usize,
}

fn within(what: &'static str, amount: usize, at_most: usize) -> Result<(), Excess> {
    if amount > at_most { Err(Excess { what, amount, at_most }) } else { Ok(()) }
}

/// Of each of these a section has a few.
const ITEMS: [(&str, &str); 6] = [
    ("a=rtpmap:", "codecs in a section"),
    ("a=fmtp:", "parameters in a section"),
    ("a=extmap:", "header extensions in a section"),
    ("a=ssrc", "stream ids in a section"),
    ("a=rid:", "layers in a section"),
    ("a=msid:", "tracks in a section"),
];

/// Checks an SDP that may have so many bytes and sections.
pub(crate) fn check(sdp: &str, bytes: usize, sections: usize) -> Result<(), Excess> {
    within("bytes", sdp.len(), bytes)?;
    let (mut section, mut lines, mut items) = (0, 0, [0; ITEMS.len()]);
    for line in sdp.lines() {
        within("bytes in a line", line.len(), SDP_LINE_BYTES)?;
        if line.starts_with("m=") {
            section += 1;
            within("sections", section, sections)?;
            within("codecs in a section", line.split(' ').count(), SDP_SECTION_ITEMS)?;
            (lines, items) = (0, [0; ITEMS.len()]);
        }
        lines += 1;
        within("lines in a section", lines, SDP_SECTION_LINES)?;
        for ((prefix, what), count) in ITEMS.iter().zip(&mut items) {
            if line.starts_with(prefix) {
                *count += 1;
                within(what, *count, SDP_SECTION_ITEMS)?;
            }
        }
    }
    Ok(())
}

/// The candidates that a peer has said for a connection. The server makes no checks of its own, so it needs none of them: it takes few, for
/// each one that str0m has makes the next one dearer.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    known: BTreeSet<String>,
    leaves_out: bool,
    is_told: bool,
}

impl Candidates {
    /// Whether a candidate is taken; one that is known is, for it costs nothing.
    pub(crate) fn take(&mut self, candidate: &str) -> bool {
        let taken = candidate.len() <= CANDIDATE_BYTES
            && (self.known.contains(candidate)
                || (self.known.len() < CANDIDATES && self.known.insert(candidate.to_owned())));
        self.leaves_out |= !taken;
        taken
    }

    /// Whether the peer is to be told that some are left out: once.
    pub(crate) fn has_to_tell(&mut self) -> bool {
        self.leaves_out && !std::mem::replace(&mut self.is_told, self.leaves_out)
    }

    /// `sdp` without the candidates that are not taken.
    pub(crate) fn of_sdp(&mut self, sdp: &str) -> String {
        let mut kept = String::with_capacity(sdp.len());
        for line in sdp.split_inclusive('\n') {
            let candidate = line.strip_prefix("a=candidate:").map(str::trim_end);
            if candidate.is_none_or(|candidate| self.take(candidate)) {
                kept.push_str(line);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use reelroom_limits::signalling::{SDP_BYTES, SDP_SECTIONS};

    use super::*;

    fn offer(sections: usize, lines: &str) -> String {
        let section = format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n{lines}");
        format!("v=0\r\ns=-\r\n{}", section.repeat(sections))
    }

    fn refusal(sdp: &str) -> String {
        check(sdp, SDP_BYTES, SDP_SECTIONS).map_or_else(|excess| excess.to_string(), |()| String::new())
    }

    #[test]
    fn too_many_of_anything_is_refused_in_words() {
        assert_eq!(refusal(&offer(SDP_SECTIONS, "")), "");
        assert!(refusal(&offer(SDP_SECTIONS + 1, "")).contains("129 sections"));
        for (prefix, what) in ITEMS {
            let lines = format!("{prefix}1 x\r\n");
            assert_eq!(refusal(&offer(2, &lines.repeat(SDP_SECTION_ITEMS))), "", "{prefix}");
            let said = refusal(&offer(1, &lines.repeat(SDP_SECTION_ITEMS + 1)));
            assert!(said.contains(what), "{said}");
        }
        assert!(refusal(&offer(1, &"a=x\r\n".repeat(SDP_SECTION_LINES))).contains("lines"));
        assert!(refusal(&offer(1, &"x".repeat(SDP_LINE_BYTES + 1))).contains("bytes in a line"));
        let types = format!("m=video 9 X{}\r\n", " 96".repeat(SDP_SECTION_ITEMS));
        assert!(refusal(&offer(1, &types)).contains("codecs"));
        assert!(refusal(&"a=x\r\n".repeat(SDP_BYTES)).contains("bytes"));
    }

    #[test]
    fn of_candidates_the_first_are_taken_and_no_more_are_kept() {
        let mut candidates = Candidates::default();
        let one = |index: usize| format!("a=candidate:{index} 1 udp 1 192.0.2.1 {index} typ host\r\n");
        let few: String = (0..10).map(one).collect();
        for _ in 0..1000 {
            assert_eq!(candidates.of_sdp(&offer(1, &few)), offer(1, &few), "what is known costs nothing");
        }
        assert!(!candidates.has_to_tell());
        let many: String = (0..1000).map(one).collect();
        assert_eq!(candidates.of_sdp(&offer(1, &many)).matches("a=candidate:").count(), CANDIDATES);
        assert!(!candidates.take(&"x".repeat(CANDIDATE_BYTES + 1)));
        assert!(candidates.has_to_tell());
        assert!(!candidates.take("another") && !candidates.has_to_tell(), "it is told once");
        assert_eq!(candidates.known.len(), CANDIDATES);
    }
}
