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
        timeline.apply(event);
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
    timeline.apply(&TakeEvent::ParticipantLeft { participant: "b".into() });
    assert_eq!(labels(&timeline.scene()), ["Ann", "c-identity"]);
}

#[test]
fn a_muted_camera_becomes_a_placeholder_and_comes_back() {
    let mut timeline = after(&[joined("a", "Ann"), published("v", "a", TrackSource::Camera)]);
    assert_eq!(timeline.scene().tiles[0].track, Some("v".into()));
    timeline.apply(&muted("v", true));
    assert_eq!(timeline.scene().tiles[0].track, None);
    timeline.apply(&muted("v", false));
    assert_eq!(timeline.scene().tiles[0].track, Some("v".into()));
}

#[test]
fn who_has_no_open_microphone_is_marked_muted() {
    let mut timeline = after(&[joined("a", "Ann")]);
    assert!(timeline.scene().tiles[0].muted);
    timeline.apply(&published("m", "a", TrackSource::Microphone));
    assert!(!timeline.scene().tiles[0].muted);
    assert!(timeline.audible(&"m".into()));
    timeline.apply(&muted("m", true));
    assert!(timeline.scene().tiles[0].muted);
    assert!(!timeline.audible(&"m".into()));
}

#[test]
fn a_shared_screen_is_a_large_tile_of_its_own() {
    let mut timeline = after(&[joined("a", "Ann"), published("s", "a", TrackSource::ScreenShare)]);
    let scene = timeline.scene();
    assert_eq!(labels(&scene), ["Ann (screen)", "Ann"]);
    assert!(scene.tiles[0].screen && !scene.tiles[1].screen);
    timeline.apply(&TakeEvent::TrackUnpublished { track: "s".into() });
    assert_eq!(labels(&timeline.scene()), ["Ann"]);
}

#[test]
fn a_new_name_shows_at_once() {
    let mut timeline = after(&[joined("a", "Ann")]);
    assert!(timeline.apply(&TakeEvent::ParticipantNamed { participant: "a".into(), name: "Anna".into() }));
    assert_eq!(labels(&timeline.scene()), ["Anna"]);
    assert!(!timeline.apply(&TakeEvent::ParticipantNamed { participant: "x".into(), name: "?".into() }));
}

#[test]
fn nothing_is_shown_or_heard_while_paused() {
    let mut timeline =
        after(&[joined("a", "Ann"), published("m", "a", TrackSource::Microphone), TakeEvent::Pause]);
    assert!(timeline.scene().tiles.is_empty() && !timeline.audible(&"m".into()));
    timeline.apply(&TakeEvent::Resume);
    assert!(!timeline.scene().tiles.is_empty() && timeline.audible(&"m".into()));
}
