#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use bytes::Bytes;

use super::*;
use crate::{
    Frame, TakeItem, TakeReader, TrackSource,
    format::TakeHeader,
    testing::{SyntheticTake, opus_spec, vp8_spec},
    writer::{Sent, Take},
};

const MS: u64 = 1_000_000;

/// An ended take of 20 pictures, and its directory.
fn take(root: &Path) -> (PathBuf, String) {
    let dir = root.join("take");
    let mut take = SyntheticTake::new("room");
    let ann = take.join(0, "ann", "Ann");
    let camera = take.publish(MS, &ann, TrackSource::Camera);
    let segment = take.segment(&camera, vp8_spec(0, 10 * MS, 64, 48));
    for n in 0..20 {
        let data = Bytes::from(vec![n as u8; 9]);
        take.frame(segment, Frame { rtp: n * 3_000, at_ns: (10 + n * 33) * MS, keyframe: n == 0, data });
    }
    take.write(&dir, 1_000 * MS).unwrap();
    (dir, format!("{camera}-0.mkv"))
}

fn frames(dir: &Path) -> (Vec<u64>, TakeReader) {
    let mut reader = TakeReader::open(dir).unwrap();
    let mut frames = Vec::new();
    while reader.ended().is_none() {
        let items = reader.poll().unwrap();
        assert!(!items.is_empty() || reader.ended().is_some(), "a recovered take has an end");
        frames.extend(items.into_iter().filter_map(|item| match item {
            TakeItem::Frame(frame) => Some(frame.rtp / 3_000),
            TakeItem::Event { .. } => None,
        }));
    }
    (frames, reader)
}

fn without_end(dir: &Path) -> Vec<u8> {
    let content = fs::read(dir.join(EVENTS_FILE)).unwrap();
    let end = content[..content.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    content[..end].to_vec()
}

#[test]
fn a_take_that_ended_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let (dir, _) = take(root.path());
    let before = fs::read(dir.join(EVENTS_FILE)).unwrap();
    let found = recover(&dir).unwrap();
    let reason = EndReason::Stopped;
    assert_eq!(
        found,
        Recovery { was_ended: true, reason, duration_ns: 1_000 * MS, lost_ns: 0, cut_bytes: 0 }
    );
    assert_eq!(fs::read(dir.join(EVENTS_FILE)).unwrap(), before);
}

#[test]
fn media_cut_at_every_byte_of_the_last_cluster_and_before_recover() {
    let root = tempfile::tempdir().unwrap();
    let (dir, file) = take(root.path());
    let facts = without_end(&dir);
    let media = fs::read(dir.join(&file)).unwrap();
    let mut most = 0;
    for cut in 0..=media.len() {
        fs::write(dir.join(EVENTS_FILE), &facts).unwrap();
        fs::write(dir.join(&file), &media[..cut]).unwrap();
        let found = recover(&dir).unwrap();
        assert!(!found.was_ended);
        let again = recover(&dir).unwrap();
        assert_eq!(again, Recovery { cut_bytes: 0, ..found.clone() }, "idempotent");
        let (frames, reader) = frames(&dir);
        assert!(frames.iter().copied().eq(0..frames.len() as u64), "{frames:?}");
        assert!(frames.len() >= most && frames.len() - most <= 1);
        most = frames.len();
        assert_eq!(reader.ended().unwrap().lost_ns, MAX_LOST_NS);
        assert_eq!(reader.ended().unwrap().at_ns, found.duration_ns);
        let kept = fs::metadata(dir.join(&file)).unwrap().len();
        assert_eq!(kept + found.cut_bytes, cut as u64);
    }
    assert_eq!(most, 20);
}

#[test]
fn facts_cut_at_every_byte_recover() {
    let root = tempfile::tempdir().unwrap();
    let (dir, _) = take(root.path());
    let facts = fs::read(dir.join(EVENTS_FILE)).unwrap();
    for cut in 0..facts.len() {
        fs::write(dir.join(EVENTS_FILE), &facts[..cut]).unwrap();
        let found = recover(&dir).unwrap();
        assert!(!found.was_ended && found.duration_ns <= 1_000 * MS);
        let (frames, _) = frames(&dir);
        let opened = String::from_utf8_lossy(&facts[..cut])
            .lines()
            .any(|l| l.contains("segment_opened") && l.ends_with('}'));
        let partial = !facts[..cut].ends_with(b"\n");
        assert!(frames.len() == if opened { 20 } else { 0 } || partial, "{cut}: {frames:?}");
    }
}

#[test]
fn zeros_behind_the_end_as_after_a_power_cut_are_removed() {
    let root = tempfile::tempdir().unwrap();
    let (dir, file) = take(root.path());
    let mut facts = without_end(&dir);
    facts.extend([0; 300]);
    fs::write(dir.join(EVENTS_FILE), &facts).unwrap();
    let mut media = fs::read(dir.join(&file)).unwrap();
    let torn = media.len() - 4;
    media[torn..].fill(0);
    media.extend([0; 4_096]);
    fs::write(dir.join(&file), &media).unwrap();
    assert!(recover(&dir).unwrap().cut_bytes > 4_396);
    assert_eq!(frames(&dir).0.len(), 19);
}

#[test]
fn a_creation_that_crashed_is_no_take() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("empty")).unwrap();
    assert!(matches!(recover(&root.path().join("empty")), Err(TakeError::NotFound(_))));
    fs::create_dir_all(root.path().join(".new-take/rubbish")).unwrap();
    let handle = Take::create(&root.path().join("take"), TakeHeader::new("EG", "r", "RM", 0)).unwrap();
    drop(handle);
    assert!(!root.path().join(".new-take").exists());
    let again = Take::create(&root.path().join("take"), TakeHeader::new("EG", "r", "RM", 0));
    assert!(matches!(again, Err(TakeError::AlreadyExists(_))));
}

#[test]
fn a_fact_that_names_no_media_file_of_the_take_harms_none_of_its_files() {
    let root = tempfile::tempdir().unwrap();
    let (dir, media) = take(root.path());
    let facts = fs::read_to_string(dir.join(EVENTS_FILE)).unwrap();
    let opened = facts.lines().find(|line| line.contains("segment_opened")).unwrap();
    let ended = facts.lines().last().unwrap();
    let long = "x".repeat(300) + ".mkv";
    let mut damaged = facts.replace(&format!("{ended}\n"), "");
    for name in [HEADER_FILE, EVENTS_FILE, "..", ".", "/", "../up.mkv", "nul\\u0000.mkv", &long] {
        damaged += &format!("{}\n", opened.replace(&media, name));
    }
    fs::write(dir.join(EVENTS_FILE), &damaged).unwrap();
    let header = fs::read(dir.join(HEADER_FILE)).unwrap();
    let found = recover(&dir).unwrap();
    assert_eq!((found.was_ended, found.cut_bytes), (false, 0));
    assert_eq!(fs::read(dir.join(HEADER_FILE)).unwrap(), header);
    assert!(fs::read_to_string(dir.join(EVENTS_FILE)).unwrap().starts_with(&damaged));
    let mut reader = TakeReader::open(&dir).unwrap();
    let mut frames = 0;
    while reader.ended().is_none() {
        frames += reader.poll().unwrap().iter().filter(|item| matches!(item, TakeItem::Frame(_))).count();
    }
    assert_eq!(frames, 20);
}

/// A take of one second of sound that was suspended at its end, and its directory.
fn suspended(root: &Path) -> PathBuf {
    let dir = root.join("take");
    let handle = Take::create(&dir, TakeHeader::new("EG", "r", "RM", 0)).unwrap();
    let segment = handle.open_segment(&"TR_a".into(), opus_spec(0, 0));
    for n in 0..50 {
        assert_eq!(handle.frame(segment, sound(n)), Sent::Queued);
    }
    handle.suspend(1_000 * MS, 7_000_000_000).unwrap();
    dir
}

fn sound(n: u64) -> Frame {
    Frame { rtp: n * 960, at_ns: n * 20 * MS, keyframe: true, data: vec![n as u8; 9].into() }
}

/// The arrivals of a take's frames, in the order in which they are read, and its end.
fn arrivals(dir: &Path) -> (Vec<u64>, crate::TakeEnd) {
    let mut reader = TakeReader::open(dir).unwrap();
    let mut arrivals = Vec::new();
    loop {
        for item in reader.poll().unwrap() {
            if let TakeItem::Frame(frame) = item {
                arrivals.push(frame.at_ns / MS);
            }
        }
        if let Some(end) = reader.ended() {
            return (arrivals, end);
        }
    }
}

#[test]
fn a_take_that_was_suspended_goes_on_with_new_files_at_a_later_time() {
    let root = tempfile::tempdir().unwrap();
    let dir = suspended(root.path());
    let found = suspension(&dir).unwrap().unwrap();
    assert_eq!((found.at_ns, found.unix_ns), (1_000 * MS, 7_000_000_000));
    let handle = Take::resume(&dir, &found, 4_000 * MS).unwrap();
    assert_eq!(suspension(&dir).unwrap(), None, "it is being written again");
    // The same name again: its file is another one.
    let segment = handle.open_segment(&"TR_a".into(), opus_spec(0, 4_000 * MS));
    for n in 200..250 {
        handle.frame(segment, sound(n));
    }
    handle.suspend(5_000 * MS, 12_000_000_000).unwrap();
    let found = suspension(&dir).unwrap().unwrap();
    let handle = Take::resume(&dir, &found, 6_000 * MS).unwrap();
    handle.finish(7_000 * MS, EndReason::Stopped).unwrap();
    assert!(recover(&dir).unwrap().was_ended);
    let (arrivals, end) = arrivals(&dir);
    assert!(arrivals.iter().copied().eq((0..50).chain(200..250).map(|n| n * 20)), "{arrivals:?}");
    assert_eq!((end.at_ns, end.reason, end.lost_ns), (7_000 * MS, EndReason::Stopped, 0));
}

#[test]
fn the_time_of_a_take_never_goes_back_whatever_whoever_goes_on_with_it_says() {
    let root = tempfile::tempdir().unwrap();
    let dir = suspended(root.path());
    let handle = Take::resume(&dir, &suspension(&dir).unwrap().unwrap(), 10 * MS).unwrap();
    handle.finish(20 * MS, EndReason::Stopped).unwrap();
    assert_eq!(recover(&dir).unwrap().duration_ns, 1_000 * MS);
}

#[test]
fn a_suspended_take_with_which_nobody_goes_on_lacks_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = suspended(root.path());
    let found = recover(&dir).unwrap();
    let reason = EndReason::ServerShutdown;
    assert_eq!(
        found,
        Recovery { was_ended: true, reason, duration_ns: 1_000 * MS, lost_ns: 0, cut_bytes: 0 }
    );
    assert_eq!(recover(&dir).unwrap(), found, "and is not recovered a second time");
    assert_eq!(suspension(&dir).unwrap(), None);
    let (arrivals, end) = arrivals(&dir);
    assert_eq!((arrivals.len(), end.reason), (50, EndReason::ServerShutdown));
}

#[test]
fn a_suspended_take_is_read_up_to_where_it_was_suspended_though_it_has_no_end() {
    let root = tempfile::tempdir().unwrap();
    let dir = suspended(root.path());
    let mut reader = TakeReader::open(&dir).unwrap();
    assert_eq!(reader.available_ns(), 1_000 * MS);
    let items = reader.poll().unwrap();
    let frames = items.iter().filter(|item| matches!(item, TakeItem::Frame(_))).count();
    assert_eq!((frames, reader.complete_to_ns()), (50, 1_000 * MS));
    assert!(reader.poll().unwrap().is_empty() && reader.ended().is_none());
}

#[test]
fn whoever_is_killed_while_they_suspend_or_go_on_leaves_a_whole_take() {
    let root = tempfile::tempdir().unwrap();
    let dir = suspended(root.path());
    let before = fs::read(dir.join(EVENTS_FILE)).unwrap();
    let suspended_from = before[..before.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let handle = Take::resume(&dir, &suspension(&dir).unwrap().unwrap(), 4_000 * MS).unwrap();
    let segment = handle.open_segment(&"TR_a".into(), opus_spec(0, 4_000 * MS));
    handle.frame(segment, sound(200));
    handle.suspend(5_000 * MS, 12_000_000_000).unwrap();
    let after = fs::read(dir.join(EVENTS_FILE)).unwrap();
    for cut in suspended_from..=after.len() {
        fs::write(dir.join(EVENTS_FILE), &after[..cut]).unwrap();
        let last = after[..cut].iter().rposition(|byte| *byte == b'\n').unwrap();
        let begin = after[..last].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let is_suspended = String::from_utf8_lossy(&after[begin..last]).contains("suspended");
        let found = suspension(&dir).unwrap();
        assert_eq!(found.is_some(), is_suspended, "cut at {cut}");
        if let Some(found) = found {
            // What a former try to go on has left of a line is gone, and its files are nobody's.
            let handle = Take::resume(&dir, &found, 6_000 * MS).unwrap();
            let segment = handle.open_segment(&"TR_a".into(), opus_spec(0, 6_000 * MS));
            assert_eq!(handle.frame(segment, sound(300)), Sent::Queued);
            handle.finish(7_000 * MS, EndReason::Stopped).unwrap();
            let (arrivals, end) = arrivals(&dir);
            assert_eq!((arrivals.last(), end.reason), (Some(&6_000), EndReason::Stopped), "cut at {cut}");
        } else {
            let found = recover(&dir).unwrap();
            assert!(!found.was_ended && found.duration_ns >= 980 * MS, "cut at {cut}: {found:?}");
            assert!(arrivals(&dir).0.len() >= 50);
        }
    }
}

#[test]
fn zeros_behind_a_suspension_as_after_a_power_cut_are_no_fact() {
    let root = tempfile::tempdir().unwrap();
    let dir = suspended(root.path());
    let mut facts = fs::read(dir.join(EVENTS_FILE)).unwrap();
    facts.extend([0; 4_096]);
    fs::write(dir.join(EVENTS_FILE), &facts).unwrap();
    let found = suspension(&dir).unwrap().unwrap();
    Take::resume(&dir, &found, 0).unwrap().finish(2_000 * MS, EndReason::Stopped).unwrap();
    assert!(!fs::read(dir.join(EVENTS_FILE)).unwrap().contains(&0));
    assert_eq!(arrivals(&dir).0.len(), 50);
    assert!(matches!(suspension(&root.path().join("none")), Err(TakeError::NotFound(_))));
}
