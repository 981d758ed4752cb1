//! Opening what stands below a folder, and nothing else: the kernel follows links only as long as they stay there, and it does so
//! in one step with opening, so that nobody can move anything in between.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// Something above was moved while the kernel looked.
const TRIES: u32 = 16;

/// Why a link is not followed, for people.
pub(super) const LEADS_OUT: &str = "it is a link that leads out of the store, and is not followed";

/// A folder to open things below. It may be reached by links.
pub(super) fn place(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, flags, Mode::empty())?)
}

/// Opens a path below `place`.
///
/// # Errors
/// `PermissionDenied` with [`LEADS_OUT`] for a link out of the place.
pub(super) fn open(place: &impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> io::Result<OwnedFd> {
    let (path, flags) = (path.as_ref(), flags | OFlags::CLOEXEC);
    for _ in 0..TRIES {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match openat2(place, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A kernel before 5.6, or a container that does not let its program ask.
            Err(Errno::NOSYS | Errno::PERM) => return step_by_step(place, path, flags),
            opened => return told(opened),
        }
    }
    Err(io::Error::other("it is moved all the time"))
}

/// Without the kernel's help no link is followed at all.
fn step_by_step(place: &impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let mut above: Option<OwnedFd> = None;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let std::path::Component::Normal(part) = part else { return told(Err(Errno::XDEV)) };
        let is_last = parts.peek().is_none();
        let above_it = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let flags = OFlags::NOFOLLOW | if is_last { flags } else { above_it };
        let folder = above.as_ref().map_or(place.as_fd(), |above| above.as_fd());
        let opened = openat(folder, part, flags, Mode::empty());
        above = Some(told(opened)?);
    }
    above.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn told(opened: Result<OwnedFd, Errno>) -> io::Result<OwnedFd> {
    opened.map_err(|error| match error {
        Errno::XDEV => io::Error::new(io::ErrorKind::PermissionDenied, LEADS_OUT),
        error => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Open = fn(&OwnedFd, &Path, OFlags) -> io::Result<OwnedFd>;

    #[test]
    fn nothing_above_a_place_is_opened_with_and_without_the_kernels_help() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("place/in")).unwrap();
        std::fs::write(path("outside"), "secret").unwrap();
        std::fs::write(path("place/in/file"), "inside").unwrap();
        std::os::unix::fs::symlink("../outside", path("place/up")).unwrap();
        std::os::unix::fs::symlink(path("outside"), path("place/absolute")).unwrap();
        std::os::unix::fs::symlink("..", path("place/above")).unwrap();
        std::os::unix::fs::symlink("in/file", path("place/within")).unwrap();
        let place = place(&path("place")).unwrap();
        let ways: [Open; 2] = [
            |place, path, flags| open(place, path, flags),
            |place, path, flags| step_by_step(place, path, flags),
        ];
        for (way, open) in ways.into_iter().enumerate() {
            for bad in ["up", "absolute", "above/outside", "../outside", "in/../../outside"] {
                assert!(open(&place, Path::new(bad), OFlags::RDONLY).is_err(), "{way}: {bad}");
            }
            assert!(open(&place, Path::new("in/file"), OFlags::RDONLY).is_ok(), "{way}");
        }
        assert!(open(&place, "within", OFlags::RDONLY).is_ok(), "a link that stays inside leads there");
        let refusal = open(&place, "up", OFlags::RDONLY).unwrap_err();
        assert_eq!(refusal.to_string(), LEADS_OUT);
    }
}
