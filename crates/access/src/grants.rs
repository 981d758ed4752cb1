//! What a caller's token says of a room.

use reelroom_protocol::ids::RoomName;
use reelroom_protocol::token::VideoGrants;

use crate::caller::Caller;
use crate::may::may;
use crate::resource::Resource;
use crate::right::Right;

/// The sources of media, by LiveKit's names.
const SOURCES: [(Right, &str); 4] = [
    (Right::PublishCamera, "camera"),
    (Right::PublishMicrophone, "microphone"),
    (Right::PublishScreen, "screen_share"),
    (Right::PublishScreenSound, "screen_share_audio"),
];

/// What `caller` may do in `room` as a participant, in LiveKit's words; `None` for those who may not join it.
///
/// Where access is open these are the grants of the OpenVidu tutorial: all that LiveKit gives by itself, and `roomRecord`.
pub fn grants(caller: &Caller, room: &RoomName) -> Option<VideoGrants> {
    let has = |right| may(caller, right, &Resource::Room(room));
    if !has(Right::Join) {
        return None;
    }
    let joins = VideoGrants { room_join: true, room: room.as_str().to_owned(), ..VideoGrants::default() };
    if *caller == Caller::Everybody {
        return Some(VideoGrants { room_record: true, ..joins });
    }
    let sources = SOURCES.iter().filter(|(right, _)| has(*right));
    let sources: Vec<String> = sources.map(|(_, name)| (*name).to_owned()).collect();
    Some(VideoGrants {
        // An empty list of sources would mean all of them.
        can_publish: Some(!sources.is_empty()),
        can_publish_sources: sources,
        can_publish_data: Some(has(Right::Chat)),
        can_subscribe: Some(true),
        can_update_own_metadata: Some(false),
        ..joins
    })
}
