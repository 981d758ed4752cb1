//! The command line: which part of the program runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use reelroom_audit::WhoKind;
use reelroom_certs::Certificates;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Role};
use crate::check::{self, Form};
use crate::config::idle::{Idle, idle};
use crate::config::{Access, Config, Environment, Reading};
use crate::doctor::{self, DoctorArgs};
use crate::health::{self, Question};
use crate::notify::Notify;
use crate::reload::{Hangups, Hook, Reload};
use crate::secrets::{DEV_KEY, DEV_SECRET};
use crate::signals::{self, Stop};
use crate::{data_dir, descriptors, https, installed, log, owner, urls};

const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// A service manager kills whoever takes longer than they asked for.
const ASK_FOR_TIME_EVERY: Duration = Duration::from_secs(60);
/// Where `lk --dev` finds a server, with the key and the secret that everybody knows.
const LK_DEV_URL: &str = "http://localhost:7880";
const NO_OWNER: &str = "Nobody is its owner yet: 'reelroom owner', with the settings of this server, prints the link that sets the password \
     ('sudo reelroom owner' where a package has installed it)\n";

/// Self-hosted video calls whose recordings cannot be lost. Without a command it runs everything: the page, the REST
/// API, the media server and the recorder.
#[derive(Parser)]
#[command(name = "reelroom", version)]
struct Cli {
    /// The settings file. Without it, reelroom.toml in the current folder where there is one; else that of the package, /etc/reelroom/reelroom.toml,
    /// for a program that the package has installed.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run only the media server and recorder, as LiveKit with Egress does, on port 7880.
    Media {
        /// For developers, as `livekit-server --dev` is: say by which URL, key and secret programs use it, and how `lk` does.
        #[arg(long)]
        dev: bool,
    },
    /// Make an MP4 of a take.
    Compose(Box<reelroom_composer::ComposeArgs>),
    /// Copy what nothing else knows (truth.db of the data folder) into a new file, also while the server runs.
    Backup {
        /// The copy; nothing is replaced. To go back to it, stop the server, move truth.db and the files of its name that end in
        /// -wal and -shm aside, and put the copy there as truth.db.
        #[arg(value_name = "FILE")]
        copy: PathBuf,
    },
    /// Print a link that sets the owner's password, once and within 24 hours; links of before are worthless then. Also while the server runs.
    Owner,
    /// Ask the server of these settings, on this machine, whether it answers. 0: it does.
    Health {
        /// Also whether calls and recordings work.
        #[arg(long)]
        ready: bool,
        /// It is a `reelroom media`, which says no more than that it answers.
        #[arg(long, conflicts_with = "ready")]
        media: bool,
    },
    /// Print the commented settings file.
    Config,
    /// Say what is set, from where and what it means together, or all that is wrong with it. Nothing is opened but the settings file. Also while
    /// the server runs, before it is told to read the file again (SIGHUP).
    Check {
        /// For `reelroom media`.
        #[arg(long)]
        media: bool,
        /// For programs, as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say before the first meeting whether it will work: a line for each thing, OK, or WARN or BAD and what to do. Nothing of a server that
    /// runs is disturbed. 1 where something is BAD.
    Doctor(DoctorArgs),
}

/// Runs the command line. 0 when all went well, 1 with the reason on standard error, 2 for a wrong command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => installed::settings(cli.config).and_then(|file| serve(file, Role::Everything, Says::Ready)),
        Some(Command::Media { dev }) => {
            let says = if dev { Says::Credentials } else { Says::Ready };
            installed::settings(cli.config).and_then(|file| serve(file, Role::Media, says))
        }
        Some(Command::Compose(args)) => {
            log::to_stderr("warn");
            reelroom_composer::run(&args, &mut std::io::stdout()).map(drop).map_err(anyhow::Error::from)
        }
        Some(Command::Backup { copy }) => {
            installed::settings(cli.config).and_then(|file| backup(file, &copy))
        }
        Some(Command::Owner) => installed::settings(cli.config).and_then(invite_owner),
        Some(Command::Health { ready, media }) => {
            let question = if ready { Question::Ready } else { Question::Alive };
            let role = if media { Role::Media } else { Role::Everything };
            installed::settings(cli.config).and_then(|file| ask(file, role, question))
        }
        Some(Command::Config) => print_template(),
        Some(Command::Check { media, json }) => {
            let role = if media { Role::Media } else { Role::Everything };
            let form = if json { Form::Json } else { Form::Text };
            let checked =
                installed::settings(cli.config).and_then(|file| check::run(file.as_deref(), role, form));
            return checked.unwrap_or_else(failed);
        }
        Some(Command::Doctor(args)) => {
            let examined =
                installed::settings(cli.config).and_then(|file| doctor::run(file.as_deref(), &args));
            return examined.unwrap_or_else(failed);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error),
    }
}

fn failed(error: anyhow::Error) -> ExitCode {
    log::last_words(&format!("reelroom: {error:#}"));
    ExitCode::FAILURE
}

fn print_template() -> anyhow::Result<()> {
    use std::io::Write as _;
    std::io::stdout().write_all(Config::template().as_bytes())?;
    Ok(())
}

fn backup(file: Option<PathBuf>, copy: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    let truth = data_dir::truth(&Config::load(file.as_deref())?.data_dir);
    reelroom_truth::backup(&truth, copy)?;
    writeln!(std::io::stdout(), "{} is copied to {}", truth.display(), copy.display())?;
    Ok(())
}

fn invite_owner(file: Option<PathBuf>) -> anyhow::Result<()> {
    use std::io::Write as _;
    let config = Config::load(file.as_deref())?;
    installed::become_owner_of(&config.data_dir)?;
    let (accounts, audit) = owner::open(&config.data_dir)?;
    let page = https::page(&config);
    let (public_url, public_hosts) = (config.public_url.clone(), config.public_hosts.clone());
    let addresses = owner::Addresses { page, public_url, public_hosts };
    let mut lines = owner::new_link(&accounts, &audit, WhoKind::Machine, &addresses)?;
    owner::write_down(&audit);
    if config.access_in_force() != Access::Invite {
        lines += "Nobody is asked for the password until ACCESS=invite is set.\n";
    }
    std::io::stdout().write_all(lines.as_bytes())?;
    Ok(())
}

fn ask(file: Option<PathBuf>, role: Role, question: Question) -> anyhow::Result<()> {
    health::ask(urls::from_here(listens_at(&Config::load(file.as_deref())?, role)), question)
}

/// As far as the settings tell: which port a server with port 0 has is known to itself alone.
fn listens_at(config: &Config, role: Role) -> SocketAddr {
    SocketAddr::new(config.listen, config.port_in_force(role))
}

/// What is said once it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// Where it is reached.
    Ready,
    /// By what programs use it as well: to whoever develops one.
    Credentials,
}

fn serve(file: Option<PathBuf>, role: Role, says: Says) -> anyhow::Result<()> {
    let reading = Config::read(file.as_deref())?;
    installed::refuse_root(file.as_deref(), &reading.config.data_dir)?;
    let log_level = log::to_stderr(&reading.config.log);
    tell_idle(&reading, role);
    // What this program and its composers write is nobody else's, whatever the shell allows; the store lets others in where that is set.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    descriptors::raise();
    let notify = Notify::from_env();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let stopping = CancellationToken::new();
        let shutdown = signals::shutdown(stopping.clone())?;
        // From here on no hang-up ends the program: one that comes before it is ready is heard then.
        let hangups = Hangups::catch()?;
        let app = App::load_from(reading.config.clone(), &reading.sources, role).await?;
        announce(&app, says)?;
        notify.ready(&app.url());
        let _watched = notify.watch(app.inner_address());
        let drain = Duration::from_secs(reading.config.drain_seconds);
        let reload = Reload::new(reading, file, role, app.levers(), log_level, hooks(&app));
        let reloading = tokio::spawn(reload.run(hangups, notify.clone(), stopping.clone()));
        let stop = async {
            let how = shutdown.await;
            stopping.cancel();
            notify.stopping(how);
            if how == Stop::HandOver && !drain.is_zero() {
                tokio::spawn(ask_for_time(notify.clone(), drain));
            }
            how
        };
        app.run_until(stop).await;
        let _ = reloading.await;
        anyhow::Ok(())
    });
    // A task that still waits for a stuck disk is given up.
    runtime.shutdown_timeout(LEAVE_WITHIN);
    result
}

/// Whoever set something for nothing, or misspelt it, reads it here if nowhere else.
fn tell_idle(reading: &Reading, role: Role) {
    let environment = Environment::of_this_process();
    for Idle { name, why } in idle(&reading.config, &reading.sources, &environment, role) {
        tracing::warn!("a setting has no effect: {name}: {why}");
    }
}

/// Has the service manager wait until calls that may end first are over.
async fn ask_for_time(notify: Notify, drain: Duration) {
    let until = Instant::now() + drain;
    loop {
        notify.extend(2 * ASK_FOR_TIME_EVERY);
        let Some(left) = until.checked_duration_since(Instant::now()) else { return };
        tokio::time::sleep(left.min(ASK_FOR_TIME_EVERY)).await;
    }
}

/// What looks after files of its own, and does so at a hang-up too.
fn hooks(app: &App) -> Vec<Hook> {
    let reload = |certificates: Certificates| -> Hook {
        ("certificates", Arc::new(move || Ok(certificates.reload()?)))
    };
    app.certificates().map(reload).into_iter().collect()
}

/// The one line that people and scripts wait for, and behind it what the first start is for.
fn announce(app: &App, says: Says) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout();
    // A journal is kept, and read by others than whoever started the program.
    let invitation = if !log::is_journal(&out) {
        app.invitation()?.unwrap_or_default()
    } else if app.awaits_owner() {
        NO_OWNER.to_owned()
    } else {
        String::new()
    };
    // In one piece: who waits for the line alone may be gone before the next one comes.
    let public = app.public_url().map(ToString::to_string).filter(|public| *public != app.url());
    let public = public.map(|public| format!("{public}, and here at ")).unwrap_or_default();
    let about_https = app.about_https();
    let credentials = match app.credentials() {
        Some((key, secret)) if says == Says::Credentials && !log::is_journal(&out) => {
            for_developers(&app.url(), &key, &secret)
        }
        _ => String::new(),
    };
    out.write_all(
        format!("Reelroom is ready at {public}{}\n{invitation}{about_https}{credentials}", app.url())
            .as_bytes(),
    )?;
    out.flush()?;
    Ok(())
}

/// What somebody needs who has started a server for the program that they write.
fn for_developers(url: &str, key: &str, secret: &str) -> String {
    // http is ws, and https is wss.
    let socket = format!("ws{}", url.strip_prefix("http").unwrap_or(url));
    let is_known_to_lk = (key, secret) == (DEV_KEY, DEV_SECRET) && url == LK_DEV_URL;
    let lk = if is_known_to_lk { "lk --dev room list" } else { "lk room list" };
    format!(
        "starting in development mode\n\n  URL:        {socket}\n  API Key:    {key}\n  API Secret: {secret}\n\n  \
         export LIVEKIT_URL={socket} LIVEKIT_API_KEY={key} LIVEKIT_API_SECRET={secret}\n  {lk}\n"
    )
}

#[cfg(test)]
mod tests {
    use confique::Config as _;

    use super::*;

    #[test]
    fn a_developer_is_told_by_what_programs_use_the_server() {
        let said = for_developers("http://localhost:7880", "devkey", "secret");
        for line in [
            "starting in development mode",
            "  URL:        ws://localhost:7880",
            "  API Key:    devkey",
            "  API Secret: secret",
            "  export LIVEKIT_URL=ws://localhost:7880 LIVEKIT_API_KEY=devkey LIVEKIT_API_SECRET=secret",
            "  lk --dev room list",
        ] {
            assert!(said.lines().any(|known| known == line), "{said}");
        }
        let said = for_developers("https://calls.example.org:7880", "APIx", "generated");
        assert!(said.contains("wss://calls.example.org:7880") && !said.contains("--dev"), "{said}");
        let said = for_developers("http://localhost:7881", "devkey", "secret");
        assert!(!said.contains("--dev"), "that goes to another port: {said}");
    }

    #[test]
    fn a_server_whose_port_is_not_set_is_asked_at_that_of_its_part() {
        // Without the environment of whoever runs this.
        let mut config = Config::builder().load().unwrap();
        assert_eq!(listens_at(&config, Role::Everything).port(), 6080);
        assert_eq!(listens_at(&config, Role::Media).port(), 7880);
        config.server_port = Some(8443);
        assert_eq!(listens_at(&config, Role::Media).port(), 8443);
    }
}
