//! What is heard, second by second, of senders that stand still and networks that change: from RTP packets on, through real Opus.
#![allow(clippy::unwrap_used)]

mod common;

use common::{MS, S, heard, packets, sound, tone};
use reelroom_composer::{ComposeOptions, TrackReport, compose};
use reelroom_take::{
    CaptureConfig, Codec, DropReason, EndReason, Packet, Take, TakeEvent, TakeHeader, TakeOptions,
    TakeRecorder, TrackId, TrackKind, TrackSource,
};

const HZ: f32 = 880.0;

/// A packet of 20 ms: when it arrives, and by how much its RTP time is further than the one before would make it.
type Sent = (u64, i64);

/// Records a microphone whose packets arrive at those times, and composes it: what is heard, and the report.
fn composed(sent: &[Sent], end_ns: u64) -> (Vec<f32>, TrackReport) {
    let dir = tempfile::tempdir().unwrap();
    let (take, out) = (dir.path().join("take"), dir.path().join("out.mp4"));
    let unbounded = TakeOptions { queue_bytes: usize::MAX, queue_entries: usize::MAX / 2 };
    let header = TakeHeader::new("EG_test", "Test Room", "RM_test", 1_767_225_600_000_000_000);
    let mut recorder = TakeRecorder::new(Take::create_with(&take, header, unbounded).unwrap());
    let track = TrackId::from("TR_microphone");
    recorder.event(
        0,
        TakeEvent::TrackPublished {
            track: track.clone(),
            participant: "PA_ann".into(),
            kind: TrackKind::Audio,
            source: TrackSource::Microphone,
            width: 0,
            height: 0,
            muted: false,
        },
    );
    assert!(recorder.add_track(track.clone(), CaptureConfig::new(Codec::Opus)));
    let payloads = packets(&tone(HZ, 0.02 * sent.len() as f32 + 0.1));
    let mut arrivals: Vec<_> = (100u64..)
        .zip(sent)
        .zip(payloads)
        .scan(1_000u64, |rtp, ((seq, (at_ns, jump)), payload)| {
            let own = rtp.checked_add_signed(*jump).unwrap();
            *rtp = own + 960;
            Some((*at_ns, seq, own, payload))
        })
        .collect();
    arrivals.sort_by_key(|(at_ns, seq, ..)| (*at_ns, *seq));
    for (at_ns, seq, rtp, payload) in arrivals {
        let packet = Packet { ssrc: 11, seq, rtp, marker: false, payload: &payload };
        let _ = recorder.packet(at_ns, &track, &packet);
    }
    recorder.finish(end_ns, EndReason::Stopped).unwrap();
    let options = ComposeOptions { audio_only: true, ..ComposeOptions::default() };
    let composed = compose(&take, &out, &options, &mut |_| {}).unwrap();
    let report = composed.report["TR_microphone"].clone();
    let dropped: u64 = report.dropped.values().sum();
    assert_eq!(report.received, sent.len() as u64);
    assert_eq!(report.received, report.placed + report.concealed + dropped, "{report:?}");
    assert_eq!(report.lost_samples, 0);
    let packets = report.packets.as_ref().unwrap();
    assert_eq!((packets.received, packets.kept), (report.received, report.received));
    (sound(&out), report)
}

/// Arrivals from 1 s on, delayed by what `delay` says of each packet's number.
fn steady(count: u64, delay: impl Fn(u64) -> u64) -> Vec<Sent> {
    (0..count).map(|n| (S + n * 20 * MS + delay(n), 0)).collect()
}

/// Whether the tone, and nothing else, is heard in those spans of milliseconds.
#[track_caller]
fn assert_heard(sound: &[f32], spans: &[[usize; 2]], end_ms: usize) {
    // Stretched sound is a little impure where one period fades into another.
    for ms in (0..end_ms - 100).step_by(50) {
        let inside = spans.iter().any(|[from, to]| (*from..to.saturating_sub(99)).contains(&ms));
        let outside = spans.iter().all(|[from, to]| ms + 100 <= *from || ms >= to + 40);
        let level = heard(sound, ms, HZ);
        assert!(!inside || level > 0.2, "only {level} at {ms} ms");
        assert!(!outside || level < 0.02, "{level} at {ms} ms");
    }
}

/// Whether something is heard in a span of milliseconds without a hole, at whatever pitch.
#[track_caller]
fn assert_no_hole(sound: &[f32], [from, to]: [usize; 2]) {
    for ms in (from..to - 50).step_by(10) {
        let part = &sound[ms * 48..(ms + 50) * 48];
        let level = (part.iter().map(|sample| sample * sample).sum::<f32>() / part.len() as f32).sqrt();
        assert!(level > 0.1, "only {level} at {ms} ms of {from} to {to}");
    }
}

#[test]
fn after_a_pause_that_rtp_does_not_tell_sound_is_heard_at_once() {
    let sent = steady(1_100, |n| if n < 300 { 0 } else { S });
    let (sound, report) = composed(&sent, 25 * S);
    assert_heard(&sound, &[[1_000, 7_000], [8_000, 24_000]], 25_000);
    assert_eq!((report.placed, report.sync.unwrap().moves), (1_100, 1));
}

#[test]
fn what_is_missing_and_concealed_is_heard_at_its_place_however_long_it_is() {
    for lost in 1..=6 {
        let mut sent = steady(700, |_| 0);
        // The packets behind go on later in RTP time, and arrive when they should.
        sent.iter_mut().skip(300).for_each(|(at_ns, _)| *at_ns += lost * 20 * MS);
        sent[300].1 = lost as i64 * 960;
        let (sound, report) = composed(&sent, 17 * S);
        let missing = lost as usize * 20;
        assert_heard(&sound, &[[1_000, 7_000], [7_000 + missing, 15_000 + missing]], 16_500);
        assert_eq!((report.placed, report.concealed_samples), (700, lost * 960));
    }
}

#[test]
fn a_network_that_is_slower_from_now_on_costs_its_own_time_once() {
    for delay_ms in [150, 300, 600] {
        let sent = steady(1_000, |n| if n < 300 { 0 } else { delay_ms * MS });
        let (sound, report) = composed(&sent, 23 * S);
        let from = 7_000 + delay_ms as usize;
        assert_heard(&sound, &[[1_000, 7_000], [from, 21_000 + delay_ms as usize]], 22_500);
        assert_eq!(report.placed, 1_000);
    }
}

#[test]
fn a_stall_that_fits_leaves_no_trace_and_a_long_one_is_told() {
    let stalled = |ms: u64| {
        steady(1_000, move |n| {
            let sent_ns = n * 20 * MS;
            (6 * S + ms * MS).saturating_sub(sent_ns) * u64::from(sent_ns >= 6 * S)
        })
    };
    let (sound, report) = composed(&stalled(600), 22 * S);
    assert_heard(&sound, &[[1_000, 21_000]], 22_000);
    assert_eq!((report.placed, report.shortened_samples), (1_000, 0));

    let (sound, report) = composed(&stalled(1_200), 22 * S);
    assert_heard(&sound, &[[1_000, 7_000], [7_500, 21_000]], 22_000);
    assert_eq!(report.placed, 1_000);
    assert!(report.shortened_samples > 20_000, "{report:?}");

    let (sound, report) = composed(&stalled(5_000), 22 * S);
    assert_heard(&sound, &[[1_000, 7_000], [11_300, 21_000]], 22_000);
    let late = report.dropped[&DropReason::Late];
    assert_eq!(report.placed + late, 1_000);
    // 0.7 s are in time, 0.8 s more are made up for.
    assert!((160..185).contains(&late), "{late}");
}

#[test]
fn a_stall_behind_which_the_network_is_slower_is_a_stall() {
    for (stall_ms, slower_ms) in [(1_000, 200), (2_000, 150), (2_000, 600), (4_000, 200), (8_000, 350)] {
        // The first packet that is kept back was sent after 10 s.
        let back = |sent_ns: u64| (9 * S + stall_ms * MS).saturating_sub(sent_ns).max(slower_ms * MS);
        let sent = steady(1_200, |n| back(n * 20 * MS) * u64::from(n >= 450));
        let (sound, report) = composed(&sent, 28 * S);
        let (from, end) = (9_300 + stall_ms as usize, 25_000 + slower_ms as usize);
        let (stall, slower) = (stall_ms as usize, slower_ms as usize);
        assert_no_hole(&sound, [1_000, 10_000]);
        assert_no_hole(&sound, [from.max(10_000 + slower) + 20, end]);
        let dropped = report.dropped.values().sum::<u64>() as usize * 20;
        assert!(
            dropped <= stall.saturating_sub(slower + 1_400) + 40,
            "{dropped} ms of {stall_ms}, {slower_ms}"
        );
    }
}

#[test]
fn a_sender_that_begins_too_fast_is_heard_without_a_hole() {
    // Two seconds at twice the speed, and then as it should be.
    let sent: Vec<Sent> = (0..650).map(|n| (S + n * 10 * MS + n.saturating_sub(200) * 10 * MS, 0)).collect();
    let (sound, report) = composed(&sent, 13 * S);
    assert_no_hole(&sound, [1_000, 11_900]);
    assert_eq!(report.placed + report.dropped[&DropReason::Late], 650);
}

#[test]
fn speech_that_is_sent_ahead_of_its_time_is_heard_whole() {
    // Sentences of 3 s, each sent within 60 ms, every 8 s; RTP time has no gap, or one that tells of the pause.
    for gap in [0, 5 * 48_000] {
        let jump = |n: u64| if n > 0 && n.is_multiple_of(150) { gap } else { 0 };
        let sent: Vec<Sent> = (0..450).map(|n| (S + n / 150 * 8 * S + n % 150 * 400_000, jump(n))).collect();
        let (sound, report) = composed(&sent, 25 * S);
        assert_eq!((report.placed, report.shortened_samples), (450, 0));
        let whole =
            (0..sound.len() / 48 - 100).step_by(100).filter(|ms| heard(&sound, *ms, HZ) > 0.2).count();
        assert!((85..=90).contains(&whole), "{whole} tenths of a second of 90");
        // Nobody hears them before they are there.
        for from in [1_000, 9_000, 17_000] {
            assert!(
                heard(&sound, from - 250, HZ) < 0.02 && heard(&sound, from + 100, HZ) > 0.2,
                "{from}, {gap}"
            );
            assert!(
                heard(&sound, from + 2_700, HZ) > 0.2 && heard(&sound, from + 3_150, HZ) < 0.02,
                "{from}, {gap}"
            );
        }
    }
}

#[test]
fn a_jump_of_rtp_time_costs_nothing() {
    for jump in [24_000, 240_000, 40_000_000, -24_000, -240_000, -40_000_000i64] {
        let mut sent = steady(700, |_| 0);
        sent.iter_mut().for_each(|(at_ns, _)| *at_ns += 10 * MS);
        sent[300].1 = jump;
        let first = 50_000_000;
        sent[0].1 = first;
        let (sound, report) = composed(&sent, 16 * S);
        assert_heard(&sound, &[[1_010, 15_000]], 16_000);
        assert_eq!(report.placed, 700, "{jump}: {report:?}");
    }
}

#[test]
fn what_was_said_before_a_track_went_is_heard_to_its_end() {
    // The last second arrives in the last moment.
    let sent = steady(300, |n| if n < 250 { 0 } else { S - (n - 250) * 20 * MS });
    let (sound, report) = composed(&sent, 8 * S);
    assert_eq!(report.placed, 300);
    let whole = (1_000..8_000).step_by(50).filter(|ms| heard(&sound, *ms.min(&7_900), HZ) > 0.2).count();
    assert!(whole >= 105, "{whole} of 120 twentieths of a second");
}
