//! Delivers signed webhooks: in order per room and per egress, with retries, without ever holding anybody up.
//!
//! ```text
//!   of rooms, and to this program itself ─► a queue in memory per URL and per room or egress, there while something waits in it
//!                                             └─► its task, one event after the other ─► a turn at the receiver ─► POST, tried again
//!   of recordings, to others ─► kept: written down first (desk), tried for a day, over restarts (schedule, courier)
//! ```
//!
//! # Invariants
//!
//! - A slow receiver delays only its own queue, and has nothing of what is kept for others dropped.
//! - What waits is bounded in events and in bytes, of which each receiver has the same share. What finds no room, or has waited too long, is dropped; the log tells the first
//!   of them, and the next event that gets through says how many they were (`num_dropped`).
//! - What waits in memory for others when the program is stopped waits on disk from then on, and is delivered by the next run.
//! - What others are told of a recording they hear at least once, in order, whoever is down or killed meanwhile: it is on disk before it is
//!   sent. Where the disk takes it not in time it is delivered as what is told of rooms is.

mod courier;
mod desk;
mod poster;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod schedule;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use prost::Message as _;
use reelroom_limits::http::WEBHOOKS_WAITING_BYTES;
use reelroom_protocol::ids::EventId;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::WebhookEvent;
use reelroom_protocol::webhook;
use reelroom_truth::{Truth, TruthError};
use tokio::sync::{Semaphore, watch};
use url::Url;

pub use courier::Tested;
pub use desk::{Replayed, Standing};
pub use reelroom_truth::{Delivery, DeliveryId, DeliveryState};

use courier::Courier;
use poster::{Poster, place, unix_s};

const QUEUE: usize = 200;
const TRIES: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// An event that has waited longer than this for those before it is not delivered any more.
const STALE_AFTER: Duration = Duration::from_secs(30);
/// A thousand rooms that close at once do not open a thousand connections to a receiver.
const REQUESTS_AT_ONCE: usize = 32;

/// A handle to the delivery of webhooks.
#[derive(Clone)]
pub struct Webhooks {
    shared: Arc<Shared>,
}

struct Shared {
    poster: Poster,
    state: Mutex<State>,
    /// How many events are on their way.
    pending: watch::Sender<usize>,
    /// What is kept on disk, where there is somebody to keep it for.
    courier: OnceLock<Arc<Courier>>,
    /// Where it would be kept, where that is set up.
    truth: OnceLock<Truth>,
}

#[derive(Default)]
struct State {
    urls: Vec<Url>,
    /// Those of them that no setting names.
    added: Vec<Url>,
    /// Each has a task, which takes what comes next out of it and removes it when it is empty.
    queues: HashMap<Key, VecDeque<Waiting>>,
    /// What the task of a queue is at.
    in_hand: HashMap<Key, Arc<WebhookEvent>>,
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
            // It may be of a time before the receiver was set anew.
            *waiting = waiting.saturating_sub(bytes);
        }
    }

    /// Has these receivers and those that were added. What waits for others waits no longer; gives how many events that are.
    fn set(&mut self, urls: &[Url]) -> usize {
        let is_new = |url: &&Url| !urls.contains(url);
        let all: Vec<Url> = urls.iter().chain(self.added.iter().filter(is_new)).cloned().collect();
        let gone: Vec<Url> = self.urls.iter().filter(|url| !all.contains(url)).cloned().collect();
        self.urls = all;
        let mut given_up = 0;
        for url in &gone {
            // A queue is removed by its task, which may be at one of its events.
            let queues = self.queues.iter_mut().filter(|((receiver, _), _)| receiver == url);
            let dropped: usize = queues.map(|(_, queue)| queue.drain(..).count()).sum();
            if dropped > 0 {
                let (to, count) = (place(url), dropped);
                tracing::warn!(
                    to,
                    count,
                    "webhooks that waited are dropped: their receiver is not set any more"
                );
            }
            given_up += dropped;
            self.waiting_bytes.remove(url);
            self.dropped.remove(url);
            self.turns.remove(url);
        }
        given_up
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
        let state = Mutex::new(State { urls, ..State::default() });
        let (poster, pending) = (Poster::new(keys), watch::Sender::new(0));
        let (courier, truth) = (OnceLock::new(), OnceLock::new());
        Self { shared: Arc::new(Shared { poster, state, pending, courier, truth }) }
    }

    /// Keeps what is told of recordings in `truth` until the receivers that are set by now have it; what a former run left is delivered.
    /// To be called once, before anything is sent, within a tokio runtime.
    ///
    /// # Errors
    /// What was left cannot be read.
    pub fn keep(&self, truth: Truth) -> Result<(), TruthError> {
        let _ = self.shared.truth.set(truth.clone());
        let urls = distinct(self.shared.lock().urls.clone());
        if urls.is_empty() {
            // Whoever is set later is told what happens from then on.
            if let Err(error) = truth.keep_no_webhooks("no receiver is set", courier::unix_ms()) {
                tracing::warn!(%error, "that no webhooks are kept is not written down");
            }
            return Ok(());
        }
        self.start_courier(truth, urls)
    }

    fn start_courier(&self, truth: Truth, urls: Vec<Url>) -> Result<(), TruthError> {
        let shared = Arc::downgrade(&self.shared);
        let from_memory = Box::new(move |event| {
            if let Some(shared) = shared.upgrade() {
                shared.enqueue(event, To::Kept);
            }
        });
        let courier = Courier::start(truth, urls, self.shared.poster.clone(), from_memory)?;
        let _ = self.shared.courier.set(courier);
        Ok(())
    }

    /// Delivers to these from now on, and to those that were added, and to nobody else: what waits for others is given up, and the log
    /// tells how much that is. To be called by one at a time, within a tokio runtime.
    ///
    /// # Errors
    /// The disk fails: rooms are told of all the same.
    pub async fn set_receivers(&self, urls: Vec<Url>) -> Result<(), TruthError> {
        let urls = distinct(urls);
        let given_up = self.shared.lock().set(&urls);
        self.shared.pending.send_modify(|pending| *pending -= given_up);
        match (self.courier(), self.shared.truth.get()) {
            (Some(courier), _) => courier.set(urls).await,
            (None, Some(truth)) if !urls.is_empty() => {
                let (webhooks, truth) = (self.clone(), truth.clone());
                courier::blocking(move || webhooks.start_courier(truth, urls)).await
            }
            (None, _) => Ok(()),
        }
    }

    /// What is kept on disk for whom; `None` where nothing is.
    fn courier(&self) -> Option<&Arc<Courier>> {
        self.shared.courier.get()
    }

    /// Tells what ended in a former run, with the time of each in Unix milliseconds, where that run was killed before it was kept.
    pub fn send_missed(&self, ends: Vec<(WebhookEvent, i64)>) {
        if let Some(courier) = self.courier().filter(|_| !ends.is_empty()) {
            let ends = ends.into_iter().map(|(event, ended_ms)| (named(event), ended_ms)).collect();
            courier.send_missed(ends);
        }
    }

    /// How the receivers stand for which something is kept.
    pub fn standing(&self) -> Vec<Standing> {
        self.courier().map(|courier| courier.standing()).unwrap_or_default()
    }

    /// The newest deliveries that are kept, newest first.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn deliveries(&self, most: usize) -> Result<Vec<Delivery>, TruthError> {
        match self.courier() {
            Some(courier) => courier.deliveries(most).await,
            None => Ok(Vec::new()),
        }
    }

    /// Makes a delivery once more.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn replay(&self, id: DeliveryId) -> Result<Replayed, TruthError> {
        match self.courier() {
            Some(courier) => courier.replay(id).await,
            None => Ok(Replayed::Unknown),
        }
    }

    /// Sends each receiver for which something is kept an event of the kind "test", once, and says what came of it.
    pub async fn test(&self) -> Vec<Tested> {
        match self.courier() {
            Some(courier) => {
                courier.test(named(WebhookEvent { event: "test".into(), ..Default::default() })).await
            }
            None => Vec::new(),
        }
    }

    /// Delivers to `url` too, from now on.
    pub fn add_url(&self, url: Url) {
        let mut state = self.shared.lock();
        if !state.urls.contains(&url) {
            state.urls.push(url.clone());
        }
        if !state.added.contains(&url) {
            state.added.push(url);
        }
    }

    /// Queues an event; its id and time are filled in where they are empty. Has to be called within a tokio runtime.
    pub fn send(&self, event: WebhookEvent) {
        let event = named(event);
        let kept = self.courier().filter(|_| event.egress_info.is_some());
        let to = match kept {
            Some(courier) if courier.offer(event.clone()) => To::NotKept,
            _ => To::All,
        };
        self.shared.enqueue(event, to);
    }

    /// Waits until everything is delivered or given up, but not longer than `within`.
    pub async fn flush(&self, within: Duration) {
        let mut pending = self.shared.pending.subscribe();
        let empty = async {
            // What is told last has to be on disk at least.
            if let Some(courier) = self.courier() {
                courier.quiet().await;
            }
            let _ = pending.wait_for(|pending| *pending == 0).await;
        };
        if tokio::time::timeout(within, empty).await.is_err() {
            tracing::warn!("some webhooks were not delivered before the end");
        }
    }

    /// Leaves what waits in memory to the next run, as far as something is kept for its receiver. To be called at the end, when nothing more is
    /// told: what is being sent at this moment may come twice.
    pub async fn leave(&self) {
        let Some(courier) = self.courier() else { return };
        let mut left: HashMap<Url, Vec<WebhookEvent>> = HashMap::new();
        {
            let mut state = self.shared.lock();
            // Nothing is tried here any more.
            state.urls.clear();
            let State { queues, in_hand, .. } = &mut *state;
            for (key, queue) in queues.iter_mut().filter(|((url, _), _)| courier.keeps_for(url)) {
                let first = in_hand.get(key).cloned();
                let events = first.into_iter().chain(queue.drain(..).map(|waiting| waiting.event));
                left.entry(key.0.clone()).or_default().extend(events.map(Arc::unwrap_or_clone));
            }
        }
        let left = left.into_iter().filter(|(_, events)| !events.is_empty());
        futures::future::join_all(left.map(|(url, events)| courier.keep_for(url, events))).await;
    }

    /// Tries nothing more of what is kept: the next run does.
    pub fn stop(&self) {
        if let Some(courier) = self.courier() {
            courier.stop();
        }
    }
}

/// Whom an event in memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    All,
    /// Those for whom it is not kept on disk.
    NotKept,
    /// Those for whom it could not be.
    Kept,
}

/// Each of them once, in their order.
fn distinct(urls: Vec<Url>) -> Vec<Url> {
    let mut distinct = Vec::new();
    for url in urls {
        if !distinct.contains(&url) {
            distinct.push(url);
        }
    }
    distinct
}

/// With an id and a time.
fn named(mut event: WebhookEvent) -> WebhookEvent {
    if event.id.is_empty() {
        event.id = EventId::generate(&mut rand::rng()).into();
    }
    if event.created_at == 0 {
        event.created_at = unix_s() as i64;
    }
    event
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the webhook queues")
    }

    /// Queues an event in memory.
    fn enqueue(self: &Arc<Self>, event: WebhookEvent, to: To) {
        let queue_key = match (&event.egress_info, &event.room) {
            (Some(egress), _) => egress.egress_id.clone(),
            (None, Some(room)) => room.name.clone(),
            (None, None) => String::new(),
        };
        let is_meant = |url: &Url| {
            let is_kept = self.courier.get().is_some_and(|courier| courier.keeps_for(url));
            match to {
                To::All => true,
                To::NotKept => !is_kept,
                To::Kept => is_kept,
            }
        };
        let (bytes, event) = (event.encoded_len(), Arc::new(event));
        let mut state = self.lock();
        let share = WEBHOOKS_WAITING_BYTES / state.urls.len().max(1);
        let urls: Vec<Url> = state.urls.iter().filter(|url| is_meant(url)).cloned().collect();
        for url in urls {
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
            self.pending.send_modify(|pending| *pending += 1);
            let waiting = Waiting { event: Arc::clone(&event), bytes, since: Instant::now() };
            state.queues.entry(key.clone()).or_default().push_back(waiting);
            if is_new {
                tokio::spawn(Arc::clone(self).work(key));
            }
        }
    }

    fn new_turns() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(REQUESTS_AT_ONCE))
    }

    async fn work(self: Arc<Self>, key: Key) {
        while let Some(waiting) = self.next(&key) {
            self.deliver(&key.0, &waiting).await;
            let mut state = self.lock();
            state.in_hand.remove(&key);
            state.delivered(&key.0, waiting.bytes);
            drop(state);
            self.pending.send_modify(|pending| *pending -= 1);
        }
    }

    /// What comes next out of a queue. `None` ends the queue: under the lock nothing can be added to it.
    fn next(&self, key: &Key) -> Option<Waiting> {
        let mut state = self.lock();
        let waiting = state.queues.get_mut(key)?.pop_front();
        match &waiting {
            Some(waiting) => state.in_hand.insert(key.clone(), Arc::clone(&waiting.event)),
            None => state.queues.remove(key).and(None),
        };
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
            if attempt > 1 && !self.lock().urls.contains(url) {
                return;
            }
            match self.post(url, body.clone()).await {
                Ok(()) => return,
                // Nobody is missed who is not to be told any more.
                Err(_) if !self.lock().urls.contains(url) => return,
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
        let status = self.poster.post(url, body).await?;
        if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
            return Err(status.to_string());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
