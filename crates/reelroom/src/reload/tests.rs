use std::io::{Seek as _, Write as _};

use super::*;
use crate::config::Environment;
use crate::front::sites::Sites;

/// A settings file that somebody writes again and again.
struct Settings(tempfile::NamedTempFile);

impl Settings {
    fn new(text: &str) -> Self {
        let mut settings = Self(tempfile::NamedTempFile::new().unwrap());
        settings.write(text);
        settings
    }

    fn write(&mut self, text: &str) {
        self.0.as_file().set_len(0).unwrap();
        self.0.rewind().unwrap();
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn read(&self) -> Result<Reading, Problems> {
        Config::read_with(Some(self.0.path()), &Environment::from([("MAX_PARTICIPANTS", "9")]))
    }

    fn reload(&self) -> Reload {
        let levers = Levers {
            sites: CurrentSites::from(Sites::default()),
            media: None,
            egress: None,
            web: None,
            audit: None,
        };
        let file = Some(self.0.path().to_owned());
        Reload::new(self.read().unwrap(), file, Role::Everything, levers, LogLevel::of_nobody(), Vec::new())
    }
}

fn changes(held: &[&'static str], waiting: &[&'static str], back: &[&'static str]) -> Changes {
    Changes { held: held.to_vec(), waiting: waiting.to_vec(), back: back.to_vec() }
}

#[tokio::test]
async fn what_may_holds_at_once_and_everything_else_waits_and_is_told_once() {
    let mut settings = Settings::new("log = \"info\"\nudp_port = 7000\n");
    let mut reload = settings.reload();
    assert_eq!(reload.take(settings.read().unwrap()).await, Changes::default());

    settings.write("log = \"debug\"\nudp_port = 7001\nmax_rooms = 3\nmax_participants = 4\n");
    let told = reload.take(settings.read().unwrap()).await;
    assert_eq!(told, changes(&["max_rooms", "log"], &["udp_port"], &[]), "the environment beats the file");
    let config = &reload.now.config;
    assert_eq!((config.udp_port, config.max_rooms, config.max_participants), (7000, 3, 9));
    assert_eq!(config.log, "debug");
    let rows = in_force_and_next(&reload.now, &reload.read, &reload.waiting);
    let udp = rows.iter().find(|row| row.name == "udp_port").unwrap();
    assert_eq!((udp.value.as_str(), udp.next.as_deref()), ("7000", Some("7001")));
    assert_eq!(rows.iter().filter(|row| row.next.is_some()).count(), 1);
    assert_eq!(reload.take(settings.read().unwrap()).await, Changes::default(), "it is told once");

    settings.write("log = \"debug\"\nudp_port = 7002\n");
    let told = reload.take(settings.read().unwrap()).await;
    assert_eq!(told, changes(&["max_rooms"], &["udp_port"], &[]), "it is another one again");
    settings.write("udp_port = 7000\n");
    let told = reload.take(settings.read().unwrap()).await;
    assert_eq!(told, changes(&["log"], &[], &["udp_port"]));
    assert!(reload.waiting.is_empty() && reload.now.config.log == "info");
}

#[tokio::test]
async fn a_name_that_would_change_who_is_let_in_waits_and_pages_are_judged_anew() {
    let mut settings = Settings::new("");
    let mut reload = settings.reload();
    settings
        .write("public_hosts = [\"calls.example.org\"]\nallowed_origins = [\"https://app.example.org\"]\n");
    let told = reload.take(settings.read().unwrap()).await;
    assert_eq!(told, changes(&["allowed_origins"], &["public_hosts"], &[]));
    let sites = reload.levers.sites.now();
    assert_eq!((sites.origins.len(), sites.public_names.len()), (1, 0));

    settings.write("trusted_proxies = [\"10.1.0.0/24\"]\n");
    let told = reload.take(settings.read().unwrap()).await;
    assert_eq!(told, changes(&["trusted_proxies", "allowed_origins"], &[], &["public_hosts"]));
    let sites = reload.levers.sites.now();
    assert!(sites.trusts("10.1.0.9".parse().unwrap()) && !sites.trusts("10.2.0.9".parse().unwrap()));
}

#[tokio::test]
async fn settings_that_cannot_be_read_change_nothing_and_are_told_until_they_can() {
    let mut settings = Settings::new("max_rooms = 7\n");
    let mut reload = settings.reload();
    settings.write("max_rooms = 8\nlog = \"debug\"\nmax_recordings = \"many\"\n");
    reload.tell_problems(&settings.read().map(drop).unwrap_err());
    let first = reload.broken.clone().unwrap();
    assert!(first.why.contains("line 3, column 18") && first.why.contains("max_recordings"), "{first:?}");
    assert_eq!((reload.now.config.max_rooms, reload.now.config.log.as_str()), (7, "info"));
    settings.write("max_rooms =\n");
    reload.tell_problems(&settings.read().map(drop).unwrap_err());
    let second = reload.broken.clone().unwrap();
    assert!(second.since == first.since && second.why.contains("line 1"), "{second:?}");
    settings.write("max_rooms = 8\n");
    assert_eq!(reload.take(settings.read().unwrap()).await, changes(&["max_rooms"], &[], &[]));
    assert!(reload.broken.is_none());
}

#[tokio::test]
async fn what_hooks_are_for_is_read_again_whatever_becomes_of_the_settings() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let mut settings = Settings::new("");
    let mut reload = settings.reload();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let hook = move || match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Err(anyhow::anyhow!("it is broken")),
        _ => Ok(()),
    };
    reload.hooks.push(("certificates", Arc::new(hook)));
    reload.read_again().await;
    settings.write("no toml");
    reload.read_again().await;
    assert_eq!(count.load(Ordering::SeqCst), 2);
    assert!(reload.broken.is_some());
}

#[test]
fn a_default_file_that_was_read_is_missed_when_it_is_gone() {
    let settings = Settings::new("");
    let mut reading = settings.read().unwrap();
    let levers = || settings.reload().levers;
    let of = |reading: Reading| {
        Reload::new(reading, None, Role::Everything, levers(), LogLevel::of_nobody(), Vec::new()).file
    };
    assert_eq!(of(reading.clone()), Some(PathBuf::from(DEFAULT_FILE)));
    reading.sources = crate::config::Sources::default();
    assert_eq!(of(reading), None);
}

#[test]
fn hang_ups_that_are_ignored_are_known_by_what_the_kernel_says() {
    let of =
        |mask: &str| ignores_hangups(&format!("SigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t1\n"));
    assert!(of("0000000000000001") && of("0000000000001001"));
    assert!(!of("0000000000001000") && !of("0000000000000002") && !of("?") && !ignores_hangups(""));
}

#[test]
fn a_moment_is_told_to_the_second() {
    assert_eq!(in_words(UNIX_EPOCH + std::time::Duration::from_millis(86_400_999)), "1970-01-02T00:00:00Z");
}
