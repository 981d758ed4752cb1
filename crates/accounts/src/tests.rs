//! Accounts as their callers see them, in virtual time.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reelroom_limits::asker::Asker;

use super::*;

mod keys;
mod link_passwords;
mod links;
mod passwords;
mod providers;
mod sessions;

const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "staple of another kind";
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// A data folder, the accounts in it, and the time.
struct House {
    folder: tempfile::TempDir,
    accounts: Accounts,
    now: Now,
    rng: StdRng,
}

fn cheap(passes: u32) -> Cost {
    Cost::new(8, passes, 1).unwrap()
}

fn visit(address: Option<&str>) -> Visit<'static> {
    Visit { asker: Asker(address.map(|address| address.parse::<IpAddr>().unwrap())), agent: AGENT }
}

impl House {
    /// Nobody has set a password.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let truth = Truth::open(&folder.path().join("truth.db")).unwrap();
        Self {
            accounts: Accounts::open(truth, cheap(1)).unwrap(),
            folder,
            now: Now { at: Instant::now(), unix_ms: 1_800_000_000_000 },
            rng: StdRng::seed_from_u64(12),
        }
    }

    /// The owner has set [`PASSWORD`].
    fn with_owner() -> (Self, SignedIn) {
        let mut house = Self::new();
        let link = house.link();
        let owner = house.set_password(&link, PASSWORD).unwrap();
        (house, owner)
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("truth.db")
    }

    /// Another program that opens the data folder, at the same time or after a kill.
    fn again(&self, cost: Cost) -> Accounts {
        Accounts::open(Truth::open(&self.file()).unwrap(), cost).unwrap()
    }

    fn restart(&mut self) {
        self.accounts = self.again(cheap(1));
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.unix_ms += time.as_millis() as i64;
    }

    fn link(&mut self) -> String {
        self.accounts.make_link(self.now, &mut self.rng).unwrap().secret.reveal().to_owned()
    }

    fn set_password(&mut self, link: &str, password: &str) -> Result<SignedIn, AccountsError> {
        let set = SetPassword { link, password, visit: visit(Some("192.0.2.1")) };
        self.accounts.set_password(set, self.now, &mut self.rng)
    }

    fn sign_in(&mut self, password: &str, from: Option<&str>) -> Result<SignedIn, AccountsError> {
        let sign_in = SignIn { password, mark: None, visit: visit(from) };
        self.accounts.sign_in(sign_in, self.now, &mut self.rng)
    }

    fn sign_in_with(&mut self, password: &str, mark: &Shown) -> Result<SignedIn, AccountsError> {
        let sign_in = SignIn { password, mark: Some(mark.reveal()), visit: visit(Some("192.0.2.1")) };
        self.accounts.sign_in(sign_in, self.now, &mut self.rng)
    }

    fn change(&mut self, token: &SessionToken, old: &str, new: &str) -> Result<SignedIn, AccountsError> {
        let change = ChangePassword { token, old, new, visit: visit(Some("192.0.2.1")) };
        self.accounts.change_password(change, self.now, &mut self.rng)
    }

    fn key(&mut self, name: &str) -> Result<MadeKey, AccountsError> {
        let rights = Rights::new(["list", "play"]).unwrap();
        self.accounts.make_key(NewKey { name, rights, expires_ms: None }, self.now, &mut self.rng)
    }

    fn is_signed_in(&self, token: &SessionToken) -> bool {
        self.accounts.session(token, self.now).is_some()
    }

    /// Whether these bytes stand in any file of the data folder.
    fn is_on_disk(&self, bytes: &[u8]) -> bool {
        let mut files = fs::read_dir(self.folder.path()).unwrap();
        files.any(|file| {
            let content = fs::read(file.unwrap().path()).unwrap();
            content.windows(bytes.len()).any(|window| window == bytes)
        })
    }
}
