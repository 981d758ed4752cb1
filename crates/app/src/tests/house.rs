//! An app in a folder of its own, its owner, and whoever asks it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use axum::http::{Method, Request};
use axum::response::Response;
use reelroom_accounts::{Accounts, Cost, NewKey, Now, Rights, SessionToken, SetPassword, SignIn, Visit};
use reelroom_audit::Audit;
use reelroom_library::{Library, LibraryConfig, Limits, LinkKey, Publication, StoreConfig};
use reelroom_limits::accounts::SESSION_LASTS;
use reelroom_limits::asker::Asker;
use reelroom_oidc::OpenId;
use reelroom_protocol::keys::ApiKeys;
use reelroom_rooms::Rooms;
use reelroom_shares::Shares;
use reelroom_truth::Truth;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::WebApp;
use crate::clock;
use crate::config::{Access, AppConfig, Media, Places, Playback, SettingBody, StoreKind};

pub(crate) const SIZE: usize = 5000;
pub(crate) const PASSWORD: &str = "correct horse battery";
const PORTION: u64 = 1000;
const VISIT: Visit<'static> = Visit { asker: Asker(None), agent: "another browser" };

pub(crate) struct House {
    folder: tempfile::TempDir,
    pub(crate) app: WebApp,
}

/// An app whose media server is away, and which has a recording of the room "own" and one of the room "other". Nobody owns it.
pub(crate) async fn house(access: Access) -> House {
    house_of_portions(access, PORTION).await
}

/// The same, with portions of so many bytes.
pub(crate) async fn house_of_portions(access: Access, portion_bytes: u64) -> House {
    build(access, portion_bytes, Beside::default()).await
}

/// The same, whose owner may sign in at a provider.
pub(crate) async fn house_with_provider(access: Access, oidc: OpenId) -> House {
    build(access, PORTION, Beside { oidc: Some(oidc), ..Beside::default() }).await
}

/// The same, which everybody reaches by this address.
pub(crate) async fn house_at(access: Access, public_url: &'static str, oidc: Option<OpenId>) -> House {
    build(access, PORTION, Beside { oidc, public_url: Some(public_url), ..Beside::default() }).await
}

/// What a house has beside what each has.
#[derive(Default)]
struct Beside {
    oidc: Option<OpenId>,
    /// The address by which everybody reaches it.
    public_url: Option<&'static str>,
    /// Its own media server beside the one that is away.
    media: Option<Arc<dyn Media>>,
}

async fn build(access: Access, portion_bytes: u64, beside: Beside) -> House {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let truth = Truth::open(&path("truth.db")).unwrap();
    let library = Library::open(LibraryConfig {
        store: StoreConfig::folder(path("store")),
        prefix: "recordings/".into(),
        index: path("index.db"),
        truth: truth.clone(),
        link_key: LinkKey::new([7; 32]),
        refresh_every: Duration::from_secs(60),
        limits: Limits::default(),
        backup: None,
    })
    .unwrap();
    for room in ["own", "other"] {
        publish(&library, folder.path(), room, SIZE).await;
    }
    let accounts = Arc::new(Accounts::open(truth.clone(), Cost::new(8, 1, 1).unwrap()).unwrap());
    let rooms = Arc::new(Rooms::open(truth.clone(), &[8; 32]).unwrap());
    let app = WebApp::new(AppConfig {
        access,
        rooms,
        shares: Arc::new(Shares::open(truth.clone(), Arc::clone(&accounts)).unwrap()),
        accounts,
        livekit_url: "http://127.0.0.1:9".parse().unwrap(),
        public_livekit_url: None,
        keys: ApiKeys::new("key", "secret"),
        library,
        playback: Playback::Proxy,
        portion_bytes,
        media_origin: None,
        recorder: None,
        room_state: true,
        media: beside.media,
        oidc: beside.oidc.map(Arc::new),
        public_url: beside.public_url.map(|url| url.parse().unwrap()),
        public_hosts: vec!["calls.example.org".into()],
        audit: Arc::new(Audit::new(truth)),
        places: Places {
            data_dir: folder.path().to_owned(),
            disk_reserve_bytes: 1,
            store: StoreKind::Folder,
            bucket: None,
            backup: None,
        },
        settings: [SettingBody {
            name: "s3_secret_key",
            value: "set".into(),
            from: "environment",
            is_secret: true,
            next: None,
        }]
        .into(),
        warnings: None,
    });
    House { folder, app }
}

/// The same, and its owner has set [`PASSWORD`] and is signed in nowhere.
pub(crate) async fn owned(access: Access) -> House {
    let house = house(access).await;
    let (accounts, link) = (house.app.accounts(), house.link());
    let set = SetPassword { link: &link, password: PASSWORD, visit: VISIT };
    let first = accounts.set_password(set, clock::now(), &mut rand::rng()).unwrap();
    accounts.end_session(&first.session).unwrap();
    house
}

/// One where access is by invitation, with this for its own media server.
pub(crate) async fn house_of_media(media: Arc<dyn Media>) -> House {
    build(Access::Invite, PORTION, Beside { media: Some(media), ..Beside::default() }).await
}

/// Has a recording of a room, of so many bytes, in the library.
async fn publish(library: &Library, folder: &Path, room: &str, size: usize) {
    // The store takes the file itself where it can: each has one of its own.
    let (file, key) = (folder.join(format!("{room}-made.mp4")), format!("recordings/{room}.mp4"));
    std::fs::write(&file, vec![7; size]).unwrap();
    let publication = Publication {
        file: &file,
        key: &key,
        egress_id: &format!("EG_{room}"),
        room_name: room,
        ended_early: None,
        room_id: "RM_1",
        started_at_ns: 1_767_262_210_123_000_000,
        duration_ns: 5_500_000_000,
        recovered: false,
        lost_ns: 0,
        report: &json!({}),
    };
    library.publish(&publication).await.unwrap();
}

/// What somebody shows with a request.
#[derive(Clone, Default)]
pub(crate) struct Shows {
    pub(crate) session: Option<String>,
    pub(crate) mark: Option<String>,
    pub(crate) csrf: Option<String>,
    pub(crate) key: Option<String>,
    /// The secret of a link into a room.
    pub(crate) link: Option<String>,
    /// From where they come.
    pub(crate) address: Option<&'static str>,
    /// What a proxy says of the scheme.
    pub(crate) scheme: Option<&'static str>,
    /// The secret of a knock at a room's lobby.
    pub(crate) knock: Option<String>,
}

impl Shows {
    /// What a page of ours shows with this session.
    pub(crate) fn of(token: &SessionToken) -> Self {
        Self { session: Some(token.reveal()), csrf: Some(token.csrf()), ..Self::default() }
    }

    pub(crate) fn key(key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..Self::default() }
    }
}

impl House {
    /// Makes one more recording, of a room of its own.
    pub(crate) async fn record(&self, room: &str, size: usize) {
        publish(self.app.library(), self.folder.path(), room, size).await;
    }

    pub(crate) fn link(&self) -> String {
        let link = self.app.accounts().make_link(clock::now(), &mut rand::rng()).unwrap();
        link.secret.reveal().to_owned()
    }

    /// Where the data folder is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Something in the data folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What stands on the disk.
    pub(crate) fn truth(&self) -> Truth {
        Truth::open(&self.folder.path().join("truth.db")).unwrap()
    }

    /// Another browser of the owner.
    pub(crate) fn signed_in(&self) -> SessionToken {
        self.signed_in_at(clock::now())
    }

    /// One whose session is over by now.
    pub(crate) fn signed_in_long_ago(&self) -> SessionToken {
        let now = clock::now();
        let lasts_ms = i64::try_from(SESSION_LASTS.as_millis()).unwrap();
        self.signed_in_at(Now { unix_ms: now.unix_ms - lasts_ms - 1, ..now })
    }

    fn signed_in_at(&self, now: Now) -> SessionToken {
        let sign_in = SignIn { password: PASSWORD, mark: None, visit: VISIT };
        self.app.accounts().sign_in(sign_in, now, &mut rand::rng()).unwrap().token
    }

    /// A key with these rights.
    pub(crate) fn key(&self, words: &[&str]) -> String {
        let new = NewKey { name: "a program", rights: Rights::new(words).unwrap(), expires_ms: None };
        let made = self.app.accounts().make_key(new, clock::now(), &mut rand::rng()).unwrap();
        made.secret.reveal().to_owned()
    }

    pub(crate) async fn ask(&self, method: &Method, path: &str, shows: &Shows, body: &Value) -> Response {
        let mut request =
            Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        let cookies = [("reelroom", &shows.session), ("reelroom-mark", &shows.mark)];
        for (name, value) in cookies {
            if let Some(value) = value {
                request = request.header(COOKIE, format!("{name}={value}"));
            }
        }
        if let Some(csrf) = &shows.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        if let Some(key) = &shows.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        if let Some(link) = &shows.link {
            request = request.header("x-reelroom-link", link);
        }
        if let Some(knock) = &shows.knock {
            request = request.header("x-reelroom-knock", knock);
        }
        if let Some(scheme) = shows.scheme {
            request = request.header("x-forwarded-proto", scheme);
        }
        if let Some(address) = shows.address {
            request = request.extension(Asker(Some(address.parse().unwrap())));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.app.routes().doors().oneshot(request).await.unwrap()
    }

    pub(crate) async fn status(&self, method: &Method, path: &str, shows: &Shows, said: &Value) -> u16 {
        self.ask(method, path, shows, said).await.status().as_u16()
    }

    /// Status and JSON of an answer.
    pub(crate) async fn answer(
        &self,
        method: &Method,
        path: &str,
        shows: &Shows,
        said: &Value,
    ) -> (u16, Value) {
        let response = self.ask(method, path, shows, said).await;
        (response.status().as_u16(), body(response).await)
    }
}

pub(crate) async fn body(response: Response) -> Value {
    let bytes = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
