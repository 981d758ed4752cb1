//! A full disk ends the take; everything before is kept, and it is said.

#![allow(clippy::unwrap_used)]

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use reelroom_take::{
    Codec, EndReason, Frame, SegmentSpec, Take, TakeError, TakeHeader, TakeItem, TakeReader, TakeState,
};

#[test]
#[ignore = "needs an empty file system of about 1 MB: SMALL_DISK=/its/mount/point"]
fn a_full_disk_ends_the_take_with_everything_before_kept() {
    let dir = PathBuf::from(std::env::var_os("SMALL_DISK").expect("the test was asked for")).join("take");
    let handle = Take::create(&dir, TakeHeader::new("EG_full", "room", "RM_full", 0)).unwrap();
    let spec = SegmentSpec {
        codec: Codec::Opus,
        clock_rate_hz: 48_000,
        first_rtp: 0,
        first_at_ns: 0,
        width: 0,
        height: 0,
        codec_private: Vec::new(),
    };
    let segment = handle.open_segment(&"TR_x".into(), spec);
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut handed = 0;
    while handle.state() == TakeState::Recording && Instant::now() < deadline {
        handed += 1;
        let at_ns = handed * 20_000_000;
        let data = vec![handed as u8; 3_000].into();
        handle.frame(segment, Frame { rtp: handed * 960, at_ns, keyframe: true, data });
        handle.complete(at_ns, at_ns);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(
        matches!(handle.state(), TakeState::Failed { reason: EndReason::DiskFull, .. }),
        "{:?}",
        handle.state()
    );
    let summary = handle.summary();
    assert!(matches!(handle.finish(handed * 20_000_000, EndReason::Stopped), Err(TakeError::DiskFull)));
    let mut reader = TakeReader::open(&dir).unwrap();
    let mut frames = 0;
    while reader.ended().is_none() {
        let items = reader.poll().unwrap();
        assert!(!items.is_empty() || reader.ended().is_some(), "the end could be written");
        frames += items.iter().filter(|item| matches!(item, TakeItem::Frame(_))).count() as u64;
    }
    assert_eq!(reader.ended().unwrap().reason, EndReason::DiskFull);
    assert!(frames + 20 >= summary.frames && frames > 100, "{frames} of {summary:?}");
    std::fs::remove_dir_all(dir).unwrap();
}
