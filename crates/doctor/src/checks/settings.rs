//! What is set, from where, and what it means together.

use crate::checks::list;
use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { Settings:
    UNREADABLE = Bad "settings-unreadable",
        "The settings cannot be used: a file that is not there, a value that cannot be what it says, settings that contradict each other, a key \
         that is no setting.",
        "Correct what the line names in the settings file or in the environment; `reelroom config` prints every setting with its meaning, and \
         `reelroom check` shows the place.";
    IDLE = Warn "settings-idle",
        "Something is set and does nothing: a setting that has no effect beside the others, or a variable whose name is nearly that of a \
         setting.",
        "Remove it, or give it the name that is meant; `reelroom check` says what the settings mean together.";
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
    pub from_environment: Vec<&'static str>,
    /// All for which they cannot be used, each with its place.
    pub problems: Vec<String>,
    /// What is set and does nothing: where it is set, and why it does nothing.
    pub idle: Vec<(String, String)>,
    /// What they mean together.
    pub meaning: Option<Meaning>,
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
    let mut lines: Vec<Line> = facts.problems.iter().map(|problem| UNREADABLE.said(problem)).collect();
    lines.extend(facts.idle.iter().map(|(name, why)| IDLE.said(format!("{name}: {why}"))));
    if let Some(meaning) = &facts.meaning {
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
    fn all_that_is_wrong_is_told_and_what_does_nothing() {
        let facts = SettingsFacts {
            problems: vec![
                "line 3: there is no setting sever_port".into(),
                "MAX_ROOMS: it is no number".into(),
            ],
            idle: vec![("PUBLIC_HOST of the environment".into(), "it is not read".into())],
            ..SettingsFacts::default()
        };
        let lines = check(&facts);
        assert_eq!(codes(&facts), ["settings-unreadable", "settings-unreadable", "settings-idle"]);
        assert!(lines[0].said.contains("line 3") && lines[1].said.contains("MAX_ROOMS"), "{lines:?}");
        assert_eq!(lines[2].said, "PUBLIC_HOST of the environment: it is not read");
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
