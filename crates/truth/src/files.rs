//! Files that are the owner's alone, and have their name only when they are whole.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// A name of a file that goes with another one.
pub(crate) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.file_name().unwrap_or_else(|| OsStr::new("")).to_owned();
    name.push(suffix);
    file.with_file_name(name)
}

/// Whether anything has the name, also a link into nothing.
pub(crate) fn is_there(file: &Path) -> bool {
    fs::symlink_metadata(file).is_ok()
}

/// An empty file. SQLite gives what it puts beside a database the database's own mode.
pub(crate) fn create(file: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map(drop)
}

/// Takes away what others may.
pub(crate) fn close_to_others(file: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(file)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        permissions.set_mode(permissions.mode() & 0o7700);
        fs::set_permissions(file, permissions)?;
    }
    Ok(())
}

/// Gives a whole file its name, which nothing has, for good.
pub(crate) fn give_name(new: &Path, file: &Path) -> io::Result<()> {
    File::open(new)?.sync_all()?;
    match renameat_with(CWD, new, CWD, file, RenameFlags::NOREPLACE) {
        // Not every file system has it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            fs::hard_link(new, file)?;
            fs::remove_file(new)?;
        }
        named => named?,
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
