//! The app's state: what its routes share, and what it learns of recordings. It knows no route.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reelroom_accounts::Accounts;
use reelroom_audit::Audit;
use reelroom_library::{Library, LibraryError};
use reelroom_oidc::OpenId;
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::EgressInfo;
use reelroom_rooms::Rooms;
use reelroom_shares::Shares;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::askers::Askers;
use crate::audit::Starts;
use crate::clock;
use crate::config::{Access, Adjustment, AppConfig, Media, Places, Playback, RecorderFigures};
use crate::egress::{self, News};
use crate::glance::Glance;
use crate::identities::Identities;
use crate::livekit::LiveKit;
use crate::lobby::Lobbies;
use crate::metrics::Metrics;
use crate::overview::Seen;
use crate::retention;
use crate::roles::Roles;
use crate::room_state::{RoomState, Telling};
use crate::run::Run;
use crate::told::Told;
use crate::turns::Turns;

/// The index stands on a disk, which may be stuck: nobody who starts or stops a recording waits for it longer.
const LEARN_WITHIN: Duration = Duration::from_secs(3);

/// A handle to the app.
#[derive(Clone)]
pub struct WebApp {
    shared: Arc<Shared>,
}

struct Shared {
    config: AppConfig,
    /// That of `config`, until another one is set.
    adjustment: RwLock<Arc<Adjustment>>,
    livekit: LiveKit,
    metrics: Metrics,
    identities: Identities,
    askers: Askers,
    turns: Turns,
    glance: Glance,
    disbelieved: Told,
    lobbies: Lobbies,
    retention: retention::State,
    run: Run,
    room_state: RoomState,
    began: Notify,
    starts: Starts,
    roles: Roles,
    seen: Seen,
    /// Unix milliseconds.
    started_ms: i64,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl WebApp {
    /// Makes the app; nothing runs yet.
    pub fn new(config: AppConfig) -> Self {
        let livekit = LiveKit::new(config.livekit_url.clone(), &config.keys);
        let metrics = Metrics::new(config.recorder.is_some());
        let telling = match (config.room_state, &config.media) {
            (false, _) => Telling::Nothing,
            (true, Some(_)) => Telling::Own,
            (true, None) => Telling::Outside,
        };
        let shared = Shared {
            adjustment: RwLock::new(Arc::new(config.adjustment())),
            config,
            livekit,
            metrics,
            identities: Identities::default(),
            askers: Askers::default(),
            turns: Turns::default(),
            glance: Glance::default(),
            disbelieved: Told::default(),
            lobbies: Lobbies::default(),
            retention: retention::State::default(),
            run: Run::new(&mut rand::rng()),
            room_state: RoomState::new(telling),
            began: Notify::new(),
            starts: Starts::default(),
            roles: Roles::default(),
            seen: Seen::default(),
            started_ms: clock::now().unix_ms,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Has another adjustment from now on. To be called by one at a time.
    pub fn adjust(&self, adjustment: Adjustment) {
        if let (Some(provider), Some(owners)) = (self.oidc(), &adjustment.oidc_owners) {
            provider.set_owners(owners);
        }
        *self.shared.adjustment.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(adjustment);
    }

    /// What is in force of what may be set anew.
    pub fn adjustment(&self) -> Arc<Adjustment> {
        Arc::clone(&self.shared.adjustment.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a task until the app stops; the task watches `stop` itself.
    pub(crate) fn spawn<F>(&self, task: impl FnOnce(Self, CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.shared.tasks.spawn(task(self.clone(), self.shared.stop.clone()));
    }

    /// Stops following.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Follows what the server says of a recording.
    pub(crate) async fn learn(&self, info: &EgressInfo) -> Result<(), LibraryError> {
        // That they are recorded people are told before a disk is waited for; that it is over when the list has it.
        if !egress::is_over(info) {
            self.room_state().learn(info);
        }
        let listed = self.list(info).await;
        self.room_state().learn(info);
        listed
    }

    async fn list(&self, info: &EgressInfo) -> Result<(), LibraryError> {
        let library = self.library();
        match egress::news(info, library.prefix()) {
            News::Note(recording) => {
                if recording.status.is_active() {
                    self.shared.began.notify_one();
                }
                if egress::stands_alone(info) {
                    library.note_alone(*recording).await
                } else {
                    library.note(*recording).await
                }
            }
            News::Complete { id, name } => match library.look_for(&name, Some(&id)).await {
                Ok(found) => {
                    // Another recording may have the name.
                    if found.id == id {
                        retention::note(self, info, &name).await;
                    }
                    Ok(())
                }
                // It was deleted since, or stands in a store of somebody else's.
                Err(LibraryError::NotFound(_)) => library.forget(&id).await,
                Err(error) => Err(error),
            },
            News::Gone { id } => library.forget(&id).await,
            News::Foreign => Ok(()),
        }
    }

    /// Lists recordings with which the media server inside this program goes on after a start, before anybody asks for the list: the index keeps
    /// none in the making, and that server is asked for them only when the store has been looked through. A disk that is stuck is not waited for.
    pub async fn go_on_with(&self, recordings: &[EgressInfo]) {
        let all = async {
            for info in recordings {
                self.learn_or_warn(info).await;
            }
        };
        if tokio::time::timeout(LEARN_WITHIN, all).await.is_err() {
            tracing::warn!("recordings that go on are listed late: the library's index is stuck");
        }
    }

    /// Waits until a recording in the making has been learned of.
    pub(crate) async fn something_began(&self) {
        self.shared.began.notified().await;
    }

    pub(crate) async fn learn_or_warn(&self, info: &EgressInfo) {
        match tokio::time::timeout(LEARN_WITHIN, self.learn(info)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, egress = info.egress_id, "the library cannot be kept up to date");
            }
            Err(_) => {
                self.room_state().learn(info);
                tracing::warn!(egress = info.egress_id, "the library's index is stuck: the list is late");
            }
        }
    }

    pub(crate) fn livekit(&self) -> &LiveKit {
        &self.shared.livekit
    }

    pub(crate) fn library(&self) -> &Library {
        &self.shared.config.library
    }

    pub(crate) fn access(&self) -> Access {
        self.shared.config.access
    }

    pub(crate) fn accounts(&self) -> &Arc<Accounts> {
        &self.shared.config.accounts
    }

    pub(crate) fn rooms(&self) -> &Arc<Rooms> {
        &self.shared.config.rooms
    }

    pub(crate) fn glance(&self) -> &Glance {
        &self.shared.glance
    }

    /// Those who wait to be let into rooms.
    pub(crate) fn lobbies(&self) -> &Lobbies {
        &self.shared.lobbies
    }

    /// Webhooks that were not believed.
    pub(crate) fn disbelieved(&self) -> &Told {
        &self.shared.disbelieved
    }

    /// What those say who are no part of the app.
    pub(crate) fn other_warnings(&self) -> Vec<String> {
        self.shared.config.warnings.as_ref().map(|warnings| warnings()).unwrap_or_default()
    }

    /// Recordings that are deleted by themselves.
    pub(crate) fn retention(&self) -> &retention::State {
        &self.shared.retention
    }

    pub(crate) fn shares(&self) -> &Arc<Shares> {
        &self.shared.config.shares
    }

    pub(crate) fn keys(&self) -> &ApiKeys {
        &self.shared.config.keys
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn recorder(&self) -> Option<RecorderFigures> {
        self.shared.config.recorder.as_ref().map(|recorder| recorder.figures())
    }

    pub(crate) fn media(&self) -> Option<&dyn Media> {
        self.shared.config.media.as_deref()
    }

    pub(crate) fn identities(&self) -> &Identities {
        &self.shared.identities
    }

    pub(crate) fn askers(&self) -> &Askers {
        &self.shared.askers
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.shared.turns
    }

    pub(crate) fn run(&self) -> &Run {
        &self.shared.run
    }

    /// What was done to recordings and rights. A handler notes its act by its [`crate::audit::Actor`].
    pub(crate) fn audit(&self) -> &Arc<Audit> {
        &self.shared.config.audit
    }

    pub(crate) fn places(&self) -> &Places {
        &self.shared.config.places
    }

    /// Recordings that this app starts.
    pub(crate) fn starts(&self) -> &Starts {
        &self.shared.starts
    }

    /// As whom participants got their tokens.
    pub(crate) fn roles(&self) -> &Roles {
        &self.shared.roles
    }

    /// What the overview found last.
    pub(crate) fn seen(&self) -> &Seen {
        &self.shared.seen
    }

    /// When it was made: Unix milliseconds.
    pub(crate) fn started_ms(&self) -> i64 {
        self.shared.started_ms
    }

    pub(crate) fn room_state(&self) -> &RoomState {
        &self.shared.room_state
    }

    /// Cancelled when the app stops.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.shared.stop
    }

    pub(crate) fn playback(&self) -> Playback {
        self.shared.config.playback
    }

    pub(crate) fn portion_bytes(&self) -> u64 {
        self.adjustment().portion_bytes
    }

    pub(crate) fn public_livekit_url(&self) -> Option<&Url> {
        self.shared.config.public_livekit_url.as_ref()
    }

    pub(crate) fn media_origin(&self) -> Option<&str> {
        self.shared.config.media_origin.as_deref()
    }

    /// The OpenID provider by which the owner may sign in.
    pub(crate) fn oidc(&self) -> Option<&OpenId> {
        self.shared.config.oidc.as_deref()
    }

    /// The address by which everybody reaches it, where that is set.
    pub(crate) fn public_url(&self) -> Option<&Url> {
        self.shared.config.public_url.as_ref()
    }

    /// Where whoever is given a link finds what is at `path`: by the address that everybody has, or else at that path of whatever address they
    /// reach the server by.
    pub(crate) fn link_to(&self, path: &str) -> String {
        let url = self.public_url().map(|url| url.as_str().trim_end_matches('/')).unwrap_or_default();
        format!("{url}{path}")
    }

    /// Whether a proxy in front has this name.
    pub(crate) fn is_public_host(&self, host: &str) -> bool {
        self.adjustment().public_hosts.iter().any(|name| name == host)
    }
}
