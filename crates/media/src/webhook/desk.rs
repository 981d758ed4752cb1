//! Webhooks of recordings, written down before they are sent: which wait for whom, and what became of each. It waits for the disk, and the time
//! comes in; who sends is the courier.
//!
//! ```text
//!   write ─► truth ─► the schedule of each receiver ─► take ─► (sent) ─► answered ─► truth: delivered, or waits for another try
//!   open ──────────────►│ what a former run left               └─ a day old, or no room: dropped, and told
//! ```
//!
//! # Invariants
//!
//! - What is in a schedule is in the truth. What the truth could not be told of a delivery costs one more of the same after a restart, and
//!   never one less.
//! - No lock is held over what waits for the disk.

use std::sync::{Mutex, MutexGuard};

use reelroom_limits::events::{WEBHOOK_LASTS, WEBHOOKS_SHOWN};
use reelroom_protocol::proto::WebhookEvent;
use reelroom_protocol::webhook;
use reelroom_truth::{
    Delivery, DeliveryId, DeliveryState, NewDelivery, Settled, Truth, TruthError, WaitingDelivery,
};
use url::Url;

use super::poster::place;
use super::schedule::{Room, Schedule};

/// Behind which nothing more is told of a recording.
const ENDED: &str = "egress_ended";

const NOT_SET: &str = "its receiver is not set any more";
const LASTS_MS: i64 = WEBHOOK_LASTS.as_millis() as i64;
/// What waited longer than it may while the program did not run is tried for so long.
const TIME_AGAIN_MS: i64 = 10 * 60 * 1000;

/// What is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: DeliveryId,
    pub(super) body: Vec<u8>,
}

/// What a receiver said, or why nothing came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    /// `None`: it is delivered.
    pub(super) error: Option<String>,
}

/// How deliveries to a receiver stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the receiver is called.
    pub receiver: String,
    /// Where it is, as far as that is no secret.
    pub place: String,
    /// Deliveries that wait.
    pub waiting: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Since when the oldest waits: Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Deliveries that this run of the program has given up.
    pub dropped: u64,
    /// Why the last try failed; `None` where the last one did not.
    pub trouble: Option<String>,
}

/// What comes of asking for a delivery once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It waits under this id.
    Queued(DeliveryId),
    /// There is none, or it is not known any more.
    Unknown,
    /// Its receiver is not set any more.
    NoReceiver,
}

struct Receiver {
    id: String,
    url: Url,
    /// Nothing is kept for one that is not set any more. It keeps its place: whoever sends knows it by that.
    is_set: bool,
    schedule: Schedule,
    dropped: u64,
    /// Of those: so many that the receiver was not told of.
    untold: i32,
    trouble: Option<String>,
}

impl Receiver {
    fn new(url: &Url, room: Room) -> Self {
        Self {
            id: webhook::receiver_id(url.as_str()),
            url: url.clone(),
            is_set: true,
            schedule: Schedule::new(room),
            dropped: 0,
            untold: 0,
            trouble: None,
        }
    }

    /// The first drop after it was told of all is in the log.
    fn drop_one(&mut self, id: DeliveryId, reason: &str) {
        if self.untold == 0 {
            let to = place(&self.url);
            tracing::warn!(to, delivery = id.0, reason, "webhooks of recordings are dropped, this one first");
        }
        self.dropped += 1;
        self.untold = self.untold.saturating_add(1);
    }
}

/// All deliveries that are kept.
pub(super) struct Desk {
    truth: Truth,
    since_ms: i64,
    /// What may wait for one receiver.
    room: Room,
    /// Those that were ever set in this run: as many as somebody wrote into the settings meanwhile.
    receivers: Mutex<Vec<Receiver>>,
}

impl Desk {
    /// Takes up what a former run left: all of it is tried at once.
    pub(super) fn open(truth: Truth, urls: &[Url], room: Room, now_ms: i64) -> Result<Self, TruthError> {
        let since_ms = truth.webhooks_kept_since(now_ms)?;
        let receivers = urls.iter().map(|url| Receiver::new(url, room));
        let desk = Self { truth, since_ms, room, receivers: Mutex::new(receivers.collect()) };
        let left = desk.truth.waiting_deliveries()?;
        let (known, unknown): (Vec<_>, Vec<_>) = {
            let receivers = desk.lock();
            left.into_iter().partition(|one| receivers.iter().any(|receiver| receiver.id == one.receiver))
        };
        if !unknown.is_empty() {
            let count = unknown.len();
            tracing::warn!(count, "webhooks that waited are dropped: their receivers are not set any more");
        }
        // Calls do not depend on what becomes of these.
        let unknown: Vec<DeliveryId> = unknown.into_iter().map(|one| one.id).collect();
        let dropped = desk.truth.drop_deliveries(&unknown, NOT_SET, now_ms, WEBHOOKS_SHOWN);
        // Whoever was away as long as this program has some time to take what waits.
        let earliest_ms = now_ms.saturating_sub(LASTS_MS - TIME_AGAIN_MS);
        let known = known.into_iter().map(|one| WaitingDelivery {
            made_ms: one.made_ms.max(earliest_ms),
            next_try_ms: now_ms,
            tries: 0,
            ..one
        });
        if let Err(error) = dropped.and(desk.schedule(known.collect(), now_ms)) {
            tracing::warn!(%error, "that webhooks were dropped is not written down");
        }
        Ok(desk)
    }

    /// Keeps something for these from now on, each of which is another one, and for nobody else: what waits for others is given up, and told.
    ///
    /// # Errors
    /// The disk fails: all of it holds in this run, and what is given up may be seen by the next one.
    pub(super) fn set(&self, urls: &[Url], now_ms: i64) -> Result<(), TruthError> {
        let mut given_up = Vec::new();
        {
            let mut receivers = self.lock();
            for receiver in receivers.iter_mut() {
                let was_set = std::mem::replace(&mut receiver.is_set, urls.contains(&receiver.url));
                if was_set && !receiver.is_set {
                    let waiting = receiver.schedule.take_all();
                    if !waiting.is_empty() {
                        let (to, count) = (place(&receiver.url), waiting.len());
                        tracing::warn!(
                            to,
                            count,
                            "webhooks that waited are dropped: their receiver is not set any more"
                        );
                    }
                    (receiver.trouble, receiver.untold) = (None, 0);
                    given_up.extend(waiting);
                }
            }
            for url in urls {
                if receivers.iter().all(|receiver| receiver.url != *url) {
                    receivers.push(Receiver::new(url, self.room));
                }
            }
        }
        self.truth.drop_deliveries(&given_up, NOT_SET, now_ms, WEBHOOKS_SHOWN)
    }

    /// All that were ever set, in the order in which they are known by number.
    pub(super) fn urls(&self) -> Vec<Url> {
        self.lock().iter().map(|receiver| receiver.url.clone()).collect()
    }

    /// Those for which something is kept.
    pub(super) fn set_urls(&self) -> Vec<Url> {
        self.lock().iter().filter(|receiver| receiver.is_set).map(|receiver| receiver.url.clone()).collect()
    }

    /// Whether something is kept for it.
    pub(super) fn keeps_for(&self, url: &Url) -> bool {
        self.lock().iter().any(|receiver| receiver.is_set && receiver.url == *url)
    }

    /// Keeps events of recordings for all receivers.
    pub(super) fn write(&self, events: &[WebhookEvent], now_ms: i64) -> Result<(), TruthError> {
        self.write_for(|_| true, events, now_ms)
    }

    /// Keeps events for one receiver, which all others have heard or will hear otherwise.
    pub(super) fn write_to(&self, url: &Url, events: &[WebhookEvent], now_ms: i64) -> Result<(), TruthError> {
        self.write_for(|receiver| receiver.url == *url, events, now_ms)
    }

    fn write_for(
        &self,
        is_meant: impl Fn(&Receiver) -> bool,
        events: &[WebhookEvent],
        now_ms: i64,
    ) -> Result<(), TruthError> {
        let told: Vec<(String, String, i32)> = {
            let mut receivers = self.lock();
            let take =
                |one: &mut Receiver| (one.id.clone(), place(&one.url), std::mem::take(&mut one.untold));
            receivers.iter_mut().filter(|one| one.is_set && is_meant(one)).map(take).collect()
        };
        let mut new = Vec::new();
        for (receiver, place, untold) in &told {
            for (number, event) in events.iter().enumerate() {
                let num_dropped = if number == 0 { *untold } else { 0 };
                new.push(NewDelivery {
                    receiver: receiver.clone(),
                    place: place.clone(),
                    subject: subject(event),
                    event: event.event.clone(),
                    event_id: event.id.clone(),
                    body: webhook::event_body(&WebhookEvent { num_dropped, ..event.clone() }),
                });
            }
        }
        let ended: Vec<String> = events.iter().filter(|event| event.event == ENDED).map(subject).collect();
        // Recordings that are over are known for a day.
        let forgotten_ms = now_ms.saturating_sub(3 * WEBHOOK_LASTS.as_millis() as i64);
        match self.truth.add_deliveries(&new, &ended, now_ms, forgotten_ms) {
            Ok(added) => self.schedule(added, now_ms),
            Err(error) => {
                let mut receivers = self.lock();
                for (id, _, untold) in &told {
                    if let Some(receiver) = receivers.iter_mut().find(|receiver| receiver.id == *id) {
                        receiver.untold = receiver.untold.saturating_add(*untold);
                    }
                }
                Err(error)
            }
        }
    }

    /// Keeps those of ends, with the time of each in Unix milliseconds, that a former run was killed before it kept.
    pub(super) fn write_missed(&self, ends: &[(WebhookEvent, i64)], now_ms: i64) -> Result<(), TruthError> {
        let mut missed = Vec::new();
        for (event, ended_ms) in ends {
            // What ended before deliveries were kept was delivered as well as that version could.
            if *ended_ms >= self.since_ms && !self.truth.is_told(&subject(event))? {
                missed.push(event.clone());
            }
        }
        if missed.is_empty() { Ok(()) } else { self.write(&missed, now_ms) }
    }

    /// What of a receiver is to be sent now, `most` at most. Each is to be answered.
    pub(super) fn take(&self, at: usize, now_ms: i64, most: usize) -> Vec<Job> {
        let (expired, due) = {
            let mut receivers = self.lock();
            let receiver = &mut receivers[at];
            let expired = receiver.schedule.take_expired(now_ms);
            for (id, _) in &expired {
                receiver.drop_one(*id, "it has waited for a day");
            }
            (expired, receiver.schedule.take_due(now_ms, most))
        };
        for (id, tries) in expired {
            let error = Some("nobody has taken it for a day".into());
            let state = DeliveryState::Expired;
            let settled = Settled { state, at_ms: now_ms, tries, next_try_ms: now_ms, status: None, error };
            if let Err(error) = self.truth.settle_delivery(id, &settled, WEBHOOKS_SHOWN) {
                // After a restart it is seen once more.
                tracing::warn!(%error, delivery = id.0, "that a webhook was given up is not written down");
            }
        }
        let mut jobs = Vec::new();
        for id in due {
            match self.truth.delivery_body(id) {
                Ok(Some(body)) => jobs.push(Job { id, body }),
                Ok(None) => {
                    self.lock()[at].schedule.forget(id);
                }
                Err(error) => {
                    // It is tried again when the disk may give it.
                    tracing::warn!(%error, delivery = id.0, "a webhook that waits cannot be read");
                    self.lock()[at].schedule.failed(id, now_ms);
                }
            }
        }
        jobs
    }

    /// What came of sending it.
    pub(super) fn answered(
        &self,
        at: usize,
        id: DeliveryId,
        answer: Answer,
        now_ms: i64,
    ) -> Result<(), TruthError> {
        let Answer { status, error } = answer;
        let settled = {
            let mut receivers = self.lock();
            let receiver = &mut receivers[at];
            let to = place(&receiver.url);
            let (state, tries, next_try_ms) = match &error {
                None => (DeliveryState::Delivered, receiver.schedule.delivered(id, now_ms), now_ms),
                Some(_) if status.is_some_and(is_refusal) && receiver.schedule.is_refused_for_good(id) => {
                    receiver.drop_one(id, "its receiver refuses it");
                    (DeliveryState::Dropped, receiver.schedule.forget(id).saturating_add(1), now_ms)
                }
                Some(_) => {
                    let Some(again) = receiver.schedule.failed(id, now_ms) else { return Ok(()) };
                    (DeliveryState::Waiting, again.tries, again.next_try_ms)
                }
            };
            match (&receiver.trouble, &error) {
                (None, Some(error)) => {
                    tracing::warn!(to, error, "webhooks of recordings wait until their receiver takes them");
                }
                (Some(_), None) => tracing::info!(to, "the receiver takes webhooks of recordings again"),
                _ => {}
            }
            receiver.trouble.clone_from(&error);
            Settled { state, at_ms: now_ms, tries, next_try_ms, status, error }
        };
        self.truth.settle_delivery(id, &settled, WEBHOOKS_SHOWN)
    }

    /// Has a delivery made once more.
    pub(super) fn replay(&self, id: DeliveryId, now_ms: i64) -> Result<Replayed, TruthError> {
        let Some(again) = self.truth.replay_delivery(id, now_ms)? else { return Ok(Replayed::Unknown) };
        let is_known = self.lock().iter().any(|receiver| receiver.is_set && receiver.id == again.receiver);
        if !is_known {
            self.drop_row(again.id, 0, NOT_SET, now_ms)?;
            return Ok(Replayed::NoReceiver);
        }
        let id = again.id;
        self.schedule(vec![again], now_ms)?;
        Ok(Replayed::Queued(id))
    }

    /// The newest deliveries, newest first.
    pub(super) fn deliveries(&self, most: usize) -> Result<Vec<Delivery>, TruthError> {
        self.truth.deliveries(most)
    }

    /// When something is to be done for a receiver.
    pub(super) fn next_ms(&self, at: usize) -> Option<i64> {
        self.lock()[at].schedule.next_ms()
    }

    /// Whether something is being sent, or is due.
    pub(super) fn is_busy(&self, now_ms: i64) -> bool {
        self.lock().iter().any(|receiver| receiver.schedule.is_busy(now_ms))
    }

    /// How each receiver stands.
    pub(super) fn standing(&self) -> Vec<Standing> {
        let receivers = self.lock();
        let standing = receivers.iter().filter(|receiver| receiver.is_set).map(|receiver| Standing {
            receiver: receiver.id.clone(),
            place: place(&receiver.url),
            waiting: receiver.schedule.len(),
            bytes: receiver.schedule.bytes(),
            since_ms: receiver.schedule.since_ms(),
            dropped: receiver.dropped,
            trouble: receiver.trouble.clone(),
        });
        standing.collect()
    }

    /// Puts into schedules what the truth has; what finds no room there is dropped.
    fn schedule(&self, waiting: Vec<WaitingDelivery>, now_ms: i64) -> Result<(), TruthError> {
        let mut gone = Vec::new();
        {
            let mut receivers = self.lock();
            for one in waiting {
                let known = receivers.iter_mut().find(|receiver| receiver.id == one.receiver);
                let Some(receiver) = known.filter(|receiver| receiver.is_set) else {
                    // It was set until a moment ago.
                    gone.push((one.id, NOT_SET));
                    continue;
                };
                for id in receiver.schedule.add(&one) {
                    receiver.drop_one(id, "too many wait");
                    gone.push((id, "too many waited"));
                }
            }
        }
        gone.into_iter().try_for_each(|(id, why)| self.drop_row(id, 0, why, now_ms))
    }

    fn drop_row(&self, id: DeliveryId, tries: u32, why: &str, now_ms: i64) -> Result<(), TruthError> {
        let (state, error) = (DeliveryState::Dropped, Some(why.to_owned()));
        let settled = Settled { state, at_ms: now_ms, tries, next_try_ms: now_ms, status: None, error };
        self.truth.settle_delivery(id, &settled, WEBHOOKS_SHOWN)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Receiver>> {
        self.receivers.lock().expect("no code panics while it holds the receivers")
    }
}

/// Whether a status says that the same will not be taken later either: it is no answer of a server in trouble, and asks for no other try.
fn is_refusal(status: u16) -> bool {
    (300..500).contains(&status) && ![408, 425, 429].contains(&status)
}

/// What an event is of: a recording, or else a session of a room.
fn subject(event: &WebhookEvent) -> String {
    let egress = event.egress_info.as_ref().map(|info| info.egress_id.clone());
    egress.or_else(|| event.room.as_ref().map(|room| room.sid.clone())).unwrap_or_default()
}

#[cfg(test)]
mod tests;
