//! Makes an ended take out of one whose writer died.
//!
//! Everything in a take is appended, so damage can only stand at the ends of files: a partial line, a partial block, a
//! cluster without blocks. All of it is cut off. What the writer had not yet handed to the system is gone: at most a second.
//!
//! A take whose last fact is that it was suspended lacks nothing: it can be gone on with ([`crate::Take::resume`]), and is ended there otherwise.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use crate::{
    error::TakeError,
    format::{EVENTS_FILE, EndReason, EventLine, HEADER_FILE, TakeEvent},
    mkv::{MkvParser, Step},
    reader::MAX_LINE_LEN,
};

/// The writer syncs at least once in this time.
const MAX_LOST_NS: u64 = 1_000_000_000;
const READ_LEN: usize = 1 << 20;

/// So much is read of the end of the facts to find the last one, which is short where a take was suspended.
const TAIL_LEN: u64 = 64 << 10;

/// A take that was suspended, and nothing came behind that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suspension {
    /// The take's length so far.
    pub at_ns: u64,
    /// When it was suspended, Unix nanoseconds.
    pub unix_ns: u64,
    /// Bytes of the facts up to there; what stands behind is part of one that was not written.
    pub(crate) whole: u64,
}

/// Whether the take can be gone on with. `None` for one that is being written, has ended or lost its writer. `NotFound` if `dir` holds no take.
pub fn suspension(dir: &Path) -> Result<Option<Suspension>, TakeError> {
    let path = dir.join(EVENTS_FILE);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(TakeError::NotFound(dir.to_owned()));
        }
        Err(error) => return Err(TakeError::io(&path)(error)),
    };
    let mut tail = Vec::new();
    let mut read = || {
        let from = file.metadata()?.len().saturating_sub(TAIL_LEN);
        io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
        Read::by_ref(&mut file).take(TAIL_LEN).read_to_end(&mut tail)?;
        io::Result::Ok(from)
    };
    let from = read().map_err(TakeError::io(&path))?;
    // The last whole line that is a fact; what is behind it was not written to its end, or is what a power cut left.
    let mut end = tail.len();
    while let Some(newline) = tail[..end].iter().rposition(|byte| *byte == b'\n') {
        let begin = tail[..newline].iter().rposition(|byte| *byte == b'\n').map_or(0, |before| before + 1);
        if let Some(EventLine { at, event }) = EventLine::parse(&tail[begin..newline]) {
            let TakeEvent::Suspended { unix_ns } = event else { return Ok(None) };
            return Ok(Some(Suspension { at_ns: at, unix_ns, whole: from + newline as u64 + 1 }));
        }
        end = newline;
    }
    Ok(None)
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The take had ended in order, or was suspended, and lacks nothing.
    pub was_ended: bool,
    /// Why it ended.
    pub reason: EndReason,
    /// The take's length.
    pub duration_ns: u64,
    /// How much was lost at the end at most (0 for a take that had ended).
    pub lost_ns: u64,
    /// Bytes of partial elements cut off, all files.
    pub cut_bytes: u64,
}

/// Cuts every file of the take at its last whole element and writes the end. Idempotent. `NotFound` if `dir` holds no take (a crash during
/// creation leaves a directory without header: it may be deleted). Must not run while the take is being written.
pub fn recover(dir: &Path) -> Result<Recovery, TakeError> {
    end(dir, EndReason::Recovered, MAX_LOST_NS)
}

/// [`recover`], with the reason and loss to be recorded.
pub(crate) fn end(dir: &Path, reason: EndReason, lost_ns: u64) -> Result<Recovery, TakeError> {
    if !dir.join(HEADER_FILE).is_file() {
        return Err(TakeError::NotFound(dir.to_owned()));
    }
    let path = dir.join(EVENTS_FILE);
    let mut facts: Box<dyn BufRead> = match File::open(&path) {
        Ok(file) => Box::new(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Box::new(io::empty()),
        Err(error) => return Err(TakeError::io(&path)(error)),
    };
    let (mut whole, mut duration_ns, mut segments, mut is_suspended) = (0, 0, Vec::new(), false);
    let (mut position, mut line) = (0, Vec::new());
    loop {
        line.clear();
        // What is longer than any fact is read in pieces, none of which is one.
        let mut piece = (&mut facts).take(MAX_LINE_LEN as u64);
        position += match piece.read_until(b'\n', &mut line).map_err(TakeError::io(&path))? {
            0 => break,
            read => read as u64,
        };
        let Some(fact) = line.strip_suffix(b"\n").and_then(EventLine::parse) else { continue };
        whole = position;
        duration_ns = fact.at.max(duration_ns);
        is_suspended = matches!(fact.event, TakeEvent::Suspended { .. });
        match fact.event {
            TakeEvent::SegmentOpened(segment) => segments.extend(segment.media_file().map(Path::to_owned)),
            TakeEvent::Ended { reason, lost_ns } => {
                let was_ended = reason != EndReason::Recovered;
                return Ok(Recovery { was_ended, reason, duration_ns: fact.at, lost_ns, cut_bytes: 0 });
            }
            _ => {}
        }
    }
    let mut cut_bytes = position - whole;
    for file in segments {
        let path = dir.join(file);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(TakeError::io(&path)(error)),
        };
        let found = measure(&file).map_err(TakeError::io(&path))?;
        if found.file_len > found.whole_len {
            cut_bytes += found.file_len - found.whole_len;
            file.set_len(found.whole_len).and_then(|()| file.sync_data()).map_err(TakeError::io(&path))?;
        }
        duration_ns = duration_ns.max(found.last_at_ns);
    }
    let mut events = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(TakeError::io(&path))?;
    // Nothing was being written any more.
    let (reason, lost_ns) = if is_suspended { (EndReason::ServerShutdown, 0) } else { (reason, lost_ns) };
    let line = EventLine { at: duration_ns, event: TakeEvent::Ended { reason, lost_ns } }.to_line();
    let appended = events.set_len(whole).and_then(|()| {
        io::Seek::seek(&mut events, io::SeekFrom::End(0))?;
        events.write_all(&line)?;
        events.sync_data()
    });
    appended.map_err(TakeError::io(&path))?;
    Ok(Recovery { was_ended: is_suspended, reason, duration_ns, lost_ns, cut_bytes })
}

pub(crate) struct Measured {
    pub(crate) file_len: u64,
    /// Up to the end of the last whole block; the header's end if there is none.
    pub(crate) whole_len: u64,
    pub(crate) last_at_ns: u64,
}

/// Finds how much of a segment file is whole.
pub(crate) fn measure(file: &File) -> io::Result<Measured> {
    let mut found = Measured { file_len: file.metadata()?.len(), whole_len: 0, last_at_ns: 0 };
    let (mut parser, mut buffer, mut start, mut position) = (MkvParser::new(), Vec::new(), 0, 0);
    let (mut reader, mut seen_block) = (file, false);
    loop {
        match parser.step(&buffer[start..]) {
            Err(_) => return Ok(found),
            Ok(Step::Need(_)) => {
                buffer.drain(..start);
                start = 0;
                if Read::take(&mut reader, READ_LEN as u64).read_to_end(&mut buffer)? == 0 {
                    return Ok(found);
                }
            }
            Ok(Step::Skip(len)) => {
                // Cluster heads and stamps belong to the block behind them.
                if !seen_block && parser.in_header() {
                    found.whole_len = position + len as u64;
                }
                start += len;
                position += len as u64;
            }
            Ok(Step::Block(len, block)) => {
                seen_block = true;
                found.last_at_ns = found.last_at_ns.max(block.at_ns);
                start += len;
                position += len as u64;
                found.whole_len = position;
            }
        }
    }
}

#[cfg(test)]
mod tests;
