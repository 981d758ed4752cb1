//! `reelroom check`: what is set, whence, what it means together, and what of it is wrong or does nothing.
//!
//! It reads the settings file and the environment. It opens neither the data folder nor a socket, so that it may be run beside a server, and by
//! somebody else than the one whom that runs as.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use reelroom_app::SettingBody;
use serde_json::{Value, json};

use crate::app::{MEDIA_OF_ANOTHER, Role};
use crate::config::idle::{Idle, idle};
use crate::config::in_force::{in_force, variable};
use crate::config::live::Live;
use crate::config::meaning::{Meaning, meaning};
use crate::config::{Config, Environment, Problem, Problems, Reading};
use crate::secrets::Pair;

/// How it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints what it finds; 0 where a start would take the settings, 1 where it would not.
pub(crate) fn run(file: Option<&Path>, role: Role, form: Form) -> anyhow::Result<ExitCode> {
    use std::io::Write as _;
    let environment = Environment::of_this_process();
    let found = look(file, role, &environment);
    let said = match (&found, form) {
        (Ok(reading), Form::Text) => text(reading, role, &environment),
        (Err(problems), Form::Text) => format!("{problems}\n"),
        (Ok(reading), Form::Json) => format!("{:#}\n", json_of(reading, role, &environment)),
        (Err(problems), Form::Json) => format!("{:#}\n", json_of_problems(problems)),
    };
    std::io::stdout().write_all(said.as_bytes())?;
    Ok(if found.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The settings, or all for which a start would refuse them that can be known without one.
fn look(file: Option<&Path>, role: Role, environment: &Environment) -> Result<Reading, Problems> {
    fits(Config::read_with(file, environment)?, role)
}

/// Settings that each by itself and all together are right, if they are for this role as well.
///
/// # Errors
/// What they are not right for.
pub(crate) fn fits(reading: Reading, role: Role) -> Result<Reading, Problems> {
    if role == Role::Media && !reading.config.embeds_media() {
        return Err(Problems::one(MEDIA_OF_ANOTHER));
    }
    match Pair::of(&reading.config, role) {
        Ok(_) => Ok(reading),
        Err(error) => Err(Problems::one(&format!("{error:#}"))),
    }
}

fn text(reading: &Reading, role: Role, environment: &Environment) -> String {
    let Reading { config, sources, .. } = reading;
    let all = in_force(config, sources);
    let given: Vec<&SettingBody> = all.iter().filter(|row| row.from != "default").collect();
    let mut out = match sources.file() {
        Some(file) => format!("Read: {}, and the environment\n", file.display()),
        None => "Read: the environment, for there is no settings file\n".to_owned(),
    };
    // A string takes whatever is written.
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line("\nWhat is set".into());
    let width = given.iter().map(|row| row.name.len()).max().unwrap_or_default();
    for row in &given {
        let place = match sources.line(row.name).filter(|_| row.from == "file") {
            Some(number) => format!("line {number}"),
            None => variable(row.name).unwrap_or_default().to_owned(),
        };
        let value = if row.is_secret { format!("({})", row.value) } else { one_line(&row.value) };
        line(format!("  {:<width$} = {value}  [{} {place}]", row.name, row.from));
    }
    let others = all.len() - given.len();
    line(match given.len() {
        0 => format!("  nothing: all {others} settings have their defaults"),
        _ => format!("  and {others} others have their defaults"),
    });
    line("\nWhat that means".into());
    for Meaning { about, says } in meaning(config, role) {
        line(format!("  {about}: {says}"));
    }
    let idle = idle(config, sources, environment, role);
    if !idle.is_empty() {
        line("\nWhat has no effect".into());
        for Idle { name, why } in idle {
            line(format!("  {name}: {why}"));
        }
    }
    line("\nA start would take these settings.".into());
    out
}

/// What somebody wrote stays on its line.
fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn json_of(reading: &Reading, role: Role, environment: &Environment) -> Value {
    let Reading { config, sources, .. } = reading;
    let settings = in_force(config, sources).into_iter().map(|row| {
        let SettingBody { name, value, from, is_secret, .. } = row;
        json!({
            "name": name,
            "variable": variable(name),
            "value": value,
            "from": from,
            "line": sources.line(name),
            "isSecret": is_secret,
            "withoutRestart": Live::of(name).map(|live| live.from),
        })
    });
    let meaning =
        meaning(config, role).into_iter().map(|one| json!({ "about": one.about, "says": one.says }));
    let idle = idle(config, sources, environment, role);
    let idle = idle.into_iter().map(|one| json!({ "name": one.name, "why": one.why }));
    json!({
        "ok": true,
        "file": sources.file().map(|file| file.display().to_string()),
        "settings": settings.collect::<Vec<_>>(),
        "meaning": meaning.collect::<Vec<_>>(),
        "withoutEffect": idle.collect::<Vec<_>>(),
    })
}

fn json_of_problems(problems: &Problems) -> Value {
    let told = problems.iter().map(|problem| {
        let Problem { setting, variable, spot, says } = problem;
        json!({
            "says": says,
            "setting": setting,
            "variable": variable,
            "file": spot.as_ref().map(|spot| &spot.file),
            "line": spot.as_ref().map(|spot| spot.line),
            "column": spot.as_ref().map(|spot| spot.column),
        })
    });
    json!({ "ok": false, "problems": told.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn found(file: &str, environment: &Environment, role: Role) -> Result<Reading, Problems> {
        let mut settings = tempfile::NamedTempFile::new().unwrap();
        settings.write_all(file.as_bytes()).unwrap();
        look(Some(settings.path()), role, environment)
    }

    #[test]
    fn what_is_set_and_what_it_means_is_printed_and_no_secret() {
        let file = "max_rooms = 7\ns3_bucket = \"b\"\ns3_access_key = \"hunter2\"\ns3_secret_key = \"hunter2\"\nbackup_after = 9\n";
        let environment = Environment::from([("LOG", "debug"), ("S3_BUKET", "hunter2")]);
        let reading = found(file, &environment, Role::Everything).unwrap();
        let said = text(&reading, Role::Everything, &environment);
        for line in [
            "  max_rooms     = 7  [file line 1]",
            "  s3_secret_key = (set)  [file line 4]",
            "  log           = debug  [environment LOG]",
            "  recordings: Go to the bucket b of Amazon",
            "S3_BUKET of the environment: it is not read: the setting is called S3_BUCKET",
            "line 5: there is no backup store",
        ] {
            assert!(said.contains(line), "{line:?} is not in:\n{said}");
        }
        assert!(!said.contains("hunter2"), "{said}");
        let told = json_of(&reading, Role::Everything, &environment);
        assert!(!told.to_string().contains("hunter2"), "{told}");
        let setting = |name: &str| {
            told["settings"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
        };
        assert_eq!(setting("max_rooms")["line"], 1);
        assert_eq!(
            (&setting("log")["withoutRestart"], &setting("listen")["withoutRestart"]),
            (&json!("at once"), &json!(null))
        );
        assert_eq!(told["withoutEffect"].as_array().unwrap().len(), 2, "{told}");
    }

    #[test]
    fn what_a_start_would_refuse_is_a_problem() {
        let nothing = Environment::default();
        for (file, role, why) in [
            (
                "livekit_url = \"wss://calls.example.org\"\n",
                Role::Everything,
                "of that server are needed too",
            ),
            ("livekit_url = \"wss://calls.example.org\"\n", Role::Media, "is itself that server"),
            (
                "listen = \"0.0.0.0\"\nlivekit_api_key = \"devkey\"\nlivekit_api_secret = \"secret\"\n",
                Role::Everything,
                "would let anybody in",
            ),
            ("max_rooms = \"many\"\n", Role::Everything, "line 1, column 13"),
        ] {
            let problems = found(file, &nothing, role).map(drop).unwrap_err();
            assert!(problems.to_string().contains(why), "{problems}");
            let told = json_of_problems(&problems);
            assert_eq!((&told["ok"], told["problems"].as_array().unwrap().len()), (&json!(false), 1));
        }
        assert!(found("", &nothing, Role::Everything).is_ok() && found("", &nothing, Role::Media).is_ok());
    }
}
