//! What is set, from where, and what it means together.

use crate::checks::list;
use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { Settings:
    UNREADABLE = Bad "settings-unreadable",
        "The settings cannot be used: a file that is not there, a value that cannot be what it says, settings that contradict each other.",
        "Correct what the line names in the settings file or in the environment; `reelroom config` prints every setting with its meaning.";
    UNKNOWN = Bad "settings-unknown",
        "The settings file has a setting that does not exist. The server does not start with it.",
        "Correct or delete line {line} of the settings file; `reelroom config` prints every setting.";
    MISSPELT = Warn "settings-misspelt",
        "The environment has a variable whose name is nearly that of a setting, and nothing reads it.",
        "Call it {meant}, if it is meant for Reelroom.";
    EVERYBODY = Warn "settings-open",
        "Access is open, and others than this machine's own people reach the server.",
        "Set ACCESS=invite, unless whoever reaches the page may join, record, play and delete everything.";
    NO_CAMERA = Warn "settings-no-https",
        "Others reach the server by an address of this machine, and neither HTTPS nor a proxy's name is set: browsers give pages without \
         HTTPS no camera and no microphone.",
        "Set TLS=own for a network without a name, or PUBLIC_URL to the https:// address that people open.";
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsFacts {
    /// The settings file, if one was read.
    pub file: Option<String>,
    /// The settings that it sets.
    pub from_file: Vec<&'static str>,
    /// The variables that are set.
    pub from_environment: Vec<String>,
    /// Why they cannot be used.
    pub error: Option<String>,
    /// Keys of the file that are no settings.
    pub unknown: Vec<UnknownKey>,
    /// Variables that are nearly called like a setting's: what they are called, and what may be meant.
    pub misspelt: Vec<(String, String)>,
    /// What they mean together.
    pub meaning: Option<Meaning>,
}

/// A key of the settings file that is no setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// What is written there.
    pub name: String,
    /// Where, counted from 1.
    pub line: usize,
    /// The setting that is nearly called so.
    pub meant: Option<String>,
}

/// What the settings mean together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Whoever reaches the page may do everything.
    pub is_open: bool,
    /// Why others than this machine's own people reach it, if they do.
    pub reached: Option<String>,
    /// It listens on an address of the machine that is none of loopback, or others are told to open such a one without HTTPS.
    pub listens_to_others: bool,
    /// How HTTPS is made, in words behind "HTTPS is".
    pub https: String,
    /// This program itself speaks HTTPS.
    pub is_https: bool,
    /// It has names by which others reach it over HTTPS.
    pub has_names: bool,
}

/// The verdict.
#[must_use]
pub fn check(facts: &SettingsFacts) -> Vec<Line> {
    let mut lines = Vec::new();
    for key in &facts.unknown {
        let meant = key.meant.as_ref().map(|meant| format!(": {meant} may be meant")).unwrap_or_default();
        let said = format!("line {} sets {}, and there is no such setting{meant}", key.line, key.name);
        lines.push(UNKNOWN.filled(said, &[("line", &key.line.to_string())]));
    }
    // What it says then is of the first of those keys, which is told above.
    if let Some(error) = facts.error.as_ref().filter(|_| facts.unknown.is_empty()) {
        lines.push(UNREADABLE.said(error));
    }
    for (variable, meant) in &facts.misspelt {
        let said = format!("{variable} is set, and there is no such setting");
        lines.push(MISSPELT.filled(said, &[("meant", meant)]));
    }
    if let (Some(meaning), true) = (&facts.meaning, lines.iter().all(|line| line.code != Some(UNKNOWN.code)))
    {
        lines.push(read(facts));
        lines.extend(mean(meaning));
    }
    lines
}

fn read(facts: &SettingsFacts) -> Line {
    let of_file = facts.file.as_ref().map(|file| match facts.from_file.len() {
        0 => format!("{file} sets nothing"),
        _ => format!("{file} sets {}", list(&facts.from_file)),
    });
    let environment = &facts.from_environment;
    let of_environment =
        (!environment.is_empty()).then(|| format!("the environment sets {}", list(environment)));
    let said: Vec<String> = of_file.into_iter().chain(of_environment).collect();
    let said = if said.is_empty() { "all are at their defaults".to_owned() } else { said.join("; ") };
    Line::ok(Check::Settings, said)
}

fn mean(meaning: &Meaning) -> Vec<Line> {
    let mut lines = Vec::new();
    let who = match (meaning.is_open, &meaning.reached) {
        (true, None) => "access is open: whoever is on this machine may do everything".to_owned(),
        (true, Some(why)) => format!("access is open to whoever reaches it, and {why}"),
        (false, _) => {
            "access is by invitation: the owner, programs with API keys and whoever is invited".to_owned()
        }
    };
    if meaning.is_open && meaning.reached.is_some() {
        lines.push(EVERYBODY.said(who));
    } else {
        lines.push(Line::ok(Check::Settings, who));
    }
    let https = format!("HTTPS is {}", meaning.https);
    if meaning.listens_to_others && !meaning.is_https && !meaning.has_names {
        lines.push(NO_CAMERA.said(https));
    } else {
        lines.push(Line::ok(Check::Settings, https));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Verdict;

    fn meaning() -> Meaning {
        Meaning {
            is_open: true,
            reached: None,
            listens_to_others: false,
            https: "off".into(),
            is_https: false,
            has_names: false,
        }
    }

    fn codes(facts: &SettingsFacts) -> Vec<&'static str> {
        check(facts).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn the_defaults_are_well() {
        let lines = check(&SettingsFacts { meaning: Some(meaning()), ..SettingsFacts::default() });
        assert!(lines.iter().all(|line| line.verdict == Verdict::Ok), "{lines:?}");
        assert!(lines[0].said.contains("defaults"));
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_once() {
        let facts = SettingsFacts {
            error: Some("unknown field `sever_port`".into()),
            unknown: vec![UnknownKey {
                name: "sever_port".into(),
                line: 3,
                meant: Some("server_port".into()),
            }],
            ..SettingsFacts::default()
        };
        let lines = check(&facts);
        assert_eq!(codes(&facts), ["settings-unknown"]);
        assert!(lines[0].said.contains("line 3") && lines[0].said.contains("sever_port"), "{lines:?}");
        assert!(lines[0].said.ends_with("server_port may be meant"), "{lines:?}");
        assert!(lines[0].todo.as_ref().unwrap().contains("line 3"), "{lines:?}");
        let error =
            SettingsFacts { error: Some("SERVER_PORT is no number".into()), ..SettingsFacts::default() };
        assert_eq!(codes(&error), ["settings-unreadable"]);
    }

    #[test]
    fn a_variable_that_nothing_reads_is_told() {
        let misspelt = vec![("PUBLIC_HOST".into(), "PUBLIC_HOSTS".into())];
        let facts = SettingsFacts { misspelt, meaning: Some(meaning()), ..SettingsFacts::default() };
        assert_eq!(codes(&facts), ["settings-misspelt"]);
    }

    #[test]
    fn who_lets_in_everybody_and_who_has_no_https_is_told() {
        let reached = Some("LISTEN is no loopback address".to_owned());
        let of = |meaning| codes(&SettingsFacts { meaning: Some(meaning), ..SettingsFacts::default() });
        let open = Meaning { reached: reached.clone(), listens_to_others: true, is_https: true, ..meaning() };
        assert_eq!(of(open.clone()), ["settings-open"]);
        let plain = Meaning { is_open: false, is_https: false, ..open };
        assert_eq!(of(plain.clone()), ["settings-no-https"]);
        assert_eq!(of(Meaning { has_names: true, ..plain.clone() }), Vec::<&str>::new(), "a proxy has HTTPS");
        assert_eq!(of(Meaning { is_https: true, ..plain }), Vec::<&str>::new());
    }
}
