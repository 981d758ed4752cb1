//! The recorder of a server: all its jobs.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use prost::Message as _;
use reelroom_library::{Limits, Store, StoreConfig};
use reelroom_limits::library::EGRESS_REQUEST_BYTES;
use reelroom_media::{AutoEgress, MediaServer, Readable};
use reelroom_protocol::ids::{EgressId, RoomName};
use reelroom_protocol::proto::{
    EgressInfo, EgressStatus, ListEgressRequest, RoomCompositeEgressRequest, TrackType,
};
use reelroom_protocol::twirp::{TwirpCode, TwirpError};
use reelroom_take::{Take, TakeError, TakeHandle, TakeHeader};
use time::OffsetDateTime;
use tokio::task::JoinHandle;

use crate::capture::{self, Capturing, Sink};
use crate::config::{EgressConfig, EgressLimits};
use crate::disk::space::Space;
use crate::disk::watch;
use crate::error::EgressError;
use crate::job::{Job, NotActive, Notice, Start};
use crate::reach::Reach;
use crate::request::Plan;
use crate::shared::{Entry, Shared, remove_dir, unix_ns};
use crate::shelf::{Shelf, ShelfError};
use crate::store::JobStore;
use crate::template::{self, Facts};
use crate::{recovery, request, runner};

/// For the take's last words and the job's, beyond that.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(10);
/// The same where the program starts anew. The call goes on meanwhile; a disk on which something large is being written syncs for seconds, and a
/// recording that is not suspended does not go on.
const SUSPEND_WITHIN: Duration = Duration::from_secs(15);
/// A disk that has not made an empty take by then is stuck, and somebody waits for the answer.
const MAKE_TAKE_WITHIN: Duration = Duration::from_secs(5);
/// For so long recording waits for the store to say whether it has a file of that name.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
/// So many files of one path are told apart by a number, and more of them by their egress ids.
const MAX_NUMBER: u32 = 9;
/// What nobody without its key can see or hear is not recorded as noise.
const ENCRYPTED: &str =
    "this room is end-to-end encrypted: the server can neither see nor hear it, so it cannot be recorded";

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

/// A handle to the recorder.
#[derive(Clone)]
pub struct Egress {
    pub(crate) shared: Arc<Shared>,
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
        let shared = Arc::new(Shared::new(config, media, shelf, store));
        for folder in [shared.takes(), shared.composed(), shared.kept()] {
            std::fs::create_dir_all(&folder).map_err(EgressError::data_dir(&folder))?;
        }
        shared.tell_missed(known.iter());
        for job in known {
            shared.insert(job);
        }
        shared.forget_old();
        recovery::begin(&shared)?;
        shared.tasks.spawn(watch::run(Arc::clone(&shared)));
        shared.media.rooms().record_with(Arc::new(FromTheBeginning(Arc::downgrade(&shared))));
        Ok(Self { shared })
    }

    /// Goes by these limits from now on.
    pub fn set_limits(&self, limits: EgressLimits) {
        self.shared.set_limits(limits);
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

    /// Leaves all recordings to the next run of the program, which goes on with them if their rooms open again. Nobody is told of an end. Where
    /// they are not to go on they are ended, as by [`Egress::shutdown`]. To be called before the media server hands over.
    pub async fn suspend(&self) {
        if self.shared.config.resume_within.is_zero() {
            return self.shutdown().await;
        }
        self.shared.suspending.cancel();
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        let until = tokio::time::Instant::now() + SUSPEND_WITHIN;
        if tokio::time::timeout_at(until, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("some recordings could not be suspended in time; the next start recovers them");
        }
        // What is written down of a job a take tells, too.
        let _ = tokio::time::timeout_at(until, self.shared.store.flush()).await;
    }

    /// StartRoomCompositeEgress.
    ///
    /// # Errors
    /// As LiveKit answers: `not_found` without such a room, `invalid_argument`, `unimplemented`; `already_exists` while the room is
    /// being recorded to the same path; `resource_exhausted` when this machine has no room for another recording;
    /// `permission_denied` for a file that the caller may not write.
    pub(crate) async fn start_room_composite(
        &self,
        request: RoomCompositeEgressRequest,
        reach: &Reach,
    ) -> Result<EgressInfo, TwirpError> {
        let shared = &self.shared;
        if shared.stopping.is_cancelled() {
            return Err(TwirpError::new(TwirpCode::Unavailable, "no response from servers"));
        }
        if let Some(refusal) = shared.disk.borrow().refusal() {
            return Err(TwirpError::new(TwirpCode::ResourceExhausted, refusal));
        }
        let bytes = request.encoded_len();
        if bytes > EGRESS_REQUEST_BYTES {
            let text = format!("the request has {bytes} bytes: {EGRESS_REQUEST_BYTES} at most");
            return Err(TwirpError::new(TwirpCode::InvalidArgument, text));
        }
        let room_name = RoomName::from(request.room_name.as_str());
        let kinds: &[TrackType] =
            if request.audio_only { &[TrackType::Audio] } else { &[TrackType::Audio, TrackType::Video] };
        let rooms = shared.media.rooms();
        let (room, readable) =
            rooms.with(&room_name, move |room, _| (room.info(), room.readable(kinds))).await?;
        if readable == Readable::None {
            return Err(TwirpError::new(TwirpCode::FailedPrecondition, ENCRYPTED));
        }
        let (began, now_ns) = (Instant::now(), unix_ns());
        let at =
            OffsetDateTime::from_unix_timestamp_nanos(now_ns.into()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let facts = Facts { room_name: &request.room_name, room_id: &room.sid, at };
        let mut plan = request::plan(&request, &facts)?;
        reach.check_path(&plan.key, &shared.config.participants_folder)?;
        if let Some(storage) = &plan.storage {
            // What can be told of a bucket before it is asked.
            let opened = Store::open(&StoreConfig::S3(storage.config()), "", Limits::default());
            opened.map_err(|error| TwirpError::new(TwirpCode::InvalidArgument, error.to_string()))?;
        }
        let id = EgressId::generate(&mut rand::rng());
        match tokio::time::timeout(LOOK_WITHIN, self.unused(&plan, &id)).await {
            Ok(Ok(unused)) => plan.key = unused,
            // Recording goes first: if the name turns out to be taken the file gets another one when it is stored.
            Ok(Err(error)) => tracing::debug!(%error, "whether there is such a file is not known yet"),
            Err(_) => tracing::debug!("the store does not say in time whether there is such a file"),
        }
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

    /// The path, or one like it that no file has: nothing is ever replaced.
    async fn unused(&self, plan: &Plan, id: &EgressId) -> Result<String, ShelfError> {
        let key = plan.key.as_str();
        if plan.storage.is_some() {
            // Its bucket says so when the file is stored.
            return Ok(key.to_owned());
        }
        let numbers = (2..=MAX_NUMBER).map(|number| template::numbered(key, number));
        for name in std::iter::once(key.to_owned()).chain(numbers) {
            if !self.shared.shelf.has(&name).await? {
                return Ok(name);
            }
        }
        Ok(template::unique(key, id.as_str(), 2))
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
        let disk_stalled = shared.writers.stalled_for(Instant::now());
        Figures { running, more, disk_stalled, trouble }
    }

    /// Recordings that capture, are about to, or wait for their rooms to open again: all the same to everybody else. Oldest first.
    #[must_use]
    pub fn recording(&self) -> Vec<EgressInfo> {
        let jobs = self.shared.lock();
        let mut infos: Vec<_> =
            jobs.values().filter(|entry| entry.job.is_recording()).map(Entry::info).collect();
        infos.sort_by(|a, b| (a.started_at, &a.egress_id).cmp(&(b.started_at, &b.egress_id)));
        infos
    }

    /// StopEgress: returns at once; what follows is told by webhooks and ListEgress.
    ///
    /// # Errors
    /// `not_found`; `failed_precondition` for a job that is over.
    pub(crate) fn stop(&self, id: &str, reach: &Reach) -> Result<EgressInfo, TwirpError> {
        let mut jobs = self.shared.lock();
        let id = EgressId::from(id);
        let entry =
            jobs.get_mut(&id).filter(|entry| reach.sees(entry.job.info())).ok_or_else(no_such_egress)?;
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
    pub(crate) fn update_layout(
        &self,
        id: &str,
        layout: &str,
        reach: &Reach,
    ) -> Result<EgressInfo, TwirpError> {
        let now = Instant::now();
        let mut jobs = self.shared.lock();
        let id = EgressId::from(id);
        let entry =
            jobs.get_mut(&id).filter(|entry| reach.sees(entry.job.info())).ok_or_else(no_such_egress)?;
        let layout = request::known_layout(layout)?;
        let refused = |error: NotActive| TwirpError::new(TwirpCode::FailedPrecondition, error.to_string());
        let mut job = entry.job.clone();
        let notice = job.change_layout(unix_ns(), layout).map_err(refused)?;
        if let Some(notice) = notice {
            if entry.goes_on && entry.notes.is_none() {
                let text = "the recording waits for its room to open again: change its layout then";
                return Err(TwirpError::new(TwirpCode::FailedPrecondition, text));
            }
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
    pub(crate) fn list(
        &self,
        request: &ListEgressRequest,
        reach: &Reach,
    ) -> Result<Vec<EgressInfo>, TwirpError> {
        self.shared.forget_old();
        let jobs = self.shared.lock();
        let mut seen = jobs.values().filter(|entry| reach.sees(entry.job.info()));
        if !request.egress_id.is_empty()
            && !seen.clone().any(|entry| entry.job.info().egress_id == request.egress_id)
        {
            return Err(no_such_egress());
        }
        let wanted = seen.by_ref().filter(|entry| {
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

/// Records rooms from their beginning on, as long as there is a recorder.
struct FromTheBeginning(Weak<Shared>);

impl AutoEgress for FromTheBeginning {
    fn begin(&self, request: RoomCompositeEgressRequest) -> BoxFuture<'static, Result<(), TwirpError>> {
        let shared = self.0.upgrade();
        async move {
            let gone = || TwirpError::new(TwirpCode::Unavailable, "no response from servers");
            let egress = Egress { shared: shared.ok_or_else(gone)? };
            // In a task of its own: a caller that hangs up must not leave a recording half begun.
            let starting =
                tokio::spawn(async move { egress.start_room_composite(request, &Reach::Everything).await });
            starting.await.map_err(|_| TwirpError::new(TwirpCode::Internal, "the recorder failed"))?.map(drop)
        }
        .boxed()
    }
}

fn no_such_egress() -> TwirpError {
    TwirpError::new(TwirpCode::NotFound, "egress does not exist")
}
