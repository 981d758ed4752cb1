//! Reads a take, also while it grows.
//!
//! The fact file is read up to the next complete mark, which a suspension is too; the facts up to the mark, and from every segment the
//! frames up to it, are one *window*. A window is sorted by `at` (facts before frames, segments by number, each segment in file order). Windows are
//! bounded by marks, and marks are part of the take: so the sequence handed out is a function of the take's content, not of when
//! it is read. See the crate's documentation for what the marks promise.

mod segment;

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::{
    clock::{HINDSIGHT_NS, LATENESS_NS},
    error::TakeError,
    format::{EVENTS_FILE, EventLine, FORMAT_VERSION, HEADER_FILE, TakeEvent, TakeHeader},
    item::{TakeEnd, TakeItem},
};
use segment::SegmentReader;

const READ_LEN: usize = 64 << 10;
/// No line of ours is longer; a longer one is damage.
pub(crate) const MAX_LINE_LEN: usize = 4 << 20;
/// How much of the take one `poll` hands out, about.
const POLL_NS: u64 = 1_000_000_000;

/// Tails a take.
#[derive(Debug)]
pub struct TakeReader {
    dir: PathBuf,
    header: TakeHeader,
    facts: FactFile,
    /// Facts of later windows.
    pending: Vec<(u64, TakeEvent)>,
    segments: Vec<SegmentReader>,
    complete_to_ns: u64,
    available_ns: u64,
    /// The end, not handed out yet while `finished` is false.
    end: Option<TakeEnd>,
    finished: bool,
}

impl TakeReader {
    /// Opens a take, growing or ended. `NotFound` if there is none (yet), `TooNew` if a newer program wrote it.
    pub fn open(dir: &Path) -> Result<Self, TakeError> {
        let path = dir.join(HEADER_FILE);
        let json = read_small(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => TakeError::NotFound(dir.to_owned()),
            _ => TakeError::io(&path)(error),
        })?;
        #[derive(serde::Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |error: serde_json::Error| TakeError::Damaged(format!("{HEADER_FILE}: {error}"));
        let Version { format } = serde_json::from_slice(&json).map_err(damaged)?;
        if format > FORMAT_VERSION {
            return Err(TakeError::TooNew { found: format });
        }
        let header = serde_json::from_slice(&json).map_err(damaged)?;
        let path = dir.join(EVENTS_FILE);
        let file = File::open(&path).map_err(TakeError::io(&path))?;
        Ok(Self {
            dir: dir.to_owned(),
            header,
            facts: FactFile { path, file, buffer: Vec::new(), lines: VecDeque::new() },
            pending: Vec::new(),
            segments: Vec::new(),
            complete_to_ns: 0,
            available_ns: 0,
            end: None,
            finished: false,
        })
    }

    /// The take's header.
    #[must_use]
    pub fn header(&self) -> &TakeHeader {
        &self.header
    }

    /// The next items, in the order of `at` over all files (within a segment always in decoding order), never further than the newest
    /// complete mark; empty when there is nothing new yet. One call returns at most about a second of the take: call again until empty.
    /// The `Complete` and `Ended` facts are not handed out: see [`Self::complete_to_ns`] and [`Self::ended`].
    pub fn poll(&mut self) -> Result<Vec<TakeItem>, TakeError> {
        let (mut items, begin_ns) = (Vec::new(), self.complete_to_ns);
        while !self.finished && self.complete_to_ns - begin_ns < POLL_NS {
            let Some(EventLine { at, event }) = self.facts.next()? else { break };
            match event {
                TakeEvent::Complete { to_ns } if to_ns > self.complete_to_ns => {
                    self.available_ns = self.available_ns.max(to_ns);
                    self.window(to_ns, &mut items)?;
                    self.complete_to_ns = to_ns;
                }
                // Everything before it is on disk, and perhaps nothing ever comes behind it.
                event @ TakeEvent::Suspended { .. } => {
                    let to_ns = at.max(self.complete_to_ns);
                    self.pending.push((at, event));
                    self.available_ns = self.available_ns.max(to_ns);
                    self.window(to_ns, &mut items)?;
                    self.complete_to_ns = to_ns;
                }
                TakeEvent::Ended { reason, lost_ns } => {
                    self.window(u64::MAX, &mut items)?;
                    self.complete_to_ns = at;
                    self.available_ns = at;
                    self.end = Some(TakeEnd { at_ns: at, reason, lost_ns });
                    self.finished = true;
                }
                TakeEvent::Complete { .. } | TakeEvent::Unknown => {}
                event => self.pending.push((at, event)),
            }
        }
        Ok(items)
    }

    /// Everything with `at` up to here has been handed out by `poll`.
    #[must_use]
    pub fn complete_to_ns(&self) -> u64 {
        self.complete_to_ns
    }

    /// Pictures and sound up to this time are final: `complete_to_ns` minus lateness and hindsight, or the end of an ended take.
    #[must_use]
    pub fn presentable_to_ns(&self) -> u64 {
        match self.end {
            Some(end) => end.at_ns,
            None => self.complete_to_ns.saturating_sub(LATENESS_NS + HINDSIGHT_NS),
        }
    }

    /// How far the files on disk are known to be complete, handed out or not: for progress displays. Looks at the file's end, so
    /// ask rarely (once a second).
    #[must_use]
    pub fn available_ns(&self) -> u64 {
        self.facts.newest_mark_ns().unwrap_or(0).max(self.available_ns)
    }

    /// The end, once everything has been handed out.
    #[must_use]
    pub fn ended(&self) -> Option<TakeEnd> {
        self.end
    }

    fn window(&mut self, to_ns: u64, items: &mut Vec<TakeItem>) -> Result<(), TakeError> {
        let mut window = Vec::new();
        let floor_ns = self.complete_to_ns;
        let later = self.pending.split_off(0).into_iter().filter_map(|(at_ns, event)| {
            let key_ns = at_ns.max(floor_ns);
            if key_ns > to_ns {
                return Some((at_ns, event));
            }
            window.push((key_ns, TakeItem::Event { at_ns, event }));
            None
        });
        self.pending = later.collect();
        for (_, item) in &window {
            if let TakeItem::Event { event: TakeEvent::SegmentOpened(opened), .. } = item {
                self.segments.extend(SegmentReader::open(&self.dir, opened)?);
            }
        }
        for segment in &mut self.segments {
            segment.read_to(to_ns, |key_ns, frame| {
                window.push((key_ns.max(floor_ns), TakeItem::Frame(frame)))
            })?;
        }
        // Stable: facts stay before frames, and every file keeps its order.
        window.sort_by_key(|(key_ns, _)| *key_ns);
        items.extend(window.into_iter().map(|(_, item)| item));
        Ok(())
    }
}

/// A header, whole; one that is larger than any is cut, and then no JSON.
fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LINE_LEN as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `events.jsonl`, line by line, as far as it is there.
#[derive(Debug)]
struct FactFile {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    lines: VecDeque<EventLine>,
}

impl FactFile {
    fn next(&mut self) -> Result<Option<EventLine>, TakeError> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            let read = Read::by_ref(&mut self.file)
                .take(READ_LEN as u64)
                .read_to_end(&mut self.buffer)
                .map_err(TakeError::io(&self.path))?;
            if read == 0 {
                return Ok(None);
            }
            let Some(end) = self.buffer.iter().rposition(|byte| *byte == b'\n') else {
                if self.buffer.len() > MAX_LINE_LEN {
                    return Err(TakeError::Damaged(format!("{EVENTS_FILE}: endless line")));
                }
                continue;
            };
            let whole = self.buffer.drain(..=end).collect::<Vec<_>>();
            self.lines.extend(whole.split(|byte| *byte == b'\n').filter_map(EventLine::parse));
        }
    }

    /// The newest mark in the file's last few kilobytes, without moving the cursor.
    fn newest_mark_ns(&self) -> Option<u64> {
        use std::os::unix::fs::FileExt;
        let len = self.file.metadata().ok()?.len();
        let mut tail = vec![0; READ_LEN.min(usize::try_from(len).ok()?)];
        let from = len - tail.len() as u64;
        self.file.read_exact_at(&mut tail, from).ok()?;
        tail.rsplit(|byte| *byte == b'\n').filter_map(EventLine::parse).find_map(|line| match line.event {
            TakeEvent::Complete { to_ns } => Some(to_ns),
            TakeEvent::Ended { .. } | TakeEvent::Suspended { .. } => Some(line.at),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
