//! Certificates: whether each file is one that browsers take, and whether the server shows what is in it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::checks::list;
use crate::line::{Check, Line};
use crate::subject::CertificateSays;
use crate::trouble::troubles;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Somebody has to see it, and to do something.
const SOON: Duration = DAY.saturating_mul(14);

troubles! { Certificate:
    UNREADABLE = Bad "certificate-unreadable",
        "A file of TLS_CERT or TLS_KEY cannot be read, or holds no certificate or no key.",
        "Name the files in PEM with TLS_CERT and TLS_KEY, and let the user that the server runs as read them.";
    WRONG_KEY = Bad "certificate-other-key",
        "The key does not belong to the certificate.",
        "Set TLS_CERT and TLS_KEY to files that were made together (fullchain.pem and privkey.pem of one folder).";
    EXPIRED = Bad "certificate-expired",
        "The certificate has expired: no browser opens the page without a warning, and programs refuse it.",
        "Renew it, and run `systemctl reload reelroom`; with TLS=acme look at the log for why that failed.";
    NOT_YET = Bad "certificate-not-yet",
        "The certificate begins later than now.",
        "Set the clock of this machine (the `clock` line), or wait, or use another certificate.";
    SOON_OVER = Warn "certificate-soon-over",
        "The certificate expires within two weeks, and should have been renewed by now.",
        "Renew it, and run `systemctl reload reelroom`; with TLS=acme look at the log for why it is not renewed by itself.";
    OTHER_NAMES = Bad "certificate-other-names",
        "The certificate is for other names than those that people open.",
        "Get one for {host}, or correct PUBLIC_URL.";
    BROKEN_CHAIN = Bad "certificate-chain",
        "The file has the certificate of the server alone, and not those between it and the authority: some browsers and most programs refuse it.",
        "Set TLS_CERT to the whole chain (fullchain.pem).";
    SELF_SIGNED = Warn "certificate-self-signed",
        "The certificate is signed by itself: every browser warns once on each device.",
        "Use TLS=acme where the server has a public name; a certificate of your own authority needs that authority on each device.";
    UNKNOWN_ISSUER = Warn "certificate-unknown-issuer",
        "The certificate is signed by an authority that this machine does not know.",
        "Install that authority on each device, or use a certificate of a public one (TLS=acme).";
    OPEN_KEY = Warn "certificate-key-open",
        "Other users of this machine can read the key of the certificate.",
        "Close it with `chmod 600 {path}`, and give it to the user that the server runs as.";
    STALE = Warn "certificate-stale",
        "The server still shows another certificate than the file has: it has not read the file again, or could not use it.",
        "Run `systemctl reload reelroom`, and look at its log.";
    NONE_YET = Warn "certificate-none-yet",
        "There is no certificate yet: the server gets it by ACME when it starts.",
        "Start the server, let {authority} reach port 80 or 443 of {host} from outside, and run doctor again.";
    ACME_REFUSED = Bad "certificate-acme-refused",
        "There is no certificate, and the authority that was asked for one by ACME gave none: every browser warns.",
        "See by the line that {host} leads to this machine and that {authority} reaches its port 80 or 443 from outside; the server asks again by itself.";
    NOT_RENEWED = Warn "certificate-not-renewed",
        "There is a certificate, and the authority gave no new one at the last try.",
        "See by the line that {host} leads to this machine and that {authority} reaches its port 80 or 443 from outside; the server asks again by itself.";
}

/// What is known of HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// When it was looked at.
    pub now: SystemTime,
    /// How HTTPS is made.
    pub mode: Mode,
    /// Each certificate that is there or should be.
    pub found: Vec<Found>,
    /// What people open by HTTPS of this program.
    pub hosts: Vec<String>,
    /// Why an authority gave no certificate at the last try.
    pub refusal: Option<String>,
}

/// How HTTPS is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not by this program.
    Off,
    /// By files.
    Files,
    /// By this authority.
    Acme(String),
    /// By a certificate of our own making.
    Own,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The file of the certificate.
    pub path: PathBuf,
    /// The file of the key.
    pub key_path: PathBuf,
    /// What they are, or why they cannot be read; none where they are not there.
    pub read: Option<Result<Read, String>>,
}

/// A certificate that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What it says.
    pub says: CertificateSays,
    /// Certificates in the file.
    pub chain: usize,
    /// Why it does not lead to an authority that this machine knows.
    pub distrust: Option<String>,
    /// Why the key cannot be used with it.
    pub key_trouble: Option<KeyTrouble>,
    /// The permissions of the key.
    pub key_mode: u32,
    /// Whether the running server shows it; none where none runs.
    pub is_shown: Option<bool>,
}

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyTrouble {
    /// It is not there, this user may not read it, or it is none.
    Unreadable(String),
    /// It is one, of another certificate or of a kind that nobody uses.
    Unfit(String),
}

/// The verdict.
#[must_use]
pub fn check(facts: &CertificateFacts) -> Vec<Line> {
    if facts.mode == Mode::Off {
        let said =
            "this program speaks no HTTPS; what a proxy in front shows is looked at by the public name";
        return vec![Line::ok(Check::Certificate, said)];
    }
    facts.found.iter().flat_map(|found| one(facts, found)).collect()
}

fn one(facts: &CertificateFacts, found: &Found) -> Vec<Line> {
    let path = found.path.display().to_string();
    let read = match (&found.read, &facts.mode) {
        (Some(Ok(read)), _) => read,
        (Some(Err(why)), _) => return vec![UNREADABLE.said(format!("{path}: {why}"))],
        (None, Mode::Acme(authority)) => {
            let host = list(&facts.hosts);
            let found: &[(&str, &str)] = &[("authority", authority), ("host", &host)];
            return vec![match &facts.refusal {
                Some(why) => ACME_REFUSED.filled(format!("{authority} gave none: {why}"), found),
                None => {
                    NONE_YET.filled(format!("{authority} is asked for one when the server starts"), found)
                }
            }];
        }
        (None, Mode::Own) => {
            return vec![Line::ok(
                Check::Certificate,
                "one of our own making is made when the server starts",
            )];
        }
        (None, _) => return vec![UNREADABLE.said(format!("{path} is not there"))],
    };
    let key = found.key_path.display();
    match &read.key_trouble {
        Some(KeyTrouble::Unreadable(why)) => return vec![UNREADABLE.said(format!("{key}: {why}"))],
        Some(KeyTrouble::Unfit(why)) => {
            return vec![WRONG_KEY.said(format!("{key} does not fit {path}: {why}"))];
        }
        None => {}
    }
    if facts.mode == Mode::Own && facts.now > read.says.not_after && read.is_shown.is_none() {
        let said = format!("{path}, one of our own making, is over, and made anew when the server starts");
        return vec![Line::ok(Check::Certificate, said)];
    }
    let mut lines = vec![days(facts, &path, read)];
    if let (Mode::Acme(authority), Some(why)) = (&facts.mode, &facts.refusal) {
        let host = list(&facts.hosts);
        let found: &[(&str, &str)] = &[("authority", authority), ("host", &host)];
        lines.push(NOT_RENEWED.filled(format!("{authority} gave no new one: {why}"), found));
    }
    let unnamed: Vec<&String> = facts.hosts.iter().filter(|host| !covers(&read.says.names, host)).collect();
    if !unnamed.is_empty() && facts.mode != Mode::Own {
        let said = format!("{path} is for {}, and not for {}", list(&read.says.names), list(&unnamed));
        lines.push(OTHER_NAMES.filled(said, &[("host", &list(&unnamed))]));
    }
    lines.extend(trust(facts, &path, read));
    if read.key_mode & 0o007 != 0 {
        let key = key.to_string();
        lines.push(OPEN_KEY.filled(format!("{key} has mode {:o}", read.key_mode & 0o777), &[("path", &key)]));
    }
    if read.is_shown == Some(false) {
        lines.push(STALE.said(format!("the server shows another certificate than {path}")));
    }
    lines
}

fn days(facts: &CertificateFacts, path: &str, read: &Read) -> Line {
    let says = &read.says;
    if facts.now < says.not_before {
        return NOT_YET.said(format!("{path} is not valid yet"));
    }
    let Ok(left) = says.not_after.duration_since(facts.now) else {
        let ago = facts.now.duration_since(says.not_after).unwrap_or_default().as_secs() / DAY.as_secs();
        return EXPIRED.said(format!("{path} has expired {ago} days ago"));
    };
    let said = format!(
        "{path} is for {} and valid for {} more days",
        list(&says.names),
        left.as_secs() / DAY.as_secs()
    );
    // One of our own making is made anew in time.
    if left < SOON && facts.mode != Mode::Own {
        SOON_OVER.said(said)
    } else {
        Line::ok(Check::Certificate, said)
    }
}

fn trust(facts: &CertificateFacts, path: &str, read: &Read) -> Option<Line> {
    let why = read.distrust.as_ref().filter(|_| facts.mode != Mode::Own)?;
    Some(match (read.says.is_self_signed, read.chain) {
        (true, _) => SELF_SIGNED.said(format!("{path} is signed by itself")),
        (false, 1) => {
            BROKEN_CHAIN.said(format!("{path} leads to no authority, and is alone in its file: {why}"))
        }
        _ => UNKNOWN_ISSUER.said(format!("{path} leads to no authority that is known here: {why}")),
    })
}

/// Whether a certificate for these names is one for the host (RFC 6125: a wildcard stands for one label).
fn covers(names: &[String], host: &str) -> bool {
    let host = host.trim_end_matches('.');
    names.iter().any(|name| match name.strip_prefix("*.") {
        None => name.eq_ignore_ascii_case(host),
        Some(domain) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * 20_000
    }

    fn read() -> Read {
        Read {
            says: CertificateSays {
                names: vec!["calls.example.org".into()],
                not_before: now() - DAY,
                not_after: now() + DAY * 60,
                is_self_signed: false,
            },
            chain: 2,
            distrust: None,
            key_trouble: None,
            key_mode: 0o100600,
            is_shown: Some(true),
        }
    }

    fn codes_in(mode: Mode, read: Option<Result<Read, String>>) -> Vec<&'static str> {
        let found = vec![Found { path: "/c.pem".into(), key_path: "/k.pem".into(), read }];
        let facts = CertificateFacts {
            now: now(),
            mode,
            found,
            hosts: vec!["calls.example.org".into()],
            refusal: None,
        };
        check(&facts).into_iter().filter_map(|line| line.code).collect()
    }

    fn codes(read: Read) -> Vec<&'static str> {
        codes_in(Mode::Files, Some(Ok(read)))
    }

    fn until(not_after: SystemTime) -> Read {
        Read { says: CertificateSays { not_after, ..read().says }, ..read() }
    }

    #[test]
    fn days_are_counted() {
        assert!(codes(read()).is_empty());
        assert_eq!(codes(until(now() + DAY * 13)), ["certificate-soon-over"]);
        assert_eq!(codes(until(now() - DAY)), ["certificate-expired"]);
        let later = Read { says: CertificateSays { not_before: now() + DAY, ..read().says }, ..read() };
        assert_eq!(codes(later), ["certificate-not-yet"]);
        assert!(codes_in(Mode::Own, Some(Ok(until(now() + DAY)))).is_empty(), "it is made anew");
        let over = Read { is_shown: None, ..until(now() - DAY) };
        assert!(codes_in(Mode::Own, Some(Ok(over.clone()))).is_empty(), "the next start makes one");
        assert_eq!(codes(over), ["certificate-expired"], "nobody makes that one anew");
        let shown = until(now() - DAY);
        assert_eq!(codes_in(Mode::Own, Some(Ok(shown))), ["certificate-expired"], "it should have been");
    }

    #[test]
    fn names_chain_key_and_what_is_shown_are_judged() {
        let other = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            codes(Read { says: CertificateSays { names, ..read().says }, ..read() })
        };
        assert_eq!(other(&["example.org"]), ["certificate-other-names"]);
        assert!(other(&["*.example.org"]).is_empty());
        assert_eq!(other(&["*.org"]), ["certificate-other-names"]);
        let distrust = Some("unknown issuer".to_owned());
        assert_eq!(codes(Read { chain: 1, distrust: distrust.clone(), ..read() }), ["certificate-chain"]);
        assert_eq!(codes(Read { distrust: distrust.clone(), ..read() }), ["certificate-unknown-issuer"]);
        let alone =
            Read { says: CertificateSays { is_self_signed: true, ..read().says }, distrust, ..read() };
        assert_eq!(codes(alone.clone()), ["certificate-self-signed"]);
        assert!(codes_in(Mode::Own, Some(Ok(alone))).is_empty());
        let key = |trouble| codes(Read { key_trouble: Some(trouble), ..read() });
        assert_eq!(key(KeyTrouble::Unfit("another key".into())), ["certificate-other-key"]);
        assert_eq!(key(KeyTrouble::Unreadable("Permission denied".into())), ["certificate-unreadable"]);
        assert_eq!(codes(Read { key_mode: 0o644, ..read() }), ["certificate-key-open"]);
        assert_eq!(codes(Read { is_shown: Some(false), ..read() }), ["certificate-stale"]);
    }

    #[test]
    fn what_is_not_there_is_made_or_missed_as_it_is_set() {
        assert_eq!(codes_in(Mode::Files, None), ["certificate-unreadable"]);
        assert_eq!(codes_in(Mode::Files, Some(Err("no certificate".into()))), ["certificate-unreadable"]);
        let acme = Mode::Acme("acme.example.org".into());
        assert_eq!(codes_in(acme.clone(), None), ["certificate-none-yet"]);
        let refused = |read| {
            let found = vec![Found { path: "/c.pem".into(), key_path: "/c.pem".into(), read }];
            let refusal = Some("the name leads elsewhere".to_owned());
            let hosts = vec!["calls.example.org".to_owned()];
            let lines = check(&CertificateFacts { now: now(), mode: acme.clone(), found, hosts, refusal });
            lines.into_iter().filter_map(|line| line.code).collect::<Vec<_>>()
        };
        assert_eq!(refused(None), ["certificate-acme-refused"]);
        assert_eq!(refused(Some(Ok(read()))), ["certificate-not-renewed"]);
        assert!(codes_in(Mode::Own, None).is_empty());
        assert!(codes_in(Mode::Off, None).is_empty());
    }
}
