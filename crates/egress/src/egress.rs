//! The recorder of a server: all its jobs.

use std::collections::{BTreeMap, btree_map};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use reelroom_media::MediaServer;
use reelroom_protocol::ids::{EgressId, RoomName};
use reelroom_protocol::proto::{
    EgressInfo, EgressStatus, ListEgressRequest, Room, RoomCompositeEgressRequest, WebhookEvent,
};
use reelroom_protocol::twirp::{TwirpCode, TwirpError};
use reelroom_take::{Take, TakeError, TakeHandle, TakeHeader};
use time::OffsetDateTime;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::capacity::Estimate;
use crate::capture::{self, Capturing, Notes, Sink};
use crate::compose::{Composition, Growth, Progress, SILENCE};
use crate::disk::{self, Space, Writers};
use crate::error::EgressError;
use crate::job::{Job, KEPT, NotActive, Notice, Start};
use crate::shelf::Shelf;
use crate::store::JobStore;
use crate::template::Facts;
use crate::turns::Turns;
use crate::{recovery, request, runner, service, template};

/// How long a stopping server waits for files to be finished; the next start finishes the others.
const FINISH_WITHIN: Duration = Duration::from_secs(8);
/// For the take's last words and the job's, beyond that.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(10);
/// A disk that has not made an empty take by then is stuck, and somebody waits for the answer.
const MAKE_TAKE_WITHIN: Duration = Duration::from_secs(5);
/// GStreamer's list of its plugins, for composers.
const REGISTRY: &str = "gstreamer-registry.bin";
const FIRST_UPLOAD_BACKOFF: Duration = Duration::from_secs(1);

/// How the recorder is set up.
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// Has `takes/` (recordings in the making), `composed/` (their MP4s) and `egress/` (jobs).
    pub data_dir: PathBuf,
    /// Program and first arguments; followed by `TAKE -o OUT --progress …` as of `reelroom compose`.
    pub compose_command: Vec<OsString>,
    /// How long files may still be finished after [`Egress::shutdown`] was called.
    pub finish_within: Duration,
    /// The first pause after a failed upload; the next ones are longer.
    pub upload_backoff: Duration,
    /// How long takes are kept in `kept/` once their recording is stored; zero: not at all.
    pub keep_takes: Duration,
    /// A composer that says nothing for so long hangs.
    pub composer_silence: Duration,
    /// Free bytes of the disk that recording leaves alone: below them recordings are ended, and none begins.
    pub disk_reserve_bytes: u64,
    /// So many recordings at once and no more; 0: as many as this machine can capture.
    pub max_recordings: u64,
    /// So many recordings are composed while they run, and half as many more when they are over; 0: two for each processor.
    pub max_composers: usize,
}

/// How the recorder is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Recordings that capture.
    pub running: u64,
    /// How many more could begin now.
    pub more: u64,
    /// The disk has taken nothing for so long.
    pub disk_stalled: Duration,
    /// Why no recording can begin, if the disk is the reason.
    pub trouble: Option<String>,
}

impl EgressConfig {
    /// With the usual times.
    pub fn new(data_dir: impl Into<PathBuf>, compose_command: Vec<OsString>) -> Self {
        Self {
            data_dir: data_dir.into(),
            compose_command,
            finish_within: FINISH_WITHIN,
            upload_backoff: FIRST_UPLOAD_BACKOFF,
            keep_takes: Duration::ZERO,
            composer_silence: SILENCE,
            disk_reserve_bytes: 0,
            max_recordings: 0,
            max_composers: 0,
        }
    }
}

/// A handle to the recorder.
#[derive(Clone)]
pub struct Egress {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) config: EgressConfig,
    pub(crate) media: MediaServer,
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) store: JobStore,
    jobs: Mutex<BTreeMap<EgressId, Entry>>,
    /// Who records what: a session of a room has one recorder for each path that was asked for. Locked after `jobs`.
    recording: Mutex<BTreeMap<Place, EgressId>>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopping: CancellationToken,
    /// Whose composer runs.
    pub(crate) turns: Turns,
    /// What a crash left is composed one after the other: calls go first.
    pub(crate) recoveries: Semaphore,
    /// How the disk is.
    pub(crate) disk: watch::Sender<Space>,
    /// Who writes to it.
    pub(crate) writers: Writers,
    /// How many recordings fit.
    pub(crate) capacity: watch::Sender<Estimate>,
}

/// A session of a room, and the file path that was asked for, templates and all.
type Place = (String, String);

struct Entry {
    job: Job,
    stop: Arc<Notify>,
    progress: Arc<Progress>,
    /// Since when this run knows a job that it began itself.
    began: Option<Instant>,
    /// Into the take that is being recorded.
    notes: Option<Notes>,
}

impl Entry {
    fn new(job: Job) -> Self {
        let progress = Arc::new(Progress::skipping(job.skips().to_vec()));
        Self { job, stop: Arc::default(), progress, began: None, notes: None }
    }

    /// Over for long enough. A wall clock that jumps ahead makes nothing old that began a moment ago: while a job is known, no
    /// other one gets its file's name.
    fn is_forgotten(&self, now_ns: i64) -> bool {
        self.job.is_forgotten(now_ns) && self.began.is_none_or(|at| at.elapsed() >= KEPT)
    }

    /// The job as it is told: with how far its composer is.
    fn info(&self) -> EgressInfo {
        let mut job = self.job.clone();
        let total_ns = self.progress.available_ns.load(Ordering::Relaxed);
        if total_ns > 0 && job.is_composed().is_none() {
            job.progress(self.progress.composed_ns.load(Ordering::Relaxed), total_ns);
        }
        job.info().clone()
    }
}

impl Egress {
    /// Starts the recorder, and begins to finish what a former run left. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// The data folder cannot be used.
    pub async fn start(
        config: EgressConfig,
        media: MediaServer,
        shelf: Arc<dyn Shelf>,
    ) -> Result<Self, EgressError> {
        if config.compose_command.is_empty() {
            return Err(EgressError::NoComposeCommand);
        }
        let (store, known) = JobStore::open(&config.data_dir.join("egress"))?;
        let turns = Turns::new(config.max_composers);
        let shared = Arc::new(Shared {
            config,
            media,
            shelf,
            store,
            jobs: Mutex::default(),
            recording: Mutex::default(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            turns,
            recoveries: Semaphore::new(1),
            disk: watch::Sender::new(Space::Plenty),
            writers: Writers::default(),
            capacity: watch::Sender::new(Estimate::UNKNOWN),
        });
        for folder in [shared.takes(), shared.composed(), shared.kept()] {
            std::fs::create_dir_all(&folder).map_err(EgressError::data_dir(&folder))?;
        }
        for job in known {
            shared.insert(job);
        }
        shared.forget_old();
        recovery::begin(&shared)?;
        shared.tasks.spawn(disk::watch(Arc::clone(&shared)));
        Ok(Self { shared })
    }

    /// `/twirp/livekit.Egress/…`, for any origin.
    pub fn router(&self) -> Router {
        service::router().layer(reelroom_media::cors()).with_state(self.clone())
    }

    /// Ends all recordings in order and gives their files a bounded time to be finished; the rest is finished by the next start.
    /// To be called before the media server is shut down.
    pub async fn shutdown(&self) {
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        let within = self.shared.config.finish_within + SHUTDOWN_WITHIN;
        if tokio::time::timeout(within, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("some recordings could not be ended in time; the next start recovers them");
        }
        self.shared.store.flush().await;
    }

    /// StartRoomCompositeEgress.
    ///
    /// # Errors
    /// As LiveKit answers: `not_found` without such a room, `invalid_argument`, `unimplemented`; `already_exists` while the room is
    /// being recorded to the same path; `resource_exhausted` when this machine has no room for another recording.
    pub(crate) async fn start_room_composite(
        &self,
        request: RoomCompositeEgressRequest,
    ) -> Result<EgressInfo, TwirpError> {
        let shared = &self.shared;
        if shared.stopping.is_cancelled() {
            return Err(TwirpError::new(TwirpCode::Unavailable, "no response from servers"));
        }
        if let Some(refusal) = shared.disk.borrow().refusal() {
            return Err(TwirpError::new(TwirpCode::ResourceExhausted, refusal));
        }
        let room_name = RoomName::from(request.room_name.as_str());
        let room = shared.media.rooms().with(&room_name, |room, _| room.info()).await?;
        let (began, now_ns) = (Instant::now(), unix_ns());
        let at =
            OffsetDateTime::from_unix_timestamp_nanos(now_ns.into()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let facts = Facts { room_name: &request.room_name, room_id: &room.sid, at };
        let plan = request::plan(&request, &facts)?;
        let id = EgressId::generate(&mut rand::rng());
        let start = Start { id: &id, room: &room_name, room_id: &room.sid, request, plan, now_ns };
        let (job, stop) = shared.reserve(start)?;
        let info = job.info().clone();
        match self.begin_capture(&id, &room_name, &job, began, now_ns).await {
            Ok((recorder, capturing)) => {
                if let Some(entry) = shared.lock().get_mut(&id) {
                    entry.notes = Some(capturing.notes());
                }
                // Who saw it in the list may have stopped it already.
                shared.update(&id, |job| job.is_active().then_some(Notice::Started));
                let recording = runner::record(Arc::clone(shared), id, recorder, capturing, stop);
                shared.tasks.spawn(recording);
                Ok(info)
            }
            Err(error) => {
                shared.lock().remove(&id);
                Err(error)
            }
        }
    }

    async fn begin_capture(
        &self,
        id: &EgressId,
        room: &RoomName,
        job: &Job,
        began: Instant,
        now_ns: i64,
    ) -> Result<(reelroom_media::Recorder, Capturing), TwirpError> {
        let dir = self.shared.take(id);
        let mut header = TakeHeader::new(
            id.as_str(),
            room.as_str(),
            &job.info().room_id,
            now_ns.try_into().unwrap_or_default(),
        );
        header.layout = job.plan().layout.clone();
        header.audio_only = job.plan().audio_only;
        header.job = serde_json::to_value(job).expect("a job has string keys and finite numbers only");
        let create = {
            let dir = dir.clone();
            tokio::task::spawn_blocking(move || Take::create(&dir, header))
        };
        let handle = self.make_take(id, create).await?;
        self.shared.writers.writes(id, handle.watch());
        let (capturing, sink): (Capturing, Sink) = capture::capture(handle, began);
        match self.shared.media.attach_recorder(room, id.clone(), Box::new(sink)).await {
            Ok(recorder) => Ok((recorder, capturing)),
            Err(error) => {
                drop(capturing);
                remove_dir(&dir).await;
                Err(error.into())
            }
        }
    }

    /// Waits for a take that is being made, but not for ever.
    async fn make_take(
        &self,
        id: &EgressId,
        mut making: JoinHandle<Result<TakeHandle, TakeError>>,
    ) -> Result<TakeHandle, TwirpError> {
        let shared = &self.shared;
        shared.writers.begins(id, Instant::now());
        let Ok(made) = tokio::time::timeout(MAKE_TAKE_WITHIN, &mut making).await else {
            tracing::warn!(egress = %id, "the disk takes nothing: a recording cannot begin");
            let (shared, id) = (Arc::clone(shared), id.clone());
            self.shared.tasks.spawn(async move {
                let _ = making.await;
                shared.writers.ends(&id);
                remove_dir(&shared.take(&id)).await;
            });
            let refusal = Space::Stuck.refusal().expect("a stuck disk refuses");
            return Err(TwirpError::new(TwirpCode::ResourceExhausted, refusal));
        };
        shared.writers.ends(id);
        made.expect("making a take does not panic").map_err(|error| match error {
            TakeError::DiskFull => {
                TwirpError::new(TwirpCode::ResourceExhausted, "the recorder's disk is full")
            }
            error => {
                tracing::warn!(egress = %id, %error, "a take cannot be made");
                let refusal = format!("the recorder cannot write to its disk: {}", error.reason());
                TwirpError::new(TwirpCode::ResourceExhausted, refusal)
            }
        })
    }

    /// How the recorder is doing.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let shared = &self.shared;
        let running = shared.running() as u64;
        let trouble = shared.disk.borrow().refusal();
        let more = if trouble.is_some() { 0 } else { shared.estimate().total.saturating_sub(running) };
        let disk_stalled = disk::stall(shared.writers.disk_use(Instant::now()).stuck_for);
        Figures { running, more, disk_stalled, trouble }
    }

    /// StopEgress: returns at once; what follows is told by webhooks and ListEgress.
    ///
    /// # Errors
    /// `not_found`; `failed_precondition` for a job that is over.
    pub(crate) fn stop(&self, id: &str) -> Result<EgressInfo, TwirpError> {
        let mut jobs = self.shared.lock();
        let id = EgressId::from(id);
        let entry = jobs.get_mut(&id).ok_or_else(no_such_egress)?;
        let notice = entry
            .job
            .stop(unix_ns())
            .map_err(|error| TwirpError::new(TwirpCode::FailedPrecondition, error.to_string()))?;
        if let Some(notice) = notice {
            self.shared.tell(&id, &entry.job, notice);
        }
        entry.stop.notify_one();
        Ok(entry.job.info().clone())
    }

    /// UpdateLayout: the picture changes at this moment of the recording.
    ///
    /// # Errors
    /// `not_found`; `invalid_argument` for a layout that there is not; `failed_precondition` for a job that is not being
    /// recorded.
    pub(crate) fn update_layout(&self, id: &str, layout: &str) -> Result<EgressInfo, TwirpError> {
        let now = Instant::now();
        let mut jobs = self.shared.lock();
        let id = EgressId::from(id);
        let entry = jobs.get_mut(&id).ok_or_else(no_such_egress)?;
        let layout = request::known_layout(layout)?;
        let refused = |error: NotActive| TwirpError::new(TwirpCode::FailedPrecondition, error.to_string());
        let mut job = entry.job.clone();
        let notice = job.change_layout(unix_ns(), layout).map_err(refused)?;
        if let Some(notice) = notice {
            let is_noted = entry.notes.as_ref().is_some_and(|notes| notes.layout(now, layout));
            if !is_noted {
                return Err(refused(NotActive(EgressStatus::EgressEnding)));
            }
            entry.job = job;
            self.shared.tell(&id, &entry.job, notice);
        }
        Ok(entry.job.info().clone())
    }

    /// ListEgress, oldest first.
    ///
    /// # Errors
    /// `not_found` for an id that is not known.
    pub(crate) fn list(&self, request: &ListEgressRequest) -> Result<Vec<EgressInfo>, TwirpError> {
        self.shared.forget_old();
        let jobs = self.shared.lock();
        if !request.egress_id.is_empty() && !jobs.contains_key(request.egress_id.as_str()) {
            return Err(no_such_egress());
        }
        let wanted = jobs.values().filter(|entry| {
            let info = entry.job.info();
            (request.egress_id.is_empty() || info.egress_id == request.egress_id)
                && (request.room_name.is_empty() || info.room_name == request.room_name)
                && (!request.active || entry.job.is_active())
        });
        let mut infos: Vec<_> = wanted.map(Entry::info).collect();
        infos.sort_by(|a, b| (a.started_at, &a.egress_id).cmp(&(b.started_at, &b.egress_id)));
        Ok(infos)
    }
}

/// What is only composed lags, and takes no room from others.
fn captures(job: &Job) -> bool {
    matches!(job.status(), EgressStatus::EgressStarting | EgressStatus::EgressActive)
}

fn no_such_egress() -> TwirpError {
    TwirpError::new(TwirpCode::NotFound, "egress does not exist")
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<EgressId, Entry>> {
        self.jobs.lock().expect("no code panics while it holds the jobs")
    }

    fn insert(&self, job: Job) {
        let id = EgressId::from(job.info().egress_id.as_str());
        self.lock().insert(id, Entry::new(job));
    }

    /// A job, if there is room for it, whose file name no other job has: two recordings of a room may begin in the same second.
    /// Refused while another one records to the place that was asked for.
    fn reserve(&self, mut start: Start<'_>) -> Result<(Job, Arc<Notify>), TwirpError> {
        let id = start.id.clone();
        let mut jobs = self.lock();
        let mut recording = self.recording.lock().expect("no code panics while it holds the places");
        recording.retain(|_, id| jobs.get(id).is_some_and(|entry| entry.job.is_recording()));
        let place = (start.room_id.to_owned(), request::asked_path(&start.request).to_owned());
        match recording.entry(place) {
            btree_map::Entry::Vacant(place) => {
                let running = jobs.values().filter(|entry| captures(&entry.job)).count() as u64;
                if let Some(refusal) = self.estimate().refusal(running) {
                    tracing::warn!(running, refusal, "a recording was refused");
                    return Err(TwirpError::new(TwirpCode::ResourceExhausted, refusal));
                }
                place.insert(id.clone())
            }
            btree_map::Entry::Occupied(other) => {
                let text = format!("egress {} records this room to this file already", other.get());
                return Err(TwirpError::new(TwirpCode::AlreadyExists, text));
            }
        };
        let is_taken = |key: &str| {
            let mut others = jobs.values().map(|entry| &entry.job);
            others.any(|job| job.plan().key == key && job.status() != EgressStatus::EgressAborted)
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

    /// How many recordings may run at once.
    fn estimate(&self) -> Estimate {
        self.capacity.borrow().at_most(self.config.max_recordings)
    }

    /// Recordings that capture.
    pub(crate) fn running(&self) -> usize {
        self.lock().values().filter(|entry| captures(&entry.job)).count()
    }

    /// Changes a job; what came of it is written down and told.
    pub(crate) fn update(&self, id: &EgressId, change: impl FnOnce(&mut Job) -> Option<Notice>) {
        let mut jobs = self.lock();
        let Some(entry) = jobs.get_mut(id) else { return };
        if let Some(notice) = change(&mut entry.job) {
            self.tell(id, &entry.job, notice);
        }
    }

    /// Under the lock, so that everything is told in its order.
    fn tell(&self, id: &EgressId, job: &Job, notice: Notice) {
        self.store.put(id, job);
        let info = job.info();
        let status = job.status().as_str_name();
        tracing::info!(egress = %id, room = info.room_name, status, details = info.details, error = info.error, "egress");
        self.media.webhooks().send(WebhookEvent {
            event: notice.event().into(),
            room: Some(Room { sid: info.room_id.clone(), name: info.room_name.clone(), ..Room::default() }),
            egress_info: Some(info.clone()),
            ..WebhookEvent::default()
        });
    }

    pub(crate) fn job(&self, id: &EgressId) -> Option<Job> {
        self.lock().get(id).map(|entry| entry.job.clone())
    }

    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.lock().values().map(|entry| entry.job.clone()).collect()
    }

    /// Knows a job again that is known from its take only.
    pub(crate) fn adopt(&self, job: Job) {
        self.insert(job);
    }

    fn forget_old(&self) {
        let now_ns = unix_ns();
        self.lock().retain(|id, entry| {
            let is_forgotten = entry.is_forgotten(now_ns);
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

    /// Of a recording; nobody waits for its file yet.
    pub(crate) fn composition(&self, id: &EgressId, job: &Job, growth: Growth) -> Composition {
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
        }
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
