//! `reelroom doctor`: says before the first meeting whether it will work.
//!
//! ```text
//!   settings ─► config (what is wrong, what does nothing, as for `reelroom check`) ─┐
//!            └► subject (what they mean, as plain data) ────────────────────────────┴─► reelroom-doctor ─► lines, exit code
//! ```

mod subject;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use reelroom_doctor::checks::settings::SettingsFacts;
use reelroom_doctor::{Line, Observer, Part, Report, Subject, Thoroughness, Verdict, Wish};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::Role;
use crate::config::idle::{Idle, idle, strangers};
use crate::config::in_force::fields;
use crate::config::{Config, Environment, Problem, Reading};

const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// What ends it before its time, each with what shells say of a program that was ended so: Ctrl-C, a service manager, a terminal that closes.
const SIGNALS: [(SignalKind, u8); 3] =
    [(SignalKind::interrupt(), 130), (SignalKind::terminate(), 143), (SignalKind::hangup(), 129)];
/// Erases the line that the cursor stands in.
const ERASE: &str = "\r\u{1b}[K";

/// Arguments of `reelroom doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Leave out what takes seconds: how fast the disk is, and a recording of itself
    #[arg(long)]
    quick: bool,
    /// Print one JSON document for programs instead of lines for people
    #[arg(long)]
    json: bool,
    /// Ask this STUN server at which address the internet sees this machine. Nobody outside is asked without it, but for what the settings name
    #[arg(long, value_name = "HOST:PORT")]
    stun: Option<String>,
    /// What a child process of doctor does
    #[arg(long, hide = true, requires = "folder", value_name = "PART")]
    part: Option<Part>,
    /// Where it does it
    #[arg(long, hide = true, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Looks at the set-up of these settings, and says what was seen. 0 where nothing is bad.
///
/// # Errors
/// Standard output takes nothing, or this program's own file is not found.
pub(crate) fn run(file: Option<&Path>, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    if let (Some(part), Some(folder)) = (args.part, &args.folder) {
        reelroom_doctor::play(part, folder, &mut std::io::stdout()).map_err(anyhow::Error::msg)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (settings, subject) = read(file)?;
    let thoroughness = if args.quick { Thoroughness::Quick } else { Thoroughness::Whole };
    let wish = Wish { thoroughness, stun_server: args.stun.clone() };
    let mut teller = Teller { tells: !args.json, is_terminal: std::io::stderr().is_terminal() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = reelroom_doctor::examine(&settings, subject, &wish, &mut teller) => Ok(report),
            // What was made for a moment goes with the future.
            code = ended() => Err(code),
        }
    });
    runtime.shutdown_timeout(LEAVE_WITHIN);
    teller.over();
    let report = match report {
        Ok(report) => report,
        Err(code) => return Ok(ExitCode::from(code)),
    };
    print(&report, args.json)?;
    Ok(if report.verdict() == Verdict::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Resolves at the first of the signals that end it, with the exit code.
async fn ended() -> u8 {
    let waiting = SIGNALS.map(|(kind, code)| {
        Box::pin(async move {
            match signal(kind) {
                Ok(mut signal) => signal.recv().await,
                // Then it ends as the system ends programs.
                Err(_) => std::future::pending().await,
            };
            code
        })
    });
    futures::future::select_all(waiting).await.0
}

/// What the settings say; nothing to look at where they cannot be used.
fn read(file: Option<&Path>) -> anyhow::Result<(SettingsFacts, Option<Subject>)> {
    let environment = Environment::of_this_process();
    let reading = match Config::read_with(file, &environment) {
        Ok(reading) => reading,
        Err(problems) => {
            let problems = problems.iter().map(Problem::sentence).collect();
            let idle = strangers(&environment).map(named).collect();
            return Ok((SettingsFacts { problems, idle, ..SettingsFacts::default() }, None));
        }
    };
    let program = std::env::current_exe().context("this program's own file cannot be found")?;
    Ok((facts(&reading, &environment), Some(subject::subject(&reading.config, program))))
}

fn facts(reading: &Reading, environment: &Environment) -> SettingsFacts {
    let Reading { config, sources, .. } = reading;
    let is_of_environment = |name: &str| sources.of_setting(name) == "environment";
    SettingsFacts {
        file: sources.file().map(|file| file.display().to_string()),
        from_file: fields().map(|(name, _)| name).filter(|name| sources.line(name).is_some()).collect(),
        from_environment: fields()
            .filter(|(name, _)| is_of_environment(name))
            .filter_map(|(_, variable)| variable)
            .collect(),
        problems: Vec::new(),
        idle: idle(config, sources, environment, Role::Everything).into_iter().map(named).collect(),
        meaning: Some(subject::meaning(config)),
    }
}

fn named(Idle { name, why }: Idle) -> (String, String) {
    (name, why)
}

fn print(report: &Report, is_json: bool) -> anyhow::Result<()> {
    let text = if is_json { report.json() } else { format!("\n{}", report.summary()) };
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Tells people what goes on: lines on standard output as they come, and what takes seconds on standard error.
struct Teller {
    tells: bool,
    is_terminal: bool,
}

impl Teller {
    /// Takes away what was told only for as long as it took.
    fn over(&self) {
        if self.tells && self.is_terminal {
            eprint!("{ERASE}");
        }
    }
}

impl Observer for Teller {
    fn begins(&mut self, what: &str) {
        match (self.tells, self.is_terminal) {
            (false, _) => {}
            (true, true) => eprint!("{ERASE}... {what}"),
            (true, false) => eprintln!("... {what}"),
        }
    }

    fn line(&mut self, line: &Line) {
        if self.tells {
            self.over();
            let mut out = std::io::stdout();
            // Whoever reads no more does not keep the rest from being looked at.
            let _ = out.write_all(line.text().as_bytes()).and_then(|()| out.flush());
        }
    }
}
