//! What is wrong with the settings, told so that whoever wrote them finds the place.
//!
//! ```text
//!   reelroom.toml, line 3, column 13: max_rooms cannot be this: invalid type: string "many", expected a whole number …
//!      3 | max_rooms = "many"
//!        |             ^^^^^^
//! ```
//!
//! # Invariants
//!
//! - Of a line that may have a secret in it, what stands behind its "=" is not shown; nor is a line that belongs to such a one, or of which
//!   it is not known what it belongs to: the file may be another one than was meant.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::in_force::{fields, is_private};

/// Longer lines are cut.
const SHOWN: usize = 160;
const HIDDEN: &str = " … (not shown)";

/// Where something stands in a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// As it was named.
    pub file: String,
    /// From 1 on.
    pub line: usize,
    /// In characters, from 1 on.
    pub column: usize,
    /// The line, as far as it may be shown.
    shown: String,
    /// How many characters are meant.
    width: usize,
}

impl Spot {
    /// Of these bytes of a file's text.
    pub(super) fn of(file: &Path, text: &str, span: Range<usize>) -> Self {
        let begin = floor(text, span.start);
        let end = floor(text, span.end).max(begin);
        let line_begin = text[..begin].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
        let line = text[..line_begin].matches('\n').count() + 1;
        Self {
            file: file.display().to_string(),
            line,
            column: text[line_begin..begin].chars().count() + 1,
            shown: shown(text, line),
            width: text[begin..end.min(line_end).max(begin)].chars().count().max(1),
        }
    }
}

/// The last place at or before an index at which text may be cut.
fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// A line, as far as it may be shown: what is known to be no secret.
fn shown(text: &str, line: usize) -> String {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let Some(own) = lines.get(line.wrapping_sub(1)) else { return String::new() };
    let own_key = key_of(own);
    // A value may go over several lines.
    let key = lines.iter().rev().find_map(|line| key_of(line));
    // A line without a key goes on with a value, where it looks like a part of a list.
    let goes_on = own_key.is_some() || own.trim_start().starts_with(['"', '\'', '[', ']']);
    let is_known = |key: &str| fields().any(|(name, _)| name == key) && !is_private(key);
    let is_public = goes_on && key.is_some_and(is_known);
    let lower = own.to_ascii_lowercase();
    let is_mixed =
        fields().any(|(name, _)| is_private(name) && Some(name) != own_key && lower.contains(name));
    let visible = match (is_public && !is_mixed, own_key, own.find('=')) {
        (true, ..) => (*own).to_owned(),
        (false, Some(_), Some(at)) => format!("{}{HIDDEN}", &own[..=at]),
        _ => HIDDEN.trim_start().to_owned(),
    };
    visible.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The key that begins on a line.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim_matches(|c: char| c.is_whitespace() || c == '#' || c == '"' || c == '\'');
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    is_key.then_some(key)
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting that is meant, where it is one.
    pub setting: Option<&'static str>,
    /// The environment variable, where it stands in one.
    pub variable: Option<&'static str>,
    /// Where it stands in a file.
    pub spot: Option<Box<Spot>>,
    /// What is wrong, and what to do.
    pub says: String,
}

impl Problem {
    pub(super) fn new(says: impl Into<String>) -> Self {
        Self { setting: None, variable: None, spot: None, says: says.into() }
    }

    pub(super) fn of(self, setting: &'static str) -> Self {
        Self { setting: Some(setting), ..self }
    }

    pub(super) fn at(self, spot: Spot) -> Self {
        Self { spot: Some(Box::new(spot)), ..self }
    }

    pub(super) fn in_variable(self, variable: &'static str) -> Self {
        Self { variable: Some(variable), ..self }
    }

    /// In one line.
    pub fn sentence(&self) -> String {
        match (self.spot.as_deref(), self.variable) {
            (Some(Spot { file, line, column, .. }), _) => {
                format!("{file}, line {line}, column {column}: {}", self.says)
            }
            (None, Some(variable)) => format!("the environment variable {variable}: {}", self.says),
            (None, None) => self.says.clone(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())?;
        let Some(Spot { line, column, shown, width, .. }) = self.spot.as_deref() else { return Ok(()) };
        let number = line.to_string();
        write!(f, "\n  {number:>4} | {shown}")?;
        // What is not shown is not pointed at.
        if column + width <= shown.chars().count() + 2 && !shown.contains(HIDDEN.trim_start()) {
            let (before, marks) = (" ".repeat(column - 1), "^".repeat(*width));
            write!(f, "\n  {:>4} | {before}{marks}", "")?;
        }
        Ok(())
    }
}

/// All that is wrong: at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Of these, in the order of the file; `None` where there are none.
    pub(super) fn of(mut all: Vec<Problem>) -> Option<Self> {
        all.sort_by_key(|problem| problem.spot.as_ref().map_or((0, 0), |spot| (spot.line, spot.column)));
        (!all.is_empty()).then_some(Self(all))
    }

    /// One, of which its sentence says all.
    pub(crate) fn one(says: &str) -> Self {
        Problem::new(says).into()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// The first, and how many more there are, in one line.
    pub(crate) fn summary(&self) -> String {
        let first = self.0.first().map(Problem::sentence).unwrap_or_default();
        match self.0.len() {
            0 | 1 => first,
            2 => format!("{first}; and something else"),
            all => format!("{first}; and {} other things", all - 1),
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0.as_slice() {
            return write!(f, "{one}");
        }
        write!(f, "{} things are wrong with the settings", self.0.len())?;
        self.0.iter().try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_at(text: &str, what: &str) -> String {
        let begin = text.find(what).unwrap();
        let spot = Spot::of(Path::new("reelroom.toml"), text, begin..begin + what.len());
        Problem::new("it is wrong").at(spot).to_string()
    }

    #[test]
    fn a_place_is_told_with_its_line_and_marked_in_characters() {
        assert_eq!(
            shown_at("# Räume\nmax_rooms = \"viele räume\"\n", "\"viele räume\""),
            "reelroom.toml, line 2, column 13: it is wrong\n     2 | max_rooms = \"viele räume\"\n       |             ^^^^^^^^^^^^^"
        );
        assert!(shown_at("listen = \"x\"", "x").contains("line 1, column 11"));
        let many = "public_hosts = [\n  \"a\",\n  \"b c\",\n]\n";
        assert!(shown_at(many, "\"b c\"").ends_with("     3 |   \"b c\",\n       |   ^^^^^"));
        let over = shown_at(many, "[\n  \"a\",\n  \"b c\",\n]");
        assert!(over.contains("line 1, column 16") && over.ends_with("|                ^"), "{over}");
        let at_the_end = Spot::of(Path::new("f"), "log =", 5..5);
        assert_eq!((at_the_end.line, at_the_end.column, at_the_end.width), (1, 6, 1));
        assert_eq!(Spot::of(Path::new("f"), "", 7..9).line, 1);
    }

    #[test]
    fn what_may_be_a_secret_is_not_in_a_line_that_is_shown() {
        for text in [
            "s3_secret_key = hunter2",
            "\"s3_secret_key\" = hunter2",
            "# s3_secret_key = hunter2",
            "webhook_urls = [\n  \"https://example.org/hunter2\",\n]",
            "livekit_url = \"wss://u:hunter2@example.org\"",
            "s3_secert_key = hunter2",
            "smtp = hunter2",
            "log = \"info\" s3_secret_key = hunter2",
            "s3_secret_key = \"\"\"\nhunter2",
            "-----BEGIN PRIVATE KEY-----\nhunter2",
            "log = \"info\"\nhunter2",
            "{\n  \"link_key\": \"hunter2\"\n}",
        ] {
            let told = shown_at(text, "hunter2");
            assert!(!told.contains("hunter2") && told.contains("not shown"), "{told}");
        }
    }

    #[test]
    fn several_are_told_together_in_the_order_of_the_file() {
        let text = "a = 1\nb = 2\n";
        let at = |at: usize| Spot::of(Path::new("f.toml"), text, at..at + 1);
        let all = vec![
            Problem::new("second").at(at(6)),
            Problem::new("first").at(at(0)),
            Problem::new("is none").in_variable("LOG"),
        ];
        let told = Problems::of(all).unwrap();
        let text = told.to_string();
        assert!(
            text.starts_with(
                "3 things are wrong with the settings\nthe environment variable LOG: is none\nf.toml, line 1"
            ),
            "{text}"
        );
        assert_eq!(told.summary(), "the environment variable LOG: is none; and 2 other things");
        assert!(Problems::of(Vec::new()).is_none());
    }
}
