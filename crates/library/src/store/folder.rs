//! A folder on local disk as a store: every name stands below it, and nothing leads out of it.
//!
//! ```text
//!  key ─► its place (the folder, or the one that a prefix stands in) ─► beneath: openat2, below the place alone ─► a plain file
//!                                                                            └─ a link out, a pipe, a device: refused
//! ```
//!
//! # Invariants
//!
//! - Nothing outside of the places is read, listed, written or deleted, whatever links stand in them and whoever moves them meanwhile.
//!   The places themselves may be links: the operator made them.
//! - Only plain files are opened: nothing waits for a pipe, and no device hears of it.
//! - A file appears under its name whole, and never in the place of another one unless that was asked for.
//! - What is written is readable by its owner, and by others only as far as [`Readers`] says.

mod beneath;
mod list;

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::listing::Listed;

/// Who may read what is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// The user that the program runs as.
    #[default]
    Owner,
    /// The group of the folder too: a web server or a backup program.
    Group,
}

impl Readers {
    fn of_files(self) -> Mode {
        Mode::from_raw_mode(if self == Self::Group { 0o640 } else { 0o600 })
    }

    fn of_folders(self) -> u32 {
        if self == Self::Group { 0o750 } else { 0o700 }
    }
}

/// A folder as a store.
#[derive(Clone, Debug, Default)]
pub struct FolderConfig {
    /// Made where it is missing.
    pub root: PathBuf,
    /// What keys of this prefix ("recordings/") stand in, instead of a folder of that name below the root. Made when something is
    /// written: while a disk is away its folder is missing, which says more than an empty one.
    pub elsewhere: Option<(String, PathBuf)>,
    /// Who may read what is stored.
    pub readers: Readers,
}

/// What is done with a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It stays, and the other one is refused.
    Stays,
    /// It is replaced.
    Goes,
}

/// A plain file, as it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) size: u64,
    /// Changes with the file.
    pub(super) etag: String,
    pub(super) modified_ms: i64,
}

impl Seen {
    fn of(stat: &Stat) -> Self {
        let (seconds, nanos) = (stat.st_mtime as i64, stat.st_mtime_nsec as i64);
        let modified_us = (i128::from(seconds) * 1_000_000 + i128::from(nanos / 1000)).max(0);
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        Self {
            size,
            etag: format!("{:x}-{modified_us:x}-{size:x}", stat.st_ino),
            modified_ms: seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000),
        }
    }
}

/// The store's folder.
#[derive(Debug)]
pub(super) struct Folder {
    config: FolderConfig,
}

impl Folder {
    /// Makes the root where it is missing.
    pub(super) fn open(config: &FolderConfig) -> io::Result<Self> {
        let mut config = config.clone();
        make(&config.root, config.readers)?;
        config.root = config.root.canonicalize()?;
        config.elsewhere = config.elsewhere.map(|(prefix, folder)| {
            let prefix = format!("{}/", prefix.trim_matches('/'));
            (prefix, std::path::absolute(&folder).unwrap_or(folder))
        });
        Ok(Self { config })
    }

    /// Where most of it stands: a person looks there.
    pub(super) fn base(&self) -> &Path {
        self.config.elsewhere.as_ref().map_or(&self.config.root, |(_, folder)| folder)
    }

    /// Where a key stands, or keys of a prefix do, as a path for people.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        let (place, path) = self.place(key);
        if path.is_empty() { place.to_owned() } else { place.join(path) }
    }

    /// The folder, and the path below it.
    fn place<'a>(&'a self, key: &'a str) -> (&'a Path, &'a str) {
        match &self.config.elsewhere {
            Some((prefix, folder)) if key.starts_with(prefix.as_str()) => (folder, &key[prefix.len()..]),
            Some((prefix, folder)) if key == prefix.trim_end_matches('/') => (folder, ""),
            _ => (&self.config.root, key),
        }
    }

    /// Everything below a prefix. `Ok(None)`: there is no such folder.
    pub(super) fn list(&self, prefix: &str) -> io::Result<Option<Listed>> {
        let (place, path) = self.place(prefix);
        let place = match beneath::place(place) {
            Ok(place) => place,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        list::list(&place, path)
    }

    /// Whether its folders can be read.
    pub(super) fn check(&self) -> io::Result<()> {
        let places = [Some(&self.config.root), self.config.elsewhere.as_ref().map(|(_, folder)| folder)];
        for place in places.into_iter().flatten() {
            match std::fs::read_dir(place) {
                Ok(_) => {}
                // It is made with the first recording.
                Err(error) if error.kind() == ErrorKind::NotFound && *place != self.config.root => {}
                Err(error) => {
                    let reason = format!("cannot read {}: {error}", place.display());
                    return Err(io::Error::new(error.kind(), reason));
                }
            }
        }
        Ok(())
    }

    pub(super) fn look(&self, key: &str) -> io::Result<Seen> {
        let (place, path) = self.place(key);
        let file = beneath::open(&beneath::place(place)?, path, OFlags::PATH)?;
        Ok(Seen::of(&plain(&file)?))
    }

    /// A plain file, to be read.
    pub(super) fn read(&self, key: &str) -> io::Result<(File, Seen)> {
        let (place, path) = self.place(key);
        let place = beneath::place(place)?;
        // What it is is known before it is opened: opening a device may do something.
        plain(&beneath::open(&place, path, OFlags::PATH)?)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = beneath::open(&place, path, flags)?;
        let seen = Seen::of(&plain(&file)?);
        Ok((file.into(), seen))
    }

    /// At most `most` bytes from `at` on.
    pub(super) fn read_at(&self, key: &str, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let (mut file, _) = self.read(key)?;
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new();
        file.take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn write(&self, key: &str, bytes: &[u8], existing: Existing) -> io::Result<Seen> {
        let mut draft = self.draft(key)?;
        draft.file.write_all(bytes)?;
        draft.commit(existing)
    }

    /// A file in the making.
    pub(super) fn draft(&self, key: &str) -> io::Result<Draft> {
        let (parent, name) = self.parent(key, true)?;
        let staging = unstaged(&parent, &name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = self.config.readers.of_files();
        let file = rustix::fs::openat(&parent, &staging, flags, mode)?;
        // The process may mask more than is meant.
        rustix::fs::fchmod(&file, mode)?;
        Ok(Draft { parent, name, staging, file: file.into(), is_named: false })
    }

    /// Gives a file of this disk a second name, which costs nothing. An error where that cannot be done: `AlreadyExists` when another
    /// one has the name.
    pub(super) fn link(&self, key: &str, file: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(key, true)?;
        std::fs::set_permissions(file, Permissions::from_mode(self.config.readers.of_files().as_raw_mode()))?;
        match rustix::fs::linkat(CWD, file, &parent, &name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there = rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                let ours = rustix::fs::stat(file)?;
                if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino) {
                    return Err(Errno::EXIST.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        // Older versions, when they were killed, left a second name of the very file.
        unstaged(&parent, &name)?;
        Ok(rustix::fs::fsync(&parent)?)
    }

    pub(super) fn delete(&self, key: &str) -> io::Result<()> {
        let (parent, name) = self.parent(key, false)?;
        Ok(rustix::fs::unlinkat(&parent, &name, AtFlags::empty())?)
    }

    /// The folder that a file stands in, made where that is wanted, and the file's name there.
    fn parent(&self, key: &str, is_made: bool) -> io::Result<(OwnedFd, OsString)> {
        let (place, path) = self.place(key);
        if is_made {
            make(place, self.config.readers)?;
        }
        let place = beneath::place(place)?;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let name = OsStr::new(name).to_owned();
        if folder.is_empty() {
            return Ok((place, name));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match beneath::open(&place, folder, flags) {
            Err(error) if error.kind() == ErrorKind::NotFound && is_made => {}
            opened => return Ok((opened?, name)),
        }
        let mut above = place.try_clone()?;
        for (at, _) in folder.match_indices('/').chain([(folder.len(), "")]) {
            let path = &folder[..at];
            above = match beneath::open(&place, path, flags) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    let mode = Mode::from_raw_mode(self.config.readers.of_folders());
                    match rustix::fs::mkdirat(&above, name, mode) {
                        Ok(()) => {
                            // The process may mask more than is meant.
                            rustix::fs::chmodat(&above, name, mode, AtFlags::empty())?;
                            rustix::fs::fsync(&above)?;
                        }
                        Err(Errno::EXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    beneath::open(&place, path, flags)?
                }
                opened => opened?,
            };
        }
        Ok((above, name))
    }
}

/// A file in the making; one that is not committed leaves nothing.
pub(super) struct Draft {
    parent: OwnedFd,
    name: OsString,
    staging: OsString,
    pub(super) file: File,
    is_named: bool,
}

impl Draft {
    /// Gives the file its name, in one step.
    pub(super) fn commit(mut self, existing: Existing) -> io::Result<Seen> {
        self.file.sync_all()?;
        let (ours, there) = (
            rustix::fs::fstat(&self.file)?,
            rustix::fs::statat(&self.parent, &self.staging, AtFlags::empty())?,
        );
        if (ours.st_dev, ours.st_ino) != (there.st_dev, there.st_ino) {
            return Err(io::Error::other("another program writes this very file"));
        }
        match existing {
            Existing::Goes => {
                rustix::fs::renameat(self.parent.as_fd(), &self.staging, self.parent.as_fd(), &self.name)?;
            }
            Existing::Stays => self.commit_beside()?,
        }
        self.is_named = true;
        rustix::fs::fsync(&self.parent)?;
        Ok(Seen::of(&ours))
    }

    /// By what the file system has for it.
    fn commit_beside(&self) -> io::Result<()> {
        let parent = self.parent.as_fd();
        match rustix::fs::renameat_with(parent, &self.staging, parent, &self.name, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            done => return Ok(done?),
        }
        match rustix::fs::linkat(parent, &self.staging, parent, &self.name, AtFlags::empty()) {
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {}
            done => {
                done?;
                return Ok(rustix::fs::unlinkat(parent, &self.staging, AtFlags::empty())?);
            }
        }
        match rustix::fs::statat(parent, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(rustix::fs::renameat(parent, &self.staging, parent, &self.name)?),
            Ok(_) => Err(Errno::EXIST.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = rustix::fs::unlinkat(&self.parent, &self.staging, AtFlags::empty());
        }
    }
}

/// The name of a file in the making, which nothing has.
fn unstaged(parent: &OwnedFd, name: &OsStr) -> io::Result<OsString> {
    let mut staging = name.to_owned();
    // A name that ends in "#" and a number is one of a file in the making.
    staging.push("#0");
    match rustix::fs::unlinkat(parent, &staging, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(staging),
        Err(error) => Err(error.into()),
    }
}

/// What is known of an open file, if it is a plain one: there is no other object.
fn plain(file: &OwnedFd) -> io::Result<Stat> {
    let stat = rustix::fs::fstat(file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat),
        _ => Err(ErrorKind::NotFound.into()),
    }
}

fn make(folder: &Path, readers: Readers) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    match DirBuilder::new().recursive(true).mode(readers.of_folders()).create(folder) {
        // A file stands in its place, which says nothing of the names in it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(Errno::NOTDIR.into()),
        made => made?,
    }
    std::fs::set_permissions(folder, Permissions::from_mode(readers.of_folders()))
}

#[cfg(test)]
mod tests;
