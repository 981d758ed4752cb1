#![allow(clippy::unwrap_used)]

use std::{fs, io::Write, time::Duration};

use bytes::Bytes;

use super::*;
use crate::{
    Codec, EndReason, Frame, SegmentId, SegmentSpec, Take, TakeFrame, TrackSource,
    testing::{SyntheticTake, opus_spec, vp8_spec},
};

const MS: u64 = 1_000_000;

fn frame(rtp: u64, at_ms: u64) -> Frame {
    Frame { rtp, at_ns: at_ms * MS, keyframe: true, data: Bytes::from(format!("{rtp}@{at_ms}")) }
}

fn drain(reader: &mut TakeReader) -> Vec<TakeItem> {
    let mut all = Vec::new();
    loop {
        let items = reader.poll().unwrap();
        if items.is_empty() {
            return all;
        }
        all.extend(items);
    }
}

fn at(item: &TakeItem) -> u64 {
    match item {
        TakeItem::Event { at_ns, .. } => *at_ns,
        TakeItem::Frame(frame) => frame.at_ns,
    }
}

fn two_tracks() -> SyntheticTake {
    let mut take = SyntheticTake::new("room");
    let ann = take.join(0, "ann", "Ann");
    let mic = take.publish(10 * MS, &ann, TrackSource::Microphone);
    let camera = take.publish(20 * MS, &ann, TrackSource::Camera);
    let sound = take.segment(&mic, opus_spec(1 << 33, 100 * MS));
    let picture = take.segment(&camera, vp8_spec(77, 120 * MS, 64, 48));
    for n in 0..200 {
        take.frame(sound, frame((1 << 33) + n * 960, 100 + n * 20));
        if n % 2 == 0 {
            // Every tenth picture is overtaken on the network by its successor.
            take.frame(picture, frame(77 + n * 1_800, 120 + n * 20 + if n % 20 == 0 { 60 } else { 0 }));
        }
    }
    take.event(1_505 * MS, TakeEvent::Marker { label: "here".into() });
    take
}

#[test]
fn everything_comes_out_in_the_order_of_arrival() {
    let dir = tempfile::tempdir().unwrap();
    two_tracks().write(&dir.path().join("take"), 5_000 * MS).unwrap();
    let mut reader = TakeReader::open(&dir.path().join("take")).unwrap();
    assert_eq!(reader.available_ns(), 5_000 * MS);
    let first = reader.poll().unwrap();
    assert!(at(first.last().unwrap()) <= reader.complete_to_ns() && reader.complete_to_ns() < 1_500 * MS);
    assert_eq!(reader.ended(), None);
    let mut items = first;
    items.extend(drain(&mut reader));
    assert_eq!(items.iter().filter(|item| matches!(item, TakeItem::Frame(_))).count(), 300);
    let late = items.windows(2).filter(|pair| at(&pair[0]) > at(&pair[1])).count();
    assert!(late <= 20, "only the overtaken pictures are out of order: {late}");
    let end = TakeEnd { at_ns: 5_000 * MS, reason: EndReason::Stopped, lost_ns: 0 };
    assert_eq!((reader.ended(), reader.presentable_to_ns()), (Some(end), 5_000 * MS));
    let rtp: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            TakeItem::Frame(frame) if frame.segment == SegmentId(1) => Some(frame.rtp),
            _ => None,
        })
        .collect();
    assert!(rtp.iter().copied().eq((0..100).map(|n| 77 + n * 3_600)), "decoding order");
}

#[test]
fn a_take_read_byte_by_byte_while_it_grows_gives_the_same_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    two_tracks().write(&whole, 5_000 * MS).unwrap();
    let expected = drain(&mut TakeReader::open(&whole).unwrap());

    let growing = dir.path().join("growing");
    fs::create_dir(&growing).unwrap();
    fs::copy(whole.join(HEADER_FILE), growing.join(HEADER_FILE)).unwrap();
    for entry in fs::read_dir(&whole).unwrap() {
        let name = entry.unwrap().file_name();
        // Media may be ahead of the facts by any amount, but never behind a mark.
        if name.to_string_lossy().ends_with(".mkv") {
            fs::copy(whole.join(&name), growing.join(&name)).unwrap();
        }
    }
    let mut facts = File::create(growing.join(EVENTS_FILE)).unwrap();
    let mut reader = TakeReader::open(&growing).unwrap();
    let mut items = Vec::new();
    for chunk in fs::read(whole.join(EVENTS_FILE)).unwrap().chunks(7) {
        facts.write_all(chunk).unwrap();
        items.extend(reader.poll().unwrap());
    }
    assert_eq!(items, expected);
    assert!(reader.ended().is_some());
}

#[test]
fn a_reader_beside_the_writer_sees_exactly_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("take");
    let handle = Take::create(&path, TakeHeader::new("EG_x", "room", "RM_x", 1)).unwrap();
    let mut reader = TakeReader::open(&path).unwrap();
    let writer = std::thread::spawn(move || {
        let mut written = Vec::new();
        let segments = ["TR_a", "TR_b"].map(|track| handle.open_segment(&track.into(), opus_spec(0, 0)));
        for n in 1..400u64 {
            for segment in segments {
                let frame = frame(n * 960, n * 20);
                handle.frame(segment, frame.clone());
                written.push((segment, frame));
            }
            if n % 10 == 0 {
                handle.complete(n * 20 * MS, n * 20 * MS);
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        handle.finish(8_000 * MS, EndReason::RoomClosed).unwrap();
        written
    });
    let mut read = Vec::new();
    let mut polls_with_news = 0;
    while reader.ended().is_none() {
        let items = reader.poll().unwrap();
        polls_with_news += usize::from(!items.is_empty());
        for item in items {
            assert!(reader.ended().is_some() || at(&item) <= reader.complete_to_ns());
            if let TakeItem::Frame(f) = item {
                let TakeFrame { segment, rtp, at_ns, keyframe, data, .. } = f;
                read.push((segment, Frame { rtp, at_ns, keyframe, data }));
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let written = writer.join().unwrap();
    assert!(polls_with_news > 3, "{polls_with_news}");
    assert_eq!(read.len(), written.len());
    assert!(read == written);
}

#[test]
fn what_a_newer_program_wrote_is_skipped_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("take");
    let mut take = SyntheticTake::new("room");
    let ann = take.join(0, "ann", "Ann");
    let track = take.publish(0, &ann, TrackSource::Camera);
    let segment = take.segment(&track, SegmentSpec { codec: Codec::Unknown, ..vp8_spec(0, 0, 1, 1) });
    take.frame(segment, frame(0, 1));
    take.event(5, TakeEvent::Unknown);
    take.write(&path, MS).unwrap();
    let items = drain(&mut TakeReader::open(&path).unwrap());
    assert_eq!(items.len(), 3, "{items:?}");
    let mut header: serde_json::Value =
        serde_json::from_slice(&fs::read(path.join(HEADER_FILE)).unwrap()).unwrap();
    header["format"] = 99.into();
    fs::write(path.join(HEADER_FILE), header.to_string()).unwrap();
    assert!(matches!(TakeReader::open(&path), Err(TakeError::TooNew { found: 99 })));
    assert!(matches!(TakeReader::open(dir.path()), Err(TakeError::NotFound(_))));
}

#[test]
fn a_mark_at_the_end_of_time_does_not_hide_the_end() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    SyntheticTake::new("room").write(&dir, 5).unwrap();
    let facts = fs::read_to_string(dir.join(EVENTS_FILE)).unwrap();
    let mark = EventLine { at: u64::MAX, event: TakeEvent::Complete { to_ns: u64::MAX } }.to_line();
    fs::write(dir.join(EVENTS_FILE), [&mark, facts.as_bytes()].concat()).unwrap();
    let mut reader = TakeReader::open(&dir).unwrap();
    for _ in 0..2 {
        reader.poll().unwrap();
    }
    assert!(reader.ended().is_some());
}
