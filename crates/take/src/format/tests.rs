#![allow(clippy::unwrap_used)]

use super::*;

fn round_trip(event: TakeEvent) -> String {
    let line = EventLine { at: 1_200_000, event };
    let bytes = line.to_line();
    assert_eq!(EventLine::parse(&bytes[..bytes.len() - 1]).unwrap(), line);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_fact_is_one_readable_line() {
    assert_eq!(
        round_trip(TakeEvent::Marker { label: "a\nb".into() }),
        "{\"at\":1200000,\"event\":\"marker\",\"label\":\"a\\nb\"}\n"
    );
    assert_eq!(round_trip(TakeEvent::Pause), "{\"at\":1200000,\"event\":\"pause\"}\n");
    assert_eq!(
        round_trip(TakeEvent::Suspended { unix_ns: 7 }),
        "{\"at\":1200000,\"event\":\"suspended\",\"unix_ns\":7}\n"
    );
    assert_eq!(round_trip(TakeEvent::Resumed), "{\"at\":1200000,\"event\":\"resumed\"}\n");
}

#[test]
fn every_bit_of_a_sender_report_survives() {
    let line = round_trip(TakeEvent::SenderReport {
        track: "TR_a".into(),
        segment: SegmentId(3),
        ntp: u64::MAX - 1,
        rtp: (1 << 40) + 1,
    });
    assert!(line.contains("18446744073709551614"), "{line}");
}

#[test]
fn a_segment_carries_its_codec_private_as_hex() {
    let line = round_trip(TakeEvent::SegmentOpened(SegmentOpened {
        segment: SegmentId(0),
        track: "TR_a".into(),
        file: "TR_a-0.mkv".into(),
        codec: Codec::H264,
        clock_rate_hz: 90_000,
        first_rtp: 77,
        first_at_ns: 5,
        width: 640,
        height: 360,
        codec_private: vec![1, 0xff, 0],
    }));
    assert!(line.contains("\"codec_private\":\"01ff00\""), "{line}");
}

#[test]
fn speakers_round_trip() {
    round_trip(TakeEvent::Speakers { speakers: vec![Speaker { participant: "PA_x".into(), level: 0.25 }] });
}

#[test]
fn facts_fields_and_values_of_a_newer_version_are_tolerated() {
    let newer = EventLine::parse(br#"{"at":7,"event":"hologram","depth":[1,2,{"x":null}]}"#).unwrap();
    assert_eq!(newer, EventLine { at: 7, event: TakeEvent::Unknown });
    let field =
        EventLine::parse(br#"{"event":"track_muted","colour":"red","track":"TR_a","muted":true,"at":8}"#)
            .unwrap();
    assert_eq!(field.event, TakeEvent::TrackMuted { track: "TR_a".into(), muted: true });
    let value = EventLine::parse(br#"{"at":9,"event":"ended","reason":"eaten by a bear"}"#).unwrap();
    assert_eq!(value.event, TakeEvent::Ended { reason: EndReason::Other, lost_ns: 0 });
}

#[test]
fn what_somebody_said_to_being_recorded_is_a_readable_line() {
    let said = TakeEvent::Consent { participant: "PA_x".into(), agrees: false, unix_ms: 1_800_000_000_000 };
    assert_eq!(
        round_trip(said),
        "{\"at\":1200000,\"event\":\"consent\",\"participant\":\"PA_x\",\"agrees\":false,\"unix_ms\":1800000000000}\n"
    );
    assert_eq!(round_trip(TakeEvent::ConsentAsked), "{\"at\":1200000,\"event\":\"consent_asked\"}\n");
    let why = |why| TakeEvent::LeftOut { track: "TR_a".into(), why, from_ns: 1 };
    assert!(round_trip(why(LeftOutWhy::NotAgreed)).contains("\"not_agreed\""));
    assert!(round_trip(why(LeftOutWhy::Declined)).contains("\"declined\""));
}

#[test]
fn damaged_lines_are_no_facts() {
    for line in [&b"{\"at\":1,\"event\":\"mark"[..], b"", b"\0\0\0\0", b"{}", b"[1]"] {
        assert_eq!(EventLine::parse(line), None);
    }
}

#[test]
fn a_gap_of_a_take_that_knew_no_causes_is_one_of_the_network() {
    let old = br#"{"at":9,"event":"gap","track":"TR_a","from_ns":1,"to_ns":2,"missing":3}"#;
    let gap = |cause| TakeEvent::Gap { track: "TR_a".into(), from_ns: 1, to_ns: 2, missing: 3, cause };
    assert_eq!(EventLine::parse(old), Some(EventLine { at: 9, event: gap(GapCause::Network) }));
    let new = EventLine { at: 9, event: gap(GapCause::Disk) };
    assert_eq!(EventLine::parse(new.to_line().trim_ascii_end()), Some(new));
}
