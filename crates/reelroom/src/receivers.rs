//! Whom the embedded media server tells of recordings, for the app's operator.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reelroom_app::{DeliveryBody, ReceiverBody, Receivers, Replay, TestBody};
use reelroom_media::webhook::{Delivery, DeliveryId, DeliveryState, Replayed, Standing, Tested, Webhooks};

/// The receivers of a media server.
pub(crate) struct OwnReceivers(pub(crate) Webhooks);

impl Receivers for OwnReceivers {
    fn standing(&self) -> Vec<ReceiverBody> {
        self.0.standing().into_iter().map(receiver).collect()
    }

    fn deliveries(&self, most: usize) -> BoxFuture<'_, Result<Vec<DeliveryBody>, String>> {
        async move {
            let all = self.0.deliveries(most).await;
            all.map(|all| all.into_iter().map(delivery).collect()).map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn replay(&self, id: i64) -> BoxFuture<'_, Result<Replay, String>> {
        async move {
            let replayed = self.0.replay(DeliveryId(id)).await;
            replayed.map(replay).map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn test(&self) -> BoxFuture<'_, Vec<TestBody>> {
        async move { self.0.test().await.into_iter().map(tested).collect() }.boxed()
    }
}

fn receiver(standing: Standing) -> ReceiverBody {
    ReceiverBody {
        receiver: standing.receiver,
        place: standing.place,
        waiting: standing.waiting,
        waiting_since: standing.since_ms,
        dropped: standing.dropped,
        trouble: standing.trouble,
    }
}

fn replay(replayed: Replayed) -> Replay {
    match replayed {
        Replayed::Queued(DeliveryId(id)) => Replay::Queued(id),
        Replayed::Unknown => Replay::Unknown,
        Replayed::NoReceiver => Replay::NoReceiver,
    }
}

fn delivery(delivery: Delivery) -> DeliveryBody {
    let Delivery { waiting, place, event_id, state, settled_ms, status, error } = delivery;
    DeliveryBody {
        id: waiting.id.0,
        receiver: waiting.receiver,
        place,
        event: waiting.event,
        event_id,
        egress_id: waiting.subject,
        state: state.as_str(),
        made_at: waiting.made_ms,
        tries: waiting.tries,
        next_try_at: (state == DeliveryState::Waiting).then_some(waiting.next_try_ms),
        settled_at: settled_ms,
        status,
        error,
    }
}

fn tested(tested: Tested) -> TestBody {
    TestBody {
        receiver: tested.receiver,
        place: tested.place,
        status: tested.status,
        error: tested.error,
        took: tested.took.as_millis().try_into().unwrap_or(u64::MAX),
    }
}
