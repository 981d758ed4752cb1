//! What all of the recorder's tasks and routes share: the jobs, where their files are, and how the disk and the machine are.
//!
//! ```text
//!   service ─► egress ─┐
//!   runner, recovery ──┼──► Shared: jobs ─► store (on disk), webhooks
//!   disk ──────────────┘            turns, writers, space, capacity
//! ```
//!
//! Invariant: what stands here knows no route and no task; these know it.

use std::collections::{BTreeMap, HashSet, btree_map};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use reelroom_limits::library::{EGRESSES_KEPT, EGRESSES_OF_A_ROOM};
use reelroom_media::MediaServer;
use reelroom_protocol::ids::{EgressId, EventId, RoomName};
use reelroom_protocol::proto::{EgressInfo, EgressStatus, Room, WebhookEvent};
use reelroom_protocol::twirp::{TwirpCode, TwirpError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::capacity::Estimate;
use crate::capture::Notes;
use crate::compose::{Composition, Growth, Growths, Progress};
use crate::config::{EgressConfig, EgressLimits};
use crate::disk::space::Space;
use crate::disk::writers::Writers;
use crate::job::{Job, KEPT, Notice, Start};
use crate::shelf::{Growing, Shelf};
use crate::store::JobStore;
use crate::turns::Turns;
use crate::{request, template};

/// GStreamer's list of its plugins, for composers.
const REGISTRY: &str = "gstreamer-registry.bin";

pub(crate) struct Shared {
    pub(crate) config: EgressConfig,
    /// Those of `config`, until others are set. No other lock is taken under it.
    limits: Mutex<EgressLimits>,
    pub(crate) media: MediaServer,
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) store: JobStore,
    jobs: Mutex<BTreeMap<EgressId, Entry>>,
    /// Which job records to which place: a session of a room has one recorder for each path that was asked for. Locked after `jobs`.
    recording: Mutex<BTreeMap<Place, EgressId>>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    /// Cancelled before that when the next run goes on with what runs.
    pub(crate) suspending: CancellationToken,
    /// The places of composers.
    pub(crate) turns: Turns,
    /// Takes that a crash left are composed one after the other, because calls go first.
    pub(crate) recoveries: Semaphore,
    /// How the disk is.
    pub(crate) disk: watch::Sender<Space>,
    /// The takes' writers, which write to it.
    pub(crate) writers: Writers,
    /// How many recordings fit.
    pub(crate) capacity: watch::Sender<Estimate>,
}

/// A session of a room, and the place that was asked for, templates and all.
type Place = (String, String);

/// A job, and what this run of the program adds to it.
pub(crate) struct Entry {
    pub(crate) job: Job,
    pub(crate) stop: Arc<Notify>,
    progress: Arc<Progress>,
    /// When this run began the job; `None` for a job of a former run.
    began: Option<Instant>,
    /// Into the take that is being recorded.
    pub(crate) notes: Option<Notes>,
    /// A former run began it, and this one goes on with it, in whichever session its room has.
    pub(crate) goes_on: bool,
}

impl Entry {
    fn new(job: Job) -> Self {
        let progress = Arc::new(Progress::skipping(job.skips().to_vec()));
        Self { job, stop: Arc::default(), progress, began: None, notes: None, goes_on: false }
    }

    /// Whether it records that session of a room, as far as is known.
    fn records(&self, room: &RoomName, room_id: &str) -> bool {
        let info = self.job.info();
        captures(&self.job) && (info.room_id == room_id || (self.goes_on && info.room_name == room.as_str()))
    }

    /// Whether the job has been over for long enough. The wall clock may jump ahead, and must not make a job old that began a moment
    /// ago: while a job is known, no other one gets its file's name.
    fn is_forgotten(&self, now_ns: i64) -> bool {
        self.job.is_forgotten(now_ns) && self.began.is_none_or(|at| at.elapsed() >= KEPT)
    }

    /// The job as clients see it: with how far its composer is.
    pub(crate) fn info(&self) -> EgressInfo {
        let mut job = self.job.clone();
        let total_ns = self.progress.available_ns.load(Ordering::Relaxed);
        if total_ns > 0 && job.is_composed().is_none() {
            job.progress(self.progress.composed_ns.load(Ordering::Relaxed), total_ns);
        }
        job.info().clone()
    }
}

/// Whether a job captures. A job that is only composed may lag, and takes no room from others.
fn captures(job: &Job) -> bool {
    matches!(job.status(), EgressStatus::EgressStarting | EgressStatus::EgressActive)
}

fn already(other: &EgressId) -> TwirpError {
    let text = format!("egress {other} records this room to this file already");
    TwirpError::new(TwirpCode::AlreadyExists, text)
}

impl Shared {
    /// A recorder that knows no job yet.
    pub(crate) fn new(
        config: EgressConfig,
        media: MediaServer,
        shelf: Arc<dyn Shelf>,
        store: JobStore,
    ) -> Self {
        let turns = Turns::new(config.max_composers);
        Self {
            limits: Mutex::new(config.limits()),
            config,
            media,
            shelf,
            store,
            jobs: Mutex::default(),
            recording: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            suspending: CancellationToken::new(),
            turns,
            recoveries: Semaphore::new(1),
            disk: watch::Sender::new(Space::Plenty),
            writers: Writers::default(),
            capacity: watch::Sender::new(Estimate::UNKNOWN),
        }
    }

    /// All jobs, for as long as the guard is held.
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<EgressId, Entry>> {
        self.jobs.lock().expect("no code panics while it holds the jobs")
    }

    /// Knows a job of a former run.
    pub(crate) fn insert(&self, job: Job) {
        let id = EgressId::from(job.info().egress_id.as_str());
        self.lock().insert(id, Entry::new(job));
    }

    /// A job, if there is room for it, whose file name no other job has: two recordings of a room may begin in the same second.
    /// Refused while another one records to the place that was asked for.
    pub(crate) fn reserve(&self, mut start: Start<'_>) -> Result<(Job, Arc<Notify>), TwirpError> {
        let id = start.id.clone();
        let mut jobs = self.lock();
        let mut recording = self.recording.lock().expect("no code panics while it holds the places");
        recording.retain(|_, id| jobs.get(id).is_some_and(|entry| entry.job.is_recording()));
        let asked = request::asked_place(&start.request);
        let is_same = |entry: &Entry| {
            entry.goes_on
                && entry.records(start.room, start.room_id)
                && entry.job.request().is_some_and(|request| request::asked_place(request) == asked)
        };
        if let Some((other, _)) = jobs.iter().find(|&(_, entry)| is_same(entry)) {
            return Err(already(other));
        }
        let place = (start.room_id.to_owned(), asked);
        match recording.entry(place) {
            btree_map::Entry::Vacant(place) => {
                let of_room = |entry: &&Entry| entry.records(start.room, start.room_id);
                if jobs.values().filter(of_room).count() >= EGRESSES_OF_A_ROOM {
                    let text = format!(
                        "this room is recorded {EGRESSES_OF_A_ROOM} times already, and no more at once"
                    );
                    return Err(TwirpError::new(TwirpCode::ResourceExhausted, text));
                }
                let running = jobs.values().filter(|entry| captures(&entry.job)).count() as u64;
                if let Some(refusal) = self.estimate().refusal(running) {
                    tracing::warn!(running, refusal, "a recording was refused");
                    return Err(TwirpError::new(TwirpCode::ResourceExhausted, refusal));
                }
                place.insert(id.clone())
            }
            btree_map::Entry::Occupied(other) => {
                return Err(already(other.get()));
            }
        };
        // Upper and lower case are one name on some disks.
        let is_taken = |key: &str| {
            let mut others = jobs.values().map(|entry| &entry.job);
            let key = key.to_lowercase();
            others.any(|job| {
                job.plan().key.to_lowercase() == key && job.status() != EgressStatus::EgressAborted
            })
        };
        let wanted = start.plan.key.clone();
        let mut number = 2;
        while is_taken(&start.plan.key) {
            start.plan.key = template::numbered(&wanted, number);
            number += 1;
        }
        let job = Job::new(start);
        let entry = Entry { began: Some(Instant::now()), ..Entry::new(job.clone()) };
        let stop = Arc::clone(&entry.stop);
        jobs.insert(id, entry);
        Ok((job, stop))
    }

    /// Gives a job's file another name than a file of the store has, `attempt` being more each time.
    pub(crate) fn rename(&self, id: &EgressId, attempt: u32) {
        let mut jobs = self.lock();
        if let Some(entry) = jobs.get_mut(id) {
            let key = template::unique(&entry.job.plan().key, id.as_str(), attempt);
            entry.job.rename(key, unix_ns());
            self.store.put(id, &entry.job);
        }
    }

    /// How many recordings may run at once.
    pub(crate) fn estimate(&self) -> Estimate {
        self.capacity.borrow().at_most(self.limits().max_recordings)
    }

    /// What is in force of what may be set anew.
    pub(crate) fn limits(&self) -> EgressLimits {
        *self.limits.lock().expect("no code panics while it holds the limits")
    }

    pub(crate) fn set_limits(&self, limits: EgressLimits) {
        *self.limits.lock().expect("no code panics while it holds the limits") = limits;
    }

    /// Recordings that capture.
    pub(crate) fn running(&self) -> usize {
        self.lock().values().filter(|entry| captures(&entry.job)).count()
    }

    /// Changes a job, writes the change down and sends its webhook.
    pub(crate) fn update(&self, id: &EgressId, change: impl FnOnce(&mut Job) -> Option<Notice>) {
        let mut jobs = self.lock();
        let Some(entry) = jobs.get_mut(id) else { return };
        if let Some(notice) = change(&mut entry.job) {
            self.tell(id, &entry.job, notice);
        }
    }

    /// Writes a change down and sends its webhook. To be called under the lock, so that changes are told in their order.
    pub(crate) fn tell(&self, id: &EgressId, job: &Job, notice: Notice) {
        self.store.put(id, job);
        let info = job.info();
        let status = job.status().as_str_name();
        tracing::info!(egress = %id, room = info.room_name, status, details = info.details, error = info.error, "egress");
        self.media.webhooks().send(event(job, notice));
    }

    /// Tells of those of `jobs` that are over what a former run told, if it was not killed before it had written that down.
    pub(crate) fn tell_missed<'a>(&self, jobs: impl Iterator<Item = &'a Job>) {
        let ends = jobs
            .filter(|job| !job.is_active())
            .map(|job| (event(job, Notice::Ended), job.info().ended_at / 1_000_000));
        self.media.webhooks().send_missed(ends.collect());
    }

    pub(crate) fn job(&self, id: &EgressId) -> Option<Job> {
        self.lock().get(id).map(|entry| entry.job.clone())
    }

    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.lock().values().map(|entry| entry.job.clone()).collect()
    }

    /// Forgets jobs that are over for long enough, and the oldest of too many.
    pub(crate) fn forget_old(&self) {
        let now_ns = unix_ns();
        let mut jobs = self.lock();
        let mut over: Vec<_> = jobs
            .values()
            .filter(|entry| !entry.job.is_active())
            .map(|entry| (entry.job.info().ended_at, entry.job.info().egress_id.clone()))
            .collect();
        over.sort_unstable();
        let surplus = over.len().saturating_sub(EGRESSES_KEPT);
        let surplus: HashSet<String> = over.drain(..surplus).map(|(_, id)| id).collect();
        jobs.retain(|id, entry| {
            let is_forgotten = entry.is_forgotten(now_ns) || surplus.contains(id.as_str());
            if is_forgotten {
                self.store.remove(id);
            }
            !is_forgotten
        });
    }

    pub(crate) fn takes(&self) -> PathBuf {
        self.config.data_dir.join("takes")
    }

    /// Takes of recordings that are stored, kept for a while.
    pub(crate) fn kept(&self) -> PathBuf {
        self.config.data_dir.join("kept")
    }

    /// Writes a job down without telling anybody.
    pub(crate) fn keep(&self, id: &EgressId) {
        if let Some(job) = self.job(id) {
            self.store.put(id, &job);
        }
    }

    pub(crate) fn composed(&self) -> PathBuf {
        self.config.data_dir.join("composed")
    }

    pub(crate) fn take(&self, id: &EgressId) -> PathBuf {
        self.takes().join(id.as_str())
    }

    pub(crate) fn composed_file(&self, id: &EgressId) -> PathBuf {
        self.composed().join(format!("{id}.mp4"))
    }

    /// How far a job's composer is, and what it leaves out.
    pub(crate) fn progress(&self, id: &EgressId) -> Arc<Progress> {
        self.lock().get(id).map(|entry| Arc::clone(&entry.progress)).unwrap_or_default()
    }

    /// How a recording is composed. `wanted` is not cancelled yet: no client waits for the file.
    pub(crate) fn composition(self: &Arc<Self>, id: &EgressId, job: &Job, growth: Growth) -> Composition {
        let (shared, of) = (Arc::downgrade(self), id.clone());
        let tell = move |seconds: u64, total_ns: u64| {
            if let Some(shared) = shared.upgrade() {
                shared.grows(&of, seconds, total_ns);
            }
        };
        Composition {
            egress: id.clone(),
            command: self.config.compose_command.clone(),
            take: self.take(id),
            output: self.composed_file(id),
            registry: self.config.data_dir.join(REGISTRY),
            encoding: job.plan().encoding,
            audio_only: job.plan().audio_only,
            growth,
            silence: self.config.composer_silence,
            progress: self.progress(id),
            wanted: CancellationToken::new(),
            growth_told: Growths(Some(Arc::new(tell))),
        }
    }

    /// So much of a job's file plays while it is being made.
    pub(crate) fn grows(&self, id: &EgressId, seconds: u64, total_ns: u64) {
        let here = |job: &Job| job.plan().storage.is_none();
        let Some(job) = self.job(id).filter(here) else { return };
        let file = self.composed_file(id);
        self.shelf.grows(&Growing { file: &file, key: &job.plan().key, seconds, total_ns });
    }
}

/// What others are told of a job. That it has ended so is one event, also where a run of the program was killed before it had written down that it
/// told it, and the next one tells it again. One that failed and is given another chance may come to another end, which is another event.
fn event(job: &Job, notice: Notice) -> WebhookEvent {
    let info = job.info();
    let id = match notice {
        Notice::Ended => EventId::of_end(&info.egress_id.as_str().into(), job.status()).into(),
        // As it is sent.
        Notice::Started | Notice::Updated => String::new(),
    };
    WebhookEvent {
        event: notice.event().into(),
        id,
        room: Some(Room { sid: info.room_id.clone(), name: info.room_name.clone(), ..Room::default() }),
        egress_info: Some(info.clone()),
        ..WebhookEvent::default()
    }
}

/// Now, Unix nanoseconds.
pub(crate) fn unix_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().try_into().unwrap_or(i64::MAX)
}

pub(crate) async fn remove_dir(dir: &std::path::Path) {
    if let Err(error) = tokio::fs::remove_dir_all(dir).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %dir.display(), %error, "cannot be deleted");
    }
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::RoomCompositeEgressRequest;

    use super::*;
    use crate::job::Outcome;
    use crate::request::{Encoding, Plan};

    #[test]
    fn an_end_is_the_same_event_whichever_run_tells_it_and_another_end_is_another() {
        let plan = Plan {
            layout: "grid".into(),
            audio_only: false,
            encoding: Encoding::default(),
            key: "recordings/r.mp4".into(),
            manifest: true,
            storage: None,
        };
        let mut job = Job::new(Start {
            id: &"EG_1".into(),
            room: &"r".into(),
            room_id: "RM_1",
            request: RoomCompositeEgressRequest { room_name: "r".into(), ..Default::default() },
            plan,
            now_ns: 1,
        });
        assert!([Notice::Started, Notice::Updated].iter().all(|notice| event(&job, *notice).id.is_empty()));
        // Killed before it is written down, the next run comes to it again, later.
        let mut again = job.clone();
        assert_eq!(job.fail(2, "the store is away", 500), Some(Notice::Ended));
        assert_eq!(again.fail(3, "the store is still away", 500), Some(Notice::Ended));
        let [one, two] = [&job, &again].map(|job| event(job, Notice::Ended));
        assert_eq!((one.id.as_str(), &one.id), ("EV_1_FAILED", &two.id));
        assert_ne!(one.egress_info, two.egress_info);
        // What is finished after all is news.
        job.resume(4);
        assert_eq!(job.complete(5, Outcome::default()), Some(Notice::Ended));
        assert_eq!(event(&job, Notice::Ended).id, "EV_1_COMPLETE");
    }
}
