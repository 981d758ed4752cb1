//! Certificate files that somebody else renews: seen when they change.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::disk;
use crate::error::CertsError;
use crate::pair::Pair;

/// Whoever renews writes one file after the other: so long a pair that does not fit may be half of one.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// By what a change is seen without reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looks([Option<Look>; 2]);

/// Device, inode, length, and when it was written: seconds and nanoseconds.
type Look = (u64, u64, u64, i64, i64);

/// Two files, which may be one.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    pub(crate) fn new(cert: PathBuf, key: PathBuf) -> Self {
        Self { cert, key }
    }

    /// How they look now. What a link leads to counts, as certbot changes links.
    pub(crate) fn looks(&self) -> Looks {
        Looks([&self.cert, &self.key].map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
        }))
    }

    /// Whether one of them was written a moment ago.
    pub(crate) fn are_being_written(&self, now: SystemTime) -> bool {
        [&self.cert, &self.key].into_iter().any(|path| is_young(path, now))
    }

    /// Reads both.
    ///
    /// # Errors
    /// All that may be wrong with files and what is in them.
    pub(crate) fn read(&self) -> Result<Pair, CertsError> {
        let chain = disk::read(&self.cert)?;
        let key = if self.key == self.cert { chain.clone() } else { disk::read(&self.key)? };
        Pair::of_pem(&chain, &key, |error| error.of(&self.cert), |error| error.of(&self.key))
    }
}

fn is_young(path: &Path, now: SystemTime) -> bool {
    let written = fs::metadata(path).and_then(|found| found.modified());
    // What was written in the future was written by a clock that is wrong, and says nothing.
    written.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age < SETTLES_WITHIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::tests::made;

    #[test]
    fn a_change_is_seen_and_half_of_one_is_known_for_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let (chain, key) = made(&["a.example"], now, now + Duration::from_secs(86_400));
        let (other, other_key) = made(&["a.example"], now, now + Duration::from_secs(86_400));
        let files = Files::new(folder.path().join("chain.pem"), folder.path().join("key.pem"));
        assert!(matches!(files.read(), Err(CertsError::Unreadable { .. })));
        fs::write(&files.cert, &chain).unwrap();
        fs::write(&files.key, &key).unwrap();
        let before = files.looks();
        assert_eq!(files.looks(), before);
        assert!(files.read().is_ok());
        // As whoever renews does it: beside the old one, and then in its place.
        fs::write(folder.path().join("new"), &other).unwrap();
        fs::rename(folder.path().join("new"), &files.cert).unwrap();
        assert_ne!(files.looks(), before);
        assert!(matches!(files.read(), Err(CertsError::KeyDoesNotFit)));
        let written = SystemTime::now();
        assert!(files.are_being_written(written));
        assert!(!files.are_being_written(written + SETTLES_WITHIN));
        fs::write(&files.key, &other_key).unwrap();
        assert!(files.read().is_ok());
    }
}
