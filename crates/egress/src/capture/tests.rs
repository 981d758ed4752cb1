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

fn published(sid: &str, source: proto::TrackSource, codec: Codec) -> Fact {
    let kind = if codec == Codec::Opus { proto::TrackType::Audio } else { proto::TrackType::Video };
    let info = proto::TrackInfo {
        sid: sid.to_owned(),
        r#type: kind.into(),
        source: source.into(),
        ..Default::default()
    };
    Fact::TrackPublished { participant: "PA_1".into(), info: Box::new(info), codec }
}

fn microphone() -> Fact {
    published("TR_AM1", proto::TrackSource::Microphone, Codec::Opus)
}

fn join() -> Fact {
    Fact::ParticipantJoined { sid: "PA_1".into(), identity: "ann".into(), name: "Ann".into() }
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
    sink.fact(at(0), &join());
    assert!(capturing.news.try_recv().is_err(), "a participant alone is no media");
    sink.fact(at(0), &microphone());
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
    sink.fact(at(1_010), &Fact::ParticipantLeft("PA_1".into()));
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
    sink.fact(began, &join());
    sink.fact(began, &published("TR_VC1", proto::TrackSource::Camera, Codec::Vp8));
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
    sink.fact(began + Duration::from_secs(2), &join());
    sink.fact(began + Duration::from_secs(2), &microphone());
    sink.detached(began + Duration::from_secs(2), Detached::Stopped);
    assert!(facts(&items(&dir)).iter().all(|fact| matches!(fact, TakeEvent::Ended { .. })));
}

#[test]
fn a_track_that_comes_again_in_another_codec_has_a_file_for_each() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, mut sink, began) = begin(&dir);
    let at = |ms: u64| began + Duration::from_millis(ms);
    let track = TrackSid::from("TR_VC1");
    sink.fact(at(0), &join());
    let h264 = [0x78, 0, 5, 0x67, 0x42, 0xe0, 0x1f, 0x80, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88];
    let vp8 = [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
    for (n, codec) in [Codec::H264, Codec::Vp8].into_iter().enumerate() {
        let n = n as u64;
        sink.fact(at(n * 100), &published("TR_VC1", proto::TrackSource::Camera, codec));
        let packet = RecordPacket {
            track: &track,
            ssrc: 5,
            seq: n,
            rtp: n * 9_000,
            marker: true,
            payload: if codec == Codec::H264 { &h264 } else { &vp8 },
            rotation_degrees: None,
        };
        sink.packet(at(n * 100 + 10), &packet);
        sink.fact(at(n * 100 + 90), &Fact::TrackUnpublished(track.clone()));
    }
    capturing.finish(at(300), EndReason::Stopped).unwrap();
    let items = items(&dir);
    let codecs: Vec<_> = facts(&items)
        .into_iter()
        .filter_map(|fact| match fact {
            TakeEvent::SegmentOpened(opened) => Some(opened.codec),
            _ => None,
        })
        .collect();
    assert_eq!(codecs, [take::Codec::H264, take::Codec::Vp8]);
}

#[test]
fn a_change_of_layout_stands_in_the_take_until_its_end() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, _sink, began) = begin(&dir);
    let notes = capturing.notes();
    assert!(notes.layout(began + Duration::from_millis(1_500), "speaker-light"));
    capturing.finish(began + Duration::from_secs(2), EndReason::Stopped).unwrap();
    assert!(!notes.layout(began + Duration::from_secs(3), "grid"));
    let changes: Vec<_> = items(&dir)
        .into_iter()
        .filter_map(|item| match item {
            TakeItem::Event { at_ns, event: TakeEvent::Layout { layout } } => Some((at_ns, layout)),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(1_500_000_000, "speaker-light".to_owned())]);
}

#[test]
fn an_encrypted_track_is_named_and_nothing_of_it_is_written() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, mut sink, began) = begin(&dir);
    sink.fact(began, &join());
    let mut fact = microphone();
    if let Fact::TrackPublished { info, .. } = &mut fact {
        info.encryption = proto::encryption::Type::Gcm.into();
    }
    sink.fact(began, &fact);
    let track = TrackSid::from("TR_AM1");
    for n in 0..20_u64 {
        let packet = RecordPacket {
            track: &track,
            ssrc: 5,
            seq: n,
            rtp: n * 960,
            marker: false,
            payload: &[0xfc, 1, 2],
            rotation_degrees: None,
        };
        assert_eq!(sink.packet(began + Duration::from_millis(n * 20), &packet), Wish::Nothing);
    }
    assert!(!sink.wants_keyframe(&track));
    capturing.finish(began + Duration::from_secs(1), EndReason::Stopped).unwrap();
    let items = items(&dir);
    assert!(!items.iter().any(|item| matches!(item, TakeItem::Frame(_))));
    let left_out = facts(&items).into_iter().any(|fact| {
        matches!(fact, TakeEvent::LeftOut { track, why: LeftOutWhy::Encrypted, .. } if track.as_str() == "TR_AM1")
    });
    assert!(left_out);
}

/// Brings packets of sound numbered from `from` until before `to`, 20 ms each, with their number in them.
fn speaks(sink: &mut Sink, capturing: &Capturing, began: Instant, from: u64, to: u64) {
    let track = TrackSid::from("TR_AM1");
    for n in from..to {
        let at = began + Duration::from_millis(n * 20);
        let packet = RecordPacket {
            track: &track,
            ssrc: 5,
            seq: 1_000 + n,
            rtp: 7_000 + n * 960,
            marker: false,
            payload: &[0xfc, n as u8],
            rotation_degrees: None,
        };
        assert_eq!(sink.packet(at, &packet), Wish::Nothing);
        capturing.tick(at);
    }
}

fn answers(agrees: bool, unix_ms: i64) -> Fact {
    Fact::Consent { sid: "PA_1".into(), answer: Answer { agrees, unix_ms } }
}

/// Numbers of the packets that are in a take.
fn heard(items: &[TakeItem]) -> Vec<u64> {
    let number = |item: &TakeItem| match item {
        TakeItem::Frame(frame) => Some(u64::from(frame.data[1])),
        TakeItem::Event { .. } => None,
    };
    items.iter().filter_map(number).collect()
}

#[test]
fn a_participant_is_captured_from_their_consent_until_they_take_it_back() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, mut sink, began) = begin(&dir);
    let at = |n: u64| began + Duration::from_millis(n * 20);
    sink.fact(at(0), &Fact::ConsentAsked);
    sink.fact(at(0), &join());
    sink.fact(at(0), &microphone());
    speaks(&mut sink, &capturing, began, 0, 50);
    sink.fact(at(50), &answers(true, 1_000));
    speaks(&mut sink, &capturing, began, 50, 100);
    sink.fact(at(100), &answers(false, 2_000));
    speaks(&mut sink, &capturing, began, 100, 150);
    sink.fact(at(150), &answers(true, 3_000));
    speaks(&mut sink, &capturing, began, 150, 200);
    capturing.finish(at(200), EndReason::Stopped).unwrap();
    let items = items(&dir);
    assert_eq!(heard(&items), (50..100).chain(150..200).collect::<Vec<_>>());
    let told: Vec<String> = facts(&items)
        .into_iter()
        .filter_map(|fact| match fact {
            TakeEvent::ConsentAsked => Some("asked".to_owned()),
            TakeEvent::Consent { agrees, unix_ms, .. } => Some(format!("{agrees} {unix_ms}")),
            TakeEvent::LeftOut { why, .. } => Some(format!("{why:?}")),
            TakeEvent::LeftOutUntil { .. } => Some("until".to_owned()),
            _ => None,
        })
        .collect();
    let expected =
        ["asked", "NotAgreed", "true 1000", "until", "false 2000", "Declined", "true 3000", "until"];
    assert_eq!(told, expected);
}

#[test]
fn what_came_before_somebody_agreed_is_not_captured_though_it_is_brought_later() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, mut sink, began) = begin(&dir);
    sink.fact(began, &Fact::ConsentAsked);
    sink.fact(began, &join());
    sink.fact(began, &microphone());
    sink.fact(began + Duration::from_millis(1_000), &answers(true, 1_000));
    speaks(&mut sink, &capturing, began, 45, 100);
    capturing.finish(began + Duration::from_secs(2), EndReason::Stopped).unwrap();
    assert_eq!(heard(&items(&dir)), (50..100).collect::<Vec<_>>());
}

#[test]
fn who_declines_leaves_neither_sound_nor_picture_nor_when_they_spoke() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, mut sink, began) = begin(&dir);
    sink.fact(began, &Fact::ConsentAsked);
    sink.fact(began, &join());
    sink.fact(began, &answers(false, 1_000));
    sink.fact(began, &microphone());
    sink.fact(began, &published("TR_VC1", proto::TrackSource::Camera, Codec::Vp8));
    speaks(&mut sink, &capturing, began, 0, 50);
    let track = TrackSid::from("TR_VC1");
    let keyframe = RecordPacket {
        track: &track,
        ssrc: 6,
        seq: 1,
        rtp: 1,
        marker: true,
        payload: &[0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00],
        rotation_degrees: Some(90),
    };
    assert_eq!(sink.packet(began, &keyframe), Wish::Nothing);
    assert!(!sink.wants_keyframe(&track), "nothing is asked of them");
    sink.sender_report(began, &track, 6, NtpTime(1), 1);
    let speakers = vec![("PA_1".into(), 0.5), ("PA_2".into(), 0.4)];
    sink.fact(began, &Fact::Speakers(speakers));
    capturing.finish(began + Duration::from_secs(1), EndReason::Stopped).unwrap();
    let items = items(&dir);
    assert!(heard(&items).is_empty());
    for fact in facts(&items) {
        let is_left = matches!(
            fact,
            TakeEvent::SegmentOpened(_) | TakeEvent::Orientation { .. } | TakeEvent::SenderReport { .. }
        );
        assert!(!is_left, "{fact:?}");
        if let TakeEvent::Speakers { speakers } = fact {
            assert!(speakers.is_empty(), "nobody of these has agreed");
        }
    }
    let left_out = facts(&items)
        .into_iter()
        .filter(|fact| matches!(fact, TakeEvent::LeftOut { why: LeftOutWhy::Declined, .. }));
    assert_eq!(left_out.count(), 2);
    let mut files = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().file_name());
    assert!(files.all(|name| !name.to_string_lossy().ends_with(".mkv")), "no file of media");
}

#[test]
fn a_room_that_begins_to_ask_ends_the_capture_of_all_who_have_not_agreed() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("EG_1");
    let (capturing, mut sink, began) = begin(&dir);
    let at = |n: u64| began + Duration::from_millis(n * 20);
    sink.fact(at(0), &join());
    sink.fact(at(0), &microphone());
    speaks(&mut sink, &capturing, began, 0, 50);
    sink.fact(at(50), &Fact::ConsentAsked);
    speaks(&mut sink, &capturing, began, 50, 100);
    // Another session of the same participant says so anew.
    sink.fact(at(100), &answers(true, 1_000));
    sink.fact(at(100), &Fact::ParticipantLeft("PA_1".into()));
    sink.fact(at(100), &join());
    sink.fact(at(100), &microphone());
    speaks(&mut sink, &capturing, began, 100, 150);
    capturing.finish(at(150), EndReason::Stopped).unwrap();
    assert_eq!(heard(&items(&dir)), (0..50).collect::<Vec<_>>());
}
