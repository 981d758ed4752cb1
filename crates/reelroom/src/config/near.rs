//! Which setting somebody meant who wrote another name.
//!
//! # Invariants
//!
//! - In the settings file every key is meant for this program, in the environment few variables are: there only what hardly differs is taken
//!   for one of ours, and what other programs call the same thing.

use super::in_force::fields;

/// What other programs, and what is written about them, call a setting of ours.
const OTHER_NAMES: [(&str, &str); 34] = [
    ("PORT", "SERVER_PORT"),
    ("HTTPS_PORT", "SERVER_PORT"),
    ("SERVER_HOST", "LISTEN"),
    ("BIND_ADDRESS", "LISTEN"),
    ("LISTEN_ADDRESS", "LISTEN"),
    ("ROOT_URL", "PUBLIC_URL"),
    ("TRUST_PROXY", "TRUSTED_PROXIES"),
    ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
    ("SSL_CERT", "TLS_CERT"),
    ("SSL_KEY", "TLS_KEY"),
    ("LETSENCRYPT_EMAIL", "ACME_EMAIL"),
    ("LOG_LEVEL", "LOG"),
    ("RUST_LOG", "LOG"),
    ("S3_BUCKET_NAME", "S3_BUCKET"),
    ("AWS_S3_BUCKET", "S3_BUCKET"),
    ("S3_ENDPOINT_URL", "S3_ENDPOINT"),
    ("AWS_ENDPOINT_URL", "S3_ENDPOINT"),
    ("AWS_ENDPOINT_URL_S3", "S3_ENDPOINT"),
    ("S3_REGION", "AWS_REGION"),
    ("S3_ACCESS_KEY_ID", "S3_ACCESS_KEY"),
    ("S3_SECRET_ACCESS_KEY", "S3_SECRET_KEY"),
    ("LIVEKIT_HOST", "LIVEKIT_URL"),
    ("LIVEKIT_WS_URL", "LIVEKIT_URL"),
    ("LIVEKIT_SERVER_URL", "LIVEKIT_URL"),
    ("LIVEKIT_KEY", "LIVEKIT_API_KEY"),
    ("LIVEKIT_SECRET", "LIVEKIT_API_SECRET"),
    ("CORS_ORIGIN", "ALLOWED_ORIGINS"),
    ("CORS_ORIGINS", "ALLOWED_ORIGINS"),
    ("NODE_IP", "ADVERTISE_IPS"),
    ("PUBLIC_IP", "ADVERTISE_IPS"),
    ("EXTERNAL_IP", "ADVERTISE_IPS"),
    ("DATA_PATH", "DATA_DIR"),
    ("RECORDINGS_DIR", "RECORDINGS_PATH"),
    ("MAX_PARTICIPANTS_PER_ROOM", "MAX_PARTICIPANTS"),
];

/// What a service manager says by itself (systemd.exec(5)), and nobody has set.
const OF_SYSTEMD: [&str; 6] = [
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
];

/// What people put in front of every variable of a program, as they do with others.
const PREFIX: &str = "REELROOM";

/// The setting that a key of the settings file is meant for.
pub(super) fn key(written: &str) -> Option<&'static str> {
    let plain = written.trim().to_ascii_lowercase().replace('-', "_");
    let plain = plain.strip_prefix("reelroom_").unwrap_or(&plain);
    let known: Vec<&str> = fields().map(|(name, _)| name).collect();
    let other = other_name(&plain.to_ascii_uppercase()).map(str::to_ascii_lowercase);
    let wanted = other.as_deref().unwrap_or(plain);
    nearest(wanted, &known, |known| (known.len() / 3).clamp(1, 3))
}

/// The variable of ours that one of the environment is meant for, which is none.
pub(super) fn variable(written: &str) -> Option<&'static str> {
    let known: Vec<&str> = fields().filter_map(|(_, variable)| variable).collect();
    if known.contains(&written) || OF_SYSTEMD.contains(&written) {
        return None;
    }
    let plain = written.to_ascii_uppercase();
    let few = |known: &str| match known.len() {
        0..=4 => 0,
        5..=7 => 1,
        _ => 2,
    };
    let is_prefix = |text: &str| strsim::osa_distance(text, PREFIX) <= 2;
    if let Some((_, rest)) = plain.split_once('_').filter(|(prefix, _)| is_prefix(prefix)) {
        return other_name(rest).or_else(|| nearest(rest, &known, few));
    }
    other_name(&plain).or_else(|| nearest(&plain, &known, few))
}

/// What a name of other programs is here.
fn other_name(written: &str) -> Option<&'static str> {
    let ours = OTHER_NAMES.iter().find(|(other, _)| *other == written).map(|(_, ours)| *ours)?;
    fields().filter_map(|(_, variable)| variable).find(|variable| *variable == ours)
}

/// The known name that differs least, where it differs in no more letters than that one may.
fn nearest(written: &str, known: &[&'static str], most: impl Fn(&str) -> usize) -> Option<&'static str> {
    let distances = known.iter().map(|known| (strsim::osa_distance(written, known), *known));
    distances.filter(|(distance, known)| *distance <= most(known)).min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_the_file_is_near_to_something() {
        for (written, meant) in [
            ("sever_port", Some("server_port")),
            ("SERVER_PORT", Some("server_port")),
            ("server-port", Some("server_port")),
            ("reelroom_listen", Some("listen")),
            ("logs", Some("log")),
            ("log_level", Some("log")),
            ("port", Some("server_port")),
            ("https_port", Some("server_port")),
            ("public_uri", Some("public_url")),
            ("webhook_url", Some("webhook_urls")),
            ("acces", Some("access")),
            ("smtp_host", None),
            ("theme", None),
        ] {
            assert_eq!(key(written), meant, "{written}");
        }
    }

    #[test]
    fn of_the_environment_only_what_is_hardly_anything_else_is_taken_for_ours() {
        for (written, meant) in [
            ("S3_BUKET", Some("S3_BUCKET")),
            ("S3_BUCKETS", Some("S3_BUCKET")),
            ("listen", Some("LISTEN")),
            ("ACESS", Some("ACCESS")),
            ("PORT", Some("SERVER_PORT")),
            ("REELROOM_PORT", Some("SERVER_PORT")),
            ("RELLROOM_LISTEN", Some("LISTEN")),
            ("REELROOM_S3_BUKET", Some("S3_BUCKET")),
            ("WEBHOOK_URL", Some("WEBHOOK_URLS")),
            ("LOG_LEVEL", Some("LOG")),
            ("TRUSTED_PROXY", Some("TRUSTED_PROXIES")),
            ("HTTPS_PORT", Some("SERVER_PORT")),
        ] {
            assert_eq!(variable(written), meant, "{written}");
        }
        for of_others in [
            "LISTEN",
            "LISTEN_FDS",
            "LISTEN_PID",
            "PATH",
            "HOME",
            "HOST",
            "HOSTNAME",
            "LOGNAME",
            "LANG",
            "USER",
            "TERM",
            "PWD",
            "SHELL",
            "DISPLAY",
            "http_proxy",
            "HTTPS_PROXY",
            "no_proxy",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "AWS_PROFILE",
            "AWS_REGION",
            "INVOCATION_ID",
            "NOTIFY_SOCKET",
            "JOURNAL_STREAM",
            "REELROOM_BIN",
            "REELROOM_TEST_COMPOSE",
            "CARGO_HOME",
            "XDG_DATA_DIRS",
        ] {
            assert_eq!(variable(of_others), None, "{of_others}");
        }
    }
}
