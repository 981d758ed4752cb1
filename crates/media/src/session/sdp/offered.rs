//! The sections of a client's offer on which something can be sent to it. Pure.
//!
//! A client that has one connection for both ways offers sections to receive on before anybody knows what comes by them. Those that
//! nothing goes by are answered as inactive: a browser tells of a track where its section begins to send, and of none where a section that sends
//! takes another name. str0m answers whoever wants to receive that it sends, so what is wanted in vain is taken out of the offer before str0m sees
//! it.

use reelroom_protocol::proto::TrackType;

use super::{is_rejected, kind, mid, split, without_estimates};

/// A section of audio or video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) mid: String,
    pub(crate) kind: TrackType,
    /// Whether the client takes media on it. On one that it sends several layers on nothing is sent to it.
    pub(crate) receives: bool,
}

/// Which way media may go.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Direction {
    sends: bool,
    receives: bool,
}

impl Direction {
    const BOTH: Self = Self { sends: true, receives: true };

    fn of_line(line: &str) -> Option<Self> {
        let (sends, receives) = match line.trim_end() {
            "a=sendrecv" => (true, true),
            "a=sendonly" => (true, false),
            "a=recvonly" => (false, true),
            "a=inactive" => (false, false),
            _ => return None,
        };
        Some(Self { sends, receives })
    }

    fn of(lines: &str) -> Option<Self> {
        lines.lines().find_map(Self::of_line)
    }

    fn without_receiving(self) -> &'static str {
        if self.sends { "a=sendonly\r\n" } else { "a=inactive\r\n" }
    }
}

/// What holds for sections that say nothing.
fn inherited(sdp: &str) -> Direction {
    split(sdp)
        .next()
        .filter(|head| !head.starts_with("m="))
        .and_then(Direction::of)
        .unwrap_or(Direction::BOTH)
}

/// The sections of audio and video of an offer, in its order; of several with the same mid the first one.
pub(crate) fn offered(offer: &str) -> Vec<Offered> {
    let inherited = inherited(offer);
    let mut all: Vec<Offered> = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for lines in split(offer) {
        let (Some(kind), Some(mid)) = (kind(lines), mid(lines)) else { continue };
        if !known.insert(mid) {
            continue;
        }
        let sends_layers = lines.lines().any(|line| line.starts_with("a=simulcast:"));
        let wants = Direction::of(lines).unwrap_or(inherited).receives;
        let receives = wants && !sends_layers && !is_rejected(lines);
        all.push(Offered { mid: mid.to_owned(), kind, receives });
    }
    all
}

/// How many bytes the longest section of an offer has.
pub(crate) fn longest_section(offer: &str) -> usize {
    split(offer).map(str::len).max().unwrap_or(0)
}

/// `offer` without the wish to receive on the sections that nothing goes by.
pub(crate) fn narrowed(offer: &str, is_used: impl Fn(&str) -> bool) -> String {
    let inherited = inherited(offer);
    let mut narrowed = String::with_capacity(offer.len());
    for lines in split(offer) {
        let direction = Direction::of(lines);
        let now = direction.unwrap_or(inherited);
        let is_idle = kind(lines).is_some() && now.receives && mid(lines).is_none_or(|mid| !is_used(mid));
        if !is_idle {
            narrowed.push_str(lines);
            continue;
        }
        for line in lines.split_inclusive('\n') {
            narrowed.push_str(match Direction::of_line(line) {
                Some(_) => now.without_receiving(),
                None => line,
            });
        }
        if direction.is_none() {
            if !narrowed.ends_with('\n') {
                narrowed.push_str("\r\n");
            }
            narrowed.push_str(now.without_receiving());
        }
    }
    narrowed
}

/// An offer of a client's without reports of when each packet of sound came that it receives, as in the server's own offers. What it sends is paced by
/// such reports.
pub(crate) fn without_estimates_of_received_sound(offer: &str) -> String {
    let inherited = inherited(offer);
    without_estimates(offer, |lines| {
        lines.starts_with("m=audio") && !Direction::of(lines).unwrap_or(inherited).sends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(kind: &str, mid: &str, lines: &str) -> String {
        format!("m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:{mid}\r\n{lines}")
    }

    #[test]
    fn what_nothing_goes_by_is_not_received_on() {
        for (said, used, expected) in [
            ("a=recvonly\r\n", false, "a=inactive\r\n"),
            ("a=recvonly\r\n", true, "a=recvonly\r\n"),
            ("a=sendrecv\r\n", false, "a=sendonly\r\n"),
            ("a=sendrecv\r\n", true, "a=sendrecv\r\n"),
            ("a=sendonly\r\n", false, "a=sendonly\r\n"),
            ("a=inactive\r\n", false, "a=inactive\r\n"),
            // Who says nothing sends and receives.
            ("", false, "a=sendonly\r\n"),
            ("", true, ""),
            ("a=recvonly\n", false, "a=inactive\r\n"),
        ] {
            let sdp = |lines: &str| format!("v=0\r\ns=-\r\n{}", section("video", "1", lines));
            assert_eq!(narrowed(&sdp(said), |_| used), sdp(expected), "{said:?}, {used}");
        }
    }

    #[test]
    fn reports_are_of_pictures_and_of_what_the_client_sends() {
        let reports = "a=extmap:3 http://x/transport-wide-cc-extensions-01\r\na=rtcp-fb:96 transport-cc\r\n";
        for (kind, direction, stay) in [
            ("audio", "recvonly", false),
            ("audio", "inactive", false),
            ("audio", "sendonly", true),
            ("audio", "sendrecv", true),
            ("video", "recvonly", true),
        ] {
            let sdp = |reports: &str| {
                format!("v=0\r\n{}", section(kind, "0", &format!("a={direction}\r\n{reports}")))
            };
            let expected = if stay { sdp(reports) } else { sdp("") };
            assert_eq!(without_estimates_of_received_sound(&sdp(reports)), expected, "{kind} {direction}");
        }
    }

    #[test]
    fn what_holds_for_the_whole_description_holds_for_its_sections() {
        let sdp = format!(
            "v=0\r\na=recvonly\r\n{}{}",
            section("audio", "0", ""),
            section("video", "1", "a=sendonly\r\n")
        );
        let all = offered(&sdp);
        assert!(all[0].receives && !all[1].receives);
        assert!(narrowed(&sdp, |_| false).contains("a=mid:0\r\na=inactive\r\n"));
    }

    #[test]
    fn sections_that_take_nothing_are_told_apart() {
        let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:9\r\na=sendrecv\r\n";
        let layers = "a=sendrecv\r\na=rid:q send\r\na=simulcast:send q\r\n";
        let rejected = "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:5\r\na=recvonly\r\n";
        let bundled = "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\na=mid:6\r\na=recvonly\r\n";
        let sdp = [
            "v=0\r\n",
            &section("audio", "0", "a=recvonly\r\n"),
            &section("video", "1", layers),
            &section("video", "0", "a=recvonly\r\n"),
            data,
            rejected,
            bundled,
        ]
        .concat();
        let all: Vec<_> = offered(&sdp).into_iter().map(|one| (one.mid, one.kind, one.receives)).collect();
        let one = |mid: &str, kind, receives| (mid.to_owned(), kind, receives);
        let expected = [
            one("0", TrackType::Audio, true),
            one("1", TrackType::Video, false),
            one("5", TrackType::Video, false),
            one("6", TrackType::Video, true),
        ];
        assert_eq!(all, expected);
        assert!(narrowed(&sdp, |_| false).contains(data), "data goes both ways");
    }
}
