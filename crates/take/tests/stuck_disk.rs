//! A disk that is stuck for a while: nobody waits, what does not fit is a gap, and the take goes on.

#![allow(clippy::unwrap_used)]

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use reelroom_take::{
    CaptureConfig, Codec, EndReason, Packet, Take, TakeEvent, TakeHeader, TakeItem, TakeOptions, TakeReader,
    TakeRecorder, Wish,
};

/// A picture of VP8 in one packet.
fn picture(number: u64, keyframe: bool) -> Vec<u8> {
    let mut payload = vec![0x10, if keyframe { 0x10 } else { 0x11 }, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0];
    payload.resize(2_000, number as u8);
    payload
}

#[test]
#[ignore = "needs a file system that can be frozen: STUCK_DISK=/its/mount/point"]
fn what_a_stuck_disk_does_not_take_is_a_gap_and_a_keyframe_is_asked_for() {
    let disk = PathBuf::from(std::env::var_os("STUCK_DISK").expect("the test was asked for"));
    let dir = disk.join("take");
    let options = TakeOptions { queue_bytes: 100_000, ..TakeOptions::default() };
    let handle =
        Take::create_with(&dir, TakeHeader::new("EG_stuck", "room", "RM_stuck", 0), options).unwrap();
    let watch = handle.watch();
    let mut recorder = TakeRecorder::new(handle);
    assert!(recorder.add_track("TR_v".into(), CaptureConfig::new(Codec::Vp8)));
    let fsfreeze = |flag: &str| Command::new("fsfreeze").arg(flag).arg(&disk).status().unwrap().success();
    let began = Instant::now();
    let (mut slowest, mut stuck, mut wishes, mut wants_keyframe) = (Duration::ZERO, Duration::ZERO, 0, true);
    for number in 0..300u64 {
        match number {
            60 => assert!(fsfreeze("-f")),
            210 => assert!(fsfreeze("-u")),
            _ => {}
        }
        let payload = picture(number, std::mem::take(&mut wants_keyframe));
        let packet = Packet { ssrc: 1, seq: number, rtp: number * 3000, marker: true, payload: &payload };
        let called = Instant::now();
        let at_ns = began.elapsed().as_nanos() as u64;
        if recorder.packet(at_ns, &"TR_v".into(), &packet) == Wish::Keyframe {
            wishes += 1;
            wants_keyframe = true;
        }
        slowest = slowest.max(called.elapsed());
        stuck = stuck.max(watch.disk_use(Instant::now()).unwrap().stuck_for);
        std::thread::sleep(Duration::from_millis(33).saturating_sub(called.elapsed()));
    }
    println!("the slowest call took {slowest:?}; the disk was seen stuck for {stuck:?}");
    let summary = recorder.finish(began.elapsed().as_nanos() as u64, EndReason::Stopped).unwrap();
    assert!(slowest < Duration::from_millis(200), "{slowest:?}");
    assert!(stuck > Duration::from_secs(4), "{stuck:?}");
    // After one that is dropped, those that need it are not even handed over.
    assert!(summary.dropped > 0 && summary.frames < 250 && wishes > 0, "{summary:?}, {wishes} wishes");
    assert_eq!(watch.disk_use(Instant::now()), None, "it has ended");

    let mut reader = TakeReader::open(&dir).unwrap();
    let (mut gaps, mut after, mut last_ns) = (0, None, 0);
    while reader.ended().is_none() {
        for item in reader.poll().unwrap() {
            match item {
                TakeItem::Event { event: TakeEvent::Gap { missing, .. }, .. } => gaps += missing,
                TakeItem::Frame(frame) => {
                    if frame.at_ns > last_ns + 2_000_000_000 {
                        after = Some(frame.keyframe);
                    }
                    last_ns = frame.at_ns;
                }
                TakeItem::Event { .. } => {}
            }
        }
    }
    assert!(gaps > 0, "{gaps} of {summary:?}");
    assert_eq!(after, Some(true), "the first picture after the gap can be decoded");
    std::fs::remove_dir_all(dir).unwrap();
}
