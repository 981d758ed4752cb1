//! By which names a description of ours says what its sections carry. Pure.
//!
//! str0m names a section once, as it is made, and at random where the peer made it. Clients know by the name of the stream whose track it is, and a
//! section carries many tracks in its life: so the names are written into the text that str0m makes. Nothing inside it depends on them.

use std::collections::BTreeMap;

use super::{kind, mid, split};

/// What a section carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrackName {
    pub(crate) mid: String,
    /// `PA_…|TR_…`: how clients know whose track it is.
    pub(crate) stream_id: String,
    pub(crate) track_id: String,
}

/// `sdp` with these names in the sections that send, and none in the others: browsers refuse a description in which two sections carry the same
/// track, as after unsubscribing and subscribing again.
pub(crate) fn named(sdp: &str, names: &[TrackName]) -> String {
    let by_mid: BTreeMap<&str, &TrackName> = names.iter().map(|name| (name.mid.as_str(), name)).collect();
    let mut named = String::with_capacity(sdp.len());
    for lines in split(sdp) {
        let sends = || lines.lines().any(|line| matches!(line.trim_end(), "a=sendonly" | "a=sendrecv"));
        let name = mid(lines).and_then(|mid| by_mid.get(mid)).filter(|_| sends());
        let is_media = kind(lines).is_some();
        let mut is_said = false;
        for line in lines.split_inclusive('\n') {
            if line.starts_with("a=msid-semantic:") {
                named.push_str("a=msid-semantic: WMS *\r\n");
            } else if !is_media {
                named.push_str(line);
            } else if line.starts_with("a=msid:") {
                if let Some(name) = name.filter(|_| !std::mem::replace(&mut is_said, true)) {
                    named.push_str(&format!("a=msid:{} {}\r\n", name.stream_id, name.track_id));
                }
            } else if line.starts_with("a=ssrc") {
                let Some(name) = name else { continue };
                match line.split_once(" msid:") {
                    Some((ssrc, _)) => {
                        named.push_str(&format!("{ssrc} msid:{} {}\r\n", name.stream_id, name.track_id));
                    }
                    None => named.push_str(line),
                }
            } else {
                named.push_str(line);
            }
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(mid: &str, track: &str) -> TrackName {
        TrackName { mid: mid.into(), stream_id: format!("PA_a|{track}"), track_id: track.into() }
    }

    fn section(mid: &str, direction: &str, stream: &str) -> String {
        format!(
            "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:{mid}\r\na={direction}\r\na=msid:{stream}\r\na=rtcp-mux\r\n\
             a=ssrc:1 cname:c\r\na=ssrc:1 msid:{stream}\r\na=ssrc:2 cname:c\r\na=ssrc:2 msid:{stream}\r\n\
             a=ssrc-group:FID 1 2\r\n"
        )
    }

    fn idle(mid: &str, direction: &str) -> String {
        format!("m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\n")
    }

    #[test]
    fn sections_that_send_have_the_names_of_their_tracks_and_others_have_none() {
        let head = "v=0\r\ns=-\r\na=msid-semantic:WMS x y\r\n";
        let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n";
        let sdp = [
            head,
            &section("0", "sendonly", "rnd rnd"),
            data,
            &section("1", "inactive", "PA_a|TR_old TR_old"),
            &section("2", "recvonly", "rnd rnd"),
            &section("3", "sendrecv", "rnd rnd"),
        ]
        .concat();
        let expected = [
            "v=0\r\ns=-\r\na=msid-semantic: WMS *\r\n",
            &section("0", "sendonly", "PA_a|TR_0 TR_0"),
            data,
            &idle("1", "inactive"),
            &idle("2", "recvonly"),
            &section("3", "sendrecv", "PA_a|TR_3 TR_3"),
        ]
        .concat();
        let names = [name("3", "TR_3"), name("0", "TR_0"), name("1", "TR_1"), name("9", "TR_9")];
        assert_eq!(named(&sdp, &names), expected);
        assert_eq!(named(&expected, &names), expected, "it says the same again");
    }

    #[test]
    fn no_two_sections_carry_the_same_track_after_it_came_back() {
        let sdp = ["v=0\r\n", &section("0", "inactive", "PA_a|TR_1 TR_1"), &section("1", "sendonly", "x x")]
            .concat();
        assert_eq!(named(&sdp, &[name("1", "TR_1")]).matches("a=msid:PA_a|TR_1 TR_1").count(), 1);
    }
}
