//! The app: its settings, its routes, and what they share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use reelroom_library::{Library, LibraryError};
use reelroom_protocol::keys::ApiKeys;
use reelroom_protocol::proto::EgressInfo;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use url::Url;
use utoipa::openapi::{InfoBuilder, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::egress::{self, News};
use crate::livekit::LiveKit;
use crate::metrics::Metrics;
use crate::recordings::Turns;
use crate::token::Identities;
use crate::{error, health, page, play, recordings, token, watch, webhook};

/// More than any webhook of a LiveKit server.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The index stands on a disk, which may be stuck: nobody who starts or stops a recording waits for it longer.
const LEARN_WITHIN: Duration = Duration::from_secs(3);

/// How the page plays a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playback {
    /// Through this server.
    Proxy,
    /// From the bucket.
    S3,
}

/// How the app is set up.
#[derive(Clone)]
pub struct AppConfig {
    /// Where this program reaches the LiveKit server.
    pub livekit_url: Url,
    /// Where participants reach it; `None`: at the page's own address.
    pub public_livekit_url: Option<Url>,
    /// Of the LiveKit server.
    pub keys: ApiKeys,
    /// The recordings.
    pub library: Library,
    /// `RECORDING_PLAYBACK_STRATEGY`.
    pub playback: Playback,
    /// `RECORDING_FILE_PORTION_SIZE`.
    pub portion_bytes: u64,
    /// Where the page may load media from besides this server: the bucket's origin.
    pub media_origin: Option<String>,
    /// The recorder inside this program; `None` where another server records.
    pub recorder: Option<Arc<dyn Recorder>>,
}

/// The recorder inside this program, for its operator. What the page does with recordings goes by LiveKit's API.
pub trait Recorder: Send + Sync {
    /// How it is doing.
    fn figures(&self) -> RecorderFigures;
}

/// How a recorder is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderFigures {
    /// How many more recordings could begin now.
    pub more: u64,
    /// Its disk has taken nothing for so long.
    pub disk_stalled: Duration,
    /// Why no recording can begin, when something is broken.
    pub trouble: Option<String>,
}

/// A handle to the app.
#[derive(Clone)]
pub struct WebApp {
    shared: Arc<Shared>,
}

struct Shared {
    config: AppConfig,
    livekit: LiveKit,
    metrics: Metrics,
    identities: Identities,
    turns: Turns,
    began: Notify,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl WebApp {
    /// Makes the app; nothing runs yet.
    pub fn new(config: AppConfig) -> Self {
        let livekit = LiveKit::new(config.livekit_url.clone(), &config.keys);
        let metrics = Metrics::new(config.recorder.is_some());
        let shared = Shared {
            config,
            livekit,
            metrics,
            identities: Identities::default(),
            turns: Turns::default(),
            began: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Begins to follow what the LiveKit server records. Has to be called within a tokio runtime.
    pub fn watch(&self) {
        self.shared.tasks.spawn(watch::run(self.clone(), self.shared.stop.clone()));
    }

    /// Stops following.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// The page and every route of the REST API. What comes before it in a router wins.
    pub fn router(&self) -> Router {
        let (api, document) = api().split_for_parts();
        let document = document.to_pretty_json().expect("the description of the API is plain data");
        let page = Router::new().fallback(page::serve).layer(CompressionLayer::new());
        api.route(
            "/openapi.json",
            get(async || ([(axum::http::header::CONTENT_TYPE, "application/json")], document)),
        )
        .method_not_allowed_fallback(async || {
            error::respond(StatusCode::METHOD_NOT_ALLOWED, "this address does not take this method")
        })
        .route_layer(middleware::from_fn_with_state(self.clone(), count))
        .fallback_service(page.with_state::<()>(self.clone()))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(SetResponseHeaderLayer::if_not_present(
            X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .with_state(self.clone())
    }

    /// Follows what the server says of a recording.
    pub(crate) async fn learn(&self, info: &EgressInfo) -> Result<(), LibraryError> {
        let library = self.library();
        match egress::news(info, library.prefix()) {
            News::Note(recording) => {
                if recording.status.is_active() {
                    self.shared.began.notify_one();
                }
                library.note(*recording).await
            }
            News::Complete { id, name } => match library.look_for(&name, Some(&id)).await {
                Ok(_) => Ok(()),
                // It was deleted since, or stands in a store of somebody else's.
                Err(LibraryError::NotFound(_)) => library.forget(&id).await,
                Err(error) => Err(error),
            },
            News::Gone { id } => library.forget(&id).await,
            News::Foreign => Ok(()),
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

    pub(crate) fn keys(&self) -> &ApiKeys {
        &self.shared.config.keys
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn recorder(&self) -> Option<RecorderFigures> {
        self.shared.config.recorder.as_ref().map(|recorder| recorder.figures())
    }

    pub(crate) fn identities(&self) -> &Identities {
        &self.shared.identities
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.shared.turns
    }

    pub(crate) fn playback(&self) -> Playback {
        self.shared.config.playback
    }

    pub(crate) fn portion_bytes(&self) -> u64 {
        self.shared.config.portion_bytes
    }

    pub(crate) fn public_livekit_url(&self) -> Option<&Url> {
        self.shared.config.public_livekit_url.as_ref()
    }

    pub(crate) fn media_origin(&self) -> Option<&str> {
        self.shared.config.media_origin.as_deref()
    }
}

/// The routes, each with its description.
pub(crate) fn api() -> OpenApiRouter<WebApp> {
    let info = InfoBuilder::new()
        .title("Reelroom")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Calls and their recordings. Every refusal is {errorMessage}."))
        .build();
    OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info).build())
        .routes(routes!(token::create))
        .routes(routes!(webhook::receive))
        .routes(routes!(recordings::start))
        .routes(routes!(recordings::stop))
        .routes(routes!(recordings::list))
        .routes(routes!(play::file, recordings::delete))
        .routes(routes!(play::url))
        .routes(routes!(recordings::retry))
        .routes(routes!(recordings::report))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(health::settings))
}

async fn count(State(app): State<WebApp>, path: MatchedPath, request: Request, next: Next) -> Response {
    let method = request.method().as_str().to_owned();
    let began = Instant::now();
    let response = next.run(request).await;
    app.metrics().request(&method, path.as_str(), response.status().as_u16(), began.elapsed());
    response
}

fn on_panic(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("of unknown kind"), "a request panicked");
    error::respond(StatusCode::INTERNAL_SERVER_ERROR, "the server made a mistake; its log says which")
}
