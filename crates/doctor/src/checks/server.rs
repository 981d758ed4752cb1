//! Whether a server runs with these settings, and what it says of itself.

use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { Server:
    NOT_READY = Bad "server-not-ready",
        "The server runs and says of itself (`/readyz`) that calls or recordings do not work.",
        "Look at what it says, and at its log (`journalctl -u reelroom`).";
    WARNS = Warn "server-warns",
        "The server runs, works, and says of itself (`/readyz`) that something should be looked at.",
        "Look at what it says, and at its log (`journalctl -u reelroom`).";
    LOCKED = Warn "server-elsewhere",
        "Another program has locked the data folder, and no server answers at the address of these settings: it may run with other \
         settings, or stop just now.",
        "Run doctor with the settings of that server: --config FILE, and the variables that its unit or its container sets.";
}

/// What is known of a server that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// Where it answers.
    pub at: Option<String>,
    /// What `/readyz` says that does not work.
    pub trouble: Option<String>,
    /// What `/readyz` says that should be looked at.
    pub warnings: Vec<String>,
    /// The process that has locked the data folder.
    pub locked_by: Option<String>,
}

impl ServerFacts {
    /// Whether one answers.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.at.is_some()
    }
}

/// The verdict.
#[must_use]
pub fn check(facts: &ServerFacts) -> Vec<Line> {
    let Some(at) = &facts.at else {
        return vec![match &facts.locked_by {
            Some(who) => LOCKED.said(format!("{who} has locked the data folder, and no server answers")),
            None => Line::ok(
                Check::Server,
                "none runs with these settings: its ports are tried here for a moment",
            ),
        }];
    };
    let answers = Line::ok(
        Check::Server,
        format!("one runs and answers at {at}: its ports are its own, and it is asked"),
    );
    let mut lines = vec![answers];
    if let Some(trouble) = &facts.trouble {
        lines.push(NOT_READY.said(format!("it is not ready: {trouble}")));
    }
    lines.extend(facts.warnings.iter().map(|warning| WARNS.said(warning)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(facts: &ServerFacts) -> Vec<&'static str> {
        check(facts).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn a_server_is_believed_in_what_it_says_of_itself() {
        let at = Some("http://127.0.0.1:6080".to_owned());
        assert!(codes(&ServerFacts { at: at.clone(), ..ServerFacts::default() }).is_empty());
        let ill = ServerFacts {
            at,
            trouble: Some("the store fails".into()),
            warnings: vec!["no media is received at 10.0.0.1".into()],
            locked_by: Some("reelroom (process 7)".into()),
        };
        assert_eq!(codes(&ill), ["server-not-ready", "server-warns"]);
    }

    #[test]
    fn one_with_other_settings_is_noticed() {
        assert!(codes(&ServerFacts::default()).is_empty());
        let locked = ServerFacts { locked_by: Some("reelroom (process 7)".into()), ..ServerFacts::default() };
        assert_eq!(codes(&locked), ["server-elsewhere"]);
    }
}
