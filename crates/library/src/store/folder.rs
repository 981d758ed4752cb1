//! What a folder on local disk holds. Whatever else stands in it (what cannot be read, links into nothing or in a circle,
//! pipes, sockets, devices, names that are no text) costs nothing but itself, and nothing is opened that could hang.
//!
//! Links are followed, also out of the folder: whoever can place them there means to.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::listing::{Listed, Odd, Scope, Unread};
use super::{Object, is_staging};

/// Folders in folders; a file system itself has a limit of about 2000.
const MAX_DEPTH: usize = 64;

/// A folder that is being walked through.
struct Walk {
    listed: Listed,
    /// The folders above, by device and inode: one that comes again is a circle.
    above: Vec<(u64, u64)>,
}

/// Everything below `folder`, named from there. A folder that is not there holds nothing, and says so by `Ok(None)`.
pub(super) fn list(folder: &Path) -> std::io::Result<Option<Listed>> {
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // One whose own folder cannot be read fails.
    fs::read_dir(folder)?;
    let mut walk = Walk { listed: Listed::default(), above: vec![(metadata.dev(), metadata.ino())] };
    walk.enter(folder, "");
    Ok(Some(walk.listed))
}

/// What changes with the file, as `object_store` tells it.
pub(super) fn etag(metadata: &Metadata) -> String {
    let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified_us = modified.map_or(0, |since| since.as_micros());
    format!("{:x}-{modified_us:x}-{:x}", metadata.ino(), metadata.len())
}

impl Walk {
    fn enter(&mut self, folder: &Path, name: &str) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.unread(name, &error.to_string()),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.see(&entry.path(), &below(name, &entry.file_name())),
                // The rest of the folder is not known.
                Err(error) => return self.unread(name, &error.to_string()),
            }
        }
    }

    fn see(&mut self, path: &Path, name: &str) {
        // Of what a link leads to.
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.nothing(path, name, &error),
        };
        if metadata.is_dir() {
            let id = (metadata.dev(), metadata.ino());
            if self.above.contains(&id) {
                // What it holds is listed already.
                return;
            }
            if self.above.len() >= MAX_DEPTH {
                return self.unread(name, "it is too deep in other folders");
            }
            if path.file_name().is_none_or(|name| name.to_str().is_none()) {
                return self.unread(name, "its name is no text");
            }
            self.above.push(id);
            self.enter(path, name);
            self.above.pop();
        } else if metadata.is_file() && !is_staging(name) {
            let modified_ms = modified_ms(&metadata);
            let is_text = path.file_name().is_some_and(|name| name.to_str().is_some());
            match is_text {
                true => {
                    let etag = Some(etag(&metadata));
                    self.listed.objects.push(Object::new(name, metadata.len(), etag, modified_ms));
                }
                false => self.odd(name, Some(metadata.len()), modified_ms, "its name is no UTF-8"),
            }
        }
        // A pipe, a socket or a device is no recording, whatever its name.
    }

    /// Its metadata cannot be had.
    fn nothing(&mut self, path: &Path, name: &str, error: &std::io::Error) {
        let Ok(link) = fs::symlink_metadata(path) else {
            // It has gone since the folder was read, or the folder gives no more than names.
            if error.kind() != std::io::ErrorKind::NotFound {
                self.unread(name, &error.to_string());
                self.odd(name, None, 0, &format!("it cannot be read: {error}"));
            }
            return;
        };
        let target = fs::read_link(path).map(|target| target.display().to_string()).unwrap_or_default();
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                self.odd(
                    name,
                    None,
                    modified_ms(&link),
                    &format!("it is a link to {target:?}, which is not there"),
                );
            }
            _ => {
                let reason = format!("it is a link to {target:?}, which cannot be read: {error}");
                self.odd(name, None, modified_ms(&link), &reason);
            }
        }
    }

    fn odd(&mut self, name: &str, size: Option<u64>, modified_ms: i64, reason: &str) {
        self.listed.odd.push(Odd { name: name.to_owned(), size, modified_ms, reason: reason.to_owned() });
    }

    fn unread(&mut self, name: &str, reason: &str) {
        let scope = if name.is_empty() { Scope::All } else { Scope::Below(name.to_owned()) };
        self.listed.unread.push(Unread { scope, reason: reason.to_owned() });
    }
}

fn below(folder: &str, name: &std::ffi::OsStr) -> String {
    let name = name.to_string_lossy();
    if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") }
}

fn modified_ms(metadata: &Metadata) -> i64 {
    let millis = |seconds: i64, nanos: i64| seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000);
    millis(metadata.mtime(), metadata.mtime_nsec())
}

/// A path of a store, and whether a plain file stands there: nothing else is opened.
pub(super) async fn is_file(path: PathBuf) -> std::io::Result<bool> {
    Ok(tokio::fs::metadata(path).await?.is_file())
}
