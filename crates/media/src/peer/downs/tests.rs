#![allow(clippy::unwrap_used)]

use super::*;

fn spec(track: &str, codec: Codec) -> DownTrackSpec {
    DownTrackSpec {
        subscriber: "PA_me".into(),
        publisher: "PA_a".into(),
        track: track.into(),
        codec,
        backups: Vec::new(),
        stream_id: format!("PA_a|{track}"),
        is_stereo: false,
    }
}

fn sid(track: &str) -> TrackSid {
    track.into()
}

fn types() -> PayloadTypes {
    PayloadTypes { codecs: vec![(Codec::Opus, 111), (Codec::Vp8, 96)], red: Some(63) }
}

fn rewrite(seq: u64) -> Rewrite {
    Rewrite { seq, free: 0, rtp: 1, vp8: None, ends_picture: false }
}

/// One round of the server's negotiation: what is offered, made, and answered.
fn negotiate(downs: &mut Downs, next_mid: &mut u32) -> Settled {
    downs.stop();
    for (track, _) in downs.waiting() {
        match downs.choose(&track) {
            Some(choice) => downs.seat(&track, choice),
            None => {
                *next_mid += 1;
                downs.seat_on_new(&track, format!("m{next_mid}"));
            }
        }
    }
    downs.stopped();
    downs.settle(|_| types())
}

fn name_of(downs: &Downs, track: &str) -> TrackName {
    downs.names().into_iter().find(|name| name.track_id == track).unwrap()
}

#[test]
fn as_many_sections_are_made_as_there_are_tracks_at_the_same_time() {
    let (mut downs, mut mid) = (Downs::new(Maker::Server), 0);
    for round in 0..320 {
        for kind in [Codec::Opus, Codec::Vp8] {
            downs.add(&spec(&format!("TR_{kind:?}_{round}"), kind));
        }
        assert_eq!(negotiate(&mut downs, &mut mid).ready.len(), 2);
        for kind in [Codec::Opus, Codec::Vp8] {
            downs.remove(&sid(&format!("TR_{kind:?}_{round}")));
        }
        negotiate(&mut downs, &mut mid);
    }
    assert_eq!((mid, downs.slots.len()), (2, 2));
}

#[test]
fn a_section_stops_before_it_carries_the_next_track() {
    let (mut downs, mut mid) = (Downs::new(Maker::Server), 0);
    downs.add(&spec("TR_1", Codec::Vp8));
    negotiate(&mut downs, &mut mid);
    downs.remove(&sid("TR_1"));
    downs.add(&spec("TR_2", Codec::Vp8));
    assert!(downs.has_leaving() && downs.choose(&sid("TR_2")).is_none());
    assert_eq!(downs.stop(), ["m1"]);
    assert!(!downs.has_leaving() && downs.choose(&sid("TR_2")).is_none(), "it is offered, and not answered");
    assert!(downs.stop().is_empty());
    downs.stopped();
    let choice = downs.choose(&sid("TR_2")).unwrap();
    assert_eq!((choice.mid.as_str(), choice.stream_id.as_str()), ("m1", "PA_a|TR_2"));
    assert!(downs.choose(&sid("TR_nobody")).is_none());
}

#[test]
fn a_section_of_sound_carries_no_picture() {
    let (mut downs, mut mid) = (Downs::new(Maker::Server), 0);
    downs.add(&spec("TR_1", Codec::Opus));
    negotiate(&mut downs, &mut mid);
    downs.remove(&sid("TR_1"));
    negotiate(&mut downs, &mut mid);
    downs.add(&spec("TR_2", Codec::Vp8));
    assert!(downs.choose(&sid("TR_2")).is_none());
    assert_eq!(downs.demand(TrackType::Video), (1, 0));
    assert_eq!(downs.demand(TrackType::Audio), (0, 1));
}

#[test]
fn no_stream_is_carried_twice_by_a_section_of_the_servers() {
    let (mut downs, mut mid) = (Downs::new(Maker::Server), 0);
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        for track in ["TR_1", "TR_2"] {
            downs.add(&spec(track, Codec::Vp8));
            assert_eq!(negotiate(&mut downs, &mut mid).ready, [sid(track)]);
            let name = name_of(&downs, track);
            assert!(seen.insert((name.mid.clone(), name.stream_id.clone())), "{name:?}");
            let (publisher, of_track) = name.stream_id.split_once('|').unwrap();
            assert_eq!(publisher, "PA_a");
            // Where the stream does not name the track, the section's receiver does.
            let made_for = downs.slots.iter().find(|slot| slot.mid == name.mid).unwrap().made_for.as_ref();
            assert!(of_track == track || made_for == Some(&sid(track)), "{name:?}");
            downs.remove(&sid(track));
            negotiate(&mut downs, &mut mid);
        }
    }
    assert!(mid <= 3, "{mid} sections for two tracks, one at a time");
}

#[test]
fn of_the_clients_sections_any_carries_what_it_carried() {
    let offered = |receives| {
        let section = |mid: &str, kind, receives| Offered { mid: mid.into(), kind, receives };
        vec![
            section("0", TrackType::Audio, true),
            section("1", TrackType::Video, receives),
            section("2", TrackType::Video, true),
        ]
    };
    let mut downs = Downs::new(Maker::Client);
    downs.follow(&offered(true));
    assert_eq!((downs.sections_of(TrackType::Audio), downs.sections_of(TrackType::Video)), (1, 2));
    for _ in 0..3 {
        downs.add(&spec("TR_1", Codec::Vp8));
        let choice = downs.choose(&sid("TR_1")).unwrap();
        assert_eq!((choice.mid.as_str(), choice.stream_id.as_str()), ("1", "PA_a|TR_1"));
        downs.seat(&sid("TR_1"), choice);
        downs.remove(&sid("TR_1"));
        downs.stop();
        downs.stopped();
    }
    // One that it does not receive on any more carries nothing.
    downs.add(&spec("TR_1", Codec::Vp8));
    let choice = downs.choose(&sid("TR_1")).unwrap();
    downs.seat(&sid("TR_1"), choice);
    assert_eq!(downs.carrying(), BTreeSet::from(["1".to_owned()]));
    downs.follow(&offered(false));
    assert!(downs.carrying().is_empty());
    assert_eq!(downs.choose(&sid("TR_1")).unwrap().mid, "2");
}

#[test]
fn a_stop_that_the_client_may_not_have_heard_is_answered_once_more() {
    let mut downs = Downs::new(Maker::Client);
    let section = |mid: &str| Offered { mid: mid.into(), kind: TrackType::Video, receives: true };
    downs.follow(&[section("1"), section("2")]);
    downs.add(&spec("TR_1", Codec::Vp8));
    let choice = downs.choose(&sid("TR_1")).unwrap();
    downs.seat(&sid("TR_1"), choice);
    downs.remove(&sid("TR_1"));
    downs.stop();
    downs.stopped();
    downs.stop_again();
    for track in ["TR_2", "TR_3"] {
        downs.add(&spec(track, Codec::Vp8));
    }
    let choice = downs.choose(&sid("TR_2")).unwrap();
    assert_eq!(choice.mid, "2", "it has not carried anything");
    downs.seat(&sid("TR_2"), choice);
    assert!(downs.choose(&sid("TR_3")).is_none());
    assert_eq!(downs.demand(TrackType::Video), (1, 1), "no other section is lacking");
    downs.stopped();
    assert_eq!(downs.choose(&sid("TR_3")).unwrap().mid, "1");
}

#[test]
fn what_the_client_cannot_decode_is_told_once() {
    let mut downs = Downs::new(Maker::Server);
    downs.add(&spec("TR_1", Codec::H264));
    downs.seat_on_new(&sid("TR_1"), "m1".into());
    let settled = downs.settle(|_| PayloadTypes::default());
    assert_eq!((settled.ready, settled.refused), (vec![], vec![sid("TR_1")]));
    assert_eq!(downs.settle(|_| PayloadTypes::default()), Settled::default());
    assert!(downs.outlet(&sid("TR_1"), Encoding::Of(Codec::H264), rewrite(1)).is_none());
    // Its section stops, and the next one that comes is carried by that.
    assert!(
        downs.has_changed() && downs.has_leaving() && downs.waiting().is_empty() && downs.names().is_empty()
    );
    assert_eq!(downs.stop(), ["m1"]);
    downs.stopped();
    downs.add(&spec("TR_2", Codec::Vp8));
    assert_eq!(downs.choose(&sid("TR_2")).unwrap().mid, "m1");
    assert!(!downs.has_leaving());
}

#[test]
fn what_the_client_gave_up_is_not_offered_again_and_again() {
    let (mut downs, mut mid) = (Downs::new(Maker::Server), 0);
    for track in ["TR_1", "TR_2"] {
        downs.add(&spec(track, Codec::Vp8));
    }
    negotiate(&mut downs, &mut mid);
    assert_eq!(downs.give_up(|mid| mid != "m1"), [sid("TR_1")]);
    assert!(downs.waiting().is_empty());
    assert_eq!((downs.sections_of(TrackType::Video), downs.len()), (1, 2));
    assert_eq!(downs.mid_to_track_id().len(), 1);
    assert!(downs.give_up(|mid| mid != "m1").is_empty(), "it is told once");
    // Whoever wants it again may have it.
    downs.remove(&sid("TR_1"));
    assert!(!downs.has_leaving());
    downs.add(&spec("TR_1", Codec::Vp8));
    assert_eq!(negotiate(&mut downs, &mut mid).ready, [sid("TR_1")]);
}

#[test]
fn the_numbers_of_a_stream_begin_low_wherever_a_track_goes_on() {
    let mut downs = Downs::new(Maker::Client);
    let section = |mid: &str| Offered { mid: mid.into(), kind: TrackType::Video, receives: true };
    downs.follow(&[section("1"), section("2")]);
    downs.add(&spec("TR_1", Codec::Vp8));
    let mut sent = Vec::new();
    for (gone, numbers) in [("", [5, 6]), ("1", [65_536 * 3 + 9, 65_536 * 4])] {
        downs.keep(|mid| mid != gone);
        let choice = downs.choose(&sid("TR_1")).unwrap();
        downs.seat(&sid("TR_1"), choice);
        downs.settle(|_| types());
        for seq in numbers {
            let outlet = downs.outlet(&sid("TR_1"), Encoding::Of(Codec::Vp8), rewrite(seq)).unwrap();
            sent.push((outlet.mid.to_owned(), outlet.payload_type, outlet.rewrite.seq));
        }
        // What comes late of before it was carried there does not go out under another number.
        if numbers[0] > FIRST_BELOW {
            assert!(downs.outlet(&sid("TR_1"), Encoding::Of(Codec::Vp8), rewrite(7)).is_none());
        }
    }
    let one = |mid: &str, seq| (mid.to_owned(), 96, seq);
    assert_eq!(sent, [one("1", 5), one("1", 6), one("2", 9), one("2", 65_536)]);
}

#[test]
fn clients_are_told_all_that_is_carried() {
    let (mut downs, mut mid) = (Downs::new(Maker::Server), 0);
    for track in ["TR_1", "TR_2"] {
        downs.add(&spec(track, Codec::Vp8));
    }
    assert!(downs.mid_to_track_id().is_empty());
    negotiate(&mut downs, &mut mid);
    let told = downs.mid_to_track_id();
    assert_eq!((told["m1"].as_str(), told["m2"].as_str()), ("TR_1", "TR_2"));
    assert_eq!(downs.track_on("m2"), Some(sid("TR_2")));
    downs.remove(&sid("TR_2"));
    assert_eq!(downs.mid_to_track_id().len(), 1);
    assert_eq!(downs.track_on("m2"), None);
}

#[test]
fn redundant_sound_goes_to_those_who_read_it_under_its_own_name() {
    let mut downs = Downs::new(Maker::Server);
    for (track, red) in [("TR_1", Some(63)), ("TR_2", None)] {
        downs.add(&spec(track, Codec::Opus));
        assert!(!downs.takes_red(&sid(track)), "nothing is negotiated");
        downs.seat_on_new(&sid(track), track.to_owned());
        downs.settle(|_| PayloadTypes { red, ..types() });
        assert_eq!(downs.takes_red(&sid(track)), red.is_some());
        let mut named = |wanted| Some(downs.outlet(&sid(track), wanted, rewrite(1))?.payload_type);
        assert_eq!((named(Encoding::Red), named(Encoding::Of(Codec::Opus))), (red, Some(111)));
    }
}

#[test]
fn what_is_played_in_step_comes_in_a_stream_of_its_own_where_the_track_is_known_without_it() {
    let synced = |track: &str| DownTrackSpec { stream_id: "PA_a|camera".into(), ..spec(track, Codec::Vp8) };
    let (mut downs, mut mid) = (Downs::new(Maker::Server), 0);
    downs.add(&synced("TR_1"));
    negotiate(&mut downs, &mut mid);
    assert_eq!(name_of(&downs, "TR_1").stream_id, "PA_a|camera");
    downs.remove(&sid("TR_1"));
    negotiate(&mut downs, &mut mid);
    downs.add(&synced("TR_2"));
    negotiate(&mut downs, &mut mid);
    assert_eq!(name_of(&downs, "TR_2").stream_id, "PA_a|TR_2", "its section's receiver is called TR_1");
    // Of their own sections clients are told by the mid which track they carry.
    let mut downs = Downs::new(Maker::Client);
    downs.follow(&[Offered { mid: "1".into(), kind: TrackType::Video, receives: true }]);
    downs.add(&synced("TR_1"));
    assert_eq!(downs.choose(&sid("TR_1")).unwrap().stream_id, "PA_a|camera");
}

#[test]
fn sound_in_stereo_is_said_to_be_that() {
    let mut downs = Downs::new(Maker::Server);
    for (track, is_stereo) in [("TR_1", true), ("TR_2", false)] {
        downs.add(&DownTrackSpec { is_stereo, ..spec(track, Codec::Opus) });
        downs.seat_on_new(&sid(track), track.to_owned());
    }
    let section = |mid: &str| {
        format!("m=audio 9 X 111\r\na=mid:{mid}\r\na=sendonly\r\na=rtpmap:111 opus/48000/2\r\na=msid:x x\r\n")
    };
    let sdp = downs.described(&["v=0\r\n", &section("TR_1"), &section("TR_2")].concat());
    let (stereo, plain) = sdp.split_once("a=mid:TR_2").unwrap();
    assert!(stereo.contains("sprop-stereo=1") && stereo.contains("a=msid:PA_a|TR_1 TR_1"), "{stereo}");
    assert!(!plain.contains("sprop-stereo=1") && plain.contains("a=msid:PA_a|TR_2 TR_2"), "{plain}");
}

#[test]
fn a_track_flows_to_who_can_decode_one_of_its_codecs() {
    let mut downs = Downs::new(Maker::Server);
    for (track, backups) in [("TR_1", vec![Codec::H264, Codec::Vp8]), ("TR_2", vec![Codec::H264])] {
        downs.add(&DownTrackSpec { backups, ..spec(track, Codec::Vp9) });
    }
    let settled = negotiate(&mut downs, &mut 0);
    assert_eq!((settled.ready, settled.refused), (vec![sid("TR_1")], vec![sid("TR_2")]));
    assert_eq!(downs.takes(&sid("TR_1")), [Codec::Opus, Codec::Vp8], "each once, and all that it can decode");
    // It is named as what it comes in.
    let mut is_named = |codec| downs.outlet(&sid("TR_1"), Encoding::Of(codec), rewrite(1)).is_some();
    assert_eq!((is_named(Codec::Vp8), is_named(Codec::Vp9)), (true, false));
}
