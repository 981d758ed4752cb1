//! Every setting, once: name, meaning, default, environment variable.
//!
//! The commented `reelroom.toml` (`reelroom config`) is generated from [`Config`]; the environment beats the file;
//! a key that is not here is an error. The tutorial's variables keep their names: a key is its variable's name in
//! lower case.

// The derive makes validators that take `&String`.
#![allow(clippy::ptr_arg)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use confique::Config as _;
use confique::env::parse::list_by_comma;
use reelroom_library::{Readers, S3Config};
use reelroom_limits::media::ADVERTISED_NAMES;
use reelroom_media::{MAX_ADDRESSES, MediaListen};
use reelroom_oidc::{Issuer, OidcConfig, OwnerName};
use serde::Deserialize;
use url::Url;

pub(crate) use self::environment::Environment;
pub use self::in_force::Sources;
pub use self::problem::{Problem, Problems, Spot};
pub use self::reading::Reading;
pub use self::tls::Tls;
use crate::front::sites::{AllowedOrigin, HostName};
use crate::network::Network;
use crate::public_url::PublicUrl;
use crate::{data_dir, log};

/// Reelroom's settings. Each can also be given as an environment variable of the same name in capitals, which wins.
#[derive(Clone, confique::Config)]
#[config(layer_attr(serde(deny_unknown_fields)))]
#[config(layer_attr(derive(Clone, PartialEq)))]
pub struct Config {
    /// The port of the page and every API, for HTTP and HTTPS alike. 0 takes any free port. Unset: 6080, and 7880 for `reelroom media`; 443
    /// where the certificate is of files or an ACME server and `public_url` names no port.
    #[config(env = "SERVER_PORT")]
    pub server_port: Option<u16>,

    /// The address that the page and every API listen on. On anything but a loopback address `access` is "invite" unless it is set. Media
    /// has a setting of its own: `media_listen`.
    #[config(env = "LISTEN", default = "127.0.0.1")]
    pub listen: IpAddr,

    /// Who may use this server. "open": whoever reaches the page may join, record, play and delete everything. "invite": the owner, who signs
    /// in with a password that is set by a link which the first start prints, programs with API keys, and whoever has the link of a room; see
    /// docs/signing-in.md. Unset: "open" while only this machine reaches the server, "invite" where `listen` is no loopback address or
    /// `public_url`, `public_hosts`, `advertise_ips` or `advertise_hosts` name others.
    #[config(env = "ACCESS")]
    pub access: Option<Access>,

    /// The names that this server is reached by besides `localhost` and the addresses of this machine, separated by commas in the
    /// environment: the name that a proxy in front has, such as "calls.example.org". A request for any other name is refused, and
    /// with it the page of somebody who points a name of theirs at this machine.
    #[config(env = "PUBLIC_HOSTS", parse_env = list_by_comma, default = [])]
    pub public_hosts: Vec<HostName>,

    /// The address by which everybody reaches this server, such as "https://calls.example.org": links that are made begin with it, and its name is
    /// one of `public_hosts`. With a path, such as "https://example.org/calls", the server is found below that, whether a proxy passes the
    /// path on or takes it off. http:// is for localhost and addresses of private networks.
    #[config(env = "PUBLIC_URL")]
    pub public_url: Option<PublicUrl>,

    /// The proxies on other machines whose word is believed about whom they speak for and how those came (`X-Forwarded-For` and its like),
    /// separated by commas in the environment: addresses, and networks such as "10.0.0.0/8". Those of this machine are believed anyway, and
    /// nobody else. Nobody but proxies may have one of these addresses.
    #[config(env = "TRUSTED_PROXIES", parse_env = list_by_comma, default = [])]
    pub trusted_proxies: Vec<Network>,

    /// The origins, besides this server's own, whose pages may use it, such as "https://app.example.org", separated by commas in
    /// the environment. "http://localhost:*" are those of every port, "*" all there are: then tokens alone protect LiveKit's APIs, and
    /// nothing the recordings of whoever has access = "open". `reelroom media` on a loopback address welcomes localhost anyway.
    /// An element that loads something from here in such a page (`<video src>`) needs the attribute `crossorigin` unless it is "*", or a
    /// signed link.
    #[config(env = "ALLOWED_ORIGINS", parse_env = list_by_comma, default = [])]
    pub allowed_origins: Vec<AllowedOrigin>,

    /// Where the certificate of HTTPS comes from. "off": there is none. "files": `tls_cert` and `tls_key`. "acme": an ACME server such as Let's Encrypt,
    /// for the name of `public_url`. "own": the server makes one for the addresses of this machine, and browsers warn of it once. Unset: "files"
    /// where `tls_cert` is set; "off" while `listen` is a loopback address or a proxy is in front (`public_hosts`, `trusted_proxies`);
    /// otherwise "acme" where `public_url` is https with a public name, and "own", unless `advertise_ips` is set, or it is `reelroom media`. See
    /// docs/https.md.
    #[config(env = "TLS")]
    pub tls: Option<Tls>,

    /// The PEM file of the certificate, with those of who vouches for it behind it (fullchain.pem). It is read again when it changes.
    #[config(env = "TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// The PEM file of its private key, without a password. It may be the same file.
    #[config(env = "TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// Whom the ACME server may write to about the certificate, such as "ann@example.org".
    #[config(env = "ACME_EMAIL")]
    pub acme_email: Option<String>,

    /// The directory of the ACME server. The default is that of Let's Encrypt, whose terms you agree to by using it.
    #[config(env = "ACME_DIRECTORY", default = "https://acme-v02.api.letsencrypt.org/directory")]
    pub acme_directory: String,

    /// The PEM file of who vouches for the ACME server's own HTTPS, where browsers do not know them: that of an organisation. Unset: those
    /// whom this machine believes.
    #[config(env = "ACME_CA")]
    pub acme_ca: Option<PathBuf>,

    /// The port at which whoever comes without HTTPS is sent to it, and an ACME server asks (HTTP-01). 0 opens none. Unset: 80 where HTTPS is at port
    /// 443, none otherwise; `server_port` sends browsers to HTTPS by itself.
    #[config(env = "HTTP_PORT")]
    pub http_port: Option<u16>,

    /// How many HTTP connections may be open at once, three quarters of them WebSockets. Fewer where the system gives this program fewer open
    /// files: a part of those is kept for recordings.
    #[config(env = "MAX_CONNECTIONS", default = 4096, validate(*max_connections > 0, "must be more than 0"))]
    pub max_connections: usize,

    /// How many HTTP connections one address may have open at once, half of all at most, and how many WebSockets; an IPv6 network of 64 bits
    /// counts as one. Of a proxy on this machine, or one of `trusted_proxies`, it bounds the WebSockets of each of its clients. Any other
    /// proxy is one address.
    #[config(env = "MAX_CONNECTIONS_PER_ADDRESS", default = 1024,
        validate(*max_connections_per_address > 0, "must be more than 0"))]
    pub max_connections_per_address: usize,

    /// The folder for recordings in the making, what nothing else knows (truth.db), the index, generated secrets and, without
    /// S3, the recordings.
    #[config(env = "DATA_DIR", default = "./data")]
    pub data_dir: PathBuf,

    /// The UDP port of all media, and the TCP port of media for those whose UDP is blocked. 0 takes any free port.
    #[config(env = "UDP_PORT", default = 7882)]
    pub udp_port: u16,

    /// The addresses that media is received at, separated by commas in the environment; "0.0.0.0" stands for all IPv4
    /// addresses of this machine, "::" for all. Unset: the address of `listen`; while that is a loopback address, all
    /// addresses of this machine, where participants of this machine are heard from it alone, and those that a proxy in
    /// front brings from elsewhere are heard from anywhere.
    #[config(env = "MEDIA_LISTEN", parse_env = list_by_comma, default = [])]
    pub media_listen: Vec<IpAddr>,

    /// The addresses that clients are told to send media to, separated by commas in the environment: all of them, IPv4 and
    /// IPv6. Unset: those that media is received at. Behind NAT, the public address; with clients on both sides, the
    /// private one too.
    #[config(env = "ADVERTISE_IPS", parse_env = list_by_comma, default = [])]
    pub advertise_ips: Vec<IpAddr>,

    /// Names whose addresses clients are told besides `advertise_ips`, separated by commas in the environment: that of a router with a changing
    /// address, such as "home.example.org". They are looked up as the server starts, and again every minute.
    #[config(env = "ADVERTISE_HOSTS", parse_env = list_by_comma, default = [])]
    pub advertise_hosts: Vec<HostName>,

    /// Whether calls also come by the port of the page, for those whose network lets nothing but that through: ICE over TCP, and TURN, within TLS
    /// where the certificate is of files or an ACME server. It does nothing while `listen` is a loopback address or a proxy is in front. See
    /// docs/network.md.
    #[config(env = "MEDIA_ON_SERVER_PORT", default = true)]
    pub media_on_server_port: bool,

    /// The UDP port at which TURN is spoken, such as 3478, or 443 where UDP of that port is let through; the port of `udp_port` is for both then.
    /// Unset: TURN goes by the port of the page alone.
    #[config(env = "TURN_UDP_PORT")]
    pub turn_udp_port: Option<u16>,

    /// The LiveKit or OpenVidu server to use, such as "wss://my.example.org". Unset: the media server and recorder
    /// inside this program.
    #[config(env = "LIVEKIT_URL")]
    pub livekit_url: Option<Url>,

    /// The API key of the LiveKit server. Unset: a key is generated at the first start and kept in the data folder; "devkey" for
    /// `reelroom media` on a loopback address, and for an outside server there.
    #[config(env = "LIVEKIT_API_KEY")]
    pub livekit_api_key: Option<String>,

    /// The secret of the API key. Unset: generated with it, and "secret" for "devkey".
    #[config(env = "LIVEKIT_API_SECRET")]
    pub livekit_api_secret: Option<String>,

    /// The S3 bucket for recordings. Unset: the data folder.
    #[config(env = "S3_BUCKET")]
    pub s3_bucket: Option<String>,

    /// The URL of the S3 server, such as "http://localhost:9000". Unset: Amazon's for the region.
    #[config(env = "S3_ENDPOINT")]
    pub s3_endpoint: Option<String>,

    /// The access key of the S3 server. Unset: `aws_access_key_id`, and without that the role that Amazon's platform gives
    /// (see docs/storing.md).
    #[config(env = "S3_ACCESS_KEY")]
    pub s3_access_key: Option<String>,

    /// The secret key of the S3 server.
    #[config(env = "S3_SECRET_KEY")]
    pub s3_secret_key: Option<String>,

    /// The access key under the name that Amazon's own programs read.
    #[config(env = "AWS_ACCESS_KEY_ID")]
    pub aws_access_key_id: Option<String>,

    /// The secret key of `aws_access_key_id`.
    #[config(env = "AWS_SECRET_ACCESS_KEY")]
    pub aws_secret_access_key: Option<String>,

    /// The session token that belongs to a temporary access key.
    #[config(env = "AWS_SESSION_TOKEN")]
    pub aws_session_token: Option<String>,

    /// The region of the S3 server. Where the bucket is in another one, that is used.
    #[config(env = "AWS_REGION", default = "us-east-1")]
    pub aws_region: String,

    /// Whether the bucket stands in the path of the S3 server's URLs (true) or in the host's name (false). Unset: in the
    /// host's name for Amazon, Aliyun, Tencent and Volcano, in the path for all others.
    #[config(env = "S3_FORCE_PATH_STYLE")]
    pub s3_force_path_style: Option<bool>,

    /// Where recordings stand in the bucket or in the data folder.
    #[config(
        env = "RECORDINGS_PATH",
        default = "recordings/",
        validate(
            is_folder(recordings_path),
            "must name a folder such as \"recordings/\", without empty, \".\" or \"..\" parts"
        )
    )]
    pub recordings_path: String,

    /// Who may read recordings in folders of this machine besides the user that the server runs as: "owner" for nobody, or "group" for
    /// the group of the folder, such as a web server's or a backup program's. Everything else in the data folder is the owner's alone.
    #[config(env = "RECORDINGS_READERS", default = "owner")]
    pub recordings_readers: RecordingsReaders,

    /// A second folder for recordings, best on another disk: those that the store refuses for `backup_after` are stored there,
    /// listed and played from there, and moved to the store when it takes them. Unset: they wait in the data folder.
    #[config(env = "BACKUP_PATH")]
    pub backup_path: Option<PathBuf>,

    /// A second bucket for recordings, instead of `backup_path`.
    #[config(env = "BACKUP_S3_BUCKET")]
    pub backup_s3_bucket: Option<String>,

    /// The URL of the second bucket's S3 server. Unset: Amazon's for the region.
    #[config(env = "BACKUP_S3_ENDPOINT")]
    pub backup_s3_endpoint: Option<String>,

    /// The access key of the second bucket's S3 server.
    #[config(env = "BACKUP_S3_ACCESS_KEY")]
    pub backup_s3_access_key: Option<String>,

    /// The secret key of the second bucket's S3 server.
    #[config(env = "BACKUP_S3_SECRET_KEY")]
    pub backup_s3_secret_key: Option<String>,

    /// The session token that belongs to a temporary access key of the second bucket.
    #[config(env = "BACKUP_AWS_SESSION_TOKEN")]
    pub backup_aws_session_token: Option<String>,

    /// The region of the second bucket's S3 server.
    #[config(env = "BACKUP_AWS_REGION", default = "us-east-1")]
    pub backup_aws_region: String,

    /// As `s3_force_path_style`, for the second bucket.
    #[config(env = "BACKUP_S3_FORCE_PATH_STYLE")]
    pub backup_s3_force_path_style: Option<bool>,

    /// For how many seconds the store has to refuse a recording before it is stored in the backup store. 0: it has to refuse
    /// it once.
    #[config(env = "BACKUP_AFTER", default = 300)]
    pub backup_after: u64,

    /// For how many days what was recorded is kept as a take beside the finished recording, to be composed again: 0 for not
    /// at all, 100000 for good.
    #[config(env = "KEEP_TAKES_DAYS", default = 0)]
    pub keep_takes_days: u32,

    /// So many bytes of the data folder's disk are left free: with less, recordings are ended properly and none begins.
    #[config(env = "DISK_RESERVE", default = 1_000_000_000)]
    pub disk_reserve: u64,

    /// How many participants a room may have; LiveKit's `maxParticipants` may say less for a room.
    #[config(env = "MAX_PARTICIPANTS", default = 500)]
    pub max_participants: u32,

    /// How many rooms may be open at once.
    #[config(env = "MAX_ROOMS", default = 1000)]
    pub max_rooms: u32,

    /// At a planned stop (SIGTERM, as `systemctl restart` sends it): how many seconds calls may go on before their clients are told to come
    /// back, which they do by themselves once the program runs again. No room opens meanwhile, and it ends sooner when no room is open.
    /// What stops the program has to wait longer than this; systemd is asked to.
    #[config(env = "DRAIN_SECONDS", default = 0, validate(*drain_seconds <= 86_400, "must be at most 86400, a day"))]
    pub drain_seconds: u64,

    /// How many seconds after a planned stop and a start a recording that ran waits for its room to open again. It goes on then, in the same
    /// file; otherwise it is finished as it was at the stop. 0: recordings end with the program.
    #[config(env = "RESUME_SECONDS", default = 60, validate(*resume_seconds <= 600, "must be at most 600"))]
    pub resume_seconds: u64,

    /// How many recordings may run at once. 0: as many as this machine can capture, by what those that run cost.
    #[config(env = "MAX_RECORDINGS", default = 0)]
    pub max_recordings: u32,

    /// How many recordings are composed while they run; half as many more are when they are over, and the others wait. 0: two for
    /// each processor.
    #[config(env = "MAX_COMPOSERS", default = 0)]
    pub max_composers: u16,

    /// The most bytes of a recording that one open-ended range request is answered with.
    #[config(env = "RECORDING_FILE_PORTION_SIZE", default = 5_242_880,
        validate(*recording_file_portion_size > 0, "must be more than 0"))]
    pub recording_file_portion_size: u64,

    /// How the page plays a recording: "PROXY" through this server, or "S3" by a presigned URL from the bucket.
    #[config(env = "RECORDING_PLAYBACK_STRATEGY", default = "PROXY")]
    pub recording_playback_strategy: PlaybackStrategy,

    /// Further URLs that the embedded media server sends signed webhooks to, separated by commas in the environment.
    #[config(env = "WEBHOOK_URLS", parse_env = list_by_comma, default = [])]
    pub webhook_urls: Vec<Url>,

    /// The OpenID provider at which the owner may sign in besides by password, letter by letter as it calls itself, such as
    /// "https://accounts.example.org". Unset: by password alone. docs/signing-in.md says what to tell the provider.
    #[config(env = "OIDC_ISSUER")]
    pub oidc_issuer: Option<String>,

    /// What that provider calls this server.
    #[config(env = "OIDC_CLIENT_ID")]
    pub oidc_client_id: Option<String>,

    /// The secret that goes with it.
    #[config(env = "OIDC_CLIENT_SECRET")]
    pub oidc_client_secret: Option<String>,

    /// Who is the owner when they sign in there, and nobody else, separated by commas in the environment: e-mail addresses that the
    /// provider has verified, such as "ann@example.org", or its own ids of people, such as "sub:248289761001".
    #[config(env = "OIDC_OWNERS", parse_env = list_by_comma, default = [])]
    pub oidc_owners: Vec<OwnerName>,

    /// Whether those in a room are told of its recording by the room's metadata and by messages, in the shapes of OpenVidu's advanced
    /// tutorial (docs/events.md). false where an app of yours has the metadata of all its rooms for itself. `reelroom media` tells nothing.
    #[config(env = "ROOM_STATE", default = true)]
    pub room_state: bool,

    /// What is logged: error, warn, info, debug or trace, also per module ("info,reelroom_media=debug").
    #[config(env = "LOG", default = "info")]
    pub log: String,
}

/// Who may do what. See [`Config::access`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Whoever reaches the page may do everything.
    Open,
    /// The owner and who is let in by the owner; nobody else anything.
    Invite,
}

/// Why others than this machine's own people reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It listens on an address of the machine that is none of loopback.
    ByAddress,
    /// A proxy has a name for it: `public_hosts`, `public_url`.
    ByName,
    /// Others are told where to send media: `advertise_ips`.
    ByMedia,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByAddress => "LISTEN is no loopback address",
            Self::ByName => "PUBLIC_HOSTS or PUBLIC_URL has names for others",
            Self::ByMedia => "ADVERTISE_IPS or ADVERTISE_HOSTS has addresses for others",
        })
    }
}

/// Who reads recordings in folders. See [`Config::recordings_readers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingsReaders {
    /// The user that the server runs as.
    Owner,
    /// The folder's group too.
    Group,
}

impl From<RecordingsReaders> for Readers {
    fn from(readers: RecordingsReaders) -> Self {
        match readers {
            RecordingsReaders::Owner => Self::Owner,
            RecordingsReaders::Group => Self::Group,
        }
    }
}

/// The tutorial's two ways of playing a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PlaybackStrategy {
    /// Through this server.
    Proxy,
    /// From the bucket, by presigned URL.
    S3,
}

/// Some of the settings, each of which may be absent.
pub(crate) type Layer = <Config as confique::Config>::Layer;

const OIDC_BY_HALF: &str = "oidc_issuer, oidc_client_id, oidc_client_secret and oidc_owners (OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, \
     OIDC_OWNERS) belong together, and one of them is not set: set all four, or none";

/// The settings file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "reelroom.toml";

impl Config {
    /// Reads `file` (or [`DEFAULT_FILE`] where it exists) and the environment.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self::read(file)?.config)
    }

    /// The same, and it is known where each setting was given.
    ///
    /// # Errors
    /// A file that was named but is missing, what is no TOML, an unknown key, a value that cannot be what it says, what does not go together:
    /// all there are, each with its place.
    pub fn read(file: Option<&Path>) -> Result<Reading, Problems> {
        Self::read_with(file, &Environment::of_this_process())
    }

    pub(crate) fn read_with(file: Option<&Path>, environment: &Environment) -> Result<Reading, Problems> {
        match reading::File::open(file) {
            Ok(file) => reading::read(file.as_ref(), environment),
            Err(problem) => Err(problem.into()),
        }
    }

    /// The commented file that sets nothing: each setting, its meaning and its default.
    pub fn template() -> String {
        confique::toml::template::<Self>(confique::toml::FormatOptions::default())
    }

    /// A variable set to nothing is one that is not set, as shells and compose files make them.
    fn forget_empty_values(&mut self) {
        for value in [
            &mut self.livekit_api_key,
            &mut self.livekit_api_secret,
            &mut self.s3_bucket,
            &mut self.s3_endpoint,
            &mut self.s3_access_key,
            &mut self.s3_secret_key,
            &mut self.aws_access_key_id,
            &mut self.aws_secret_access_key,
            &mut self.aws_session_token,
            &mut self.backup_aws_session_token,
            &mut self.backup_s3_bucket,
            &mut self.backup_s3_endpoint,
            &mut self.backup_s3_access_key,
            &mut self.backup_s3_secret_key,
            &mut self.oidc_issuer,
            &mut self.oidc_client_id,
            &mut self.oidc_client_secret,
            &mut self.acme_email,
        ] {
            if value.as_deref().is_some_and(|value| value.trim().is_empty()) {
                *value = None;
            }
        }
        for path in [&mut self.backup_path, &mut self.tls_cert, &mut self.tls_key, &mut self.acme_ca] {
            if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
                *path = None;
            }
        }
    }

    /// What no single value can tell: combinations that cannot work or are not safe. All of it goes to `troubles`.
    fn check(&self, troubles: &mut Vec<anyhow::Error>) {
        macro_rules! trouble {
            ($($text:tt)+) => { troubles.push(anyhow::anyhow!($($text)+)) };
        }
        if let Err(error) = log::check(&self.log) {
            trouble!("log (LOG): {error}");
        }
        for (name, addresses) in
            [("media_listen", &self.media_listen), ("advertise_ips", &self.advertise_ips)]
        {
            if addresses.len() > MAX_ADDRESSES {
                trouble!("{name} has {} addresses: {MAX_ADDRESSES} at most", addresses.len());
            }
            if let Some(ip) = addresses.iter().find(|ip| ip.is_multicast()) {
                trouble!("{name} has {ip}, which is the address of many: media has one receiver");
            }
        }
        if let Some(ip) = self.advertise_ips.iter().find(|ip| ip.is_unspecified()) {
            trouble!(
                "advertise_ips has {ip}, which no client can send to: leave it out, and the addresses of this machine are \
                 told"
            );
        }
        if let Some(host) = self
            .advertise_hosts
            .iter()
            .find(|host| matches!(host, HostName::Address(_)) || host.is_loopback())
        {
            trouble!(
                "advertise_hosts has {host}, which is no name that clients find this server by: addresses belong into advertise_ips \
                 (ADVERTISE_IPS)"
            );
        }
        if self.turn_udp_port == Some(0) {
            trouble!(
                "turn_udp_port = 0 is no port that clients could be told: name one, such as 3478, or leave it out for none"
            );
        }
        if self.advertise_hosts.len() > ADVERTISED_NAMES {
            let count = self.advertise_hosts.len();
            trouble!("advertise_hosts has {count} names: {ADVERTISED_NAMES} at most");
        }
        if self.livekit_api_key.is_some() != self.livekit_api_secret.is_some() {
            trouble!("livekit_api_key and livekit_api_secret are a pair: set both or neither");
        }
        if self.s3_bucket.is_none()
            && (self.s3_endpoint.is_some() || self.s3_access_key.is_some() || self.s3_secret_key.is_some())
        {
            trouble!(
                "s3_endpoint, s3_access_key and s3_secret_key are of no bucket: name it by s3_bucket (S3_BUCKET), or remove them"
            );
        }
        if self.s3_bucket.is_some() && self.s3_access_key.is_some() != self.s3_secret_key.is_some() {
            trouble!("s3_access_key and s3_secret_key are a pair: set both or neither");
        }
        // Without a bucket here they are of something else that runs on this machine.
        if self.s3_bucket.is_some()
            && self.s3_access_key.is_none()
            && self.aws_access_key_id.is_some() != self.aws_secret_access_key.is_some()
        {
            trouble!("aws_access_key_id and aws_secret_access_key are a pair: set both or neither");
        }
        if self.backup_s3_bucket.is_none()
            && (self.backup_s3_endpoint.is_some()
                || self.backup_s3_access_key.is_some()
                || self.backup_s3_secret_key.is_some())
        {
            trouble!(
                "backup_s3_endpoint, backup_s3_access_key and backup_s3_secret_key are of no bucket: name it by backup_s3_bucket \
                 (BACKUP_S3_BUCKET), or remove them"
            );
        }
        if self.backup_s3_access_key.is_some() != self.backup_s3_secret_key.is_some() {
            trouble!("backup_s3_access_key and backup_s3_secret_key are a pair: set both or neither");
        }
        if self.backup_path.is_some() && self.backup_s3_bucket.is_some() {
            trouble!("backup_path and backup_s3_bucket are two backup stores: set one of them");
        }
        let is_same_bucket = self.backup_s3_bucket.is_some()
            && self.backup_s3_bucket == self.s3_bucket
            && self.backup_s3_endpoint == self.s3_endpoint;
        let is_same_folder = self.s3_bucket.is_none() && self.backup_path.as_ref() == Some(&self.data_dir);
        if self.s3_bucket.is_none() && data_dir::is_own(&self.recordings_path) {
            trouble!(
                "recordings_path = \"{}\" is where the server keeps its own files: name another folder",
                self.recordings_path
            );
        }
        if is_same_bucket || is_same_folder {
            trouble!(
                "backup_path or backup_s3_bucket: the backup store is the store itself: choose another one, or none"
            );
        }
        if self.recording_playback_strategy == PlaybackStrategy::S3 && self.s3_bucket.is_none() {
            trouble!("recording_playback_strategy = \"S3\" needs s3_bucket (S3_BUCKET)");
        }
        if let Some(url) = &self.livekit_url
            && (!matches!(url.scheme(), "ws" | "wss" | "http" | "https") || url.host().is_none())
        {
            // A password may stand in it.
            trouble!("livekit_url = \"{}://...\" is no ws://, wss://, http:// or https:// URL", url.scheme());
        }
        if let Some(url) = &self.livekit_url
            && (!url.username().is_empty() || url.password().is_some())
        {
            trouble!(
                "livekit_url has a name or a password before its host: every participant is told that URL, and no LiveKit \
                 server asks for them"
            );
        }
        self.check_tls(troubles);
        if let Err(error) = self.oidc() {
            troubles.push(error);
        }
    }

    /// The OpenID provider at which the owner may sign in.
    ///
    /// # Errors
    /// It is set by half, or its issuer is none. No secret is in the text.
    pub(crate) fn oidc(&self) -> anyhow::Result<Option<OidcConfig>> {
        let texts = [&self.oidc_issuer, &self.oidc_client_id, &self.oidc_client_secret];
        let [Some(issuer), Some(client_id), Some(client_secret)] = texts else {
            let is_unset = texts.iter().all(|text| text.is_none()) && self.oidc_owners.is_empty();
            anyhow::ensure!(is_unset, OIDC_BY_HALF);
            return Ok(None);
        };
        anyhow::ensure!(!self.oidc_owners.is_empty(), OIDC_BY_HALF);
        let issuer = Issuer::parse(issuer).context("oidc_issuer (OIDC_ISSUER) cannot be used")?;
        Ok(Some(OidcConfig {
            issuer,
            client_id: client_id.trim().to_owned(),
            client_secret: client_secret.trim().to_owned(),
            owners: self.oidc_owners.clone(),
        }))
    }

    /// Who may use the server: as it is set, or as is safe where nothing is.
    pub fn access_in_force(&self) -> Access {
        self.access.unwrap_or(match self.reached() {
            Some(_) => Access::Invite,
            None => Access::Open,
        })
    }

    /// Why others reach it; `None` where only this machine does.
    pub fn reached(&self) -> Option<Reached> {
        if !self.listen.is_loopback() {
            return Some(Reached::ByAddress);
        }
        if self.has_name_for_others() {
            return Some(Reached::ByName);
        }
        let is_for_others = |ip: &IpAddr| !ip.to_canonical().is_loopback();
        let has_others = self.advertise_ips.iter().any(is_for_others) || !self.advertise_hosts.is_empty();
        has_others.then_some(Reached::ByMedia)
    }

    /// Whether it is reached by a name that others have for it.
    pub(crate) fn has_name_for_others(&self) -> bool {
        let url = self.public_url.as_ref();
        !self.public_hosts.is_empty() || url.is_some_and(|url| !url.host().is_loopback())
    }

    /// The names and addresses that others have for it: that of `public_url` first, and `public_hosts`.
    pub fn public_names(&self) -> Vec<HostName> {
        let url = self.public_url.as_ref().map(|url| url.host().clone());
        let hosts = self.public_hosts.iter().filter(|host| url.as_ref() != Some(*host)).cloned();
        url.clone().into_iter().chain(hosts).collect()
    }

    /// Where media is received.
    pub fn receives_media(&self) -> MediaListen {
        match self.media_listen.as_slice() {
            [] if self.listen.is_loopback() => MediaListen::AsSignalled,
            [] => MediaListen::At(vec![self.listen]),
            addresses => MediaListen::At(addresses.to_vec()),
        }
    }

    /// The bucket for recordings, and how to reach it. `None`: the data folder.
    pub(crate) fn s3(&self) -> Option<S3Config> {
        let bucket = self.s3_bucket.clone()?;
        let own = self.s3_access_key.clone().zip(self.s3_secret_key.clone());
        let amazons = || self.aws_access_key_id.clone().zip(self.aws_secret_access_key.clone());
        // A token belongs to one key: to Amazon's variables' own where they name another.
        let is_of_own = self.aws_access_key_id.is_none() || self.aws_access_key_id == self.s3_access_key;
        let session_token = self.aws_session_token.clone().filter(|_| own.is_none() || is_of_own);
        let (access_key, secret_key) = own.or_else(amazons).unzip();
        Some(S3Config {
            endpoint: self.s3_endpoint.clone(),
            access_key,
            secret_key,
            session_token,
            region: self.aws_region.clone(),
            bucket,
            force_path_style: self.s3_force_path_style,
            platform: platform_variables(),
        })
    }

    /// The second bucket.
    pub(crate) fn backup_s3(&self) -> Option<S3Config> {
        Some(S3Config {
            endpoint: self.backup_s3_endpoint.clone(),
            access_key: self.backup_s3_access_key.clone(),
            secret_key: self.backup_s3_secret_key.clone(),
            session_token: self.backup_aws_session_token.clone(),
            region: self.backup_aws_region.clone(),
            bucket: self.backup_s3_bucket.clone()?,
            force_path_style: self.backup_s3_force_path_style,
            platform: platform_variables(),
        })
    }

    /// Whether the media server and recorder of this program are used.
    pub fn embeds_media(&self) -> bool {
        self.livekit_url.is_none()
    }

    /// All settings at their defaults, on a free port of the loopback address and in `data_dir`: for tests and tools.
    pub fn for_data_dir(data_dir: &Path) -> Self {
        let mut config = Self::builder().load().expect("every setting has a default or may be absent");
        config.data_dir = data_dir.to_owned();
        config.server_port = Some(0);
        config.udp_port = 0;
        config.listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
        config
    }
}

/// Secrets and endpoints with passwords are among the settings: they are shown nowhere.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

/// By these Amazon's platform gives a program its role. No person sets them, so that they are no settings.
const PLATFORM: [&str; 7] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

fn platform_variables() -> Vec<(String, String)> {
    let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // Amazon's programs call it differently than the library does that reads it.
    let metadata =
        value("AWS_EC2_METADATA_SERVICE_ENDPOINT").map(|url| ("AWS_METADATA_ENDPOINT".to_owned(), url));
    PLATFORM.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).chain(metadata).collect()
}

fn is_folder(path: &str) -> bool {
    let plain = path.trim_matches('/');
    !plain.is_empty() && plain.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

mod environment;
pub(crate) mod idle;
pub(crate) mod in_force;
pub(crate) mod live;
pub(crate) mod meaning;
mod near;
pub(crate) mod passage;
mod problem;
mod reading;
mod tls;

#[cfg(test)]
mod tests;
