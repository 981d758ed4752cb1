use reelroom_protocol::proto::{
    AddTrackRequest, MuteTrackRequest, ParticipantPermission, TrackSource, TrackType,
    UpdateParticipantMetadata, UpdateParticipantRequest, signal_request,
};

use super::*;
use crate::codec::Codec;
use crate::layers::Layer;
use crate::participant::AdminRefusal;
use crate::room::tests::{Story, packet};

fn standard(name: &str) -> Joining {
    Story::joining(name, VideoGrants::default(), participant_info::Kind::Standard)
}

fn with_ticket(name: &str, ticket: &str) -> Joining {
    Joining { ticket: ticket.into(), ..standard(name) }
}

fn may(publish: bool, sources: &[TrackSource]) -> ParticipantPermission {
    ParticipantPermission {
        can_subscribe: true,
        can_publish: publish,
        can_publish_sources: sources.iter().map(|source| i32::from(*source)).collect(),
        ..Default::default()
    }
}

impl Story {
    fn change(&mut self, sid: &ParticipantSid, request: UpdateParticipantRequest) {
        self.room.update_participant(sid, &request, self.now).expect("it is no recorder");
    }

    fn identity(&self, sid: &ParticipantSid) -> String {
        self.room.participants[sid].identity.to_string()
    }

    fn is_here(&self, sid: &ParticipantSid) -> bool {
        self.room.participants.contains_key(sid)
    }

    fn tokens_to(&mut self, sid: &ParticipantSid) -> Vec<Bearer> {
        let token = |output: &Output| match output {
            Output::RefreshToken { to, bearer } if to == sid => Some((**bearer).clone()),
            _ => None,
        };
        self.outputs().iter().filter_map(token).collect()
    }
}

#[test]
fn a_token_taken_early_throws_nobody_out_and_its_bearer_joins_beside_them() {
    let mut story = Story::new();
    let later = story.join_with(with_ticket("Ada", "TK_2")).unwrap();
    let early = story.join_with(with_ticket("Ada", "TK_1")).unwrap();
    assert!(story.is_here(&later) && story.is_here(&early));
    assert_eq!(story.identity(&later), "Ada");
    assert!(story.identity(&early).starts_with("Ada-") && story.identity(&early).len() == 8);
}

#[test]
fn an_identity_beside_a_long_one_is_still_one_that_may_join() {
    let mut story = Story::new();
    let long = "ä".repeat(NAME_BYTES / 2);
    story.join_with(with_ticket(&long, "TK_1")).unwrap();
    let second = story.join_with(with_ticket(&long, "TK_2")).unwrap();
    let identity = story.identity(&second);
    assert!(identity.len() <= NAME_BYTES && identity.starts_with("ää"), "{identity}");
}

#[test]
fn a_used_token_is_no_second_person() {
    let mut story = Story::new();
    let first = story.join_with(with_ticket("Ada", "TK_1")).unwrap();
    let other = story.join_with(with_ticket("Ada", "TK_2")).unwrap();
    let renamed = story.identity(&other);
    let again = story.join_with(with_ticket("Ada", "TK_2")).unwrap();
    assert!(story.is_here(&first) && !story.is_here(&other));
    assert_eq!(story.identity(&again), renamed, "they keep the identity that they were given");
}

#[test]
fn an_apps_own_token_takes_the_place_of_its_identity_as_with_livekit() {
    let mut story = Story::new();
    let first = story.join_with(with_ticket("Ada", "TK_1")).unwrap();
    let second = story.join("Ada");
    assert!(!story.is_here(&first));
    let third = story.join("Ada");
    assert!(!story.is_here(&second) && story.is_here(&third));
}

#[test]
fn what_records_can_be_neither_replaced_nor_removed_nor_changed() {
    let mut story = Story::new();
    let grants = VideoGrants { hidden: true, recorder: true, ..VideoGrants::default() };
    let recorder = Story::joining("EG_1", grants, participant_info::Kind::Egress);
    let recorder = story.join_with(Joining { is_server: true, ..recorder }).unwrap();
    let egress = |ticket: &str| {
        Story::joining(
            "EG_1",
            VideoGrants { recorder: true, ..VideoGrants::default() },
            participant_info::Kind::Egress,
        )
        .with(ticket)
    };
    assert_eq!(story.join_with(standard("EG_1")).unwrap_err(), Refusal::Reserved);
    assert_eq!(story.join_with(egress("")).unwrap_err(), Refusal::Reserved);
    let beside = story.join_with(with_ticket("EG_1", "TK_1")).unwrap();
    assert_ne!(story.identity(&beside), "EG_1");
    assert_eq!(story.room.remove(&recorder, story.now), Err(AdminRefusal::Recorder));
    let unhide = UpdateParticipantRequest { permission: Some(may(true, &[])), ..Default::default() };
    assert_eq!(story.room.update_participant(&recorder, &unhide, story.now), Err(AdminRefusal::Recorder));
    assert!(story.is_here(&recorder) && story.room.info().active_recording);
    assert_eq!(story.room.remove(&beside, story.now), Ok(()));
}

impl Joining {
    fn with(self, ticket: &str) -> Self {
        Self { ticket: ticket.into(), ..self }
    }
}

#[test]
fn what_the_server_changed_holds_against_every_older_token() {
    for joining in [standard("Ada"), with_ticket("Ada", "TK_1")] {
        let mut story = Story::new();
        let ada = story.join_with(joining.clone()).unwrap();
        let request = UpdateParticipantRequest {
            name: "Ada L.".into(),
            metadata: "calm".into(),
            attributes: [("hand".to_owned(), "up".to_owned())].into(),
            permission: Some(may(false, &[])),
            ..Default::default()
        };
        story.change(&ada, request);
        story.room.leave(&ada, proto_reason(), story.now);
        let again = story.join_with(joining.clone()).unwrap();
        let info = story.room.participant_info(&again).unwrap();
        assert_eq!((info.name.as_str(), info.metadata.as_str()), ("Ada L.", "calm"));
        assert_eq!(info.attributes["hand"], "up");
        assert!(!info.permission.unwrap().can_publish);
        let newer = Joining { issued_unix_s: story.now.unix_ms as u64 / 1000 + 1, ..joining };
        let newer = story.join_with(newer).unwrap();
        assert!(story.room.participant_info(&newer).unwrap().permission.unwrap().can_publish);
    }
}

fn proto_reason() -> reelroom_protocol::proto::DisconnectReason {
    reelroom_protocol::proto::DisconnectReason::ClientInitiated
}

#[test]
fn what_a_participant_says_of_itself_after_a_change_is_kept_but_gives_no_right_back() {
    let mut story = Story::new();
    let grants = VideoGrants { can_update_own_metadata: Some(true), ..VideoGrants::default() };
    let joining = Story::joining("Ada", grants, participant_info::Kind::Standard);
    let ada = story.join_with(joining.clone()).unwrap();
    let permission = ParticipantPermission { can_update_metadata: true, ..may(false, &[]) };
    story.change(&ada, UpdateParticipantRequest { permission: Some(permission), ..Default::default() });
    let own = UpdateParticipantMetadata { name: "Countess".into(), ..Default::default() };
    story.room.handle_signal(&ada, signal_request::Message::UpdateMetadata(own), story.now);
    let again = story.join_with(joining).unwrap();
    let info = story.room.participant_info(&again).unwrap();
    assert_eq!(info.name, "Countess");
    assert!(!info.permission.unwrap().can_publish);
}

#[test]
fn changes_are_remembered_of_a_bounded_number_of_people() {
    let mut story = Story::new();
    for number in 0..=REMEMBERED_CHANGES {
        let sid = story.join(&format!("{number}"));
        story.now.unix_ms += 1000;
        story.change(&sid, UpdateParticipantRequest { metadata: "x".into(), ..Default::default() });
        story.room.leave(&sid, proto_reason(), story.now);
    }
    assert_eq!(story.room.changes.by_person.len(), REMEMBERED_CHANGES);
    assert!(
        !story.room.changes.by_person.contains_key(&Person::Identity("0".into())),
        "the oldest is forgotten"
    );
}

#[test]
fn connected_clients_get_fresh_tokens_that_say_what_is_so_now() {
    let mut story = Story::new();
    story.join_with(with_ticket("Ada", "TK_1")).unwrap();
    let ada = story.join_with(with_ticket("Ada", "TK_2")).unwrap();
    assert!(story.tokens_to(&ada).is_empty());
    story.change(
        &ada,
        UpdateParticipantRequest {
            permission: Some(may(true, &[TrackSource::Camera])),
            ..Default::default()
        },
    );
    let token = story.tokens_to(&ada).pop().expect("a change is told");
    assert_eq!(token.identity.to_string(), story.identity(&ada));
    assert_eq!(token.ticket.as_str(), "TK_2");
    assert!(!token.grants.may_publish_source(TrackSource::Microphone));
    story.pass(REFRESH_EVERY * 3 + Duration::from_secs(1));
    assert_eq!(story.tokens_to(&ada).len(), 3);
}

#[test]
fn a_right_taken_before_the_track_goes_live_keeps_it_from_going_live() {
    let mut story = Story::new();
    let (ada, _bob) = (story.join("Ada"), story.join("Bob"));
    let request = AddTrackRequest {
        cid: "cid-0".into(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        ..Default::default()
    };
    story.room.handle_signal(&ada, signal_request::Message::AddTrack(request), story.now);
    story.change(
        &ada,
        UpdateParticipantRequest {
            permission: Some(may(true, &[TrackSource::Microphone])),
            ..Default::default()
        },
    );
    let unpublished = |output: &Output| matches!(output, Output::Signal { to, message } if *to == ada && matches!(**message, signal_response::Message::TrackUnpublished(_)));
    assert!(story.outputs().iter().any(unpublished), "its publisher is told");
    assert!(story.room.participants[&ada].pending.is_empty());
}

#[test]
fn a_right_to_a_microphone_publishes_no_picture() {
    let mut story = Story::new();
    let grants = VideoGrants { can_publish_sources: vec!["microphone".into()], ..VideoGrants::default() };
    let ada = story.join_as("Ada", grants, participant_info::Kind::Standard).unwrap();
    for (kind, source) in [
        (TrackType::Video, TrackSource::Microphone),
        (TrackType::Audio, TrackSource::Camera),
        (TrackType::Video, TrackSource::Unknown),
    ] {
        let request = AddTrackRequest {
            cid: "c".into(),
            r#type: kind.into(),
            source: source.into(),
            ..Default::default()
        };
        story.room.handle_signal(&ada, signal_request::Message::AddTrack(request), story.now);
        assert!(story.room.participants[&ada].pending.is_empty(), "{kind:?} as {source:?}");
    }
}

#[test]
fn nothing_of_a_track_that_a_moderator_muted_goes_on_until_its_publisher_unmutes_it() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("Ada"), story.join("Bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.down_track_ready(&bob, &track, story.now);
    let at = story.now.at;
    assert_eq!(story.arrives(&track, &packet(Codec::Vp8, 1, Layer::High, at)), 1);
    story.room.mute_by_admin(&track).expect("there is such a track");
    let echo = MuteTrackRequest { sid: track.to_string(), muted: true };
    story.room.handle_signal(&ada, signal_request::Message::Mute(echo), story.now);
    assert_eq!(story.arrives(&track, &packet(Codec::Vp8, 2, Layer::High, at)), 0);
    story.pass(Duration::from_secs(2));
    story.outputs();
    let unmuted = MuteTrackRequest { sid: track.to_string(), muted: false };
    story.room.handle_signal(&ada, signal_request::Message::Mute(unmuted), story.now);
    assert!(story.outputs().iter().any(|output| matches!(output, Output::RequestKeyframe { .. })));
    assert_eq!(story.arrives(&track, &packet(Codec::Vp8, 3, Layer::High, at)), 1);
}
