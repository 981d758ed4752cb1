//! The little of SDP that str0m does not tell: which announced track a section carries, and the order of codecs.

use reelroom_protocol::proto::TrackType;
use reelroom_sfu::{Codec, Section};

/// The media sections of a publisher's offer.
pub(crate) fn sections(sdp: &str) -> Vec<Section> {
    split(sdp).filter_map(section).collect()
}

fn section(lines: &str) -> Option<Section> {
    let first = lines.lines().next()?;
    let mut words = first.strip_prefix("m=")?.split(' ');
    let kind = match words.next()? {
        "audio" => TrackType::Audio,
        "video" => TrackType::Video,
        _ => return None,
    };
    let rejected = words.next() == Some("0") && !lines.contains("a=bundle-only");
    let value = |name: &str| lines.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name));
    let has = |flag: &str| lines.lines().any(|line| line.strip_prefix("a=") == Some(flag));
    Some(Section {
        mid: value("mid:")?.trim().to_owned(),
        kind,
        track_id: value("msid:").and_then(|msid| msid.split(' ').nth(1)).unwrap_or("").trim().to_owned(),
        sends: !rejected && !has("recvonly") && !has("inactive"),
        simulcast: value("simulcast:").is_some_and(|value| value.contains("send")),
    })
}

/// `sdp` with `codec` first among the payload types of section `mid`: publishers encode with the first one.
pub(crate) fn prefer_codec(sdp: &str, mid: &str, codec: Codec) -> String {
    let name = codec.mime().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let wanted_mid = format!("a=mid:{mid}");
    split(sdp)
        .map(|lines| {
            if lines.lines().any(|line| line.trim_end() == wanted_mid) {
                reorder(lines, &name)
            } else {
                lines.to_owned()
            }
        })
        .collect()
}

fn reorder(lines: &str, codec: &str) -> String {
    let is_wanted = |payload_type: &str| {
        let prefix = format!("a=rtpmap:{payload_type} ");
        lines.lines().any(|line| {
            line.strip_prefix(&prefix)
                .and_then(|rest| rest.split('/').next())
                .is_some_and(|name| name.eq_ignore_ascii_case(codec))
        })
    };
    let Some((first, rest)) = lines.split_once('\n') else { return lines.to_owned() };
    let words: Vec<_> = first.trim_end().split(' ').collect();
    let (head, payload_types) = words.split_at(words.len().min(3));
    let (wanted, others): (Vec<&str>, Vec<&str>) = payload_types.iter().partition(|pt| is_wanted(pt));
    let ordered: Vec<_> = head.iter().copied().chain(wanted).chain(others).collect();
    format!("{}\r\n{rest}", ordered.join(" "))
}

/// `sdp` without the names of the tracks that inactive sections once carried: browsers refuse an offer in which two
/// sections carry the same track, as after unsubscribing and subscribing again.
pub(crate) fn without_idle_tracks(sdp: &str) -> String {
    let names_track = |line: &str| line.starts_with("a=msid:") || line.starts_with("a=ssrc");
    split(sdp)
        .flat_map(|lines| {
            let is_idle = lines.starts_with("m=") && lines.lines().any(|line| line == "a=inactive");
            lines.split_inclusive('\n').filter(move |line| !(is_idle && names_track(line)))
        })
        .collect()
}

/// The session part, then each media section, line ends included.
fn split(sdp: &str) -> impl Iterator<Item = &str> {
    let mut starts: Vec<_> = sdp.match_indices("\nm=").map(|(at, _)| at + 1).collect();
    starts.insert(0, 0);
    starts.push(sdp.len());
    (0..starts.len() - 1).map(move |i| &sdp[starts[i]..starts[i + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=sendonly\r\na=msid:s cid-a\r\n\
        a=rtpmap:111 opus/48000/2\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 125\r\na=mid:1\r\na=sendrecv\r\n\
        a=msid:s cid-v\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=rtpmap:125 H264/90000\r\n\
        a=simulcast:send q;h;f\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=inactive\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n";

    #[test]
    fn sections_tell_their_track_and_whether_they_send() {
        let all = sections(OFFER);
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].mid.as_str(), all[0].track_id.as_str(), all[0].sends), ("0", "cid-a", true));
        assert!(all[1].simulcast && all[1].kind == TrackType::Video && all[1].sends);
        assert!(!all[2].sends && all[2].track_id.is_empty());
    }

    #[test]
    fn only_sections_in_use_name_their_track() {
        let used = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=msid:PA|TR TR\r\na=sendonly\r\na=ssrc:1 cname:c\r\n";
        let idle = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=msid:PA|TR TR\r\na=inactive\r\na=ssrc-group:FID 2 3\r\n\
            a=ssrc:2 cname:c\r\na=mid:x\r\n";
        let expected =
            format!("v=0\r\n{used}m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=mid:x\r\n{used}");
        assert_eq!(without_idle_tracks(&format!("v=0\r\n{used}{idle}{used}")), expected);
    }

    #[test]
    fn the_preferred_codec_comes_first_in_its_section_only() {
        let changed = prefer_codec(OFFER, "1", Codec::H264);
        assert!(changed.contains("m=video 9 UDP/TLS/RTP/SAVPF 125 96 97\r\na=mid:1\r\n"), "{changed}");
        assert!(changed.contains("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\n"));
        assert_eq!(prefer_codec(OFFER, "9", Codec::H264), OFFER);
    }
}
