use reelroom_protocol::proto::{
    SimulateScenario, TrackType, UpdateTrackSettings, signal_request, simulate_scenario,
};

use super::*;
use crate::codec::Codec;
use crate::output::Output;
use crate::room::tests::{Story, packet};

/// A line on which `packets` have gone, of which a part was lost of late.
fn line(packets: u64, loss: f32) -> Measured {
    Measured { packets, loss: Some(loss), ..Measured::default() }
}

/// What somebody was told of whose connection.
fn told(story: &mut Story, to: &ParticipantSid) -> Vec<(String, ConnectionQuality)> {
    let mut told = Vec::new();
    for output in story.outputs() {
        if let Output::Broadcast { to: all, message, .. } = output
            && all.contains(to)
            && let signal_response::Message::ConnectionQuality(update) = message.as_ref()
        {
            told.extend(update.updates.iter().map(|info| (info.participant_sid.clone(), info.quality())));
        }
    }
    told
}

/// Five seconds with a measurement in them.
fn window(story: &mut Story, of: &ParticipantSid, track: &TrackSid, measured: Measured) {
    story.room.measured(of, track, Layer::High, measured);
    story.pass(EVERY);
}

#[test]
fn loss_and_delay_cost_by_what_they_do_to_a_call() {
    let window = |lost: f64, round_trip_ms, jitter_ms| Window {
        packets: 100.0,
        lost,
        round_trip: Duration::from_millis(round_trip_ms),
        jitter: Duration::from_millis(jitter_ms),
    };
    assert_eq!(window(0.0, 0, 0).score(VIDEO_LOSS_COSTS), 100.0);
    assert!(window(1.0, 80, 5).score(VIDEO_LOSS_COSTS) > EXCELLENT_ABOVE);
    assert!(window(4.0, 80, 5).score(VIDEO_LOSS_COSTS) < EXCELLENT_ABOVE);
    assert!(window(4.0, 80, 5).score(VIDEO_LOSS_COSTS) > GOOD_ABOVE);
    assert!(window(7.0, 0, 0).score(VIDEO_LOSS_COSTS) < GOOD_ABOVE);
    assert!(window(7.0, 0, 0).score(AUDIO_LOSS_COSTS) > GOOD_ABOVE, "a voice bears more than a picture");
    assert!(window(0.0, 800, 0).score(AUDIO_LOSS_COSTS) < EXCELLENT_ABOVE);
    assert_eq!(window(99.0, 800, 100).score(VIDEO_LOSS_COSTS), 0.0);
    assert_eq!((mean_opinion(0.0), mean_opinion(BEST)), (1.0, 4.5));
    assert!(mean_opinion(50.0) > 2.0 && mean_opinion(50.0) < 3.0);
}

#[test]
fn a_connection_gets_worse_soon_and_better_slowly() {
    let mut stream = Stream::new();
    let mut packets = 0;
    let mut judged = |loss| {
        packets += 500;
        stream.measured(Layer::High, line(packets, loss));
        stream.judge(true, Missing::Layers(0));
        stream.score
    };
    assert!(judged(0.0) > 99.9);
    let first = judged(0.1);
    assert!(first < GOOD_ABOVE);
    assert_eq!(judged(1.0), WORST);
    let better = judged(0.0);
    assert!(better > GOOD_ABOVE && better < EXCELLENT_ABOVE);
    let scores: Vec<_> = (0..5).map(|_| judged(0.0)).collect();
    assert!(scores.is_sorted() && scores[4] > EXCELLENT_ABOVE, "{scores:?}");
}

#[test]
fn loss_in_silence_weighs_little_and_a_stream_that_begins_anew_is_counted_from_nothing() {
    let mut stream = Stream::new();
    stream.measured(Layer::High, line(250, 0.0));
    stream.judge(false, Missing::Layers(0));
    stream.measured(Layer::High, line(260, 0.3));
    stream.judge(false, Missing::Layers(0));
    assert!(stream.score > EXCELLENT_ABOVE, "{}", stream.score);
    stream.measured(Layer::High, line(40, 0.0));
    assert_eq!(stream.window.packets, 40.0);
    // Nothing is sent: nothing gets worse.
    stream.judge(false, Missing::Layers(0));
    let before = stream.score;
    stream.judge(false, Missing::Layers(0));
    assert!(stream.score >= before);
}

#[test]
fn whoever_is_in_a_call_hears_how_they_and_those_they_see_are_connected() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    let carol = story.join("carol");
    story.room.set_subscribed(&carol, [track.as_str()], false, story.now);
    story.outputs();
    window(&mut story, &ada, &track, line(500, 0.0));
    let outputs: Vec<_> = story.outputs().iter().map(|output| format!("{output:?}")).collect();
    assert!(outputs.iter().any(|output| output.contains("ConnectionQuality")), "{outputs:?}");
    window(&mut story, &ada, &track, line(1000, 0.2));
    assert_eq!(told(&mut story, &bob), [(ada.to_string(), ConnectionQuality::Poor)]);
    window(&mut story, &ada, &track, line(1500, 0.2));
    assert!(told(&mut story, &bob).is_empty(), "it is as it was");
    // Who sees her no more by then hears nothing, ...
    story.room.set_subscribed(&carol, [track.as_str()], true, story.now);
    story.room.set_subscribed(&carol, [track.as_str()], false, story.now);
    window(&mut story, &ada, &track, line(1750, 0.2));
    assert!(told(&mut story, &carol).is_empty());
    // ... and who comes to see her does.
    story.room.set_subscribed(&carol, [track.as_str()], true, story.now);
    window(&mut story, &ada, &track, line(2000, 0.2));
    assert_eq!(told(&mut story, &carol), [(ada.to_string(), ConnectionQuality::Poor)]);
}

#[test]
fn everybody_hears_once_that_their_own_connection_is_excellent() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.outputs();
    story.pass(EVERY);
    assert_eq!(told(&mut story, &ada), [(ada.to_string(), ConnectionQuality::Excellent)]);
    story.pass(10 * EVERY);
    assert!(told(&mut story, &ada).is_empty());
}

#[test]
fn a_lost_connection_is_told_at_once_and_a_picture_that_stands_still_is_none() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    window(&mut story, &ada, &track, line(100, 0.0));
    story.outputs();
    story.pass(20 * EVERY);
    assert!(told(&mut story, &bob).is_empty(), "nothing is sent, and nothing is lost");
    story.room.media_lost(&ada, true);
    assert_eq!(told(&mut story, &bob), [(ada.to_string(), ConnectionQuality::Lost)]);
    story.room.media_lost(&ada, false);
    story.pass(EVERY);
    assert_eq!(told(&mut story, &ada), [(ada.to_string(), ConnectionQuality::Excellent)]);
}

#[test]
fn a_layer_that_is_asked_for_and_does_not_come_costs_whoever_does_not_bring_it() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, true);
    story.room.down_track_ready(&bob, &track, story.now);
    let missing = |story: &Story, line: &ParticipantSid| {
        missing_layers(line, &story.room.tracks[&track], 0, story.now.at)
    };
    for seq in 1..60 {
        story.forwarded(&track, seq, Layer::Low);
        story.pass(Duration::from_millis(40));
    }
    assert_eq!((missing(&story, &ada), missing(&story, &bob)), (2, 0), "she sends the lowest alone");
    let settings = UpdateTrackSettings {
        track_sids: vec![track.to_string()],
        width: 100,
        height: 50,
        ..Default::default()
    };
    story.room.handle_signal(&bob, signal_request::Message::TrackSetting(settings), story.now);
    assert_eq!(missing(&story, &ada), 0, "nobody asks for more");
    // What nobody has measured says nothing.
    let sound = packet(Codec::Opus, 0, Layer::High, story.now.at);
    assert_eq!(story.arrives(&track, &sound), 0);
    assert!(story.room.qualities.lines.get(&ada).is_none_or(|line| line.streams.is_empty()));
}

#[test]
fn a_picture_that_is_paused_for_want_of_room_is_as_bad_as_it_gets() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Video, false);
    story.room.down_track_ready(&bob, &track, story.now);
    story.room.allow_pause(&bob, true);
    story.pass(EVERY);
    story.outputs();
    let scenario = Some(simulate_scenario::Scenario::SubscriberBandwidth(1000));
    let narrow = signal_request::Message::Simulate(SimulateScenario { scenario });
    story.room.handle_signal(&bob, narrow, story.now);
    story.pass(3 * EVERY);
    let last = told(&mut story, &bob).pop();
    assert_eq!(last, Some((bob.to_string(), ConnectionQuality::Poor)), "and not that of her who sends it");
    let disabled =
        UpdateTrackSettings { track_sids: vec![track.to_string()], disabled: true, ..Default::default() };
    story.room.handle_signal(&bob, signal_request::Message::TrackSetting(disabled), story.now);
    story.pass(6 * EVERY);
    let last = told(&mut story, &bob).pop();
    assert_eq!(last, Some((bob.to_string(), ConnectionQuality::Excellent)), "it does not want it");
}
