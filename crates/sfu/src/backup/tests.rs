use std::time::Duration;

use reelroom_protocol::proto::video_layer::Mode;
use reelroom_protocol::proto::{
    ParticipantPermission, SimulcastCodec, SubscribedQualityUpdate, TrackInfo, TrackSource, TrackType,
    UpdateParticipantRequest, VideoLayer, VideoQuality, participant_info, signal_request,
};
use reelroom_protocol::token::VideoGrants;

use super::*;
use crate::layers::{KeyframeFor, Layer};
use crate::packet::{Passed, PublishedPacket};
use crate::room::tests::{Carried, Story, packet};

const PRIMARY: &str = "0";
const BACKUP: &str = "1";
/// Who has no decoder for VP9.
const OLD: &[Codec] = &[Codec::Vp8, Codec::H264];
const NEW: &[Codec] = &[Codec::Vp8, Codec::H264, Codec::Vp9];

fn section(mid: &str, cid: &str, sends: bool, simulcast: bool) -> Section {
    Section {
        mid: mid.into(),
        kind: TrackType::Video,
        track_id: cid.into(),
        sends,
        simulcast,
        parameter_sets: Vec::new(),
    }
}

fn primary() -> Section {
    section(PRIMARY, "cid-vp9", true, false)
}

fn backup() -> Section {
    section(BACKUP, "cid-vp8", true, true)
}

fn layers() -> Vec<VideoLayer> {
    let layer = |quality: VideoQuality, width, height| VideoLayer {
        quality: quality.into(),
        width,
        height,
        ..Default::default()
    };
    vec![layer(VideoQuality::High, 1280, 720), layer(VideoQuality::Low, 320, 180)]
}

fn codec(codec: &str, cid: &str) -> SimulcastCodec {
    SimulcastCodec { codec: codec.into(), cid: cid.into(), ..Default::default() }
}

/// As the stock client announces a camera in VP9.
fn camera(policy: BackupCodecPolicy) -> AddTrackRequest {
    AddTrackRequest {
        cid: "cid-vp9".into(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        layers: layers(),
        simulcast_codecs: vec![codec("vp9", "cid-vp9"), codec("vp8", "")],
        backup_codec_policy: policy.into(),
        ..Default::default()
    }
}

/// As it adds the backup codec to it.
fn added(track: &TrackSid) -> AddTrackRequest {
    AddTrackRequest {
        cid: "cid-vp8".into(),
        sid: track.to_string(),
        r#type: TrackType::Video.into(),
        source: TrackSource::Camera.into(),
        simulcast_codecs: vec![SimulcastCodec { layers: layers(), ..codec("vp8", "cid-vp8") }],
        ..Default::default()
    }
}

fn picture(story: &Story, codec: Codec, seq: u64, layer: Layer) -> PublishedPacket<'static> {
    let packet = packet(codec, seq, layer, story.now.at);
    let payload: &[u8] = if codec == Codec::Vp9 { &[0x08, 0x82] } else { packet.payload };
    PublishedPacket { payload, ssrc: 10 * codec as u32 + packet.ssrc, ..packet }
}

impl Story {
    fn announces(&mut self, who: &ParticipantSid, request: AddTrackRequest) {
        self.room.handle_signal(who, signal_request::Message::AddTrack(request), self.now);
    }

    /// A keyframe on a section; who got it.
    fn comes(&mut self, from: &ParticipantSid, mid: &str, packet: &PublishedPacket<'_>) -> Carried {
        let mut carried = Carried::default();
        for _ in 0..2 {
            if self.room.packet(from, mid, packet, self.now, &mut carried) == Passed::On {
                return carried;
            }
        }
        panic!("a packet announces something once");
    }

    fn keyframe(&mut self, from: &ParticipantSid, codec: Codec, seq: u64) -> Vec<ParticipantSid> {
        let mid = if codec == Codec::Vp9 { PRIMARY } else { BACKUP };
        let packet = picture(self, codec, seq, Layer::High);
        self.comes(from, mid, &packet).sent.into_iter().map(|sent| sent.to).collect()
    }

    /// Ada's camera in VP9, of which a first picture has come.
    fn camera(&mut self, ada: &ParticipantSid, policy: BackupCodecPolicy) -> TrackSid {
        self.announces(ada, camera(policy));
        self.room.sections(ada, &[primary()]);
        let track = self.room.track_on(ada, PRIMARY).expect("the section was matched");
        self.keyframe(ada, Codec::Vp9, 1);
        track
    }

    /// Ada begins to offer the backup codec too.
    fn adds(&mut self, ada: &ParticipantSid, track: &TrackSid) {
        self.announces(ada, added(track));
        self.room.sections(ada, &[primary(), backup()]);
    }

    fn negotiates(&mut self, who: &ParticipantSid, track: &TrackSid, takes: &[Codec]) {
        self.room.down_track_takes(who, track, takes.to_vec());
        self.room.down_track_ready(who, track, self.now);
    }

    fn told(&mut self, to: &ParticipantSid) -> Vec<signal_response::Message> {
        let message = |output: &Output| match output {
            Output::Signal { to: one, message } if one == to => Some((**message).clone()),
            _ => None,
        };
        self.outputs().iter().filter_map(message).collect()
    }

    /// What a publisher is told that is wanted: of each codec, how many layers.
    fn wanted(&mut self, of: &ParticipantSid) -> Vec<Vec<(String, usize)>> {
        let updates = self.told(of).into_iter().filter_map(|message| match message {
            signal_response::Message::SubscribedQualityUpdate(update) => Some(update),
            _ => None,
        });
        let layers = |update: SubscribedQualityUpdate| {
            assert_eq!(update.subscribed_qualities, update.subscribed_codecs[0].qualities);
            let codecs = update.subscribed_codecs.into_iter();
            let enabled = codecs
                .map(|codec| (codec.codec, codec.qualities.iter().filter(|quality| quality.enabled).count()));
            enabled.collect()
        };
        updates.map(layers).collect()
    }

    fn info(&self, track: &TrackSid) -> &TrackInfo {
        &self.room.tracks[track].info
    }

    /// What recorders are told of tracks: a codec that begins, or an end.
    fn facts(&mut self) -> Vec<Option<Codec>> {
        let fact = |output: &Output| match output {
            Output::Fact(Fact::TrackPublished { codec, .. }) => Some(Some(*codec)),
            Output::Fact(Fact::TrackUnpublished(_)) => Some(None),
            _ => None,
        };
        self.outputs().iter().filter_map(fact).collect()
    }

    /// The sections that are asked for keyframes.
    fn asked(&mut self) -> Vec<String> {
        let asked = |output: &Output| match output {
            Output::RequestKeyframe { mid, .. } => Some(mid.clone()),
            _ => None,
        };
        self.outputs().iter().filter_map(asked).collect()
    }
}

fn of(codecs: &[(&str, usize)]) -> Vec<(String, usize)> {
    codecs.iter().map(|(codec, layers)| ((*codec).to_owned(), *layers)).collect()
}

#[test]
fn an_announcement_of_several_codecs_is_answered_with_all_of_them() {
    let mut story = Story::new();
    let ada = story.join("ada");
    story.outputs();
    let twice = AddTrackRequest {
        simulcast_codecs: vec![codec("video/VP9", "a"), codec("h265", "b"), codec("vp8", "c")],
        ..camera(BackupCodecPolicy::Simulcast)
    };
    story.announces(&ada, twice);
    let told = story.told(&ada);
    let [signal_response::Message::TrackPublished(published)] = &told[..] else { panic!("{told:?}") };
    let info = published.track.clone().unwrap();
    let codecs: Vec<_> =
        info.codecs.iter().map(|codec| (codec.mime_type.as_str(), codec.cid.as_str())).collect();
    // What this server does not forward is taken for the usual codec, and each is there once.
    assert_eq!(codecs, [("video/VP9", "a"), ("video/VP8", "b")]);
    let modes: Vec<_> = info.codecs.iter().map(|codec| codec.video_layer_mode()).collect();
    assert_eq!(modes, [Mode::MultipleSpatialLayersPerStream, Mode::OneSpatialLayerPerStream]);
    assert!(info.codecs.iter().all(|codec| codec.layers == info.layers && codec.layers.len() == 2));
}

#[test]
fn a_backup_codec_is_asked_for_once_somebody_needs_it_and_no_more_when_nobody_does() {
    let mut story = Story::new();
    let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    let specs = story.down_tracks();
    assert!(specs.iter().all(|spec| spec.codec == Codec::Vp9 && spec.backups == [Codec::Vp8]), "{specs:?}");
    story.negotiates(&bob, &track, NEW);
    story.pass(Duration::from_secs(20));
    assert!(story.wanted(&ada).iter().all(|codecs| *codecs == of(&[("vp9", 3)])), "nobody needs it");
    story.negotiates(&carol, &track, OLD);
    assert_eq!(story.wanted(&ada), [of(&[("vp9", 3), ("vp8", 3)])]);
    assert_eq!(story.keyframe(&ada, Codec::Vp9, 2), std::slice::from_ref(&bob));
    story.pass(Duration::from_secs(20));
    assert!(story.wanted(&ada).is_empty() && story.asked().is_empty(), "once");
    // It comes, and is the same track.
    story.adds(&ada, &track);
    let told = story.told(&ada);
    let published = told.iter().find_map(|message| match message {
        signal_response::Message::TrackPublished(published) => Some(published),
        _ => None,
    });
    let published = published.expect("she is answered");
    assert_eq!(published.cid, "cid-vp8");
    assert_eq!(published.track.as_ref().unwrap().sid, track.as_str());
    assert_eq!(story.room.track_on(&ada, BACKUP).as_ref(), Some(&track));
    assert_eq!(story.room.tracks.len(), 1);
    let codecs: Vec<_> =
        story.info(&track).codecs.iter().map(|codec| (codec.mid.clone(), codec.cid.clone())).collect();
    assert_eq!(codecs, [("0".into(), "cid-vp9".into()), ("1".into(), "cid-vp8".into())]);
    assert_eq!(story.keyframe(&ada, Codec::Vp8, 1), std::slice::from_ref(&carol));
    assert_eq!(story.keyframe(&ada, Codec::Vp9, 3), std::slice::from_ref(&bob));
    assert_eq!(story.info(&track).mime_type, "video/VP9", "the primary codec is the track's");
    // Who cannot decode any more asks the sender of what they get.
    story.pass(Duration::from_secs(2));
    story.asked();
    story.room.keyframe_requested(&carol, &track, story.now);
    assert_eq!(story.asked(), [BACKUP]);
    story.room.keyframe_requested(&bob, &track, story.now);
    assert_eq!(story.asked(), [PRIMARY]);
    // Nobody needs it any more.
    story.room.leave(&carol, reelroom_protocol::proto::DisconnectReason::ClientInitiated, story.now);
    story.outputs();
    story.pass(Duration::from_secs(4));
    assert!(story.wanted(&ada).is_empty(), "somebody may come");
    story.pass(Duration::from_secs(2));
    assert_eq!(story.wanted(&ada), [of(&[("vp9", 3), ("vp8", 0)])]);
    // And somebody does again: it goes on by the section that there is.
    let dora = story.join("dora");
    story.negotiates(&dora, &track, OLD);
    assert_eq!(story.wanted(&ada), [of(&[("vp9", 3), ("vp8", 3)])]);
    assert_eq!(story.keyframe(&ada, Codec::Vp8, 2), [dora]);
}

#[test]
fn the_section_may_come_before_it_is_said_what_it_is() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    story.negotiates(&bob, &track, OLD);
    let sections = [primary(), backup()];
    assert_eq!(story.room.publish_codec(&ada, &backup()), None);
    story.room.sections(&ada, &sections);
    assert_eq!(story.room.track_on(&ada, BACKUP), None);
    story.announces(&ada, added(&track));
    assert_eq!(story.room.publish_codec(&ada, &backup()), Some(Codec::Vp8), "the answer has to name it");
    story.room.sections(&ada, &sections);
    assert_eq!(story.keyframe(&ada, Codec::Vp8, 1), [bob]);
    // Each further answer names the same.
    assert_eq!(story.room.publish_codec(&ada, &backup()), Some(Codec::Vp8));
    assert_eq!(story.room.publish_codec(&ada, &primary()), Some(Codec::Vp9));
    story.room.sections(&ada, &sections);
    assert!(story.room.tracks[&track].codings[1].codec.is_some(), "it is as it was");
}

#[test]
fn of_few_people_all_get_the_backup_codec_and_the_recorder_with_them() {
    let mut story = Story::new();
    let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
    let recorder = story.recorder();
    let track = story.camera(&ada, BackupCodecPolicy::PreferRegression);
    assert_eq!(story.facts(), [Some(Codec::Vp9)]);
    story.negotiates(&bob, &track, NEW);
    story.negotiates(&carol, &track, OLD);
    let key = picture(&story, Codec::Vp9, 2, Layer::High);
    assert_eq!(story.comes(&ada, PRIMARY, &key).recorded.len(), 1);
    story.outputs();
    story.adds(&ada, &track);
    let key = picture(&story, Codec::Vp8, 1, Layer::High);
    let carried = story.comes(&ada, BACKUP, &key);
    let to: Vec<_> = carried.sent.iter().map(|sent| sent.to.clone()).collect();
    assert_eq!(to, [bob.clone(), carol.clone()]);
    assert_eq!(carried.recorded.iter().map(|(who, _)| who).collect::<Vec<_>>(), [&recorder]);
    assert_eq!(story.facts(), [None, Some(Codec::Vp8)]);
    // What still comes in the primary codec is for nobody.
    let key = picture(&story, Codec::Vp9, 3, Layer::High);
    let carried = story.comes(&ada, PRIMARY, &key);
    assert!(carried.sent.is_empty() && carried.recorded.is_empty());
    story.outputs();
    story.pass(Duration::from_secs(6));
    assert_eq!(story.wanted(&ada), [of(&[("vp9", 0), ("vp8", 3)])]);
    // Whoever comes later gets what there is, but for those who cannot decode that.
    let (dora, eve) = (story.join("dora"), story.join("eve"));
    story.negotiates(&dora, &track, NEW);
    assert_eq!(story.keyframe(&ada, Codec::Vp8, 2), [bob.clone(), carol.clone(), dora.clone()]);
    story.outputs();
    story.negotiates(&eve, &track, &[Codec::Vp9]);
    assert_eq!(story.wanted(&ada), [of(&[("vp9", 3), ("vp8", 3)])]);
    assert_eq!(story.keyframe(&ada, Codec::Vp9, 4), [eve]);
    // The backup codec ends: all who can go back.
    story.room.sections(&ada, &[primary(), section(BACKUP, "cid-vp8", false, true)]);
    assert_eq!(story.facts(), [None, Some(Codec::Vp9)]);
    assert_eq!(story.info(&track).codecs[1].mid, "");
    story.pass(Duration::from_millis(1300));
    assert_eq!(story.asked(), [PRIMARY]);
    assert_eq!(story.keyframe(&ada, Codec::Vp9, 5).len(), 3);
}

#[test]
fn of_many_people_each_gets_the_best_codec_unless_the_publisher_wants_to_encode_once() {
    for (policy, is_one) in [
        (BackupCodecPolicy::PreferRegression, false),
        (BackupCodecPolicy::Regression, true),
        (BackupCodecPolicy::Simulcast, false),
    ] {
        let mut story = Story::new();
        let (ada, bob, carol) = (story.join("ada"), story.join("bob"), story.join("carol"));
        for name in ["dora", "eve"] {
            story.join(name);
        }
        let track = story.camera(&ada, policy);
        story.negotiates(&bob, &track, NEW);
        story.negotiates(&carol, &track, OLD);
        story.adds(&ada, &track);
        let in_backup = story.keyframe(&ada, Codec::Vp8, 1);
        assert_eq!(in_backup.contains(&bob), is_one, "{policy:?}");
        assert!(in_backup.contains(&carol));
        assert_eq!(story.keyframe(&ada, Codec::Vp9, 2).contains(&bob), !is_one, "{policy:?}");
    }
}

#[test]
fn a_recorder_takes_one_of_two_codecs() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    let recorder = story.recorder();
    story.negotiates(&bob, &track, OLD);
    story.adds(&ada, &track);
    story.outputs();
    for seq in 2..5 {
        let (new, old) =
            (picture(&story, Codec::Vp9, seq, Layer::High), picture(&story, Codec::Vp8, seq, Layer::High));
        assert_eq!(story.comes(&ada, PRIMARY, &new).recorded.len(), 1);
        assert!(story.comes(&ada, BACKUP, &old).recorded.is_empty());
    }
    assert!(story.facts().is_empty(), "it has heard of the track");
    let takers = |ssrc| story.room.recorders_of(&track, ssrc).cloned().collect::<Vec<_>>();
    let ssrc_of = |codec| picture(&story, codec, 1, Layer::High).ssrc;
    assert_eq!((takers(ssrc_of(Codec::Vp9)), takers(ssrc_of(Codec::Vp8))), (vec![recorder], vec![]));
    // One that comes late hears of the primary codec.
    let codecs = story.room.present_facts().into_iter().filter_map(|fact| match fact {
        Fact::TrackPublished { codec, .. } => Some(codec),
        _ => None,
    });
    assert_eq!(codecs.collect::<Vec<_>>(), [Codec::Vp9]);
    // It is wanted by the recorder even where nobody sees it.
    story.pass(Duration::from_secs(30));
    assert!(story.wanted(&ada).iter().all(|codecs| *codecs == of(&[("vp9", 3), ("vp8", 3)])));
}

#[test]
fn a_track_ends_with_its_primary_codec_and_its_sections_are_nobodys() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    story.negotiates(&bob, &track, OLD);
    story.adds(&ada, &track);
    story.keyframe(&ada, Codec::Vp8, 1);
    let silent = [section(PRIMARY, "cid-vp9", false, false), section(BACKUP, "cid-vp8", false, true)];
    story.room.sections(&ada, &silent);
    assert!(story.room.tracks.is_empty());
    // The same once more, by the same sections.
    let again = story.camera(&ada, BackupCodecPolicy::Simulcast);
    story.negotiates(&bob, &again, OLD);
    story.adds(&ada, &again);
    assert_eq!(story.keyframe(&ada, Codec::Vp8, 1), [bob]);
    // Unpublished by somebody else, while both are still sent: what comes next is not taken for that.
    story.room.unpublish(&again);
    let other = AddTrackRequest { cid: "other".into(), ..camera(BackupCodecPolicy::Simulcast) };
    story.announces(&ada, other);
    story.room.sections(&ada, &[primary(), backup()]);
    assert!(story.room.tracks.is_empty(), "neither section is the new track");
}

#[test]
fn a_track_of_which_the_backup_codec_ends_has_it_asked_for_anew() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    story.negotiates(&bob, &track, OLD);
    story.adds(&ada, &track);
    story.keyframe(&ada, Codec::Vp8, 1_000);
    story.outputs();
    story.room.sections(&ada, &[primary(), section(BACKUP, "cid-vp8", false, true)]);
    story.pass(Duration::from_millis(300));
    assert_eq!(story.wanted(&ada).last(), Some(&of(&[("vp9", 3), ("vp8", 3)])));
    // By another section, with other numbers.
    story.announces(
        &ada,
        AddTrackRequest { cid: "new".into(), simulcast_codecs: vec![codec("vp8", "new")], ..added(&track) },
    );
    story.room.sections(&ada, &[primary(), section("2", "new", true, false)]);
    let key = picture(&story, Codec::Vp8, 5, Layer::High);
    let sent = story.comes(&ada, "2", &key).sent;
    assert_eq!((sent.len(), sent[0].rewrite.seq), (1, 2), "it follows what was sent");
}

#[test]
fn mute_and_layers_are_those_of_the_codec_that_somebody_gets() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    story.negotiates(&bob, &track, OLD);
    story.adds(&ada, &track);
    for layer in [Layer::Low, Layer::High] {
        let key = picture(&story, Codec::Vp8, 1, layer);
        story.comes(&ada, BACKUP, &key);
    }
    let small = reelroom_protocol::proto::UpdateTrackSettings {
        track_sids: vec![track.to_string()],
        width: 200,
        height: 100,
        ..Default::default()
    };
    story.room.handle_signal(&bob, signal_request::Message::TrackSetting(small), story.now);
    let low = picture(&story, Codec::Vp8, 2, Layer::Low);
    let high = picture(&story, Codec::Vp8, 2, Layer::High);
    assert_eq!(story.comes(&ada, BACKUP, &low).sent.len(), 1);
    assert!(story.comes(&ada, BACKUP, &high).sent.is_empty());
    story.outputs();
    story.pass(Duration::from_secs(6));
    assert_eq!(story.wanted(&ada).last(), Some(&of(&[("vp9", 0), ("vp8", 1)])));
    // A moderator's mute holds in every codec, and ends in every codec.
    story.room.mute_by_admin(&track).unwrap();
    assert!(story.comes(&ada, BACKUP, &low).sent.is_empty());
    story.outputs();
    story.room.muted_by_publisher(&track, false, story.now);
    let asked = story.asked();
    assert!(asked.iter().any(|mid| mid == BACKUP) && asked.iter().any(|mid| mid == PRIMARY), "{asked:?}");
}

#[test]
fn whoever_comes_back_is_told_again_what_is_wanted() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    story.negotiates(&bob, &track, OLD);
    story.pass(Duration::from_secs(6));
    story.outputs();
    story.room.resume(&ada, story.now.at, story.now);
    let wanted = story.wanted(&ada);
    assert!(wanted.last().is_some_and(|codecs| codecs.contains(&("vp8".to_owned(), 3))), "{wanted:?}");
    // What is not wanted any more is told too, whether she has heard of it before or not.
    story.room.leave(&bob, reelroom_protocol::proto::DisconnectReason::ClientInitiated, story.now);
    story.room.resume(&ada, story.now.at, story.now);
    story.outputs();
    story.pass(Duration::from_secs(11));
    assert_eq!(story.wanted(&ada).last(), Some(&of(&[("vp9", 0), ("vp8", 0)])));
}

#[test]
fn a_codec_that_was_not_announced_with_the_track_is_offered_to_those_who_could_decode_none() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let alone = AddTrackRequest {
        simulcast_codecs: vec![codec("vp9", "cid-vp9")],
        ..camera(BackupCodecPolicy::Simulcast)
    };
    story.announces(&ada, alone);
    story.room.sections(&ada, &[primary()]);
    let track = story.room.track_on(&ada, PRIMARY).unwrap();
    story.keyframe(&ada, Codec::Vp9, 1);
    story.room.down_track_refused(&bob, &track);
    story.outputs();
    story.pass(Duration::from_secs(11));
    assert_eq!(story.wanted(&ada).last(), Some(&of(&[("vp9", 0)])), "who can decode nothing wants nothing");
    story.announces(&ada, added(&track));
    let specs = story.down_tracks();
    assert_eq!((specs.len(), &specs[0].subscriber, &specs[0].backups[..]), (1, &bob, &[Codec::Vp8][..]));
    story.negotiates(&bob, &track, OLD);
    assert!(story.wanted(&ada).last().is_some_and(|codecs| codecs.contains(&("vp8".to_owned(), 3))));
    story.room.sections(&ada, &[primary(), backup()]);
    assert_eq!(story.keyframe(&ada, Codec::Vp8, 1), [bob]);
}

#[test]
fn what_the_primary_codec_turns_out_to_be_is_not_asked_for_besides() {
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    story.announces(&ada, camera(BackupCodecPolicy::Simulcast));
    story.room.sections(&ada, &[primary()]);
    let track = story.room.track_on(&ada, PRIMARY).unwrap();
    story.negotiates(&bob, &track, OLD);
    let key = picture(&story, Codec::Vp8, 1, Layer::High);
    let sent = story.comes(&ada, PRIMARY, &key).sent;
    assert_eq!(sent.len(), 1, "it is what bob can decode");
    assert_eq!(story.info(&track).mime_type, "video/VP8");
    // Its publisher knows it by the name that it gave it.
    assert_eq!(story.wanted(&ada).last(), Some(&of(&[("vp9", 3)])));
    // Its encoder takes up what was announced.
    story.pass(Duration::from_secs(2));
    let key = picture(&story, Codec::Vp9, 2, Layer::High);
    assert!(story.comes(&ada, PRIMARY, &key).sent.is_empty());
    story.outputs();
    story.pass(Duration::from_millis(300));
    assert_eq!(story.wanted(&ada).last(), Some(&of(&[("vp9", 3), ("vp8", 3)])));
}

#[test]
fn what_is_said_of_the_primary_codec_makes_no_track_of_another_section() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    let again = SimulcastCodec { layers: layers(), ..codec("vp9", "again") };
    story.announces(
        &ada,
        AddTrackRequest { cid: "again".into(), simulcast_codecs: vec![again], ..added(&track) },
    );
    // A screen waits for its section, and the one that comes is none of anything.
    let screen = AddTrackRequest {
        cid: "screen".into(),
        source: TrackSource::ScreenShare.into(),
        ..camera(BackupCodecPolicy::Simulcast)
    };
    story.announces(&ada, screen);
    story.room.sections(&ada, &[primary(), section("7", "again", true, false)]);
    assert_eq!((story.room.track_on(&ada, "7"), story.room.tracks.len()), (None, 1));
}

#[test]
fn a_line_has_room_for_the_layers_of_the_codec_that_goes_by_it() {
    /// Ten a second of these are 80 and 640 kbit/s.
    const SMALL: [u8; 1_000] = [0x10; 1_000];
    const LARGE: [u8; 8_000] = [0x10; 8_000];
    let mut story = Story::new();
    let (ada, bob) = (story.join("ada"), story.join("bob"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    story.negotiates(&bob, &track, OLD);
    story.adds(&ada, &track);
    for layer in [Layer::Low, Layer::High] {
        let key = picture(&story, Codec::Vp8, 1, layer);
        story.comes(&ada, BACKUP, &key);
    }
    story.room.allow_pause(&bob, true);
    story.room.estimated(&bob, 300_000, true, story.now);
    for seq in 2..40 {
        story.pass(Duration::from_millis(100));
        story.room.estimated(&bob, 300_000, true, story.now);
        for (layer, payload) in [(Layer::Low, &SMALL[..]), (Layer::High, &LARGE[..])] {
            let key = PublishedPacket { payload, ..picture(&story, Codec::Vp8, seq, layer) };
            story.comes(&ada, BACKUP, &key);
        }
    }
    let down = &story.room.tracks[&track].down[&bob];
    assert_eq!(
        (down.coding, down.forwarder.current()),
        (1, Some(Layer::Low)),
        "the line is too narrow for more"
    );
}

#[test]
fn codecs_are_added_to_ones_own_tracks_and_no_more_than_a_track_may_have() {
    let mut story = Story::new();
    let (ada, eve) = (story.join("ada"), story.join("eve"));
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    let reason = |story: &mut Story, who: &ParticipantSid| {
        story.told(who).into_iter().find_map(|message| match message {
            signal_response::Message::RequestResponse(response) => Some(response.reason()),
            _ => None,
        })
    };
    story.outputs();
    story.announces(&eve, added(&track));
    assert_eq!(reason(&mut story, &eve), Some(request_response::Reason::NotFound));
    story.announces(&ada, AddTrackRequest { sid: "TR_none".into(), ..added(&track) });
    assert_eq!(reason(&mut story, &ada), Some(request_response::Reason::NotFound));
    let cids =
        |story: &Story| story.info(&track).codecs.iter().map(|codec| codec.cid.clone()).collect::<Vec<_>>();
    assert_eq!(cids(&story), ["cid-vp9", ""]);
    let many = ["h264", "av1", "opus"].map(|name| codec(name, name)).into();
    story.announces(&ada, AddTrackRequest { simulcast_codecs: many, ..added(&track) });
    // Sound is none of its codecs: the usual one of pictures is there already.
    assert_eq!((reason(&mut story, &ada), cids(&story).len()), (None, 4));
    assert_eq!(story.room.tracks[&track].codings.len(), TRACK_CODECS);
    let five = vec![codec("vp8", "x"); TRACK_CODECS + 1];
    story.announces(&ada, AddTrackRequest { simulcast_codecs: five, ..added(&track) });
    assert_eq!(reason(&mut story, &ada), Some(request_response::Reason::LimitExceeded));
    // The primary codec keeps its name, whatever is said of it.
    story.announces(&ada, AddTrackRequest { simulcast_codecs: vec![codec("vp9", "taken")], ..added(&track) });
    assert_eq!(cids(&story)[0], "cid-vp9");
    // Without the right to its source nothing is added to it.
    let permission = ParticipantPermission {
        can_publish: true,
        can_subscribe: true,
        can_publish_sources: vec![TrackSource::Microphone.into()],
        ..Default::default()
    };
    let request = UpdateParticipantRequest { permission: Some(permission), ..Default::default() };
    story.room.update_participant(&ada, &request, story.now).unwrap();
    story.outputs();
    story.announces(&ada, added(&track));
    assert!(matches!(
        reason(&mut story, &ada),
        Some(request_response::Reason::NotFound | request_response::Reason::NotAllowed)
    ));
}

#[test]
fn a_name_that_is_given_twice_takes_no_section_from_a_track() {
    let mut story = Story::new();
    let ada = story.join("ada");
    let request = AddTrackRequest {
        simulcast_codecs: vec![codec("vp9", "cid-vp9"), codec("vp8", "cid-vp9")],
        ..camera(BackupCodecPolicy::Simulcast)
    };
    story.announces(&ada, request);
    for _ in 0..3 {
        story.room.sections(&ada, &[primary()]);
    }
    let track = story.room.track_on(&ada, PRIMARY).expect("it is the track's");
    assert_eq!(story.room.tracks[&track].coding_on(PRIMARY), Some(0));
    // Nor does that of another track.
    let screen = AddTrackRequest {
        cid: "screen".into(),
        source: TrackSource::ScreenShare.into(),
        simulcast_codecs: Vec::new(),
        ..camera(BackupCodecPolicy::Simulcast)
    };
    story.announces(&ada, screen);
    let sections = [primary(), section("5", "screen", true, false)];
    story.room.sections(&ada, &sections);
    let screen = story.room.track_on(&ada, "5").unwrap();
    story
        .announces(&ada, AddTrackRequest { simulcast_codecs: vec![codec("vp8", "screen")], ..added(&track) });
    story.room.sections(&ada, &sections);
    assert_eq!(story.room.track_on(&ada, "5"), Some(screen));
    assert_eq!(story.room.tracks.len(), 2);
}

#[test]
fn a_keyframe_is_asked_of_no_section_that_is_not_there() {
    let mut story = Story::new();
    let grants = VideoGrants::default();
    let ada = story.join_as("ada", grants, participant_info::Kind::Standard).unwrap();
    let bob = story.join("bob");
    let track = story.camera(&ada, BackupCodecPolicy::Simulcast);
    story.negotiates(&bob, &track, OLD);
    story.outputs();
    story.room.ask_keyframe(&track, 1, Layer::High, KeyframeFor::Subscriber, story.now);
    story.room.keyframe_requested(&bob, &track, story.now);
    story.pass(Duration::from_secs(3));
    assert!(story.asked().is_empty());
}
