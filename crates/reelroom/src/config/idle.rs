//! Settings that are set and have no effect as they stand together, and what looks like a setting and is none.
//!
//! None of it keeps the program from starting. What cannot be meant is an error, and told where the settings are read.

use std::path::PathBuf;

use reelroom_media::MediaListen;

use super::in_force::{fields, row, variable};
use super::{Config, Environment, Sources, Tls, near};
use crate::app::Role;
use crate::front::sites::AllowedOrigin;

/// Texts that have a default. Whoever sets one to nothing may mean that: the current folder, or no region.
const WITH_DEFAULT: [&str; 3] = ["data_dir", "aws_region", "backup_aws_region"];

/// Something that is set and does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Idle {
    /// The setting, or the variable that is none.
    pub(crate) name: String,
    /// Why, as the end of a sentence that begins with where it is set.
    pub(crate) why: String,
}

/// Those of the settings, in the file's order, and those of the environment that are none.
pub(crate) fn idle(config: &Config, sources: &Sources, environment: &Environment, role: Role) -> Vec<Idle> {
    let of_settings = fields().filter_map(|(name, _)| {
        let why = why(config, sources, role, name).filter(|_| sources.has(name))?;
        Some(Idle { name: sources.place(name).unwrap_or_else(|| name.to_owned()), why })
    });
    let beaten = fields().filter(|(name, _)| sources.is_beaten(name)).filter_map(|(name, variable)| {
        let line = sources.line(name)?;
        let file = sources.file().map_or_else(PathBuf::new, PathBuf::from);
        let (variable, said) =
            (variable?, if environment.is_blank(variable?) { ", which is set to nothing," } else { "" });
        let why = format!("it does not count, for {variable} of the environment{said} goes before the file");
        Some(Idle { name: format!("{name}: {}, line {line}", file.display()), why })
    });
    let nothing = WITH_DEFAULT.into_iter().filter_map(|name| {
        let variable = variable(name).filter(|variable| environment.is_blank(variable))?;
        let why = format!(
            "it is set to nothing, and counts as not set: {name} is {}",
            row(config, sources, name).value
        );
        Some(Idle { name: format!("{variable} of the environment"), why })
    });
    of_settings.chain(beaten).chain(nothing).chain(strangers(environment)).collect()
}

/// What looks like a setting in the environment, and is none.
pub(crate) fn strangers(environment: &Environment) -> impl Iterator<Item = Idle> {
    environment.names().filter_map(|written| {
        let meant = near::variable(written)?;
        let why = format!("it is not read: the setting is called {meant}");
        Some(Idle { name: format!("{written} of the environment"), why })
    })
}

/// Why a setting has no effect; `None` where it has.
fn why(config: &Config, sources: &Sources, role: Role, name: &str) -> Option<String> {
    let is_in_file = sources.line(name).is_some();
    let says = |why: &str| Some(why.to_owned());
    match name {
        "access"
        | "oidc_issuer"
        | "oidc_client_id"
        | "oidc_client_secret"
        | "oidc_owners"
        | "room_state"
        | "recording_playback_strategy"
        | "recording_file_portion_size"
            if role == Role::Media =>
        {
            says("it is of the page, and reelroom media has none")
        }
        "media_on_server_port"
        | "turn_udp_port"
        | "udp_port"
        | "media_listen"
        | "max_rooms"
        | "max_participants"
        | "max_recordings"
        | "max_composers"
        | "keep_takes_days"
        | "webhook_urls"
        | "drain_seconds"
        | "resume_seconds"
            if !config.embeds_media() =>
        {
            says("calls and recordings are those of the server that livekit_url (LIVEKIT_URL) names")
        }
        "media_on_server_port" => {
            let without = Config { media_on_server_port: true, ..config.clone() };
            let why = without.no_passage(role);
            why.map(|why| format!("calls do not come by the port of the page in any case, for {why}"))
        }
        "advertise_ips" | "advertise_hosts" if !config.embeds_media() => says(
            "no client is told where to send media: that is for the server that livekit_url (LIVEKIT_URL) names. It names others by whom this one is reached, all the same",
        ),
        "tls_cert" | "tls_key" if config.tls_in_force(role) == Tls::Off => {
            says("tls (TLS) says that there is no HTTPS here")
        }
        "acme_email" | "acme_directory" | "acme_ca" if config.tls_in_force(role) != Tls::Acme => {
            let (tls, reason) = config.tls_with_reason(role);
            Some(format!("no ACME server is asked: TLS is \"{}\", for {reason}", tls.as_str()))
        }
        "http_port" if config.tls_in_force(role) == Tls::Off => {
            let (_, reason) = config.tls_with_reason(role);
            Some(format!("there is no HTTPS here to send anybody to, for {reason}"))
        }
        "trusted_proxies"
            if !config.trusted_proxies.is_empty()
                && config.trusted_proxies.iter().all(|network| network.is_of_this_machine()) =>
        {
            let without = Config { trusted_proxies: Vec::new(), ..config.clone() };
            (without.tls_in_force(role) == config.tls_in_force(role))
                .then(|| "proxies of this machine are believed anyway".to_owned())
        }
        "backup_after" if config.backup_path.is_none() && config.backup_s3_bucket.is_none() => {
            says("there is no backup store: backup_path or backup_s3_bucket sets one")
        }
        "backup_aws_region" | "backup_s3_force_path_style" | "backup_aws_session_token"
            if config.backup_s3_bucket.is_none() =>
        {
            says("there is no second bucket: backup_s3_bucket names it")
        }
        "s3_force_path_style" if config.s3_bucket.is_none() => {
            says("there is no bucket: s3_bucket (S3_BUCKET) names it")
        }
        // In the environment they are of whatever else runs on this machine.
        "aws_region" | "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token"
            if config.s3_bucket.is_none() && is_in_file =>
        {
            says("there is no bucket: s3_bucket (S3_BUCKET) names it")
        }
        "aws_access_key_id" | "aws_secret_access_key"
            if config.s3_bucket.is_some() && config.s3_access_key.is_some() && is_in_file =>
        {
            says("s3_access_key and s3_secret_key go before it")
        }
        "aws_session_token" if config.s3().is_some_and(|bucket| bucket.session_token.is_none()) => says(
            "it belongs to aws_access_key_id, and the bucket is used by s3_access_key, which is another one",
        ),
        "recordings_readers" if config.s3_bucket.is_some() && config.backup_path.is_none() => {
            says("recordings are kept in a bucket, and not in a folder of this machine")
        }
        "max_connections_per_address" if config.max_connections_per_address > config.max_connections / 2 => {
            says("an address never has more than half of max_connections")
        }
        "allowed_origins"
            if config.allowed_origins.len() > 1 && config.allowed_origins.contains(&AllowedOrigin::Any) =>
        {
            says("beside \"*\" no other origin makes a difference")
        }
        "media_listen" if config.receives_media() == without(config) => {
            says("media is received there without it as well")
        }
        _ => None,
    }
}

/// Where media would be received if nothing said where.
fn without(config: &Config) -> MediaListen {
    Config { media_listen: Vec::new(), ..config.clone() }.receives_media()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn told_of(file: &str, environment: &Environment, role: Role) -> Vec<String> {
        let mut settings = tempfile::NamedTempFile::new().unwrap();
        settings.write_all(file.as_bytes()).unwrap();
        let reading = Config::read_with(Some(settings.path()), environment).unwrap();
        let path = settings.path().display().to_string();
        let all = idle(&reading.config, &reading.sources, environment, role);
        all.iter().map(|Idle { name, why }| format!("{name}: {why}").replace(&path, "F")).collect()
    }

    #[test]
    fn what_has_no_effect_in_this_combination_is_told_and_nothing_else() {
        let nothing = Environment::default();
        let outside = "livekit_url = \"wss://calls.example.org\"\nlivekit_api_key = \"k\"\nlivekit_api_secret = \"s\"\n";
        let bucket = "s3_bucket = \"b\"\ns3_access_key = \"k\"\ns3_secret_key = \"s\"\n";
        for (file, expected) in [
            ("backup_after = 60\n", Some("backup_after: F, line 1: there is no backup store")),
            ("backup_after = 60\nbackup_path = \"/b\"\n", None),
            ("backup_aws_region = \"x\"\n", Some("no second bucket")),
            ("s3_force_path_style = true\n", Some("no bucket")),
            ("aws_region = \"eu-west-1\"\n", Some("no bucket")),
            ("udp_port = 7000\n", None),
            (
                format!("{outside}udp_port = 7000\n").as_str(),
                Some("udp_port: F, line 4: calls and recordings"),
            ),
            (
                format!("{outside}webhook_urls = [\"https://example.org\"]\n").as_str(),
                Some("calls and recordings"),
            ),
            (format!("{outside}advertise_ips = [\"192.0.2.1\"]\n").as_str(), Some("no client is told")),
            (
                format!("{bucket}aws_access_key_id = \"o\"\naws_secret_access_key = \"o\"\n").as_str(),
                Some("go before it"),
            ),
            (format!("{bucket}recordings_readers = \"group\"\n").as_str(), Some("kept in a bucket")),
            (format!("{bucket}recordings_readers = \"group\"\nbackup_path = \"/b\"\n").as_str(), None),
            ("max_connections = 100\nmax_connections_per_address = 60\n", Some("half of max_connections")),
            ("allowed_origins = [\"*\", \"https://app.example.org\"]\n", Some("beside \"*\"")),
            ("listen = \"192.0.2.1\"\nmedia_listen = [\"192.0.2.1\"]\n", Some("without it as well")),
            ("media_listen = [\"0.0.0.0\"]\n", None),
            ("media_on_server_port = true\n", Some("in any case, for LISTEN is a loopback address")),
            ("listen = \"0.0.0.0\"\nmedia_on_server_port = false\n", None),
            (format!("{outside}turn_udp_port = 3478\n").as_str(), Some("calls and recordings")),
            (
                format!("{outside}drain_seconds = 60\nresume_seconds = 0\n").as_str(),
                Some("calls and recordings"),
            ),
            ("tls = \"off\"\ntls_cert = \"c\"\ntls_key = \"k\"\n", Some("there is no HTTPS here")),
            ("tls_cert = \"c\"\ntls_key = \"k\"\nhttp_port = 80\n", None),
            (
                "http_port = 8080\n",
                Some(
                    "http_port: F, line 1: there is no HTTPS here to send anybody to, for LISTEN is a loopback",
                ),
            ),
            (
                "listen = \"0.0.0.0\"\nacme_email = \"ann@example.org\"\n",
                Some(
                    "acme_email: F, line 2: no ACME server is asked: TLS is \"own\", for LISTEN is no loopback address",
                ),
            ),
            (
                "listen = \"0.0.0.0\"\nacme_email = \"ann@example.org\"\npublic_url = \"https://calls.example.org\"\n",
                None,
            ),
            ("trusted_proxies = [\"127.0.0.1\", \"::1\"]\n", Some("believed anyway")),
            ("trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n", None),
            // It says that a proxy is in front.
            ("listen = \"0.0.0.0\"\ntrusted_proxies = [\"127.0.0.1\"]\n", None),
            ("log = \"info\"\n", None),
        ] {
            let told = told_of(file, &nothing, Role::Everything);
            let is_told = match expected {
                Some(expected) => !told.is_empty() && told.iter().all(|told| told.contains(expected)),
                None => told.is_empty(),
            };
            assert!(is_told, "{file}: {told:?}");
        }
        let of_media = told_of("room_state = false\nmax_rooms = 7\n", &nothing, Role::Media);
        assert!(of_media.len() == 1 && of_media[0].contains("reelroom media has none"), "{of_media:?}");
    }

    #[test]
    fn what_looks_like_ours_in_the_environment_is_told_with_what_is_meant() {
        let environment = Environment::from([
            ("S3_BUKET", "b"),
            ("REELROOM_PORT", "80"),
            ("PORT", ""),
            ("PATH", "/bin"),
            ("CACHE_DIRECTORY", "/var/cache/reelroom"),
            ("LOG", "debug"),
            ("AWS_REGION", "eu-west-1"),
            ("DATA_DIR", ""),
            ("S3_BUCKET", ""),
        ]);
        let told = told_of("log = \"info\"\ns3_bucket = \"b\"\n", &environment, Role::Everything);
        assert_eq!(
            told,
            [
                "s3_bucket: F, line 2: it does not count, for S3_BUCKET of the environment, which is set to nothing, goes before the file",
                "log: F, line 1: it does not count, for LOG of the environment goes before the file",
                "DATA_DIR of the environment: it is set to nothing, and counts as not set: data_dir is ./data",
                "REELROOM_PORT of the environment: it is not read: the setting is called SERVER_PORT",
                "S3_BUKET of the environment: it is not read: the setting is called S3_BUCKET",
            ]
        );
    }
}
