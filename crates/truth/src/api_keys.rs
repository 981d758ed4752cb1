//! What programs show instead of a password.

use rusqlite::params;

use crate::{Truth, TruthError};

/// An API key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// How its text begins; no secret.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// Of the secret in it.
    pub secret_sha256: [u8; 32],
    /// What it may do: words without spaces.
    pub rights: Vec<String>,
    /// Unix milliseconds.
    pub made_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: Option<i64>,
    /// Unix milliseconds of the last use that is written down.
    pub used_ms: Option<i64>,
    /// Unix milliseconds.
    pub revoked_ms: Option<i64>,
}

impl Truth {
    /// All API keys, those that are over too.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn api_keys(&self) -> Result<Vec<ApiKey>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached(
                "SELECT id, name, secret_sha256, rights, made_ms, expires_ms, used_ms, revoked_ms FROM api_keys",
            )?
            .query_map([], |row| {
                let rights: String = row.get(3)?;
                Ok(ApiKey {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    secret_sha256: row.get(2)?,
                    rights: rights.split_whitespace().map(str::to_owned).collect(),
                    made_ms: row.get(4)?,
                    expires_ms: row.get(5)?,
                    used_ms: row.get(6)?,
                    revoked_ms: row.get(7)?,
                })
            })?
            .collect()
        })
    }

    /// Keeps a new key, and forgets the one that makes room for it.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn add_api_key(&self, key: &ApiKey, instead_of: Option<&str>) -> Result<(), TruthError> {
        self.write_now(|db| {
            if let Some(id) = instead_of {
                db.execute("DELETE FROM api_keys WHERE id = ?1", [id])?;
            }
            db.prepare_cached(
                "INSERT INTO api_keys (id, name, secret_sha256, rights, made_ms, expires_ms, used_ms, revoked_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                key.id,
                key.name,
                key.secret_sha256,
                key.rights.join(" "),
                key.made_ms,
                key.expires_ms,
                key.used_ms,
                key.revoked_ms,
            ])
            .map(drop)
        })
    }
}
