use reelroom_protocol::proto::{TrackSource, TrackType, participant_info, signal_response};

use super::*;
use crate::output::Output;
use crate::participant::{Joining, Refusal};
use crate::person::REFRESH_EVERY;
use crate::room::tests::Story;

fn counted(name: &str, ticket: &str, serial: u32) -> Joining {
    let joining = Story::joining(name, grants(&[]), participant_info::Kind::Standard);
    Joining { ticket: ticket.into(), serial, ..joining }
}

fn grants(sources: &[&str]) -> VideoGrants {
    VideoGrants {
        room_join: true,
        can_publish_sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        ..VideoGrants::default()
    }
}

impl Story {
    fn is_in(&self, sid: &ParticipantSid) -> bool {
        self.room.participants.contains_key(sid)
    }

    fn serials_to(&mut self, sid: &ParticipantSid) -> Vec<u32> {
        let token = |output: &Output| match output {
            Output::RefreshToken { to, bearer } if to == sid => Some(bearer.serial),
            _ => None,
        };
        self.outputs().iter().filter_map(token).collect()
    }

    fn why_it_left(&mut self, sid: &ParticipantSid) -> Option<i32> {
        self.outputs().iter().find_map(|output| match output {
            Output::Signal { to, message } if to == sid => match &**message {
                signal_response::Message::Leave(leave) => Some(leave.reason),
                _ => None,
            },
            _ => None,
        })
    }
}

#[test]
fn a_token_that_was_used_is_refused_while_its_session_goes_on_and_a_fresh_one_takes_its_place() {
    let mut story = Story::new();
    let first = story.join_with(counted("Ada", "TK_1", 1)).unwrap();
    story.room.refresh_tokens(story.now);
    assert_eq!(story.serials_to(&first), [2], "it is given another one at once");
    assert_eq!(story.join_with(counted("Ada", "TK_1", 1)).unwrap_err(), Refusal::Used);
    assert!(story.is_in(&first), "nobody is thrown out by it");
    let second = story.join_with(counted("Ada", "TK_1", 2)).unwrap();
    assert!(story.is_in(&second) && !story.is_in(&first));
    for used in [1, 2] {
        assert_eq!(story.join_with(counted("Ada", "TK_1", used)).unwrap_err(), Refusal::Used);
    }
    story.room.refresh_tokens(story.now);
    assert_eq!(story.serials_to(&second), [3]);
    story.pass(REFRESH_EVERY);
    assert_eq!(story.serials_to(&second), [4]);
    story.room.leave(&second, DisconnectReason::ClientInitiated, story.now);
    assert!(
        story.join_with(counted("Ada", "TK_1", 1)).is_ok(),
        "its session is over, and it is good for one"
    );
}

#[test]
fn tokens_that_are_not_counted_take_the_place_of_their_session_as_ever() {
    let mut story = Story::new();
    let first = story.join_with(counted("Ada", "TK_1", 0)).unwrap();
    story.room.refresh_tokens(story.now);
    assert!(story.serials_to(&first).is_empty());
    let again = story.join_with(counted("Ada", "TK_1", 0)).unwrap();
    assert!(story.is_in(&again) && !story.is_in(&first));
    story.pass(REFRESH_EVERY);
    assert_eq!(story.serials_to(&again), [0]);
}

#[test]
fn whoever_came_by_what_is_over_is_removed_and_nobody_else() {
    let mut story = Story::new();
    let [out, stays, not_again] =
        ["TK_1", "TK_2", "TK_3"].map(|ticket| story.join_with(counted(ticket, ticket, 1)).unwrap());
    let app = story.join("of an app");
    let standing = |ticket: &Ticket| match ticket.as_str() {
        "TK_1" => Standing::Over,
        "TK_3" => Standing::NotAgain,
        _ => Standing::AsSaid,
    };
    story.outputs();
    assert_eq!(story.room.recheck(standing, story.now), 1);
    assert_eq!(story.why_it_left(&out), Some(DisconnectReason::ParticipantRemoved.into()));
    assert!(!story.is_in(&out) && story.is_in(&stays) && story.is_in(&not_again) && story.is_in(&app));
    assert_eq!(story.room.recheck(|_| Standing::Over, story.now), 2);
    assert!(story.is_in(&app), "an app decides of its own");
}

#[test]
fn a_right_that_is_taken_is_taken_with_what_was_published_by_it_and_none_comes_back() {
    let mut story = Story::new();
    let ada = story.join_with(counted("Ada", "TK_1", 1)).unwrap();
    story.publish(&ada, "0", TrackType::Video, false);
    story.publish(&ada, "1", TrackType::Audio, false);
    let only = |sources: &[&str]| Standing::AtMost(Box::new(grants(sources)));
    story.room.recheck(|_| only(&["microphone"]), story.now);
    let published = |story: &Story| story.room.participants[&ada].published.len();
    assert_eq!(published(&story), 1);
    let may = |story: &Story, source| story.room.participants[&ada].grants.may_publish_source(source);
    assert!(may(&story, TrackSource::Microphone) && !may(&story, TrackSource::Camera));
    story.room.recheck(|_| only(&["microphone", "camera"]), story.now);
    assert!(!may(&story, TrackSource::Camera), "to look again gives nothing");
    // The token from before says more, and does not give it back.
    let again = story.join_with(counted("Ada", "TK_1", 9)).unwrap();
    assert!(!story.room.participants[&again].grants.may_publish_source(TrackSource::Camera));
}

#[test]
fn whoever_comes_again_gets_nothing_back_that_was_taken_meanwhile() {
    let mut story = Story::new();
    let first = story.join_with(counted("Ada", "TK_1", 1)).unwrap();
    let _other = story.join("Bob");
    let standing = |_: &Ticket| Standing::AtMost(Box::new(grants(&["camera", "microphone"])));
    story.room.recheck(standing, story.now);
    story.room.leave(&first, DisconnectReason::ClientInitiated, story.now);
    let most = grants(&["microphone"]);
    let again = counted("Ada", "TK_1", 2);
    let sid = again.sid.clone();
    story.room.join_at_most(again, &most, story.now).unwrap();
    let participant = &story.room.participants[&sid];
    assert!(participant.grants.may_publish_source(TrackSource::Microphone));
    assert!(
        !participant.grants.may_publish_source(TrackSource::Camera),
        "what the room remembers is more than that"
    );
}

#[test]
fn whoever_stays_and_does_not_come_anew_has_a_right_taken_as_well_and_is_known_by_their_ticket() {
    let mut story = Story::new();
    let ada = story.join_with(counted("Ada", "TK_1", 1)).unwrap();
    let app = story.join("of an app");
    let stays = |_: &Ticket| Standing::StaysAtMost(Box::new(grants(&["microphone"])));
    assert_eq!(story.room.recheck(stays, story.now), 0);
    assert!(story.is_in(&ada));
    assert!(!story.room.participants[&ada].grants.may_publish_source(TrackSource::Camera));
    assert_eq!((story.room.ticket_of(&ada), story.room.ticket_of(&app)), ("TK_1".into(), Ticket::default()));
    assert!(story.room.has_bearer(&"TK_1".into()) && !story.room.has_bearer(&"TK_2".into()));
    story.room.leave(&ada, DisconnectReason::ClientInitiated, story.now);
    assert!(!story.room.has_bearer(&"TK_1".into()));
}
