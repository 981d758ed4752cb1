//! The settings in force, as whoever manages the server may see them: what each is, and whence.
//!
//! # Invariants
//!
//! - A secret is said to be set or not, and so is a setting that is not listed here as one that may be shown.
//! - Of a URL, in which a password or a secret path may stand, the scheme and the host are shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use confique::Config as _;
use confique::meta::{FieldKind, LeafKind};
use reelroom_app::SettingBody;
use url::Url;

use super::{Access, Config, DEFAULT_FILE, PlaybackStrategy, Reading, RecordingsReaders};
use crate::app::Role;

const NOT_SET: &str = "not set";

/// Where settings were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The settings file, where one was read.
    pub(super) file_name: Option<PathBuf>,
    /// With the line of each.
    pub(super) file: BTreeMap<&'static str, usize>,
    pub(super) environment: BTreeSet<&'static str>,
}

/// What is shown of a setting.
enum Shown {
    Text(String),
    /// Where something is, of a URL that may have a secret in it.
    Place(String),
    Secret {
        is_set: bool,
    },
}

impl Sources {
    /// The settings file, where one was read.
    pub fn file(&self) -> Option<&Path> {
        self.file_name.as_deref()
    }

    /// In which line of the settings file a setting stands.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.file.get(name).copied()
    }

    /// Whether it was given at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.contains_key(name) || self.environment.contains(name)
    }

    /// Whether the file has it too, which does not count beside the environment.
    pub(crate) fn is_beaten(&self, name: &str) -> bool {
        self.file.contains_key(name) && self.environment.contains(name)
    }

    /// In words, where what counts of a setting was given.
    pub(crate) fn place(&self, name: &str) -> Option<String> {
        if self.environment.contains(name) {
            return Some(format!("{} of the environment", variable(name)?));
        }
        let line = self.line(name)?;
        let file = self.file().unwrap_or(Path::new(DEFAULT_FILE));
        Some(format!("{name}: {}, line {line}", file.display()))
    }

    /// Takes over where a setting was given.
    pub(super) fn take(&mut self, other: &Self, name: &'static str) {
        match other.file.get(name) {
            Some(line) => self.file.insert(name, *line),
            None => self.file.remove(name),
        };
        if other.environment.contains(name) {
            self.environment.insert(name);
        } else {
            self.environment.remove(name);
        }
    }

    pub(crate) fn of_setting(&self, name: &str) -> &'static str {
        match (self.environment.contains(name), self.file.contains_key(name)) {
            (true, _) => "environment",
            (false, true) => "file",
            (false, false) => "default",
        }
    }
}

/// Each setting with its variable, in the file's order.
pub(crate) fn fields() -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
    Config::META.fields.iter().map(|field| match field.kind {
        FieldKind::Leaf { env, .. } => (field.name, env),
        FieldKind::Nested { .. } => (field.name, None),
    })
}

/// The environment variable of a setting.
pub(crate) fn variable(name: &str) -> Option<&'static str> {
    fields().find(|(field, _)| *field == name)?.1
}

/// Whether a setting may be absent, and has no default.
pub(super) fn is_optional(name: &str) -> bool {
    let is_leaf = |kind: &FieldKind| matches!(kind, FieldKind::Leaf { kind: LeafKind::Optional, .. });
    Config::META.fields.iter().any(|field| field.name == name && is_leaf(&field.kind))
}

/// Whether what a setting is set to may be a secret, or have one in it: such values are told nowhere.
pub(super) fn is_private(name: &str) -> bool {
    static DEFAULTS: LazyLock<Config> = LazyLock::new(|| Config::for_data_dir(Path::new("")));
    !matches!(shown(&DEFAULTS, name), Some(Shown::Text(_)))
}

/// Every setting, as it may be shown.
pub(crate) fn in_force(config: &Config, sources: &Sources) -> Vec<SettingBody> {
    fields().map(|(name, _)| row(config, sources, name)).collect()
}

/// The same, and what those are from the next start on that `waiting` names, by what was read last.
pub(crate) fn in_force_and_next(now: &Reading, next: &Reading, waiting: &[&'static str]) -> Vec<SettingBody> {
    let both = |name: &'static str| {
        let shown = row(&now.config, &now.sources, name);
        if !waiting.contains(&name) {
            return shown;
        }
        let other = row(&next.config, &next.sources, name);
        // Another path of a URL, or another secret, looks the same.
        let is_told = other.value != shown.value;
        SettingBody { next: Some(if is_told { other.value } else { "another one".to_owned() }), ..shown }
    };
    fields().map(|(name, _)| both(name)).collect()
}

/// One of them.
pub(super) fn row(config: &Config, sources: &Sources, name: &'static str) -> SettingBody {
    let shown = shown(config, name).unwrap_or(Shown::Secret { is_set: sources.has(name) });
    let (value, is_secret) = match shown {
        Shown::Text(text) | Shown::Place(text) => (text, false),
        Shown::Secret { is_set: true } => ("set".to_owned(), true),
        Shown::Secret { is_set: false } => (NOT_SET.to_owned(), true),
    };
    SettingBody { name, value, from: sources.of_setting(name), is_secret, next: None }
}

/// What is shown of a setting that is listed here.
fn shown(config: &Config, name: &str) -> Option<Shown> {
    Some(match name {
        "server_port" => text(config.port_in_force(Role::Everything)),
        "listen" => text(config.listen),
        "access" => text(match config.access_in_force() {
            Access::Open => "open",
            Access::Invite => "invite",
        }),
        "public_hosts" => list(&config.public_hosts),
        "public_url" => option(config.public_url.as_ref()),
        "trusted_proxies" => list(&config.trusted_proxies),
        "allowed_origins" => list(&config.allowed_origins),
        "tls" => text(config.tls_in_force(Role::Everything).as_str()),
        "tls_cert" => option(config.tls_cert.as_ref().map(|path| path.display())),
        "tls_key" => option(config.tls_key.as_ref().map(|path| path.display())),
        "acme_email" => option(config.acme_email.as_ref()),
        "acme_directory" => text(place(&config.acme_directory)),
        "acme_ca" => option(config.acme_ca.as_ref().map(|path| path.display())),
        "http_port" => option(config.http_port_in_force(Role::Everything)),
        "max_connections" => text(config.max_connections),
        "max_connections_per_address" => text(config.max_connections_per_address),
        "data_dir" => text(config.data_dir.display()),
        "udp_port" => text(config.udp_port),
        "media_listen" => list(&config.media_listen),
        "advertise_ips" => list(&config.advertise_ips),
        "advertise_hosts" => list(&config.advertise_hosts),
        "media_on_server_port" => text(config.media_on_server_port),
        "turn_udp_port" => option(config.turn_udp_port),
        "livekit_url" => place_of(config.livekit_url.as_ref().map(Url::as_str)),
        "livekit_api_key" => secret(&config.livekit_api_key),
        "livekit_api_secret" => secret(&config.livekit_api_secret),
        "s3_bucket" => option(config.s3_bucket.as_ref()),
        "s3_endpoint" => place_of(config.s3_endpoint.as_deref()),
        "s3_access_key" => secret(&config.s3_access_key),
        "s3_secret_key" => secret(&config.s3_secret_key),
        "aws_access_key_id" => secret(&config.aws_access_key_id),
        "aws_secret_access_key" => secret(&config.aws_secret_access_key),
        "aws_session_token" => secret(&config.aws_session_token),
        "aws_region" => text(&config.aws_region),
        "s3_force_path_style" => option(config.s3_force_path_style),
        "recordings_path" => text(&config.recordings_path),
        "recordings_readers" => text(match config.recordings_readers {
            RecordingsReaders::Owner => "owner",
            RecordingsReaders::Group => "group",
        }),
        "backup_path" => option(config.backup_path.as_ref().map(|path| path.display())),
        "backup_s3_bucket" => option(config.backup_s3_bucket.as_ref()),
        "backup_s3_endpoint" => place_of(config.backup_s3_endpoint.as_deref()),
        "backup_s3_access_key" => secret(&config.backup_s3_access_key),
        "backup_s3_secret_key" => secret(&config.backup_s3_secret_key),
        "backup_aws_session_token" => secret(&config.backup_aws_session_token),
        "backup_aws_region" => text(&config.backup_aws_region),
        "backup_s3_force_path_style" => option(config.backup_s3_force_path_style),
        "backup_after" => text(config.backup_after),
        "keep_takes_days" => text(config.keep_takes_days),
        "disk_reserve" => text(config.disk_reserve),
        "max_participants" => text(config.max_participants),
        "max_rooms" => text(config.max_rooms),
        "drain_seconds" => text(config.drain_seconds),
        "resume_seconds" => text(config.resume_seconds),
        "max_recordings" => text(config.max_recordings),
        "max_composers" => text(config.max_composers),
        "recording_file_portion_size" => text(config.recording_file_portion_size),
        "recording_playback_strategy" => text(match config.recording_playback_strategy {
            PlaybackStrategy::Proxy => "PROXY",
            PlaybackStrategy::S3 => "S3",
        }),
        "webhook_urls" => places_of(config.webhook_urls.iter().map(Url::as_str)),
        "room_state" => text(config.room_state),
        "log" => text(&config.log),
        "oidc_issuer" => place_of(config.oidc_issuer.as_deref()),
        "oidc_client_id" => option(config.oidc_client_id.as_ref()),
        "oidc_client_secret" => secret(&config.oidc_client_secret),
        "oidc_owners" => list(&config.oidc_owners),
        _ => return None,
    })
}

fn text(value: impl Display) -> Shown {
    Shown::Text(value.to_string())
}

fn option(value: Option<impl Display>) -> Shown {
    value.map_or_else(|| text(NOT_SET), text)
}

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> Shown {
    let all: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    text(all.join(", "))
}

fn place_of(url: Option<&str>) -> Shown {
    Shown::Place(url.map_or_else(|| NOT_SET.to_owned(), place))
}

fn places_of<'u>(urls: impl Iterator<Item = &'u str>) -> Shown {
    Shown::Place(urls.map(place).collect::<Vec<_>>().join(", "))
}

fn secret(value: &Option<String>) -> Shown {
    Shown::Secret { is_set: value.is_some() }
}

/// Where a URL is, without a name, a password, a path or a query, any of which may be a secret.
pub(crate) fn place(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}{host}")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::config::Environment;

    fn read_of(file: &str, environment: &Environment) -> Reading {
        let mut settings = tempfile::NamedTempFile::new().unwrap();
        settings.write_all(file.as_bytes()).unwrap();
        Config::read_with(Some(settings.path()), environment).unwrap()
    }

    fn shown_of(file: &str, environment: &Environment) -> Vec<SettingBody> {
        let Reading { config, sources, .. } = read_of(file, environment);
        in_force(&config, &sources)
    }

    fn row<'a>(all: &'a [SettingBody], name: &str) -> (&'a str, &'a str, bool) {
        let row = all.iter().find(|row| row.name == name).unwrap();
        (&row.value, row.from, row.is_secret)
    }

    #[test]
    fn each_setting_is_there_with_its_source() {
        let all = shown_of(
            "# listen = \"192.0.2.1\"\nmax_rooms = 7\n\"log\" = \"trace\"\nmedia_listen = [\n  \"127.0.0.1\",\n  \"::1\",\n]\n",
            &Environment::from([("LISTEN", "127.0.0.1"), ("LOG", "debug")]),
        );
        assert_eq!(all.len(), Config::META.fields.len());
        assert_eq!(row(&all, "max_rooms"), ("7", "file", false));
        assert_eq!(row(&all, "log"), ("debug", "environment", false), "it beats the file");
        assert_eq!(row(&all, "listen"), ("127.0.0.1", "environment", false));
        assert_eq!(row(&all, "media_listen"), ("127.0.0.1, ::1", "file", false));
        assert_eq!(row(&all, "public_hosts"), ("", "default", false));
        assert_eq!(row(&all, "livekit_url"), (NOT_SET, "default", false));
        assert_eq!(row(&all, "access"), ("open", "default", false));
    }

    #[test]
    fn no_secret_is_shown_nor_what_may_be_one() {
        let secret = "hunter2";
        let mut file = format!(
            "webhook_urls = [\"https://u:{secret}@hooks.example.org:8443/{secret}?k={secret}\"]\n\
             s3_endpoint = \"http://k:{secret}@s3.example.org/{secret}\"\n\
             backup_s3_endpoint = \"k:{secret}@s3.example.org\"\n\
             s3_bucket = \"b\"\nbackup_s3_bucket = \"c\"\noidc_issuer = \"https://accounts.example.org\"\n\
             oidc_client_id = \"c\"\noidc_owners = [\"sub:1\"]\n"
        );
        // Where a key stands is no secret.
        let is_private = |name: &str| {
            name != "tls_key" && ["secret", "key", "token"].iter().any(|word| name.contains(word))
        };
        let private: Vec<_> = fields().filter(|(name, _)| is_private(name)).map(|(name, _)| name).collect();
        for name in &private {
            file += &format!("{name} = \"{secret}\"\n");
        }
        let all = shown_of(&file, &Environment::default());
        for row in &all {
            assert!(!row.value.contains(secret), "{row:?}");
        }
        for name in private {
            assert_eq!(row(&all, name), ("set", "file", true));
            assert_eq!(row(&shown_of("", &Environment::default()), name), (NOT_SET, "default", true));
        }
        assert_eq!(row(&all, "webhook_urls").0, "https://hooks.example.org:8443");
        assert_eq!(
            (row(&all, "s3_endpoint").0, row(&all, "backup_s3_endpoint").0),
            ("http://s3.example.org", "s3.example.org")
        );
    }

    #[test]
    fn what_waits_for_the_next_start_is_told_beside_what_is_in_force() {
        let nothing = Environment::default();
        let now = read_of("udp_port = 1\ns3_bucket = \"b\"\ns3_endpoint = \"http://a/1\"\n", &nothing);
        let next = read_of(
            "max_rooms = 3\nudp_port = 2\ns3_bucket = \"b\"\ns3_endpoint = \"http://a/2\"\n",
            &nothing,
        );
        let all = in_force_and_next(&now, &next, &["udp_port", "s3_endpoint"]);
        let of = |name: &str| all.iter().find(|row| row.name == name).unwrap();
        assert_eq!((of("udp_port").value.as_str(), of("udp_port").next.as_deref()), ("1", Some("2")));
        assert_eq!(
            (of("s3_endpoint").value.as_str(), of("s3_endpoint").next.as_deref()),
            ("http://a", Some("another one"))
        );
        assert_eq!(of("max_rooms").next, None);
    }

    #[test]
    fn what_may_be_a_secret_is_known_by_its_name() {
        for name in ["s3_secret_key", "webhook_urls", "livekit_url", "oidc_issuer", "a_setting_of_tomorrow"] {
            assert!(is_private(name), "{name}");
        }
        assert!(!is_private("max_rooms") && !is_private("public_hosts"));
    }

    #[test]
    fn where_a_setting_was_given_is_told_in_words() {
        let reading = read_of("log = \"info\"\nmax_rooms = 7\n", &Environment::from([("LOG", "debug")]));
        assert_eq!(reading.sources.place("log").unwrap(), "LOG of the environment");
        assert!(reading.sources.place("max_rooms").unwrap().ends_with(", line 2"));
        assert_eq!(reading.sources.place("listen"), None);
        assert!(reading.sources.is_beaten("log") && !reading.sources.is_beaten("max_rooms"));
    }

    #[test]
    fn what_is_not_listed_is_shown_as_a_secret() {
        assert!(shown(&Config::builder().load().unwrap(), "a_setting_of_tomorrow").is_none());
    }
}
