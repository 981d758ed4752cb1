//! How far a token's right to record reaches. Pure.
//!
//! With LiveKit `roomRecord` is a right over every room and every store. A server's token has it so here too; a participant's token,
//! as the tutorials give it to everybody in a room, reaches its own room alone, and files alone, below the folder of recordings.

use reelroom_protocol::proto::room_composite_egress_request::Output;
use reelroom_protocol::proto::{EgressInfo, RoomCompositeEgressRequest};
use reelroom_protocol::token::VideoGrants;
use reelroom_protocol::twirp::{TwirpCode, TwirpError};

/// Which recordings a caller makes, sees and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All.
    Everything,
    /// Those of this room.
    Room(String),
}

impl Reach {
    /// `None` for grants that give no right to record.
    pub(crate) fn of(grants: &VideoGrants) -> Option<Self> {
        let is_participant = grants.room_join && !grants.room.is_empty();
        grants.room_record.then(|| match is_participant {
            true => Self::Room(grants.room.clone()),
            false => Self::Everything,
        })
    }

    /// Whether a recording is one of them.
    pub(crate) fn sees(&self, info: &EgressInfo) -> bool {
        match self {
            Self::Everything => true,
            Self::Room(room) => info.room_name == *room,
        }
    }

    /// Checks what is asked for.
    ///
    /// # Errors
    /// "permissions denied" for another room; `permission_denied`, saying what, for anything but files in the server's own store.
    pub(crate) fn check(&self, request: &RoomCompositeEgressRequest) -> Result<(), TwirpError> {
        let Self::Room(room) = self else { return Ok(()) };
        if request.room_name != *room {
            return Err(TwirpError::denied());
        }
        let old = match &request.output {
            None => None,
            Some(Output::File(file)) => Some(file),
            Some(_) => return Err(beyond("outputs that are no files")),
        };
        let is_only_files = request.stream_outputs.is_empty()
            && request.segment_outputs.is_empty()
            && request.image_outputs.is_empty();
        if !is_only_files {
            return Err(beyond("outputs that are no files"));
        }
        if request.file_outputs.iter().chain(old).any(|file| file.output.is_some()) {
            return Err(beyond("a storage of its own"));
        }
        if !request.custom_base_url.is_empty() {
            return Err(beyond("custom_base_url"));
        }
        if !request.webhooks.is_empty() {
            return Err(beyond("webhooks"));
        }
        Ok(())
    }

    /// Checks the path that a file would get; `folder` ends with `/` unless it is the whole store.
    ///
    /// # Errors
    /// `permission_denied`, naming the folder.
    pub(crate) fn check_path(&self, key: &str, folder: &str) -> Result<(), TwirpError> {
        match self {
            Self::Room(_) if !key.starts_with(folder) => Err(beyond(&format!("a file outside of {folder}"))),
            _ => Ok(()),
        }
    }
}

fn beyond(what: &str) -> TwirpError {
    let message = format!("a participant's token records its own room into a file; this asks for {what}");
    TwirpError::new(TwirpCode::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::{EncodedFileOutput, S3Upload, encoded_file_output};

    use super::*;

    fn participant() -> Reach {
        let grants =
            VideoGrants { room_join: true, room: "a".into(), room_record: true, ..VideoGrants::default() };
        Reach::of(&grants).unwrap()
    }

    fn request() -> RoomCompositeEgressRequest {
        RoomCompositeEgressRequest {
            room_name: "a".into(),
            file_outputs: vec![EncodedFileOutput::default()],
            ..Default::default()
        }
    }

    #[test]
    fn a_servers_token_reaches_everything_and_a_participants_its_own_room() {
        let none =
            VideoGrants { room_join: true, room: "a".into(), room_admin: true, ..VideoGrants::default() };
        assert_eq!(Reach::of(&none), None);
        for server in [
            VideoGrants { room_record: true, ..VideoGrants::default() },
            VideoGrants { room_record: true, room_admin: true, room: "a".into(), ..VideoGrants::default() },
            VideoGrants { room_record: true, room_join: true, ..VideoGrants::default() },
        ] {
            assert_eq!(Reach::of(&server), Some(Reach::Everything));
        }
        assert_eq!(participant(), Reach::Room("a".into()));
        let of = |room: &str| EgressInfo { room_name: room.into(), ..EgressInfo::default() };
        assert!(
            participant().sees(&of("a")) && !participant().sees(&of("b")) && !participant().sees(&of(""))
        );
        assert!(Reach::Everything.sees(&of("b")));
    }

    #[test]
    fn a_participant_gets_files_of_its_own_room_in_the_servers_store_and_nothing_else() {
        let reach = participant();
        assert_eq!(reach.check(&request()), Ok(()));
        let other = RoomCompositeEgressRequest { room_name: "b".into(), ..request() };
        assert_eq!(reach.check(&other), Err(TwirpError::denied()));
        let file = EncodedFileOutput {
            output: Some(encoded_file_output::Output::S3(S3Upload::default())),
            ..Default::default()
        };
        let beyond = [
            RoomCompositeEgressRequest { file_outputs: vec![file.clone()], ..request() },
            RoomCompositeEgressRequest {
                file_outputs: Vec::new(),
                output: Some(Output::File(file)),
                ..request()
            },
            RoomCompositeEgressRequest { output: Some(Output::Stream(Default::default())), ..request() },
            RoomCompositeEgressRequest { stream_outputs: vec![Default::default()], ..request() },
            RoomCompositeEgressRequest { segment_outputs: vec![Default::default()], ..request() },
            RoomCompositeEgressRequest { image_outputs: vec![Default::default()], ..request() },
            RoomCompositeEgressRequest { custom_base_url: "http://x".into(), ..request() },
            RoomCompositeEgressRequest { webhooks: vec![Default::default()], ..request() },
        ];
        for request in beyond {
            assert_eq!(reach.check(&request).unwrap_err().code, TwirpCode::PermissionDenied);
            assert_eq!(Reach::Everything.check(&request), Ok(()));
        }
    }

    #[test]
    fn a_participants_files_stand_below_the_folder_of_recordings() {
        let reach = participant();
        assert_eq!(reach.check_path("recordings/a.mp4", "recordings/"), Ok(()));
        assert_eq!(reach.check_path("a.mp4", ""), Ok(()));
        for outside in ["a.mp4", "recordings-2/a.mp4", "other/recordings/a.mp4"] {
            assert!(reach.check_path(outside, "recordings/").is_err(), "{outside}");
            assert_eq!(Reach::Everything.check_path(outside, "recordings/"), Ok(()));
        }
    }
}
