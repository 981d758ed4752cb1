//! Deliveries in virtual time: receivers that are down, and a program that is killed.

use std::collections::HashMap;

use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::EgressInfo;

use super::*;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Nothing here is from before deliveries were kept.
const BEGAN_MS: i64 = 1_800_000_000_000;

fn url(host: &str) -> Url {
    format!("https://{host}.example/hook?secret=hunter2").parse().unwrap()
}

fn event(kind: &str, egress: &str, number: usize) -> WebhookEvent {
    WebhookEvent {
        event: kind.into(),
        id: format!("EV_{egress}_{number}"),
        created_at: 7,
        egress_info: Some(EgressInfo { egress_id: egress.into(), ..EgressInfo::default() }),
        ..WebhookEvent::default()
    }
}

/// Those of a recording from its start to its end.
fn told(egress: &str) -> Vec<WebhookEvent> {
    let kinds = ["egress_started", "egress_updated", "egress_updated", ENDED];
    kinds.into_iter().enumerate().map(|(number, kind)| event(kind, egress, number)).collect()
}

struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn truth(&self) -> Truth {
        Truth::open(&self.folder.path().join("truth.db")).unwrap()
    }

    fn desk(&self, hosts: &[&str], now_ms: i64) -> Desk {
        self.desk_with(hosts, Room::default(), now_ms)
    }

    fn desk_with(&self, hosts: &[&str], room: Room, now_ms: i64) -> Desk {
        let urls: Vec<Url> = hosts.iter().map(|host| url(host)).collect();
        Desk::open(self.truth(), &urls, room, now_ms).unwrap()
    }
}

/// A receiver that checks every signature when it comes.
#[derive(Default)]
struct Receiver {
    heard: Vec<(String, WebhookEvent)>,
}

impl Receiver {
    fn hears(&mut self, body: &[u8], now_ms: i64) -> Answer {
        let keys = ApiKeys::new("key", "secret");
        let now_s = now_ms.unsigned_abs() / 1000;
        let signature = webhook::sign(&keys, body, now_s);
        let event = webhook::verify(&keys, &signature, body, now_s).unwrap();
        self.heard.push((subject(&event), event));
        Answer { status: Some(200), error: None }
    }

    /// The ids of what was heard of each recording, each the first time.
    fn of_each(&self) -> HashMap<String, Vec<String>> {
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for (subject, event) in &self.heard {
            let ids = all.entry(subject.clone()).or_default();
            if !ids.contains(&event.id) {
                ids.push(event.id.clone());
            }
        }
        all
    }
}

fn down() -> Answer {
    Answer { status: None, error: Some("Connection refused".into()) }
}

fn ids(events: &[WebhookEvent]) -> Vec<String> {
    events.iter().map(|event| event.id.clone()).collect()
}

/// Sends everything that is due until `until_ms`, or until nothing waits; gives the time then.
fn run(
    desk: &Desk,
    at: usize,
    from_ms: i64,
    until_ms: i64,
    mut send: impl FnMut(&[u8], i64) -> Answer,
) -> i64 {
    let mut now_ms = from_ms;
    loop {
        for job in desk.take(at, now_ms, 4) {
            let answer = send(&job.body, now_ms);
            desk.answered(at, job.id, answer, now_ms).unwrap();
        }
        match desk.next_ms(at) {
            Some(next_ms) if next_ms <= until_ms => now_ms = now_ms.max(next_ms),
            _ => return now_ms,
        }
    }
}

#[test]
fn a_receiver_that_is_down_for_an_hour_and_a_killed_program_cost_no_event_and_no_order() {
    let house = House::new();
    let recordings = ["EG_1", "EG_2", "EG_3"];
    let mut now_ms = BEGAN_MS;
    let desk = house.desk(&["a", "b"], now_ms);
    let mut other = Receiver::default();
    for (number, _) in told("EG_1").iter().enumerate() {
        let events: Vec<_> = recordings.iter().map(|egress| told(egress).remove(number)).collect();
        desk.write(&events, now_ms).unwrap();
        run(&desk, 0, now_ms, now_ms + 60_000, |_, _| down());
        // Nobody waits for the one that is down.
        run(&desk, 1, now_ms, now_ms, |body, now_ms| other.hears(body, now_ms));
        now_ms += 60_000;
    }
    assert_eq!(other.heard.len(), 12);
    let standing = desk.standing();
    assert_eq!((standing[0].waiting, standing[0].since_ms), (12, Some(BEGAN_MS)));
    assert_eq!(standing[0].trouble.as_deref(), Some("Connection refused"));
    assert_eq!((standing[1].waiting, standing[1].trouble.as_deref()), (0, None));
    now_ms = run(&desk, 0, now_ms, BEGAN_MS + HOUR_MS, |_, _| down());

    // It is up again, and the program is killed when something is delivered and that is not written down.
    let mut receiver = Receiver::default();
    now_ms = now_ms.max(desk.next_ms(0).unwrap());
    let jobs = desk.take(0, now_ms, 2);
    assert_eq!(jobs.len(), 2);
    receiver.hears(&jobs[0].body, now_ms);
    drop(desk);

    let desk = house.desk(&["a", "b"], now_ms + 1000);
    let end_ms = run(&desk, 0, now_ms + 1000, i64::MAX, |body, now_ms| receiver.hears(body, now_ms));
    assert!(end_ms <= now_ms + 1000, "all of it is told once somebody hears it");
    assert_eq!(receiver.heard.len(), 13, "what was not written down is told once more");
    for heard in [receiver.of_each(), other.of_each()] {
        assert_eq!(heard.len(), recordings.len());
        for egress in recordings {
            assert_eq!(heard[egress], ids(&told(egress)), "{egress}");
        }
    }
    let log = desk.deliveries(100).unwrap();
    assert_eq!(log.len(), 24);
    assert!(log.iter().all(|one| one.state == DeliveryState::Delivered && one.settled_ms.is_some()));
    assert!(log.iter().all(|one| one.place.ends_with(".example") && !format!("{one:?}").contains("hunter2")));
}

#[test]
fn what_nobody_takes_for_a_day_is_over_and_the_next_event_says_how_many_were() {
    let house = House::new();
    let desk = house.desk(&["a"], BEGAN_MS);
    desk.write(&told("EG_1"), BEGAN_MS).unwrap();
    let end_ms = run(&desk, 0, BEGAN_MS, i64::MAX, |_, _| down());
    assert_eq!(end_ms, BEGAN_MS + 24 * HOUR_MS);
    assert_eq!((desk.standing()[0].waiting, desk.standing()[0].dropped), (0, 4));
    let log = desk.deliveries(10).unwrap();
    assert!(log.iter().all(|one| one.state == DeliveryState::Expired), "{log:?}");
    assert!(log[3].waiting.tries > 200 && log[2].waiting.tries == 0, "only the first was tried");
    let mut receiver = Receiver::default();
    for egress in ["EG_2", "EG_3"] {
        desk.write(&[event(ENDED, egress, 0)], end_ms).unwrap();
        run(&desk, 0, end_ms, end_ms, |body, now_ms| receiver.hears(body, now_ms));
    }
    let told: Vec<i32> = receiver.heard.iter().map(|(_, event)| event.num_dropped).collect();
    assert_eq!(told, [4, 0]);
}

#[test]
fn what_waits_is_bounded_and_ends_are_what_goes_last() {
    let house = House::new();
    let desk = house.desk_with(&["a"], Room { entries: 6, bytes: 1_000_000 }, BEGAN_MS);
    for egress in ["EG_1", "EG_2", "EG_3"] {
        desk.write(&told(egress), BEGAN_MS).unwrap();
    }
    assert_eq!((desk.standing()[0].waiting, desk.standing()[0].dropped), (6, 6));
    let mut receiver = Receiver::default();
    run(&desk, 0, BEGAN_MS, BEGAN_MS, |body, now_ms| receiver.hears(body, now_ms));
    let kinds: Vec<_> = receiver.heard.iter().map(|(_, event)| event.event.as_str()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == ENDED).count(), 3, "{kinds:?}");
    let states: Vec<_> = desk.deliveries(100).unwrap().into_iter().map(|one| one.state).collect();
    assert_eq!(states.iter().filter(|state| **state == DeliveryState::Dropped).count(), 6);
}

#[test]
fn an_end_that_a_killed_program_did_not_write_down_is_told_by_the_next_and_once() {
    let house = House::new();
    let desk = house.desk(&["a"], BEGAN_MS);
    desk.write(&told("EG_1"), BEGAN_MS).unwrap();
    let end = |egress: &str| event(ENDED, egress, 9);
    // One ended before deliveries were kept.
    let ends = [(end("EG_0"), BEGAN_MS - 1), (end("EG_1"), BEGAN_MS), (end("EG_2"), BEGAN_MS)];
    for _ in 0..2 {
        desk.write_missed(&ends, BEGAN_MS).unwrap();
    }
    let mut receiver = Receiver::default();
    run(&desk, 0, BEGAN_MS, BEGAN_MS, |body, now_ms| receiver.hears(body, now_ms));
    let heard = receiver.of_each();
    assert_eq!((heard.len(), heard["EG_1"].len()), (2, 4));
    assert_eq!(heard["EG_2"], ["EV_EG_2_9"]);
    drop(desk);
    let desk = house.desk(&["a"], BEGAN_MS + HOUR_MS);
    desk.write_missed(&ends, BEGAN_MS + HOUR_MS).unwrap();
    assert_eq!(desk.standing()[0].waiting, 0, "it is known after a restart, too");
}

#[test]
fn a_delivery_is_made_once_more_and_none_for_a_receiver_that_is_not_set_any_more() {
    let house = House::new();
    let desk = house.desk(&["a", "b"], BEGAN_MS);
    desk.write(&[event(ENDED, "EG_1", 0)], BEGAN_MS).unwrap();
    let mut receiver = Receiver::default();
    run(&desk, 0, BEGAN_MS, BEGAN_MS, |body, now_ms| receiver.hears(body, now_ms));
    let delivered =
        desk.deliveries(10).unwrap().into_iter().find(|one| one.state == DeliveryState::Delivered);
    let id = delivered.unwrap().waiting.id;
    assert!(matches!(desk.replay(id, BEGAN_MS + HOUR_MS).unwrap(), Replayed::Queued(_)));
    run(&desk, 0, BEGAN_MS + HOUR_MS, BEGAN_MS + HOUR_MS, |body, now_ms| receiver.hears(body, now_ms));
    assert_eq!(receiver.heard.len(), 2);
    assert_eq!(receiver.heard[0], receiver.heard[1]);
    assert_eq!(desk.replay(DeliveryId(99), BEGAN_MS).unwrap(), Replayed::Unknown);
    drop(desk);

    // What waits for "b" waits for nobody.
    let desk = house.desk(&["c"], BEGAN_MS);
    let states: Vec<_> = desk.deliveries(10).unwrap().into_iter().map(|one| one.state).collect();
    assert!(!states.contains(&DeliveryState::Waiting), "{states:?}");
    assert_eq!(desk.replay(id, BEGAN_MS).unwrap(), Replayed::NoReceiver);
    assert_eq!(desk.standing()[0].waiting, 0);
}

/// Takes what is due until nothing is, each answered with a status.
fn answer_all(desk: &Desk, now_ms: i64, status: impl Fn(&WebhookEvent) -> u16) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        let jobs = desk.take(0, now_ms, 8);
        if jobs.is_empty() {
            return heard;
        }
        for job in jobs {
            let event: WebhookEvent = {
                let keys = ApiKeys::new("key", "secret");
                let now_s = now_ms.unsigned_abs() / 1000;
                webhook::verify(&keys, &webhook::sign(&keys, &job.body, now_s), &job.body, now_s).unwrap()
            };
            let status = status(&event);
            let error = (status != 200).then(|| format!("it answers {status}"));
            desk.answered(0, job.id, Answer { status: Some(status), error }, now_ms).unwrap();
            heard.push(event.event);
        }
    }
}

#[test]
fn a_receiver_that_refuses_one_kind_of_event_is_told_the_others() {
    let house = House::new();
    let desk = house.desk(&["a"], BEGAN_MS);
    desk.write(&told("EG_1"), BEGAN_MS).unwrap();
    let heard = answer_all(&desk, BEGAN_MS, |event| if event.event == "egress_updated" { 400 } else { 200 });
    assert_eq!(heard, ["egress_started", "egress_updated", "egress_updated", ENDED]);
    assert_eq!((desk.standing()[0].waiting, desk.standing()[0].dropped), (0, 2));
    // What says more than that is tried for some minutes, and holds up what is behind it no longer.
    desk.write(&told("EG_2"), BEGAN_MS).unwrap();
    let (mut now_ms, mut heard) = (BEGAN_MS, Vec::new());
    while !heard.iter().any(|kind| kind == ENDED) {
        heard.extend(answer_all(
            &desk,
            now_ms,
            |event| if event.event == "egress_started" { 404 } else { 200 },
        ));
        now_ms += 1000;
        assert!(now_ms - BEGAN_MS < 5 * 60 * 1000, "{heard:?}");
    }
    assert_eq!(heard.iter().filter(|kind| *kind == "egress_started").count(), 8);
    // Somebody in trouble takes it later.
    desk.write(&[event(ENDED, "EG_3", 0)], now_ms).unwrap();
    for _ in 0..100 {
        answer_all(&desk, now_ms, |_| 503);
        now_ms += 300_000;
    }
    assert_eq!(answer_all(&desk, now_ms, |_| 200), [ENDED]);
}

#[test]
fn what_waited_while_the_program_did_not_run_for_days_is_tried_when_it_does() {
    let house = House::new();
    house.desk(&["a"], BEGAN_MS).write(&told("EG_1"), BEGAN_MS).unwrap();
    let monday_ms = BEGAN_MS + 60 * HOUR_MS;
    let desk = house.desk(&["a"], monday_ms);
    assert!(answer_all(&desk, monday_ms, |_| 503).len() == 1, "its receiver starts, too");
    assert_eq!(answer_all(&desk, monday_ms + 2000, |_| 200).len(), 4);
}

#[test]
fn many_that_wait_for_somebody_else_cost_a_start_one_write() {
    let house = House::new();
    let events: Vec<_> = (0..600).map(|number| event(ENDED, &format!("EG_{number}"), 0)).collect();
    house.desk(&["a"], BEGAN_MS).write(&events, BEGAN_MS).unwrap();
    let desk = house.desk(&["b"], BEGAN_MS);
    assert_eq!((desk.standing()[0].waiting, house.truth().waiting_deliveries().unwrap().len()), (0, 0));
    assert_eq!(desk.deliveries(1000).unwrap().len(), WEBHOOKS_SHOWN);
    assert!(house.truth().keep_no_webhooks("nobody", BEGAN_MS).is_ok());
    let since_ms = BEGAN_MS + HOUR_MS;
    assert_eq!(house.truth().webhooks_kept_since(since_ms).unwrap(), since_ms, "it begins anew");
}

#[test]
fn whoever_is_not_set_any_more_is_told_nothing_more_and_whoever_is_new_what_comes_then() {
    let house = House::new();
    let desk = house.desk(&["a", "b"], BEGAN_MS);
    desk.write(&told("EG_1"), BEGAN_MS).unwrap();
    let out = desk.take(0, BEGAN_MS, 1);
    assert_eq!(out.len(), 1, "something is on its way to the first one");
    desk.set(&[url("b"), url("c")], BEGAN_MS).unwrap();
    assert_eq!((desk.set_urls(), desk.urls()), (vec![url("b"), url("c")], ["a", "b", "c"].map(url).to_vec()));
    assert!(!desk.keeps_for(&url("a")) && desk.keeps_for(&url("c")));
    desk.answered(0, out[0].id, down(), BEGAN_MS).unwrap();
    desk.write(&told("EG_2"), BEGAN_MS).unwrap();
    assert!(desk.take(0, BEGAN_MS + HOUR_MS, 4).is_empty() && desk.next_ms(0).is_none());
    let (mut known, mut new) = (Receiver::default(), Receiver::default());
    run(&desk, 1, BEGAN_MS, BEGAN_MS + HOUR_MS, |body, now_ms| known.hears(body, now_ms));
    run(&desk, 2, BEGAN_MS, BEGAN_MS + HOUR_MS, |body, now_ms| new.hears(body, now_ms));
    assert_eq!(known.of_each()["EG_1"], ids(&told("EG_1")));
    assert_eq!(known.of_each()["EG_2"], ids(&told("EG_2")));
    assert_eq!(new.of_each().keys().collect::<Vec<_>>(), ["EG_2"]);
    let given_up = desk.deliveries(100).unwrap();
    let given_up: Vec<_> = given_up.iter().filter(|one| one.state == DeliveryState::Dropped).collect();
    assert_eq!(given_up.len(), told("EG_1").len());
    assert!(given_up.iter().all(|one| one.error.as_deref() == Some(NOT_SET)), "{given_up:?}");
    assert_eq!(desk.replay(given_up[0].waiting.id, BEGAN_MS).unwrap(), Replayed::NoReceiver);
    let standing: Vec<_> = desk.standing().into_iter().map(|one| one.place).collect();
    assert_eq!(standing, ["https://b.example", "https://c.example"]);

    // It comes back, under the number that it had.
    desk.set(&[url("a")], BEGAN_MS).unwrap();
    desk.write(&told("EG_3"), BEGAN_MS).unwrap();
    let mut back = Receiver::default();
    run(&desk, 0, BEGAN_MS, BEGAN_MS + HOUR_MS, |body, now_ms| back.hears(body, now_ms));
    assert_eq!(back.of_each().keys().collect::<Vec<_>>(), ["EG_3"]);
    assert!(house.truth().waiting_deliveries().unwrap().is_empty(), "nothing waits for nobody");
}
