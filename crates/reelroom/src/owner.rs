//! The link by which somebody becomes the owner: whoever may write the data folder makes it.
//!
//! ```text
//!   the first start, by invitation ─┐
//!   reelroom owner ─────────────────┴─► truth.db (its hash) ─► standard output ─► a browser: /owner#setup=…
//! ```
//!
//! # Invariants
//!
//! - A link is printed, and is in no log. What is behind "#" no browser sends to a server or a proxy.
//! - `reelroom owner` makes no folder and no database, and changes nothing but the link, of which the audit log tells.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use reelroom_accounts::{Accounts, Cost, Now};
use reelroom_audit::{Act, Audit, Deed, On, OnKind, Who, WhoKind, Whole};
use reelroom_limits::accounts::OWNER_LINK_LASTS;
use reelroom_truth::Truth;

use crate::data_dir;
use crate::front::sites::HostName;
use crate::public_url::PublicUrl;

/// The accounts of a data folder that a server has made, and may be using; and its audit log.
///
/// # Errors
/// There is no such folder, or nothing of a server in it; its database cannot be used.
pub(crate) fn open(data_dir: &Path) -> anyhow::Result<(Accounts, Audit)> {
    let truth = data_dir::truth(data_dir);
    let is_there = truth
        .try_exists()
        .with_context(|| format!("the data folder {} cannot be looked into", data_dir.display()))?;
    if !data_dir.is_dir() {
        anyhow::bail!(
            "there is no data folder {}: data_dir (DATA_DIR) has to say which one the server uses",
            data_dir.display()
        );
    }
    if !is_there {
        anyhow::bail!(
            "there is no truth.db in {}: is this the data folder (data_dir, DATA_DIR), and was Reelroom started there?",
            data_dir.display()
        );
    }
    let truth = Truth::open_as_it_is(&truth)?;
    Ok((Accounts::open(truth.clone(), Cost::DEFAULT)?, Audit::new(truth)))
}

/// By which addresses a server is reached.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// On this machine, or by its address.
    pub(crate) page: String,
    /// By which everybody does.
    pub(crate) public_url: Option<PublicUrl>,
    /// The names that a proxy in front has.
    pub(crate) public_hosts: Vec<HostName>,
}

/// Makes a link, and says in lines where it is opened.
///
/// # Errors
/// The data folder's disk takes nothing.
pub(crate) fn new_link(
    accounts: &Accounts,
    audit: &Audit,
    by: WhoKind,
    addresses: &Addresses,
) -> anyhow::Result<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Now { at: Instant::now(), unix_ms: i64::try_from(since.as_millis())? };
    let link = accounts.make_link(now, &mut rand::rng())?;
    let made = Deed::done(Act::OwnerLinkMade, Who::of(by), None, On::the(OnKind::Password));
    audit.note(made, now.unix_ms);
    Ok(lines(link.secret.reveal(), addresses))
}

/// Writes down what was noted, for a program that ends now. What the disk does not take of it changes nothing about what was done.
pub(crate) fn write_down(audit: &Audit) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    if let Err(error) = audit.write(Whole::Everything, now_ms) {
        eprintln!("reelroom: the link is made, and the audit log does not tell of it: {error}");
    }
}

fn lines(secret: &str, addresses: &Addresses) -> String {
    let Addresses { page, public_url, public_hosts } = addresses;
    let hours = OWNER_LINK_LASTS.as_secs() / 3600;
    let path = format!("/owner#setup={secret}\n");
    let mut lines = format!("The owner sets the password, once and within {hours} hours, at ");
    if let Some(url) = public_url {
        lines += &url.at(&path);
        if url.to_string() != *page {
            lines += &format!("or, while that is not reached yet, at {page}{path}");
        }
    } else {
        lines += &format!("{page}{path}");
        if let Some(host) = public_hosts.first() {
            lines += &format!("or by the proxy in front, at https://{host}{path}");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_told_for_this_machine_and_for_the_name_that_a_proxy_has() {
        let local = |public_url: Option<&str>, public_hosts: &[&str]| Addresses {
            page: "http://localhost:6080".into(),
            public_url: public_url.map(|url| url.parse().unwrap()),
            public_hosts: public_hosts.iter().map(|host| host.parse().unwrap()).collect(),
        };
        let alone =
            "The owner sets the password, once and within 24 hours, at http://localhost:6080/owner#setup=S\n";
        assert_eq!(lines("S", &local(None, &[])), alone);
        let both = format!("{alone}or by the proxy in front, at https://calls.example.org/owner#setup=S\n");
        assert_eq!(lines("S", &local(None, &["calls.example.org", "other.example.org"])), both);
        let public = "The owner sets the password, once and within 24 hours, at https://example.org/calls/owner#setup=S\n\
                      or, while that is not reached yet, at http://localhost:6080/owner#setup=S\n";
        assert_eq!(lines("S", &local(Some("https://example.org/calls"), &["other.example.org"])), public);
        assert_eq!(lines("S", &local(Some("http://localhost:6080"), &[])), alone, "it is the same");
    }

    #[test]
    fn a_folder_that_no_server_has_used_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let told = |path: &Path| format!("{:#}", open(path).map(drop).unwrap_err());
        let missing = folder.path().join("missing");
        assert!(told(&missing).contains("there is no data folder"), "{}", told(&missing));
        assert!(told(folder.path()).contains("there is no truth.db in"), "{}", told(folder.path()));
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing is made");
        std::fs::write(folder.path().join("truth.db"), "of another program").unwrap();
        assert!(told(folder.path()).contains("damaged"), "{}", told(folder.path()));
    }
}
