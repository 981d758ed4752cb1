use std::collections::HashMap;

use reelroom_limits::signalling::AGREE_BURST;
use reelroom_protocol::proto::{
    DisconnectReason, ParticipantPermission, TrackType, UpdateParticipantMetadata, UpdateParticipantRequest,
    participant_info, request_response, signal_request, signal_response,
};
use reelroom_protocol::token::VideoGrants;

use super::*;
use crate::participant::AdminRefusal;
use crate::room::tests::Story;

fn attribute(value: &str) -> HashMap<String, String> {
    HashMap::from([(CONSENT.to_owned(), value.to_owned())])
}

impl Story {
    fn asking() -> Self {
        let mut story = Self::new();
        story.room.ask_consent(story.now);
        story
    }

    /// Says what a stock client says: its name with it.
    fn says(&mut self, sid: &ParticipantSid, value: &str) -> request_response::Reason {
        self.hears(sid, value).0
    }

    /// The same, and what recorders are told.
    fn hears(&mut self, sid: &ParticipantSid, value: &str) -> (request_response::Reason, Vec<Fact>) {
        let said = UpdateParticipantMetadata {
            name: self.room.participants[sid].name.clone(),
            attributes: attribute(value),
            request_id: 7,
            ..Default::default()
        };
        self.outputs();
        self.room.handle_signal(sid, signal_request::Message::UpdateMetadata(said), self.now);
        let mut facts = Vec::new();
        let mut reason = None;
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Fact(fact) => facts.push(fact),
                Output::Signal { message, .. } => {
                    if let signal_response::Message::RequestResponse(response) = *message {
                        assert_eq!(response.request_id, 7);
                        reason = Some(response.reason());
                    }
                }
                _ => {}
            }
        }
        (reason.unwrap(), facts)
    }

    fn shown(&self, sid: &ParticipantSid) -> Option<String> {
        self.room.participant_info(sid).unwrap().attributes.get(CONSENT).cloned()
    }

    /// Who has agreed, as a recorder that comes now is told.
    fn agreed(&self) -> Vec<ParticipantSid> {
        let agreed = |fact: Fact| match fact {
            Fact::Consent { sid, answer: Answer { agrees: true, .. } } => Some(sid),
            _ => None,
        };
        self.room.present_facts().into_iter().filter_map(agreed).collect()
    }

    fn asks(&self) -> bool {
        self.room.present_facts().iter().any(|fact| matches!(fact, Fact::ConsentAsked))
    }
}

#[test]
fn a_room_that_does_not_ask_shows_nothing_and_takes_no_answer() {
    let mut story = Story::new();
    let ada = story.join("ada");
    assert_eq!((story.shown(&ada), story.asks()), (None, false));
    assert_eq!(story.says(&ada, "no"), request_response::Reason::NotAllowed);
    assert_eq!(story.shown(&ada), None);
}

#[test]
fn whoever_says_nothing_is_asked_and_who_agrees_or_declines_is_known_to_all() {
    let mut story = Story::asking();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    assert!(story.asks() && story.agreed().is_empty());
    assert_eq!(story.shown(&ada).as_deref(), Some("asked"));
    let (reason, told) = story.hears(&ada, "yes");
    assert_eq!(reason, request_response::Reason::Ok);
    let [Fact::Consent { sid, answer }] = &told[..] else { panic!("{told:?}") };
    assert_eq!((sid, *answer), (&ada, Answer { agrees: true, unix_ms: story.now.unix_ms }));
    assert_eq!((story.shown(&ada).as_deref(), story.agreed()), (Some("yes"), vec![ada.clone()]));
    assert_eq!(story.says(&bob, "no"), request_response::Reason::Ok);
    assert_eq!((story.shown(&bob).as_deref(), story.agreed()), (Some("no"), vec![ada.clone()]));
    assert_eq!(story.says(&ada, "no"), request_response::Reason::Ok);
    assert!(story.agreed().is_empty(), "withdrawn");
    let (reason, told) = story.hears(&ada, "no");
    assert_eq!(reason, request_response::Reason::Ok);
    assert!(told.is_empty(), "said again it is nothing new");
    for neither in ["", "YES", "maybe", "asked"] {
        assert_eq!(story.says(&ada, neither), request_response::Reason::InvalidRequest, "{neither}");
        assert_eq!(story.shown(&ada).as_deref(), Some("no"));
    }
}

#[test]
fn an_answer_gives_no_right_to_describe_oneself() {
    let mut story = Story::asking();
    let ada = story.join("ada");
    let mut attributes = attribute("yes");
    attributes.insert("role".to_owned(), "host".to_owned());
    let said = UpdateParticipantMetadata { attributes, name: "Eve".into(), ..Default::default() };
    story.room.handle_signal(&ada, signal_request::Message::UpdateMetadata(said), story.now);
    let info = story.room.participant_info(&ada).unwrap();
    assert_eq!((info.name.as_str(), info.attributes), ("ada", attribute("yes")));
}

#[test]
fn nobody_agrees_in_somebody_elses_name() {
    let mut story = Story::asking();
    let mut joining = Story::joining("ada", VideoGrants::default(), participant_info::Kind::Standard);
    joining.attributes.insert(CONSENT.to_owned(), "yes".to_owned());
    let ada = story.join_with(joining).unwrap();
    assert_eq!(story.shown(&ada).as_deref(), Some("asked"), "a token agrees to nothing");
    let set = |value: &str| UpdateParticipantRequest { attributes: attribute(value), ..Default::default() };
    for value in ["yes", "no", ""] {
        let refused = story.room.update_participant(&ada, &set(value), story.now);
        assert_eq!(refused, Err(AdminRefusal::Consent), "{value}");
    }
    // Whoever writes back what they read says nothing.
    assert_eq!(story.room.update_participant(&ada, &set("asked"), story.now), Ok(()));
    assert_eq!((story.shown(&ada).as_deref(), story.agreed()), (Some("asked"), Vec::new()));
}

#[test]
fn an_answer_outlives_a_session_and_not_the_room() {
    let mut story = Story::asking();
    let ada = story.join("ada");
    story.says(&ada, "yes");
    story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
    let again = story.join("ada");
    assert_eq!((story.shown(&again).as_deref(), story.agreed()), (Some("yes"), vec![again.clone()]));
    // Whoever bears the same name by another ticket is somebody else.
    let mut other = Story::joining("ada", VideoGrants::default(), participant_info::Kind::Standard);
    other.ticket = "TK_other".into();
    let other = story.join_with(other).unwrap();
    assert_eq!(story.shown(&other).as_deref(), Some("asked"));
    assert!(Story::asking().agreed().is_empty());
}

#[test]
fn a_room_that_begins_to_ask_asks_those_who_are_in_it_until_it_closes() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.outputs();
    story.room.ask_consent(story.now);
    let updates = story.updates_to(&ada);
    assert_eq!(updates.last().unwrap().attributes, attribute("asked"));
    assert!(story.asks());
    story.says(&ada, "no");
    story.room.ask_consent(story.now);
    assert_eq!(story.shown(&ada).as_deref(), Some("no"), "to ask again takes no answer back");
}

#[test]
fn agreeing_again_and_again_is_slowed_down_and_declining_never_is() {
    let mut story = Story::asking();
    let ada = story.join("ada");
    let mut refused = 0;
    for _ in 0..100 {
        refused += u32::from(story.says(&ada, "yes") == request_response::Reason::LimitExceeded);
        assert_eq!(story.says(&ada, "no"), request_response::Reason::Ok);
        assert!(story.agreed().is_empty());
    }
    assert_eq!(refused, 100 - AGREE_BURST);
}

#[test]
fn who_is_hidden_after_they_agreed_may_take_it_back_and_who_is_hidden_agrees_to_nothing() {
    let mut story = Story::asking();
    let ada = story.join("ada");
    story.says(&ada, "yes");
    let hidden = ParticipantPermission { hidden: true, can_subscribe: true, ..Default::default() };
    let request = UpdateParticipantRequest { permission: Some(hidden), ..Default::default() };
    assert_eq!(story.room.update_participant(&ada, &request, story.now), Ok(()));
    let (_, told) = story.hears(&ada, "no");
    assert!(matches!(&told[..], [Fact::Consent { answer: Answer { agrees: false, .. }, .. }]), "{told:?}");
    let (_, told) = story.hears(&ada, "yes");
    assert!(told.is_empty(), "whom nobody sees is not recorded: {told:?}");
}

#[test]
fn what_records_by_signalling_is_sent_nothing_of_those_who_have_not_agreed() {
    let mut story = Story::asking();
    let ada = story.join("ada");
    let track = story.publish(&ada, "0", TrackType::Video, false);
    let grants = VideoGrants { recorder: true, hidden: true, ..VideoGrants::default() };
    let recorder = story.join_as("EG_other", grants, participant_info::Kind::Egress).unwrap();
    let viewer = story.join("bob");
    let receivers = |story: &Story| story.room.tracks[&track].down.keys().cloned().collect::<Vec<_>>();
    story.room.set_subscribed(&recorder, [track.as_str()], true, story.now);
    assert_eq!(receivers(&story), std::slice::from_ref(&viewer));
    story.says(&ada, "yes");
    assert!(receivers(&story).contains(&recorder));
    story.says(&ada, "no");
    assert_eq!(receivers(&story), [viewer]);
    assert_eq!(story.shown(&recorder), None, "what records is asked nothing");
}
