use super::*;

fn described(bytes: &[u8]) -> Recording {
    let mut recording = Recording::named("a.mp4");
    Sidecar::parse(bytes).unwrap().describe(&mut recording);
    recording
}

#[test]
fn livekits_manifest_is_read() {
    let manifest = br#"{"egress_id":"EG_1","room_id":"RM_1","room_name":"Test Room","started_at":1767262210123456789,
        "ended_at":1767262220123456789,"publisher_identity":"","files":[{"filename":"recordings/a.mp4","location":"s3"}]}"#;
    let recording = described(manifest);
    assert_eq!((recording.id.as_str(), recording.room_name.as_str()), ("EG_1", "Test Room"));
    assert_eq!((recording.started_at_ms, recording.duration_ms), (1_767_262_210_123, None));
    assert_eq!(
        described(br#"{"egress_id":"EG_1","started_at":"1767262210123456789"}"#).started_at_ms,
        1_767_262_210_123
    );
}

#[test]
fn ours_is_read_as_it_was_written() {
    let sidecar = Sidecar {
        egress_id: "EG_2".into(),
        room_name: "räume".into(),
        started_at: 5_000_000,
        duration_ns: Some(7_000_000),
        sha256: Some("ab".into()),
        recovered: Some(true),
        lost_ns: Some(9_000_000),
        consents: serde_json::json!([{ "identity": "ann", "answer": "agreed" }]),
        suspended: serde_json::json!([{ "from_ns": 4, "to_ns": 7 }]),
        ..Sidecar::default()
    };
    let recording = described(&sidecar.to_json());
    let read = Sidecar::parse(&sidecar.to_json()).unwrap();
    assert_eq!((read.consents, read.suspended), (sidecar.consents.clone(), sidecar.suspended.clone()));
    assert_eq!((recording.room_name.as_str(), recording.started_at_ms), ("räume", 5));
    assert_eq!((recording.duration_ms, recording.lost_ms, recording.recovered), (Some(7), 9, true));
    assert_eq!(recording.sha256.as_deref(), Some("ab"));
}

#[test]
fn the_advanced_tutorials_metadata_is_read() {
    let metadata =
        br#"{"id":"EG_3","name":"a.mp4","roomName":"R","roomId":"RM_3","startedAt":1767262210123.4567,
        "duration":12.5,"size":100}"#;
    let mut recording = Recording::named("a.mp4");
    describe_advanced(metadata, &mut recording).unwrap();
    assert_eq!((recording.id.as_str(), recording.room_id.as_str()), ("EG_3", "RM_3"));
    assert_eq!((recording.started_at_ms, recording.duration_ms), (1_767_262_210_123, Some(12_500)));
    assert_eq!(advanced("Test Room-RM_x.mp4"), ".metadata/Test Room-RM_x.json");
}

#[test]
fn other_json_describes_nothing() {
    for bytes in [&b"{}"[..], b"[]", b"nonsense", b"{\"egress_id\":7}", b""] {
        assert!(Sidecar::parse(bytes).is_none(), "{bytes:?}");
        assert!(describe_advanced(bytes, &mut Recording::named("a.mp4")).is_none());
    }
}

#[test]
fn a_bare_files_name_tells_its_room_and_time() {
    let by_name = |name: &str| {
        let mut recording = Recording::named(name);
        describe_by_name(&mut recording);
        (recording.room_name, recording.room_id, recording.started_at_ms)
    };
    let at = 1_767_262_210_000;
    assert_eq!(by_name("Test-Room-RM_x-2026-01-01T101010.mp4"), ("Test-Room".into(), "RM_x".into(), at));
    assert_eq!(by_name("sub/räume 💥-2026-01-01T101010.mp4"), ("räume 💥".into(), String::new(), at));
    for other in
        ["holiday.mp4", "2026-01-01T101010.mp4", "x-2026-13-01T101010.mp4", "é.mp4", "éééééééé-x.mp4"]
    {
        assert_eq!(by_name(other), (String::new(), String::new(), 0), "{other}");
    }
}

#[test]
fn only_mp4s_are_recordings() {
    assert!(is_recording("a.mp4") && is_recording("sub/A.MP4") && is_recording(".hidden.mp4"));
    for other in [".mp4", "sub/.mp4", "a.mp4.json", "a.mp4.partial", "EG_1.json", "a.webm"] {
        assert!(!is_recording(other), "{other}");
    }
    assert_eq!(recording_of("a.mp4.json"), Some("a.mp4"));
    assert_eq!(recording_of("EG_1.json"), None);
}
