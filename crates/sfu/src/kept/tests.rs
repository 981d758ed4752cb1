use std::collections::HashMap;

use reelroom_protocol::proto::{
    DisconnectReason, UpdateParticipantMetadata, UpdateParticipantRequest, leave_request, participant_info,
    signal_request, signal_response,
};
use reelroom_protocol::token::VideoGrants;

use super::*;
use crate::consent::CONSENT;
use crate::output::{Fact, Output};
use crate::room::RoomEnd;
use crate::room::tests::Story;

impl Story {
    fn says_of_being_recorded(&mut self, identity: &str, said: &str) {
        let sid = self.room.sid_of(identity).unwrap();
        let attributes = HashMap::from([(CONSENT.to_owned(), said.to_owned())]);
        let update = UpdateParticipantMetadata { attributes, ..Default::default() };
        self.room.handle_signal(&sid, signal_request::Message::UpdateMetadata(update), self.now);
    }

    fn shown_consent(&self, identity: &str) -> Option<String> {
        let sid = self.room.sid_of(identity).unwrap();
        self.room.participant_info(&sid).unwrap().attributes.get(CONSENT).cloned()
    }

    /// The room of the next run, of which what was kept went through a file.
    fn next_run(&self) -> Self {
        let kept = through_a_file(&self.room.kept());
        let options = RoomOptions { sid: "RM_2".into(), name: "room".into(), ..RoomOptions::default() };
        let mut next = Self::with(kept.reopens(options));
        next.room.go_on(kept);
        next
    }
}

/// As a file of the shell's has it.
fn through_a_file(kept: &KeptRoom) -> KeptRoom {
    serde_json::from_slice(&serde_json::to_vec(kept).unwrap()).unwrap()
}

#[test]
fn what_the_server_changed_and_what_people_answered_holds_in_the_next_run() {
    let mut story = Story::with(RoomOptions {
        sid: "RM_1".into(),
        name: "room".into(),
        departure_timeout_s: 77,
        ..RoomOptions::default()
    });
    story.room.update_metadata("its metadata".into());
    story.room.ask_consent(story.now);
    let (ada, _bob) = (story.join("ada"), story.join("bob"));
    story.says_of_being_recorded("ada", "yes");
    let request = UpdateParticipantRequest { name: "Ada L.".into(), ..Default::default() };
    story.room.update_participant(&ada, &request, story.now).unwrap();

    let mut next = story.next_run();
    assert_eq!(next.room.info().metadata, "its metadata");
    assert_eq!(next.room.info().departure_timeout, 77);
    for who in ["ada", "bob", "eve"] {
        next.join(who);
    }
    let shown = ["ada", "bob", "eve"].map(|who| next.shown_consent(who));
    let is = |word: &str| Some(word.to_owned());
    assert_eq!(
        shown,
        [is("yes"), is("asked"), is("asked")],
        "nobody is asked twice, and nobody agrees by it"
    );
    let ada = next.room.sid_of("ada").unwrap();
    assert_eq!(next.room.participant_info(&ada).unwrap().name, "Ada L.");
    let told = next.room.present_facts();
    let agreed = told.iter().filter(|fact| matches!(fact, Fact::Consent { answer, .. } if answer.agrees));
    assert_eq!(agreed.count(), 1);
}

#[test]
fn an_answer_is_its_bearers_and_not_of_who_has_the_same_name() {
    let mut story = Story::new();
    story.room.ask_consent(story.now);
    let mut joining = Story::joining("ada", VideoGrants::default(), participant_info::Kind::Standard);
    joining.ticket = "TK_1".into();
    story.join_with(joining.clone()).unwrap();
    story.says_of_being_recorded("ada", "yes");
    assert_eq!(story.room.kept().bearers(), [Ticket::from("TK_1")]);
    let mut next = story.next_run();
    joining.ticket = "TK_2".into();
    next.join_with(joining).unwrap();
    assert_eq!(next.shown_consent("ada").as_deref(), Some("asked"));
}

#[test]
fn what_is_left_of_a_room_that_is_too_long_are_rights_and_at_least_that_it_asks() {
    let mut story = Story::new();
    story.room.update_metadata("its metadata".into());
    story.room.ask_consent(story.now);
    let ada = story.join("ada");
    story.says_of_being_recorded("ada", "no");
    let mut request = UpdateParticipantRequest { name: "Ada L.".into(), ..Default::default() };
    request.permission.get_or_insert_default().can_subscribe = true;
    story.room.update_participant(&ada, &request, story.now).unwrap();
    let kept = story.room.kept();
    let shown = |kept: KeptRoom| {
        let mut next =
            Story::with(kept.reopens(RoomOptions { metadata: "new".into(), ..RoomOptions::default() }));
        next.room.go_on(through_a_file(&kept));
        let ada = next.join("ada");
        let info = next.room.participant_info(&ada).unwrap();
        let may_publish = info.permission.unwrap().can_publish;
        (next.room.info().metadata, info.name, may_publish, next.shown_consent("ada").unwrap())
    };
    let is = |metadata: &str, name: &str, may_publish, consent: &str| {
        (metadata.to_owned(), name.to_owned(), may_publish, consent.to_owned())
    };
    assert_eq!(shown(kept.clone()), is("its metadata", "Ada L.", false, "no"));
    assert_eq!(shown(kept.without_texts()), is("new", "ada", false, "no"));
    assert_eq!(shown(kept.bare()), is("new", "ada", true, "asked"));
}

#[test]
fn a_room_lasts_as_long_as_it_would_with_nobody_in_it() {
    let options = RoomOptions { empty_timeout_s: 300, departure_timeout_s: 20, ..RoomOptions::default() };
    let mut story = Story::with(options);
    assert_eq!(story.room.kept().lasts().as_secs(), 300);
    story.join("ada");
    assert_eq!(story.room.kept().lasts().as_secs(), 20);
}

#[test]
fn everybody_is_told_to_come_back_and_nobody_that_the_recording_ends() {
    let mut story = Story::new();
    let people = [story.join("ada"), story.join("bob")];
    let recorder = VideoGrants { recorder: true, hidden: true, ..VideoGrants::default() };
    story.join_as("EG_1", recorder, participant_info::Kind::Egress).unwrap();
    while story.room.poll_output().is_some() {}
    story.room.close(RoomEnd::HandOver, story.now);
    let mut told: Vec<_> = people.map(|sid| (sid, Vec::new())).into();
    while let Some(output) = story.room.poll_output() {
        let (to, message) = match output {
            Output::Signal { to, message } => (vec![to], message),
            Output::Broadcast { to, message, .. } => (to, message),
            _ => continue,
        };
        for (_, told) in told.iter_mut().filter(|(sid, _)| to.contains(sid)) {
            told.push((*message).clone());
        }
    }
    for (sid, told) in &told {
        let [signal_response::Message::Leave(leave)] = &told[..] else { panic!("{sid}: {told:?}") };
        assert_eq!(leave.reason(), DisconnectReason::ServerShutdown);
        assert_eq!((leave.action(), leave.can_reconnect), (leave_request::Action::Reconnect, true));
    }
    assert_eq!(story.room.end(), Some(RoomEnd::HandOver));
}

#[test]
fn a_room_whose_recorder_comes_in_a_moment_is_shown_as_recorded_until_it_has_come_and_gone() {
    let mut story = Story::new();
    story.room.expect_recorder(true);
    story.join("ada");
    assert!(story.room.info().active_recording);
    let recorder = VideoGrants { recorder: true, hidden: true, ..VideoGrants::default() };
    let recorder = story.join_as("EG_1", recorder, participant_info::Kind::Egress).unwrap();
    assert!(story.room.info().active_recording);
    story.room.leave(&recorder, DisconnectReason::ClientInitiated, story.now);
    assert!(!story.room.info().active_recording);
    story.room.expect_recorder(true);
    story.room.expect_recorder(false);
    assert!(!story.room.info().active_recording, "it does not come");
}
