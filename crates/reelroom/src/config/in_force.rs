//! The settings in force, as whoever manages the server may see them: what each is, and whence.
//!
//! # Invariants
//!
//! - A secret is said to be set or not, and so is a setting that is not listed here as one that may be shown.
//! - Of a URL, in which a password or a secret path may stand, the scheme and the host are shown.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;

use confique::Config as _;
use confique::meta::FieldKind;
use reelroom_app::SettingBody;

use super::{Access, Config, DEFAULT_FILE, PlaybackStrategy, RecordingsReaders};

const NOT_SET: &str = "not set";

/// Where settings were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    file: BTreeSet<&'static str>,
    environment: BTreeSet<&'static str>,
}

/// What is shown of a setting.
enum Shown {
    Text(String),
    Secret { is_set: bool },
}

impl Sources {
    /// Those of the settings file and the environment, as [`Config::load`] reads them.
    pub fn of(file: Option<&Path>) -> Self {
        let file = file.unwrap_or(Path::new(DEFAULT_FILE));
        // Whoever loads the settings is told why it cannot be read.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        Self::read(&text, |variable| std::env::var(variable).is_ok_and(|value| !value.trim().is_empty()))
    }

    fn read(file: &str, is_in_environment: impl Fn(&str) -> bool) -> Self {
        let keys: BTreeSet<&str> = file
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, _)| key.trim().trim_matches(['"', '\'']))
            .collect();
        let all = fields().filter(|(name, _)| keys.contains(name)).map(|(name, _)| name);
        let variables = fields().filter(|(_, variable)| variable.is_some_and(&is_in_environment));
        Self { file: all.collect(), environment: variables.map(|(name, _)| name).collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.file.contains(name) || self.environment.contains(name)
    }

    fn of_setting(&self, name: &str) -> &'static str {
        match (self.environment.contains(name), self.file.contains(name)) {
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

/// Every setting, as it may be shown.
pub(crate) fn in_force(config: &Config, sources: &Sources) -> Vec<SettingBody> {
    let row = |name: &'static str| {
        let shown = shown(config, name).unwrap_or(Shown::Secret { is_set: sources.has(name) });
        let (value, is_secret) = match shown {
            Shown::Text(text) => (text, false),
            Shown::Secret { is_set: true } => ("set".to_owned(), true),
            Shown::Secret { is_set: false } => (NOT_SET.to_owned(), true),
        };
        SettingBody { name, value, from: sources.of_setting(name), is_secret }
    };
    fields().map(|(name, _)| row(name)).collect()
}

/// What is shown of a setting that is listed here.
fn shown(config: &Config, name: &str) -> Option<Shown> {
    Some(match name {
        "server_port" => text(config.server_port.unwrap_or(crate::app::PAGE_PORT)),
        "listen" => text(config.listen),
        "access" => text(match config.access_in_force() {
            Access::Open => "open",
            Access::Invite => "invite",
        }),
        "public_hosts" => list(&config.public_hosts),
        "allowed_origins" => list(&config.allowed_origins),
        "max_connections" => text(config.max_connections),
        "max_connections_per_address" => text(config.max_connections_per_address),
        "data_dir" => text(config.data_dir.display()),
        "udp_port" => text(config.udp_port),
        "media_listen" => list(&config.media_listen),
        "advertise_ips" => list(&config.advertise_ips),
        "livekit_url" => option(config.livekit_url.as_ref().map(|url| place(url.as_str()))),
        "livekit_api_key" => secret(&config.livekit_api_key),
        "livekit_api_secret" => secret(&config.livekit_api_secret),
        "s3_bucket" => option(config.s3_bucket.as_ref()),
        "s3_endpoint" => option(config.s3_endpoint.as_deref().map(place)),
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
        "backup_s3_endpoint" => option(config.backup_s3_endpoint.as_deref().map(place)),
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
        "max_recordings" => text(config.max_recordings),
        "max_composers" => text(config.max_composers),
        "recording_file_portion_size" => text(config.recording_file_portion_size),
        "recording_playback_strategy" => text(match config.recording_playback_strategy {
            PlaybackStrategy::Proxy => "PROXY",
            PlaybackStrategy::S3 => "S3",
        }),
        "webhook_urls" => list(config.webhook_urls.iter().map(|url| place(url.as_str()))),
        "room_state" => text(config.room_state),
        "log" => text(&config.log),
        "oidc_issuer" => option(config.oidc_issuer.as_deref().map(place)),
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

fn secret(value: &Option<String>) -> Shown {
    Shown::Secret { is_set: value.is_some() }
}

/// Where a URL is, without a name, a password, a path or a query, any of which may be a secret.
fn place(url: &str) -> String {
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

    fn shown_of(file: &str, environment: &[&str]) -> Vec<SettingBody> {
        let mut settings = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        settings.write_all(file.as_bytes()).unwrap();
        let config = Config::builder().file(settings.path()).load().unwrap();
        in_force(&config, &Sources::read(file, |variable| environment.contains(&variable)))
    }

    fn row<'a>(all: &'a [SettingBody], name: &str) -> (&'a str, &'a str, bool) {
        let row = all.iter().find(|row| row.name == name).unwrap();
        (&row.value, row.from, row.is_secret)
    }

    #[test]
    fn each_setting_is_there_with_its_source() {
        let all = shown_of(
            "# listen = \"192.0.2.1\"\nmax_rooms = 7\n\"log\" = \"debug\"\nmedia_listen = [\n  \"127.0.0.1\",\n  \"::1\",\n]\n",
            &["LISTEN", "LOG"],
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
             backup_s3_endpoint = \"k:{secret}@s3.example.org\"\n"
        );
        let is_private =
            |name: &str| name.contains("secret") || name.contains("key") || name.contains("token");
        let private: Vec<_> = fields().filter(|(name, _)| is_private(name)).map(|(name, _)| name).collect();
        for name in &private {
            file += &format!("{name} = \"{secret}\"\n");
        }
        let all = shown_of(&file, &[]);
        for row in &all {
            assert!(!row.value.contains(secret), "{row:?}");
        }
        for name in private {
            assert_eq!(row(&all, name), ("set", "file", true));
            assert_eq!(row(&shown_of("", &[]), name), (NOT_SET, "default", true));
        }
        assert_eq!(row(&all, "webhook_urls").0, "https://hooks.example.org:8443");
        assert_eq!(
            (row(&all, "s3_endpoint").0, row(&all, "backup_s3_endpoint").0),
            ("http://s3.example.org", "s3.example.org")
        );
    }

    #[test]
    fn what_is_not_listed_is_shown_as_a_secret() {
        assert!(shown(&Config::builder().load().unwrap(), "a_setting_of_tomorrow").is_none());
    }
}
