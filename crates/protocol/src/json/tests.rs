use super::*;
use crate::proto::{
    CreateRoomRequest, DataPacket, EgressInfo, EgressStatus, EncodedFileOutput, JobType, ListRoomsResponse,
    MuteRoomTrackResponse, ParticipantInfo, ParticipantPermission, Room, RoomCompositeEgressRequest,
    S3Upload, SendDataRequest, TrackInfo, TrackSource, TrackType, UserPacket, data_packet, egress_info,
    encoded_file_output, room_composite_egress_request,
};
use serde_json::json;

fn written<T: Serialize + DeserializeOwned>(message: &T) -> Value {
    serde_json::from_slice(&write(message).unwrap()).unwrap()
}

#[test]
fn a_room_is_written_with_the_names_of_the_protocol_and_all_its_fields() {
    let empty = json!({
        "sid": "", "name": "", "empty_timeout": 0, "departure_timeout": 0, "max_participants": 0, "creation_time": "0",
        "creation_time_ms": "0", "turn_password": "", "enabled_codecs": [], "metadata": "", "num_participants": 0,
        "num_publishers": 0, "active_recording": false, "version": null,
    });
    assert_eq!(written(&Room::default()), empty);
    let room =
        Room { sid: "RM_1".into(), creation_time: 1_800_000_000, num_publishers: 2, ..Default::default() };
    let listed = written(&ListRoomsResponse { rooms: vec![room] });
    assert_eq!(listed["rooms"][0]["creation_time"], "1800000000");
    assert_eq!(
        (&listed["rooms"][0]["num_publishers"], &listed["rooms"][0]["num_participants"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(written(&ListRoomsResponse::default()), json!({ "rooms": [] }));
}

#[test]
fn messages_inside_lists_and_maps_of_a_participant_are_complete_too() {
    let track = TrackInfo { sid: "TR_1".into(), r#type: TrackType::Audio.into(), ..Default::default() };
    let info = ParticipantInfo {
        identity: "ada".into(),
        tracks: vec![track],
        attributes: [("a_b".to_owned(), "c".to_owned())].into(),
        permission: Some(ParticipantPermission {
            can_publish_sources: vec![TrackSource::Camera.into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let info = written(&info);
    assert_eq!(
        (&info["state"], &info["kind"], &info["is_publisher"]),
        (&json!("JOINING"), &json!("STANDARD"), &json!(false))
    );
    assert_eq!(info["attributes"], json!({ "a_b": "c" }), "keys are nobody's names");
    let track = &info["tracks"][0];
    assert_eq!(
        (&track["type"], &track["source"], &track["mime_type"]),
        (&json!("AUDIO"), &json!("UNKNOWN"), &json!(""))
    );
    assert_eq!(
        (&track["layers"], &track["disable_red"], &track["version"]),
        (&json!([]), &json!(false), &Value::Null)
    );
    assert_eq!(info["permission"]["can_publish_sources"], json!(["CAMERA"]));
    assert_eq!(info["permission"]["can_subscribe_metrics"], false);
    assert_eq!(written(&MuteRoomTrackResponse::default()), json!({ "track": null }));
}

#[test]
fn of_a_choice_only_what_is_chosen_is_written() {
    let empty = written(&EgressInfo::default());
    assert_eq!((&empty["status"], &empty["started_at"]), (&json!("EGRESS_STARTING"), &json!("0")));
    for choice in ["room_composite", "web", "participant", "track", "file", "stream", "segments"] {
        assert!(empty.get(choice).is_none(), "{choice} is one of several");
    }
    let s3 = S3Upload { bucket: "b".into(), ..Default::default() };
    let file = EncodedFileOutput {
        filepath: "a.mp4".into(),
        output: Some(encoded_file_output::Output::S3(s3)),
        ..Default::default()
    };
    let request = RoomCompositeEgressRequest {
        room_name: "r".into(),
        file_outputs: vec![file],
        options: Some(room_composite_egress_request::Options::Preset(0)),
        ..Default::default()
    };
    let info = written(&EgressInfo {
        status: EgressStatus::EgressComplete.into(),
        request: Some(egress_info::Request::RoomComposite(request)),
        ..Default::default()
    });
    assert_eq!(info["status"], "EGRESS_COMPLETE");
    let request = &info["room_composite"];
    assert_eq!((&request["room_name"], &request["audio_only"]), (&json!("r"), &json!(false)));
    assert_eq!(
        (&request["preset"], request.get("advanced")),
        (&json!("H264_720P_30"), None),
        "chosen, though it is 0"
    );
    let file = &request["file_outputs"][0];
    assert_eq!((&file["file_type"], &file["s3"]["bucket"]), (&json!("DEFAULT_FILETYPE"), &json!("b")));
    assert_eq!((&file["s3"]["force_path_style"], &file["s3"]["metadata"]), (&json!(false), &json!({})));
    assert!(file.get("gcp").is_none());
}

/// What is written reads as the same message again: nothing is invented.
#[test]
fn what_is_written_is_what_was_meant() {
    fn comes_back<T: std::fmt::Debug + PartialEq + Serialize + DeserializeOwned>(message: &T) {
        let again: T = read(&write(message).unwrap()).unwrap();
        assert_eq!(&again, message);
    }
    comes_back(&Room::default());
    comes_back(&EgressInfo::default());
    comes_back(&ParticipantInfo::default());
    comes_back(&CreateRoomRequest {
        name: "r".into(),
        tags: [("a".into(), "b".into())].into(),
        ..Default::default()
    });
    comes_back(&SendDataRequest { data: vec![0, 255, 62], nonce: vec![7; 16], ..Default::default() });
    let user = UserPacket { payload: vec![1], topic: Some(String::new()), ..Default::default() };
    comes_back(&DataPacket { value: Some(data_packet::Value::User(user)), ..Default::default() });
}

#[test]
fn requests_are_read_in_every_way_that_clients_write_them() {
    for body in [
        r#"{"name":"r","emptyTimeout":7,"maxParticipants":"3","new":{"a":[null]}}"#,
        r#"{"name":"r","empty_timeout":"7","max_participants":3.0,"metadata":null,"egress":null,"agents":[]}"#,
    ] {
        let request: CreateRoomRequest = read(body.as_bytes()).unwrap();
        assert_eq!((request.name.as_str(), request.empty_timeout, request.max_participants), ("r", 7, 3));
    }
    for kind in [r#""JT_PUBLISHER""#, "1", "1.0"] {
        let kind: JobType = read(kind.as_bytes()).unwrap();
        assert_eq!(kind, JobType::JtPublisher);
    }
    for wrong in [r#"{"name":7}"#, r#"{"emptyTimeout":7.5}"#, r#"{"emptyTimeout":-1}"#, "[]", "{"] {
        assert!(read::<CreateRoomRequest>(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
