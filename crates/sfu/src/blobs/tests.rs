use reelroom_protocol::proto::{
    DataTrackSchemaEncoding, DataTrackSchemaId, data_track_schema_encoding, participant_info, signal_request,
};
use reelroom_protocol::token::VideoGrants;

use super::*;
use crate::output::Output;
use crate::room::tests::Story;

fn key(name: &str) -> DataBlobKey {
    DataBlobKey { key: Some(data_blob_key::Key::Generic(name.to_owned())) }
}

/// What somebody is answered: the contents of a blob, the key that it has, or why not.
fn answer(
    story: &mut Story,
    from: &ParticipantSid,
    request: signal_request::Message,
) -> Result<Vec<u8>, i32> {
    story.outputs();
    story.room.handle_signal(from, request, story.now);
    let answer = |output: &Output| match output {
        Output::Signal { to, message } if to == from => match message.as_ref() {
            signal_response::Message::StoreDataBlobResponse(stored) => {
                Some(Ok(stored.key.clone().unwrap().encode_to_vec()))
            }
            signal_response::Message::GetDataBlobResponse(got) => {
                Some(Ok(got.blob.clone().unwrap().contents))
            }
            signal_response::Message::RequestResponse(response) => {
                assert!(!response.message.is_empty() && response.request_id == 5, "{response:?}");
                Some(Err(response.reason))
            }
            _ => None,
        },
        _ => None,
    };
    let answers: Vec<_> = story.outputs().iter().filter_map(answer).collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.into_iter().next().unwrap()
}

fn store(key: Option<DataBlobKey>, contents: Vec<u8>) -> signal_request::Message {
    let blob = Some(DataBlob { key, contents });
    signal_request::Message::StoreDataBlobRequest(StoreDataBlobRequest { request_id: 5, blob })
}

fn get(of: &str, key: Option<DataBlobKey>) -> signal_request::Message {
    let participant_identity = of.to_owned();
    signal_request::Message::GetDataBlobRequest(GetDataBlobRequest {
        request_id: 5,
        participant_identity,
        key,
    })
}

fn refused(reason: request_response::Reason) -> Result<Vec<u8>, i32> {
    Err(reason.into())
}

#[test]
fn a_blob_is_stored_got_by_others_replaced_and_gone_with_its_owner() {
    use reelroom_protocol::proto::DisconnectReason;
    use request_response::Reason;
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let name = key("schema");
    assert_eq!(answer(&mut story, &ada, store(Some(name.clone()), vec![1])), Ok(name.encode_to_vec()));
    assert_eq!(answer(&mut story, &bob, get("ada", Some(name.clone()))), Ok(vec![1]));
    answer(&mut story, &ada, store(Some(name.clone()), vec![2])).unwrap();
    assert_eq!(answer(&mut story, &bob, get("ada", Some(name.clone()))), Ok(vec![2]));
    assert_eq!(answer(&mut story, &bob, get("ada", Some(key("x")))), refused(Reason::NotFound));
    assert_eq!(answer(&mut story, &bob, get("carol", Some(name.clone()))), refused(Reason::NotFound));
    assert_eq!(answer(&mut story, &bob, get("ada", None)), refused(Reason::InvalidRequest));
    story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
    story.join("ada");
    assert_eq!(answer(&mut story, &bob, get("ada", Some(name))), refused(Reason::NotFound));
}

#[test]
fn blobs_are_few_and_small_and_of_those_who_may_send_data() {
    use request_response::Reason;
    let mut story = Story::new();
    let ada = story.join("ada");
    let grants = VideoGrants { can_publish_data: Some(false), ..VideoGrants::default() };
    let mute = story.join_as("mute", grants, participant_info::Kind::Standard).unwrap();
    assert_eq!(answer(&mut story, &mute, store(Some(key("x")), vec![1])), refused(Reason::NotAllowed));
    let schema = |name: &str, custom: &str| {
        let value = Some(data_track_schema_encoding::Value::Custom(custom.to_owned()));
        let encoding = Some(DataTrackSchemaEncoding { value });
        let schema = DataTrackSchemaId { name: name.to_owned(), encoding };
        Some(DataBlobKey { key: Some(data_blob_key::Key::SchemaId(schema)) })
    };
    assert!(answer(&mut story, &ada, store(schema("point", "mine"), vec![1])).is_ok());
    for wrong in [
        None,
        Some(DataBlobKey::default()),
        Some(key("")),
        Some(key(&"x".repeat(NAME_BYTES + 1))),
        schema("", "mine"),
        schema("point", ""),
        schema("point", &"x".repeat(33)),
    ] {
        assert_eq!(answer(&mut story, &ada, store(wrong, vec![1])), refused(Reason::InvalidRequest));
    }
    assert_eq!(answer(&mut story, &ada, store(Some(key("x")), vec![])), refused(Reason::InvalidRequest));
    let long = vec![1; DATA_BLOB_BYTES + 1];
    assert_eq!(answer(&mut story, &ada, store(Some(key("x")), long)), refused(Reason::LimitExceeded));
    let largest = || vec![1; DATA_BLOB_BYTES];
    let stored = (0..20)
        .filter(|index| answer(&mut story, &ada, store(Some(key(&index.to_string())), largest())).is_ok())
        .count();
    assert_eq!(stored, (DATA_BLOBS_BYTES - 100) / DATA_BLOB_BYTES);
    answer(&mut story, &ada, store(Some(key("0")), largest())).expect("one takes its own place");
    let bob = story.join("bob");
    let tiny = (0..10_000)
        .take_while(|index| answer(&mut story, &bob, store(Some(key(&index.to_string())), vec![1])).is_ok())
        .count();
    assert!(tiny <= DATA_BLOBS_BYTES / BLOB_COST_BYTES, "{tiny} small ones cost more than their bytes");
}
