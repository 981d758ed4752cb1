//! The log as its callers see it, in virtual time.

use std::collections::BTreeSet;

use reelroom_limits::audit::{
    AUDIT_LOOKED_THROUGH, AUDIT_OPENED_TOGETHER, AUDIT_REFUSALS_APART, AUDIT_SEARCH_BYTES, AUDIT_UNWRITTEN,
    AUDIT_UNWRITTEN_USES,
};
use rusqlite::Connection;

use super::*;

const NOW_MS: i64 = 1_800_000_000_000;
const MINUTE_MS: i64 = 60 * 1000;

/// A data folder, and the log in it.
struct House {
    folder: tempfile::TempDir,
    audit: Audit,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::new(Truth::open(&folder.path().join("truth.db")).unwrap());
        Self { folder, audit }
    }

    /// As after a kill: nothing is written down that was not before.
    fn restart(&mut self) {
        self.audit = Audit::new(Truth::open(&self.folder.path().join("truth.db")).unwrap());
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.folder.path().join("truth.db")).unwrap().execute_batch(sql).unwrap();
    }

    /// From now on the disk takes nothing of the log.
    fn fill_disk(&self) {
        self.sql(
            "CREATE TRIGGER full_acts BEFORE INSERT ON audit_acts BEGIN SELECT RAISE(ABORT, 'full'); END; \
             CREATE TRIGGER full_refusals BEFORE INSERT ON audit_refusals BEGIN SELECT RAISE(ABORT, 'full'); END;",
        );
    }

    fn empty_disk(&self) {
        self.sql("DROP TRIGGER full_acts; DROP TRIGGER full_refusals;");
    }

    fn page(&self, text: Option<&str>) -> Page {
        let query = Query { most: 100, before: None, text: text.map(str::to_owned) };
        self.audit.page(&query, NOW_MS).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = self.page(None).entries.into_iter();
        entries.map(|entry| entry.act.on_name.unwrap_or(entry.act.act)).collect()
    }
}

fn owner() -> Who {
    Who::one(WhoKind::Owner, "SE_1")
}

fn made(room: &str) -> Deed {
    Deed::done(Act::RoomMade, owner(), Some([192, 0, 2, 1].into()), On::room(room))
}

fn played(recording: &str) -> Deed {
    Deed::done(Act::RecordingPlayed, Who::one(WhoKind::Guest, "RL_1"), None, On::recording(recording))
}

fn refusal(last: u8) -> Refusal {
    Refusal {
        act: Act::SignInRefused,
        who: Who::of(WhoKind::Nobody),
        address: Some([203, 0, 113, last].into()),
        route: None,
        reason: "this is not the password".into(),
    }
}

#[test]
fn acts_have_words_of_their_own() {
    let words: BTreeSet<_> = Act::ALL.iter().map(|act| act.word()).collect();
    assert_eq!(words.len(), Act::ALL.len());
    assert!(Act::ALL.iter().all(|act| !act.is_opening() || act.is_use()));
}

#[test]
fn what_was_done_is_told_with_all_that_is_known_newest_first() {
    let mut house = House::new();
    house.audit.note(made("first").detailed("for guests: chat"), NOW_MS);
    house.audit.note(made("second").failed("the disk is full"), NOW_MS + 1);
    house.audit.write(Whole::WhatIsDue, NOW_MS).unwrap();
    house.restart();
    let page = house.page(None);
    let acts: Vec<_> = page.entries.iter().map(|entry| &entry.act).collect();
    assert_eq!((acts[0].on_name.as_deref(), acts[0].outcome.as_str()), (Some("second"), "failed"));
    assert_eq!(acts[0].reason.as_deref(), Some("the disk is full"));
    let first = acts[1];
    assert_eq!((first.at_ms, first.act.as_str(), first.who.as_str()), (NOW_MS, "room.made", "owner"));
    assert_eq!((first.who_id.as_deref(), first.address.as_deref()), (Some("SE_1"), Some("192.0.2.1")));
    assert_eq!((first.on_kind.as_deref(), first.detail.as_deref()), (Some("room"), Some("for guests: chat")));
    assert_eq!(page.next, None);
}

#[test]
fn whoever_looks_sees_what_was_done_a_moment_ago_and_finds_it_by_any_word() {
    let house = House::new();
    house.audit.note(made("Räume"), NOW_MS);
    house.audit.note(made("other"), NOW_MS);
    for text in ["räUME", "192.0.2", "se_1", "ROOM.MADE"] {
        let found = house.page(Some(text)).entries;
        assert!(found.iter().any(|entry| entry.act.on_name.as_deref() == Some("Räume")), "{text}");
    }
    assert_eq!(house.page(Some("räume")).entries.len(), 1);
    assert!(house.page(Some("nowhere")).entries.is_empty());
    let long = Query { most: 1, before: None, text: Some("x".repeat(AUDIT_SEARCH_BYTES + 1)) };
    assert!(matches!(house.audit.page(&long, NOW_MS), Err(AuditError::LongSearch)));
}

#[test]
fn a_search_goes_on_where_it_stopped() {
    let house = House::new();
    house.audit.note(made("needle"), NOW_MS);
    house.audit.write(Whole::Everything, NOW_MS).unwrap();
    let hay: Vec<_> = (0..AUDIT_LOOKED_THROUGH)
        .map(|_| reelroom_truth::AuditAct { at_ms: NOW_MS, ..Default::default() })
        .collect();
    house.audit.truth.add_audit_acts(&hay).unwrap();
    let query = |before| Query { most: 10, before, text: Some("needle".into()) };
    let first = house.audit.page(&query(None), NOW_MS).unwrap();
    assert!(first.entries.is_empty() && first.next.is_some());
    let second = house.audit.page(&query(first.next), NOW_MS).unwrap();
    assert_eq!((second.entries.len(), second.next), (1, None));
}

#[test]
fn an_act_is_done_whatever_the_disk_does_and_is_written_when_it_can_be() {
    let mut house = House::new();
    house.audit.note(made("before"), NOW_MS);
    house.audit.write(Whole::Everything, NOW_MS).unwrap();
    house.fill_disk();
    house.audit.note(made("during"), NOW_MS);
    house.audit.refused(refusal(1), NOW_MS);
    assert!(house.audit.write(Whole::Everything, NOW_MS).is_err());
    assert_eq!(house.names(), ["before"], "it can be read all the same");
    let standing = house.audit.standing();
    assert_eq!((standing.unwritten, standing.lost), (1, 0));
    assert!(standing.trouble.unwrap().contains("full"));
    house.audit.note(made("later"), NOW_MS);
    house.empty_disk();
    assert_eq!(house.names(), ["later", "during", "before"]);
    assert_eq!(house.audit.standing(), Standing::default());
    house.restart();
    assert_eq!(house.names(), ["later", "during", "before"]);
    assert_eq!(house.page(None).refusals[0].count, 1);
}

#[test]
fn what_finds_no_place_is_counted_and_the_log_says_so_afterwards() {
    let house = House::new();
    house.fill_disk();
    for at in 0..AUDIT_UNWRITTEN + 3 {
        house.audit.note(made(&format!("{at}")), NOW_MS);
        if at % 100 == 0 {
            assert!(house.audit.write(Whole::WhatIsDue, NOW_MS).is_err());
        }
    }
    let standing = house.audit.standing();
    assert_eq!((standing.unwritten, standing.lost), (AUDIT_UNWRITTEN, 3));
    assert!(house.audit.write(Whole::WhatIsDue, NOW_MS).is_err());
    assert_eq!(house.audit.standing().unwritten, AUDIT_UNWRITTEN, "telling of it takes no place");
    house.empty_disk();
    let entries = house.page(None).entries;
    assert_eq!(entries[0].act.act, "audit.lost");
    assert!(entries[0].act.reason.as_ref().unwrap().starts_with("3 acts"));
    assert_eq!(entries[1].act.on_name, Some(format!("{}", AUDIT_UNWRITTEN - 1)), "they are in order");
    house.audit.note(made("after"), NOW_MS);
    assert_eq!(house.names().iter().filter(|name| *name == "audit.lost").count(), 1, "it is told once");
}

#[test]
fn uses_take_no_place_from_changes_while_the_disk_takes_nothing() {
    let house = House::new();
    house.fill_disk();
    for at in 0..2 * AUDIT_UNWRITTEN {
        house.audit.note(played(&format!("{at}.mp4")), NOW_MS);
        if at % 100 == 0 {
            assert!(house.audit.write(Whole::WhatIsDue, NOW_MS).is_err());
        }
    }
    house.audit.note(made("own"), NOW_MS);
    let standing = house.audit.standing();
    assert_eq!(standing.unwritten, AUDIT_UNWRITTEN_USES + 1);
    assert_eq!(standing.lost, (2 * AUDIT_UNWRITTEN - AUDIT_UNWRITTEN_USES) as u64);
    house.empty_disk();
    assert_eq!(house.names()[..2], ["audit.lost", "own"]);
}

#[test]
fn opening_a_recording_is_one_act_however_often_a_player_asks() {
    let house = House::new();
    for second in 0..100 {
        house.audit.note(played("a.mp4"), NOW_MS + second * 1000);
    }
    house.audit.note(played("b.mp4"), NOW_MS);
    let together_ms = i64::try_from(AUDIT_OPENED_TOGETHER.as_millis()).unwrap();
    house.audit.note(played("a.mp4"), NOW_MS + 99_000 + together_ms);
    assert_eq!(house.names(), ["a.mp4", "b.mp4", "a.mp4"]);
    for _ in 0..2 {
        house.audit.note(made("a room"), NOW_MS);
    }
    assert_eq!(house.names()[..2], ["a room", "a room"], "each change is told");
}

#[test]
fn a_strangers_flood_is_a_few_lines_and_pushes_out_nothing() {
    let house = House::new();
    house.audit.note(made("own"), NOW_MS);
    for _ in 0..100_000 {
        house.audit.refused(refusal(1), NOW_MS);
    }
    let lines = house.page(None).refusals;
    assert_eq!((lines.len(), lines[0].count), (1, 100_000));
    assert_eq!((lines[0].address.as_str(), lines[0].first_ms), ("203.0.113.1", NOW_MS));
    for address in 0..10_000u32 {
        let many = Refusal { address: Some(std::net::Ipv4Addr::from(address).into()), ..refusal(1) };
        house.audit.refused(many, NOW_MS + MINUTE_MS);
    }
    let query = Query { most: 1000, ..Query::default() };
    let lines = house.audit.page(&query, NOW_MS + MINUTE_MS).unwrap().refusals;
    assert_eq!(lines.len(), AUDIT_REFUSALS_APART + 2);
    assert_eq!(lines.iter().map(|line| line.count).sum::<u64>(), 110_000, "none is forgotten");
    assert_eq!(house.names(), ["own"]);
    for address in 0..1000u32 {
        let many = Refusal { address: Some(std::net::Ipv4Addr::from(address).into()), ..refusal(1) };
        house.audit.refused(many, NOW_MS + MINUTE_MS);
    }
    house.audit.refused(Refusal { who: Who::one(WhoKind::Guest, "RL_1"), ..refusal(1) }, NOW_MS + MINUTE_MS);
    let lines = house.audit.page(&query, NOW_MS + MINUTE_MS).unwrap().refusals;
    assert!(lines.iter().any(|line| line.who_id == "RL_1"), "whoever is known is told apart all the same");
}

#[test]
fn refusals_are_written_once_in_a_while() {
    let house = House::new();
    let is_written = |now_ms| {
        house.audit.refused(refusal(1), now_ms);
        house.audit.write(Whole::WhatIsDue, now_ms).unwrap();
        house.audit.waiting().refusals.take(Whole::Everything, now_ms).is_empty()
    };
    assert!(is_written(NOW_MS), "the first one at once");
    assert!(!is_written(NOW_MS + 1000));
    assert!(is_written(NOW_MS + 12_000));
    assert!(is_written(NOW_MS - 1_000_000), "the clock was set back");
}

#[test]
fn what_a_stranger_calls_themselves_is_cut_to_a_length() {
    let house = House::new();
    let who = Who::one(WhoKind::Guest, "RL_1").named("x".repeat(1_000_000));
    house.audit.note(Deed::done(Act::RoomJoined, who, None, On::room("own")), NOW_MS);
    assert!(house.page(None).entries[0].act.who_name.as_ref().unwrap().len() < 1000);
}

#[tokio::test]
async fn whoever_writes_is_woken_by_changes_and_not_by_uses() {
    let house = House::new();
    house.audit.note(played("a.mp4"), NOW_MS);
    let news = tokio::time::timeout(std::time::Duration::from_millis(20), house.audit.news()).await;
    assert!(news.is_err(), "it may wait");
    house.audit.note(made("own"), NOW_MS);
    house.audit.news().await;
    for at in 0..AUDIT_UNWRITTEN_USES / 2 {
        house.audit.note(played(&format!("{at}.mp4")), NOW_MS);
    }
    house.audit.news().await;
}
