#![allow(clippy::unwrap_used)]

use std::path::Path;

use reelroom_take::{SegmentOpened, Take, TakeHeader, TakeItem, TakeReader};

use super::*;

fn begin(dir: &Path) -> (Capturing, Sink, Instant) {
    let handle = Take::create(dir, TakeHeader::new("EG_1", "room", "RM_1", 0)).unwrap();
    let began = Instant::now();
    let (capturing, sink) = capture(handle, began);
    (capturing, sink, began)
}

fn microphone() -> RecordedTrack {
    RecordedTrack {
        sid: "TR_AM1".into(),
        participant: "PA_1".into(),
        kind: proto::TrackType::Audio,
        source: proto::TrackSource::Microphone,
        codec: Codec::Opus,
        width: 0,
        height: 0,
        muted: false,
        simulcast: false,
    }
}

fn join() -> RecordEvent {
    RecordEvent::ParticipantJoined { sid: "PA_1".into(), identity: "ann".into(), name: "Ann".into() }
}

fn items(dir: &Path) -> Vec<TakeItem> {
    let mut reader = TakeReader::open(dir).unwrap();
    let mut items = Vec::new();
    while reader.ended().is_none() {
        items.extend(reader.poll().unwrap());
    }
    items
}

fn facts(items: &[TakeItem]) -> Vec<&TakeEvent> {
    let facts = items.iter().filter_map(|item| match item {
        TakeItem::Event { event, .. } => Some(event),
        TakeItem::Frame(_) => None,
    });
    facts.collect()
}

#[test]
fn what_happens_in_the_room_stands_in_the_take() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (mut capturing, mut sink, began) = begin(&dir);
    let at = |ms: u64| began + Duration::from_millis(ms);
    sink.event(at(0), join());
    assert!(capturing.news.try_recv().is_err(), "a participant alone is no media");
    sink.event(at(0), RecordEvent::TrackPublished(microphone()));
    assert_eq!(capturing.news.try_recv(), Ok(News::Media));
    let track = TrackSid::from("TR_AM1");
    for n in 0..50_u64 {
        let payload = [0xfc, n as u8];
        let (seq, rtp) = (1_000 + n, 7_000 + n * 960);
        let packet = RecordPacket {
            track: &track,
            ssrc: 5,
            seq,
            rtp,
            marker: false,
            payload: &payload,
            rotation_degrees: None,
        };
        assert_eq!(sink.packet(at(10 + n * 20), &packet), Wish::Nothing);
        capturing.tick(at(10 + n * 20));
    }
    sink.event(at(1_010), RecordEvent::ParticipantLeft("PA_1".into()));
    sink.detached(at(1_020), Detached::RoomClosed);
    assert_eq!(capturing.news.try_recv(), Ok(News::Detached(Detached::RoomClosed)));
    let summary = capturing.finish(at(1_020), EndReason::RoomClosed).unwrap();
    assert_eq!((summary.frames, summary.dropped), (50, 0));

    let items = items(&dir);
    let sound: Vec<_> = items
        .iter()
        .filter_map(|item| match item {
            TakeItem::Frame(frame) => Some((frame.rtp, frame.data[1])),
            TakeItem::Event { .. } => None,
        })
        .collect();
    assert!(sound.iter().copied().eq((0..50).map(|n| (7_000 + n * 960, n as u8))));
    let facts = facts(&items);
    assert!(
        facts.iter().any(|fact| matches!(fact, TakeEvent::ParticipantJoined { name, .. } if name == "Ann"))
    );
    assert!(facts.iter().any(|fact| matches!(fact, TakeEvent::SegmentOpened(SegmentOpened { .. }))));
    let unpublished =
        facts.iter().position(|fact| matches!(fact, TakeEvent::TrackUnpublished { .. })).unwrap();
    let left = facts.iter().position(|fact| matches!(fact, TakeEvent::ParticipantLeft { .. })).unwrap();
    assert!(unpublished < left, "who leaves takes the tracks along");
}

#[test]
fn pictures_without_a_keyframe_make_it_wish_for_one() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, mut sink, began) = begin(&dir);
    let camera = RecordedTrack {
        sid: "TR_VC1".into(),
        kind: proto::TrackType::Video,
        source: proto::TrackSource::Camera,
        codec: Codec::Vp8,
        ..microphone()
    };
    sink.event(began, join());
    sink.event(began, RecordEvent::TrackPublished(camera));
    let track = TrackSid::from("TR_VC1");
    let wishes = (0..20_u64).filter(|n| {
        let packet = RecordPacket {
            track: &track,
            ssrc: 5,
            seq: *n,
            rtp: n * 3_000,
            marker: true,
            payload: &[0x10, 0x01, 0, 0],
            rotation_degrees: Some(90),
        };
        sink.packet(began + Duration::from_millis(n * 33), &packet) == Wish::Keyframe
    });
    assert!(wishes.count() > 0);
    capturing.finish(began + Duration::from_secs(1), EndReason::Stopped).unwrap();
    let items = items(&dir);
    let turned = facts(&items)
        .iter()
        .filter(|fact| matches!(fact, TakeEvent::Orientation { degrees: 90, .. }))
        .count();
    assert_eq!(turned, 1, "said once");
}

#[test]
fn what_comes_after_the_end_is_ignored() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, mut sink, began) = begin(&dir);
    capturing.finish(began + Duration::from_secs(1), EndReason::Stopped).unwrap();
    sink.event(began + Duration::from_secs(2), join());
    sink.event(began + Duration::from_secs(2), RecordEvent::TrackPublished(microphone()));
    sink.detached(began + Duration::from_secs(2), Detached::Stopped);
    assert!(facts(&items(&dir)).iter().all(|fact| matches!(fact, TakeEvent::Ended { .. })));
}
