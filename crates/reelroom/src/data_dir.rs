//! The data folder: made where it is missing, and used by one program at a time.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};

/// Held as long as the folder is used.
pub(crate) struct Lock {
    _file: File,
}

/// Makes and locks the folder.
///
/// # Errors
/// It cannot be written, or another program uses it.
pub(crate) fn open(path: &Path) -> anyhow::Result<Lock> {
    fs::create_dir_all(path).with_context(|| format!("cannot make the data folder {}", path.display()))?;
    let file = File::create(path.join("lock"))
        .with_context(|| format!("cannot write to the data folder {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        anyhow::bail!(
            "another Reelroom uses the data folder {}: stop it, or give this one its own (data_dir, DATA_DIR)",
            path.display()
        );
    }
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/data");
        let first = open(&path).unwrap();
        assert!(open(&path).is_err());
        drop(first);
        assert!(open(&path).is_ok());
    }
}
