#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::*;
use crate::{GapCause, TakeItem, TakeReader, testing::opus_spec};

fn header() -> TakeHeader {
    TakeHeader::new("EG_x", "Räume/..\u{1F3A5}", "RM_x", 1)
}

fn frame(n: u64, len: usize) -> Frame {
    Frame { rtp: n * 960, at_ns: n * 20_000_000, keyframe: true, data: vec![n as u8; len].into() }
}

fn read_all(dir: &Path) -> Vec<TakeItem> {
    let mut reader = TakeReader::open(dir).unwrap();
    let mut items = Vec::new();
    while reader.ended().is_none() {
        items.extend(reader.poll().unwrap());
    }
    items
}

#[test]
fn what_the_queue_cannot_take_is_dropped_counted_and_recorded_as_a_gap() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    let options = TakeOptions { queue_bytes: 1_000, queue_entries: 100 };
    let handle = Take::create_with(&dir, header(), options).unwrap();
    let segment = handle.open_segment(&"TR_a".into(), opus_spec(0, 0));
    let deadline = Instant::now() + Duration::from_secs(5);
    while handle.summary().bytes == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(handle.frame(segment, frame(0, 10)), Sent::Queued);
    assert_eq!(handle.frame(segment, frame(1, 2_000)), Sent::Dropped);
    assert_eq!(handle.frame(segment, frame(2, 2_000)), Sent::Dropped);
    let summary = handle.finish(100_000_000, EndReason::Stopped).unwrap();
    assert_eq!((summary.frames, summary.dropped), (1, 2));
    let items = read_all(&dir);
    // The writer may come by between the two: then there are two gaps of one frame.
    let (mut lost, mut from, mut to) = (0, u64::MAX, 0);
    for item in &items {
        if let TakeItem::Event {
            event: TakeEvent::Gap { track, from_ns, to_ns, missing, cause: GapCause::Disk },
            ..
        } = item
        {
            assert_eq!(track.as_str(), "TR_a");
            (lost, from, to) = (lost + missing, from.min(*from_ns), to.max(*to_ns));
        }
    }
    assert_eq!((lost, from, to), (2, 20_000_000, 40_000_000), "{items:?}");
}

#[test]
fn a_writer_that_fails_ends_the_take_and_says_so() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    let handle = Take::create(&dir, header()).unwrap();
    let segment = handle.open_segment(&"TR_a".into(), opus_spec(0, 0));
    handle.frame(segment, frame(0, 10));
    handle.complete(1, 1);
    // The next segment's name is taken: it cannot be created.
    fs::write(dir.join("TR_b-1.mkv"), b"").unwrap();
    handle.open_segment(&"TR_b".into(), opus_spec(0, 0));
    handle.event(5, TakeEvent::Pause);
    let deadline = Instant::now() + Duration::from_secs(5);
    while handle.state() == TakeState::Recording && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(
        matches!(handle.state(), TakeState::Failed { reason: EndReason::WriteFailed, .. }),
        "{:?}",
        handle.state()
    );
    assert_eq!(handle.frame(segment, frame(1, 10)), Sent::Dropped);
    assert!(matches!(handle.finish(9, EndReason::Stopped), Err(TakeError::Failed(_))));
    let items = read_all(&dir);
    assert_eq!(items.iter().filter(|item| matches!(item, TakeItem::Frame(_))).count(), 1);
}

#[test]
fn a_take_without_finish_has_no_end_and_other_handles_are_deaf_after_finish() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    drop(Take::create(&dir, header()).unwrap());
    assert_eq!(TakeReader::open(&dir).unwrap().ended(), None);
    let handle = Take::create(&root.path().join("other"), header()).unwrap();
    let other = handle.clone();
    handle.finish(7, EndReason::Stopped).unwrap();
    assert_eq!(other.event(8, TakeEvent::Pause), Sent::Dropped);
    assert_eq!(other.state(), TakeState::Ended);
    assert_eq!(other.finish(9, EndReason::Stopped).unwrap().dropped, 0);
}

#[test]
fn a_track_name_cannot_leave_the_take() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    let handle = Take::create(&dir, header()).unwrap();
    let segment = handle.open_segment(&"../../etc/päss".into(), opus_spec(0, 0));
    handle.frame(segment, frame(0, 10));
    handle.finish(1, EndReason::Stopped).unwrap();
    assert!(dir.join("______etc_p_ss-0.mkv").is_file());
}
