//! A link to one recording: made, changed, revoked, and gone with its recording.
//!
//! # Invariants
//!
//! - A share that is over (revoked, expired) opens nothing, and stays in the list with its views until another one needs its place. One that is
//!   not over makes room for nobody.
//! - What is changed is written first; what a change takes away ends what is being watched.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rand::CryptoRng;
use reelroom_accounts::{LinkPassword, Now, Secret, Shown, is_hidden, new_id};
use reelroom_limits::shares::{SHARE_NAME_BYTES, SHARES, SHARES_OF_A_RECORDING};
use tokio_util::sync::CancellationToken;

use crate::Shares;
use crate::error::SharesError;
use crate::ids::ShareId;
use crate::state::State;

/// What a link gives whoever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// To play the recording.
    Play,
    /// To play it, and to keep the file.
    Download,
}

/// A link that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewShare<'a> {
    /// The name of the recording.
    pub recording: &'a str,
    /// Its id; its name where none is known.
    pub recording_id: &'a str,
    /// What whoever makes it calls it; may be empty.
    pub name: &'a str,
    /// What whoever opens it has to know besides.
    pub password: Option<&'a str>,
    /// What it gives.
    pub gives: Gives,
    /// Unix milliseconds; `None`: it lasts until it is revoked.
    pub expires_ms: Option<i64>,
}

/// What a change makes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set<T> {
    /// It stays.
    Keep,
    /// It goes.
    Clear,
    /// It is this from now on.
    To(T),
}

/// What is to become of a link. What is kept stays as it is.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// What it is called.
    pub name: Option<&'a str>,
    /// What whoever opens it has to know besides.
    pub password: Set<&'a str>,
    /// What it gives.
    pub gives: Option<Gives>,
    /// Until when: Unix milliseconds.
    pub expires_ms: Set<i64>,
}

/// A link that was made.
#[derive(Debug)]
pub struct MadeShare {
    /// As lists show it.
    pub share: Share,
    /// What stands behind `/watch#`.
    pub secret: Shown,
    /// The link, long over, that is not listed any more to make room for it.
    pub forgotten: Option<ShareId>,
}

/// A link as whoever shares sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// For changing and revoking it.
    pub id: ShareId,
    /// The name of the recording.
    pub recording: String,
    /// What it is called.
    pub name: String,
    /// Whether whoever opens it has to know something besides.
    pub has_password: bool,
    /// What it gives.
    pub gives: Gives,
    /// Unix milliseconds.
    pub made_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: Option<i64>,
    /// Unix milliseconds.
    pub revoked_ms: Option<i64>,
    /// How many views there were.
    pub views: u64,
    /// When the last one began: Unix milliseconds.
    pub viewed_ms: Option<i64>,
    /// How many go on.
    pub watching: usize,
}

impl Share {
    /// Since when it opens nothing any more: Unix milliseconds.
    pub fn over_since_ms(&self, now: Now) -> Option<i64> {
        over_since_ms(self.revoked_ms, self.expires_ms, now)
    }
}

fn over_since_ms(revoked_ms: Option<i64>, expires_ms: Option<i64>, now: Now) -> Option<i64> {
    let expired_ms = expires_ms.filter(|expires_ms| *expires_ms <= now.unix_ms);
    [revoked_ms, expired_ms].into_iter().flatten().min()
}

/// Until when a share lasts, for all who watch by it.
#[derive(Clone, Debug)]
pub(crate) struct Term(Arc<AtomicI64>);

impl Term {
    fn new(expires_ms: Option<i64>) -> Self {
        Self(Arc::new(AtomicI64::new(expires_ms.unwrap_or(i64::MAX))))
    }

    fn set(&self, expires_ms: Option<i64>) {
        self.0.store(expires_ms.unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self, now: Now) -> bool {
        now.unix_ms >= self.0.load(Ordering::Relaxed)
    }
}

/// A share as it is kept.
#[derive(Clone)]
pub(crate) struct KeptShare {
    pub(crate) id: ShareId,
    pub(crate) recording: Arc<str>,
    pub(crate) recording_id: Arc<str>,
    name: String,
    secret_sha256: [u8; 32],
    pub(crate) password: Option<LinkPassword>,
    pub(crate) gives: Gives,
    made_ms: i64,
    expires_ms: Option<i64>,
    pub(crate) revoked_ms: Option<i64>,
    pub(crate) views: u64,
    pub(crate) viewed_ms: Option<i64>,
    pub(crate) is_revocation_written: bool,
    pub(crate) term: Term,
    /// Another one after each change that takes something away.
    pub(crate) ends: CancellationToken,
}

impl KeptShare {
    pub(crate) fn is_over(&self, now: Now) -> bool {
        over_since_ms(self.revoked_ms, self.expires_ms, now).is_some()
    }

    pub(crate) fn is_opened_by(&self, secret_sha256: &[u8; 32]) -> bool {
        // Hashes of what nobody guesses: how long this takes tells nothing that brings a guesser further.
        self.secret_sha256 == *secret_sha256
    }

    fn row(&self) -> reelroom_truth::Share {
        reelroom_truth::Share {
            id: self.id.as_str().to_owned(),
            recording: self.recording.to_string(),
            recording_id: self.recording_id.to_string(),
            name: self.name.clone(),
            secret_sha256: self.secret_sha256,
            password: self.password.as_ref().map(|password| password.as_str().to_owned()),
            may_download: self.gives == Gives::Download,
            made_ms: self.made_ms,
            expires_ms: self.expires_ms,
            revoked_ms: self.revoked_ms,
            views: i64::try_from(self.views).unwrap_or(i64::MAX),
            viewed_ms: self.viewed_ms,
        }
    }

    pub(crate) fn shown(&self, watching: usize) -> Share {
        Share {
            id: self.id.clone(),
            recording: self.recording.to_string(),
            name: self.name.clone(),
            has_password: self.password.is_some(),
            gives: self.gives,
            made_ms: self.made_ms,
            expires_ms: self.expires_ms,
            revoked_ms: self.revoked_ms,
            views: self.views,
            viewed_ms: self.viewed_ms,
            watching,
        }
    }

    /// Whether whoever watches by `before` may do less by this.
    fn takes_from(&self, before: &Self) -> bool {
        let is_locked = self.password.as_ref().is_some_and(|password| {
            before.password.as_ref().is_none_or(|before| before.as_str() != password.as_str())
        });
        is_locked || (before.gives == Gives::Download && self.gives == Gives::Play)
    }
}

impl From<reelroom_truth::Share> for KeptShare {
    fn from(row: reelroom_truth::Share) -> Self {
        Self {
            id: row.id.into(),
            recording: row.recording.into(),
            recording_id: row.recording_id.into(),
            name: row.name,
            secret_sha256: row.secret_sha256,
            password: row.password.map(LinkPassword::from),
            gives: if row.may_download { Gives::Download } else { Gives::Play },
            made_ms: row.made_ms,
            expires_ms: row.expires_ms,
            revoked_ms: row.revoked_ms,
            views: u64::try_from(row.views).unwrap_or_default(),
            viewed_ms: row.viewed_ms,
            is_revocation_written: row.revoked_ms.is_some(),
            term: Term::new(row.expires_ms),
            ends: CancellationToken::new(),
        }
    }
}

impl Shares {
    /// Makes a link. Hashes, where it has a password.
    ///
    /// # Errors
    /// [`SharesError::Invalid`], [`SharesError::Full`], [`SharesError::Busy`], [`SharesError::Truth`].
    pub fn make(
        &self,
        new: NewShare<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<MadeShare, SharesError> {
        let name = name(new.name)?;
        check_expiry(new.expires_ms, now)?;
        let password =
            new.password.map(|password| self.accounts.new_link_password(password, rng)).transpose()?;
        let secret = Secret::new(rng);
        let kept = KeptShare {
            id: new_id("SH_", rng).into(),
            recording: new.recording.into(),
            recording_id: new.recording_id.into(),
            name,
            secret_sha256: secret.sha256(),
            password,
            gives: new.gives,
            made_ms: now.unix_ms,
            expires_ms: new.expires_ms,
            revoked_ms: None,
            views: 0,
            viewed_ms: None,
            is_revocation_written: false,
            term: Term::new(new.expires_ms),
            ends: CancellationToken::new(),
        };
        let _changing = self.changing();
        let forgotten = self.state().makes_room_for_a_share(new.recording, now)?;
        self.truth.add_share(&kept.row(), forgotten.as_ref().map(ShareId::as_str))?;
        let mut state = self.state();
        if let Some(forgotten) = &forgotten {
            state.drop_shares(|share| share.id == *forgotten);
        }
        let share = kept.shown(0);
        state.shares.push(kept);
        Ok(MadeShare { share, secret: secret.shown(), forgotten })
    }

    /// The links to a recording, those that are over too, the newest in front.
    pub fn of_recording(&self, recording: &str) -> Vec<Share> {
        let state = self.state();
        let own = state.shares.iter().filter(|share| *share.recording == *recording);
        let mut all: Vec<Share> = own.map(|share| share.shown(state.watching(&share.id))).collect();
        all.sort_by(|one, other| (other.made_ms, &other.id).cmp(&(one.made_ms, &one.id)));
        all
    }

    /// Changes a link that is in force. Whoever watches by it has to open it again where it gives less than before. Hashes, where the
    /// password is changed.
    ///
    /// # Errors
    /// [`SharesError::Unknown`], [`SharesError::Gone`], [`SharesError::Invalid`], [`SharesError::Busy`], [`SharesError::Truth`]: it is as it
    /// was.
    pub fn change(
        &self,
        recording: &str,
        id: &ShareId,
        change: Change<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<Share, SharesError> {
        let named = change.name.map(name).transpose()?;
        if let Set::To(expires_ms) = change.expires_ms {
            check_expiry(Some(expires_ms), now)?;
        }
        let password = match change.password {
            Set::Keep => Set::Keep,
            Set::Clear => Set::Clear,
            Set::To(password) => Set::To(self.accounts.new_link_password(password, rng)?),
        };
        let _changing = self.changing();
        let before = self.state().share(recording, id)?.clone();
        if before.is_over(now) {
            return Err(SharesError::Gone);
        }
        let mut after = before.clone();
        after.name = named.unwrap_or(after.name);
        after.gives = change.gives.unwrap_or(after.gives);
        match password {
            Set::Keep => {}
            Set::Clear => after.password = None,
            Set::To(password) => after.password = Some(password),
        }
        match change.expires_ms {
            Set::Keep => {}
            Set::Clear => after.expires_ms = None,
            Set::To(expires_ms) => after.expires_ms = Some(expires_ms),
        }
        let takes = after.takes_from(&before);
        self.truth.change_share(&after.row())?;
        let mut state = self.state();
        // It may have been revoked meanwhile, or have gone with its recording.
        let kept = state.share_mut(recording, id)?;
        kept.name = after.name;
        kept.gives = after.gives;
        kept.password = after.password;
        kept.expires_ms = after.expires_ms;
        kept.term.set(after.expires_ms);
        if takes {
            std::mem::take(&mut kept.ends).cancel();
            if kept.revoked_ms.is_some() {
                kept.ends.cancel();
            }
            state.end_views(|view| view.share == *id);
        }
        Ok(state.share(recording, id)?.shown(state.watching(id)))
    }

    /// Revokes a link: whoever watches by it is sent nothing more. One that is revoked already stays as it is.
    ///
    /// # Errors
    /// [`SharesError::Unknown`]; [`SharesError::Truth`]: it is revoked, and is in force again if the program is started again before that was
    /// written down. Revoking it again, or [`Shares::keep`], tries that again.
    pub fn revoke(&self, recording: &str, id: &ShareId, now: Now) -> Result<Share, SharesError> {
        let revoked = {
            let mut state = self.state();
            let kept = state.share_mut(recording, id)?;
            kept.revoked_ms.get_or_insert(now.unix_ms);
            kept.ends.cancel();
            state.end_views(|view| view.share == *id);
            state.share(recording, id)?.shown(0)
        };
        self.write_ends()?;
        Ok(revoked)
    }

    /// A recording was deleted: its links go with it, and what was known of their views. Says how many there were.
    ///
    /// # Errors
    /// [`SharesError::Truth`]: they open nothing, and are listed again if the program is started again before that was written down.
    /// [`Shares::keep`] tries that again.
    pub fn forget_recording(&self, recording: &str) -> Result<usize, SharesError> {
        self.forget(|share| *share.recording == *recording)
    }

    /// The same of the recording of that name and id alone, and not of another one that has its name.
    ///
    /// # Errors
    /// As [`Shares::forget_recording`].
    pub fn forget_recording_of_id(&self, recording: &str, id: &str) -> Result<usize, SharesError> {
        self.forget(|share| *share.recording == *recording && *share.recording_id == *id)
    }

    /// The recordings to which there are links, those that are over too: the name and the id of each.
    pub fn recordings(&self) -> BTreeSet<(Arc<str>, Arc<str>)> {
        let state = self.state();
        state
            .shares
            .iter()
            .map(|share| (Arc::clone(&share.recording), Arc::clone(&share.recording_id)))
            .collect()
    }

    fn forget(&self, is_it: impl Fn(&KeptShare) -> bool) -> Result<usize, SharesError> {
        let gone = {
            let mut state = self.state();
            let gone = state.drop_shares(is_it);
            state.forgotten.extend(gone.iter().cloned());
            gone
        };
        self.write_ends()?;
        Ok(gone.len())
    }
}

impl State {
    /// The share that is forgotten so that one more has a place: of those that are over the one that has been for the longest time.
    fn makes_room_for_a_share(&self, recording: &str, now: Now) -> Result<Option<ShareId>, SharesError> {
        let own = |share: &&KeptShare| *share.recording == *recording;
        let over = |share: &KeptShare| {
            let since_ms = over_since_ms(share.revoked_ms, share.expires_ms, now)?;
            Some((since_ms, share.id.clone()))
        };
        let longest = if self.shares.iter().filter(own).count() >= SHARES_OF_A_RECORDING {
            self.shares.iter().filter(own).filter_map(over).min()
        } else if self.shares.len() >= SHARES {
            self.shares.iter().filter_map(over).min()
        } else {
            return Ok(None);
        };
        longest.map(|(_, id)| Some(id)).ok_or(SharesError::Full)
    }
}

fn check_expiry(expires_ms: Option<i64>, now: Now) -> Result<(), SharesError> {
    match expires_ms {
        Some(expires_ms) if expires_ms <= now.unix_ms => {
            Err(SharesError::Invalid("the link would have expired already".into()))
        }
        _ => Ok(()),
    }
}

/// A name as it is kept.
fn name(said: &str) -> Result<String, SharesError> {
    let name = said.trim();
    if name.len() > SHARE_NAME_BYTES || name.chars().any(is_hidden) {
        return Err(SharesError::Invalid(format!(
            "the name of a link has at most {SHARE_NAME_BYTES} bytes, and no control characters"
        )));
    }
    Ok(name.to_owned())
}
