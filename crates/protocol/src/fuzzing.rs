//! Bodies of Twirp calls, as targets of a fuzzer and of tests; see docs/fuzzing.md.

use reelroom_limits::signalling::{TWIRP_BODY_DEPTH, TWIRP_BODY_FIELDS};

use crate::json;
use crate::proto;
use crate::wire::{self, Shaped};

/// A target's name, and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets by their names.
pub const TARGETS: [Target; 3] = [("twirp_protobuf", protobuf), ("twirp_json", json_body), ("token", token)];

/// The first byte says which request it is.
pub fn protobuf(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => of::<proto::CreateRoomRequest>(body),
        1 => of::<proto::RoomCompositeEgressRequest>(body),
        2 => of::<proto::UpdateParticipantRequest>(body),
        _ => of::<proto::SignalRequest>(body),
    }
}

/// What is decoded has no more fields than were counted before.
fn of<T: Shaped>(body: &[u8]) {
    let counted = wire::fields(body, T::SHAPE, usize::MAX).expect("there may be any number");
    assert_eq!(wire::fields(body, T::SHAPE, counted), Ok(counted));
    if counted > 0 {
        assert!(wire::fields(body, T::SHAPE, counted - 1).is_err());
    }
    if counted > TWIRP_BODY_FIELDS {
        return;
    }
    if let Ok(message) = T::decode(body) {
        let again = message.encode_to_vec();
        let fields = wire::fields(&again, T::SHAPE, usize::MAX).expect("there may be any number");
        assert!(fields <= counted, "{fields} fields came out of {counted}");
    }
}

/// JSON that is decoded has no more values than were counted before.
pub fn json_body(bytes: &[u8]) {
    let counted = wire::json_values(bytes, TWIRP_BODY_FIELDS, TWIRP_BODY_DEPTH);
    if let (Ok(counted), Ok(value)) = (counted, serde_json::from_slice::<serde_json::Value>(bytes)) {
        let values = values(&value);
        assert!(values <= counted, "{values} values came out of {counted}");
        again::<proto::RoomCompositeEgressRequest>(bytes);
        again::<proto::CreateRoomRequest>(bytes);
    }
}

/// What was read is written, and can be read again.
fn again<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) {
    let Ok(message) = json::read::<T>(bytes) else { return };
    let written = json::write(&message).expect("what was read has no enum that is not known");
    assert!(json::read::<T>(&written).is_ok(), "what was written cannot be read");
}

fn values(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        serde_json::Value::Object(items) => 1 + items.values().map(values).sum::<usize>(),
        _ => 1,
    }
}

/// A token of nobody: it never holds.
pub fn token(bytes: &[u8]) {
    let keys = crate::keys::ApiKeys::new("key", "a secret that no input knows");
    let token = String::from_utf8_lossy(bytes);
    assert!(crate::token::verify(&keys, &token, 1_800_000_000).is_err());
}
