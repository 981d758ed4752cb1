use prost::Message as _;
use reelroom_protocol::proto::{
    DataPacket, SyncState, TrackInfo, TrackType, UpdateSubscription, leave_request, participant_info,
    signal_request,
};
use reelroom_protocol::token::VideoGrants;

use super::*;
use crate::output::{DataKind, Output};
use crate::participant::Joining;
use crate::room::tests::Story;

fn joining(name: &str) -> Joining {
    Story::joining(name, VideoGrants::default(), participant_info::Kind::Standard)
}

fn published(sid: &str) -> TrackPublishedResponse {
    TrackPublishedResponse {
        track: Some(TrackInfo { sid: sid.to_owned(), ..Default::default() }),
        ..Default::default()
    }
}

fn told(story: &mut Story, heard: Instant, sid: &ParticipantSid) -> Vec<signal_response::Message> {
    let now = story.now;
    story.room.resume(sid, heard, now)
}

fn people(message: &signal_response::Message) -> Vec<(&str, participant_info::State)> {
    match message {
        signal_response::Message::Update(update) => {
            update.participants.iter().map(|info| (info.identity.as_str(), info.state())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_comes_back_is_told_how_everything_stands_and_nobody_else_hears_of_it() {
    let mut story = Story::new();
    let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
    let hidden = VideoGrants { hidden: true, ..VideoGrants::default() };
    story.join_as("hidden", hidden, participant_info::Kind::Standard).unwrap();
    story.pass(Duration::from_secs(10));
    let heard = story.now.at;
    story.pass(Duration::from_secs(10));
    let now = story.now;
    story.room.leave(&carol, DisconnectReason::ClientInitiated, now);
    story.outputs();
    let messages = told(&mut story, heard, &ada);
    let [first, gone, here, room] = messages.as_slice() else { panic!("{messages:?}") };
    let signal_response::Message::Reconnect(reconnect) = first else { panic!("{first:?}") };
    assert!(!reconnect.server_info.as_ref().unwrap().version.is_empty());
    assert_eq!(people(gone), [("carol", participant_info::State::Disconnected)]);
    let active = participant_info::State::Active;
    let mut seen = people(here);
    seen.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(seen, [("ada", active), ("bob", active)], "itself, and nobody who is hidden");
    assert!(matches!(room, signal_response::Message::RoomUpdate(_)));
    assert_eq!(story.outputs().len(), 0, "nobody hears of it");
    // And gets a fresh token.
    story.room.refresh_tokens(now);
    let is_token = |output: &Output| matches!(output, Output::RefreshToken { to, .. } if *to == ada);
    assert!(story.outputs().iter().any(is_token));
    // Who has come again is told as they are now.
    story.join("carol");
    story.outputs();
    let messages = told(&mut story, heard, &ada);
    assert_eq!(messages.len(), 3);
    assert_eq!(people(&messages[1]).len(), 3);
    // Bob was heard later than Carol left.
    story.pass(Duration::from_secs(10));
    let heard = story.now.at;
    assert_eq!(told(&mut story, heard, &bob).len(), 3);
}

#[test]
fn of_those_who_left_few_are_remembered_and_not_for_long() {
    let mut departures = Departures::default();
    let start = Instant::now();
    let long = ParticipantInfo {
        identity: "x".into(),
        metadata: "m".repeat(1000),
        version: 7,
        ..ParticipantInfo::default()
    };
    for _ in 0..2 * DEPARTURES_REMEMBERED {
        departures.note(&long, start);
    }
    assert_eq!(departures.since(start).len(), DEPARTURES_REMEMBERED);
    assert!(departures.since(start).iter().all(|info| info.metadata.is_empty() && info.version == 7));
    let later = start + SIGNAL_LOST_FOR + Duration::from_secs(10);
    departures.note(&long, later);
    assert_eq!(departures.since(start).len(), 1);
    assert!(departures.since(later + Duration::from_secs(3)).is_empty());
}

#[test]
fn a_session_is_taken_up_by_whoever_it_belongs_to() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let guest = Joining { ticket: "TK_1".into(), serial: 2, ..joining("guest") };
    let guest_sid = story.join_with(guest.clone()).unwrap();
    let room = &story.room;
    assert!(room.is_session_of(&ada, &joining("ada")));
    assert!(!room.is_session_of(&ada, &joining("bob")));
    assert!(!room.is_session_of(&"PA_nobody".into(), &joining("ada")));
    assert!(!room.is_session_of(&guest_sid, &joining("guest")), "the name alone is not enough");
    assert!(room.is_session_of(&guest_sid, &guest));
    for (serial, is_theirs) in [(1, false), (2, true), (3, false)] {
        assert_eq!(room.is_session_of(&guest_sid, &Joining { serial, ..guest.clone() }), is_theirs);
    }
    // One that was given since.
    let now = story.now;
    story.room.refresh_tokens(now);
    assert!(story.room.is_session_of(&guest_sid, &Joining { serial: 3, ..guest.clone() }));
    assert!(!story.room.is_session_of(&guest_sid, &Joining { ticket: "TK_2".into(), ..guest }));
}

#[test]
fn what_a_client_does_not_want_or_watch_is_so_again() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let (seen, refused) = (
        story.publish(&ada, "0", TrackType::Video, false),
        story.publish(&ada, "1", TrackType::Video, false),
    );
    let now = story.now;
    for track in [&seen, &refused] {
        story.room.down_track_ready(&bob, track, now);
    }
    story.outputs();
    let state = SyncState {
        subscription: Some(UpdateSubscription {
            track_sids: vec![refused.to_string()],
            subscribe: false,
            participant_tracks: Vec::new(),
        }),
        track_sids_disabled: vec![seen.to_string()],
        ..Default::default()
    };
    story.room.handle_signal(&bob, signal_request::Message::SyncState(state), now);
    let is_removed =
        |output: &Output| matches!(output, Output::RemoveDownTrack { track, .. } if *track == refused);
    assert!(story.outputs().iter().any(is_removed));
    assert!(story.forwarded(&seen, 1, crate::layers::Layer::High).is_empty(), "it is not watched");
}

#[test]
fn who_publishes_what_the_room_knows_goes_on_and_who_does_not_joins_anew() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    let now = story.now;
    let says = |story: &mut Story, sid: &ParticipantSid, track: &str| {
        let state = SyncState { publish_tracks: vec![published(track)], ..Default::default() };
        story.room.handle_signal(sid, signal_request::Message::SyncState(state), now);
    };
    story.outputs();
    says(&mut story, &ada, track.as_str());
    assert_eq!(story.outputs().len(), 0);
    says(&mut story, &bob, track.as_str());
    let leaves: Vec<_> = story
        .outputs()
        .iter()
        .filter_map(|output| match output {
            Output::Signal { to, message } if *to == bob => match message.as_ref() {
                signal_response::Message::Leave(leave) => Some((leave.action(), leave.reason())),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(leaves, [(leave_request::Action::Reconnect, DisconnectReason::StateMismatch)]);
}

#[test]
fn who_was_muted_while_it_was_away_is_asked_to_mute_and_not_told_that_it_is() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    let heard = story.now.at;
    story.room.mute_by_admin(&track).unwrap();
    story.pass(Duration::from_secs(10));
    story.outputs();
    let messages = told(&mut story, heard, &ada);
    let signal_response::Message::Mute(mute) = &messages[1] else { panic!("{messages:?}") };
    assert!(mute.muted && mute.sid == track.as_str());
    let is_of_herself = |message: &signal_response::Message| {
        matches!(message, signal_response::Message::Update(update)
            if update.participants.iter().any(|info| info.sid == ada.as_str()))
    };
    assert!(!messages.iter().any(is_of_herself), "she would say that she is not muted");
    assert_eq!(told(&mut story, heard, &bob).len(), 3, "others read it");
    // Whether she answers or not, she hears of it then.
    story.outputs();
    story.pass(Duration::from_secs(4));
    let updates = story.updates_to(&ada);
    assert!(updates.len() == 1 && updates[0].tracks[0].muted, "{updates:?}");
}

#[test]
fn what_goes_by_changes_alone_is_told_again() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.room.allow_pause(&bob, true);
    let picture = story.publish(&ada, "0", TrackType::Video, true);
    let sound = story.publish(&ada, "1", TrackType::Audio, false);
    let now = story.now;
    for track in [&picture, &sound] {
        story.room.down_track_ready(&bob, track, now);
    }
    story.pass(Duration::from_secs(1));
    story.outputs();
    let heard = story.now.at;
    told(&mut story, heard, &bob);
    let (mut states, mut speakers) = (Vec::new(), Vec::new());
    for output in story.outputs() {
        let Output::Signal { to, message } = output else { panic!("{output:?}") };
        assert_eq!(*to, bob);
        match message.as_ref() {
            signal_response::Message::StreamStateUpdate(update) => {
                states.extend(update.stream_states.iter().map(|info| (info.track_sid.clone(), info.state())));
            }
            signal_response::Message::SpeakersChanged(changed) => {
                speakers.extend(changed.speakers.iter().map(|speaker| (speaker.sid.clone(), speaker.active)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(states, [(picture.to_string(), StreamState::Active)]);
    assert_eq!(speakers, [(ada.to_string(), false)]);
    told(&mut story, heard, &ada);
    let is_wanted = |output: &Output| {
        matches!(output, Output::Signal { to, message } if *to == ada
            && matches!(message.as_ref(), signal_response::Message::SubscribedQualityUpdate(_)))
    };
    assert!(story.outputs().iter().any(is_wanted), "she encodes what is wanted");
}

#[test]
fn what_was_sent_meanwhile_is_sent_again_once_for_each_time_that_somebody_comes_back() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let packet = DataPacket { sequence: 1, ..DataPacket::default() };
    let waits = |story: &mut Story| {
        while story.room.next_data(&bob).is_some() {
            story.room.data_taken(&bob);
        }
        let now = story.now;
        let state = signal_request::Message::SyncState(SyncState::default());
        story.room.handle_signal(&bob, state, now);
        story.room.next_data(&bob).is_some()
    };
    story.room.data(&ada, DataKind::Reliable, &packet.encode_to_vec());
    assert!(!waits(&mut story), "it has not been away");
    let heard = story.now.at;
    told(&mut story, heard, &bob);
    assert!(waits(&mut story));
    assert!(!waits(&mut story));
}
