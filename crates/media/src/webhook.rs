//! Delivers signed webhooks: in order per room and per egress, with retries, without ever holding anybody up.
//!
//! ```text
//!   send ─► a queue per URL and per egress or room, there while something waits in it
//!             └─► its task, one event after the other ─► a turn at the receiver ─► POST, tried again
//! ```
//!
//! # Invariants
//!
//! - A slow receiver delays only its own queue, and has nothing of what is kept for others dropped.
//! - What waits is bounded in events and in bytes, of which each receiver has the same share. What finds no room, or has waited too long, is dropped; the log tells the first
//!   of them, and the next event that gets through says how many they were (`num_dropped`).

use std::collections::{HashMap, VecDeque};
use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prost::Message as _;
use reelroom_limits::http::WEBHOOKS_WAITING_BYTES;
use reelroom_protocol::ids::EventId;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::WebhookEvent;
use reelroom_protocol::webhook;
use tokio::sync::{Semaphore, watch};
use url::Url;

const QUEUE: usize = 200;
const TRIES: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// An event that has waited longer than this for those before it is not delivered any more.
const STALE_AFTER: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A thousand rooms that close at once do not open a thousand connections to a receiver.
const REQUESTS_AT_ONCE: usize = 32;
/// Connections to a receiver that stay open for what comes next.
const IDLE_CONNECTIONS: usize = 4;

/// A handle to the delivery of webhooks.
#[derive(Clone)]
pub struct Webhooks {
    shared: Arc<Shared>,
}

struct Shared {
    keys: ApiKeys,
    client: reqwest::Client,
    state: Mutex<State>,
    /// How many events are on their way.
    pending: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    urls: Vec<Url>,
    /// Each has a task, which takes what comes next out of it and removes it when it is empty.
    queues: HashMap<Key, VecDeque<Waiting>>,
    /// Of the events that are not delivered yet to each receiver.
    waiting_bytes: HashMap<Url, usize>,
    dropped: HashMap<Url, i32>,
    /// Turns of the requests to each receiver.
    turns: HashMap<Url, Arc<Semaphore>>,
}

/// A receiver, and the egress or the room.
type Key = (Url, String);

struct Waiting {
    event: Arc<WebhookEvent>,
    bytes: usize,
    since: Instant,
}

impl State {
    /// An event waits no longer.
    fn delivered(&mut self, url: &Url, bytes: usize) {
        if let Some(waiting) = self.waiting_bytes.get_mut(url) {
            *waiting -= bytes;
        }
    }

    /// Counts an event that is not delivered. The log has the first of those that nobody was told of.
    fn drop_event(&mut self, url: &Url, event: &WebhookEvent, reason: &str) {
        let dropped = self.dropped.entry(url.clone()).or_default();
        if *dropped == 0 {
            tracing::warn!(
                to = place(url),
                event = event.event,
                reason,
                "webhooks are dropped, this one first"
            );
        }
        *dropped = dropped.saturating_add(1);
    }
}

impl Webhooks {
    /// Delivers to `urls`, signed by the first of `keys`.
    pub fn new(keys: ApiKeys, urls: Vec<Url>) -> Self {
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .user_agent("LiveKit")
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build()
            .expect("a client without special settings can be built");
        let state = Mutex::new(State { urls, ..State::default() });
        Self { shared: Arc::new(Shared { keys, client, state, pending: watch::Sender::new(0) }) }
    }

    /// Delivers to `url` too, from now on.
    pub fn add_url(&self, url: Url) {
        let mut state = self.shared.lock();
        if !state.urls.contains(&url) {
            state.urls.push(url);
        }
    }

    /// Queues an event; its id and time are filled in where they are empty. Has to be called within a tokio runtime.
    pub fn send(&self, mut event: WebhookEvent) {
        if event.id.is_empty() {
            event.id = EventId::generate(&mut rand::rng()).into();
        }
        if event.created_at == 0 {
            event.created_at = unix_s() as i64;
        }
        let queue_key = match (&event.egress_info, &event.room) {
            (Some(egress), _) => egress.egress_id.clone(),
            (None, Some(room)) => room.name.clone(),
            (None, None) => String::new(),
        };
        let (bytes, event) = (event.encoded_len(), Arc::new(event));
        let mut state = self.shared.lock();
        let share = WEBHOOKS_WAITING_BYTES / state.urls.len().max(1);
        for url in state.urls.clone() {
            let key = (url.clone(), queue_key.clone());
            let queue = state.queues.get(&key);
            let is_full = queue.is_some_and(|queue| queue.len() >= QUEUE);
            let its_bytes = state.waiting_bytes.get(&url).copied().unwrap_or(0) + bytes;
            if is_full || its_bytes > share {
                state.drop_event(&url, &event, "too many wait");
                continue;
            }
            let is_new = queue.is_none();
            state.waiting_bytes.insert(url, its_bytes);
            self.shared.pending.send_modify(|pending| *pending += 1);
            let waiting = Waiting { event: Arc::clone(&event), bytes, since: Instant::now() };
            state.queues.entry(key.clone()).or_default().push_back(waiting);
            if is_new {
                tokio::spawn(Arc::clone(&self.shared).work(key));
            }
        }
    }

    /// Waits until everything is delivered or given up, but not longer than `within`.
    pub async fn flush(&self, within: Duration) {
        let mut pending = self.shared.pending.subscribe();
        let empty = pending.wait_for(|pending| *pending == 0);
        if tokio::time::timeout(within, empty).await.is_err() {
            tracing::warn!("some webhooks were not delivered before the end");
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the webhook queues")
    }

    fn new_turns() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(REQUESTS_AT_ONCE))
    }

    async fn work(self: Arc<Self>, key: Key) {
        while let Some(waiting) = self.next(&key) {
            self.deliver(&key.0, &waiting).await;
            self.lock().delivered(&key.0, waiting.bytes);
            self.pending.send_modify(|pending| *pending -= 1);
        }
    }

    /// What comes next out of a queue. `None` ends the queue: under the lock nothing can be added to it.
    fn next(&self, key: &Key) -> Option<Waiting> {
        let mut state = self.lock();
        let waiting = state.queues.get_mut(key)?.pop_front();
        if waiting.is_none() {
            state.queues.remove(key);
        }
        waiting
    }

    async fn deliver(&self, url: &Url, waiting: &Waiting) {
        if waiting.since.elapsed() > STALE_AFTER {
            return self.lock().drop_event(url, &waiting.event, "it waited too long");
        }
        let num_dropped = self.lock().dropped.remove(url).unwrap_or(0);
        let event = WebhookEvent { num_dropped, ..WebhookEvent::clone(&waiting.event) };
        let body = webhook::event_body(&event);
        let mut backoff = FIRST_BACKOFF;
        for attempt in 1..=TRIES {
            match self.post(url, body.clone()).await {
                Ok(()) => return,
                Err(error) if attempt == TRIES => {
                    tracing::warn!(
                        to = place(url),
                        event = event.event,
                        error,
                        "a webhook could not be delivered"
                    );
                }
                Err(error) => {
                    tracing::debug!(
                        to = place(url),
                        event = event.event,
                        error,
                        attempt,
                        "a webhook is tried again"
                    );
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                }
            }
        }
        *self.lock().dropped.entry(url.clone()).or_default() += 1 + event.num_dropped;
    }

    /// A refusal by the receiver counts as delivered: it would refuse again.
    async fn post(&self, url: &Url, body: Vec<u8>) -> Result<(), String> {
        let turns = self.lock().turns.entry(url.clone()).or_insert_with(Shared::new_turns).clone();
        let _turn = turns.acquire().await.expect("nobody closes the turns");
        let signature = webhook::sign(&self.keys, &body, unix_s());
        let response = self
            .client
            .post(url.clone())
            .header(http::header::CONTENT_TYPE, webhook::CONTENT_TYPE)
            .header(http::header::AUTHORIZATION, signature)
            .body(body)
            .send()
            .await
            .map_err(|error| cause(&error))?;
        let status = response.status();
        if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
            return Err(status.to_string());
        }
        Ok(())
    }
}

/// What the log says of a receiver: everything but its host may be a secret.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The innermost reason, which is what a person understands, and which has no URL in it.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost = error.source();
    while let Some(source) = innermost.and_then(std::error::Error::source) {
        innermost = Some(source);
    }
    match innermost {
        _ if error.is_timeout() => "it does not answer in time".to_owned(),
        Some(reason) => reason.to_string(),
        None => "the request cannot be made".to_owned(),
    }
}

fn unix_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use reelroom_protocol::proto::Room;

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
}
