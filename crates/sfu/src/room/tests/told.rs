//! What clients are told of a room, of each other and of what they asked for.

use reelroom_protocol::proto::{
    ClientInfo, LeaveRequest, MuteTrackRequest, ParticipantUpdate, RequestResponse, SimulateScenario,
    TrackPermission, UpdateLocalAudioTrack, UpdateLocalVideoTrack, UpdateSubscription, request_response,
    simulate_scenario,
};

use super::*;

/// What somebody is told by signalling, in order.
fn told(story: &mut Story, to: &ParticipantSid) -> Vec<signal_response::Message> {
    let message = |output: &Output| match output {
        Output::Signal { to: one, message } if one == to => Some((**message).clone()),
        Output::Broadcast { to: all, message, .. } if all.contains(to) => Some((**message).clone()),
        _ => None,
    };
    story.outputs().iter().filter_map(message).collect()
}

fn section(mid: &str, kind: TrackType, sends: bool) -> Section {
    let track_id = format!("cid-{mid}");
    let (mid, simulcast, parameter_sets) = (mid.to_owned(), false, Vec::new());
    Section { mid, kind, track_id, sends, simulcast, parameter_sets }
}

/// Announces a track without any media, and offers it.
fn announce(story: &mut Story, sid: &ParticipantSid, mid: &str, request: AddTrackRequest) -> TrackSid {
    let kind = request.r#type();
    let request = AddTrackRequest { cid: format!("cid-{mid}"), ..request };
    story.room.handle_signal(sid, signal_request::Message::AddTrack(request), story.now);
    story.room.sections(sid, &[section(mid, kind, true)]);
    story.room.track_on(sid, mid).expect("the section was matched")
}

fn microphone() -> AddTrackRequest {
    let source = TrackSource::Microphone.into();
    AddTrackRequest { r#type: TrackType::Audio.into(), source, ..Default::default() }
}

fn camera() -> AddTrackRequest {
    let source = TrackSource::Camera.into();
    AddTrackRequest { r#type: TrackType::Video.into(), source, ..Default::default() }
}

#[test]
fn what_is_muted_begins_with_packets_of_nothing() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let empty = |story: &mut Story| {
        let outputs = story.outputs();
        let numbers = outputs.iter().filter_map(|output| match output {
            Output::SendEmpty { subscriber, codec, rewrite, .. } => {
                Some((subscriber.clone(), *codec, rewrite.seq))
            }
            _ => None,
        });
        numbers.collect::<Vec<_>>()
    };
    let muted = announce(&mut story, &ada, "0", AddTrackRequest { muted: true, ..microphone() });
    story.room.down_track_ready(&bob, &muted, story.now);
    assert_eq!(empty(&mut story), (1..=3).map(|seq| (bob.clone(), Codec::Opus, seq)).collect::<Vec<_>>());
    let heard = announce(&mut story, &ada, "1", microphone());
    story.room.down_track_ready(&bob, &heard, story.now);
    assert!(empty(&mut story).is_empty(), "its own packets come");
}

#[test]
fn a_track_that_is_muted_from_its_start_is_there_for_everybody_before_any_media() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.outputs();
    let track = announce(&mut story, &ada, "0", AddTrackRequest { muted: true, ..microphone() });
    let mut events = Vec::new();
    let (mut infos, mut specs, mut facts) = (Vec::new(), Vec::new(), 0);
    for output in story.outputs() {
        match output {
            Output::Signal { message, .. } => assert!(
                !matches!(**message, signal_response::Message::TrackSubscribed(_)),
                "nobody has answered an offer with it"
            ),
            Output::Broadcast { to, message, .. } => {
                assert!(!to.contains(&ada), "she has been answered");
                if let signal_response::Message::Update(update) = message.as_ref() {
                    infos.extend(update.participants.iter().flat_map(|info| info.tracks.clone()));
                }
            }
            Output::Webhook(hook) => events.push(hook.event.clone()),
            Output::AddDownTrack(spec) => specs.push(spec.clone()),
            Output::Fact(_) => facts += 1,
            _ => {}
        }
    }
    assert_eq!(events, ["track_published"]);
    assert_eq!((specs.len(), &specs[0].subscriber, specs[0].codec), (1, &bob, Codec::Opus));
    assert_eq!(specs[0].stream_id, format!("{ada}|{track}"));
    assert_eq!(facts, 0, "there is nothing to record");
    let [info] = &infos[..] else { panic!("{infos:?}") };
    assert_eq!(
        (info.sid.as_str(), info.muted, info.mime_type.as_str()),
        (track.as_str(), true, "audio/opus")
    );
    assert_eq!((info.mid.as_str(), info.codecs[0].mid.as_str()), ("0", "0"));
    // It is unpublished when its section stops, though nothing was ever sent.
    story.room.sections(&ada, &[section("0", TrackType::Audio, false)]);
    assert_eq!(story.webhooks(), ["track_unpublished"]);
    assert!(story.room.tracks.is_empty());
}

#[test]
fn a_track_is_published_when_its_publisher_is_connected() {
    let mut story = Story::new();
    let bob = story.join("bob");
    let joining = Story::joining("ada", VideoGrants::default(), participant_info::Kind::Standard);
    let ada = ParticipantSid::from("PA_ada");
    story.room.join(Joining { sid: ada.clone(), ..joining }, story.now).unwrap();
    story.outputs();
    let track = announce(&mut story, &ada, "0", camera());
    assert!(story.down_tracks().is_empty(), "nobody knows whether she will be");
    story.room.connected(&ada, story.now);
    let down = story.down_tracks();
    assert_eq!((down.len(), &down[0].subscriber, &down[0].track), (1, &bob, &track));
    assert_eq!(story.room.info().num_publishers, 1);
}

#[test]
fn whatever_is_announced_first_each_track_finds_its_own_section() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let sections = ["0", "1"].map(|mid| section(mid, TrackType::Video, true));
    story.room.sections(&ada, &sections);
    for mid in ["1", "0"] {
        let request = AddTrackRequest { cid: format!("cid-{mid}"), ..camera() };
        story.room.handle_signal(&ada, signal_request::Message::AddTrack(request), story.now);
        story.room.sections(&ada, &sections);
    }
    for mid in ["0", "1"] {
        let track = story.room.track_on(&ada, mid).unwrap();
        assert_eq!(story.room.tracks[&track].info.codecs[0].cid, format!("cid-{mid}"));
    }
    // A section that sends what was unpublished is not taken for what comes after it, ...
    let old = story.room.track_on(&ada, "0").unwrap();
    story.room.unpublish(&old);
    let request = AddTrackRequest { cid: "cid-2".into(), ..camera() };
    story.room.handle_signal(&ada, signal_request::Message::AddTrack(request), story.now);
    story.room.sections(&ada, &sections);
    assert_eq!(story.room.track_on(&ada, "0"), None);
    // ... and one that stops and is used anew is, also by another name.
    story.room.sections(&ada, &[section("0", TrackType::Video, false)]);
    let replaced = Section { track_id: "replaced".into(), ..section("0", TrackType::Video, true) };
    story.room.sections(&ada, &[replaced]);
    assert!(story.room.track_on(&ada, "0").is_some());
}

#[test]
fn what_somebody_may_not_publish_is_not_taken_for_what_they_may() {
    let mut story = Story::new();
    let grants = VideoGrants { can_publish_sources: vec!["camera".into()], ..VideoGrants::default() };
    let ada = story.join_as("ada", grants, participant_info::Kind::Standard).unwrap();
    let screen = AddTrackRequest { source: TrackSource::ScreenShare.into(), cid: "cid-0".into(), ..camera() };
    story.room.handle_signal(&ada, signal_request::Message::AddTrack(screen), story.now);
    // It is sent even so, and the camera is announced before it is offered.
    let sent = section("0", TrackType::Video, true);
    story.room.sections(&ada, std::slice::from_ref(&sent));
    let wanted = AddTrackRequest { cid: "cid-1".into(), ..camera() };
    story.room.handle_signal(&ada, signal_request::Message::AddTrack(wanted), story.now);
    story.room.sections(&ada, std::slice::from_ref(&sent));
    assert_eq!(story.room.track_on(&ada, "0"), None, "a screen is no camera");
    story.room.sections(&ada, &[sent, section("1", TrackType::Video, true)]);
    assert!(story.room.track_on(&ada, "1").is_some());
}

#[test]
fn a_codec_that_was_not_announced_is_told_when_it_comes() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = announce(&mut story, &ada, "0", camera());
    story.room.down_track_ready(&bob, &track, story.now);
    story.outputs();
    assert_eq!(story.arrives(&track, &packet(Codec::H264, 1, Layer::High, story.now.at)), 1);
    let mime: Vec<_> = story.updates_to(&bob).iter().map(|info| info.tracks[0].mime_type.clone()).collect();
    assert_eq!(mime, ["video/H264"]);
    assert!(story.room.tracks[&track].published_fact().is_some());
}

#[test]
fn everything_that_is_known_of_a_track_is_told() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.outputs();
    let layer =
        |quality: VideoQuality, width| VideoLayer { quality: quality.into(), width, ..Default::default() };
    let layers = vec![
        layer(VideoQuality::High, 1280),
        layer(VideoQuality::Low, 320),
        layer(VideoQuality::Medium, 640),
    ];
    let track = announce(&mut story, &ada, "0", AddTrackRequest { layers, ..camera() });
    story.room.tracks.get_mut(&track).unwrap().sender_known(0, Layer::Low, 7);
    let info = story.room.tracks[&track].info.clone();
    let rids: Vec<_> = info.layers.iter().map(|l| (l.rid.as_str(), l.spatial_layer, l.ssrc)).collect();
    assert_eq!(rids, [("q", 0, 7), ("h", 1, 0), ("f", 2, 0)]);
    assert_eq!(info.codecs[0].layers, info.layers);
    assert_eq!((info.stream.as_str(), info.disable_red), ("camera", false));
    let created = info.version.unwrap();
    assert_eq!(created.unix_micro, story.now.unix_ms * 1000);
    story.room.set_muted(&track, true, Audience::All);
    assert!(story.room.tracks[&track].info.version.unwrap().ticks > created.ticks);
    let sound = AddTrackRequest { stereo: true, disable_dtx: true, disable_red: true, ..microphone() };
    let sound = announce(&mut story, &ada, "1", sound);
    let info = &story.room.tracks[&sound].info;
    assert_eq!((info.audio_features.clone(), info.disable_red), (vec![0, 1], true));
    let screen = AddTrackRequest { source: TrackSource::ScreenShare.into(), ..camera() };
    let screen = announce(&mut story, &ada, "2", screen);
    assert_eq!(story.room.tracks[&screen].info.stream, "screen");
}

#[test]
fn a_moderators_mute_reaches_the_publisher_first_and_others_once() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.outputs();
    story.room.mute_by_admin(&track).unwrap();
    let outputs = story.outputs();
    assert!(
        matches!(&outputs[0], Output::Signal { to, message } if *to == ada
            && matches!(**message, signal_response::Message::Mute(MuteTrackRequest { muted: true, .. }))),
        "{outputs:?}"
    );
    let hears_of_it = |output: &Output| matches!(output, Output::Broadcast { to, .. } if to.contains(&ada) || !to.contains(&bob));
    assert!(!outputs.iter().any(hears_of_it), "she would say that she is not muted: {outputs:?}");
    let echo = MuteTrackRequest { sid: track.to_string(), muted: true };
    story.room.handle_signal(&ada, signal_request::Message::Mute(echo), story.now);
    let own = story.room.participant_info(&ada).unwrap();
    assert_eq!(
        told(&mut story, &ada),
        [signal_response::Message::Update(ParticipantUpdate { participants: vec![own] })]
    );
    assert!(told(&mut story, &bob).is_empty());
}

#[test]
fn a_publisher_that_does_not_answer_a_moderator_is_told_of_the_mute_by_itself() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.room.mute_by_admin(&track).unwrap();
    story.outputs();
    story.pass(Duration::from_secs(1));
    assert!(story.updates_to(&ada).is_empty());
    story.pass(Duration::from_secs(2));
    let updates = story.updates_to(&ada);
    assert!(updates.len() == 1 && updates[0].tracks[0].muted, "{updates:?}");
    story.pass(Duration::from_secs(10));
    assert!(story.updates_to(&ada).is_empty(), "once");
}

#[test]
fn speakers_are_told_to_those_who_hear_them() {
    let mut story = Story::new();
    let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.room.set_subscribed(&carol, [track.as_str()], false, story.now);
    story.outputs();
    let speaks = |story: &mut Story| {
        for seq in 1..20 {
            let loud = packet(Codec::Opus, seq, Layer::High, story.now.at);
            story.arrives(&track, &PublishedPacket { audio_level_dbov: Some(10), ..loud });
        }
        story.pass(Duration::from_millis(450));
    };
    let levels = |messages: Vec<signal_response::Message>| -> Vec<f32> {
        let speakers = messages.into_iter().filter_map(|message| match message {
            signal_response::Message::SpeakersChanged(changed) => Some(changed.speakers),
            _ => None,
        });
        speakers.flatten().map(|speaker| speaker.level).collect()
    };
    speaks(&mut story);
    let outputs: Vec<_> = story.outputs().iter().map(|output| format!("{output:?}")).collect();
    let speeches: Vec<_> = outputs.iter().filter(|output| output.contains("SpeakersChanged")).collect();
    assert_eq!(speeches.len(), 1, "{outputs:?}");
    assert!(
        [&ada, &bob].iter().all(|sid| speeches[0].contains(sid.as_str()))
            && !speeches[0].contains(carol.as_str())
    );
    // Whoever begins to hear her sees that she speaks, and whoever stops does not see it for ever.
    story.room.set_subscribed(&carol, [track.as_str()], true, story.now);
    let began = levels(told(&mut story, &carol));
    assert!(began.len() == 1 && began[0] > 0.0, "{began:?}");
    story.room.set_subscribed(&carol, [track.as_str()], false, story.now);
    assert_eq!(levels(told(&mut story, &carol)), [0.0]);
}

#[test]
fn counts_are_told_in_bunches() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.pass(Duration::from_secs(6));
    story.outputs();
    for name in ["bob", "carol"] {
        let sid = story.join(name);
        story.publish(&sid, "0", TrackType::Audio, false);
    }
    let rooms = |messages: Vec<signal_response::Message>| -> Vec<(u32, u32)> {
        let room = |message| match message {
            signal_response::Message::RoomUpdate(update) => update.room,
            _ => None,
        };
        let rooms = messages.into_iter().filter_map(room);
        rooms.map(|room| (room.num_participants, room.num_publishers)).collect()
    };
    assert!(rooms(told(&mut story, &ada)).is_empty());
    story.pass(Duration::from_secs(5));
    assert_eq!(rooms(told(&mut story, &ada)), [(3, 2)]);
    story.pass(Duration::from_secs(30));
    assert!(rooms(told(&mut story, &ada)).is_empty());
}

#[test]
fn what_a_client_can_do_is_told_to_others() {
    let mut story = Story::new();
    let joining = Story::joining("ada", VideoGrants::default(), participant_info::Kind::Agent);
    let client = ClientInfo {
        client_protocol: 2,
        capabilities: vec![1],
        browser: "safari".into(),
        ..Default::default()
    };
    let kind_details = vec![participant_info::KindDetail::CloudAgent.into()];
    let ada = story.join_with(Joining { client, kind_details: kind_details.clone(), ..joining }).unwrap();
    let info = story.room.participant_info(&ada).unwrap();
    assert_eq!((info.client_protocol, info.capabilities, info.kind_details), (2, vec![1], kind_details));
    let joined = story.room.join_response(&ada);
    let codecs: Vec<_> = joined.enabled_publish_codecs.iter().map(|codec| codec.mime.as_str()).collect();
    assert_eq!(codecs, ["audio/opus", "video/VP8", "video/H264", "video/VP9", "audio/red"]);
    assert!(joined.client_configuration.is_some());
    assert_eq!(story.room.unfit_codecs(&ada), [Codec::Av1]);
}

#[test]
fn what_belongs_together_comes_as_one_stream_where_that_is_asked_for() {
    let mut story = Story::with(RoomOptions { sync_streams: true, ..RoomOptions::default() });
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let joining = Story::joining("fox", VideoGrants::default(), participant_info::Kind::Standard);
    let client = ClientInfo { browser: "Firefox".into(), ..Default::default() };
    let fox = story.join_with(Joining { client, ..joining }).unwrap();
    story.outputs();
    let sound = announce(&mut story, &ada, "0", microphone());
    announce(&mut story, &ada, "1", camera());
    let down = story.down_tracks();
    let of = |sid: &ParticipantSid| -> Vec<_> {
        down.iter().filter(|spec| spec.subscriber == *sid).map(|spec| spec.stream_id.clone()).collect()
    };
    let together = format!("{ada}|camera");
    assert_eq!(of(&bob), [together.clone(), together]);
    assert_eq!(of(&fox)[0], format!("{ada}|{sound}"));
}

fn refusals(messages: Vec<signal_response::Message>) -> Vec<RequestResponse> {
    let response = |message| match message {
        signal_response::Message::RequestResponse(response) => Some(response),
        _ => None,
    };
    messages.into_iter().filter_map(response).collect()
}

#[test]
fn whoever_says_something_of_a_track_that_is_not_theirs_hears_so() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    story.outputs();
    let track_sid = track.to_string();
    for message in [
        signal_request::Message::Mute(MuteTrackRequest { sid: track_sid.clone(), muted: true }),
        signal_request::Message::UpdateAudioTrack(UpdateLocalAudioTrack {
            track_sid: track_sid.clone(),
            features: vec![0],
        }),
        signal_request::Message::UpdateVideoTrack(UpdateLocalVideoTrack {
            track_sid: track_sid.clone(),
            width: 1,
            height: 1,
        }),
    ] {
        story.room.handle_signal(&bob, message, story.now);
        let refused = refusals(told(&mut story, &bob));
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].reason(), request_response::Reason::NotFound);
        assert!(refused[0].request.is_some() && !refused[0].message.is_empty());
    }
    let info = &story.room.tracks[&track].info;
    assert!(!info.muted && info.audio_features.is_empty());
    // Its own publisher says it, and everybody hears.
    let stereo = UpdateLocalAudioTrack { track_sid, features: vec![0, 3] };
    story.room.handle_signal(&ada, signal_request::Message::UpdateAudioTrack(stereo), story.now);
    let updates = story.updates_to(&bob);
    assert_eq!(updates[0].tracks[0].audio_features, [0, 3]);
    assert!(updates[0].tracks[0].stereo);
}

#[test]
fn a_list_of_permissions_that_names_nobody_is_refused_and_changes_nothing() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.publish(&ada, "0", TrackType::Audio, false);
    story.outputs();
    let nameless = SubscriptionPermission {
        all_participants: false,
        track_permissions: vec![TrackPermission { all_tracks: true, ..Default::default() }],
    };
    story.room.handle_signal(&ada, signal_request::Message::SubscriptionPermission(nameless), story.now);
    let refused = refusals(told(&mut story, &ada));
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].reason(), request_response::Reason::InvalidRequest);
    assert!(told(&mut story, &bob).is_empty());
}

#[test]
fn a_subscriber_hears_what_it_may_subscribe_to_also_where_it_has_not() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let joining = Story::joining("bob", VideoGrants::default(), participant_info::Kind::Standard);
    let bob = story.join_with(Joining { auto_subscribe: false, ..joining }).unwrap();
    let track = story.publish(&ada, "0", TrackType::Audio, false);
    let permit = |story: &mut Story, all_participants| {
        let said = SubscriptionPermission { all_participants, track_permissions: Vec::new() };
        story.room.handle_signal(&ada, signal_request::Message::SubscriptionPermission(said), story.now);
    };
    let allowed = |messages: Vec<signal_response::Message>| -> Vec<bool> {
        let update = |message| match message {
            signal_response::Message::SubscriptionPermissionUpdate(update) => Some(update.allowed),
            _ => None,
        };
        messages.into_iter().filter_map(update).collect()
    };
    story.outputs();
    permit(&mut story, false);
    assert_eq!(allowed(told(&mut story, &bob)), [false]);
    permit(&mut story, false);
    assert!(told(&mut story, &bob).is_empty(), "nothing has changed");
    // It waits for the right, and is told why.
    let track_sids = vec![track.to_string()];
    let wants = UpdateSubscription { track_sids, subscribe: true, ..Default::default() };
    story.room.handle_signal(&bob, signal_request::Message::Subscription(wants), story.now);
    assert_eq!(allowed(told(&mut story, &bob)), [false]);
    permit(&mut story, true);
    let outputs = story.outputs();
    let is_subscribed =
        |output: &Output| matches!(output, Output::AddDownTrack(spec) if spec.subscriber == bob);
    assert!(outputs.iter().any(is_subscribed), "{outputs:?}");
}

fn simulate(story: &mut Story, sid: &ParticipantSid, scenario: simulate_scenario::Scenario) {
    let request = SimulateScenario { scenario: Some(scenario) };
    story.room.handle_signal(sid, signal_request::Message::Simulate(request), story.now);
}

#[test]
fn whoever_tries_a_servers_end_is_told_what_to_do() {
    use leave_request::Action;
    use simulate_scenario::Scenario;
    for (scenario, action, reason, stays) in [
        (Scenario::NodeFailure(true), Action::Reconnect, DisconnectReason::ServerShutdown, false),
        (
            Scenario::LeaveRequestFullReconnect(true),
            Action::Reconnect,
            DisconnectReason::StateMismatch,
            false,
        ),
        (Scenario::ServerLeave(true), Action::Disconnect, DisconnectReason::ServerShutdown, false),
        (Scenario::Migration(true), Action::Resume, DisconnectReason::Migration, true),
    ] {
        let mut story = Story::new();
        let (ada, bob) = (story.join("ada"), story.join("bob"));
        story.outputs();
        simulate(&mut story, &ada, scenario);
        let leave = told(&mut story, &ada).into_iter().find_map(|message| match message {
            signal_response::Message::Leave(leave) => Some(leave),
            _ => None,
        });
        let leave: LeaveRequest = leave.unwrap_or_else(|| panic!("{scenario:?}"));
        assert_eq!((leave.action(), leave.reason()), (action, reason), "{scenario:?}");
        assert_eq!(leave.can_reconnect, action != Action::Disconnect);
        assert_eq!(story.room.participants.contains_key(&ada), stays, "{scenario:?}");
        assert!(story.room.participants.contains_key(&bob), "it happens to nobody else");
    }
}

#[test]
fn simulated_speech_ends_by_itself() {
    use simulate_scenario::Scenario;
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.publish(&ada, "0", TrackType::Video, false);
    let levels = |story: &mut Story| -> Vec<(f32, bool)> {
        let speakers = told(story, &bob).into_iter().filter_map(|message| match message {
            signal_response::Message::SpeakersChanged(changed) => Some(changed.speakers),
            _ => None,
        });
        speakers.flatten().map(|speaker| (speaker.level, speaker.active)).collect()
    };
    story.outputs();
    simulate(&mut story, &ada, Scenario::SpeakerUpdate(3));
    assert_eq!(levels(&mut story), [(0.9, true)]);
    story.pass(Duration::from_millis(2900));
    assert!(levels(&mut story).is_empty());
    story.pass(Duration::from_millis(200));
    assert_eq!(levels(&mut story), [(0.0, false)]);
    // Not for ever.
    simulate(&mut story, &ada, Scenario::SpeakerUpdate(i32::MAX));
    story.pass(Duration::from_secs(60));
    assert_eq!(levels(&mut story), [(0.9, true), (0.0, false)]);
}

#[test]
fn what_is_tried_of_a_line_or_a_resume_holds_for_whoever_tries_it() {
    use simulate_scenario::Scenario;
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    simulate(&mut story, &ada, Scenario::SubscriberBandwidth(100_000));
    assert_eq!(story.room.simulated_bandwidth_bps(&ada), Some(100_000));
    assert_eq!(story.room.simulated_bandwidth_bps(&bob), None);
    simulate(&mut story, &ada, Scenario::SubscriberBandwidth(0));
    assert_eq!(story.room.simulated_bandwidth_bps(&ada), None);
    simulate(&mut story, &ada, Scenario::DisconnectSignalOnResume(true));
    assert_eq!(story.room.resume_breaks(&bob, story.now), None);
    assert_eq!(story.room.resume_breaks(&ada, story.now), Some(crate::ResumeBreaks::Answered));
    assert_eq!(story.room.resume_breaks(&ada, story.now), None, "once");
    simulate(&mut story, &ada, Scenario::DisconnectSignalOnResumeNoMessages(true));
    story.pass(Duration::from_secs(6));
    assert_eq!(story.room.resume_breaks(&ada, story.now), None, "it took too long");
    story.outputs();
    simulate(&mut story, &ada, Scenario::SwitchCandidateProtocol(1));
    let refused = refusals(told(&mut story, &ada));
    assert_eq!(refused[0].reason(), request_response::Reason::UnsupportedType);
}

#[test]
fn attributes_are_brought_along_by_whoever_may_describe_themselves() {
    let joining = |may: bool| {
        let grants = VideoGrants { can_update_own_metadata: Some(may), ..VideoGrants::default() };
        let mut joining = Story::joining("ada", grants, participant_info::Kind::Standard);
        joining.attributes.insert("of the token".into(), "1".into());
        joining
    };
    let own = || BTreeMap::from([("own".to_owned(), "2".to_owned()), ("empty".to_owned(), String::new())]);
    let mut refused = joining(false);
    assert!(refused.introduces_itself("", BTreeMap::new(), None), "there is nothing to refuse");
    assert!(!refused.introduces_itself("", own(), None));
    assert!(!refused.introduces_itself("m", BTreeMap::new(), None));
    assert_eq!((refused.attributes.len(), refused.metadata.as_str()), (1, ""));
    let mut taken = joining(true);
    let less = VideoGrants { can_update_own_metadata: Some(false), ..VideoGrants::default() };
    assert!(!taken.introduces_itself("", own(), Some(&less)), "it was taken from them meanwhile");
    let most = VideoGrants { can_update_own_metadata: Some(true), ..VideoGrants::default() };
    assert!(taken.introduces_itself("m", own(), Some(&most)));
    assert_eq!((taken.attributes.len(), taken.metadata.as_str()), (2, "m"));
}
