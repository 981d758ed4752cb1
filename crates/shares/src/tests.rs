//! Shares as their callers see them, in virtual time.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reelroom_accounts::Cost;
use reelroom_limits::asker::Asker;
use rusqlite::Connection;

use super::*;

mod passwords;
mod sharing;
mod watching;

const RECORDING: &str = "a.mp4";
const SECOND: Duration = Duration::from_secs(1);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A data folder, the shares in it, and the time.
struct House {
    folder: tempfile::TempDir,
    shares: Shares,
    now: Now,
    rng: StdRng,
}

fn open(file: &std::path::Path) -> Shares {
    let truth = Truth::open(file).unwrap();
    let accounts = Accounts::open(truth.clone(), Cost::new(8, 1, 1).unwrap()).unwrap();
    Shares::open(truth, Arc::new(accounts)).unwrap()
}

fn asker(address: Option<&str>) -> Asker {
    Asker(address.map(|address| address.parse::<IpAddr>().unwrap()))
}

/// A link to play the recording, for good.
fn plain() -> NewShare<'static> {
    NewShare {
        recording: RECORDING,
        recording_id: "EG_1",
        name: "",
        password: None,
        gives: Gives::Play,
        expires_ms: None,
    }
}

fn nothing() -> Change<'static> {
    Change { name: None, password: Set::Keep, gives: None, expires_ms: Set::Keep }
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            shares: open(&folder.path().join("truth.db")),
            folder,
            now: Now { at: Instant::now(), unix_ms: 1_800_000_000_000 },
            rng: StdRng::seed_from_u64(12),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("truth.db")
    }

    /// As after a kill: nothing is written down that was not before.
    fn restart(&mut self) {
        self.shares = open(&self.file());
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.unix_ms += time.as_millis() as i64;
    }

    fn make(&mut self, new: NewShare<'_>) -> Result<MadeShare, SharesError> {
        self.shares.make(new, self.now, &mut self.rng)
    }

    fn begin(&mut self, made: &MadeShare) -> Result<Begun, SharesError> {
        self.begin_from(made, None, Some("192.0.2.1"))
    }

    fn begin_from(
        &mut self,
        made: &MadeShare,
        password: Option<&str>,
        from: Option<&str>,
    ) -> Result<Begun, SharesError> {
        let begin = Begin { secret: made.secret.reveal(), password, asker: asker(from) };
        self.shares.begin(begin, self.now, &mut self.rng)
    }

    fn change(&mut self, made: &MadeShare, change: Change<'_>) -> Result<Share, SharesError> {
        self.shares.change(RECORDING, &made.share.id, change, self.now, &mut self.rng)
    }

    fn revoke(&self, made: &MadeShare) -> Result<Share, SharesError> {
        self.shares.revoke(RECORDING, &made.share.id, self.now)
    }

    /// Who shows this ticket.
    fn viewing(&self, begun: &Begun) -> Option<Viewing> {
        self.shares.viewing(begun.ticket.reveal(), &begun.viewing.share, self.now)
    }

    fn listed(&self) -> Vec<Share> {
        self.shares.of_recording(RECORDING)
    }

    fn views(&self, made: &MadeShare) -> Views {
        self.shares.views(RECORDING, &made.share.id, self.now).unwrap()
    }

    /// Whether a text stands in any file of the data folder.
    fn is_on_disk(&self, text: &str) -> bool {
        let mut files = std::fs::read_dir(self.folder.path()).unwrap();
        files.any(|file| {
            let content = std::fs::read(file.unwrap().path()).unwrap();
            content.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    /// What holds the disk until it is rolled back: whatever writes fails.
    fn stuck(&self) -> Connection {
        let stuck = Connection::open(self.file()).unwrap();
        stuck.execute_batch("BEGIN IMMEDIATE").unwrap();
        stuck
    }
}
