//! What a job says of the disk: a warning while it records, and why its file is not composed yet.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use reelroom_protocol::ids::EgressId;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::shared::{Shared, unix_ns};

/// How often a disk that takes nothing is tried.
const TRY_EVERY: Duration = Duration::from_millis(500);
/// A composer cannot even begin with less.
const PROBE_BYTES: usize = 256 * 1024;

/// Whether the composer had to wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    No,
    Long,
}

/// Waits for as long as no file can be written where composers write, and says so in the job.
pub(crate) async fn wait_until_writable(shared: &Shared, id: &EgressId) -> Waited {
    let mut said = None;
    while let Err(error) = try_to_write(&shared.composed()) {
        let text =
            format!("the recorder's disk takes nothing ({error}): the file is made as soon as it does");
        if said.as_ref() != Some(&text) {
            tracing::warn!(egress = %id, %error, "the disk takes nothing; composing waits for it");
            shared.update(id, |job| job.trouble(unix_ns(), &text));
            said = Some(text);
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
    let Some(text) = said else { return Waited::No };
    shared.update(id, |job| {
        job.trouble_over(&text);
        None
    });
    Waited::Long
}

/// Writes a file without a name, which is gone when it is closed. File systems that know no such files are trusted.
fn try_to_write(dir: &Path) -> std::io::Result<()> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => {
            let mut file = std::fs::File::from(file);
            file.write_all(&[0; PROBE_BYTES])?;
            file.sync_all()
        }
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Says in the job what is wrong with the disk, for as long as it is; `said` is what the job says now.
pub(crate) fn warn(shared: &Shared, id: &EgressId, said: &mut Option<String>) {
    let warning = shared.disk.borrow().warning();
    if *said == warning {
        return;
    }
    if let Some(old) = said.take() {
        shared.update(id, |job| {
            job.trouble_over(&old);
            None
        });
    }
    if let Some(text) = &warning {
        shared.update(id, |job| job.trouble(unix_ns(), text));
    }
    *said = warning;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_takes_a_file_keeps_nothing_of_the_try() {
        let folder = tempfile::tempdir().unwrap();
        try_to_write(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
