//! Jobs on disk: one JSON file each, replaced as a whole, so that ListEgress knows them after a restart.
//!
//! One thread writes, in the order of the changes. Only [`JobStore::flush`] waits for it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use reelroom_limits::library::SMALL_FILE_BYTES;
use reelroom_protocol::ids::EgressId;
use tokio::sync::oneshot;

use crate::error::EgressError;
use crate::job::Job;

enum Order {
    Put(EgressId, Box<Job>),
    Remove(EgressId),
    Flush(oneshot::Sender<()>),
}

/// The files of all jobs.
pub(crate) struct JobStore {
    orders: mpsc::Sender<Order>,
}

impl JobStore {
    /// Opens the folder, making it where it is missing, and reads what is there. Files that cannot be read are left alone.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Vec<Job>), EgressError> {
        fs::create_dir_all(dir).map_err(EgressError::data_dir(dir))?;
        let mut jobs = Vec::new();
        for entry in fs::read_dir(dir).map_err(EgressError::data_dir(dir))? {
            let path = entry.map_err(EgressError::data_dir(dir))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path).and_then(|json| Ok(serde_json::from_slice(&json)?)) {
                Ok(job) => jobs.push(job),
                Err(error) => tracing::warn!(path = %path.display(), %error, "a job's file cannot be read"),
            }
        }
        let (orders, queue) = mpsc::channel();
        let dir = dir.to_owned();
        let work = {
            let dir = dir.clone();
            move || write_all(&dir, &queue)
        };
        std::thread::Builder::new().name("jobs".into()).spawn(work).map_err(EgressError::data_dir(dir))?;
        Ok((Self { orders }, jobs))
    }

    pub(crate) fn put(&self, id: &EgressId, job: &Job) {
        let _ = self.orders.send(Order::Put(id.clone(), Box::new(job.clone())));
    }

    pub(crate) fn remove(&self, id: &EgressId) {
        let _ = self.orders.send(Order::Remove(id.clone()));
    }

    /// Waits until everything said before is on disk.
    pub(crate) async fn flush(&self) {
        let (done, waiting) = oneshot::channel();
        let _ = self.orders.send(Order::Flush(done));
        let _ = waiting.await;
    }
}

/// A job's file; one that is larger than any is cut, and then no JSON.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut json = Vec::new();
    File::open(path)?.take(SMALL_FILE_BYTES).read_to_end(&mut json)?;
    Ok(json)
}

fn write_all(dir: &Path, queue: &mpsc::Receiver<Order>) {
    while let Ok(order) = queue.recv() {
        match order {
            Order::Put(id, job) => {
                if let Err(error) = write(dir, &id, &job) {
                    tracing::warn!(egress = %id, %error, "the job cannot be written down; its take can still be found");
                }
            }
            Order::Remove(id) => {
                let _ = fs::remove_file(file(dir, &id));
            }
            Order::Flush(done) => {
                let _ = done.send(());
            }
        }
    }
}

fn write(dir: &Path, id: &EgressId, job: &Job) -> io::Result<()> {
    let path = file(dir, id);
    let new = path.with_extension("new");
    let mut out = File::create(&new)?;
    out.write_all(&serde_json::to_vec_pretty(job)?)?;
    out.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(dir)?.sync_all()
}

fn file(dir: &Path, id: &EgressId) -> PathBuf {
    dir.join(format!("{id}.json"))
}
