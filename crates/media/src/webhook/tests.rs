use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use reelroom_protocol::proto::{EgressInfo, Room};

use tokio::sync::mpsc;

use super::*;

fn event(name: &str, room: &str) -> WebhookEvent {
    let room = Room { name: room.into(), ..Default::default() };
    WebhookEvent { event: name.into(), room: Some(room), ..Default::default() }
}

/// A receiver that verifies what it gets, and fails the first `failures` times.
async fn receiver(failures: usize) -> (Url, mpsc::UnboundedReceiver<WebhookEvent>) {
    let (seen, seen_rx) = mpsc::unbounded_channel();
    let calls = Arc::new(AtomicUsize::new(0));
    let app = Router::new().route(
        "/hook",
        post(move |headers: HeaderMap, body: axum::body::Bytes| {
            let (seen, calls) = (seen.clone(), Arc::clone(&calls));
            async move {
                if calls.fetch_add(1, Ordering::SeqCst) < failures {
                    return StatusCode::INTERNAL_SERVER_ERROR;
                }
                assert_eq!(headers["content-type"], webhook::CONTENT_TYPE);
                let signature = headers["authorization"].to_str().unwrap();
                let event = webhook::verify(&ApiKeys::new("k", "s"), signature, &body, unix_s()).unwrap();
                seen.send(event).unwrap();
                StatusCode::OK
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, seen_rx)
}

#[tokio::test]
async fn events_of_a_room_come_signed_and_in_order() {
    let (url, mut seen) = receiver(0).await;
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![url]);
    for name in ["room_started", "participant_joined", "room_finished"] {
        webhooks.send(event(name, "r"));
    }
    webhooks.flush(Duration::from_secs(5)).await;
    let mut names = Vec::new();
    while let Ok(event) = seen.try_recv() {
        assert!(event.id.starts_with("EV_") && event.created_at > 0);
        names.push(event.event);
    }
    assert_eq!(names, ["room_started", "participant_joined", "room_finished"]);
}

#[tokio::test]
async fn events_of_many_rooms_at_once_open_few_connections() {
    let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&most), Arc::clone(&now));
    let app = Router::new().route(
        "/hook",
        post(move || {
            let (most, now) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::SeqCst);
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![url]);
    (0..300).for_each(|number| webhooks.send(event("room_finished", &number.to_string())));
    webhooks.flush(Duration::from_secs(20)).await;
    let most = most.load(Ordering::SeqCst);
    assert!((2..=REQUESTS_AT_ONCE).contains(&most), "{most} at once");
}

#[tokio::test]
async fn what_waits_for_a_receiver_is_bounded_and_nothing_of_a_room_stays() {
    let (url, mut seen) = receiver(0).await;
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![url.clone()]);
    let mut large = event("participant_joined", "r");
    large.room.as_mut().unwrap().metadata = "x".repeat(WEBHOOKS_WAITING_BYTES / 50);
    for number in 0..100 {
        large.room.as_mut().unwrap().name = number.to_string();
        webhooks.send(large.clone());
    }
    let dropped = webhooks.shared.lock().dropped[&url];
    assert!((51..=60).contains(&dropped), "{dropped}");
    webhooks.flush(Duration::from_secs(20)).await;
    tokio::task::yield_now().await;
    assert_eq!(webhooks.shared.lock().waiting_bytes[&url], 0);
    assert!(webhooks.shared.lock().queues.is_empty(), "a room that is gone leaves no queue");
    let mut told = 0;
    while let Ok(event) = seen.try_recv() {
        told += event.num_dropped;
    }
    assert_eq!(told, dropped, "whoever gets the next one is told");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_costs_others_no_event() {
    let (url, mut seen) = receiver(0).await;
    // It takes connections and says nothing.
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere: Url = format!("http://{}/", deaf.local_addr().unwrap()).parse().unwrap();
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![nowhere.clone()]);
    let mut large = event("participant_joined", "r");
    large.room.as_mut().unwrap().metadata = "x".repeat(WEBHOOKS_WAITING_BYTES / 50);
    for _ in 0..60 {
        webhooks.send(large.clone());
    }
    assert!(webhooks.shared.lock().dropped[&nowhere] > 0, "it has all that it may");
    webhooks.add_url(url);
    webhooks.send(large);
    let told = tokio::time::timeout(Duration::from_secs(30), seen.recv()).await;
    assert_eq!(told.expect("it is not dropped").unwrap().num_dropped, 0);
}

#[tokio::test]
async fn the_log_says_where_a_webhook_went_and_no_secret_of_its_url() {
    let url: Url = "http://user:hunter2@127.0.0.1:9/hunter2?token=hunter2".parse().unwrap();
    assert_eq!(place(&url), "http://127.0.0.1:9");
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), Vec::new());
    let error = webhooks.shared.post(&url, Vec::new()).await.unwrap_err();
    assert!(error.contains("refused") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_failing_receiver_is_tried_again() {
    let (url, mut seen) = receiver(1).await;
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), Vec::new());
    webhooks.add_url(url);
    webhooks.send(event("room_started", "r"));
    webhooks.flush(Duration::from_secs(5)).await;
    assert_eq!(seen.try_recv().unwrap().event, "room_started");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_holds_nobody_up() {
    let (url, mut seen) = receiver(0).await;
    let nowhere = "http://127.0.0.1:9/".parse().unwrap();
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![nowhere, url]);
    webhooks.send(event("room_started", "r"));
    assert_eq!(seen.recv().await.unwrap().event, "room_started");
}

#[tokio::test]
async fn what_is_told_of_recordings_is_kept_until_others_have_it_and_told_again_when_somebody_asks() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut seen) = receiver(2).await;
    let (own, mut own_seen) = receiver(0).await;
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![url.clone(), url.clone()]);
    webhooks.keep(Truth::open(&folder.path().join("truth.db")).unwrap()).unwrap();
    webhooks.add_url(own);
    let info = EgressInfo { egress_id: "EG_1".into(), ..Default::default() };
    let of_egress = |kind: &str| WebhookEvent { egress_info: Some(info.clone()), ..event(kind, "r") };
    for kind in ["egress_started", "egress_updated", "egress_ended"] {
        webhooks.send(of_egress(kind));
    }
    let mut next =
        async || tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.unwrap().unwrap();
    for kind in ["egress_started", "egress_updated", "egress_ended"] {
        assert_eq!(next().await.event, kind);
        assert_eq!(own_seen.recv().await.unwrap().event, kind);
    }
    webhooks.flush(Duration::from_secs(5)).await;
    let log = webhooks.deliveries(10).await.unwrap();
    assert_eq!(log.len(), 3, "nothing is kept for this program itself, and nothing twice");
    assert!(
        log.iter().all(|one| one.state == DeliveryState::Delivered && one.status == Some(200)),
        "{log:?}"
    );
    assert_eq!(log[2].waiting.tries, 3);
    assert_eq!(webhooks.standing()[0].waiting, 0);

    assert!(matches!(webhooks.replay(log[0].waiting.id).await.unwrap(), Replayed::Queued(_)));
    assert_eq!(next().await.id, log[0].event_id);
    assert_eq!(webhooks.replay(DeliveryId(99)).await.unwrap(), Replayed::Unknown);
    let tested = webhooks.test().await;
    assert_eq!(next().await.event, "test");
    assert_eq!((tested.len(), tested[0].status, tested[0].error.as_deref()), (1, Some(200), None));
    webhooks.stop();
}

fn names(seen: &mut mpsc::UnboundedReceiver<WebhookEvent>) -> Vec<String> {
    std::iter::from_fn(|| seen.try_recv().ok()).map(|event| event.event).collect()
}

#[tokio::test]
async fn receivers_are_set_anew_and_this_program_itself_stays_one() {
    let (first, mut by_first) = receiver(0).await;
    let (second, mut by_second) = receiver(0).await;
    let (own, mut by_own) = receiver(0).await;
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![first]);
    webhooks.add_url(own);
    webhooks.send(event("room_started", "r"));
    webhooks.flush(Duration::from_secs(5)).await;
    webhooks.set_receivers(vec![second.clone(), second]).await.unwrap();
    webhooks.send(event("room_finished", "r"));
    webhooks.flush(Duration::from_secs(5)).await;
    assert_eq!(
        (names(&mut by_first), names(&mut by_second)),
        (vec!["room_started".to_owned()], vec!["room_finished".to_owned()])
    );
    assert_eq!(names(&mut by_own), ["room_started", "room_finished"]);
}

#[tokio::test]
async fn what_waits_for_somebody_who_is_not_set_any_more_is_given_up() {
    let (url, mut seen) = receiver(0).await;
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![url.clone()]);
    for name in ["room_started", "participant_joined", "room_finished"] {
        webhooks.send(event(name, "r"));
    }
    // Nothing was sent yet: its task has not had a turn.
    webhooks.set_receivers(Vec::new()).await.unwrap();
    assert_eq!(*webhooks.shared.pending.borrow(), 0);
    webhooks.flush(Duration::from_secs(5)).await;
    tokio::task::yield_now().await;
    assert!(webhooks.shared.lock().queues.is_empty());
    assert!(webhooks.shared.lock().waiting_bytes.is_empty());
    webhooks.set_receivers(vec![url]).await.unwrap();
    webhooks.send(event("room_started", "another"));
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.unwrap().unwrap().room.unwrap().name,
        "another"
    );
}

#[tokio::test]
async fn what_is_told_of_recordings_is_kept_for_whoever_is_set_later_and_for_nobody_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut seen) = receiver(0).await;
    let webhooks = Webhooks::new(ApiKeys::new("k", "s"), Vec::new());
    webhooks.keep(Truth::open(&folder.path().join("truth.db")).unwrap()).unwrap();
    let info = EgressInfo { egress_id: "EG_1".into(), ..Default::default() };
    let of_egress = |kind: &str| WebhookEvent { egress_info: Some(info.clone()), ..event(kind, "r") };
    webhooks.send(of_egress("egress_started"));
    webhooks.set_receivers(vec![url]).await.unwrap();
    webhooks.send(of_egress("egress_ended"));
    let told = tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.unwrap().unwrap();
    assert_eq!(told.event, "egress_ended");
    webhooks.flush(Duration::from_secs(5)).await;
    assert_eq!((webhooks.standing().len(), webhooks.deliveries(10).await.unwrap().len()), (1, 1));
    webhooks.set_receivers(Vec::new()).await.unwrap();
    webhooks.send(of_egress("egress_updated"));
    webhooks.flush(Duration::from_secs(5)).await;
    assert!(webhooks.standing().is_empty() && webhooks.test().await.is_empty());
    assert_eq!(webhooks.deliveries(10).await.unwrap().len(), 1);
    webhooks.stop();
}

#[tokio::test]
async fn what_is_told_of_rooms_and_did_not_get_through_is_delivered_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let truth = Truth::open(&folder.path().join("truth.db")).unwrap();
    let is_away = Arc::new(AtomicBool::new(true));
    let (seen, mut seen_rx) = mpsc::unbounded_channel();
    let away = Arc::clone(&is_away);
    let app = Router::new().route(
        "/hook",
        post(move |body: axum::body::Bytes| {
            let (seen, away) = (seen.clone(), Arc::clone(&away));
            async move {
                if away.load(Ordering::SeqCst) {
                    return StatusCode::SERVICE_UNAVAILABLE;
                }
                let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
                seen.send(event["event"].as_str().unwrap().to_owned()).unwrap();
                StatusCode::OK
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let (own, _own_seen) = receiver(0).await;
    {
        let webhooks = Webhooks::new(ApiKeys::new("k", "s"), vec![url.clone()]);
        webhooks.keep(truth.clone()).unwrap();
        webhooks.add_url(own);
        for name in ["room_started", "participant_joined", "room_finished"] {
            webhooks.send(event(name, "r"));
        }
        webhooks.flush(Duration::from_millis(200)).await;
        webhooks.leave().await;
        webhooks.stop();
    }
    is_away.store(false, Ordering::SeqCst);
    let next = Webhooks::new(ApiKeys::new("k", "s"), vec![url]);
    next.keep(truth).unwrap();
    for name in ["room_started", "participant_joined", "room_finished"] {
        let told = tokio::time::timeout(Duration::from_secs(20), seen_rx.recv()).await;
        assert_eq!(told.unwrap().unwrap(), name, "each once, and in order");
    }
    next.stop();
}
