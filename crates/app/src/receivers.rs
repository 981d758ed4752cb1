//! Those that are told of recordings by webhook: what the media server of this program says of them. It knows no route.

use futures::future::BoxFuture;
use serde::Serialize;
use utoipa::ToSchema;

/// Those that are told of recordings by webhook, as far as it is kept what they are told.
pub trait Receivers: Send + Sync {
    /// How each stands.
    fn standing(&self) -> Vec<ReceiverBody>;

    /// The newest deliveries, newest first. The error says what is wrong with the disk.
    fn deliveries(&self, most: usize) -> BoxFuture<'_, Result<Vec<DeliveryBody>, String>>;

    /// Makes a delivery once more.
    fn replay(&self, id: i64) -> BoxFuture<'_, Result<Replay, String>>;

    /// Sends each receiver an event of the kind "test", once.
    fn test(&self) -> BoxFuture<'_, Vec<TestBody>>;
}

/// What comes of asking for a delivery once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It waits under this id.
    Queued(i64),
    /// There is none, or it is not known any more.
    Unknown,
    /// Its receiver is not set any more.
    NoReceiver,
}

/// A receiver of webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverBody {
    /// What it is called: no secret, and the same as long as its URL is.
    pub receiver: String,
    /// Scheme and host of its URL.
    pub place: String,
    /// Webhooks of recordings that wait for it.
    pub waiting: usize,
    /// Since when the oldest waits: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<i64>,
    /// Webhooks of recordings that were given up since the program began.
    pub dropped: u64,
    /// Why the last try failed; absent where it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// A webhook for one receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryBody {
    /// For making it once more.
    pub id: i64,
    /// What its receiver is called.
    pub receiver: String,
    /// Scheme and host of the receiver's URL.
    pub place: String,
    /// egress_started, egress_updated or egress_ended.
    pub event: String,
    /// The id in the event: by it a receiver tells what it has had already.
    pub event_id: String,
    /// Of the recording.
    pub egress_id: String,
    /// waiting, delivered, expired (nobody took it for a day) or dropped (too many waited, or its receiver is not set any more).
    pub state: &'static str,
    /// Milliseconds since 1970.
    pub made_at: i64,
    /// Tries so far.
    pub tries: u32,
    /// While it waits: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<i64>,
    /// When it was delivered or given up: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<i64>,
    /// HTTP status of the last answer; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why the last try failed, or why it was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What came of a test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestBody {
    /// What the receiver is called.
    pub receiver: String,
    /// Scheme and host of the receiver's URL.
    pub place: String,
    /// HTTP status of the answer; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it counts as not delivered; absent where it is delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Milliseconds.
    pub took: u64,
}

/// What an operator should look at.
pub(crate) fn warnings(standing: &[ReceiverBody], now_ms: i64) -> Vec<String> {
    let mut warnings = Vec::new();
    for ReceiverBody { place, waiting, waiting_since, dropped, trouble, .. } in standing {
        if let (Some(trouble), Some(since)) = (trouble, waiting_since) {
            let seconds = now_ms.saturating_sub(*since).max(0) / 1000;
            warnings.push(format!("{waiting} webhooks to {place} wait, for {seconds} s by now: {trouble}"));
        }
        if *dropped > 0 {
            warnings.push(format!(
                "{dropped} webhooks to {place} were given up: /webhooks/deliveries tells which"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_looks_is_told_of_receivers_that_take_nothing_and_of_what_was_given_up() {
        let fine = ReceiverBody { place: "https://a.example".into(), ..ReceiverBody::default() };
        assert!(warnings(std::slice::from_ref(&fine), 0).is_empty());
        let down = ReceiverBody {
            waiting: 3,
            waiting_since: Some(1000),
            dropped: 2,
            trouble: Some("it does not answer in time".into()),
            ..fine
        };
        assert_eq!(
            warnings(&[down], 61_000),
            [
                "3 webhooks to https://a.example wait, for 60 s by now: it does not answer in time",
                "2 webhooks to https://a.example were given up: /webhooks/deliveries tells which"
            ]
        );
    }
}
