//! How the app is set up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reelroom_accounts::Accounts;
use reelroom_audit::Audit;
use reelroom_library::Library;
use reelroom_oidc::{OpenId, OwnerName};
use reelroom_protocol::ids::RoomName;
use reelroom_protocol::keys::ApiKeys;
use reelroom_rooms::Rooms;
use reelroom_shares::Shares;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;

use crate::receivers::Receivers;

/// How the page plays a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Playback {
    /// Through this server.
    Proxy,
    /// From the bucket.
    S3,
}

/// Who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever reaches the page may do everything, as with the tutorial.
    Open,
    /// Whoever has shown nothing that holds is nobody.
    Invite,
}

impl Access {
    /// Its name in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invite => "invite",
        }
    }
}

/// How the app is set up.
#[derive(Clone)]
pub struct AppConfig {
    /// Who may do what.
    pub access: Access,
    /// Who somebody is, whatever `access` says.
    pub accounts: Arc<Accounts>,
    /// Links to recordings.
    pub shares: Arc<Shares>,
    /// The rooms that the owner made, and the links into them.
    pub rooms: Arc<Rooms>,
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
    /// `ROOM_STATE`: whether those in a room are told of its recording by its metadata and by messages.
    pub room_state: bool,
    /// The media server inside this program; `None` where another one serves.
    pub media: Option<Arc<dyn Media>>,
    /// The OpenID provider by which the owner may sign in, besides the password; `None`: by that alone.
    pub oidc: Option<Arc<OpenId>>,
    /// The address by which everybody reaches it, with the path below which it is found; links that are made begin with it.
    pub public_url: Option<Url>,
    /// The names that a proxy in front has, by https.
    pub public_hosts: Vec<String>,
    /// What was done to recordings and rights.
    pub audit: Arc<Audit>,
    /// Where recordings are made and kept.
    pub places: Places,
    /// The settings in force, for whoever manages the server.
    pub settings: Arc<[SettingBody]>,
    /// What else works all the same and should be looked at, such as a certificate that is not renewed.
    pub warnings: Option<Warnings>,
}

impl AppConfig {
    /// What of it may be set anew, as it is.
    pub(crate) fn adjustment(&self) -> Adjustment {
        Adjustment {
            portion_bytes: self.portion_bytes,
            disk_reserve_bytes: self.places.disk_reserve_bytes,
            public_hosts: self.public_hosts.clone(),
            oidc_owners: None,
            settings: Arc::clone(&self.settings),
            settings_trouble: None,
        }
    }
}
/// Tells what works all the same and should be looked at, a sentence each.
pub type Warnings = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Where recordings are made and kept.
#[derive(Clone, Debug)]
pub struct Places {
    /// The data folder: on its disk recordings are made.
    pub data_dir: PathBuf,
    /// So many bytes of that disk are left free.
    pub disk_reserve_bytes: u64,
    /// What kind of store they are kept in.
    pub store: StoreKind,
    /// The bucket, where it is one.
    pub bucket: Option<String>,
    /// What kind of backup store is set.
    pub backup: Option<StoreKind>,
}

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A folder.
    Folder,
    /// A bucket of an S3 server.
    S3,
}

impl StoreKind {
    /// As the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::S3 => "s3",
        }
    }
}

/// A setting in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingBody {
    /// As the settings file has it.
    pub name: &'static str,
    /// What it is, as a text to show. Of a secret "set" or "not set"; of another one without a value "not set".
    pub value: String,
    /// default, file or environment.
    pub from: &'static str,
    /// Whether its value is shown nowhere.
    pub is_secret: bool,
    /// What it is from the next start on, where the settings file says another value by now that cannot hold before; of a secret that it is
    /// another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What of the app's settings may be set anew while it runs.
#[derive(Clone, Debug)]
pub struct Adjustment {
    /// `RECORDING_FILE_PORTION_SIZE`.
    pub portion_bytes: u64,
    /// So many bytes of the data folder's disk are left free.
    pub disk_reserve_bytes: u64,
    /// The names that a proxy in front has, by https.
    pub public_hosts: Vec<String>,
    /// Who is the owner when they sign in at the OpenID provider; `None`: whoever was before.
    pub oidc_owners: Option<Vec<OwnerName>>,
    /// The settings in force, for whoever manages the server.
    pub settings: Arc<[SettingBody]>,
    /// Why the settings file is not what is in force: a sentence.
    pub settings_trouble: Option<String>,
}

/// The media server inside this program, for its operator. Everything else goes by LiveKit's API.
pub trait Media: Send + Sync {
    /// What works all the same and should be looked at.
    fn warnings(&self) -> Vec<String>;

    /// What it did not take or pass on so far, by the reason.
    fn dropped(&self) -> Vec<(&'static str, u64)>;

    /// Whom it tells of recordings.
    fn receivers(&self) -> Option<&dyn Receivers> {
        None
    }

    /// Looks again at everybody in a room who came with a token of this server's: [`crate::Tickets`] say what they may do now. When
    /// it is done, who may do nothing any more is removed.
    fn recheck(&self, room: &RoomName) -> BoxFuture<'static, ()>;
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
    /// For how long its disk has taken nothing.
    pub disk_stalled: Duration,
    /// Why no recording can begin, when something is broken.
    pub trouble: Option<String>,
}
