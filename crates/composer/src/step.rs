//! What the composer is about to do, so that its supervisor knows where it died.
//!
//! ```text
//!  compose ──begin(Step)──> Crumb ──one pwrite of a line──> file ──read after a death──> supervisor
//! ```
//!
//! Invariants: a step is written before anything of it is touched; the same take has the same steps, whatever is skipped of it; the file
//! holds the newest step in its first line.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use reelroom_take::{SegmentId, TrackId};
use serde::Serialize;

/// A thing that may kill the composer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "doing", rename_all = "snake_case")]
pub enum Step<'a> {
    /// To read on in the take, or to wait for more of it.
    Read {
        /// Everything up to here is wanted.
        at_ns: u64,
    },
    /// To decode a frame or packet.
    Decode {
        /// Of which track.
        track: &'a TrackId,
        /// Of which segment.
        segment: SegmentId,
        /// Which one of the track, counted from 0.
        frame: u64,
        /// Its arrival.
        at_ns: u64,
    },
    /// To draw and encode a picture, and the sound beside it.
    Picture {
        /// Counted from 0.
        number: u64,
        /// When it begins.
        at_ns: u64,
    },
    /// To encode the last picture once more, and silence, in a span that is skipped.
    Repeat {
        /// Counted from 0.
        number: u64,
        /// When it begins.
        at_ns: u64,
    },
    /// To end the file.
    Finish,
}

/// A file with the newest step in it.
#[derive(Debug)]
pub struct Crumb {
    file: File,
    line: Vec<u8>,
}

impl Crumb {
    /// Creates (or empties) the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, line: Vec::with_capacity(256) })
    }

    /// Writes the step down. A disk that takes no line any more is no reason to end: then it is not known where the composer died.
    pub fn leave(&mut self, step: &Step<'_>) {
        self.line.clear();
        serde_json::to_writer(&mut self.line, step).expect("a step has string keys and whole numbers only");
        self.line.push(b'\n');
        let _ = self.file.write_all_at(&self.line, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_newest_step() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let path = root.path().join("crumb");
        let mut crumb = Crumb::create(&path).expect("a file in it");
        let track = TrackId::from("TR_with_a_rather_long_name");
        crumb.leave(&Step::Decode { track: &track, segment: SegmentId(3), frame: 88, at_ns: 5 });
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(
            text,
            "{\"doing\":\"decode\",\"track\":\"TR_with_a_rather_long_name\",\"segment\":3,\"frame\":88,\"at_ns\":5}\n"
        );
        crumb.leave(&Step::Finish);
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(text.lines().next(), Some("{\"doing\":\"finish\"}"));
    }
}
