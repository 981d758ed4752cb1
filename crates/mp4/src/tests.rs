//! The writer's own rules, and what is left of a file when its writer is killed; that files play is checked with real media in the
//! composer's tests.
#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::Path,
};

use mp4_atom::{Decode as _, Moov, StszSamples};

use crate::{
    AudioSpec, Growing, MovieSpec, Mp4Writer, Settled, VideoSpec,
    finish::{Steps, settle_in},
    front::Place,
    settle,
};

const S: u64 = 1_000_000_000;

fn movie() -> MovieSpec {
    MovieSpec {
        video: Some(VideoSpec {
            width: 640,
            height: 360,
            frames_per_second: 30,
            avcc: vec![1, 66, 0, 31, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 31, 1, 0, 2, 0x68, 0xce],
            bitrate_bps: 1000,
        }),
        audio: Some(AudioSpec {
            sample_rate_hz: 48_000,
            channels: 2,
            samples_per_frame: 1024,
            priming_samples: 1024,
            config: vec![0x11, 0x90],
            bitrate_bps: 1000,
        }),
    }
}

fn sound_only() -> MovieSpec {
    MovieSpec { video: None, ..movie() }
}

/// Picture number `frame`, of some length.
fn picture(frame: u64) -> Vec<u8> {
    format!("picture {frame} ").into_bytes().repeat(1 + frame as usize % 7)
}

fn sound(frame: u64) -> Vec<u8> {
    format!("sound {frame}").into_bytes()
}

/// Pushes what is missing up to `seconds`.
fn push(writer: &mut Mp4Writer, pushed: &mut [u64; 2], seconds: u64) {
    let has_pictures = writer.movie.video.is_some();
    let audio = writer.movie.audio.clone().unwrap();
    let sounds = Mp4Writer::sounds_in(&audio, seconds);
    while pushed[0] < seconds * 30 || pushed[1] < sounds {
        if pushed[0] < seconds * 30 {
            if has_pictures {
                writer.push_video(&picture(pushed[0]), pushed[0].is_multiple_of(60)).unwrap();
            }
            pushed[0] += 1;
        }
        if pushed[1] < sounds.min(Mp4Writer::sounds_in(&audio, pushed[0] / 30 + 1)) {
            writer.push_audio(&sound(pushed[1])).unwrap();
            pushed[1] += 1;
        }
    }
}

fn writer(path: &Path, movie: MovieSpec, seconds: u64) -> Mp4Writer {
    let mut writer = Mp4Writer::create(path, movie).unwrap();
    push(&mut writer, &mut [0, 0], seconds);
    writer
}

/// Top boxes: kind, place, size; fails unless they fill the file exactly, but for a last one to be skipped.
fn top(file: &File) -> Vec<(String, u64, u64)> {
    let (end, mut at, mut boxes) = (file.metadata().unwrap().len(), 0, Vec::new());
    while at < end {
        let Some(place) = Place::read(file, at, end).unwrap() else {
            let mut kind = [0; 8];
            file.read_exact_at(&mut kind, at).unwrap();
            assert_eq!(kind[4..], *b"free", "no box at {at}");
            return boxes;
        };
        boxes.push((String::from_utf8_lossy(&place.kind).into_owned(), at, place.len));
        at = place.to();
    }
    assert_eq!(at, end);
    boxes
}

fn kinds(path: &Path) -> Vec<String> {
    top(&File::open(path).unwrap()).into_iter().map(|(kind, ..)| kind).collect()
}

/// All samples of both tracks, as a player finds them: by the index where there is one, else by the fragments.
fn samples(path: &Path) -> [Vec<Vec<u8>>; 2] {
    let file = File::open(path).unwrap();
    let boxes = top(&file);
    let first = boxes.iter().find(|(kind, ..)| kind == "moov").unwrap();
    let mut bytes = vec![0; first.2 as usize];
    file.read_exact_at(&mut bytes, first.1).unwrap();
    let moov = Moov::decode(&mut bytes.as_slice()).unwrap();
    if moov.mvex.is_some() {
        let growing = Growing::open(path).unwrap().unwrap();
        let tables = &growing.tables;
        return [&tables.video, &tables.audio].map(|index| {
            let sizes: Vec<u32> = index.sizes.clone();
            read(&file, &index.chunks, &sizes)
        });
    }
    let mut tracks = [Vec::new(), Vec::new()];
    for trak in &moov.trak {
        let stbl = &trak.mdia.minf.stbl;
        let StszSamples::Different { sizes } = &stbl.stsz.samples else { panic!() };
        let offsets: Vec<u64> = match (&stbl.stco, &stbl.co64) {
            (Some(stco), None) => stco.entries.iter().map(|at| u64::from(*at)).collect(),
            (None, Some(co64)) => co64.entries.clone(),
            _ => panic!(),
        };
        let runs = &stbl.stsc.entries;
        let count =
            |number: u32| runs.iter().rev().find(|run| run.first_chunk <= number).unwrap().samples_per_chunk;
        let chunks: Vec<_> = (1..).zip(offsets).map(|(number, at)| (at, count(number))).collect();
        tracks[trak.tkhd.track_id as usize - 1] = read(&file, &chunks, sizes);
    }
    tracks
}

fn read(file: &File, chunks: &[(u64, u32)], sizes: &[u32]) -> Vec<Vec<u8>> {
    let (mut samples, mut sizes) = (Vec::new(), sizes.iter());
    for (at, count) in chunks {
        let mut at = *at;
        for size in sizes.by_ref().take(*count as usize) {
            let mut sample = vec![0; *size as usize];
            file.read_exact_at(&mut sample, at).unwrap();
            at += u64::from(*size);
            samples.push(sample);
        }
    }
    assert!(sizes.next().is_none());
    samples
}

/// Whether the file has all that was pushed for so many seconds.
fn is_whole(path: &Path, seconds: u64) {
    let [pictures, sounds] = samples(path);
    assert!(pictures.len() as u64 == seconds * 30, "{} pictures", pictures.len());
    assert!((0..).map(picture).zip(&pictures).all(|(wanted, there)| wanted == *there));
    assert_eq!(sounds.len() as u64, Mp4Writer::sounds_in(&movie().audio.unwrap(), seconds));
    assert!((0..).map(sound).zip(&sounds).all(|(wanted, there)| wanted == *there));
}

/// Stops before step number `last`, and may know a file system that inserts nothing.
struct Until {
    last: usize,
    done: usize,
    inserts: bool,
}

impl Steps for Until {
    fn next(&mut self) -> io::Result<()> {
        self.done += 1;
        if self.done > self.last { Err(io::Error::other("killed")) } else { Ok(()) }
    }

    fn may_insert(&self) -> bool {
        self.inserts
    }
}

/// Whether this machine's temporary folder can insert blocks.
fn can_insert(dir: &Path) -> bool {
    use rustix::fs::{FallocateFlags, fallocate};
    let file =
        File::options().read(true).write(true).create(true).truncate(true).open(dir.join("try")).unwrap();
    file.set_len(1 << 16).unwrap();
    fallocate(&file, FallocateFlags::INSERT_RANGE, 4096, 4096).is_ok()
}

#[test]
fn a_finished_file_has_its_index_in_front_at_any_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    for inserts in [true, false] {
        for seconds in [1, 15, 40, 60, 300, 1200] {
            let mut steps = Until { last: usize::MAX, done: 0, inserts };
            let size = writer(&path, movie(), seconds).finish_in(seconds * S, &mut steps).unwrap();
            assert_eq!(size, fs::metadata(&path).unwrap().len());
            let boxes = top(&File::open(&path).unwrap());
            let kinds: Vec<_> = boxes.iter().map(|(kind, ..)| kind.as_str()).collect();
            assert_eq!(kinds, ["ftyp", "moov", "free", "mdat"], "{seconds} s");
            let padding = boxes[2].2;
            assert!(padding <= 16 << 10, "{seconds} s: {padding} bytes of padding");
            is_whole(&path, seconds);
            assert_eq!(settle(&path).unwrap(), Settled::Finished(size));
        }
    }
}

#[test]
fn sound_alone_makes_a_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    for inserts in [true, false] {
        let mut steps = Until { last: usize::MAX, done: 0, inserts };
        writer(&path, sound_only(), 200).finish_in(200 * S, &mut steps).unwrap();
        assert_eq!(kinds(&path), ["ftyp", "moov", "free", "mdat"]);
        let [pictures, sounds] = samples(&path);
        assert_eq!((pictures.len(), sounds.len() as u64), (0, 200 * 48_000 / 1024 + 1));
    }
}

#[test]
fn a_growing_file_is_whole_fragments_and_never_patched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    let mut writer = Mp4Writer::create(&path, movie()).unwrap();
    let mut before = Vec::new();
    for frame in 0..95u64 {
        writer.push_video(&picture(frame), frame == 0).unwrap();
        writer.push_audio(b"sound").unwrap();
        writer.push_audio(b"sound").unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.starts_with(&before));
        kinds(&path);
        before = bytes;
    }
    let wanted =
        ["ftyp", "free", "moov", "free", "moof", "mdat", "free", "moof", "mdat", "free", "moof", "mdat"];
    assert_eq!(kinds(&path), wanted);
    assert_eq!(writer.seconds(), 3);
}

#[test]
fn equal_samples_give_equal_files() {
    let dir = tempfile::tempdir().unwrap();
    let files = ["a.mp4", "b.mp4"].map(|name| {
        let path = dir.path().join(name);
        writer(&path, movie(), 90).finish(90 * S).unwrap();
        fs::read(path).unwrap()
    });
    assert!(files[0] == files[1]);
}

/// All files that a kill while finishing may leave: before each step, and in the middle of what each step writes.
fn leftovers(dir: &Path, seconds: u64, inserts: bool, mut check: impl FnMut(&Path)) -> usize {
    let (path, torn) = (dir.join("killed.mp4"), dir.join("torn.mp4"));
    let (mut before, mut count): (Option<Vec<u8>>, usize) = (None, 0);
    for last in 0.. {
        let mut steps = Until { last, done: 0, inserts };
        let finished = writer(&path, movie(), seconds).finish_in(seconds * S, &mut steps);
        check(&path);
        count += 1;
        let after = fs::read(&path).unwrap();
        if let Some(before) = before.filter(|before| before.len() <= after.len()) {
            // Not where blocks were inserted: that is one step for the kernel.
            let is_moved = before.len() < after.len() && after.ends_with(&before[before.len() - 1000..]);
            let common = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
            let changed = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            if !is_moved && changed < 1 << 20 {
                // A write of eight bytes happens or does not: only larger ones can be torn.
                let pages = (common + 1..after.len()).filter(|at| at % 4096 == 0).take(40);
                for at in pages.filter(|_| changed + after.len() - before.len() > 4096) {
                    let mut bytes = before.clone();
                    let len = bytes.len().max(at.min(after.len()));
                    bytes.resize(len, 0);
                    bytes[common..at].copy_from_slice(&after[common..at]);
                    if before.len() < after.len() {
                        bytes.truncate(at.max(before.len()));
                    }
                    fs::write(&torn, bytes).unwrap();
                    check(&torn);
                    count += 1;
                }
            }
        }
        before = Some(after);
        if finished.is_ok() {
            return count;
        }
    }
    unreachable!()
}

#[test]
fn a_file_plays_wherever_its_writer_was_killed_while_it_finished_it() {
    let dir = tempfile::tempdir().unwrap();
    for inserts in [can_insert(dir.path()), false] {
        // More than the free front takes.
        let seconds = 400;
        let count = leftovers(dir.path(), seconds, inserts, |path| {
            let is_torn_end = path.ends_with("torn.mp4") && {
                let file = File::open(path).unwrap();
                let end = file.metadata().unwrap().len();
                crate::front::head(&file, end).unwrap().iter().all(|place| place.kind != *b"mdat")
            };
            if is_torn_end {
                // What was appended half is no whole box: players stop there, and the fragments before it are read.
                let growing = Growing::open(path).unwrap().unwrap();
                assert_eq!(growing.fragments() as u64, seconds);
            } else {
                is_whole(path, seconds);
            }
            // And whoever goes on with it makes it ordinary, or goes on with it.
            match settle(path).unwrap() {
                Settled::Finished(size) => {
                    assert_eq!(size, fs::metadata(path).unwrap().len());
                    assert_eq!(kinds(path), ["ftyp", "moov", "free", "mdat"]);
                    is_whole(path, seconds);
                }
                Settled::Growing => {
                    assert_eq!(Growing::open(path).unwrap().unwrap().fragments() as u64, seconds);
                }
            }
        });
        assert!(count > 10, "{count}");
    }
}

#[test]
fn whoever_is_killed_while_settling_can_be_followed_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    // The first media are moved; killed when the index stands at the end.
    let mut last = 0;
    let half_done = loop {
        let mut steps = Until { last, done: 0, inserts: false };
        let finished = writer(&path, movie(), 200).finish_in(200 * S, &mut steps);
        if kinds(&path) == ["ftyp", "free", "mdat", "moov"] {
            break fs::read(&path).unwrap();
        }
        assert!(finished.is_err());
        last += 1;
    };
    for last in 0.. {
        fs::write(&path, &half_done).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let settled = settle_in(&file, &mut Until { last, done: 0, inserts: false });
        is_whole(&path, 200);
        let size = settle(&path).unwrap();
        assert_eq!(size, Settled::Finished(fs::metadata(&path).unwrap().len()));
        assert_eq!(kinds(&path), ["ftyp", "moov", "free", "mdat"]);
        if settled.is_ok() {
            break;
        }
    }
}

#[test]
fn a_writer_goes_on_behind_any_whole_fragment_wherever_the_file_was_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (path, whole) = (dir.path().join("a.mp4"), dir.path().join("whole.mp4"));
    let mut first = Mp4Writer::create(&path, movie()).unwrap();
    let mut pushed = [0, 0];
    push(&mut first, &mut pushed, 3);
    let mark = first.mark(3).unwrap().unwrap();
    push(&mut first, &mut pushed, 5);
    drop(first);
    let bytes = fs::read(&path).unwrap();
    writer(&whole, movie(), 9).finish(9 * S).unwrap();
    let growing = Growing::open(&path).unwrap().unwrap();
    let third = growing.tables.pieces[2].to as usize;
    for cut in (third..bytes.len()).step_by(13) {
        fs::write(&path, &bytes[..cut]).unwrap();
        let mut again = Mp4Writer::resume(&path, &movie(), 3, mark).unwrap().unwrap();
        assert_eq!(again.seconds(), 3);
        let sounds = Mp4Writer::sounds_in(&movie().audio.unwrap(), 3);
        push(&mut again, &mut [90, sounds], 9);
        again.finish(9 * S).unwrap();
        assert!(fs::read(&path).unwrap() == fs::read(&whole).unwrap(), "cut at {cut}");
    }
    for cut in [0, 10, 20_000, third - 1] {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert!(Mp4Writer::resume(&path, &movie(), 3, mark).unwrap().is_none(), "cut at {cut}");
    }
    // Another file, other tracks, other content.
    fs::write(&path, &bytes).unwrap();
    assert!(Mp4Writer::resume(&path, &sound_only(), 3, mark).unwrap().is_none());
    assert!(Mp4Writer::resume(&path, &movie(), 4, mark).unwrap().is_none());
    let mut other = bytes.clone();
    other[third - 5] ^= 1;
    fs::write(&path, other).unwrap();
    assert!(Mp4Writer::resume(&path, &movie(), 3, mark).unwrap().is_none());
    assert!(Mp4Writer::resume(&whole, &movie(), 3, mark).unwrap().is_none());
}

#[test]
fn a_writer_goes_on_where_another_one_was_killed_while_it_finished() {
    let dir = tempfile::tempdir().unwrap();
    let (path, whole) = (dir.path().join("a.mp4"), dir.path().join("whole.mp4"));
    writer(&whole, movie(), 120).finish(120 * S).unwrap();
    for inserts in [true, false] {
        for last in 0.. {
            let mut first = writer(&path, movie(), 100);
            let mark = first.mark(100).unwrap().unwrap();
            push(&mut first, &mut [3000, Mp4Writer::sounds_in(&movie().audio.unwrap(), 100)], 120);
            let finished = first.finish_in(120 * S, &mut Until { last, done: 0, inserts });
            if let Some(mut again) = Mp4Writer::resume(&path, &movie(), 100, mark).unwrap() {
                push(&mut again, &mut [3000, Mp4Writer::sounds_in(&movie().audio.unwrap(), 100)], 120);
                again.finish(120 * S).unwrap();
            } else {
                assert!(matches!(settle(&path).unwrap(), Settled::Finished(_)), "step {last}");
            }
            is_whole(&path, 120);
            if finished.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn a_snapshot_is_a_whole_file_and_stays_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("a.mp4"), dir.path().join("copy.mp4"));
    let mut writer = Mp4Writer::create(&path, movie()).unwrap();
    let mut growing = Growing::open(&path).unwrap().unwrap();
    assert!(growing.snapshot(1).is_none());
    let mut pushed = [0, 0];
    push(&mut writer, &mut pushed, 70);
    assert_eq!(growing.fragments(), 0);
    growing.read_on().unwrap();
    assert_eq!(growing.fragments(), 70);
    let snapshot = growing.snapshot(60).unwrap();
    assert_eq!((snapshot.length_ns(), snapshot.fragments()), (60 * S, 60));
    let all = |most: usize| {
        let mut bytes = Vec::new();
        while let Some(some) =
            Some(snapshot.read(bytes.len() as u64, most).unwrap()).filter(|some| !some.is_empty())
        {
            bytes.extend_from_slice(&some);
        }
        bytes
    };
    let bytes = all(1000);
    assert_eq!(bytes.len() as u64, snapshot.len());
    fs::write(&copy, &bytes).unwrap();
    assert_eq!(kinds(&copy), ["ftyp", "moov", "mdat"]);
    is_whole(&copy, 60);
    push(&mut writer, &mut pushed, 100);
    assert!(all(1 << 20) == bytes, "it grew, the snapshot did not");
    // The same one can be made again later, and of another reader.
    let later = Growing::open(&path).unwrap().unwrap().snapshot(60).unwrap();
    assert!(later.read(0, usize::MAX).unwrap() == snapshot.read(0, usize::MAX).unwrap());
    writer.finish(100 * S).unwrap();
    let head = snapshot.read(0, usize::MAX).unwrap().len() as u64;
    assert!(snapshot.read(head, 1000).is_err(), "what stands there now are other bytes");
}

#[test]
fn what_is_not_in_the_making_is_not_read_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    let growing = writer(&path, movie(), 3);
    let bytes = fs::read(&path).unwrap();
    drop(growing);
    for cut in 0..17_000 {
        if cut % 97 == 0 || cut < 64 {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(Growing::open(&path).unwrap().is_none_or(|growing| growing.fragments() == 0));
            assert_eq!(settle(&path).unwrap(), Settled::Growing);
        }
    }
    for at in 16_384..17_600 {
        let mut damaged = bytes.clone();
        damaged[at] = 0xff;
        fs::write(&path, damaged).unwrap();
        // It may say anything but must not panic, nor read beyond what is there.
        if let Some(growing) = Growing::open(&path).unwrap() {
            let _ = growing.snapshot(3);
        }
    }
}
