//! The API key and secret: given, generated once, or the well-known ones of a developer's media server; and the key that links are
//! signed with.
//!
//! Generated secrets stand in `<data>/secrets.json`, readable by its owner only.
//!
//! # Invariants
//!
//! - The well-known pair holds nobody off, so it is in force only where no stranger comes: by default for `reelroom media` on
//!   loopback, which pages of localhost alone may use; for others where somebody sets it, they are reached by no public name, and not
//!   every page that a person opens may use them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use reelroom_library::LinkKey;
use reelroom_protocol::keys::ApiKeys;
use serde::{Deserialize, Serialize};
use url::Host;

use crate::app::Role;
use crate::config::{Access, Config};
use crate::front::sites::AllowedOrigin;

/// LiveKit's own development pair, of which everybody knows the secret.
pub(crate) const DEV_KEY: &str = "devkey";
pub(crate) const DEV_SECRET: &str = "secret";

/// The secrets in force.
pub(crate) struct Secrets {
    /// Of the LiveKit server that is used, embedded or outside.
    pub(crate) api_keys: ApiKeys,
    /// Signs links to recordings.
    pub(crate) link_key: LinkKey,
    /// What links into rooms are made of, with what the truth knows of each.
    pub(crate) rooms_key: Vec<u8>,
}

/// Which API key and secret are in force, by the settings alone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Pair {
    /// The settings have them.
    Given(String, String),
    /// LiveKit's own development pair.
    WellKnown,
    /// One that is generated at the first start.
    Generated,
}

impl Pair {
    /// # Errors
    /// The well-known pair where strangers could use it; an outside server without a key.
    pub(crate) fn of(config: &Config, role: Role) -> anyhow::Result<Self> {
        let is_private = match &config.livekit_url {
            None => {
                // Who chose whom to invite does not want whoever knows these to get in, from this machine either.
                (role == Role::Media || config.access_in_force() != Access::Invite)
                    && config.listen.is_loopback()
                    && !config.has_name_for_others()
                    && !config.allowed_origins.contains(&AllowedOrigin::Any)
            }
            Some(url) => match url.host() {
                Some(Host::Ipv4(ip)) => ip.is_loopback(),
                Some(Host::Ipv6(ip)) => ip.is_loopback(),
                Some(Host::Domain(name)) => name == "localhost",
                None => false,
            },
        };
        match (&config.livekit_api_key, &config.livekit_api_secret) {
            (Some(key), Some(secret)) => {
                anyhow::ensure!(
                    is_private || secret != DEV_SECRET,
                    "the well-known secret {DEV_SECRET:?} would let anybody in: remove livekit_api_key and \
                     livekit_api_secret to have a pair generated, or set a secret of your own"
                );
                Ok(Self::Given(key.clone(), secret.clone()))
            }
            // The key of a developer's media server, our own or another one on this machine.
            _ if is_private && (role == Role::Media || config.livekit_url.is_some()) => Ok(Self::WellKnown),
            _ if config.livekit_url.is_some() => anyhow::bail!(
                "livekit_url is set: livekit_api_key and livekit_api_secret (LIVEKIT_API_KEY, LIVEKIT_API_SECRET) \
                 of that server are needed too"
            ),
            _ => Ok(Self::Generated),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    livekit_api_key: String,
    livekit_api_secret: String,
    link_key: String,
}

impl Secrets {
    /// # Errors
    /// The well-known pair where strangers could use it; an outside server without a key; an unreadable data folder.
    pub(crate) fn load(config: &Config, role: Role) -> anyhow::Result<Self> {
        let stored = load_or_generate(&config.data_dir.join("secrets.json"))?;
        let pair = match Pair::of(config, role)? {
            Pair::Given(key, secret) => (key, secret),
            Pair::WellKnown => (DEV_KEY.to_owned(), DEV_SECRET.to_owned()),
            Pair::Generated => (stored.livekit_api_key.clone(), stored.livekit_api_secret.clone()),
        };
        let rooms_key = stored.link_key.clone().into_bytes();
        let link_key = LinkKey::new(stored.link_key.into_bytes());
        Ok(Self { api_keys: ApiKeys::new(pair.0, pair.1), link_key, rooms_key })
    }
}

fn load_or_generate(file: &Path) -> anyhow::Result<Stored> {
    match fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged; delete it for new secrets", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let stored = Stored {
                livekit_api_key: format!("API{}", random_text(12)),
                livekit_api_secret: random_text(44),
                link_key: random_text(44),
            };
            let partial = file.with_extension("json.new");
            let _ = fs::remove_file(&partial);
            let mut out = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&partial)
                .with_context(|| format!("cannot write {}", partial.display()))?;
            out.write_all(&serde_json::to_vec_pretty(&stored)?)?;
            out.sync_all()?;
            fs::rename(&partial, file)?;
            Ok(stored)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_pair_is_generated_and_kept_but_for_a_media_server_that_no_stranger_reaches() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_data_dir(folder.path());
        let pair = |config: &Config, role| {
            let secrets = Secrets::load(config, role).unwrap();
            let (key, secret) = secrets.api_keys.first();
            (key.to_owned(), secret.to_owned())
        };
        let dev = (DEV_KEY.to_owned(), DEV_SECRET.to_owned());
        let generated = pair(&config, Role::Everything);
        assert!(generated.0.starts_with("API") && generated.1.len() == 44);
        assert_eq!(pair(&config, Role::Everything), generated);
        assert_eq!(pair(&config, Role::Media), dev);
        config.public_hosts = vec!["calls.example.org".parse().unwrap()];
        assert_eq!(pair(&config, Role::Media), generated, "a proxy brings strangers");
        config.public_hosts.clear();
        config.public_url = Some("https://calls.example.org".parse().unwrap());
        assert_eq!(pair(&config, Role::Media), generated, "and so it does by that name");
        config.public_url = Some("http://localhost:7880".parse().unwrap());
        assert_eq!(pair(&config, Role::Media), dev, "that is this machine's own");
        config.public_url = None;
        config.allowed_origins = vec!["*".parse().unwrap()];
        assert_eq!(pair(&config, Role::Media), generated, "a page of anybody is a stranger");
        config.allowed_origins = vec!["http://localhost:*".parse().unwrap()];
        assert_eq!(pair(&config, Role::Media), dev);
        config.listen = "0.0.0.0".parse().unwrap();
        assert_eq!(pair(&config, Role::Media), generated);
        let mode = fs::metadata(folder.path().join("secrets.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_tutorials_settings_hold_on_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_data_dir(folder.path());
        config.livekit_api_key = Some(DEV_KEY.to_owned());
        config.livekit_api_secret = Some(DEV_SECRET.to_owned());
        assert_eq!(Secrets::load(&config, Role::Everything).unwrap().api_keys.first().0, DEV_KEY);
        config.public_hosts = vec!["calls.example.org".parse().unwrap()];
        assert!(Secrets::load(&config, Role::Everything).is_err());
        config.public_hosts.clear();
        config.allowed_origins = vec!["*".parse().unwrap()];
        assert!(Secrets::load(&config, Role::Everything).is_err());
        config.allowed_origins.clear();
        config.access = Some(Access::Invite);
        assert!(
            Secrets::load(&config, Role::Everything).is_err(),
            "whoever knows it would not need to be invited"
        );
    }

    #[test]
    fn the_well_known_pair_is_refused_where_strangers_reach_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_data_dir(folder.path());
        config.listen = "0.0.0.0".parse().unwrap();
        config.livekit_api_key = Some(DEV_KEY.to_owned());
        config.livekit_api_secret = Some(DEV_SECRET.to_owned());
        assert!(Secrets::load(&config, Role::Everything).is_err());
        config.livekit_api_key = Some("of_my_own".to_owned());
        assert!(Secrets::load(&config, Role::Everything).is_err(), "it is the secret that is known");
    }

    #[test]
    fn a_secret_of_ones_own_is_one_whatever_its_key_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_data_dir(folder.path());
        config.listen = "0.0.0.0".parse().unwrap();
        config.livekit_api_key = Some(DEV_KEY.to_owned());
        config.livekit_api_secret = Some("a secret that nobody else knows, and long".to_owned());
        let secrets = Secrets::load(&config, Role::Everything).unwrap();
        assert_eq!(secrets.api_keys.first().0, DEV_KEY);
    }

    #[test]
    fn an_outside_server_needs_its_own_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_data_dir(folder.path());
        config.livekit_url = Some("wss://calls.example.org".parse().unwrap());
        assert!(Secrets::load(&config, Role::Everything).is_err());
        config.livekit_url = Some("ws://localhost:7880".parse().unwrap());
        assert!(Secrets::load(&config, Role::Everything).is_ok());
    }
}
