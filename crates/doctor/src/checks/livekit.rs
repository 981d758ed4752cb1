//! A LiveKit or OpenVidu server outside: whether it answers, takes the key, and can tell this program what happens.

use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { LiveKit:
    NO_ANSWER = Bad "livekit-no-answer",
        "Nothing answers at LIVEKIT_URL.",
        "Correct LIVEKIT_URL, start that server, or remove LIVEKIT_URL to use the one inside Reelroom.";
    NO_SERVER = Bad "livekit-another",
        "What answers at LIVEKIT_URL is no LiveKit server.",
        "Correct LIVEKIT_URL: it has the host and the port of the server, and no path unless a proxy wants one.";
    REFUSED = Bad "livekit-refused",
        "The server at LIVEKIT_URL does not take the key.",
        "Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET to a pair of that server's `keys`, and compare the clocks of the two machines.";
    NO_KEY = Bad "livekit-no-key",
        "LIVEKIT_URL is set, and no key for it.",
        "Set LIVEKIT_API_KEY and LIVEKIT_API_SECRET to a pair of that server's `keys`.";
    FAILS = Bad "livekit-fails",
        "The server at LIVEKIT_URL answers that it fails.",
        "Look at its log.";
    DISTRUSTED = Bad "livekit-certificate",
        "The certificate of the server at LIVEKIT_URL is not trusted: neither this program nor any browser talks to it.",
        "Give that server a certificate of a public authority for its name, or correct LIVEKIT_URL.";
    NO_WEBHOOKS = Warn "livekit-no-webhooks",
        "The server at LIVEKIT_URL is another machine, and cannot reach this one: its webhooks do not come back. Recordings work, and what \
         becomes of them is seen some seconds later.",
        "Set LISTEN to an address that it reaches, or PUBLIC_URL where a proxy stands in front, and name that address with /livekit/webhook in its \
         `webhook.urls`.";
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveKitFacts {
    /// Where it is.
    pub url: String,
    /// What it answered when asked for its rooms.
    pub answer: Answer,
    /// It is on this machine.
    pub is_local: bool,
    /// Others than this machine reach the program.
    pub is_reached: bool,
    /// Where its webhooks have to go.
    pub webhook: String,
}

/// What it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    None(String),
    /// There is no key to ask with.
    NoKey,
    /// Its certificate is not trusted.
    Distrusted(String),
    /// This status.
    Status(u16),
}

/// The verdict; nothing where the server inside is used.
#[must_use]
pub fn check(facts: Option<&LiveKitFacts>) -> Vec<Line> {
    let Some(facts) = facts else { return Vec::new() };
    let url = &facts.url;
    let answers = match &facts.answer {
        Answer::None(why) => NO_ANSWER.said(format!("{url} does not answer: {why}")),
        Answer::NoKey => NO_KEY.said(format!("{url} is not asked, for there is no key")),
        Answer::Distrusted(why) => {
            DISTRUSTED.said(format!("{url} shows a certificate that is not trusted: {why}"))
        }
        Answer::Status(200) => Line::ok(Check::LiveKit, format!("{url} answers, and takes the key")),
        Answer::Status(401 | 403) => REFUSED.said(format!("{url} refuses the key")),
        Answer::Status(status @ 500..) => FAILS.said(format!("{url} answers {status}")),
        Answer::Status(status) => {
            NO_SERVER.said(format!("{url} answers {status}, as no LiveKit server does"))
        }
    };
    let mut lines = vec![answers];
    if !facts.is_local && !facts.is_reached {
        lines.push(NO_WEBHOOKS.said("nobody but this machine reaches this program"));
    } else {
        let said = format!(
            "its webhooks have to go to {}, which its own settings say and cannot be seen from here",
            facts.webhook
        );
        lines.push(Line::ok(Check::LiveKit, said));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(answer: Answer) -> LiveKitFacts {
        LiveKitFacts {
            url: "wss://livekit.example.org".into(),
            answer,
            is_local: false,
            is_reached: true,
            webhook: "https://calls.example.org/livekit/webhook".into(),
        }
    }

    fn codes(facts: &LiveKitFacts) -> Vec<&'static str> {
        check(Some(facts)).into_iter().filter_map(|line| line.code).collect()
    }

    #[test]
    fn what_it_answers_is_judged_by_what_can_be_done() {
        assert!(check(None).is_empty());
        for (answer, expected) in [
            (Answer::Status(200), None),
            (Answer::Status(401), Some("livekit-refused")),
            (Answer::Status(404), Some("livekit-another")),
            (Answer::Status(503), Some("livekit-fails")),
            (Answer::None("refused".into()), Some("livekit-no-answer")),
            (Answer::NoKey, Some("livekit-no-key")),
            (Answer::Distrusted("unknown issuer".into()), Some("livekit-certificate")),
        ] {
            assert_eq!(codes(&facts(answer)), Vec::from_iter(expected));
        }
    }

    #[test]
    fn webhooks_have_to_come_back() {
        let unreached = LiveKitFacts { is_reached: false, ..facts(Answer::Status(200)) };
        assert_eq!(codes(&unreached), ["livekit-no-webhooks"]);
        assert!(codes(&LiveKitFacts { is_local: true, ..unreached }).is_empty());
    }
}
