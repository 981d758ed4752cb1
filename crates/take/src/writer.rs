//! Writes a take: one thread, a bounded queue in front of it.
//!
//! Nobody who calls a [`TakeHandle`] waits for the disk: what does not fit into the queue is dropped, counted, and recorded as a
//! gap. The thread flushes every 200 ms, and at every complete mark *before* the mark's line; it syncs every 800 ms. If the
//! disk fails, every file is cut at its last whole element, the reason is recorded, and [`TakeHandle::state`] tells it.

mod meter;
mod thread;

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::Write,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

pub use meter::{DiskUse, TakeWatch};

use self::meter::Meter;
use crate::{
    error::TakeError,
    format::{EVENTS_FILE, EndReason, EventLine, HEADER_FILE, TakeEvent, TakeHeader},
    ids::{SegmentId, TrackId},
    item::{Frame, SegmentSpec},
    recovery::Suspension,
};

/// What became of something handed to the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// In the queue.
    Queued,
    /// Dropped: the queue is full, or the take has ended. Counted; a gap is recorded.
    Dropped,
}

/// Limits of the writer.
#[derive(Debug, Clone)]
pub struct TakeOptions {
    /// Bytes of frames that may wait.
    pub queue_bytes: usize,
    /// Frames and facts that may wait.
    pub queue_entries: usize,
}

impl Default for TakeOptions {
    fn default() -> Self {
        Self { queue_bytes: 64 << 20, queue_entries: 16_384 }
    }
}

/// How a take is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeState {
    /// Being written.
    Recording,
    /// Ended in order.
    Ended,
    /// Ended because writing failed; everything before is kept. The reason is `DiskFull` or `WriteFailed`.
    Failed {
        /// The reason recorded.
        reason: EndReason,
        /// What the system said.
        message: String,
    },
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakeSummary {
    /// Frames written.
    pub frames: u64,
    /// Bytes written, all files.
    pub bytes: u64,
    /// Frames dropped because the disk could not follow.
    pub dropped: u64,
}

/// Creates takes.
#[derive(Debug)]
pub struct Take;

impl Take {
    /// Creates the take's directory and starts its writer.
    pub fn create(dir: &Path, header: TakeHeader) -> Result<TakeHandle, TakeError> {
        Self::create_with(dir, header, TakeOptions::default())
    }

    /// [`Take::create`] with limits.
    pub fn create_with(
        dir: &Path,
        header: TakeHeader,
        options: TakeOptions,
    ) -> Result<TakeHandle, TakeError> {
        create_directory(dir, &header)?;
        Self::write(dir, options, Queue::default(), 0)
    }

    /// Goes on with a take that was suspended, at `at_ns` of it or where it was suspended, whichever is later. From when this returns a take
    /// that loses its writer is one that has to be recovered. To be called once for what [`crate::suspension`] found.
    pub fn resume(dir: &Path, suspension: &Suspension, at_ns: u64) -> Result<TakeHandle, TakeError> {
        let at_ns = at_ns.max(suspension.at_ns);
        let segments = next_segment(dir).map_err(TakeError::io(dir))?;
        let path = dir.join(EVENTS_FILE);
        let line = EventLine { at: at_ns, event: TakeEvent::Resumed }.to_line();
        let append = || {
            let mut events = fs::OpenOptions::new().append(true).open(&path)?;
            events.set_len(suspension.whole)?;
            events.write_all(&line)?;
            // Before there is anything that a take which is only suspended would not know of.
            events.sync_all()
        };
        append().map_err(TakeError::io(&path))?;
        Self::write(dir, TakeOptions::default(), Queue { segments, ..Queue::default() }, at_ns)
    }

    fn write(dir: &Path, options: TakeOptions, queue: Queue, at_ns: u64) -> Result<TakeHandle, TakeError> {
        let shared = Arc::new(Shared {
            options,
            queue: Mutex::new(queue),
            wake: Condvar::new(),
            ended: Condvar::new(),
            meter: Arc::new(Meter::new()),
        });
        thread::spawn(dir, Arc::clone(&shared), at_ns)?;
        Ok(TakeHandle { owner: Arc::new(Owner { shared }) })
    }
}

/// A number that no media file of the take has, nor has had one of before.
fn next_segment(dir: &Path) -> std::io::Result<u32> {
    let mut next = 0;
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_suffix(".mkv")?.rsplit_once('-')?.1.parse().ok());
        next = number.map_or(next, |number: u32| next.max(number.saturating_add(1)));
    }
    Ok(next)
}

/// The directory appears under its name only when it is a valid, empty take: a crash leaves at most a hidden sibling.
fn create_directory(dir: &Path, header: &TakeHeader) -> Result<(), TakeError> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(TakeError::NotFound(dir.to_owned()));
    };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    if dir.exists() {
        return Err(TakeError::AlreadyExists(dir.to_owned()));
    }
    let mut hidden = std::ffi::OsString::from(".new-");
    hidden.push(name);
    let new = parent.join(hidden);
    if new.exists() {
        fs::remove_dir_all(&new).map_err(TakeError::io(&new))?;
    }
    fs::create_dir_all(&new).map_err(TakeError::io(&new))?;
    let json = serde_json::to_vec_pretty(header).expect("a header has string keys and finite numbers only");
    for (file, content) in [(HEADER_FILE, &json[..]), (EVENTS_FILE, b"")] {
        let path = new.join(file);
        let mut file = fs::File::create(&path).map_err(TakeError::io(&path))?;
        file.write_all(content).and_then(|()| file.sync_all()).map_err(TakeError::io(&path))?;
    }
    fs::rename(&new, dir).map_err(TakeError::io(dir))?;
    sync_directory(dir)?;
    sync_directory(parent)
}

fn sync_directory(dir: &Path) -> Result<(), TakeError> {
    fs::File::open(dir).and_then(|file| file.sync_all()).map_err(TakeError::io(dir))
}

#[derive(Debug)]
enum Entry {
    Event { at_ns: u64, event: TakeEvent },
    Open { segment: SegmentId, track: TrackId, spec: SegmentSpec },
    Frame { segment: SegmentId, frame: Frame },
    Complete { at_ns: u64, to_ns: u64 },
    Last { at_ns: u64, event: TakeEvent },
}

/// Frames of one segment that did not fit.
#[derive(Debug, Clone, Copy)]
struct Drops {
    from_ns: u64,
    to_ns: u64,
    missing: u64,
}

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
    segments: u32,
    drops: BTreeMap<SegmentId, Drops>,
    /// No handle is left, or `finish` was called: nothing more is taken.
    closed: bool,
    /// How the take ended; `None` while it is being written.
    end: Option<TakeState>,
    summary: TakeSummary,
}

#[derive(Debug)]
struct Shared {
    options: TakeOptions,
    queue: Mutex<Queue>,
    wake: Condvar,
    ended: Condvar,
    meter: Arc<Meter>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while holding the queue")
    }
}

/// Closes the queue when the last handle goes: the take then stays without an end, as after a crash.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

/// A take's writer, from outside. Cheap to clone; no call but [`TakeHandle::finish`] waits.
#[derive(Debug, Clone)]
pub struct TakeHandle {
    owner: Arc<Owner>,
}

impl TakeHandle {
    /// Appends a fact.
    pub fn event(&self, at_ns: u64, event: TakeEvent) -> Sent {
        let shared = &self.owner.shared;
        let mut queue = shared.lock();
        // Facts are small and few: they may use twice the room, so that frames cannot push them out.
        if queue.closed || queue.end.is_some() || queue.entries.len() >= shared.options.queue_entries * 2 {
            return Sent::Dropped;
        }
        queue.entries.push_back(Entry::Event { at_ns, event });
        shared.wake.notify_one();
        Sent::Queued
    }

    /// Opens a new segment (file) for a track; its `SegmentOpened` fact is written by the writer.
    /// A track's earlier segment takes no more frames.
    pub fn open_segment(&self, track: &TrackId, spec: SegmentSpec) -> SegmentId {
        let mut queue = self.owner.shared.lock();
        let segment = SegmentId(queue.segments);
        queue.segments += 1;
        if !queue.closed && queue.end.is_none() {
            queue.entries.push_back(Entry::Open { segment, track: track.clone(), spec });
        }
        segment
    }

    /// Appends a frame to a segment.
    pub fn frame(&self, segment: SegmentId, frame: Frame) -> Sent {
        let shared = &self.owner.shared;
        let mut queue = shared.lock();
        if queue.closed || queue.end.is_some() {
            queue.summary.dropped += 1;
            return Sent::Dropped;
        }
        if queue.entries.len() >= shared.options.queue_entries
            || queue.bytes + frame.data.len() > shared.options.queue_bytes
        {
            queue.summary.dropped += 1;
            let at_ns = frame.at_ns;
            let drops =
                queue.drops.entry(segment).or_insert(Drops { from_ns: at_ns, to_ns: at_ns, missing: 0 });
            drops.from_ns = drops.from_ns.min(at_ns);
            drops.to_ns = drops.to_ns.max(at_ns);
            drops.missing += 1;
            return Sent::Dropped;
        }
        queue.bytes += frame.data.len();
        queue.entries.push_back(Entry::Frame { segment, frame });
        shared.wake.notify_one();
        Sent::Queued
    }

    /// Promises that nothing with `at` up to `to_ns` will still be handed over. Call it about every 200 ms.
    pub fn complete(&self, at_ns: u64, to_ns: u64) {
        let shared = &self.owner.shared;
        let mut queue = shared.lock();
        if queue.closed || queue.end.is_some() {
            return;
        }
        if matches!(queue.entries.back(), Some(Entry::Complete { .. })) {
            queue.entries.pop_back();
        }
        queue.entries.push_back(Entry::Complete { at_ns, to_ns });
        shared.wake.notify_one();
    }

    /// How the take is doing.
    #[must_use]
    pub fn state(&self) -> TakeState {
        self.owner.shared.lock().end.clone().unwrap_or(TakeState::Recording)
    }

    /// Looks at how the disk follows, without keeping the take open.
    #[must_use]
    pub fn watch(&self) -> TakeWatch {
        TakeWatch { meter: Arc::clone(&self.owner.shared.meter) }
    }

    /// What has been written so far.
    #[must_use]
    pub fn summary(&self) -> TakeSummary {
        self.owner.shared.lock().summary.clone()
    }

    /// Writes the end, syncs, and waits for it (blocking; well under a second unless the disk hangs).
    /// Other clones of the handle are deaf afterwards. If the take has failed, the error says why; what was written is kept.
    pub fn finish(self, at_ns: u64, reason: EndReason) -> Result<TakeSummary, TakeError> {
        self.close(at_ns, TakeEvent::Ended { reason, lost_ns: 0 })
    }

    /// The same, for a take that the next run of the program goes on with; `unix_ns` is now.
    pub fn suspend(self, at_ns: u64, unix_ns: u64) -> Result<TakeSummary, TakeError> {
        self.close(at_ns, TakeEvent::Suspended { unix_ns })
    }

    fn close(self, at_ns: u64, event: TakeEvent) -> Result<TakeSummary, TakeError> {
        let shared = &self.owner.shared;
        let mut queue = shared.lock();
        if !queue.closed && queue.end.is_none() {
            queue.closed = true;
            queue.entries.push_back(Entry::Last { at_ns, event });
            shared.wake.notify_one();
        }
        loop {
            match &queue.end {
                Some(TakeState::Failed { reason: EndReason::DiskFull, .. }) => {
                    return Err(TakeError::DiskFull);
                }
                Some(TakeState::Failed { message, .. }) => return Err(TakeError::Failed(message.clone())),
                Some(TakeState::Ended | TakeState::Recording) => return Ok(queue.summary.clone()),
                None => queue = shared.ended.wait(queue).expect("nothing panics while holding the queue"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
