//! What the fuzzers run, and what `tests/corpus.rs` replays: each takes any bytes, and panics when a promise of this crate is
//! broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::capture::{Capture, CaptureConfig, MAX_REORDER_NS, Output, Packet};
use crate::clock::TakeClock;
use crate::format::{Codec, EVENTS_FILE, HEADER_FILE, TakeHeader};
use crate::item::TakeItem;
use crate::mkv::{MkvParser, Step};
use crate::reader::TakeReader;
use crate::recovery::recover;

/// Its name, and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name of its corpus.
pub const TARGETS: [Target; 8] = [
    ("take", take),
    ("recover", recovery),
    ("mkv", mkv),
    ("capture_vp8", |bytes| capture(Codec::Vp8, bytes)),
    ("capture_vp9", |bytes| capture(Codec::Vp9, bytes)),
    ("capture_av1", |bytes| capture(Codec::Av1, bytes)),
    ("capture_h264", |bytes| capture(Codec::H264, bytes)),
    ("capture_opus", |bytes| capture(Codec::Opus, bytes)),
];

/// More facts than the longest input has lines.
const MAX_POLLS: usize = 100_000;

/// A segment's file: walked through to its end or its first damage.
fn mkv(bytes: &[u8]) {
    let mut parser = MkvParser::new();
    let mut rest = bytes;
    while let Ok(step) = parser.step(rest) {
        let len = match step {
            Step::Need(len) => {
                assert!(len > rest.len(), "it asks for what it has");
                return;
            }
            Step::Skip(len) => len,
            Step::Block(len, block) => {
                assert!(block.data.len() < len);
                len
            }
        };
        assert!((1..=rest.len()).contains(&len), "it goes on, and not beyond the end");
        rest = &rest[len..];
    }
}

/// Packets of one track: flags, a length, a payload, and again.
fn capture(codec: Codec, bytes: &[u8]) {
    let config = CaptureConfig { width: 64, height: 48, ..CaptureConfig::new(codec) };
    let mut capture = Capture::new(config).expect("it is a codec we know");
    let (mut now_ns, mut seq, mut rtp, mut ssrc) = (1_000_000_000_u64, 70_000_u64, 90_000_u64, 1_u32);
    let reorder_ticks = if codec == Codec::H264 { MAX_REORDER_NS * 9 / 100_000 } else { 0 };
    let mut seen = Seen { reorder_ticks, ..Seen::default() };
    let mut rest = bytes;
    while let Some((&[flags, len], after)) = rest.split_first_chunk::<2>() {
        let has = |bit: u8| flags & bit != 0;
        let len = usize::from(len) * if has(0x80) { 16 } else { 1 };
        let (payload, after) = after.split_at(len.min(after.len()));
        rest = after;
        now_ns += if has(0x40) { 700_000_000 } else { 5_000_000 };
        ssrc += u32::from(has(0x20));
        rtp += if has(0x10) { 3_000 } else { 0 };
        rtp = if has(0x08) && has(0x10) { rtp.saturating_sub(4_500_000) } else { rtp };
        seq += if has(0x04) { 2 } else { 1 };
        let seq = if has(0x02) { seq - 3 } else { seq };
        let _ = capture.packet(now_ns, &Packet { ssrc, seq, rtp, marker: has(0x01), payload });
        seen.drain(&mut capture);
        if has(0x08) {
            capture.tick(now_ns);
            seen.drain(&mut capture);
            let _ = capture.extend_report(now_ns, rtp as u32);
        }
        seen.complete_ns = seen.complete_ns.max(capture.complete_to_ns());
    }
    capture.finish(now_ns);
    seen.drain(&mut capture);
    // Parameter sets are repeated in front of keyframes; nothing else grows.
    assert!(seen.bytes <= bytes.len() * 64 + 4096, "{} bytes out of {}", seen.bytes, bytes.len());
}

/// What came out so far.
#[derive(Default)]
struct Seen {
    complete_ns: u64,
    /// Of the segment: the first RTP time, and the highest.
    rtp: Option<(u64, u64)>,
    /// So far RTP times may go back.
    reorder_ticks: u64,
    bytes: usize,
}

impl Seen {
    fn drain(&mut self, capture: &mut Capture) {
        while let Some(output) = capture.poll_output() {
            match output {
                Output::Segment(spec) => self.rtp = Some((spec.first_rtp, spec.first_rtp)),
                Output::Frame(frame) => {
                    let (first, highest) = self.rtp.expect("a frame belongs to a segment");
                    assert!(frame.rtp >= first, "media time goes back behind the first picture");
                    assert!(frame.rtp + self.reorder_ticks >= highest, "media time goes back too far");
                    assert!(
                        frame.at_ns > self.complete_ns,
                        "it comes after it was promised that nothing comes"
                    );
                    self.rtp = Some((first, highest.max(frame.rtp)));
                    self.bytes += frame.data.len();
                }
                Output::Gap { from_ns, to_ns, .. } => assert!(from_ns <= to_ns),
                Output::Dimensions { .. } | Output::LeftOut { .. } | Output::LeftOutUntil { .. } => {}
            }
        }
    }
}

/// A take as it is found on disk: read to its end, with its clocks.
fn take(bytes: &[u8]) {
    let folder = Folder::with_take(bytes);
    let Ok(mut reader) = TakeReader::open(&folder.0) else { return };
    let _ = read(&mut reader);
    let _ = reader.available_ns();
}

/// The same, of a writer that died.
fn recovery(bytes: &[u8]) {
    let folder = Folder::with_take(bytes);
    let found = recover(&folder.0).expect("whatever the files hold, what is whole is kept");
    let again = recover(&folder.0).expect("it has been recovered");
    assert_eq!((again.duration_ns, again.cut_bytes), (found.duration_ns, 0), "recovered once is recovered");
    let mut reader = TakeReader::open(&folder.0).expect("a recovered take can be read");
    assert!(read(&mut reader), "and has an end");
}

/// Reads to the end; whether there was one.
fn read(reader: &mut TakeReader) -> bool {
    let mut clock = TakeClock::new();
    for _ in 0..MAX_POLLS {
        let before_ns = reader.complete_to_ns();
        let Ok(items) = reader.poll() else { return false };
        for item in &items {
            clock.observe(item);
        }
        for item in &items {
            if let TakeItem::Frame(frame) = item {
                let _ = clock.moment(frame);
            }
        }
        if reader.ended().is_some() {
            return true;
        }
        if items.is_empty() && reader.complete_to_ns() == before_ns {
            return false;
        }
    }
    panic!("a take has an end");
}

/// A take's directory, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    /// The files of the take, each with its length in front: the facts, then `0.mkv` and so on.
    fn with_take(bytes: &[u8]) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let memory = Path::new("/dev/shm");
        let temporary = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = Self(temporary.join(format!("reelroom-fuzz-{}-{number}", std::process::id())));
        fs::create_dir_all(&folder.0).expect("temporary files can be written");
        let header =
            serde_json::to_vec(&TakeHeader::new("EG_1", "room", "RM_1", 1)).expect("it is plain data");
        let mut files = vec![(HEADER_FILE.to_owned(), &header[..])];
        let mut rest = bytes;
        let mut name = EVENTS_FILE.to_owned();
        while let Some((len, after)) = rest.split_first_chunk::<2>() {
            let len = usize::from(u16::from_le_bytes(*len)).min(after.len());
            files.push((name, &after[..len]));
            rest = &after[len..];
            name = format!("{}.mkv", files.len() - 2);
        }
        for (name, content) in files {
            fs::write(folder.0.join(name), content).expect("temporary files can be written");
        }
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
