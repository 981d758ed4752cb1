#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Codec, Take, TakeHeader, TakeItem, TakeReader};

const MS: u64 = 1_000_000;

#[test]
fn packets_of_two_tracks_become_a_take() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("take");
    let handle = Take::create(&dir, TakeHeader::new("EG_x", "room", "RM_x", 1)).unwrap();
    let mut recorder = TakeRecorder::new(handle);
    let (mic, camera) = (TrackId::from("TR_mic"), TrackId::from("TR_cam"));
    assert!(recorder.add_track(mic.clone(), CaptureConfig::new(Codec::Opus)));
    assert!(recorder.add_track(camera.clone(), CaptureConfig::new(Codec::Vp8)));
    assert!(!recorder.add_track("TR_new".into(), CaptureConfig::new(Codec::Unknown)));
    let key = [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0];
    let mut wishes = 0;
    for n in 0..100u64 {
        let now = n * 20 * MS;
        let sound = Packet { ssrc: 1, seq: n, rtp: n * 960, marker: false, payload: b"\x78opus" };
        assert_eq!(recorder.packet(now, &mic, &sound), Wish::Nothing);
        // The camera loses its 50th packet and sends a keyframe 20 packets later.
        let payload = if n == 0 || n == 70 { &key[..] } else { &[0x10, 0x11, n as u8] };
        let picture = Packet { ssrc: 2, seq: n, rtp: n * 1_800, marker: true, payload };
        if n != 50 && recorder.packet(now + MS, &camera, &picture) == Wish::Keyframe {
            wishes += 1;
        }
        if n == 30 {
            recorder.sender_report(now, &camera, 5 << 32, 31 * 1_800);
            recorder.sender_report(now, &camera, 5 << 32, 0x8000_0000);
            recorder.event(now, TakeEvent::Pause);
        }
    }
    recorder.event(2_000 * MS, TakeEvent::TrackUnpublished { track: mic.clone() });
    let summary = recorder.finish(2_100 * MS, EndReason::Stopped).unwrap();
    assert_eq!((summary.dropped, wishes), (0, 3), "at first, and twice while the hole is waited for");
    let mut reader = TakeReader::open(&dir).unwrap();
    let (mut sound, mut pictures, mut gaps, mut reports) = (0, 0, 0, 0);
    while reader.ended().is_none() {
        for item in reader.poll().unwrap() {
            match item {
                TakeItem::Frame(frame) if frame.track == mic => sound += 1,
                TakeItem::Frame(_) => pictures += 1,
                TakeItem::Event { event: TakeEvent::Gap { missing: 1, .. }, .. } => gaps += 1,
                TakeItem::Event { event: TakeEvent::SenderReport { rtp: 55_800, .. }, .. } => reports += 1,
                TakeItem::Event { .. } => {}
            }
        }
    }
    assert_eq!((sound, pictures, gaps, reports), (100, 50 + 30, 1, 1));
}
