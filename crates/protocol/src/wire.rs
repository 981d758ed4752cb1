//! How many values a message has, counted before it is decoded.
//!
//! ```text
//!   bytes ─► fields (protobuf, JSON) ─► too many? ─► refused, and nothing is decoded
//!                                         └ no ────► decode
//! ```
//!
//! Two bytes of protobuf can be a message of 500 bytes in memory. The count follows the messages inside a message by a [`Shape`], for the
//! wire alone does not tell them from texts. Nothing here allocates.

use prost::Message;

use crate::proto;

/// Where messages stand inside a message: the numbers of their fields, and their own shapes.
#[derive(Debug)]
pub struct Shape(&'static [(u32, &'static Shape)]);

/// A message whose shape is known.
pub trait Shaped: Message + Default {
    /// Its shape.
    const SHAPE: &'static Shape;
}

/// There are more fields than allowed, or JSON is nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Too many fields or values.
    #[error("it has more than {at_most} fields")]
    Fields {
        /// How many there may be.
        at_most: usize,
    },
    /// Too deep.
    #[error("it is nested deeper than {at_most}")]
    Depth {
        /// How deep it may be.
        at_most: usize,
    },
}

/// Counts the fields of a message in protobuf, those of messages inside it included. What is malformed is counted up to there: a decoder
/// comes no further.
///
/// # Errors
/// [`Excess::Fields`], without a look at the rest.
pub fn fields(bytes: &[u8], shape: &Shape, at_most: usize) -> Result<usize, Excess> {
    let mut count = 0;
    walk(bytes, shape, &mut count, at_most)?;
    Ok(count)
}

/// Depth is bounded by the shape, which is finite.
fn walk(mut bytes: &[u8], shape: &Shape, count: &mut usize, at_most: usize) -> Result<(), Excess> {
    while let Some((number, value)) = next_field(&mut bytes) {
        *count += 1;
        if *count > at_most {
            return Err(Excess::Fields { at_most });
        }
        if let Some(inner) = value
            && let Some((_, inside)) = shape.0.iter().find(|(known, _)| *known == number)
        {
            walk(inner, inside, count, at_most)?;
        }
    }
    Ok(())
}

/// The numbers of the fields of a message itself, such as the kind of a signalling message, up to where it is malformed.
pub fn numbers(mut bytes: &[u8]) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || next_field(&mut bytes).map(|(number, _)| number))
}

/// The next field: its number, and its bytes where it has a length. `None` at the end, and where it is malformed.
fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Option<&'a [u8]>)> {
    let tag = varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok()?;
    let value = match tag & 7 {
        0 => {
            varint(bytes)?;
            None
        }
        1 => {
            take(bytes, 8)?;
            None
        }
        2 => {
            let length = varint(bytes)?;
            Some(take(bytes, usize::try_from(length).ok()?)?)
        }
        // Groups are nobody's any more: their fields count as if they stood outside.
        3 | 4 => None,
        5 => {
            take(bytes, 4)?;
            None
        }
        _ => return None,
    };
    Some((number, value))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift).unwrap_or(0);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Counts the values of JSON, keys included, and looks how deep it is nested. Whether it is JSON is for its decoder to say.
///
/// # Errors
/// [`Excess`], without a look at the rest.
pub fn json_values(bytes: &[u8], at_most: usize, depth_at_most: usize) -> Result<usize, Excess> {
    let (mut count, mut depth, mut in_text, mut is_escaped) = (1, 0_usize, false, false);
    for byte in bytes {
        if in_text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => {
                depth += 1;
                count += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' | b':' => count += 1,
            _ => {}
        }
        if count > at_most {
            return Err(Excess::Fields { at_most });
        }
        if depth > depth_at_most {
            return Err(Excess::Depth { at_most: depth_at_most });
        }
    }
    Ok(count)
}

const LEAF: Shape = Shape(&[]);
/// An entry of a map, or any message without messages inside.
const PLAIN: &Shape = &LEAF;
const S3: &Shape = &Shape(&[(7, PLAIN), (10, PLAIN)]);
const GCP: &Shape = &Shape(&[(3, PLAIN)]);
const FILE: &Shape = &Shape(&[(3, S3), (4, GCP), (5, PLAIN), (7, PLAIN)]);
const SEGMENTS: &Shape = &Shape(&[(5, S3), (6, GCP), (7, PLAIN), (9, PLAIN)]);
const IMAGES: &Shape = &Shape(&[(8, S3), (9, GCP), (10, PLAIN), (11, PLAIN)]);
const DIRECT_FILE: &Shape = &Shape(&[(2, S3), (3, GCP), (4, PLAIN), (6, PLAIN)]);
const WEBHOOK: &Shape = &Shape(&[(3, PLAIN)]);
const ROOM_COMPOSITE: &Shape = &Shape(&[
    (6, FILE),
    (7, PLAIN),
    (10, SEGMENTS),
    (9, PLAIN),
    (11, FILE),
    (12, PLAIN),
    (13, SEGMENTS),
    (14, IMAGES),
    (16, WEBHOOK),
]);
const AUTO_PARTICIPANT: &Shape = &Shape(&[(2, PLAIN), (3, FILE), (4, SEGMENTS)]);
const ROOM_EGRESS: &Shape = &Shape(&[(1, ROOM_COMPOSITE), (2, DIRECT_FILE), (3, AUTO_PARTICIPANT)]);
const AGENT: &Shape = &Shape(&[(5, PLAIN)]);
const AGENT_DISPATCH: &Shape = &Shape(&[(6, PLAIN)]);
const DESCRIPTION: &Shape = &Shape(&[(4, PLAIN)]);
const ADD_TRACK: &Shape = &Shape(&[(9, PLAIN), (10, &Shape(&[(4, PLAIN)]))]);
const TRACK_INFO: &Shape = &Shape(&[(10, PLAIN), (13, &Shape(&[(4, PLAIN)])), (18, PLAIN)]);
const SUBSCRIPTION: &Shape = &Shape(&[(3, PLAIN)]);
const SCHEMA: &Shape = &Shape(&[(2, PLAIN)]);
const BLOB_KEY: &Shape = &Shape(&[(2, SCHEMA)]);
const DATA_TRACK_INFO: &Shape = &Shape(&[(5, PLAIN), (6, SCHEMA)]);
const DATA_SUBSCRIPTION: &Shape = &Shape(&[(1, &Shape(&[(3, PLAIN)]))]);
const SYNC_STATE: &Shape = &Shape(&[
    (1, DESCRIPTION),
    (2, SUBSCRIPTION),
    (3, &Shape(&[(2, TRACK_INFO)])),
    (4, PLAIN),
    (5, DESCRIPTION),
    (7, PLAIN),
    (8, &Shape(&[(1, DATA_TRACK_INFO)])),
    (9, DATA_SUBSCRIPTION),
]);

/// Each message of a signalling request has the number of its kind.
const SIGNAL: &Shape = &Shape(&[
    (1, DESCRIPTION),
    (2, DESCRIPTION),
    (3, PLAIN),
    (4, ADD_TRACK),
    (5, PLAIN),
    (6, SUBSCRIPTION),
    (7, PLAIN),
    (8, &Shape(&[(4, &Shape(&[(1, PLAIN)]))])),
    (10, &Shape(&[(2, PLAIN)])),
    (11, &Shape(&[(2, PLAIN)])),
    (12, SYNC_STATE),
    (13, &Shape(&[])),
    (15, &Shape(&[(3, PLAIN)])),
    (16, PLAIN),
    (17, PLAIN),
    (18, PLAIN),
    (19, &Shape(&[(4, PLAIN), (5, SCHEMA)])),
    (20, PLAIN),
    (21, DATA_SUBSCRIPTION),
    (22, &Shape(&[(2, &Shape(&[(1, BLOB_KEY)]))])),
    (23, &Shape(&[(3, BLOB_KEY)])),
]);

/// Each message of a worker has the number of its kind. One that simulates a job, 6, has a room and a participant in it: nobody decodes that.
const WORKER: &Shape = &Shape(&[
    (1, &Shape(&[(7, PLAIN), (10, PLAIN)])),
    (2, &Shape(&[(7, PLAIN)])),
    (3, PLAIN),
    (4, PLAIN),
    (5, PLAIN),
    (6, PLAIN),
    (7, PLAIN),
]);

/// Each kind of data has the number of its message.
const DATA: &Shape = &Shape(&[
    (2, PLAIN),
    (3, &Shape(&[(1, PLAIN)])),
    (6, PLAIN),
    (7, &Shape(&[(4, PLAIN)])),
    (
        8,
        &Shape(&[
            (2, PLAIN),
            (4, &Shape(&[(4, &Shape(&[(2, PLAIN)]))])),
            (5, &Shape(&[(6, PLAIN), (7, PLAIN)])),
        ]),
    ),
    (9, PLAIN),
    (10, PLAIN),
    (11, PLAIN),
    (12, &Shape(&[(3, PLAIN)])),
    (13, &Shape(&[(8, PLAIN), (9, PLAIN), (10, PLAIN)])),
    (14, PLAIN),
    (15, &Shape(&[(3, PLAIN)])),
    (18, PLAIN),
]);

/// Gives a message its shape.
macro_rules! shaped {
    ($($message:ty: $shape:expr;)+) => {
        $(impl Shaped for $message {
            const SHAPE: &'static Shape = $shape;
        })+
    };
}

shaped! {
    proto::SignalRequest: SIGNAL;
    proto::WrappedJoinRequest: PLAIN;
    proto::JoinRequest: &Shape(&[
        (1, PLAIN),
        (2, PLAIN),
        (4, PLAIN),
        (5, ADD_TRACK),
        (6, DESCRIPTION),
        (10, SYNC_STATE),
    ]);
    proto::DataPacket: DATA;
    proto::CreateRoomRequest: &Shape(&[(6, ROOM_EGRESS), (14, AGENT), (15, PLAIN)]);
    proto::ListRoomsRequest: PLAIN;
    proto::DeleteRoomRequest: PLAIN;
    proto::ListParticipantsRequest: PLAIN;
    proto::RoomParticipantIdentity: PLAIN;
    proto::MuteRoomTrackRequest: PLAIN;
    proto::UpdateParticipantRequest: &Shape(&[(4, PLAIN), (6, PLAIN)]);
    proto::UpdateSubscriptionsRequest: &Shape(&[(5, PLAIN)]);
    proto::UpdateRoomMetadataRequest: PLAIN;
    proto::SendDataRequest: PLAIN;
    proto::PerformRpcRequest: PLAIN;
    proto::RoomCompositeEgressRequest: ROOM_COMPOSITE;
    proto::ListEgressRequest: &Shape(&[(4, PLAIN)]);
    proto::StopEgressRequest: PLAIN;
    proto::UpdateLayoutRequest: PLAIN;
    proto::CreateAgentDispatchRequest: AGENT_DISPATCH;
    proto::DeleteAgentDispatchRequest: PLAIN;
    proto::ListAgentDispatchRequest: PLAIN;
    proto::WorkerMessage: WORKER;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{AddTrackRequest, SignalRequest, SimulcastCodec, VideoLayer, signal_request};

    fn add_track(codecs: usize, layers: usize) -> Vec<u8> {
        let layer = VideoLayer { width: 1, ..Default::default() };
        let codec = SimulcastCodec { layers: vec![layer; layers], ..Default::default() };
        let request = AddTrackRequest { simulcast_codecs: vec![codec; codecs], ..Default::default() };
        SignalRequest { message: Some(signal_request::Message::AddTrack(request)) }.encode_to_vec()
    }

    #[test]
    fn fields_of_messages_inside_are_counted_and_the_count_ends_where_it_is_too_much() {
        // The message itself, and each codec with its layers, which have a width.
        assert_eq!(fields(&add_track(3, 5), SIGNAL, 100), Ok(1 + 3 * (1 + 5 * 2)));
        assert_eq!(fields(&add_track(3, 5), SIGNAL, 33), Err(Excess::Fields { at_most: 33 }));
        assert_eq!(fields(&[], SIGNAL, 0), Ok(0));
    }

    /// Asserts that the shape of `T` knows every message inside it, three deep: bytes that are no text come back out of a message only.
    /// What begins with one of `no_messages` is bytes, or numbers in a row.
    fn knows_its_messages<T: Shaped>(no_messages: &[&[u32]]) {
        const MANY: usize = 40;
        let tag = |number: u32| vec![(number << 3 | 2) as u8 | 0x80, (number >> 4) as u8];
        let field = |number: u32, inner: &[u8]| {
            let length = [(inner.len() & 0x7f) as u8 | 0x80, (inner.len() >> 7) as u8];
            [tag(number), length.to_vec(), inner.to_vec()].concat()
        };
        let check = |body: &[u8], path: &[u32]| {
            let Ok(message) = T::decode(body) else { return };
            if message.encoded_len() >= 2 * MANY && !no_messages.iter().any(|known| path.starts_with(known)) {
                let counted = fields(body, T::SHAPE, usize::MAX).unwrap();
                assert!(counted >= MANY, "{path:?} are messages, and the shape does not know it");
            }
        };
        let numbers = 1..=24;
        for a in numbers.clone() {
            for b in numbers.clone() {
                let inner = field(b, &[]).repeat(MANY);
                check(&field(a, &inner), &[a, b]);
                for c in numbers.clone() {
                    check(&field(a, &field(b, &field(c, &[]).repeat(MANY))), &[a, b, c]);
                }
            }
        }
    }

    #[test]
    fn shapes_know_every_message_inside_a_request() {
        // Features of a track are numbers in a row.
        let no_messages: [&[u32]; 3] = [&[4, 17], &[4, 18], &[17, 2]];
        knows_its_messages::<proto::SignalRequest>(&no_messages);
        // Capabilities are numbers in a row, too.
        knows_its_messages::<proto::JoinRequest>(&[&[1, 13], &[5, 17], &[5, 18]]);
        let of_data: [&[u32]; 9] =
            [&[2, 2], &[2, 11], &[10, 6], &[12, 4], &[13, 11], &[14, 3], &[14, 5], &[18, 2], &[18, 4]];
        knows_its_messages::<proto::DataPacket>(&of_data);
        knows_its_messages::<proto::CreateRoomRequest>(&[]);
        knows_its_messages::<proto::UpdateParticipantRequest>(&[&[4, 9]]);
        knows_its_messages::<proto::UpdateSubscriptionsRequest>(&[]);
        knows_its_messages::<proto::SendDataRequest>(&[&[2], &[7]]);
        knows_its_messages::<proto::PerformRpcRequest>(&[]);
        knows_its_messages::<proto::RoomCompositeEgressRequest>(&[]);
        knows_its_messages::<proto::ListEgressRequest>(&[]);
        knows_its_messages::<proto::ListRoomsRequest>(&[]);
        knows_its_messages::<proto::MuteRoomTrackRequest>(&[]);
        knows_its_messages::<proto::UpdateRoomMetadataRequest>(&[]);
        knows_its_messages::<proto::CreateAgentDispatchRequest>(&[]);
        knows_its_messages::<proto::WorkerMessage>(&[&[6]]);
    }

    #[test]
    fn a_text_is_not_taken_for_a_message() {
        let request = proto::UpdateRoomMetadataRequest { metadata: "x".repeat(1000), ..Default::default() };
        let bytes = request.encode_to_vec();
        assert_eq!(fields(&bytes, proto::UpdateRoomMetadataRequest::SHAPE, 10), Ok(1));
    }

    #[test]
    fn what_is_malformed_is_counted_up_to_there() {
        let mut bytes = add_track(1, 1);
        bytes.extend([0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x22, 0x00]);
        assert_eq!(fields(&bytes, SIGNAL, 100), Ok(4));
        assert_eq!(fields(&[0x0f, 0x08, 0x01], SIGNAL, 100), Ok(0));
        assert_eq!(fields(&[0x80; 11], SIGNAL, 100), Ok(0));
    }

    #[test]
    fn the_kind_of_a_signalling_message_is_known_before_it_is_decoded() {
        assert!(numbers(&add_track(0, 0)).eq([4]));
        assert!(numbers(&[add_track(1, 1), vec![0x70, 1]].concat()).eq([4, 14]));
        assert_eq!(numbers(b"").next(), None);
    }

    #[test]
    fn values_of_json_are_counted_outside_of_its_texts() {
        let count = |text: &str| json_values(text.as_bytes(), 10, 3);
        assert_eq!(count(r#"{"a":[1,2],"b":"{,,:\"[[[[[["}"#), Ok(7));
        assert_eq!(count(&format!("[{}1]", "1,".repeat(20))), Err(Excess::Fields { at_most: 10 }));
        assert_eq!(count("[[[[1]]]]"), Err(Excess::Depth { at_most: 3 }));
        assert_eq!(count("]]]][[[1]]]"), Ok(4));
    }
}
