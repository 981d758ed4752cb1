//! Files that their owner alone reads, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use reelroom_limits::tls::CERTIFICATE_FILE_BYTES;

use crate::error::CertsError;

/// Reads a file that is no longer than a certificate may be.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CertsError> {
    let unreadable = |error| CertsError::Unreadable { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let most = CERTIFICATE_FILE_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > CERTIFICATE_FILE_BYTES { Err(CertsError::TooLarge(path.to_owned())) } else { Ok(bytes) }
}

/// The same, and nothing where there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, CertsError> {
    match read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(CertsError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a folder, and those above it.
pub(crate) fn folder(path: &Path) -> Result<(), CertsError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| CertsError::Unwritable { path: path.to_owned(), error })
}

/// Puts a file in the place of the one that is there; whoever is interrupted leaves that one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), CertsError> {
    let partial = path.with_extension("new");
    let written = || {
        let _ = fs::remove_file(&partial);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    written().map_err(|error| CertsError::Unwritable { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_its_owners_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/key.pem");
        super::folder(path.parent().unwrap()).unwrap();
        assert!(read_if_there(&path).unwrap().is_none());
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        write(&path, &vec![b'x'; CERTIFICATE_FILE_BYTES + 1]).unwrap();
        assert!(matches!(read(&path), Err(CertsError::TooLarge(_))));
    }
}
