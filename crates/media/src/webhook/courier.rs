//! Brings what is kept to its receivers: one task writes down what is told, and one for each receiver sends what is due.
//!
//! ```text
//!   offer ─► write (a batch is one transaction) ─► desk ─► deliver: a few at once to each receiver ─► POST
//!     └ no room, or the disk takes nothing in time: from memory
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use reelroom_limits::events::{WEBHOOKS_AT_ONCE, WEBHOOKS_UNWRITTEN};
use reelroom_protocol::proto::WebhookEvent;
use reelroom_protocol::webhook;
use reelroom_truth::{Delivery, DeliveryId, Truth, TruthError};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::desk::{Answer, Desk, Job, Replayed, Standing};
use super::poster::{Poster, place};
use super::schedule::Room;

/// What is told in one moment is one transaction.
const BATCH: usize = 64;
/// A disk that has not taken it by then is stuck, and somebody may want to know why a recording ended.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// The same at the end of the program, for which others wait.
const LAST_WRITE_WITHIN: Duration = Duration::from_secs(1);
/// Where nothing waits.
const LONGEST_SLEEP: Duration = Duration::from_secs(60 * 60);
const QUIET_AFTER: Duration = Duration::from_millis(20);

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// What the receiver is called.
    pub receiver: String,
    /// Where it is, as far as that is no secret.
    pub place: String,
    /// What it answered, where it did.
    pub status: Option<u16>,
    /// Why it counts as not delivered; `None` where it does not.
    pub error: Option<String>,
    /// How long that took.
    pub took: Duration,
}

/// Takes an event that could not be written down.
type FromMemory = Box<dyn Fn(WebhookEvent) + Send + Sync>;

/// A receiver, and who is told that something was added for it.
struct Address {
    url: Url,
    wake: Notify,
}

/// The delivery of what is kept.
pub(super) struct Courier {
    desk: Arc<Desk>,
    /// Each has a task, also when it is not set any more: there is nothing to deliver then. They stand as the desk has them.
    addresses: RwLock<Vec<Arc<Address>>>,
    offered: mpsc::Sender<WebhookEvent>,
    /// Events that are not on disk yet, and deliveries of which it is not written down what came of them.
    unwritten: AtomicUsize,
    poster: Poster,
    from_memory: FromMemory,
    stop: CancellationToken,
}

impl Courier {
    /// Begins to deliver to `urls`, each of which is another one.
    pub(super) fn start(
        truth: Truth,
        urls: Vec<Url>,
        poster: Poster,
        from_memory: FromMemory,
    ) -> Result<Arc<Self>, TruthError> {
        let desk = Arc::new(Desk::open(truth, &urls, Room::default(), unix_ms())?);
        let (offered, events) = mpsc::channel(WEBHOOKS_UNWRITTEN);
        let (addresses, stop) = (RwLock::default(), CancellationToken::new());
        let unwritten = AtomicUsize::new(0);
        let courier = Arc::new(Self { desk, addresses, offered, unwritten, poster, from_memory, stop });
        tokio::spawn(Arc::clone(&courier).write(events));
        courier.deliver_to_new_ones();
        Ok(courier)
    }

    /// Delivers to these from now on, each of which is another one, and to nobody else.
    pub(super) async fn set(self: &Arc<Self>, urls: Vec<Url>) -> Result<(), TruthError> {
        let desk = Arc::clone(&self.desk);
        let set = blocking(move || desk.set(&urls, unix_ms())).await;
        self.deliver_to_new_ones();
        self.wake_all();
        set
    }

    /// Has a task for each receiver that the desk knows.
    fn deliver_to_new_ones(self: &Arc<Self>) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        for url in self.desk.urls().into_iter().skip(addresses.len()) {
            let (at, address) = (addresses.len(), Arc::new(Address { url, wake: Notify::new() }));
            addresses.push(Arc::clone(&address));
            tokio::spawn(Arc::clone(self).deliver(at, address));
        }
    }

    /// Whether something is kept for it.
    pub(super) fn keeps_for(&self, url: &Url) -> bool {
        self.desk.keeps_for(url)
    }

    /// Takes an event of a recording; false where too many wait to be written down.
    pub(super) fn offer(&self, event: WebhookEvent) -> bool {
        self.unwritten.fetch_add(1, Ordering::SeqCst);
        let is_taken = self.offered.try_send(event).is_ok();
        if !is_taken {
            self.unwritten.fetch_sub(1, Ordering::SeqCst);
        }
        is_taken
    }

    /// Keeps what did not get through to a receiver before the end: the next run delivers it.
    pub(super) async fn keep_for(&self, url: Url, events: Vec<WebhookEvent>) {
        let (desk, count) = (Arc::clone(&self.desk), events.len());
        let writing = blocking(move || desk.write_to(&url, &events, unix_ms()));
        let trouble = match tokio::time::timeout(LAST_WRITE_WITHIN, writing).await {
            Ok(Ok(())) => {
                return tracing::info!(count, "webhooks that were not delivered wait for the next start");
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the disk takes nothing".to_owned(),
        };
        tracing::warn!(error = trouble, count, "webhooks that were not delivered are lost");
    }

    /// Tells of ends what a former run did not keep.
    pub(super) fn send_missed(self: &Arc<Self>, ends: Vec<(WebhookEvent, i64)>) {
        let courier = Arc::clone(self);
        courier.unwritten.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let desk = Arc::clone(&courier.desk);
            match blocking(move || desk.write_missed(&ends, unix_ms())).await {
                Ok(()) => courier.wake_all(),
                Err(error) => tracing::warn!(%error, "whether all ends of recordings were told is not known"),
            }
            courier.unwritten.fetch_sub(1, Ordering::SeqCst);
        });
    }

    pub(super) fn standing(&self) -> Vec<Standing> {
        self.desk.standing()
    }

    pub(super) async fn deliveries(&self, most: usize) -> Result<Vec<Delivery>, TruthError> {
        let desk = Arc::clone(&self.desk);
        blocking(move || desk.deliveries(most)).await
    }

    pub(super) async fn replay(&self, id: DeliveryId) -> Result<Replayed, TruthError> {
        let desk = Arc::clone(&self.desk);
        let replayed = blocking(move || desk.replay(id, unix_ms())).await?;
        self.wake_all();
        Ok(replayed)
    }

    /// Sends an event to each receiver, once.
    pub(super) async fn test(&self, event: WebhookEvent) -> Vec<Tested> {
        let body = webhook::event_body(&event);
        let tests = self.desk.set_urls().into_iter().map(|url| {
            let body = body.clone();
            async move {
                let began = Instant::now();
                let Answer { status, error } = answer(self.poster.post(&url, body).await);
                let receiver = webhook::receiver_id(url.as_str());
                Tested { receiver, place: place(&url), status, error, took: began.elapsed() }
            }
        });
        futures::future::join_all(tests).await
    }

    /// Waits until nothing is left to be written down, and nothing is due.
    pub(super) async fn quiet(&self) {
        while self.unwritten.load(Ordering::SeqCst) > 0 || self.desk.is_busy(unix_ms()) {
            tokio::time::sleep(QUIET_AFTER).await;
        }
    }

    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    fn wake_all(&self) {
        let addresses = self.addresses.read().unwrap_or_else(PoisonError::into_inner);
        addresses.iter().for_each(|address| address.wake.notify_one());
    }

    /// Writes down what is told, as it comes.
    async fn write(self: Arc<Self>, mut events: mpsc::Receiver<WebhookEvent>) {
        loop {
            let mut batch = Vec::new();
            let taken = tokio::select! {
                taken = events.recv_many(&mut batch, BATCH) => taken,
                () = self.stop.cancelled() => 0,
            };
            if taken == 0 {
                return;
            }
            let (courier, kept) = (Arc::clone(&self), batch.clone());
            let writing = blocking(move || {
                let written = courier.desk.write(&kept, unix_ms());
                // Also when nobody waits for the disk any more.
                courier.wake_all();
                written
            });
            let trouble = match tokio::time::timeout(WRITE_WITHIN, writing).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the disk takes nothing".to_owned()),
            };
            if let Some(error) = trouble {
                tracing::warn!(error, count = taken, "webhooks are not written down, and sent all the same");
                batch.into_iter().for_each(&self.from_memory);
            }
            self.unwritten.fetch_sub(taken, Ordering::SeqCst);
        }
    }

    /// Sends one receiver what is due, as long as the program runs.
    async fn deliver(self: Arc<Self>, at: usize, address: Arc<Address>) {
        let mut out = JoinSet::new();
        loop {
            while out.try_join_next().is_some() {}
            let most = WEBHOOKS_AT_ONCE.saturating_sub(out.len());
            if most > 0 {
                let desk = Arc::clone(&self.desk);
                for job in blocking(move || desk.take(at, unix_ms(), most)).await {
                    self.unwritten.fetch_add(1, Ordering::SeqCst);
                    out.spawn(Arc::clone(&self).send(at, Arc::clone(&address), job));
                }
            }
            let next_ms = self.desk.next_ms(at).filter(|_| out.len() < WEBHOOKS_AT_ONCE);
            let pause = next_ms.map_or(LONGEST_SLEEP, |next_ms| {
                Duration::from_millis(next_ms.saturating_sub(unix_ms()).max(0).unsigned_abs())
            });
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = address.wake.notified() => {}
                _ = out.join_next(), if !out.is_empty() => {}
                () = tokio::time::sleep(pause.min(LONGEST_SLEEP)) => {}
            }
        }
    }

    async fn send(self: Arc<Self>, at: usize, address: Arc<Address>, job: Job) {
        let Job { id, body } = job;
        let answer = answer(self.poster.post(&address.url, body).await);
        tracing::debug!(to = place(&address.url), delivery = id.0, ?answer, "a webhook of a recording");
        let desk = Arc::clone(&self.desk);
        if let Err(error) = blocking(move || desk.answered(at, id, answer, unix_ms())).await {
            tracing::warn!(%error, delivery = id.0, "what became of a webhook is not written down");
        }
        self.unwritten.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Only what a receiver takes is delivered.
fn answer(answered: Result<StatusCode, String>) -> Answer {
    match answered {
        Ok(status) => {
            let error = (!status.is_success()).then(|| format!("it answers {status}"));
            Answer { status: Some(status.as_u16()), error }
        }
        Err(error) => Answer { status: None, error: Some(error) },
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The runtime ends, and with it whoever waits here.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

pub(super) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(i64::MAX)
}
