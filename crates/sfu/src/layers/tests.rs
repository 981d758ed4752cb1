use super::*;

fn layers() -> Vec<VideoLayer> {
    [(VideoQuality::Low, 320, 180), (VideoQuality::Medium, 640, 360), (VideoQuality::High, 1280, 720)]
        .map(|(quality, width, height)| VideoLayer {
            quality: quality.into(),
            width,
            height,
            ..Default::default()
        })
        .into()
}

#[test]
fn the_smallest_layer_that_fills_the_tile_is_taken() {
    let want = |width, height, quality: VideoQuality| {
        let request = UpdateTrackSettings { width, height, quality: quality.into(), ..Default::default() };
        TrackSettings::from_request(&request, &layers()).max
    };
    assert_eq!(want(300, 170, VideoQuality::High), Layer::Low);
    assert_eq!(want(400, 300, VideoQuality::High), Layer::Medium);
    assert_eq!(want(4000, 3000, VideoQuality::Low), Layer::High);
    assert_eq!(want(0, 0, VideoQuality::Medium), Layer::Medium);
}

/// A packet of a picture, each with a time of its own.
fn picture(state: &mut Layers, layer: Layer, now: Instant, start: Instant) {
    let rtp = now.saturating_duration_since(start).as_millis() as u32 * 90;
    state.packet(layer, rtp, 1000, now);
}

#[test]
fn only_layers_that_arrive_are_chosen() {
    let start = Instant::now();
    let mut state = Layers::default();
    assert_eq!(state.choose(Layer::High, start), None);
    picture(&mut state, Layer::Low, start, start);
    assert_eq!(state.choose(Layer::High, start), Some(Layer::Low));
    picture(&mut state, Layer::High, start, start);
    assert_eq!(state.choose(Layer::High, start), Some(Layer::High));
    assert_eq!(state.choose(Layer::Medium, start), Some(Layer::Low));
    let at = |ms| start + Duration::from_millis(ms);
    for ms in (0..=1_560).step_by(40) {
        picture(&mut state, Layer::High, at(ms), start);
    }
    assert_eq!(state.choose(Layer::Low, at(1_500)), Some(Layer::Low), "it may still follow");
    assert_eq!(state.choose(Layer::Low, at(1_560)), Some(Layer::High), "better than nothing");
    picture(&mut state, Layer::Low, at(1_570), start);
    assert_eq!(state.choose(Layer::Low, at(1_570)), Some(Layer::Low), "it is back");
}

#[test]
fn a_source_that_draws_rarely_keeps_its_layers() {
    let start = Instant::now();
    let mut state = Layers::default();
    let mut now = start;
    for pause_s in [0, 2, 5, 60, 600, 1, 30] {
        now += Duration::from_secs(pause_s);
        for (layer, late_ms) in [(Layer::Low, 0), (Layer::Medium, 40), (Layer::High, 300)] {
            let seen = now + Duration::from_millis(late_ms);
            picture(&mut state, layer, seen, start);
            if pause_s > 0 {
                assert_eq!(state.choose(Layer::High, seen), Some(Layer::High), "after {pause_s} s");
            }
        }
    }
    assert_eq!(state.choose(Layer::Medium, now + Duration::from_secs(3600)), Some(Layer::Medium));
    // The publisher's line gets worse: the best layer is not sent any more.
    let from = now + Duration::from_secs(60);
    for ms in (0..=1000).step_by(40) {
        for layer in [Layer::Low, Layer::Medium] {
            picture(&mut state, layer, from + Duration::from_millis(ms), start);
        }
        if ms < 1000 {
            let then = from + Duration::from_millis(ms);
            assert_eq!(state.choose(Layer::High, then), Some(Layer::High), "after {ms} ms");
        }
    }
    assert_eq!(state.choose(Layer::High, from + LAYER_BEHIND_FOR), Some(Layer::Medium));
}

#[test]
fn a_large_picture_that_takes_its_time_is_not_given_up() {
    let start = Instant::now();
    let mut state = Layers::default();
    for second in (0..60).step_by(4) {
        let drawn = start + Duration::from_secs(second);
        picture(&mut state, Layer::Low, drawn, start);
        let late = drawn + Duration::from_millis(1700);
        assert!(second == 0 || state.is_live(Layer::High, late), "after {second} s");
        picture(&mut state, Layer::High, late, start);
    }
}

#[test]
fn keyframes_are_not_asked_for_too_often() {
    let start = Instant::now();
    let mut state = Layers::default();
    let (subscriber, recorder) = (KeyframeFor::Subscriber, KeyframeFor::Recorder);
    let at = |ms| start + Duration::from_millis(ms);
    assert!(state.needs_keyframe(Layer::High, subscriber, at(0)));
    state.keyframe_came(Layer::High);
    assert!(!state.needs_keyframe(Layer::High, subscriber, at(900)));
    assert!(!state.needs_keyframe(Layer::High, recorder, at(499)));
    assert!(state.needs_keyframe(Layer::High, recorder, at(500)));
    state.keyframe_came(Layer::High);
    assert!(!state.needs_keyframe(Layer::High, subscriber, at(1499)));
    assert!(state.needs_keyframe(Layer::High, subscriber, at(1500)));
    assert!(state.needs_keyframe(Layer::Low, subscriber, at(0)));
}

#[test]
fn a_request_that_may_be_lost_is_repeated_once_sooner() {
    let start = Instant::now();
    let mut state = Layers::default();
    let at = |ms| start + Duration::from_millis(ms);
    let asked = |state: &mut Layers, from: u64, to: u64| -> Vec<u64> {
        let is_asked = |ms: &u64| state.needs_keyframe(Layer::High, KeyframeFor::Subscriber, at(*ms));
        (from..to).step_by(100).filter(is_asked).collect()
    };
    assert_eq!(asked(&mut state, 0, 3000), [0, 500, 1500, 2500]);
    state.keyframe_came(Layer::High);
    assert_eq!(asked(&mut state, 3000, 5000), [3500, 4000]);
}

#[test]
fn a_keyframe_that_does_not_come_is_asked_for_again_ever_more_rarely() {
    let start = Instant::now();
    let mut state = Layers::default();
    assert!(state.needs_keyframe(Layer::High, KeyframeFor::Subscriber, start));
    let mut asked = Vec::new();
    for ms in (0..60_000).step_by(250) {
        for layer in state.overdue_keyframes(start + Duration::from_millis(ms)) {
            assert_eq!(layer, Layer::High);
            asked.push(ms);
        }
    }
    let early = asked.iter().filter(|ms| **ms < 10_000).count();
    assert!((9..=11).contains(&early), "{asked:?}");
    assert!((9..=11).contains(&(asked.len() - early)), "{asked:?}");
    state.keyframe_came(Layer::High);
    assert_eq!(state.overdue_keyframes(start + Duration::from_secs(100)).count(), 0);
    // One that was asked for too early is asked for when its time has come.
    let then = start + Duration::from_secs(200);
    assert!(state.needs_keyframe(Layer::High, KeyframeFor::Subscriber, then));
    state.keyframe_came(Layer::High);
    assert!(!state.needs_keyframe(Layer::High, KeyframeFor::Subscriber, then + Duration::from_millis(300)));
    assert_eq!(state.overdue_keyframes(then + Duration::from_millis(900)).count(), 0);
    assert_eq!(state.overdue_keyframes(then + Duration::from_millis(1000)).count(), 1);
}

#[test]
fn bitrates_are_measured_then_announced_then_assumed() {
    let start = Instant::now();
    let mut state = Layers::default();
    let announced = [VideoLayer { quality: VideoQuality::Low.into(), bitrate: 90_000, ..Default::default() }];
    assert_eq!(state.bitrate(Layer::Low, &announced), 90_000);
    assert_eq!(state.bitrate(Layer::Medium, &announced), ASSUMED_BPS[1]);
    for ms in (0..=2000).step_by(20) {
        state.packet(Layer::Low, ms * 90, 500, start + Duration::from_millis(u64::from(ms)));
    }
    let measured = state.bitrate(Layer::Low, &announced);
    assert!((180_000..=220_000).contains(&measured), "{measured}");
    // It stands still, and is not forgotten at once.
    state.packet(Layer::Low, 0, 500, start + Duration::from_secs(4));
    let later = state.bitrate(Layer::Low, &announced);
    assert!(later < measured && later > measured * 3 / 4, "{later} after {measured}");
}

#[test]
fn no_keyframe_is_asked_for_of_a_layer_that_ended() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut state = Layers::default();
    picture(&mut state, Layer::High, start, start);
    assert!(state.needs_keyframe(Layer::High, KeyframeFor::Subscriber, start));
    for ms in (0..=2000).step_by(40) {
        picture(&mut state, Layer::Low, at(ms), start);
    }
    state.give_up_keyframes_of_ended(at(1000));
    assert!(state.awaits_keyframe(Layer::High), "it may still follow");
    state.give_up_keyframes_of_ended(at(2000));
    assert!(!state.awaits_keyframe(Layer::High));
}
