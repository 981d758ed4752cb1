//! Figures for whoever runs the program.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use reelroom_library::{Library, Status};

use crate::config::RecorderFigures;
use crate::receivers::ReceiverBody;

/// From what nobody notices to what everybody does.
const BUCKETS_S: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    recordings: Family<StatusLabels, Gauge<i64>>,
    store_up: Gauge<i64>,
    unreadable: Gauge<i64>,
    waiting: Gauge<i64>,
    resident: Gauge<u64, AtomicU64>,
    capacity: Gauge<i64>,
    disk_stalled: Gauge<f64, AtomicU64>,
    unbound: Gauge<i64>,
    media_dropped: Family<ReasonLabels, Counter>,
    webhooks_waiting: Gauge<i64>,
    webhooks_dropped: Counter,
    /// Recordings that were started by this program's API.
    pub(crate) started: Counter,
    /// Starts that were refused by the media server.
    pub(crate) start_failures: Counter,
}

impl Metrics {
    /// `records`: the recorder is in this program.
    pub(crate) fn new(records: bool) -> Self {
        let mut registry = Registry::with_prefix("reelroom");
        let requests = Family::default();
        let durations: Family<RouteLabels, Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS_S));
        let recordings = Family::default();
        let (started, start_failures) = (Counter::default(), Counter::default());
        let (store_up, waiting, resident) = (Gauge::default(), Gauge::default(), Gauge::default());
        let unreadable = Gauge::default();
        registry.register("http_requests", "HTTP requests answered", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Until the answer's head was sent",
            Unit::Seconds,
            durations.clone(),
        );
        registry.register("recordings", "Recordings in the library", recordings.clone());
        registry.register("recordings_started", "Recordings started", started.clone());
        registry.register(
            "recording_start_failures",
            "Recordings that could not be started",
            start_failures.clone(),
        );
        registry.register("store_up", "1 while the store of recordings can be read", store_up.clone());
        registry.register(
            "store_unreadable",
            "Objects and folders that could not be read when the store was listed the last time; /readyz tells why",
            unreadable.clone(),
        );
        registry.register("recordings_waiting", "Recordings that wait to be stored", waiting.clone());
        registry.register_with_unit(
            "resident_memory",
            "Memory of this process",
            Unit::Bytes,
            resident.clone(),
        );
        let (capacity, disk_stalled, unbound) = (Gauge::default(), Gauge::default(), Gauge::default());
        let media_dropped = Family::default();
        let (webhooks_waiting, webhooks_dropped) = (Gauge::default(), Counter::default());
        if records {
            registry.register(
                "webhooks_waiting",
                "Webhooks of recordings that wait to be delivered",
                webhooks_waiting.clone(),
            );
            registry.register(
                "webhooks_dropped",
                "Webhooks of recordings that were given up",
                webhooks_dropped.clone(),
            );
            registry.register(
                "media_dropped",
                "Datagrams, connections and data packets that the media server did not take or pass on",
                media_dropped.clone(),
            );
            registry.register(
                "media_addresses_unbound",
                "Addresses at which no media is received though it should be",
                unbound.clone(),
            );
            registry.register(
                "recordings_capacity",
                "How many more recordings this machine could begin to capture now",
                capacity.clone(),
            );
            registry.register_with_unit(
                "disk_stalled",
                "For how long the disk of the recordings has taken nothing, 0 while it does",
                Unit::Seconds,
                disk_stalled.clone(),
            );
        }
        Self {
            registry,
            requests,
            durations,
            recordings,
            store_up,
            unreadable,
            waiting,
            resident,
            capacity,
            disk_stalled,
            unbound,
            media_dropped,
            webhooks_waiting,
            webhooks_dropped,
            started,
            start_failures,
        }
    }

    /// `route` is one of the router's own texts, and not what somebody asked for.
    pub(crate) fn request(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let route = route.to_owned();
        let labels = RequestLabels { method: known(method), route: route.clone(), status: status.into() };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&RouteLabels { route }).observe(took.as_secs_f64());
    }

    /// What the media server did not take so far, by the reason.
    pub(crate) fn dropped(&self, counts: Vec<(&'static str, u64)>) {
        for (reason, count) in counts {
            let counter = self.media_dropped.get_or_create(&ReasonLabels { reason });
            counter.inc_by(count.saturating_sub(counter.get()));
        }
    }

    /// How those stand that are told of recordings.
    pub(crate) fn webhooks(&self, standing: &[ReceiverBody]) {
        let waiting: usize = standing.iter().map(|receiver| receiver.waiting).sum();
        self.webhooks_waiting.set(waiting.try_into().unwrap_or(i64::MAX));
        let dropped: u64 = standing.iter().map(|receiver| receiver.dropped).sum();
        self.webhooks_dropped.inc_by(dropped.saturating_sub(self.webhooks_dropped.get()));
    }

    /// The text that Prometheus reads.
    pub(crate) fn encode(
        &self,
        counts: Option<&HashMap<Status, u64>>,
        library: &Library,
        recorder: Option<RecorderFigures>,
        unbound: Option<usize>,
    ) -> String {
        self.unbound.set(unbound.unwrap_or(0).try_into().unwrap_or(i64::MAX));
        if let Some(counts) = counts {
            for status in Status::ALL {
                let count = counts.get(&status).copied().unwrap_or(0);
                let labels = StatusLabels { status: status.as_str() };
                self.recordings.get_or_create(&labels).set(count.try_into().unwrap_or(i64::MAX));
            }
        }
        self.store_up.set(library.trouble().is_none().into());
        let unreadable = library.listing_trouble().count;
        self.unreadable.set(unreadable.try_into().unwrap_or(i64::MAX));
        self.waiting.set(library.waiting().try_into().unwrap_or(i64::MAX));
        self.resident.set(resident_bytes().unwrap_or(0));
        if let Some(recorder) = recorder {
            self.capacity.set(recorder.more.try_into().unwrap_or(i64::MAX));
            self.disk_stalled.set(recorder.disk_stalled.as_secs_f64());
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string can be written to");
        text
    }
}

/// A label of a fixed set: every value is kept for as long as the program runs, and anybody can invent a method.
fn known(method: &Method) -> &'static str {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];
    KNOWN.iter().position(|one| one == method).map_or("other", |at| NAMES[at])
}

/// `VmRSS` of proc(5).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
