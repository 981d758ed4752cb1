use super::*;

fn joined(id: &str, name: &str) -> TakeEvent {
    TakeEvent::ParticipantJoined {
        participant: id.into(),
        identity: format!("{id}-identity"),
        name: name.into(),
    }
}

fn published(track: &str, participant: &str, source: TrackSource) -> TakeEvent {
    let kind = match source {
        TrackSource::Microphone | TrackSource::ScreenShareAudio => TrackKind::Audio,
        TrackSource::Camera | TrackSource::ScreenShare | TrackSource::Unknown => TrackKind::Video,
    };
    let (track, participant) = (track.into(), participant.into());
    TakeEvent::TrackPublished { track, participant, kind, source, width: 0, height: 0, muted: false }
}

fn muted(track: &str, muted: bool) -> TakeEvent {
    TakeEvent::TrackMuted { track: track.into(), muted }
}

fn after(events: &[TakeEvent]) -> Timeline {
    let mut timeline = Timeline::default();
    for event in events {
        timeline.apply(0, event);
    }
    timeline
}

fn labels(scene: &Scene) -> Vec<&str> {
    scene.tiles.iter().map(|tile| tile.label.as_str()).collect()
}

#[test]
fn people_are_shown_in_the_order_they_joined() {
    let mut timeline = after(&[joined("b", "Bea"), joined("a", "Ann"), joined("c", "")]);
    assert_eq!(labels(&timeline.scene()), ["Bea", "Ann", "c-identity"]);
    timeline.apply(0, &TakeEvent::ParticipantLeft { participant: "b".into() });
    assert_eq!(labels(&timeline.scene()), ["Ann", "c-identity"]);
}

#[test]
fn a_muted_camera_becomes_a_placeholder_and_comes_back() {
    let mut timeline = after(&[joined("a", "Ann"), published("v", "a", TrackSource::Camera)]);
    assert_eq!(timeline.scene().tiles[0].track, Some("v".into()));
    timeline.apply(0, &muted("v", true));
    assert_eq!(timeline.scene().tiles[0].track, None);
    timeline.apply(0, &muted("v", false));
    assert_eq!(timeline.scene().tiles[0].track, Some("v".into()));
}

#[test]
fn who_has_no_open_microphone_is_marked_muted() {
    let mut timeline = after(&[joined("a", "Ann")]);
    assert!(timeline.scene().tiles[0].muted);
    timeline.apply(0, &published("m", "a", TrackSource::Microphone));
    assert!(!timeline.scene().tiles[0].muted);
    assert!(timeline.audible(&"m".into()));
    timeline.apply(0, &muted("m", true));
    assert!(timeline.scene().tiles[0].muted);
    assert!(!timeline.audible(&"m".into()));
}

#[test]
fn a_shared_screen_is_a_large_tile_of_its_own() {
    let mut timeline = after(&[joined("a", "Ann"), published("s", "a", TrackSource::ScreenShare)]);
    let scene = timeline.scene();
    assert_eq!(labels(&scene), ["Ann (screen)", "Ann"]);
    assert!(scene.tiles[0].screen && !scene.tiles[1].screen);
    timeline.apply(0, &TakeEvent::TrackUnpublished { track: "s".into() });
    assert_eq!(labels(&timeline.scene()), ["Ann"]);
}

#[test]
fn a_new_name_shows_at_once() {
    let mut timeline = after(&[joined("a", "Ann")]);
    assert!(timeline.apply(0, &TakeEvent::ParticipantNamed { participant: "a".into(), name: "Anna".into() }));
    assert_eq!(labels(&timeline.scene()), ["Anna"]);
    assert!(!timeline.apply(0, &TakeEvent::ParticipantNamed { participant: "x".into(), name: "?".into() }));
}

#[test]
fn nothing_is_shown_or_heard_while_paused() {
    let mut timeline =
        after(&[joined("a", "Ann"), published("m", "a", TrackSource::Microphone), TakeEvent::Pause]);
    assert!(timeline.scene().tiles.is_empty() && !timeline.audible(&"m".into()));
    timeline.apply(0, &TakeEvent::Resume);
    assert!(!timeline.scene().tiles.is_empty() && timeline.audible(&"m".into()));
}

fn speak(timeline: &mut Timeline, at_s: u64, participant: &str) -> bool {
    let at_ns = at_s * 1_000_000_000;
    let speakers = vec![reelroom_take::Speaker { participant: participant.into(), level: 0.5 }];
    timeline.apply(at_ns, &TakeEvent::Speakers { speakers });
    timeline.advance(at_ns + 999_000_000)
}

fn with_layout(name: &str, events: &[TakeEvent]) -> Timeline {
    let mut timeline = Timeline::new(Layout::parse(name));
    for event in events {
        timeline.apply(0, event);
    }
    timeline
}

fn large(scene: &Scene) -> Vec<&str> {
    scene.tiles.iter().filter(|tile| tile.large).map(|tile| tile.label.as_str()).collect()
}

#[test]
fn who_speaks_is_large_and_everybody_stays_in_order() {
    let people = [joined("a", "Ann"), joined("b", "Bob"), published("v", "b", TrackSource::Camera)];
    let mut timeline = with_layout("speaker", &people);
    assert_eq!(large(&timeline.scene()), ["Bob"], "nobody spoke yet: who can be seen");
    assert!(speak(&mut timeline, 1, "a"));
    assert_eq!(large(&timeline.scene()), ["Ann"]);
    assert!(speak(&mut timeline, 5, "b"));
    assert_eq!(large(&timeline.scene()), ["Bob"]);
    assert_eq!(labels(&timeline.scene()), ["Ann", "Bob"]);
}

#[test]
fn a_single_speaker_is_alone() {
    let mut timeline = with_layout("single-speaker-light", &[joined("a", "Ann"), joined("b", "Bob")]);
    speak(&mut timeline, 1, "b");
    assert_eq!(labels(&timeline.scene()), ["Bob"]);
    timeline.apply(0, &published("s", "a", TrackSource::ScreenShare));
    assert_eq!(labels(&timeline.scene()), ["Ann (screen)"]);
    assert!(with_layout("single-speaker", &[]).scene().tiles.is_empty());
}

#[test]
fn the_screen_shared_last_is_the_large_one() {
    let timeline = with_layout(
        "speaker",
        &[
            joined("a", "Ann"),
            joined("b", "Bob"),
            published("t", "b", TrackSource::ScreenShare),
            published("s", "a", TrackSource::ScreenShare),
        ],
    );
    assert_eq!(large(&timeline.scene()), ["Ann (screen)"]);
    assert_eq!(timeline.scene().tiles.len(), 4);
}

#[test]
fn a_layout_fact_changes_arrangement_and_tone() {
    let mut timeline = with_layout("grid", &[joined("a", "Ann"), joined("b", "Bob")]);
    assert!(timeline.apply(0, &TakeEvent::Layout { layout: "speaker-light".into() }));
    let scene = timeline.scene();
    assert_eq!(scene.layout, Layout::parse("speaker-light"));
    assert_eq!(large(&scene), ["Ann"]);
}

#[test]
fn of_a_crowd_those_who_spoke_are_shown() {
    let people: Vec<TakeEvent> =
        (0..60).map(|number| joined(&format!("p{number}"), &format!("P{number}"))).collect();
    let mut timeline = with_layout("grid", &people);
    assert_eq!(timeline.scene().tiles.len(), MAX_TILES);
    assert_eq!(labels(&timeline.scene())[48], "P48");
    speak(&mut timeline, 1, "p55");
    let scene = timeline.scene();
    assert_eq!((scene.tiles.len(), labels(&scene)[48], labels(&scene)[47]), (MAX_TILES, "P55", "P47"));
}

#[test]
fn each_camera_and_each_screen_of_a_person_has_a_tile() {
    let mut timeline = after(&[
        joined("a", "Ann"),
        published("v", "a", TrackSource::Camera),
        published("w", "a", TrackSource::Camera),
        published("s", "a", TrackSource::ScreenShare),
        published("t", "a", TrackSource::ScreenShare),
        published("u", "a", TrackSource::Unknown),
        joined("b", "Bob"),
    ]);
    let tracks = |timeline: &Timeline| -> Vec<(String, Option<String>)> {
        let tiles = timeline.scene().tiles;
        tiles.iter().map(|tile| (tile.label.clone(), tile.track.as_ref().map(ToString::to_string))).collect()
    };
    let tile = |label: &str, track: &str| (label.to_owned(), Some(track.to_owned()));
    let shown = tracks(&timeline);
    assert_eq!(
        shown[..5],
        [
            tile("Ann (screen)", "s"),
            tile("Ann (screen 2)", "t"),
            tile("Ann", "v"),
            tile("Ann (camera 2)", "w"),
            tile("Ann (camera 3)", "u")
        ]
    );
    timeline.apply(0, &muted("v", true));
    assert_eq!(tracks(&timeline)[2..4], [tile("Ann", "w"), tile("Ann (camera 2)", "u")]);
    assert!(timeline.scene().tiles[3..].iter().all(|tile| tile.track.is_none() || !tile.muted));
}

#[test]
fn what_is_not_recorded_is_named_and_not_shown() {
    let left_out =
        |track: &str| TakeEvent::LeftOut { track: track.into(), why: LeftOutWhy::Encrypted, from_ns: 0 };
    let mut timeline = after(&[
        joined("a", "Ann"),
        published("v", "a", TrackSource::Camera),
        published("m", "a", TrackSource::Microphone),
        published("s", "a", TrackSource::ScreenShare),
    ]);
    for track in ["v", "m", "s"] {
        assert!(timeline.apply(0, &left_out(track)));
    }
    let scene = timeline.scene();
    assert_eq!(labels(&scene), ["Ann (screen, encrypted)", "Ann (encrypted)"]);
    assert!(scene.tiles.iter().all(|tile| tile.track.is_none() && !tile.large));
    assert!(scene.tiles[1].muted && !timeline.audible(&"m".into()));
    for track in ["v", "s"] {
        timeline.apply(0, &TakeEvent::LeftOutUntil { track: track.into(), frames: 3 });
    }
    assert_eq!(labels(&timeline.scene()), ["Ann (screen)", "Ann (encrypted)"], "nobody hears her");
    timeline.apply(0, &TakeEvent::LeftOutUntil { track: "m".into(), frames: 3 });
    assert_eq!(labels(&timeline.scene()), ["Ann (screen)", "Ann"]);
    assert!(timeline.audible(&"m".into()) && !timeline.scene().tiles[1].muted);
}

#[test]
fn who_has_not_agreed_is_not_on_screen_and_who_takes_it_back_leaves_it() {
    let says = |participant: &str, agrees| TakeEvent::Consent {
        participant: participant.into(),
        agrees,
        unix_ms: 0,
    };
    let mut timeline = after(&[joined("a", "Ann"), published("v", "a", TrackSource::Camera)]);
    assert_eq!(labels(&timeline.scene()), ["Ann"]);
    for fact in [
        TakeEvent::ConsentAsked,
        joined("b", "Bob"),
        joined("c", "Cem"),
        published("w", "b", TrackSource::Camera),
    ] {
        assert!(timeline.apply(0, &fact));
        assert!(timeline.scene().tiles.is_empty(), "silence is no consent: {fact:?}");
    }
    timeline.apply(0, &says("a", false));
    timeline.apply(0, &says("b", true));
    assert_eq!(labels(&timeline.scene()), ["Bob"]);
    timeline.apply(0, &says("b", false));
    timeline.apply(0, &says("c", true));
    assert_eq!(labels(&timeline.scene()), ["Cem"]);
    timeline.apply(0, &TakeEvent::ParticipantLeft { participant: "c".into() });
    timeline.apply(0, &joined("c", "Cem"));
    assert!(timeline.scene().tiles.is_empty(), "another session says so anew");
}

const S: u64 = 1_000_000_000;

fn came_back(id: &str, identity_of: &str, name: &str) -> TakeEvent {
    TakeEvent::ParticipantJoined {
        participant: id.into(),
        identity: format!("{identity_of}-identity"),
        name: name.into(),
    }
}

/// Two people with cameras whose recorder was started anew: suspended at 5 s, resumed at 8 s.
fn restarted(more: &[TakeEvent]) -> Timeline {
    let mut timeline = after(more);
    for event in [
        joined("a", "Ann"),
        joined("b", "Bob"),
        published("va", "a", TrackSource::Camera),
        published("ma", "a", TrackSource::Microphone),
        published("vb", "b", TrackSource::Camera),
    ] {
        timeline.apply(0, &event);
    }
    timeline.apply(5 * S, &TakeEvent::Suspended { unix_ns: 1 });
    timeline.apply(8 * S, &TakeEvent::Resumed);
    timeline
}

fn tracks(scene: &Scene) -> Vec<Option<&str>> {
    scene.tiles.iter().map(|tile| tile.track.as_ref().map(TrackId::as_str)).collect()
}

#[test]
fn nobody_is_seen_to_leave_or_come_who_only_stood_still() {
    let mut timeline = restarted(&[]);
    assert!(!timeline.advance(9 * S));
    let still = timeline.scene();
    assert_eq!((labels(&still), tracks(&still)), (vec!["Ann", "Bob"], vec![Some("va"), Some("vb")]));
    // Bob is quicker.
    timeline.apply(9 * S, &came_back("b2", "b", "Bob"));
    timeline.apply(9 * S, &published("vb2", "b2", TrackSource::Camera));
    timeline.apply(10 * S, &came_back("a2", "a", "Ann"));
    let scene = timeline.scene();
    assert_eq!((labels(&scene), tracks(&scene)), (vec!["Ann", "Bob"], vec![Some("va"), Some("vb2")]));
    assert_eq!(timeline.before(&"vb2".into()), Some(&"vb".into()), "until it has a picture");
    assert!(!timeline.forgot(&"vb".into()) && timeline.parted().is_empty());
    timeline.apply(10 * S, &published("ma2", "a2", TrackSource::Microphone));
    assert_eq!(timeline.parted(), [TrackId::from("ma")]);
    assert!(!timeline.scene().tiles[0].muted);
    assert!(!timeline.advance(18 * S - 1));
    assert!(timeline.advance(18 * S));
    let scene = timeline.scene();
    assert_eq!((labels(&scene), tracks(&scene)), (vec!["Ann", "Bob"], vec![None, Some("vb2")]));
    assert_eq!(timeline.before(&"vb2".into()), None);
    assert_eq!(timeline.parted(), [TrackId::from("vb"), TrackId::from("va")]);
    assert!(!timeline.advance(19 * S));
}

#[test]
fn who_does_not_come_back_has_left_a_while_after_the_restart() {
    let mut timeline = restarted(&[]);
    timeline.apply(9 * S, &came_back("a2", "a", "Ann"));
    timeline.advance(18 * S);
    assert_eq!(labels(&timeline.scene()), ["Ann"]);
    timeline.apply(20 * S, &came_back("b2", "b", "Bob"));
    assert_eq!(labels(&timeline.scene()), ["Ann", "Bob"], "and comes as anybody does");
}

#[test]
fn a_camera_that_is_off_after_a_restart_shows_nothing_of_before() {
    for events in [
        vec![TakeEvent::TrackPublished {
            track: "va2".into(),
            participant: "a2".into(),
            kind: TrackKind::Video,
            source: TrackSource::Camera,
            width: 0,
            height: 0,
            muted: true,
        }],
        vec![published("va2", "a2", TrackSource::Camera), muted("va2", true)],
        vec![
            published("va2", "a2", TrackSource::Camera),
            TakeEvent::LeftOut { track: "va2".into(), why: LeftOutWhy::Declined, from_ns: 9 * S },
        ],
    ] {
        let mut timeline = restarted(&[]);
        timeline.apply(9 * S, &came_back("a2", "a", "Ann"));
        events.iter().for_each(|event| _ = timeline.apply(9 * S, event));
        assert_eq!(tracks(&timeline.scene())[0], None, "{events:?}");
        assert_eq!(timeline.before(&"va2".into()), None);
        assert_eq!(timeline.parted(), [TrackId::from("va")]);
    }
}

#[test]
fn who_agreed_stands_still_and_is_gone_when_they_say_no_or_nothing_for_too_long() {
    let agrees = |who: &str, agrees| TakeEvent::Consent { participant: who.into(), agrees, unix_ms: 1 };
    let asking = || {
        let mut timeline = restarted(&[TakeEvent::ConsentAsked, agrees("a", true), agrees("b", true)]);
        timeline.apply(8 * S, &TakeEvent::ConsentAsked);
        timeline.apply(9 * S, &came_back("a2", "a", "Ann"));
        timeline.apply(9 * S, &came_back("b2", "b", "Bob"));
        timeline
    };
    let mut timeline = asking();
    assert_eq!(labels(&timeline.scene()), ["Ann", "Bob"]);
    timeline.apply(9 * S, &agrees("a2", true));
    timeline.apply(9 * S, &agrees("b2", false));
    assert_eq!(labels(&timeline.scene()), ["Ann"]);
    let mut timeline = asking();
    timeline.apply(9 * S, &agrees("a2", true));
    timeline.advance(18 * S);
    assert_eq!(labels(&timeline.scene()), ["Ann"]);
}

#[test]
fn a_room_that_does_not_ask_any_more_shows_who_comes_and_nobody_who_had_not_agreed() {
    let agrees = TakeEvent::Consent { participant: "a".into(), agrees: true, unix_ms: 1 };
    let mut timeline = restarted(&[TakeEvent::ConsentAsked, agrees]);
    assert_eq!(labels(&timeline.scene()), ["Ann"]);
    assert_eq!(timeline.parted(), [TrackId::from("vb")]);
    timeline.apply(9 * S, &came_back("b2", "b", "Bob"));
    timeline.apply(9 * S, &came_back("a2", "a", "Ann"));
    assert_eq!(labels(&timeline.scene()), ["Ann", "Bob"]);
}

#[test]
fn nobody_becomes_large_while_nothing_is_recorded() {
    let mut timeline = with_layout("speaker", &[]);
    for event in [joined("a", "Ann"), joined("b", "Bob"), published("va", "a", TrackSource::Camera)] {
        timeline.apply(0, &event);
    }
    speak(&mut timeline, 1, "a");
    let speakers = vec![reelroom_take::Speaker { participant: "b".into(), level: 0.5 }];
    timeline.apply(5 * S, &TakeEvent::Speakers { speakers });
    timeline.apply(5 * S, &TakeEvent::Suspended { unix_ns: 1 });
    timeline.advance(7 * S);
    assert_eq!(large(&timeline.scene()), ["Ann"]);
}

#[test]
fn who_spoke_is_large_still_when_they_come_back() {
    let mut timeline = with_layout("speaker", &[]);
    for event in [joined("a", "Ann"), joined("b", "Bob"), published("va", "a", TrackSource::Camera)] {
        timeline.apply(0, &event);
    }
    speak(&mut timeline, 1, "b");
    timeline.apply(5 * S, &TakeEvent::Suspended { unix_ns: 1 });
    timeline.apply(8 * S, &TakeEvent::Resumed);
    timeline.apply(9 * S, &came_back("a2", "a", "Ann"));
    timeline.apply(9 * S, &came_back("b2", "b", "Bob"));
    assert_eq!(large(&timeline.scene()), ["Bob"]);
}

#[test]
fn a_second_restart_has_everybody_stand_still_once_more() {
    let mut timeline = restarted(&[]);
    timeline.apply(9 * S, &came_back("a2", "a", "Ann"));
    timeline.apply(9 * S, &published("va2", "a2", TrackSource::Camera));
    timeline.apply(12 * S, &TakeEvent::Suspended { unix_ns: 2 });
    assert!(!timeline.advance(30 * S), "nobody leaves while nothing is recorded");
    timeline.apply(31 * S, &TakeEvent::Resumed);
    timeline.apply(32 * S, &came_back("a3", "a", "Ann"));
    let scene = timeline.scene();
    assert_eq!((labels(&scene), tracks(&scene)), (vec!["Ann", "Bob"], vec![Some("va2"), Some("vb")]));
    timeline.advance(41 * S);
    assert_eq!(labels(&timeline.scene()), ["Ann"]);
}
