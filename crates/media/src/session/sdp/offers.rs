//! What real clients offer for one connection, from the offer to the answer.
//!
//! The files are written as these clients write them: Chromium and Firefox with livekit-client, libwebrtc with the Rust client (which Python's, Node's and
//! others are made of), pion with the Go client.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use reelroom_protocol::proto::TrackType;
use reelroom_sfu::Codec;

use super::names::{TrackName, named};
use super::offered::{narrowed, offered};
use super::split;
use crate::mux::LocalAddresses;
use crate::session::{Session, Way, install_crypto};

const CLIENTS: [(&str, &str); 4] = [
    ("chromium", include_str!("offers/chromium.sdp")),
    ("firefox", include_str!("offers/firefox.sdp")),
    ("libwebrtc", include_str!("offers/libwebrtc.sdp")),
    ("pion", include_str!("offers/pion.sdp")),
];

fn lines_of_client(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn session() -> Session {
    install_crypto();
    let address = "192.0.2.1:7882".parse().unwrap();
    let addresses = LocalAddresses { bound: vec![address], told: vec![address], ..LocalAddresses::default() };
    Session::new(&addresses, Way::Both, Instant::now())
}

/// A section of an answer.
fn section<'a>(sdp: &'a str, mid: &str) -> &'a str {
    let wanted = format!("a=mid:{mid}\r\n");
    split(sdp).find(|lines| lines.contains(&wanted)).unwrap_or_else(|| panic!("no section {mid} in {sdp}"))
}

fn name(mid: &str, track: &str) -> TrackName {
    TrackName { mid: mid.into(), stream_id: format!("PA_a|{track}"), track_id: track.into() }
}

#[test]
fn every_client_offers_three_sections_of_each_kind_to_receive_on() {
    for (client, text) in CLIENTS {
        let sections = offered(&lines_of_client(text));
        for kind in [TrackType::Audio, TrackType::Video] {
            let of_kind = sections.iter().filter(|one| one.kind == kind && one.receives).count();
            assert_eq!(of_kind, 3, "{client}");
        }
        assert_eq!(sections.len(), 6, "{client}: data is no section of media");
    }
}

#[test]
fn what_nothing_goes_by_is_answered_as_inactive_and_without_names() {
    for (client, text) in CLIENTS {
        let offer = lines_of_client(text);
        let mut session = session();
        let answer = session.accept_bounded_offer(&narrowed(&offer, |_| false)).unwrap();
        let answer = named(&answer, &[]);
        for one in offered(&offer) {
            let lines = section(&answer, &one.mid);
            assert!(lines.contains("a=inactive\r\n"), "{client}: {lines}");
            assert!(!lines.contains("a=msid:") && !lines.contains("a=ssrc"), "{client}: {lines}");
            assert!(!lines.starts_with("m=audio 0") && !lines.starts_with("m=video 0"), "{client}: {lines}");
        }
        assert!(answer.contains("m=application"), "{client}: {answer}");
        let of = |text: &str| text.matches("\r\nm=").count();
        assert_eq!(of(&answer), of(&offer), "{client}: a section for a section");
    }
}

#[test]
fn a_section_begins_to_send_under_the_name_of_its_track_and_with_its_codec() {
    for (client, text) in CLIENTS {
        let offer = lines_of_client(text);
        let mut session = session();
        session.accept_bounded_offer(&narrowed(&offer, |_| false)).unwrap();
        let sections = offered(&offer);
        let first = |kind| sections.iter().find(|one| one.kind == kind).unwrap().mid.clone();
        let (audio, video) = (first(TrackType::Audio), first(TrackType::Video));
        let used = [audio.as_str(), video.as_str()];
        let answer = session.accept_bounded_offer(&narrowed(&offer, |mid| used.contains(&mid))).unwrap();
        let answer = named(&answer, &[name(&audio, "TR_a"), name(&video, "TR_v")]);
        for (mid, track, codecs) in
            [(&audio, "TR_a", &[Codec::Opus][..]), (&video, "TR_v", &[Codec::Vp8, Codec::H264][..])]
        {
            let lines = section(&answer, mid);
            assert!(lines.contains("a=sendonly\r\n"), "{client}: {lines}");
            assert!(lines.contains(&format!("a=msid:PA_a|{track} {track}\r\n")), "{client}: {lines}");
            assert!(lines.contains(&format!(" msid:PA_a|{track} {track}\r\n")), "{client}: {lines}");
            let types = session.payload_types(mid);
            for codec in codecs {
                let payload_type = types.iter().find(|(known, _)| known == codec).map(|(_, pt)| pt);
                let payload_type = payload_type.unwrap_or_else(|| panic!("{client}: {codec:?} of {types:?}"));
                let rtpmap = format!("a=rtpmap:{payload_type} ");
                let offered = section(&offer, mid).lines().find(|line| line.starts_with(&rtpmap));
                let encoding = codec.mime().rsplit('/').next().unwrap().to_ascii_lowercase();
                let offered = offered.unwrap_or_default().to_ascii_lowercase();
                assert!(offered.contains(&encoding), "{client}: {payload_type} is {offered:?}");
            }
        }
        let others = sections.iter().filter(|one| !used.contains(&one.mid.as_str()));
        for one in others {
            assert!(section(&answer, &one.mid).contains("a=inactive\r\n"), "{client}");
        }
    }
}

#[test]
fn the_next_track_of_a_section_is_another_stream() {
    let ssrcs = |lines: &str| -> Vec<String> {
        let of_names = lines.lines().filter(|line| line.starts_with("a=ssrc:") && line.contains(" msid:"));
        of_names.map(|line| line["a=ssrc:".len()..].split(' ').next().unwrap().to_owned()).collect()
    };
    for (client, text) in CLIENTS {
        let offer = lines_of_client(text);
        let mut session = session();
        let mid = offered(&offer).into_iter().find(|one| one.kind == TrackType::Video).unwrap().mid;
        let mut known = Vec::new();
        for round in 0..3 {
            let track = format!("TR_{round}");
            session.renew_stream(&mid);
            let used = session.accept_bounded_offer(&narrowed(&offer, |one| one == mid)).unwrap();
            let answer = named(&used, &[name(&mid, &track)]);
            let of_track = ssrcs(section(&answer, &mid));
            assert_eq!(of_track.len(), 2, "{client}: media, and what is sent again: {answer}");
            assert!(of_track.iter().all(|ssrc| !known.contains(ssrc)), "{client}: {of_track:?} {known:?}");
            known.extend(of_track);
            let idle = session.accept_bounded_offer(&narrowed(&offer, |_| false)).unwrap();
            assert!(ssrcs(section(&named(&idle, &[]), &mid)).is_empty(), "{client}");
        }
    }
}

#[test]
fn a_restart_of_ice_gives_the_session_another_name_beside_the_one_before() {
    for (client, text) in CLIENTS {
        let offer = lines_of_client(text);
        let mut session = session();
        session.accept_bounded_offer(&narrowed(&offer, |_| false)).unwrap();
        let (before, _) = session.credentials();
        let ufrag = offer.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap();
        let restarted = offer.replace(&format!("a=ice-ufrag:{ufrag}"), "a=ice-ufrag:anotherOne");
        let answer = session.accept_bounded_offer(&narrowed(&restarted, |_| false)).unwrap();
        let (after, _) = session.credentials();
        assert_ne!(before, after, "{client}");
        assert!(answer.contains(&format!("a=ice-ufrag:{after}\r\n")), "{client}: {answer}");
        let (_, events) = session.take();
        let names = events.iter().rev().find_map(|event| match event {
            crate::session::SessionEvent::Names(names) => Some(names.clone()),
            _ => None,
        });
        let names: Vec<_> = names.unwrap().into_iter().map(|(ufrag, _)| ufrag).collect();
        assert_eq!(names, [after, before], "{client}");
    }
}
