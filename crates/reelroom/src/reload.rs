//! The settings, read again while the program runs: SIGHUP, which `systemctl reload` sends.
//!
//! ```text
//!   SIGHUP ─► read (file, and the environment as it was) ─ wrong: nothing changes, and it is told why
//!               └► what is another one ─┬─ a setting of the table `config::live` ─► levers of the parts that run
//!                                       └─ another one: told, and shown beside what is in force
//!   and in any case ─► hooks: what else is read again
//! ```
//!
//! # Invariants
//!
//! - Either all of a file is looked at or nothing of it changes anything.
//! - One reading after the other: signals that come meanwhile are one more reading.
//! - A signal harms no start and no stop: it is caught before anything is opened, and heard by nobody from the stop on.
//! - A program that was started with hang-ups ignored, as nohup does, is not ended by one.
//! - No value of a setting is in the log.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use reelroom_app::{Adjustment, WebApp};
use reelroom_audit::{Act, Audit, Deed, On, OnKind, Who, WhoKind};
use reelroom_egress::{Egress, EgressLimits};
use reelroom_media::{Crowd, MediaServer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{DAY, Role, sites};
use crate::check;
use crate::config::in_force::{fields, in_force_and_next};
use crate::config::live::Live;
use crate::config::{Config, DEFAULT_FILE, Problems, Reading};
use crate::front::sites::CurrentSites;
use crate::log::LogLevel;
use crate::notify::Notify;

/// What of the parts that run may be set anew.
pub(crate) struct Levers {
    pub(crate) sites: CurrentSites,
    /// Where the media server is in this program.
    pub(crate) media: Option<MediaServer>,
    pub(crate) egress: Option<Egress>,
    /// Where there is a page.
    pub(crate) web: Option<WebApp>,
    /// Where somebody writes it down.
    pub(crate) audit: Option<Arc<Audit>>,
}

/// What is read again besides the settings, whatever becomes of these, with what it is called in the log.
pub(crate) type Hook = (&'static str, Arc<dyn Fn() -> anyhow::Result<()> + Send + Sync>);

/// Hang-ups, of which one that the terminal of the program makes as it goes is another matter than those that somebody sends.
pub(crate) struct Hangups {
    signal: Signal,
    /// Whether the program ends with its terminal.
    minds_terminal: bool,
}

impl Hangups {
    /// Catches them from now on: none ends the program any more.
    ///
    /// # Errors
    /// The system refuses to install a handler.
    pub(crate) fn catch() -> std::io::Result<Self> {
        let minds_terminal = !are_ignored() && has_terminal();
        Ok(Self { signal: signal(SignalKind::hangup())?, minds_terminal })
    }

    /// Waits for the next one; whether the program has to end with its terminal, which is gone.
    async fn next(&mut self) -> bool {
        // Tokio never ends the stream of a signal.
        let _ = self.signal.recv().await;
        self.minds_terminal && !has_terminal()
    }
}

/// Whether this process has a terminal: one that controls it, also where nothing is written there, or one that it reads or writes.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
        || std::io::stdin().is_terminal()
        || std::io::stdout().is_terminal()
        || std::io::stderr().is_terminal()
}

/// Whether this process ignores hang-ups, as it may have inherited.
fn are_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangups(&status))
}

/// By what the kernel says of a process: a mask of signals, the first of which is SIGHUP.
fn ignores_hangups(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// What one reading changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Changes {
    /// What holds from now on.
    held: Vec<&'static str>,
    /// What holds from the next start on, and did not do so before.
    waiting: Vec<&'static str>,
    /// What is as it is in force again.
    back: Vec<&'static str>,
}

/// The settings cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Broken {
    since: SystemTime,
    why: String,
}

/// Reads the settings again, as often as somebody asks for it.
pub(crate) struct Reload {
    /// As it was named at the start.
    file: Option<PathBuf>,
    role: Role,
    /// What is in force, and where it was given.
    now: Reading,
    /// What was read last.
    read: Reading,
    /// What of that holds from the next start on.
    waiting: Vec<&'static str>,
    broken: Option<Broken>,
    levers: Levers,
    log_level: LogLevel,
    hooks: Vec<Hook>,
}

impl Reload {
    /// Of a program that was started with these settings.
    pub(crate) fn new(
        started_with: Reading,
        file: Option<PathBuf>,
        role: Role,
        levers: Levers,
        log_level: LogLevel,
        hooks: Vec<Hook>,
    ) -> Self {
        // A default file that was there is not one that nobody wrote when it is gone.
        let file = file.or_else(|| started_with.sources.file().map(|_| PathBuf::from(DEFAULT_FILE)));
        let (read, waiting, broken) = (started_with.clone(), Vec::new(), None);
        Self { file, role, now: started_with, read, waiting, broken, levers, log_level, hooks }
    }

    /// Reads at each hang-up until `stopping`, and tells the service manager; cancels `stopping` when the program's terminal is gone.
    pub(crate) async fn run(mut self, mut hangups: Hangups, notify: Notify, stopping: CancellationToken) {
        loop {
            let is_orphaned = tokio::select! {
                // Whoever stops reads nothing any more.
                biased;
                () = stopping.cancelled() => return,
                is_orphaned = hangups.next() => is_orphaned,
            };
            if is_orphaned {
                stopping.cancel();
                tracing::info!("stopping: the terminal of this program is gone");
                return;
            }
            notify.reloading();
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = self.read_again() => {}
            }
            notify.reloaded();
        }
    }

    /// Reads everything once.
    async fn read_again(&mut self) {
        let file = self.file.clone();
        // A file may be on a disk that does not answer.
        let reading = tokio::task::spawn_blocking(move || Config::read(file.as_deref())).await;
        let reading = match reading {
            Ok(reading) => reading.and_then(|reading| check::fits(reading, self.role)),
            // The runtime ends.
            Err(error) if error.is_cancelled() => return,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        match reading {
            Ok(reading) => {
                let changes = self.take(reading).await;
                self.tell(&changes);
            }
            Err(problems) => self.tell_problems(&problems),
        }
        for (what, read_again) in &self.hooks {
            let read_again = Arc::clone(read_again);
            match tokio::task::spawn_blocking(move || read_again()).await {
                Ok(Ok(())) => tracing::info!("{what} were read again"),
                Ok(Err(error)) => tracing::warn!("{what} stay as they are: {error:#}"),
                Err(error) if error.is_cancelled() => return,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }

    /// Has what may hold at once hold, and the rest wait.
    async fn take(&mut self, reading: Reading) -> Changes {
        let mut changes = Changes::default();
        let mut waiting = Vec::new();
        for (name, _) in fields() {
            if !reading.differs(&self.now, name) {
                if self.waiting.contains(&name) {
                    changes.back.push(name);
                }
                // It may have gone from one line to another.
                self.now.take_source(&reading, name);
                continue;
            }
            let role = self.role;
            if Live::of(name).is_some_and(|live| live.apply(&mut self.now.config, &reading.config, role)) {
                self.now.take_source(&reading, name);
                changes.held.push(name);
                continue;
            }
            if !self.waiting.contains(&name) || reading.differs(&self.read, name) {
                changes.waiting.push(name);
            }
            waiting.push(name);
        }
        (self.read, self.waiting, self.broken) = (reading, waiting, None);
        self.pull(&changes.held).await;
        changes
    }

    /// Has the parts that run go by what is in force.
    async fn pull(&self, changed: &[&'static str]) {
        let config = &self.now.config;
        let is_changed = |names: &[&str]| names.iter().any(|name| changed.contains(name));
        if is_changed(&["log"])
            && let Err(error) = self.log_level.set(&config.log)
        {
            tracing::warn!("what is logged stays as it is: {error:#}");
        }
        if is_changed(&["public_hosts", "trusted_proxies", "allowed_origins"]) {
            self.levers.sites.set(sites(config, self.role));
        }
        if let Some(media) = &self.levers.media {
            if is_changed(&["max_rooms", "max_participants"]) {
                let crowd = Crowd { rooms: config.max_rooms, participants: config.max_participants };
                media.rooms().set_crowd(crowd);
            }
            if is_changed(&["webhook_urls"])
                && let Err(error) = media.webhooks().set_receivers(config.webhook_urls.clone()).await
            {
                tracing::warn!(%error, "who is told by webhook is not written down");
            }
        }
        if let Some(egress) = &self.levers.egress {
            egress.set_limits(egress_limits(config));
        }
        self.show();
    }

    /// Has the owner see what is in force, and what waits.
    fn show(&self) {
        let Some(web) = &self.levers.web else { return };
        let config = &self.now.config;
        web.adjust(Adjustment {
            portion_bytes: config.recording_file_portion_size,
            disk_reserve_bytes: config.disk_reserve,
            public_hosts: config.public_hosts.iter().map(ToString::to_string).collect(),
            oidc_owners: Some(config.oidc_owners.clone()),
            settings: in_force_and_next(&self.now, &self.read, &self.waiting).into(),
            settings_trouble: self.broken.as_ref().map(|Broken { since, why }| {
                format!("the settings are not read since {}, and stay as they were: {why}", in_words(*since))
            }),
        });
    }

    fn tell(&self, changes: &Changes) {
        let Changes { held, waiting, back } = changes;
        for name in held {
            tracing::info!("{name} changed; it holds from now on");
        }
        for name in waiting {
            tracing::warn!("{name} changed; it holds from the next start on");
        }
        for name in back {
            tracing::info!("{name} changed back; it is in force");
        }
        if held.is_empty() && waiting.is_empty() && back.is_empty() {
            tracing::info!("the settings were read again: nothing has changed");
        }
        let parts = [("from now on", held), ("from the next start on", waiting), ("as it was", back)];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let detail: Vec<String> =
            parts.map(|(when, names)| format!("{when}: {}", names.join(", "))).collect();
        let deed = reloaded();
        self.note(if detail.is_empty() {
            deed.detailed("nothing changed")
        } else {
            deed.detailed(detail.join("; "))
        });
    }

    /// Nothing changes, and that is told until it is another matter.
    fn tell_problems(&mut self, problems: &Problems) {
        for problem in problems.iter() {
            tracing::warn!("the settings stay as they are: {}", problem.sentence());
        }
        let since = self.broken.as_ref().map_or_else(SystemTime::now, |broken| broken.since);
        let why = problems.summary();
        self.broken = Some(Broken { since, why: why.clone() });
        self.show();
        self.note(reloaded().failed(why));
    }

    fn note(&self, deed: Deed) {
        if let Some(audit) = &self.levers.audit {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            audit.note(deed, i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        }
    }
}

/// What the settings say of the recorder that may be set anew.
fn egress_limits(config: &Config) -> EgressLimits {
    EgressLimits {
        keep_takes: DAY * config.keep_takes_days,
        disk_reserve_bytes: config.disk_reserve,
        max_recordings: config.max_recordings.into(),
    }
}

fn reloaded() -> Deed {
    Deed::done(Act::SettingsReloaded, Who::of(WhoKind::Machine), None, On::the(OnKind::Settings))
}

/// A moment, to the second.
fn in_words(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).expect("a moment of this era has a form")
}

#[cfg(test)]
mod tests;
