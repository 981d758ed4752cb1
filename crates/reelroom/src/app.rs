//! The parts of the program, wired: which run, on which addresses, and in which order they stop.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reelroom_accounts::{Accounts, Cost};
use reelroom_app::{AppConfig, Media, Places, Playback, Recorder, SettingBody, StoreKind, Warnings, WebApp};
use reelroom_audit::{Audit, WhoKind};
use reelroom_certs::Certificates;
use reelroom_composer::fonts::Fonts;
use reelroom_composer::sandbox::Support;
use reelroom_egress::{Egress, EgressConfig};
use reelroom_library::{Backup, FolderConfig, Library, LibraryConfig, Limits, StoreConfig};
use reelroom_limits::files::Files;
use reelroom_limits::http::{INNER_CONNECTIONS, REQUESTS, RESERVED_FILES};
use reelroom_media::{Crowd, MediaConfig, MediaServer};
use reelroom_oidc::OpenId;
use reelroom_rooms::Rooms;
use reelroom_routes::Doors;
use reelroom_shares::Shares;
use reelroom_truth::Truth;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::config::in_force::in_force;
use crate::config::{Access, Config, PlaybackStrategy, Reached, Sources};
use crate::front::connections::Bounds;
use crate::front::sites::{CurrentSites, HostName, Sites};
use crate::front::{Front, listener};
use crate::public_url::PublicUrl;
use crate::recorder::{AppGate, EgressRecorder, OwnMedia};
use crate::reload::Levers;
use crate::secrets::Secrets;
use crate::shelf::LibraryShelf;
use crate::signals::Stop;
use crate::{data_dir, descriptors, https, owner, routes, urls};

/// The tutorial's port.
pub(crate) const PAGE_PORT: u16 = 6080;
/// LiveKit's own port.
pub(crate) const MEDIA_PORT: u16 = 7880;
/// Why `reelroom media` does not use another server.
pub(crate) const MEDIA_OF_ANOTHER: &str =
    "livekit_url is set, but 'reelroom media' is itself that server: remove LIVEKIT_URL here";
/// What others put into the store is seen after this.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Whoever still downloads when the program stops has so long.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// The same when it starts anew: calls wait for it, and a download goes on where it was.
const CLOSE_BEFORE_START_WITHIN: Duration = Duration::from_millis(500);
/// While calls may go on before a start, it is looked so often whether any does.
const LOOK_FOR_CALLS_EVERY: Duration = Duration::from_millis(250);

/// A full front stops no recording: whatever comes in by the other port, there is room for what recordings say of themselves.
const _: () = assert!(INNER_CONNECTIONS > REQUESTS + 64 && RESERVED_FILES > 2 * INNER_CONNECTIONS);

/// Which parts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The page and the REST API, and the media server and recorder unless an outside one is set.
    Everything,
    /// Only the media server and recorder.
    Media,
}

/// A program that is ready to run: its sockets are open.
pub struct App {
    listener: TcpListener,
    inner: TcpListener,
    inner_address: SocketAddr,
    address: SocketAddr,
    doors: Doors,
    sites: CurrentSites,
    bounds: Bounds,
    embedded: Option<Embedded>,
    web: Option<WebApp>,
    https: Option<https::Opened>,
    public_url: Option<PublicUrl>,
    /// Of a page that lets in by invitation.
    invites: Option<Invites>,
    audit: Arc<Audit>,
    library: Library,
    /// Media comes by the port of the page, too.
    takes_media: bool,
    /// How long calls may go on at a planned stop.
    drain: Duration,
    /// What is handed over to the next run.
    restart: PathBuf,
    _data_dir: data_dir::Lock,
}

/// Who is let in, and by which names a proxy in front shows the page.
struct Invites {
    accounts: Arc<Accounts>,
    audit: Arc<Audit>,
    public_hosts: Vec<HostName>,
}

/// What is known of those who come.
struct People {
    accounts: Arc<Accounts>,
    rooms: Arc<Rooms>,
    shares: Arc<Shares>,
    audit: Arc<Audit>,
}

/// What of this program the app looks at.
struct Parts<'a> {
    embedded: Option<&'a Embedded>,
    https: Option<&'a https::Opened>,
}

/// By which ways the media server of this program is reached besides by its own ports.
struct Page<'a> {
    /// Where its port is.
    address: SocketAddr,
    https: Option<&'a https::Opened>,
    /// Where this program reaches itself.
    own: &'a Url,
}

/// The media server and recorder of this program.
struct Embedded {
    media: MediaServer,
    egress: Egress,
}

impl App {
    /// Opens the data folder and every socket.
    ///
    /// # Errors
    /// What a person has to change, in words: a port in use, a folder that cannot be written, unsafe secrets.
    pub async fn load(config: Config, role: Role) -> anyhow::Result<Self> {
        Self::load_from(config, &Sources::default(), role).await
    }

    /// The same, and it is known where the settings were given.
    ///
    /// # Errors
    /// As [`App::load`].
    pub async fn load_from(config: Config, sources: &Sources, role: Role) -> anyhow::Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        if role == Role::Media && !config.embeds_media() {
            anyhow::bail!(MEDIA_OF_ANOTHER);
        }
        let readers = config.recordings_readers.into();
        let lock = data_dir::open(&config.data_dir, &config.recordings_path, readers)?;
        if role == Role::Everything {
            tell_access(&config);
        }
        let secrets = Secrets::load(&config, role)?;
        let truth = Truth::open(&data_dir::truth(&config.data_dir))?;
        let accounts = Arc::new(Accounts::open(truth.clone(), Cost::DEFAULT)?);
        let shares = Arc::new(Shares::open(truth.clone(), Arc::clone(&accounts))?);
        let rooms = Arc::new(Rooms::open(truth.clone(), &secrets.rooms_key)?);
        let library = open_library(&config, &secrets, truth.clone())?;
        let wanted = SocketAddr::new(config.listen, config.port_in_force(role));
        let listener = TcpListener::bind(wanted).await.map_err(|error| cannot_listen(wanted, error))?;
        let address = listener.local_addr()?;
        let https = https::open(&config, role, address).await?;
        let inner = inner_listener().await?;
        let inner_address = inner.local_addr()?;
        let own = urls::own(inner_address);
        let audit = Arc::new(Audit::new(truth.clone()));
        let embedded = if config.embeds_media() {
            let page = Page { address, https: https.as_ref(), own: &own };
            Some(Embedded::start(&config, &secrets, &library, truth, page, role).await?)
        } else {
            None
        };
        let people = People { accounts: Arc::clone(&accounts), rooms, shares, audit: Arc::clone(&audit) };
        let web = (role == Role::Everything).then(|| {
            let settings = in_force(&config, sources).into();
            let parts = Parts { embedded: embedded.as_ref(), https: https.as_ref() };
            web_app(&config, &secrets, library.clone(), people, settings, &own, parts)
        });
        if let (Some(parts), Some(web)) = (&embedded, &web) {
            parts.media.guard(Arc::new(AppGate(web.tickets())));
            // Whoever comes at the first moment finds them in the list.
            web.go_on_with(&parts.egress.recording()).await;
        }
        let is_by_invitation = web.is_some() && config.access_in_force() == Access::Invite;
        let invites = is_by_invitation.then(|| {
            let (audit, public_hosts) = (Arc::clone(&audit), config.public_hosts.clone());
            Invites { accounts, audit, public_hosts }
        });
        let doors = routes::doors(embedded.as_ref().map(|parts| (&parts.media, &parts.egress)), web.as_ref());
        let (sites, bounds) = (sites(&config, role).into(), bounds(&config));
        let takes_media = config.no_passage(role).is_none();
        let public_url = config.public_url;
        let drain = Duration::from_secs(config.drain_seconds);
        let restart = data_dir::restart(&config.data_dir);
        Ok(Self {
            listener,
            inner,
            inner_address,
            address,
            doors,
            sites,
            bounds,
            embedded,
            web,
            https,
            public_url,
            invites,
            audit,
            library,
            takes_media,
            drain,
            restart,
            _data_dir: lock,
        })
    }

    /// Where it is reached: by HTTPS from other machines, where it speaks that and listens for them.
    pub fn url(&self) -> String {
        let by_https = self.https.as_ref().and_then(|https| https.addresses().into_iter().next());
        by_https.unwrap_or_else(|| urls::page(self.address))
    }

    /// The certificates of its HTTPS, which are read again by [`Certificates::reload`].
    pub fn certificates(&self) -> Option<Certificates> {
        self.https.as_ref().map(|https| https.certificates.clone())
    }

    /// Lines about its HTTPS, for whoever started the program.
    pub fn about_https(&self) -> String {
        self.https.as_ref().map(https::Opened::lines).unwrap_or_default()
    }

    /// The address by which everybody reaches it, where that is set.
    pub fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }

    /// The key and the secret by which programs use its media server, where it has one.
    pub fn credentials(&self) -> Option<(String, String)> {
        let (key, secret) = self.embedded.as_ref()?.media.keys().first();
        Some((key.to_owned(), secret.to_owned()))
    }

    /// Where the program reaches itself, whoever waits at the other port.
    pub fn inner_address(&self) -> SocketAddr {
        self.inner_address
    }

    /// Whether nobody is let in but its owner, and there is none yet.
    pub fn awaits_owner(&self) -> bool {
        self.invites.as_ref().is_some_and(|invites| !invites.accounts.has_password())
    }

    /// Lines with a new link by which somebody becomes the owner, where nobody else would be let in and there is none. They are for whoever
    /// started the program, and for no log.
    ///
    /// # Errors
    /// The data folder's disk takes nothing.
    pub fn invitation(&self) -> anyhow::Result<Option<String>> {
        let unowned = self.invites.as_ref().filter(|invites| !invites.accounts.has_password());
        unowned
            .map(|Invites { accounts, audit, public_hosts }| {
                let addresses = owner::Addresses {
                    page: self.url(),
                    public_url: self.public_url.clone(),
                    public_hosts: public_hosts.clone(),
                };
                owner::new_link(accounts, audit, WhoKind::Server, &addresses)
            })
            .transpose()
    }

    /// What may be set anew while it runs.
    pub(crate) fn levers(&self) -> Levers {
        Levers {
            sites: self.sites.clone(),
            media: self.embedded.as_ref().map(|parts| parts.media.clone()),
            egress: self.embedded.as_ref().map(|parts| parts.egress.clone()),
            web: self.web.clone(),
            audit: self.web.is_some().then(|| Arc::clone(&self.audit)),
        }
    }

    /// Serves until `shutdown`, then ends calls properly.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let for_good = async {
            shutdown.await;
            Stop::End
        };
        self.run_until(for_good).await;
    }

    /// Serves until `shutdown`, and stops as that says.
    pub async fn run_until(mut self, shutdown: impl Future<Output = Stop>) {
        let stop = CancellationToken::new();
        let serving = TaskTracker::new();
        let bounds = Bounds { total: INNER_CONNECTIONS, of_an_address: INNER_CONNECTIONS };
        serving.spawn(listener::serve(self.inner, Front::inner(self.doors.clone()), bounds, stop.clone()));
        if let Some((listener, https, bounds)) = self.https.as_mut().and_then(https::Opened::take_plain) {
            let front = Front::sending_to(https, self.sites.clone(), bounds);
            serving.spawn(listener::serve(listener, front, bounds, stop.clone()));
        }
        let mut front = Front::new(self.doors, self.sites, self.bounds);
        if let Some(https) = &self.https {
            front = front.with_https(https.front());
            let (certificates, stop) = (https.certificates.clone(), stop.clone());
            // It begins once the port is served, at which an ACME server asks.
            serving.spawn(async move { certificates.tend(stop).await });
        }
        if let Some(media) = self.embedded.as_ref().map(|parts| &parts.media).filter(|_| self.takes_media) {
            front = front.with_media(media.clone());
        }
        serving.spawn(listener::serve(self.listener, front, self.bounds, stop.clone()));
        if let Some(web) = &self.web {
            web.watch();
        }
        let tending = tokio::spawn({
            let (library, stop) = (self.library, stop.clone());
            async move { library.tend(stop).await }
        });
        let how = shutdown.await;
        // The recorder's and the rooms' last webhooks still reach this very server.
        if let Some(embedded) = self.embedded {
            match how {
                Stop::End => embedded.shutdown().await,
                Stop::HandOver => embedded.hand_over(self.drain, &self.restart).await,
            }
        }
        if let Some(web) = &self.web {
            web.shutdown().await;
        }
        stop.cancel();
        let _ = tending.await;
        serving.close();
        let close_within = match how {
            Stop::End => CLOSE_WITHIN,
            Stop::HandOver => CLOSE_BEFORE_START_WITHIN,
        };
        let _ = tokio::time::timeout(close_within, serving.wait()).await;
        // Until here somebody may have done something.
        if let Some(web) = &self.web {
            web.write_down().await;
        }
        tracing::info!("stopped");
    }
}

impl Embedded {
    async fn start(
        config: &Config,
        secrets: &Secrets,
        library: &Library,
        truth: Truth,
        page: Page<'_>,
        role: Role,
    ) -> anyhow::Result<Self> {
        let turn_name = page.https.and_then(https::Opened::believed_name);
        let media = MediaServer::start(MediaConfig {
            keys: secrets.api_keys.clone(),
            listen: config.receives_media(),
            udp_port: config.udp_port,
            advertise: config.advertise_ips.clone(),
            advertise_names: config.advertise_hosts.iter().map(ToString::to_string).collect(),
            passage: config.passage(role, page.address.port(), turn_name),
            webhook_urls: config.webhook_urls.clone(),
            crowd: Crowd { rooms: config.max_rooms, participants: config.max_participants },
        })
        .await
        .context("udp_port chooses another port for media")?;
        let resume_within = Duration::from_secs(config.resume_seconds);
        media.take_up(&data_dir::restart(&config.data_dir), resume_within).await;
        // For those of the settings: what this program tells itself is of this run.
        media.webhooks().keep(truth)?;
        if role == Role::Everything {
            let webhook = page.own.join("livekit/webhook").expect("a plain path can be joined");
            media.webhooks().add_url(webhook);
        }
        let compose = vec![own_program()?, OsString::from("compose")];
        tell_sandbox(Support::of_this_kernel());
        tokio::task::spawn_blocking(tell_fonts);
        let shelf = Arc::new(LibraryShelf(library.clone()));
        let egress_config = EgressConfig {
            keep_takes: DAY * config.keep_takes_days,
            disk_reserve_bytes: config.disk_reserve,
            max_recordings: config.max_recordings.into(),
            max_composers: config.max_composers.into(),
            participants_folder: library.prefix().to_owned(),
            resume_within,
            ..EgressConfig::new(&config.data_dir, compose)
        };
        let egress = Egress::start(egress_config, media.clone(), shelf).await?;
        Ok(Self { media, egress })
    }

    /// Ends calls and recordings.
    async fn shutdown(self) {
        self.egress.shutdown().await;
        self.media.shutdown().await;
    }

    /// Leaves calls and recordings to the next run, whose way to them is `file`. Calls may go on for as long as `drain` before that.
    async fn hand_over(self, drain: Duration, file: &Path) {
        let rooms = self.media.rooms();
        rooms.open_no_more();
        if !drain.is_zero() && rooms.count() > 0 {
            let (rooms_open, seconds) = (rooms.count(), drain.as_secs());
            tracing::info!(rooms = rooms_open, seconds, "calls that go on may end first; no room opens");
            let all_over = async {
                while rooms.count() > 0 {
                    tokio::time::sleep(LOOK_FOR_CALLS_EVERY).await;
                }
            };
            let _ = tokio::time::timeout(drain, all_over).await;
        }
        self.egress.suspend().await;
        self.media.hand_over(file).await;
    }
}

fn cannot_listen(wanted: SocketAddr, error: std::io::Error) -> anyhow::Error {
    let hint =
        https::privilege(&error).unwrap_or(": is something else running there? server_port chooses another");
    anyhow::Error::new(error).context(format!("cannot listen on {wanted}{hint}"))
}

/// The port by which the program reaches itself. Recordings are started and stopped, their webhooks come in, and a service manager is told that
/// the program is alive, however many wait at the other one.
async fn inner_listener() -> anyhow::Result<TcpListener> {
    let addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
    TcpListener::bind(&addresses[..]).await.context("no port of a loopback address is free")
}

/// By which names the program is reached, and whose pages may use it.
pub(crate) fn sites(config: &Config, role: Role) -> Sites {
    let addresses =
        config.advertise_ips.iter().chain([&config.listen]).map(|ip| HostName::Address(ip.to_canonical()));
    let advertised = config.advertise_hosts.iter().cloned();
    let is_unspecified = |host: &HostName| matches!(host, HostName::Address(ip) if ip.is_unspecified());
    Sites {
        hosts: config
            .public_names()
            .into_iter()
            .chain(addresses)
            .chain(advertised)
            .chain(machine_names())
            .filter(|host| !is_unspecified(host))
            .collect(),
        public_names: config.public_hosts.clone(),
        public_url: config.public_url.clone(),
        proxies: config.trusted_proxies.clone(),
        origins: config.allowed_origins.clone(),
        welcomes_local_pages: role == Role::Media && config.listen.is_loopback(),
        refuses_pages: false,
    }
}

/// The name that this machine has given itself, and the one that it has in its network by multicast DNS: nobody else's page has them.
pub(crate) fn machine_names() -> Vec<HostName> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let local = format!("{}.local", name.trim());
    let names = [name.trim(), &local].map(|name| name.parse::<HostName>());
    names.into_iter().flatten().filter(|name| matches!(name, HostName::Name(_))).collect()
}

/// How many may be connected: no more than leave recordings the files that they need.
fn bounds(config: &Config) -> Bounds {
    let files = descriptors::most();
    let Files { reserved, media, connections } = Files::of(files);
    let total = config.max_connections.min(connections).max(1);
    let bounds = Bounds { total, of_an_address: config.max_connections_per_address };
    let of_an_address = bounds.of_one();
    tracing::info!(
        open_files = files,
        reserved,
        media,
        connections = total,
        of_an_address,
        "open files are shared out"
    );
    if reserved < 2 * INNER_CONNECTIONS {
        tracing::warn!(
            open_files = files,
            "the system gives this program few open files: where many ask at once, recordings may find none"
        );
    }
    bounds
}

fn open_library(config: &Config, secrets: &Secrets, truth: Truth) -> anyhow::Result<Library> {
    let store = match config.s3() {
        Some(bucket) => StoreConfig::S3(bucket),
        None => StoreConfig::Local(data_dir::store(
            &config.data_dir,
            &config.recordings_path,
            config.recordings_readers.into(),
        )),
    };
    if config.s3().is_some() && config.backup_path.as_ref() != Some(&config.data_dir) {
        data_dir::tell_left_behind(&config.data_dir, &config.recordings_path);
    }
    Library::open(LibraryConfig {
        store,
        prefix: config.recordings_path.clone(),
        index: data_dir::index(&config.data_dir),
        truth,
        link_key: secrets.link_key.clone(),
        refresh_every: REFRESH_EVERY,
        limits: Limits::default(),
        backup: backup(config),
    })
    .context("the library of recordings cannot be opened")
}

fn backup(config: &Config) -> Option<Backup> {
    let folder = || {
        let (root, readers) = (config.backup_path.clone()?, config.recordings_readers.into());
        Some(StoreConfig::Local(FolderConfig { root, readers, ..FolderConfig::default() }))
    };
    let bucket = config.backup_s3().map(StoreConfig::S3);
    let store = bucket.or_else(folder)?;
    Some(Backup { store, after: Duration::from_secs(config.backup_after) })
}

fn web_app(
    config: &Config,
    secrets: &Secrets,
    library: Library,
    people: People,
    settings: Arc<[SettingBody]>,
    own: &Url,
    Parts { embedded, https }: Parts<'_>,
) -> WebApp {
    let playback = match config.recording_playback_strategy {
        PlaybackStrategy::Proxy => Playback::Proxy,
        PlaybackStrategy::S3 => Playback::S3,
    };
    let access = match config.access_in_force() {
        Access::Open => reelroom_app::Access::Open,
        Access::Invite => reelroom_app::Access::Invite,
    };
    WebApp::new(AppConfig {
        access,
        accounts: people.accounts,
        rooms: people.rooms,
        shares: people.shares,
        livekit_url: config.livekit_url.clone().unwrap_or_else(|| own.clone()),
        public_livekit_url: config.livekit_url.clone(),
        keys: secrets.api_keys.clone(),
        media_origin: library.origin().filter(|_| playback == Playback::S3),
        library,
        playback,
        portion_bytes: config.recording_file_portion_size,
        recorder: embedded.map(|parts| Arc::new(EgressRecorder(parts.egress.clone())) as Arc<dyn Recorder>),
        room_state: config.room_state,
        media: embedded.map(|parts| Arc::new(OwnMedia::new(parts.media.clone())) as Arc<dyn Media>),
        oidc: open_id(config).map(Arc::new),
        public_url: config.public_url.as_ref().map(Url::from),
        public_hosts: config.public_hosts.iter().map(ToString::to_string).collect(),
        audit: people.audit,
        places: places(config),
        settings,
        warnings: https.map(|https| {
            let certificates = https.certificates.clone();
            Arc::new(move || certificates.warnings()) as Warnings
        }),
    })
}

/// Says who is let in where nothing is set and others come: earlier versions wanted that to be said, or let in everybody.
fn tell_access(config: &Config) {
    match (config.access, config.reached()) {
        (None, Some(Reached::ByAddress)) => {
            tracing::info!(
                "its owner, and whoever is invited, may use this server, for LISTEN is no loopback address (ACCESS=invite); ACCESS=open lets in everybody"
            );
        }
        (None, Some(reached)) => {
            tracing::warn!(
                "its owner, and whoever is invited, may use this server, for {reached} and ACCESS is not set: ACCESS=invite says that this is meant, \
                 ACCESS=open lets in everybody"
            );
        }
        (Some(_), _) | (None, None) => {}
    }
}

/// The provider at which the owner may sign in. It is asked when somebody does.
fn open_id(config: &Config) -> Option<OpenId> {
    let oidc = config.oidc().expect("settings are checked as they are read")?;
    tracing::info!(issuer = oidc.issuer.as_str(), "the owner may sign in at an OpenID provider, too");
    Some(OpenId::new(oidc, &mut rand::rng()))
}

/// Where recordings are made and kept, for the overview.
fn places(config: &Config) -> Places {
    let kind = |is_bucket| if is_bucket { StoreKind::S3 } else { StoreKind::Folder };
    let has_backup = config.backup_s3_bucket.is_some() || config.backup_path.is_some();
    Places {
        data_dir: config.data_dir.clone(),
        disk_reserve_bytes: config.disk_reserve,
        store: kind(config.s3_bucket.is_some()),
        bucket: config.s3_bucket.clone(),
        backup: has_backup.then(|| kind(config.backup_s3_bucket.is_some())),
    }
}

/// What keeps composers, which read the media of strangers, away from everything else.
fn tell_sandbox(support: Support) {
    if support.is_enough() {
        tracing::info!(%support, "composers run in a sandbox");
    } else {
        tracing::warn!(%support, "this kernel does not confine composers, which read the media of strangers");
    }
}

/// Names in a script without a font are boxes in recordings.
fn tell_fonts() {
    let missing = Fonts::of_this_machine().missing_scripts();
    if !missing.is_empty() {
        let scripts: Vec<_> = missing.iter().map(|(script, _)| *script).collect();
        let packages: BTreeSet<_> = missing.iter().map(|(_, package)| *package).collect();
        tracing::warn!(
            scripts = scripts.join(", "),
            packages = packages.into_iter().collect::<Vec<_>>().join(" "),
            "no font of this machine has these scripts: names in them are boxes in recordings; these packages have them"
        );
    }
}

/// Composers are this very program.
fn own_program() -> anyhow::Result<OsString> {
    Ok(std::env::current_exe().context("this program's own file cannot be found")?.into_os_string())
}
