//! The parts of the program, wired: which run, on which addresses, and in which order they stop.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use reelroom_egress::{Egress, EgressConfig};
use reelroom_media::{MediaConfig, MediaServer};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::secrets::Secrets;
use crate::shelf::LocalShelf;
use crate::{data_dir, urls};

/// LiveKit's own port.
const MEDIA_PORT: u16 = 7880;

/// A program that is ready to run: its sockets are open.
pub struct App {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    media: MediaServer,
    egress: Egress,
    _data_dir: data_dir::Lock,
}

impl App {
    /// Opens the data folder and every socket.
    ///
    /// # Errors
    /// What a person has to change, in words: a port in use, a folder that cannot be written, unsafe secrets.
    pub async fn load(config: Config) -> anyhow::Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let lock = data_dir::open(&config.data_dir)?;
        let secrets = Secrets::load(&config)?;
        let wanted = SocketAddr::new(config.listen, config.server_port.unwrap_or(MEDIA_PORT));
        let listener = TcpListener::bind(wanted).await.with_context(|| {
            format!("cannot listen on {wanted}: is something else running there? server_port chooses another")
        })?;
        let address = listener.local_addr()?;
        let media = MediaServer::start(MediaConfig {
            keys: secrets.api_keys.clone(),
            listen: config.listen,
            udp_port: config.udp_port,
            advertise: config.advertise_ips.clone(),
            webhook_urls: config.webhook_urls.clone(),
        })
        .await
        .context("udp_port chooses another port for media")?;
        let compose = vec![own_program()?, OsString::from("compose")];
        let shelf = LocalShelf::new(&config.data_dir).context("the data folder cannot be used")?;
        let egress =
            Egress::start(EgressConfig::new(&config.data_dir, compose), media.clone(), Arc::new(shelf))
                .await?;
        // Clients ask the root whether a server is there at all.
        let router = Router::new()
            .route("/", get(|| async { "OK" }))
            .layer(reelroom_media::cors())
            .merge(media.router())
            .merge(egress.router());
        Ok(Self { listener, address, router, media, egress, _data_dir: lock })
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        urls::page(self.address)
    }

    /// Serves until `shutdown`, then ends calls properly.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let server =
            axum::serve(self.listener, self.router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let serving = tokio::spawn(server.into_future());
        shutdown.await;
        self.egress.shutdown().await;
        self.media.shutdown().await;
        stop.cancel();
        serving.await??;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Composers are this very program.
fn own_program() -> anyhow::Result<OsString> {
    Ok(std::env::current_exe().context("this program's own file cannot be found")?.into_os_string())
}
