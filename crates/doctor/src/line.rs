//! What is said: a line for each thing that was looked at, and all of them together.

use std::fmt::Write as _;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// A meeting works, as far as can be seen, and something should be looked at.
    Warn,
    /// Something does not work.
    Bad,
}

impl Verdict {
    /// As it stands in front of a line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Bad => "BAD",
        }
    }
}

/// What is looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// What is set.
    Settings,
    /// Whether a server runs.
    Server,
    /// The data folder and its disk.
    DataFolder,
    /// The port of the page and every API.
    HttpPort,
    /// The port of media.
    MediaPort,
    /// The names that it is reached by.
    PublicName,
    /// What others are told of where media goes.
    MediaFromOutside,
    /// What this machine itself keeps off.
    Firewall,
    /// HTTPS.
    Certificate,
    /// The time.
    Clock,
    /// Memory, processors, open files, fonts.
    Machine,
    /// Where recordings are kept.
    Store,
    /// Where they are kept when that fails.
    BackupStore,
    /// A LiveKit server outside.
    #[serde(rename = "livekit")]
    LiveKit,
    /// What pictures and sound are read and written with.
    Codecs,
    /// A recording of itself.
    Recording,
}

impl Check {
    /// What people read.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Server => "server",
            Self::DataFolder => "data folder",
            Self::HttpPort => "http port",
            Self::MediaPort => "media port",
            Self::PublicName => "public name",
            Self::MediaFromOutside => "from outside",
            Self::Firewall => "firewall",
            Self::Certificate => "certificate",
            Self::Clock => "clock",
            Self::Machine => "machine",
            Self::Store => "store",
            Self::BackupStore => "backup store",
            Self::LiveKit => "livekit",
            Self::Codecs => "codecs",
            Self::Recording => "recording",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was looked at.
    pub check: Check,
    /// How it is.
    pub verdict: Verdict,
    /// Which [`Trouble`](crate::trouble::Trouble) it is; its heading in docs/doctor.md. None where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What was seen.
    pub said: String,
    /// What to do about it. None where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

impl Line {
    /// All is well.
    pub fn ok(check: Check, said: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, code: None, said: said.into(), todo: None }
    }

    /// What people read, with its end. What others said that stands in it cannot end the line or drive a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text =
            format!("{:<5} {:<13} {}\n", self.verdict.word(), self.check.name(), plain(&self.said));
        if let Some(todo) = &self.todo {
            let code = self.code.unwrap_or_default();
            let _ = writeln!(text, "{:<19} -> {} [{code}]", "", plain(todo));
        }
        text
    }
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of the checks.
    pub lines: Vec<Line>,
}

impl Report {
    /// The worst of all verdicts.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.lines.iter().map(|line| line.verdict).max().unwrap_or(Verdict::Ok)
    }

    /// The last line of what people read.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |verdict| self.lines.iter().filter(|line| line.verdict == verdict).count();
        let (bad, warn) = (count(Verdict::Bad), count(Verdict::Warn));
        let to_look_at = match warn {
            0 => String::new(),
            1 => ", 1 is to be looked at".to_owned(),
            more => format!(", {more} are to be looked at"),
        };
        match bad {
            0 => format!("A meeting will work, as far as can be seen from here{to_look_at}.\n"),
            1 => format!("1 thing does not work{to_look_at}.\n"),
            more => format!("{more} things do not work{to_look_at}.\n"),
        }
    }

    /// What programs read.
    #[must_use]
    pub fn json(&self) -> String {
        let value = serde_json::json!({ "verdict": self.verdict(), "lines": self.lines });
        let mut text = serde_json::to_string_pretty(&value).expect("lines have string keys and texts only");
        text.push('\n');
        text
    }
}

/// Text without what ends lines, drives terminals or turns the reading direction.
pub(crate) fn plain(text: &str) -> String {
    let acts = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|character| if acts(character) { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(verdict: Verdict, said: &str, todo: Option<&str>) -> Line {
        Line {
            check: Check::HttpPort,
            verdict,
            code: todo.map(|_| "port-taken"),
            said: said.to_owned(),
            todo: todo.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_says_what_was_seen_and_what_to_do_and_drives_no_terminal() {
        let fine = line(Verdict::Ok, "127.0.0.1:6080 is free", None);
        assert_eq!(fine.text(), "OK    http port     127.0.0.1:6080 is free\n");
        let taken = line(Verdict::Bad, "taken by \u{1b}[31mx\nOK fine", Some("stop it"));
        let text = taken.text();
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.ends_with("-> stop it [port-taken]\n"), "{text:?}");
    }

    #[test]
    fn the_worst_line_counts_and_programs_read_all_of_them() {
        let fine = line(Verdict::Ok, "a", None);
        let warn = line(Verdict::Warn, "b", Some("c"));
        let bad = line(Verdict::Bad, "d", Some("e"));
        let of = |lines: &[&Line]| Report { lines: lines.iter().map(|line| (*line).clone()).collect() };
        assert_eq!(of(&[]).verdict(), Verdict::Ok);
        assert_eq!(of(&[&fine, &warn]).verdict(), Verdict::Warn);
        assert!(of(&[&fine, &warn]).summary().starts_with("A meeting will work"));
        let all = of(&[&bad, &warn, &fine]);
        assert_eq!(
            (all.verdict(), all.summary().as_str()),
            (Verdict::Bad, "1 thing does not work, 1 is to be looked at.\n")
        );
        let read: serde_json::Value = serde_json::from_str(&all.json()).unwrap();
        assert_eq!(read["verdict"], "bad");
        assert_eq!(read["lines"][0]["check"], "http-port");
        assert_eq!(read["lines"][0]["todo"], "e");
        assert!(read["lines"][2].get("todo").is_none());
    }
}
