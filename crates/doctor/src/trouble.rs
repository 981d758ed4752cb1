//! What may be found that is not well, and what to do about each: the lines of `reelroom doctor` and docs/doctor.md are made of the same texts.

use std::fmt::Write as _;

use crate::checks;
use crate::line::{Check, Line, Verdict};

/// Something that is not well.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is called, in JSON and in docs/doctor.md.
    pub code: &'static str,
    /// What was looked at.
    pub check: Check,
    /// How bad it is.
    pub verdict: Verdict,
    /// When it is said.
    pub when: &'static str,
    /// What to do. A name in braces stands for what was found.
    pub todo: &'static str,
}

impl Trouble {
    /// The line that says what was seen.
    pub(crate) fn said(&self, said: impl Into<String>) -> Line {
        self.filled(said, &[])
    }

    /// The same, with what was found in the place of the names in braces.
    pub(crate) fn filled(&self, said: impl Into<String>, found: &[(&str, &str)]) -> Line {
        let fill = |todo: String, (name, value): &(&str, &str)| todo.replace(&format!("{{{name}}}"), value);
        let todo = found.iter().fold(self.todo.to_owned(), fill);
        Line {
            check: self.check,
            verdict: self.verdict,
            code: Some(self.code),
            said: said.into(),
            todo: Some(todo),
        }
    }
}

/// Declares what a check may find.
macro_rules! troubles {
    ($check:ident: $($name:ident = $verdict:ident $code:literal, $when:literal, $todo:literal;)+) => {
        $(const $name: $crate::trouble::Trouble = $crate::trouble::Trouble {
            code: $code,
            check: $crate::line::Check::$check,
            verdict: $crate::line::Verdict::$verdict,
            when: $when,
            todo: $todo,
        };)+

        /// All that may be found here.
        pub(in crate::checks) const TROUBLES: &[$crate::trouble::Trouble] = &[$($name),+];
    };
}
pub(crate) use troubles;

/// Everything that may be found, check by check.
#[must_use]
pub fn all() -> Vec<&'static Trouble> {
    checks::TROUBLES.iter().flat_map(|troubles| troubles.iter()).collect()
}

/// The part of docs/doctor.md that says what to do about each.
#[must_use]
pub fn remedies() -> String {
    let (mut page, mut check) = (String::new(), None);
    for trouble in all() {
        if check.replace(trouble.check) != Some(trouble.check) {
            let _ = write!(page, "### {}\n\n", capitalised(trouble.check.name()));
        }
        let Trouble { code, when, todo, .. } = trouble;
        // A name in braces is what was found.
        let todo = todo.replace(['{', '}'], "*");
        let _ = write!(page, "#### `{code}`\n\n{}: {when}\n\n{todo}\n\n", trouble.verdict.word());
    }
    page
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_has_a_code_of_its_own_and_says_what_to_do_in_a_sentence() {
        let mut codes = BTreeSet::new();
        for trouble in all() {
            assert!(codes.insert(trouble.code), "{} is there twice", trouble.code);
            assert!(trouble.verdict != Verdict::Ok, "{}", trouble.code);
            for text in [trouble.when, trouble.todo] {
                assert!(
                    text.ends_with('.') && text.starts_with(char::is_uppercase),
                    "{}: {text}",
                    trouble.code
                );
                assert!(!text.contains("  "), "{}: {text}", trouble.code);
            }
            assert!(
                trouble.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{}",
                trouble.code
            );
        }
        assert!(codes.len() > 40);
    }

    #[test]
    fn the_page_says_what_the_program_says() {
        const BEGIN: &str = "<!-- remedies: UPDATE=1 cargo test -p reelroom-doctor -->\n";
        const END: &str = "<!-- /remedies -->";
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/doctor.md");
        let page = std::fs::read_to_string(file).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let wanted = format!("{before}{BEGIN}\n{}{END}{after}", remedies());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, &wanted).unwrap();
            return;
        }
        assert!(page == wanted, "docs/doctor.md is not up to date: UPDATE=1 cargo test -p reelroom-doctor");
    }
}
