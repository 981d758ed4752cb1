//! The little of SDP that str0m does not do: which announced track a section carries, the order of codecs, hints that a publisher wants to see
//! again, and sections that carry one track after another. All of it is text in, text out.

pub(crate) mod bounds;
pub(crate) mod names;
pub(crate) mod offered;
#[cfg(test)]
mod offers;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use reelroom_protocol::proto::TrackType;
use reelroom_sfu::{Codec, Section, Sound};

const START_BITRATE: &str = "x-google-start-bitrate";

/// The media sections of a publisher's offer.
pub(crate) fn sections(sdp: &str) -> Vec<Section> {
    split(sdp).filter_map(section).collect()
}

/// What a section is of; none where it is no media, or the session part.
fn kind(lines: &str) -> Option<TrackType> {
    match lines.strip_prefix("m=")?.split(' ').next()? {
        "audio" => Some(TrackType::Audio),
        "video" => Some(TrackType::Video),
        _ => None,
    }
}

/// Whether a section is given up: its port is 0, and not because it shares another one's.
fn is_rejected(lines: &str) -> bool {
    let port = lines.lines().next().and_then(|first| first.split(' ').nth(1));
    port == Some("0") && !lines.contains("a=bundle-only")
}

fn section(lines: &str) -> Option<Section> {
    let kind = kind(lines)?;
    let rejected = is_rejected(lines);
    let value = |name: &str| lines.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name));
    let has = |flag: &str| lines.lines().any(|line| line.strip_prefix("a=") == Some(flag));
    Some(Section {
        mid: value("mid:")?.trim().to_owned(),
        kind,
        track_id: value("msid:").and_then(|msid| msid.split(' ').nth(1)).unwrap_or("").trim().to_owned(),
        sends: !rejected && !has("recvonly") && !has("inactive"),
        simulcast: value("simulcast:").is_some_and(|value| value.contains("send")) || has_layers(lines),
        parameter_sets: parameter_sets(lines),
    })
}

/// Whether something is sent by streams with names of their own (`a=rid:… send`, RFC 8851), which str0m takes for layers whatever else is said.
fn has_layers(lines: &str) -> bool {
    let mut names = lines.lines().filter_map(|line| line.strip_prefix("a=rid:"));
    names.any(|name| name.split_whitespace().nth(1) == Some("send"))
}

/// No publisher has more parameter sets to announce.
const MAX_PARAMETER_SETS: usize = 16;

/// The H.264 parameter sets of a section (`sprop-parameter-sets`, RFC 6184 8.1): NAL units in base64, separated by commas.
fn parameter_sets(lines: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    let formats = lines.lines().filter_map(|line| line.strip_prefix("a=fmtp:")?.split_once(' '));
    let parameters = formats.flat_map(|(_, parameters)| parameters.split(';'));
    let sets = parameters.filter_map(|one| one.trim().strip_prefix("sprop-parameter-sets="));
    let units = sets.flat_map(|sets| sets.split(','));
    units.take(MAX_PARAMETER_SETS).filter_map(|unit| BASE64_STANDARD.decode(unit.trim()).ok()).collect()
}

/// `answer` with the codecs in front that sections, by their mids, are to be encoded with.
pub(crate) fn prefer_codecs(answer: &str, codec_of: impl Fn(&str) -> Option<Codec>) -> String {
    split(answer)
        .map(|lines| match mid(lines).and_then(&codec_of) {
            Some(codec) => reorder(lines, codec.mime().rsplit('/').next().unwrap_or_default()),
            None => lines.to_owned(),
        })
        .collect()
}

fn reorder(lines: &str, codec: &str) -> String {
    let is_wanted = |payload_type: &str| {
        codecs(lines).any(|(known, name)| known == payload_type && name.eq_ignore_ascii_case(codec))
    };
    let Some((first, rest)) = lines.split_once('\n') else { return lines.to_owned() };
    let words: Vec<_> = first.trim_end().split(' ').collect();
    let (head, payload_types) = words.split_at(words.len().min(3));
    let (wanted, others): (Vec<&str>, Vec<&str>) = payload_types.iter().partition(|pt| is_wanted(pt));
    let ordered: Vec<_> = head.iter().copied().chain(wanted).chain(others).collect();
    format!("{}\r\n{rest}", ordered.join(" "))
}

/// `answer` without a codec in sections that the peer sends on, but for those that have no other one: what a device encodes badly it is not to
/// choose.
pub(crate) fn without_codec(answer: &str, codec: Codec, is_sent: impl Fn(&str) -> bool) -> String {
    let name = codec.mime().rsplit('/').next().unwrap_or_default();
    split(answer)
        .map(|lines| match mid(lines).filter(|&mid| is_sent(mid)) {
            Some(_) => without(lines, name),
            None => lines.to_owned(),
        })
        .collect()
}

fn without(lines: &str, codec: &str) -> String {
    let of_codec: Vec<_> = codecs(lines)
        .filter(|(_, name)| name.eq_ignore_ascii_case(codec))
        .map(|(payload_type, _)| payload_type)
        .collect();
    // What repeats its packets goes with it.
    let repeats = |payload_type: &str| {
        let prefix = format!("a=fmtp:{payload_type} ");
        let parameters = lines.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default();
        let of = parameters.split(';').find_map(|one| one.trim().strip_prefix("apt="));
        of.is_some_and(|of| of_codec.contains(&of))
    };
    let goes = |payload_type: &str| of_codec.contains(&payload_type) || repeats(payload_type);
    let Some((first, rest)) = lines.split_once('\n').filter(|_| !of_codec.is_empty()) else {
        return lines.to_owned();
    };
    let words: Vec<_> = first.trim_end().split(' ').collect();
    let (head, payload_types) = words.split_at(words.len().min(3));
    let stay: Vec<&str> = payload_types.iter().copied().filter(|payload_type| !goes(payload_type)).collect();
    if stay.is_empty() {
        return lines.to_owned();
    }
    let is_of = |line: &&str| {
        let named = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().find_map(|name| line.strip_prefix(*name));
        named.and_then(|line| line.split(' ').next()).is_some_and(goes)
    };
    let rest: String = rest.split_inclusive('\n').filter(|line| !is_of(line)).collect();
    let first: Vec<_> = head.iter().copied().chain(stay).collect();
    format!("{}\r\n{rest}", first.join(" "))
}

/// `answer` with what a publisher's sound is to be like in sections by their mids: browsers encode by what the answer says.
pub(crate) fn with_sound(answer: &str, sound_of: impl Fn(&str) -> Option<Sound>) -> String {
    split(answer)
        .map(|lines| match mid(lines).and_then(&sound_of) {
            Some(sound) => {
                let parameters: Vec<_> = [
                    sound.pauses_in_silence.then_some("usedtx=1"),
                    sound.is_stereo.then_some("stereo=1;maxaveragebitrate=510000"),
                ]
                .into_iter()
                .flatten()
                .collect();
                let first = if sound.is_redundant { "red" } else { "opus" };
                with_parameters(&reorder(lines, first), "opus", &parameters.join(";"))
            }
            None => lines.to_owned(),
        })
        .collect()
}

/// `offer` that says which sections bring sound in stereo, by the stream they bring.
pub(crate) fn with_stereo(offer: &str, is_stereo: impl Fn(&str) -> bool) -> String {
    split(offer)
        .map(|lines| match mid(lines).filter(|&mid| lines.starts_with("m=audio") && is_stereo(mid)) {
            Some(_) => with_parameters(lines, "opus", "sprop-stereo=1;stereo=1"),
            None => lines.to_owned(),
        })
        .collect()
}

/// A section with `parameters` behind those that it has for a codec.
fn with_parameters(lines: &str, codec: &str, parameters: &str) -> String {
    let payload_type = codecs(lines).find(|(_, name)| name.eq_ignore_ascii_case(codec));
    let Some((payload_type, _)) = payload_type.filter(|_| !parameters.is_empty()) else {
        return lines.to_owned();
    };
    let (fmtp, rtpmap) = (format!("a=fmtp:{payload_type} "), format!("a=rtpmap:{payload_type} "));
    let has_parameters = lines.lines().any(|line| line.starts_with(&fmtp));
    lines
        .split_inclusive('\n')
        .map(|line| {
            let text = line.trim_end();
            if has_parameters && line.starts_with(&fmtp) {
                format!("{text};{parameters}\r\n")
            } else if !has_parameters && line.starts_with(&rtpmap) {
                format!("{text}\r\n{fmtp}{parameters}\r\n")
            } else {
                line.to_owned()
            }
        })
        .collect()
}

/// `offer` of ours without reports of when each packet of sound came: nobody decides anything by them, and a packet costs more with them.
pub(crate) fn without_estimates_of_sound(offer: &str) -> String {
    without_estimates(offer, |lines| lines.starts_with("m=audio"))
}

/// The same in some sections.
fn without_estimates(sdp: &str, is_concerned: impl Fn(&str) -> bool) -> String {
    let reports = |line: &str| {
        (line.starts_with("a=extmap:") && line.contains("transport-wide-cc"))
            || (line.starts_with("a=rtcp-fb:") && line.trim_end().ends_with(" transport-cc"))
    };
    split(sdp)
        .flat_map(|lines| {
            let is_concerned = is_concerned(lines);
            lines.split_inclusive('\n').filter(move |line| !(is_concerned && reports(line)))
        })
        .collect()
}

/// `answer` with the bitrates to begin at that the offer hints at, for the codecs it hints at. Browsers write the hint into
/// their offer but heed it in the answer; without it they take tens of seconds to send their best layer.
pub(crate) fn with_start_bitrates(answer: &str, offer: &str) -> String {
    // Few sections hint at anything, and there may be very many.
    let hinting = split(offer).filter(|lines| lines.contains(START_BITRATE));
    let offered: BTreeMap<_, _> =
        hinting.filter_map(|lines| Some((mid(lines)?, start_bitrates(lines)))).collect();
    if offered.is_empty() {
        return answer.to_owned();
    }
    split(answer)
        .map(|lines| match mid(lines).and_then(|mid| offered.get(mid)) {
            Some(hints) if !hints.is_empty() => with_hints(lines, hints),
            _ => lines.to_owned(),
        })
        .collect()
}

/// The hints of a section, in kbit/s, by the name of the codec.
fn start_bitrates(lines: &str) -> Vec<(&str, u32)> {
    let hint = |payload_type: &str| {
        let prefix = format!("a=fmtp:{payload_type} ");
        let parameters = lines.lines().find_map(|line| line.strip_prefix(&prefix))?;
        let value = parameters.split(';').find_map(|one| one.trim().strip_prefix(START_BITRATE))?;
        value.strip_prefix('=')?.parse().ok()
    };
    codecs(lines).filter_map(|(payload_type, name)| Some((name, hint(payload_type)?))).collect()
}

fn with_hints(lines: &str, hints: &[(&str, u32)]) -> String {
    let mut hinted = lines.to_owned();
    for (payload_type, name) in codecs(lines) {
        let Some((_, kbps)) = hints.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            continue;
        };
        let fmtp = format!("a=fmtp:{payload_type} ");
        let rtpmap = format!("a=rtpmap:{payload_type} ");
        let has_parameters = lines.lines().any(|line| line.starts_with(&fmtp));
        hinted = hinted
            .split_inclusive('\n')
            .map(|line| {
                let text = line.trim_end();
                if has_parameters && line.starts_with(&fmtp) {
                    format!("{text};{START_BITRATE}={kbps}\r\n")
                } else if !has_parameters && line.starts_with(&rtpmap) {
                    format!("{text}\r\n{fmtp}{START_BITRATE}={kbps}\r\n")
                } else {
                    line.to_owned()
                }
            })
            .collect();
    }
    hinted
}

/// The payload types of a section and the names of their codecs.
fn codecs(lines: &str) -> impl Iterator<Item = (&str, &str)> {
    lines.lines().filter_map(|line| {
        let (payload_type, encoding) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        Some((payload_type, encoding.split('/').next()?))
    })
}

fn mid(lines: &str) -> Option<&str> {
    lines.lines().find_map(|line| line.strip_prefix("a=mid:")).map(str::trim)
}

/// `sdp` with `told` as its candidates, best first, instead of those that str0m knows: it has to know where datagrams arrive,
/// and behind NAT that is not what a peer can reach. Those of `told_tcp` come last, for over TCP alone.
pub(crate) fn with_candidates(sdp: &str, told: &[SocketAddr], told_tcp: &[SocketAddr]) -> String {
    let of_both = told.iter().enumerate().flat_map(|(place, address)| candidates(place, *address));
    let of_tcp = told_tcp.iter().zip(told.len()..).map(|(address, place)| tcp_candidate(place, *address));
    let mut candidates = Some(of_both.chain(of_tcp));
    sdp.split_inclusive('\n')
        .flat_map(|line| {
            let is_candidate = line.starts_with("a=candidate:");
            let instead = candidates.take_if(|_| is_candidate).into_iter().flatten().collect::<Vec<_>>();
            let kept = (!is_candidate).then(|| line.to_owned());
            instead.into_iter().chain(kept)
        })
        .collect()
}

/// Type preferences of host candidates, those of libwebrtc.
const UDP: u32 = 126;
const TCP: u32 = 90;

/// By RFC 8445, section 5.1.2.1.
fn priority(of_type: u32, place: usize) -> u32 {
    (of_type << 24) | ((65_535 - place as u32) << 8) | 255
}

/// An address over UDP, and over TCP for those whose UDP is blocked.
fn candidates(place: usize, address: SocketAddr) -> [String; 2] {
    let (ip, port) = (address.ip(), address.port());
    let (number, priority) = (2 * place + 1, priority(UDP, place));
    [format!("a=candidate:{number} 1 udp {priority} {ip} {port} typ host\r\n"), tcp_candidate(place, address)]
}

fn tcp_candidate(place: usize, address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let (number, priority) = (2 * place + 2, priority(TCP, place));
    format!("a=candidate:{number} 1 tcp {priority} {ip} {port} typ host tcptype passive\r\n")
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
        // Streams with names are layers also where nothing says so.
        let named = |rids: &str| sections(&OFFER.replace("a=simulcast:send q;h;f\r\n", rids))[1].simulcast;
        assert!(named("a=rid:q send\r\na=rid:f send\r\n") && !named("a=rid:q recv\r\n") && !named(""));
    }

    #[test]
    fn parameter_sets_beside_the_stream_are_read() {
        let sdp = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 108\r\na=mid:1\r\na=rtpmap:108 H264/90000\r\n\
            a=fmtp:108 packetization-mode=1; sprop-parameter-sets=Z0LAHtk=,aMuDyw==,%%;profile-level-id=42e01f\r\n";
        let sets = sections(sdp).remove(0).parameter_sets;
        assert_eq!(sets, [vec![0x67, 0x42, 0xc0, 0x1e, 0xd9], vec![0x68, 0xcb, 0x83, 0xcb]]);
        assert!(sections(OFFER)[1].parameter_sets.is_empty());
    }

    #[test]
    fn the_answer_repeats_at_which_bitrate_to_begin() {
        let video = |parameters: &str| {
            format!(
                "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 108\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\n\
                 a=rtpmap:108 H264/90000\r\n{parameters}"
            )
        };
        let other = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=rtpmap:96 VP8/90000\r\n";
        let plain = video("a=fmtp:108 packetization-mode=1\r\n") + other;
        // The hint is on another profile of the codec than the one that is answered.
        let offer = video(
            "a=rtpmap:102 H264/90000\r\na=fmtp:102 packetization-mode=1;x-google-start-bitrate=900\r\n",
        );
        let hinted = video("a=fmtp:108 packetization-mode=1;x-google-start-bitrate=900\r\n") + other;
        assert_eq!(with_start_bitrates(&plain, &offer), hinted);
        let answer = with_start_bitrates(&plain, &video("a=fmtp:96 x-google-start-bitrate=700\r\n"));
        assert!(
            answer.contains("a=rtpmap:96 VP8/90000\r\na=fmtp:96 x-google-start-bitrate=700\r\n"),
            "{answer}"
        );
        assert_eq!(answer.matches("start-bitrate").count(), 1);
        let nonsense = video("a=fmtp:96 x-google-start-bitrate=fast\r\n");
        assert_eq!(with_start_bitrates(&plain, &nonsense), plain);
    }

    #[test]
    fn a_codec_that_a_device_does_badly_is_left_out_with_what_repeats_it() {
        let sdp = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 125 126 96 97\r\na=mid:1\r\na=rtpmap:125 H264/90000\r\n\
            a=rtcp-fb:125 nack\r\na=fmtp:125 packetization-mode=1\r\na=rtpmap:126 rtx/90000\r\na=fmtp:126 apt=125\r\n\
            a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
        let alone = "m=video 9 UDP/TLS/RTP/SAVPF 125\r\na=mid:2\r\na=rtpmap:125 H264/90000\r\n";
        let expected = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:1\r\n\
            a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";
        let both = [sdp, alone].concat();
        assert_eq!(without_codec(&both, Codec::H264, |_| true), [expected, alone].concat());
        assert_eq!(
            without_codec(&both, Codec::H264, |mid| mid == "2"),
            both,
            "what it receives may be anything"
        );
        assert_eq!(without_codec(sdp, Codec::Av1, |_| true), sdp);
    }

    #[test]
    fn what_is_told_stands_where_the_candidates_stood() {
        let sdp = |candidates: &str| {
            format!("v=0\r\nm=audio 9 X 1\r\na=mid:0\r\n{candidates}a=rtcp-mux\r\nm=video 9 X 2\r\n")
        };
        let bound = sdp(
            "a=candidate:9 1 udp 7 10.0.0.5 7882 typ host\r\na=candidate:8 1 tcp 6 10.0.0.5 7882 typ host\r\n",
        );
        let told = ["203.0.113.7:7882", "[2001:db8::7]:7882"].map(|text| text.parse().expect("an address"));
        let expected = sdp("a=candidate:1 1 udp 2130706431 203.0.113.7 7882 typ host\r\n\
             a=candidate:2 1 tcp 1526726655 203.0.113.7 7882 typ host tcptype passive\r\n\
             a=candidate:3 1 udp 2130706175 2001:db8::7 7882 typ host\r\n\
             a=candidate:4 1 tcp 1526726399 2001:db8::7 7882 typ host tcptype passive\r\n");
        assert_eq!(with_candidates(&bound, &told, &[]), expected);
        assert_eq!(with_candidates(&bound, &[], &[]), sdp(""));
        let page = ["203.0.113.7:443".parse().expect("an address")];
        let expected = sdp("a=candidate:1 1 udp 2130706431 203.0.113.7 7882 typ host\r\n\
             a=candidate:2 1 tcp 1526726655 203.0.113.7 7882 typ host tcptype passive\r\n\
             a=candidate:4 1 tcp 1526726399 203.0.113.7 443 typ host tcptype passive\r\n");
        assert_eq!(with_candidates(&bound, &told[..1], &page), expected);
    }

    const SOUND: &str = "v=0\r\nm=audio 9 X 63 111\r\na=mid:0\r\na=extmap:3 http://x/transport-wide-cc-extensions-01\r\n\
        a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack\r\na=fmtp:111 minptime=10\r\n\
        a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\nm=video 9 X 96\r\na=mid:1\r\n\
        a=extmap:3 http://x/transport-wide-cc-extensions-01\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 transport-cc\r\n";

    #[test]
    fn sound_is_encoded_as_was_announced() {
        let plain = Sound { pauses_in_silence: true, is_stereo: false, is_redundant: true };
        let changed = with_sound(SOUND, |mid| (mid == "0").then_some(plain));
        assert_eq!(changed, SOUND.replace("minptime=10", "minptime=10;usedtx=1"));
        let music = Sound { pauses_in_silence: false, is_stereo: true, is_redundant: false };
        let changed = with_sound(SOUND, |mid| (mid == "0").then_some(music));
        let expected = SOUND.replace("minptime=10", "minptime=10;stereo=1;maxaveragebitrate=510000");
        assert_eq!(changed, expected.replace("X 63 111", "X 111 63"));
        assert_eq!(
            with_sound(&SOUND.replace("X 63 111", "X 111 63"), |mid| (mid == "0").then_some(plain)),
            with_sound(SOUND, |mid| (mid == "0").then_some(plain))
        );
        assert_eq!(with_sound(SOUND, |mid| (mid == "7").then_some(music)), SOUND);
        let stereo = with_stereo(SOUND, |mid| mid == "0");
        assert_eq!(stereo, SOUND.replace("minptime=10", "minptime=10;sprop-stereo=1;stereo=1"));
        assert_eq!(with_stereo(SOUND, |mid| mid == "1"), SOUND, "no sound");
    }

    #[test]
    fn reports_of_when_packets_came_are_for_pictures() {
        let without = without_estimates_of_sound(SOUND);
        let (sound, pictures) = SOUND.split_once("m=video").expect("both");
        let sound = sound
            .replace("a=extmap:3 http://x/transport-wide-cc-extensions-01\r\n", "")
            .replace("a=rtcp-fb:111 transport-cc\r\n", "");
        assert_eq!(without, format!("{sound}m=video{pictures}"));
    }

    #[test]
    fn the_preferred_codec_comes_first_in_its_section_only() {
        let changed = prefer_codecs(OFFER, |mid| (mid == "1").then_some(Codec::H264));
        assert!(changed.contains("m=video 9 UDP/TLS/RTP/SAVPF 125 96 97\r\na=mid:1\r\n"), "{changed}");
        assert!(changed.contains("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\n"));
        assert_eq!(prefer_codecs(OFFER, |mid| (mid == "9").then_some(Codec::H264)), OFFER);
    }
}
