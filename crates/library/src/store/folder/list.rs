//! What a folder on local disk holds. Whatever else stands in it (what cannot be read, links out of it, into nothing or in a circle,
//! pipes, sockets, devices, names that are no text) costs nothing but itself, and nothing is opened that could hang.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat, readlinkat, statat};

use super::super::listing::{Listed, Odd, Scope, Unread};
use super::super::{Object, is_staging};
use super::{Seen, beneath};
use crate::sidecar;

/// Folders in folders; a file system itself has a limit of about 2000.
const MAX_DEPTH: usize = 64;

/// A folder that is being walked through.
struct Walk<'a> {
    place: &'a OwnedFd,
    listed: Listed,
    /// The folders above, by device and inode: one that comes again is a circle.
    above: Vec<(u64, u64)>,
}

/// Where the walk is: from the place on, and from the folder that is listed on.
#[derive(Clone)]
struct At {
    path: PathBuf,
    name: String,
}

impl At {
    fn below(&self, entry: &OsStr) -> Self {
        let name = entry.to_string_lossy();
        Self {
            path: self.path.join(entry),
            name: if self.name.is_empty() { name.into_owned() } else { format!("{}/{name}", self.name) },
        }
    }
}

/// Everything below the folder `path` of a place, named from there. A folder that is not there holds nothing, and says so by `Ok(None)`.
pub(super) fn list(place: &OwnedFd, path: &str) -> io::Result<Option<Listed>> {
    let opened = if path.is_empty() { place.try_clone() } else { beneath::open(place, path, READ) };
    let folder = match opened {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // One whose own folder cannot be read fails.
    let entries = Dir::read_from(&folder)?;
    let stat = rustix::fs::fstat(&folder)?;
    let mut walk = Walk { place, listed: Listed::default(), above: vec![id(&stat)] };
    walk.enter(&folder, entries, &At { path: path.into(), name: String::new() });
    Ok(Some(walk.listed))
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

fn id(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

impl Walk<'_> {
    fn enter(&mut self, folder: &OwnedFd, entries: Dir, at: &At) {
        for entry in entries {
            match entry {
                Ok(entry) => {
                    let name = OsStr::from_bytes(entry.file_name().to_bytes());
                    if name != "." && name != ".." {
                        self.see(folder, name, &at.below(name));
                    }
                }
                // The rest of the folder is not known.
                Err(error) => return self.unread(&at.name, &io::Error::from(error).to_string()),
            }
        }
    }

    fn see(&mut self, folder: &OwnedFd, entry: &OsStr, at: &At) {
        let stat = match statat(folder, entry, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It has gone since the folder was read.
            Err(rustix::io::Errno::NOENT) => return,
            // The folder gives no more than names.
            Err(error) => {
                let reason = format!("it cannot be read: {}", io::Error::from(error));
                self.unread(&at.name, &reason);
                return self.odd(&at.name, None, 0, &reason);
            }
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => match beneath::open(self.place, &at.path, OFlags::PATH) {
                Ok(target) => match rustix::fs::fstat(&target) {
                    Ok(stat) => self.take(&stat, entry, at),
                    Err(error) => self.unread(&at.name, &io::Error::from(error).to_string()),
                },
                Err(error) => self.nowhere(folder, entry, &stat, at, &error),
            },
            _ => self.take(&stat, entry, at),
        }
    }

    fn take(&mut self, stat: &Stat, entry: &OsStr, at: &At) {
        let is_text = entry.to_str().is_some();
        match FileType::from_raw_mode(stat.st_mode) {
            // What it holds is listed already.
            FileType::Directory if self.above.contains(&id(stat)) => {}
            FileType::Directory if self.above.len() >= MAX_DEPTH => {
                self.unread(&at.name, "it is too deep in other folders");
            }
            FileType::Directory if !is_text => self.unread(&at.name, "its name is no text"),
            FileType::Directory => {
                let opened = beneath::open(self.place, &at.path, READ)
                    .and_then(|folder| Ok((Dir::read_from(&folder)?, folder)));
                match opened {
                    Ok((entries, folder)) => {
                        self.above.push(id(stat));
                        self.enter(&folder, entries, at);
                        self.above.pop();
                    }
                    Err(error) => self.unread(&at.name, &error.to_string()),
                }
            }
            FileType::RegularFile if !is_staging(&at.name) => {
                let seen = Seen::of(stat);
                match is_text {
                    true => {
                        let object = Object::new(&at.name, seen.size, Some(seen.etag), seen.modified_ms);
                        self.listed.objects.push(object);
                    }
                    false => self.odd(&at.name, Some(seen.size), seen.modified_ms, "its name is no UTF-8"),
                }
            }
            // A pipe, a socket or a device is no recording, whatever its name.
            _ => {}
        }
    }

    /// A link that leads to nothing, or out.
    fn nowhere(&mut self, folder: &OwnedFd, entry: &OsStr, link: &Stat, at: &At, error: &io::Error) {
        let target = readlinkat(folder.as_fd(), entry, Vec::new()).unwrap_or_default();
        let target = OsString::from(OsStr::from_bytes(target.to_bytes())).display().to_string();
        let leads_out = error.to_string() == beneath::LEADS_OUT;
        let reason = match error.kind() {
            _ if leads_out => beneath::LEADS_OUT.to_owned(),
            io::ErrorKind::NotFound => format!("it is a link to {target:?}, which is not there"),
            _ => format!("it is a link to {target:?}, which cannot be read: {error}"),
        };
        if leads_out && !sidecar::is_recording(&at.name) {
            // It may be a folder, which used to be listed.
            self.unread(&at.name, &reason);
        }
        self.odd(&at.name, None, Seen::of(link).modified_ms, &reason);
    }

    fn odd(&mut self, name: &str, size: Option<u64>, modified_ms: i64, reason: &str) {
        self.listed.odd.push(Odd { name: name.to_owned(), size, modified_ms, reason: reason.to_owned() });
    }

    fn unread(&mut self, name: &str, reason: &str) {
        let scope = if name.is_empty() { Scope::All } else { Scope::Below(name.to_owned()) };
        self.listed.unread.push(Unread { scope, reason: reason.to_owned() });
    }
}
