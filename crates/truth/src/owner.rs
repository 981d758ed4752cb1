//! The owner's password, and the link that sets it.

use std::fmt;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::sessions::{self, Session};
use crate::{Truth, TruthError};

/// The owner's password, and what is renewed with it.
#[derive(Clone)]
pub struct Owner {
    /// How it was hashed, the salt and the hash, as a PHC text.
    pub password: String,
    /// Signs the marks of browsers in which the owner signed in.
    pub mark_key: [u8; 32],
    /// Unix milliseconds.
    pub set_ms: i64,
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("set_ms", &self.set_ms).finish_non_exhaustive()
    }
}

/// A link that sets the owner's password once.
#[derive(Clone, Debug)]
pub struct OwnerLink {
    /// No other link had it.
    pub id: String,
    /// Of the secret in it.
    pub secret_sha256: [u8; 32],
    /// Unix milliseconds.
    pub made_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: i64,
}

/// What gives the right to set the password.
#[derive(Clone, Copy, Debug)]
pub enum SetBy<'a> {
    /// The link of this id, which is used up.
    Link(&'a str),
    /// The password before.
    Password,
}

/// A password takes the place of the one before.
#[derive(Clone, Copy, Debug)]
pub struct NewPassword<'a> {
    /// With the new password.
    pub owner: &'a Owner,
    /// What gives the right to it.
    pub by: SetBy<'a>,
    /// The only session that there is afterwards.
    pub session: &'a Session,
}

impl Truth {
    /// The owner, once a password is set.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn owner(&self) -> Result<Option<Owner>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached("SELECT password, mark_key, set_ms FROM owner")?
                .query_row([], |row| {
                    Ok(Owner { password: row.get(0)?, mark_key: row.get(1)?, set_ms: row.get(2)? })
                })
                .optional()
        })
    }

    /// The link that sets the password, expired or not.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn owner_link(&self) -> Result<Option<OwnerLink>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached("SELECT id, secret_sha256, made_ms, expires_ms FROM owner_link")?
                .query_row([], |row| {
                    Ok(OwnerLink {
                        id: row.get(0)?,
                        secret_sha256: row.get(1)?,
                        made_ms: row.get(2)?,
                        expires_ms: row.get(3)?,
                    })
                })
                .optional()
        })
    }

    /// Keeps a link in the place of the one before.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn put_owner_link(&self, link: &OwnerLink) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.execute(
                "INSERT OR REPLACE INTO owner_link (one, id, secret_sha256, made_ms, expires_ms) VALUES (1, ?1, ?2, ?3, ?4)",
                params![link.id, link.secret_sha256, link.made_ms, link.expires_ms],
            )
            .map(drop)
        })
    }

    /// Sets the password, uses up the link and any other, ends all sessions and begins one; all of it or, where the link is not there any
    /// more, nothing: then the answer is `false`.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn set_password(&self, new: NewPassword<'_>) -> Result<bool, TruthError> {
        self.write_now(|db| {
            if let SetBy::Link(id) = new.by {
                let used = db.execute("DELETE FROM owner_link WHERE id = ?1", [id])?;
                if used == 0 {
                    return Ok(false);
                }
            }
            db.execute("DELETE FROM owner_link", [])?;
            put(db, new.owner)?;
            db.execute("DELETE FROM sessions", [])?;
            sessions::put(db, new.session)?;
            Ok(true)
        })
    }
}

fn put(db: &Connection, owner: &Owner) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO owner (one, password, mark_key, set_ms) VALUES (1, ?1, ?2, ?3)",
    )?
    .execute(params![owner.password, owner.mark_key, owner.set_ms])
    .map(drop)
}
