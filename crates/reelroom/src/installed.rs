//! The program where a package has installed it: which settings it reads by itself, and as whom it touches the data folder.
//!
//! ```text
//!   /usr/bin/reelroom ── without --config, without ./reelroom.toml ──► /etc/reelroom/reelroom.toml ──► /var/lib/reelroom
//!   sudo reelroom owner ──► as the folder's owner      sudo reelroom ──► refused: the service does that
//!   sudo reelroom doctor ─► as root, who sees ports and firewalls; what writes into the folder is a child, as the folder's owner
//! ```
//!
//! # Invariants
//!
//! - A program that was built elsewhere on the same machine knows nothing of the package: whoever develops it does not end up in the
//!   service's data.
//! - Nothing that root runs by the package's program leaves a file in the data folder that the service cannot write.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::config::DEFAULT_FILE;

const PROGRAM: &str = "/usr/bin/reelroom";
const SETTINGS: &str = "/etc/reelroom/reelroom.toml";

/// The settings file that is meant: `named`, or that of the package where this is its program and there is none in the current folder.
/// `None`: the one in the current folder, or none.
///
/// # Errors
/// The package's may not be read by who asks.
pub(crate) fn settings(named: Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    if named.is_some() {
        return Ok(named);
    }
    let exists = |file: &str| Path::new(file).exists();
    if !is_meant(&program(), exists(DEFAULT_FILE), exists(SETTINGS)) {
        return Ok(None);
    }
    File::open(SETTINGS).with_context(|| {
        format!(
            "{SETTINGS} is for root and the service: put 'sudo' before this command, or name another file with \
             --config"
        )
    })?;
    Ok(Some(SETTINGS.into()))
}

/// This program's own file. Where it is not known, it is no package's.
fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

fn is_meant(program: &Path, has_one_here: bool, is_there: bool) -> bool {
    program == Path::new(PROGRAM) && !has_one_here && is_there
}

/// As root: becomes the user whom the folder belongs to, for good. Nothing happens for others, for a program that is not the package's, and where
/// there is no folder. To be called before there is a second thread: it would stay root.
///
/// # Errors
/// The system refuses it.
pub(crate) fn become_owner_of(folder: &Path) -> anyhow::Result<()> {
    let Some((uid, gid)) = owner_instead_of_root(folder) else { return Ok(()) };
    let change = || {
        set_thread_groups(&[])?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)
    };
    change().with_context(|| format!("root cannot become the user whom {} belongs to", folder.display()))
}

/// Whom that has to belong to which root makes in the folder by the package's program.
pub(crate) fn owner_instead_of_root(folder: &Path) -> Option<(Uid, Gid)> {
    let is_due = geteuid().is_root() && program() == Path::new(PROGRAM);
    other_owner(folder).filter(|_| is_due)
}

/// Refuses to run the installed server as root: its service does that, as another user.
///
/// # Errors
/// What to do instead.
pub(crate) fn refuse_root(settings: Option<&Path>, folder: &Path) -> anyhow::Result<()> {
    let is_the_service = settings == Some(Path::new(SETTINGS)) && other_owner(folder).is_some();
    if is_the_service && geteuid().is_root() {
        anyhow::bail!(
            "{} belongs to the user of the service, which could not write what root leaves there: 'systemctl start reelroom' starts the \
             service, and --config names the settings of another server",
            folder.display()
        );
    }
    Ok(())
}

/// To whom a folder belongs that is not root's.
fn other_owner(folder: &Path) -> Option<(Uid, Gid)> {
    let metadata = fs::metadata(folder).ok()?;
    let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    (!uid.is_root()).then_some((uid, gid))
}

#[cfg(test)]
mod tests {
    use confique::Config as _;

    use super::*;
    use crate::config::{Access, Config};

    #[test]
    fn the_packages_settings_are_those_of_its_program_alone_and_come_after_all_others() {
        let own = Path::new(PROGRAM);
        assert!(is_meant(own, false, true));
        assert!(!is_meant(own, true, true), "one in the current folder comes first");
        assert!(!is_meant(own, false, false));
        for other in ["", "/home/ann/reelroom/target/release/reelroom", "/usr/local/bin/reelroom"] {
            assert!(!is_meant(Path::new(other), false, true), "{other}");
        }
        let named = Some(PathBuf::from("mine.toml"));
        assert_eq!(settings(named.clone()).unwrap(), named);
        assert_eq!(settings(None).unwrap(), None, "this program is no package's");
    }

    #[test]
    fn the_packages_settings_can_be_read_and_let_in_whom_the_owner_invites() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/reelroom.toml"));
        // Without the environment of whoever runs this.
        let config = Config::builder().file(file).load().unwrap();
        assert_eq!(config.data_dir, Path::new("/var/lib/reelroom"));
        assert!(config.listen.is_unspecified());
        assert_eq!(config.access, Some(Access::Invite));
    }

    #[test]
    fn the_folder_of_ones_own_is_left_to_oneself() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(other_owner(folder.path()).is_some(), !geteuid().is_root());
        assert!(other_owner(&folder.path().join("missing")).is_none());
        become_owner_of(folder.path()).unwrap();
        let before = geteuid();
        become_owner_of(&folder.path().join("missing")).unwrap();
        assert_eq!(geteuid(), before);
        refuse_root(Some(Path::new(SETTINGS)), folder.path()).unwrap();
        refuse_root(None, Path::new("/")).unwrap();
        // Only root gives a folder away.
        if std::os::unix::fs::chown(folder.path(), Some(12_345), Some(12_345)).is_ok() && before.is_root() {
            become_owner_of(folder.path()).unwrap();
            assert_eq!(geteuid(), before, "a program that is not the package's stays who it is");
            refuse_root(None, folder.path()).unwrap();
            let refused = refuse_root(Some(Path::new(SETTINGS)), folder.path()).unwrap_err();
            assert!(refused.to_string().contains("systemctl start reelroom"), "{refused}");
        }
    }
}
