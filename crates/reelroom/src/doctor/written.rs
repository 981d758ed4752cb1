//! What is written in the settings file and in the environment, key by key, also where it cannot be used.

use std::path::Path;

use reelroom_doctor::checks::settings::{SettingsFacts, UnknownKey};

use crate::config::DEFAULT_FILE;
use crate::config::in_force::fields;

/// Names that are nearly alike differ in so many letters.
const NEAR: usize = 2;
/// A shorter variable is nearly like many that other programs have.
const LEAST_LETTERS: usize = 6;

/// Reads both.
pub(super) fn read(file: Option<&Path>) -> SettingsFacts {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    // Whoever loads the settings is told why it cannot be read.
    let text = std::fs::read_to_string(path).ok();
    let variables = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    let variables = variables.filter_map(|(name, _)| name.into_string().ok());
    let shown = text.as_ref().map(|_| path.display().to_string());
    facts(shown, &text.unwrap_or_default(), variables.collect())
}

fn facts(file: Option<String>, text: &str, variables: Vec<String>) -> SettingsFacts {
    let keys: Vec<(usize, &str)> = keys(text).collect();
    let is_there = |name: &str| keys.iter().any(|(_, key)| *key == name);
    let from_file = fields().map(|(name, _)| name).filter(|name| is_there(name)).collect();
    let unknown = keys.iter().filter(|(_, key)| fields().all(|(name, _)| name != *key));
    let unknown = unknown.map(|(line, key)| UnknownKey {
        name: (*key).to_owned(),
        line: *line,
        meant: nearest(key, NEAR, fields().map(|(name, _)| name)),
    });
    let known = || fields().filter_map(|(_, variable)| variable);
    let (mut from_environment, others): (Vec<String>, Vec<String>) =
        variables.into_iter().partition(|name| known().any(|known| known == name.as_str()));
    from_environment.sort_unstable();
    let misspelt = others.into_iter().filter(|name| name.len() >= LEAST_LETTERS);
    let mut misspelt: Vec<(String, String)> =
        misspelt.filter_map(|name| Some((name.clone(), nearest(&name, 1, known())?))).collect();
    misspelt.sort_unstable();
    SettingsFacts {
        file,
        from_file,
        from_environment,
        unknown: unknown.collect(),
        misspelt,
        ..SettingsFacts::default()
    }
}

/// The keys that are set, each with its line, counted from 1.
fn keys(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let key = |line: &'_ str| -> Option<(usize, usize)> {
        let (before, _) = line.split_once('=')?;
        let key = before.trim().trim_matches(['"', '\'']);
        let is_key =
            !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        // A text of a list may have an equals sign in it, and begins with a quote that does not end before it.
        let is_text = before.trim().starts_with(['"', '\'']) && !before.trim().ends_with(['"', '\'']);
        let at = line.find(key)?;
        (is_key && !is_text).then_some((at, at + key.len()))
    };
    text.lines().enumerate().filter_map(move |(number, line)| {
        let (from, to) = key(line)?;
        Some((number + 1, &line[from..to]))
    })
}

/// The name that differs least, in `most` letters at most.
fn nearest<'a>(name: &str, most: usize, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let far = names
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| (1..=most).contains(distance));
    far.min().map(|(_, other)| other.to_owned())
}

/// How many letters have to be put in, taken out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (number, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = number + 1;
        for at in 1..row.len() {
            let changed = diagonal + usize::from(letter != other[at - 1]);
            diagonal = row[at];
            row[at] = changed.min(diagonal + 1).min(row[at - 1] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(text: &str, variables: &[&str]) -> SettingsFacts {
        facts(Some("r.toml".into()), text, variables.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn what_is_no_setting_is_found_with_its_line() {
        let text = "# max_rooms = 7\nlisten = \"0.0.0.0\"\nsever_port = 80\n\"log\" = \"a=b\"\noidc_owners = [\n  \"sub:x=y\",\n]\ncolour = 1\n";
        let facts = read_from(text, &[]);
        assert_eq!(facts.from_file, ["listen", "oidc_owners", "log"], "{facts:?}");
        let unknown: Vec<_> =
            facts.unknown.iter().map(|key| (key.name.as_str(), key.line, key.meant.as_deref())).collect();
        assert_eq!(unknown, [("sever_port", 3, Some("server_port")), ("colour", 8, None)]);
    }

    #[test]
    fn variables_that_are_nearly_settings_are_found() {
        let facts = read_from("", &["LISTEN", "PUBLIC_HOST", "HOME", "LOGS", "S3_BUCKET", "LC_ALL"]);
        assert_eq!(facts.from_environment, ["LISTEN", "S3_BUCKET"]);
        assert_eq!(facts.misspelt, [("PUBLIC_HOST".to_owned(), "PUBLIC_HOSTS".to_owned())]);
    }

    #[test]
    fn letters_are_counted() {
        for (one, other, expected) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "ac", 1), ("sever", "server", 1), ("ab", "ba", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
