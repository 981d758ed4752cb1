//! API keys: what programs show instead of a password.
//!
//! ```text
//!   rr_7fKq2mXwPzAb _ Vq8…43 characters
//!   └ id, in lists    └ secret, shown once, kept as SHA-256
//! ```
//!
//! # Invariants
//!
//! - A key that is over (revoked, expired) opens nothing, and stays in the list until another one needs its place. A key that is not over
//!   makes room for nobody: its owner chooses which one to revoke.
//! - What its rights mean is not known here. A key has those that it was made with, for good.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::CryptoRng;
use reelroom_limits::accounts::{API_KEY_NAME_BYTES, API_KEY_RIGHT_BYTES, API_KEY_RIGHTS, API_KEYS};

use crate::error::AccountsError;
use crate::ids::{self, KeyId, RANDOM_CHARACTERS};
use crate::secret::{Secret, Shown, is_same};
use crate::state::State;
use crate::visit::is_hidden;
use crate::{Accounts, Now};

const PREFIX: &str = "rr_";
const ID_CHARACTERS: usize = PREFIX.len() + RANDOM_CHARACTERS;

/// What a key may do: a set of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights(Arc<[String]>);

impl Rights {
    /// A set of words, each once.
    ///
    /// # Errors
    /// [`AccountsError::Invalid`]: none, too many, or one that is no word or too long.
    pub fn new<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Result<Self, AccountsError> {
        let mut rights = BTreeSet::new();
        for word in words {
            let word = word.as_ref();
            let is_word = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_word || word.len() > API_KEY_RIGHT_BYTES {
                return Err(AccountsError::Invalid("a right of an API key is not known".into()));
            }
            rights.insert(word.to_owned());
            if rights.len() > API_KEY_RIGHTS {
                return Err(AccountsError::Invalid(format!(
                    "an API key has at most {API_KEY_RIGHTS} rights"
                )));
            }
        }
        if rights.is_empty() {
            return Err(AccountsError::Invalid("an API key without a right is of no use".into()));
        }
        Ok(Self(rights.into_iter().collect()))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct NewKey<'a> {
    /// What its owner calls it.
    pub name: &'a str,
    /// What it may do.
    pub rights: Rights,
    /// Unix milliseconds; `None`: it lasts until it is revoked.
    pub expires_ms: Option<i64>,
}

/// A key that was made.
#[derive(Debug)]
pub struct MadeKey {
    /// As lists show it.
    pub key: ApiKey,
    /// All of it, for the program that is to use it.
    pub secret: Shown,
    /// The key, long over, that is not listed any more to make room for it.
    pub forgotten: Option<KeyId>,
}

/// A key as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// How its text begins.
    pub id: KeyId,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub rights: Rights,
    /// Unix milliseconds.
    pub made_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: Option<i64>,
    /// Unix milliseconds of its last use.
    pub used_ms: Option<i64>,
    /// Unix milliseconds.
    pub revoked_ms: Option<i64>,
}

impl ApiKey {
    /// Since when it opens nothing any more: Unix milliseconds.
    pub fn over_since_ms(&self, now: Now) -> Option<i64> {
        let expired_ms = self.expires_ms.filter(|expires_ms| *expires_ms <= now.unix_ms);
        [self.revoked_ms, expired_ms].into_iter().flatten().min()
    }
}

/// Who shows a key that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// Which key.
    pub key: KeyId,
    /// What it may do.
    pub rights: Rights,
}

/// A key as it is kept.
pub(crate) struct KeptKey {
    pub(crate) key: ApiKey,
    secret_sha256: [u8; 32],
    /// Of what the truth says when it was used.
    pub(crate) written_ms: Option<i64>,
    pub(crate) is_revocation_written: bool,
}

impl KeptKey {
    pub(crate) fn id(&self) -> String {
        self.key.id.as_str().to_owned()
    }

    fn row(&self) -> reelroom_truth::ApiKey {
        reelroom_truth::ApiKey {
            id: self.id(),
            name: self.key.name.clone(),
            secret_sha256: self.secret_sha256,
            rights: self.key.rights.0.to_vec(),
            made_ms: self.key.made_ms,
            expires_ms: self.key.expires_ms,
            used_ms: self.key.used_ms,
            revoked_ms: self.key.revoked_ms,
        }
    }
}

impl From<reelroom_truth::ApiKey> for KeptKey {
    fn from(row: reelroom_truth::ApiKey) -> Self {
        let key = ApiKey {
            id: row.id.into(),
            name: row.name,
            rights: Rights(row.rights.into()),
            made_ms: row.made_ms,
            expires_ms: row.expires_ms,
            used_ms: row.used_ms,
            revoked_ms: row.revoked_ms,
        };
        Self {
            written_ms: key.used_ms,
            is_revocation_written: key.revoked_ms.is_some(),
            secret_sha256: row.secret_sha256,
            key,
        }
    }
}

impl Accounts {
    /// Makes a key.
    ///
    /// # Errors
    /// [`AccountsError::Invalid`], [`AccountsError::Full`], [`AccountsError::Truth`].
    pub fn make_key(
        &self,
        new: NewKey<'_>,
        now: Now,
        rng: &mut impl CryptoRng,
    ) -> Result<MadeKey, AccountsError> {
        let secret = Secret::new(rng);
        let key = ApiKey {
            id: ids::new(PREFIX, rng).into(),
            name: name(new.name)?,
            rights: new.rights,
            made_ms: now.unix_ms,
            expires_ms: new.expires_ms,
            used_ms: None,
            revoked_ms: None,
        };
        if key.over_since_ms(now).is_some() {
            return Err(AccountsError::Invalid("the API key would have expired already".into()));
        }
        let kept = KeptKey {
            key: key.clone(),
            secret_sha256: secret.sha256(),
            written_ms: None,
            is_revocation_written: false,
        };
        let _changing = self.changing();
        let forgotten = self.state().makes_room_for_a_key(now)?;
        self.truth.add_api_key(&kept.row(), forgotten.as_ref().map(KeyId::as_str))?;
        let mut state = self.state();
        state.keys.retain(|kept| forgotten.as_ref() != Some(&kept.key.id));
        state.keys.push(kept);
        let secret = Shown(format!("{}_{}", key.id, secret.text()));
        Ok(MadeKey { key, secret, forgotten })
    }

    /// All keys, those that are over too, the newest in front.
    pub fn keys(&self) -> Vec<ApiKey> {
        let mut all: Vec<ApiKey> = self.state().keys.iter().map(|kept| kept.key.clone()).collect();
        all.sort_by(|one, other| (other.made_ms, &other.id).cmp(&(one.made_ms, &one.id)));
        all
    }

    /// What its owner calls a key that is listed, in force or not.
    pub fn key_name(&self, id: &KeyId) -> Option<String> {
        self.state().keys.iter().find(|kept| kept.key.id == *id).map(|kept| kept.key.name.clone())
    }

    /// Who shows this, if it is a key in force; it is used now.
    pub fn key(&self, shown: &str, now: Now) -> Option<Bearer> {
        let (id, secret) = shown.split_at_checked(ID_CHARACTERS)?;
        let sha256 = Secret::parse(secret.strip_prefix('_')?)?.sha256();
        let mut state = self.state();
        let kept = state.keys.iter_mut().find(|kept| kept.key.id.as_str() == id)?;
        if !is_same(&kept.secret_sha256, &sha256) || kept.key.over_since_ms(now).is_some() {
            return None;
        }
        kept.key.used_ms = kept.key.used_ms.max(Some(now.unix_ms));
        Some(Bearer { key: kept.key.id.clone(), rights: kept.key.rights.clone() })
    }

    /// Revokes a key. One that is revoked already stays as it is.
    ///
    /// # Errors
    /// [`AccountsError::Unknown`]; [`AccountsError::Truth`]: it is revoked, and is in force again if the program is started again before
    /// that was written down. Revoking it again, or [`Accounts::keep`], tries that again.
    pub fn revoke_key(&self, id: &KeyId, now: Now) -> Result<(), AccountsError> {
        let mut state = self.state();
        let kept = state.keys.iter_mut().find(|kept| kept.key.id == *id).ok_or(AccountsError::Unknown)?;
        kept.key.revoked_ms.get_or_insert(now.unix_ms);
        drop(state);
        self.write_ends()
    }
}

impl State {
    /// The key that is forgotten so that one more has a place: of those that are over the one that has been for the longest time.
    fn makes_room_for_a_key(&self, now: Now) -> Result<Option<KeyId>, AccountsError> {
        if self.keys.len() < API_KEYS {
            return Ok(None);
        }
        let over = self.keys.iter().filter_map(|kept| Some((kept.key.over_since_ms(now)?, &kept.key.id)));
        let (_, longest) = over.min().ok_or(AccountsError::Full)?;
        Ok(Some(longest.clone()))
    }
}

/// A name as it is kept.
fn name(said: &str) -> Result<String, AccountsError> {
    let name = said.trim();
    if name.is_empty() || name.len() > API_KEY_NAME_BYTES || name.chars().any(is_hidden) {
        return Err(AccountsError::Invalid(format!(
            "the name of an API key has 1 to {API_KEY_NAME_BYTES} bytes, and no control characters"
        )));
    }
    Ok(name.to_owned())
}
