//! The command line: which part of the program runs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use reelroom_audit::WhoKind;

use crate::app::{App, PAGE_PORT, Role};
use crate::config::{Access, Config, Sources};
use crate::doctor::{self, DoctorArgs};
use crate::{data_dir, descriptors, log, owner, signals, urls};

const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Self-hosted video calls whose recordings cannot be lost. Without a command it runs everything: the page, the REST
/// API, the media server and the recorder.
#[derive(Parser)]
#[command(name = "reelroom", version)]
struct Cli {
    /// The settings file. Without it, reelroom.toml in the current folder where there is one.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run only the media server and recorder, as LiveKit with Egress does, on port 7880.
    Media,
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
    /// Print the commented settings file.
    Config,
    /// Say before the first meeting whether it will work: a line for each thing, OK, or WARN or BAD and what to do. Nothing of a server that
    /// runs is disturbed. 1 where something is BAD.
    Doctor(DoctorArgs),
}

/// Runs the command line. 0 when all went well, 1 with the reason on standard error, 2 for a wrong command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => serve(cli.config, Role::Everything),
        Some(Command::Media) => serve(cli.config, Role::Media),
        Some(Command::Compose(args)) => {
            log::to_stderr("warn");
            reelroom_composer::run(&args, &mut std::io::stdout()).map(drop).map_err(anyhow::Error::from)
        }
        Some(Command::Backup { copy }) => backup(cli.config, &copy),
        Some(Command::Owner) => invite_owner(cli.config),
        Some(Command::Config) => print_template(),
        Some(Command::Doctor(args)) => match doctor::run(cli.config.as_deref(), &args) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reelroom: {error:#}");
            ExitCode::FAILURE
        }
    }
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
    let (accounts, audit) = owner::open(&config.data_dir)?;
    // As far as the settings tell: which port a server with port 0 has is known to itself alone.
    let page = urls::page(SocketAddr::new(config.listen, config.server_port.unwrap_or(PAGE_PORT)));
    let mut lines = owner::new_link(&accounts, &audit, WhoKind::Machine, &page, &config.public_hosts)?;
    owner::write_down(&audit);
    if config.access_in_force() != Access::Invite {
        lines += "Nobody is asked for the password until ACCESS=invite is set.\n";
    }
    std::io::stdout().write_all(lines.as_bytes())?;
    Ok(())
}

fn serve(file: Option<PathBuf>, role: Role) -> anyhow::Result<()> {
    let config = Config::load(file.as_deref())?;
    let sources = Sources::of(file.as_deref());
    log::to_stderr(&config.log);
    // What this program and its composers write is nobody else's, whatever the shell allows; the store lets others in where that is set.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let shutdown = signals::shutdown()?;
        let app = App::load_from(config, &sources, role).await?;
        announce(&app)?;
        app.run(shutdown).await;
        anyhow::Ok(())
    });
    // A task that still waits for a stuck disk is given up.
    runtime.shutdown_timeout(LEAVE_WITHIN);
    result
}

/// The one line that people and scripts wait for, and behind it what the first start is for.
fn announce(app: &App) -> anyhow::Result<()> {
    use std::io::Write as _;
    let invitation = app.invitation()?.unwrap_or_default();
    let mut out = std::io::stdout();
    // In one piece: who waits for the line alone may be gone before the next one comes.
    out.write_all(format!("Reelroom is ready at {}\n{invitation}", app.url()).as_bytes())?;
    out.flush()?;
    Ok(())
}
