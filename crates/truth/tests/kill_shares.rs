//! A program that is killed while it writes has written what it was answered, and nothing by halves: of links to recordings and who watched by
//! them. All children write to the same database.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod killing;

use std::collections::HashMap;
use std::path::Path;

use killing::answered;
use reelroom_truth::{Share, ShareNews, ShareView, Truth, TruthError};

const TEST: &str = "a_killed_program_has_written_who_was_shown_what";
const ROUNDS: u64 = 10;
/// Views of a share that are listed.
const MOST: usize = 2;
/// Views of a share that there are.
const VIEWS: u64 = 3;

fn share(number: u64) -> Share {
    Share {
        id: format!("SH_{number}"),
        recording: "a recording ".repeat((number % 7 * 90) as usize),
        recording_id: "EG_1".into(),
        name: String::new(),
        secret_sha256: [7; 32],
        password: None,
        may_download: true,
        made_ms: 1,
        expires_ms: None,
        revoked_ms: None,
        views: 0,
        viewed_ms: None,
    }
}

fn view(number: u64, of: u64) -> ShareView {
    ShareView {
        id: format!("VW_{number}_{of}"),
        share: format!("SH_{number}"),
        begun_ms: of as i64,
        seen_ms: of as i64,
        address: None,
        sent_bytes: 0,
        reached_bytes: 0,
    }
}

/// Each number is a share that takes the place of the one before, is watched, is changed, and is revoked while its last view is written down.
fn write_forever(folder: &Path, first: u64) -> Result<(), TruthError> {
    let truth = Truth::open(&folder.join("truth.db"))?;
    let mut before = truth.shares()?.into_iter().map(|share| share.id).next();
    for number in first.. {
        let share = share(number);
        truth.add_share(&share, before.as_deref())?;
        answered("made", number);
        for of in 1..=VIEWS {
            truth.begin_share_view(&view(number, of), MOST)?;
        }
        answered("watched", number);
        truth.change_share(&Share { may_download: false, expires_ms: Some(9), ..share.clone() })?;
        answered("changed", number);
        let seen = ShareView { seen_ms: 8, sent_bytes: 5, reached_bytes: 5, ..view(number, VIEWS) };
        truth.keep_share_news(&ShareNews {
            revoked: vec![(share.id.clone(), 8)],
            seen: vec![seen],
            ..ShareNews::default()
        })?;
        answered("revoked", number);
        before = Some(share.id);
    }
    Ok(())
}

/// Nothing stands there by halves, and nothing is missing of what was answered.
fn check(truth: &Truth, answered: &HashMap<String, u64>) {
    let last = |what: &str| answered.get(what).copied().unwrap_or_default();
    let shares = truth.shares().unwrap();
    assert!(shares.len() <= 1, "{shares:?}: one made room for the other");
    let Some(kept) = shares.first() else {
        assert_eq!(last("made"), 0, "a share was answered");
        return;
    };
    let made = kept.id[3..].parse::<u64>().unwrap();
    assert!(made >= last("made"), "share {made}: {} was answered", last("made"));
    assert_eq!(kept.recording, share(made).recording);

    let views = truth.share_views(&kept.id).unwrap();
    let count = kept.views as u64;
    assert_eq!(views.len(), (count as usize).min(MOST), "{views:?} of {count}");
    assert_eq!(
        kept.viewed_ms.unwrap_or_default(),
        kept.views,
        "the last one that began is the last one listed"
    );
    assert!(count == VIEWS || last("watched") < made, "share {made} has {count} views");
    assert!(truth.share_views(&format!("SH_{}", made - 1)).unwrap().is_empty(), "they went with their share");

    let is_changed = (kept.may_download, kept.expires_ms) == (false, Some(9));
    assert!(is_changed || (kept.may_download, kept.expires_ms) == (true, None), "{kept:?} by halves");
    assert!(is_changed || last("changed") < made, "share {made} is as it was made");
    let is_written = views.first().is_some_and(|view| view.seen_ms == 8 && view.sent_bytes == 5);
    assert_eq!(kept.revoked_ms.is_some(), is_written, "share {made}: the one goes with the other");
    assert!(is_written || last("revoked") < made, "share {made} is in force");
}

#[test]
fn a_killed_program_has_written_who_was_shown_what() {
    if let Some((folder, first)) = killing::task() {
        write_forever(&folder, first).unwrap();
        return;
    }
    let mut last = HashMap::new();
    let mut writes = 0;
    for round in killing::rounds(TEST, ROUNDS) {
        writes += round.answered.len();
        last.extend(round.answered);
        check(&round.truth, &last);
        if let Some(copy) = round.copy {
            check(&copy, &HashMap::new());
        }
    }
    assert!(writes > 100, "only {writes} were answered");
}
