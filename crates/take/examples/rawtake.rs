//! Makes a take of RTP packets and facts, as they came: `cargo run -p reelroom-take --example rawtake -- IN.jsonl TAKE`, then
//! `reelroom compose TAKE -o OUT.mp4`.
//!
//! Every line of the input is a JSON object with `t`, nanoseconds since the take began, and one of:
//!
//! ```text
//! "ev": {"event": "track_published", ...}                      a fact, as events.jsonl has it
//! "add": TRACK, "codec": "opus"                                the capture of a track begins
//! "pkt": TRACK, "ssrc", "seq", "rtp" (extended), "m", "hex"    a packet: its numbers, marker and payload
//! "sr": TRACK, "ntp", "rtp"                                    a sender report
//! "end": true                                                  the take ends
//! ```

use std::{error::Error, io::Write, path::Path};

use reelroom_take::{
    CaptureConfig, Codec, EndReason, Packet, Take, TakeEvent, TakeHeader, TakeOptions, TakeRecorder, TrackId,
    Wish,
};
use serde::Deserialize;

const TICK_NS: u64 = 100_000_000;

#[derive(Deserialize)]
struct Line {
    t: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum What {
    Fact {
        ev: TakeEvent,
    },
    Add {
        add: TrackId,
        codec: Codec,
    },
    Packet {
        pkt: TrackId,
        ssrc: u32,
        seq: u64,
        rtp: u64,
        m: bool,
        hex: String,
    },
    Report {
        sr: TrackId,
        ntp: u64,
        rtp: u64,
    },
    End {
        #[serde(rename = "end")]
        _end: serde::de::IgnoredAny,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(take)) = (arguments.next(), arguments.next()) else {
        return Err("usage: rawtake IN.jsonl TAKE".into());
    };
    let header = TakeHeader::new("EG_raw", "room", "RM_raw", 1_767_225_600_000_000_000);
    let unbounded = TakeOptions { queue_bytes: usize::MAX, queue_entries: usize::MAX / 2 };
    let mut recorder = TakeRecorder::new(Take::create_with(Path::new(&take), header, unbounded)?);
    let (mut wishes, mut ticked_ns, mut last_ns) = (0u64, 0, 0);
    for (number, line) in std::fs::read_to_string(input)?.lines().enumerate() {
        let Line { t, what } =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))?;
        while ticked_ns + TICK_NS < t {
            ticked_ns += TICK_NS;
            recorder.tick(ticked_ns);
        }
        last_ns = t;
        match what {
            What::Fact { ev } => recorder.event(t, ev),
            What::Add { add, codec } => {
                if !recorder.add_track(add, CaptureConfig::new(codec)) {
                    return Err(format!("line {}: this codec is not known", number + 1).into());
                }
            }
            What::Packet { pkt, ssrc, seq, rtp, m: marker, hex } => {
                let payload = bytes_of(&hex)?;
                let packet = Packet { ssrc, seq, rtp, marker, payload: &payload };
                wishes += u64::from(recorder.packet(t, &pkt, &packet) == Wish::Keyframe);
            }
            // RTCP has the lower half of the extended time.
            What::Report { sr, ntp, rtp } => recorder.sender_report(t, &sr, ntp, rtp as u32),
            What::End { .. } => break,
        }
    }
    let summary = recorder.finish(last_ns, EndReason::Stopped)?;
    writeln!(std::io::stdout(), "{wishes} wishes for keyframes; {summary:?}")?;
    Ok(())
}

fn bytes_of(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return Err("hex needs an even number of ASCII digits".into());
    }
    let digits = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    Ok(digits.collect::<Result<_, _>>()?)
}
