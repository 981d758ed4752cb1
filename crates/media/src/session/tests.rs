#![allow(clippy::unwrap_used)]

use reelroom_sfu::Codec;
use str0m::media::{Direction, MediaKind};

use super::*;

mod call;
mod estimate;

fn addresses() -> LocalAddresses {
    let address = "127.0.0.1:9".parse().unwrap();
    LocalAddresses { bound: vec![address], told: vec![address], ..LocalAddresses::default() }
}

/// What a publisher is answered who offers these kinds of H.264, beside VP8 or alone: the `fmtp` of each kind in the answer.
fn answered(kinds: &[(u32, bool)], with_vp8: bool) -> (String, Vec<String>) {
    install_crypto();
    let mut config = Rtc::builder().clear_codecs().enable_vp8(with_vp8);
    for (place, (profile, is_fragmented)) in (35u8..).step_by(2).zip(kinds) {
        let (payload_type, rtx) = (place.into(), (place + 1).into());
        config.codec_config().add_h264(payload_type, Some(rtx), *is_fragmented, *profile);
    }
    let mut publisher = config.build(Instant::now());
    let mut api = publisher.sdp_api();
    api.add_media(MediaKind::Video, Direction::SendOnly, None, None, None);
    let (offer, _) = api.apply().unwrap();
    let mut session = Session::new(&addresses(), Way::In, Instant::now());
    let answer = session.accept_offer(&offer.to_sdp_string()).unwrap();
    let of_h264 = answer.lines().filter(|line| line.contains("packetization-mode"));
    let kinds = of_h264.filter_map(|line| line.split_once(' ')).map(|(_, kind)| kind.to_owned()).collect();
    (answer, kinds)
}

#[test]
fn publishers_may_send_any_profile_of_h264_that_browsers_decode() {
    for profile in [0x0042_e01f, 0x0042_001f, 0x004d_001f, 0x0064_001f, 0x0064_0c1f, 0x0064_0033] {
        for is_fragmented in [false, true] {
            let (answer, kinds) = answered(&[(profile, is_fragmented)], false);
            assert_eq!(kinds.len(), 1, "{profile:x}, {is_fragmented}: {answer}");
            assert!(kinds[0].contains(&format!("packetization-mode={}", u8::from(is_fragmented))));
            assert!(kinds[0].contains(&format!("profile-level-id={:04x}", profile >> 8)), "{kinds:?}");
            assert!(!answer.contains("m=video 0"), "{answer}");
        }
    }
}

#[test]
fn publishers_who_can_do_more_send_what_every_browser_decodes() {
    // In the order of Chromium.
    let offered = [
        (0x0042_001f, true),
        (0x0042_001f, false),
        (0x0042_e01f, true),
        (0x0042_e01f, false),
        (0x004d_001f, true),
        (0x0064_001f, true),
    ];
    let (answer, kinds) = answered(&offered, true);
    assert_eq!(kinds.len(), offered.len(), "{answer}");
    assert!(kinds[0].contains("42e01f") && kinds[0].contains("packetization-mode=1"), "{kinds:?}");
    let line = answer.lines().find(|line| line.starts_with("m=video")).unwrap();
    let first = line.split(' ').nth(3).unwrap();
    assert!(answer.contains(&format!("a=rtpmap:{first} VP8/")), "{answer}");
}

#[test]
fn subscribers_are_offered_one_kind_of_h264() {
    install_crypto();
    let mut session = Session::new(&addresses(), Way::Out, Instant::now());
    let (stream_id, track_id) = ("PA_a|TR_v".into(), "TR_v".into());
    let add = vec![NewMedia { codec: Codec::H264, stream_id, track_id }];
    let (offer, _) = session.offer(&Changes { add, ..Changes::default() }).unwrap();
    assert_eq!(offer.matches("profile-level-id").count(), 1, "{offer}");
}

#[test]
fn subscribers_are_offered_redundant_sound_and_reports_for_pictures_alone() {
    install_crypto();
    let mut session = Session::new(&addresses(), Way::Out, Instant::now());
    let media = |codec| NewMedia { codec, stream_id: "PA_a|TR_x".into(), track_id: format!("TR_{codec:?}") };
    let add = vec![media(Codec::Opus), media(Codec::Vp8)];
    let (offer, mids) = session.offer(&Changes { add, ..Changes::default() }).unwrap();
    assert_eq!(mids.len(), 2);
    let (_, media) = offer.split_once("m=audio").unwrap();
    let (sound, pictures) = media.split_once("m=video").unwrap();
    assert!(sound.contains(" red/48000") && sound.contains(" nack"), "{sound}");
    assert!(!sound.contains("transport-cc") && !sound.contains("transport-wide-cc"), "{sound}");
    assert!(pictures.contains("transport-cc") && pictures.contains("transport-wide-cc"), "{pictures}");
}

#[test]
fn publishers_are_asked_for_redundant_sound_and_for_what_is_lost_of_it() {
    install_crypto();
    let mut publisher = Rtc::builder().clear_codecs().enable_opus(true, true).build(Instant::now());
    let mut api = publisher.sdp_api();
    api.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None);
    let (offer, _) = api.apply().unwrap();
    let mut session = Session::new(&addresses(), Way::In, Instant::now());
    let answer = session.accept_offer(&offer.to_sdp_string()).unwrap();
    let line = answer.lines().find(|line| line.starts_with("m=audio")).unwrap();
    let first = line.split(' ').nth(3).unwrap();
    assert!(answer.contains(&format!("a=rtpmap:{first} red/48000")), "{answer}");
    assert!(answer.lines().any(|line| line.starts_with("a=rtcp-fb:") && line.ends_with(" nack")), "{answer}");
}
