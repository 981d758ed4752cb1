//! The thread behind a [`super::TakeHandle`].

use std::{
    collections::{HashMap, VecDeque},
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Drops, Entry, Shared, TakeState};
use crate::{
    error::TakeError,
    format::{EVENTS_FILE, EndReason, EventLine, GapCause, SegmentOpened, TakeEvent},
    ids::{SegmentId, TrackId},
    item::{Frame, SegmentSpec},
    mkv::{MkvSpec, MkvWriter},
    recovery,
};

const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// With a sync that takes a while itself, at most a second lies between two.
const SYNC_EVERY: Duration = Duration::from_millis(800);
const BUFFER_LEN: usize = 256 << 10;

/// Writes what comes; nothing in the take is later than `at_ns` so far.
pub(super) fn spawn(dir: &Path, shared: Arc<Shared>, at_ns: u64) -> Result<(), TakeError> {
    let path = dir.join(EVENTS_FILE);
    let events = OpenOptions::new().append(true).open(&path).map_err(TakeError::io(&path))?;
    let now = Instant::now();
    let writer = Writer {
        dir: dir.to_owned(),
        events: Out::new(path, events),
        segments: HashMap::new(),
        scratch: Vec::new(),
        last_at_ns: at_ns,
        flushed: now,
        synced: now,
    };
    std::thread::Builder::new()
        .name("take".into())
        .spawn(move || run(writer, &shared))
        .map(drop)
        .map_err(TakeError::io(dir))
}

fn run(mut writer: Writer, shared: &Shared) {
    let result = writer.work(shared);
    let state = match result {
        Ok(()) => TakeState::Ended,
        Err(error) => {
            tracing::warn!(take = %writer.dir.display(), %error, "the take cannot be written any further");
            let reason = match error {
                TakeError::DiskFull => EndReason::DiskFull,
                _ => EndReason::WriteFailed,
            };
            let dir = writer.dir.clone();
            writer.abandon();
            if let Err(error) = recovery::end(&dir, reason, 0) {
                tracing::warn!(take = %dir.display(), %error, "the end could not be written; the take will be recovered");
            }
            TakeState::Failed { reason, message: error.reason() }
        }
    };
    let mut queue = shared.lock();
    queue.summary.dropped +=
        queue.entries.iter().filter(|entry| matches!(entry, Entry::Frame { .. })).count() as u64;
    queue.entries.clear();
    queue.bytes = 0;
    queue.end = Some(state);
    shared.meter.end();
    drop(queue);
    shared.ended.notify_all();
}

/// A file with a buffer, and whether there is something to flush or sync.
struct Out {
    path: PathBuf,
    file: BufWriter<File>,
    unsynced: bool,
    bytes: u64,
}

impl Out {
    fn new(path: PathBuf, file: File) -> Self {
        Self { path, file: BufWriter::with_capacity(BUFFER_LEN, file), unsynced: false, bytes: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TakeError> {
        self.unsynced = true;
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(TakeError::io(&self.path))
    }

    fn flush(&mut self) -> Result<(), TakeError> {
        self.file.flush().map_err(TakeError::io(&self.path))
    }

    fn sync(&mut self) -> Result<(), TakeError> {
        if std::mem::take(&mut self.unsynced) {
            self.flush()?;
            self.file.get_ref().sync_data().map_err(TakeError::io(&self.path))?;
        }
        Ok(())
    }
}

struct Segment {
    track: TrackId,
    first_rtp: u64,
    last_at_ns: u64,
    mkv: MkvWriter,
    out: Out,
}

struct Writer {
    dir: PathBuf,
    events: Out,
    segments: HashMap<SegmentId, Segment>,
    scratch: Vec<u8>,
    last_at_ns: u64,
    flushed: Instant,
    synced: Instant,
}

impl Writer {
    /// Until the take ends (`Ok`), or writing fails.
    fn work(&mut self, shared: &Shared) -> Result<(), TakeError> {
        let mut batch = VecDeque::new();
        loop {
            let (mut drops, closed) = {
                let mut queue = shared.lock();
                shared.meter.idle();
                if queue.entries.is_empty() && !queue.closed {
                    let wait =
                        FLUSH_EVERY.saturating_sub(self.flushed.elapsed()).max(Duration::from_millis(1));
                    queue = shared
                        .wake
                        .wait_timeout(queue, wait)
                        .expect("nothing panics while holding the queue")
                        .0;
                }
                shared.meter.busy();
                std::mem::swap(&mut batch, &mut queue.entries);
                (std::mem::take(&mut queue.drops), queue.closed && batch.is_empty())
            };
            let (mut frames, mut dropped, mut written) = (0, 0, 0);
            let mut finished = closed;
            for entry in batch.drain(..) {
                let before = self.events.bytes;
                match entry {
                    Entry::Frame { segment, frame } => {
                        let len = frame.data.len();
                        match self.frame(segment, &frame)? {
                            Some(bytes) => {
                                frames += 1;
                                written += bytes;
                            }
                            None => dropped += 1,
                        }
                        // Freed one by one: a batch that takes long to write must not look like an empty queue.
                        shared.lock().bytes -= len;
                        shared.meter.busy();
                    }
                    Entry::Event { at_ns, event } => self.event(at_ns, event)?,
                    Entry::Open { segment, track, spec } => written += self.open(segment, track, spec)?,
                    Entry::Complete { at_ns, to_ns } => {
                        self.flush_media()?;
                        self.line(at_ns, TakeEvent::Complete { to_ns })?;
                        self.events.flush()?;
                        self.flushed = Instant::now();
                    }
                    Entry::Last { at_ns, event } => {
                        for (segment, drops) in std::mem::take(&mut drops) {
                            self.record_drops(segment, drops)?;
                        }
                        self.sync()?;
                        let at_ns = at_ns.max(self.last_at_ns);
                        self.line(at_ns, event)?;
                        finished = true;
                    }
                }
                written += self.events.bytes - before;
            }
            for (segment, drops) in drops {
                self.record_drops(segment, drops)?;
            }
            {
                let mut queue = shared.lock();
                queue.summary.frames += frames;
                queue.summary.dropped += dropped;
                queue.summary.bytes += written;
            }
            shared.meter.wrote(written);
            if finished {
                return self.sync();
            }
            if self.synced.elapsed() >= SYNC_EVERY {
                let began = Instant::now();
                self.sync()?;
                shared.meter.synced(began.elapsed());
            } else if self.flushed.elapsed() >= FLUSH_EVERY {
                self.flush_media()?;
                self.events.flush()?;
                self.flushed = Instant::now();
            }
        }
    }

    fn event(&mut self, at_ns: u64, event: TakeEvent) -> Result<(), TakeError> {
        let ended = match &event {
            TakeEvent::TrackUnpublished { track } => Some(track.clone()),
            _ => None,
        };
        self.line(at_ns, event)?;
        match ended {
            Some(track) => self.close_track(&track),
            None => Ok(()),
        }
    }

    fn line(&mut self, at: u64, event: TakeEvent) -> Result<(), TakeError> {
        self.last_at_ns = self.last_at_ns.max(at);
        self.events.write(&EventLine { at, event }.to_line())
    }

    fn open(&mut self, segment: SegmentId, track: TrackId, spec: SegmentSpec) -> Result<u64, TakeError> {
        self.close_track(&track)?;
        let file = file_name(&track, segment);
        let path = self.dir.join(&file);
        let created =
            OpenOptions::new().append(true).create_new(true).open(&path).map_err(TakeError::io(&path))?;
        let mut out = Out::new(path, created);
        self.scratch.clear();
        let mkv = MkvWriter::begin(
            &MkvSpec {
                codec: spec.codec,
                clock_rate_hz: spec.clock_rate_hz,
                width: spec.width,
                height: spec.height,
                codec_private: spec.codec_private.clone(),
            },
            &mut self.scratch,
        );
        out.write(&self.scratch)?;
        let (first_rtp, last_at_ns) = (spec.first_rtp, spec.first_at_ns);
        self.line(
            spec.first_at_ns,
            TakeEvent::SegmentOpened(SegmentOpened {
                segment,
                track: track.clone(),
                file,
                codec: spec.codec,
                clock_rate_hz: spec.clock_rate_hz,
                first_rtp: spec.first_rtp,
                first_at_ns: spec.first_at_ns,
                width: spec.width,
                height: spec.height,
                codec_private: spec.codec_private,
            }),
        )?;
        // A file without its fact would be lost to a crash.
        self.events.flush()?;
        self.segments.insert(segment, Segment { track, first_rtp, last_at_ns, mkv, out });
        Ok(self.scratch.len() as u64)
    }

    /// Bytes written; `None` if the frame does not fit into its segment.
    fn frame(&mut self, id: SegmentId, frame: &Frame) -> Result<Option<u64>, TakeError> {
        let Some(segment) = self.segments.get_mut(&id) else { return Ok(None) };
        self.scratch.clear();
        let fits = frame.rtp.checked_sub(segment.first_rtp).is_some_and(|tick| {
            segment.mkv.frame(&mut self.scratch, tick, frame.at_ns, frame.keyframe, &frame.data).is_ok()
        });
        if !fits {
            let (from_ns, to_ns) = (segment.last_at_ns, frame.at_ns.max(segment.last_at_ns));
            self.record_drops(id, Drops { from_ns, to_ns, missing: 1 })?;
            return Ok(None);
        }
        segment.out.write(&self.scratch)?;
        segment.last_at_ns = frame.at_ns;
        self.last_at_ns = self.last_at_ns.max(frame.at_ns);
        Ok(Some(self.scratch.len() as u64))
    }

    fn record_drops(&mut self, segment: SegmentId, drops: Drops) -> Result<(), TakeError> {
        let Some(track) = self.segments.get(&segment).map(|segment| segment.track.clone()) else {
            return Ok(());
        };
        tracing::warn!(take = %self.dir.display(), %track, frames = drops.missing, "frames could not be written in time");
        let Drops { from_ns, to_ns, missing } = drops;
        let cause = GapCause::Disk;
        self.line(self.last_at_ns.max(to_ns), TakeEvent::Gap { track, from_ns, to_ns, missing, cause })
    }

    fn close_track(&mut self, track: &TrackId) -> Result<(), TakeError> {
        let old: Vec<_> =
            self.segments.iter().filter(|(_, s)| s.track == *track).map(|(id, _)| *id).collect();
        for id in old {
            if let Some(mut segment) = self.segments.remove(&id) {
                segment.out.sync()?;
            }
        }
        Ok(())
    }

    fn flush_media(&mut self) -> Result<(), TakeError> {
        self.segments.values_mut().try_for_each(|segment| segment.out.flush())
    }

    /// Media first: a fact on disk never speaks of media that are not.
    fn sync(&mut self) -> Result<(), TakeError> {
        self.segments.values_mut().try_for_each(|segment| segment.out.sync())?;
        self.events.sync()?;
        self.flushed = Instant::now();
        self.synced = self.flushed;
        Ok(())
    }

    /// Closes the files. The disk may still take a part of what is buffered.
    fn abandon(self) {
        let outs = self.segments.into_values().map(|segment| segment.out).chain([self.events]);
        for mut out in outs {
            // Part of a buffer may land on the disk: the take's recovery cuts it at the last whole element.
            drop(out.file.flush());
            drop(out.file.into_parts());
        }
    }
}

/// `<track>-<segment>.mkv`; whatever could mean something to a file system is replaced.
fn file_name(track: &TrackId, segment: SegmentId) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let track: String = track.as_str().chars().take(64).map(safe).collect();
    format!("{track}-{segment}.mkv")
}
