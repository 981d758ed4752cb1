//! The table of who may do what, asked for every right, caller and resource.

use reelroom_protocol::ids::RoomName;
use reelroom_protocol::proto::TrackSource;

use super::*;

/// How far each caller has a right, in the order of [`callers`]: `*` everything, `R` the own room and its recordings, `L` the one
/// recording, `-` nothing. Of callers with grants the first one was granted all there is, the second one nothing.
///
/// ```text
///  owner, key with it, key without, host +, host -, guest +, guest -, viewer +, viewer -, everybody, nobody
/// ```
const TABLE: [(Right, &str); 16] = [
    // A token for a room.
    (Right::Join, "**-RRRR--*-"),
    // Sources by kind; what a link grants.
    (Right::PublishCamera, "**-RRR---*-"),
    (Right::PublishMicrophone, "**-RRR---*-"),
    (Right::PublishScreen, "**-RRR---*-"),
    (Right::PublishScreenSound, "**-RRR---*-"),
    (Right::Chat, "**-RRR---*-"),
    // Start, stop, pause.
    (Right::Record, "**-RRR---*-"),
    // List.
    (Right::List, "**-RRR-LL*-"),
    // Play; download.
    (Right::Play, "**-RRR-L-*-"),
    (Right::Download, "**-RRR-L-*-"),
    // Report, link, share.
    (Right::Report, "**-RR----*-"),
    (Right::Share, "**-RR----*-"),
    // Delete, restore, retry, rename.
    (Right::Delete, "**-R-----*-"),
    // Mute, remove, admit; never a recorder.
    (Right::Moderate, "**-RR----*-"),
    // Metrics, readiness details, API description, events of all; events of the own room.
    (Right::Observe, "**-RRRR--*-"),
    (Right::Manage, "**---------"),
];

struct Names {
    own: RoomName,
    other: RoomName,
    linked: RecordingName,
    unlinked: RecordingName,
}

fn names() -> Names {
    Names {
        own: "own".into(),
        other: "other".into(),
        linked: "linked.mp4".into(),
        unlinked: "unlinked.mp4".into(),
    }
}

/// In the order of the columns. `right` is what the keys have or lack.
fn callers(right: Right) -> [Caller; 11] {
    let Names { own, linked, .. } = names();
    let others: Vec<Right> = Right::ALL.iter().copied().filter(|other| *other != right).collect();
    let host = |granted| Caller::Host { room: own.clone(), granted };
    let guest = |granted| Caller::Guest { room: own.clone(), granted };
    let viewer = |granted| Caller::Viewer { recording: linked.clone(), granted };
    [
        Caller::Owner,
        Caller::Key { rights: Rights::of(&[right]) },
        Caller::Key { rights: Rights::of(&others) },
        host(Rights::ALL),
        host(Rights::NONE),
        guest(Rights::ALL),
        guest(Rights::NONE),
        viewer(Rights::ALL),
        viewer(Rights::NONE),
        Caller::Everybody,
        Caller::Nobody,
    ]
}

/// Every kind of resource, each with the marks of the table that reach it.
fn resources(names: &Names) -> Vec<(Resource<'_>, &'static str)> {
    let Names { own, other, linked, unlinked } = names;
    vec![
        (Resource::Server, "*"),
        (Resource::Room(own), "*R"),
        (Resource::Room(other), "*"),
        (Resource::Recorder(own), "*"),
        (Resource::Recorder(other), "*"),
        (Resource::Recording { name: linked, room: Some(own) }, "*RL"),
        (Resource::Recording { name: linked, room: Some(other) }, "*L"),
        (Resource::Recording { name: linked, room: None }, "*L"),
        (Resource::Recording { name: unlinked, room: Some(own) }, "*R"),
        (Resource::Recording { name: unlinked, room: Some(other) }, "*"),
        (Resource::Recording { name: unlinked, room: None }, "*"),
    ]
}

#[test]
fn each_caller_may_what_the_table_says_and_nothing_else() {
    let names = names();
    for (right, marks) in TABLE {
        let callers = callers(right);
        assert_eq!(marks.len(), callers.len(), "{right:?}");
        for (caller, mark) in callers.iter().zip(marks.chars()) {
            for (resource, reached_by) in resources(&names) {
                let expected = reached_by.contains(mark);
                assert_eq!(may(caller, right, &resource), expected, "{caller:?} {right:?} {resource:?}");
            }
        }
    }
}

#[test]
fn the_table_has_a_row_for_every_right_in_order() {
    let rows: Vec<Right> = TABLE.iter().map(|(right, _)| *right).collect();
    assert_eq!(rows, Right::ALL);
    for right in Right::ALL {
        assert!(Rights::ALL.has(*right) && !Rights::NONE.has(*right), "{right:?}");
        assert!(!right.name().is_empty() && right.what().ends_with('.'), "{right:?}");
    }
}

#[test]
fn a_caller_has_a_reach_just_where_there_is_something_it_may_do_it_to() {
    let names = names();
    for right in Right::ALL {
        for caller in callers(*right) {
            let is_any = resources(&names).iter().any(|(resource, _)| may(&caller, *right, resource));
            assert_eq!(reach(&caller, *right) != Reach::Nothing, is_any, "{caller:?} {right:?}");
        }
    }
}

#[test]
fn a_token_is_for_those_who_may_join_and_never_makes_an_admin_or_a_recorder() {
    let Names { own, other, .. } = names();
    for right in Right::ALL {
        for caller in callers(*right) {
            for room in [&own, &other] {
                let granted = grants(&caller, room);
                assert_eq!(
                    granted.is_some(),
                    may(&caller, Right::Join, &Resource::Room(room)),
                    "{caller:?} {room}"
                );
                let Some(granted) = granted else { continue };
                assert!(granted.room_join && granted.room == room.as_str());
                assert!(!granted.room_admin && !granted.hidden && !granted.recorder, "{caller:?}");
                assert!(!granted.room_create && !granted.room_list && !granted.ingress_admin, "{caller:?}");
                assert!(!granted.agent && granted.destination_room.is_empty(), "{caller:?}");
                assert!(granted.may_subscribe() && !granted.may_update_own_metadata(), "{caller:?}");
                assert_eq!(granted.room_record, caller == Caller::Everybody, "{caller:?}");
            }
        }
    }
}

#[test]
fn a_token_publishes_the_sources_that_its_bearer_may_publish() {
    let own = names().own;
    let sources = [
        (Right::PublishCamera, TrackSource::Camera),
        (Right::PublishMicrophone, TrackSource::Microphone),
        (Right::PublishScreen, TrackSource::ScreenShare),
        (Right::PublishScreenSound, TrackSource::ScreenShareAudio),
    ];
    let some = [Rights::NONE, Rights::ALL]
        .into_iter()
        .chain(sources.iter().map(|(right, _)| Rights::of(&[*right, Right::Chat])));
    for granted in some {
        let guest = Caller::Guest { room: own.clone(), granted };
        let token = grants(&guest, &own).unwrap();
        for (right, source) in sources {
            assert_eq!(token.may_publish_source(source), granted.has(right), "{granted:?} {source:?}");
        }
        assert!(!token.may_publish_source(TrackSource::Unknown), "{granted:?}");
        assert_eq!(token.may_publish_data(), granted.has(Right::Chat), "{granted:?}");
    }
    let everybody = grants(&Caller::Everybody, &own).unwrap();
    assert!(sources.iter().all(|(_, source)| everybody.may_publish_source(*source)));
    assert!(everybody.may_publish_data());
}

#[test]
fn a_word_is_one_right_and_any_other_word_is_none() {
    for right in Right::ALL {
        let word = right.word();
        assert_eq!(Right::of_word(&word), Some(*right), "{word}");
        assert!(word.bytes().all(|byte| byte.is_ascii_graphic()), "{word}: it stands in lists of words");
        assert!(Right::ALL.iter().all(|other| other == right || other.word() != word), "{word}");
        let set: Rights = [*right].into_iter().collect();
        assert_eq!(set, Rights::of(&[*right]));
    }
    assert_eq!(Right::of_word("publish-screen-sound"), Some(Right::PublishScreenSound));
    for other in ["", "publish screen", "Play", "play ", "everything", "*"] {
        assert_eq!(Right::of_word(other), None, "{other:?}");
    }
    let none: Rights = std::iter::empty::<Right>().collect();
    assert_eq!(none, Rights::NONE);
}
