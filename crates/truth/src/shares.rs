//! Links to one recording, and who watched by them.
//!
//! # Invariants
//!
//! - A view and its share's count of views are one transaction: a view that is not listed any more is still counted.
//! - A share goes with its views. What is written of a view or a share that is gone brings nothing back.

use rusqlite::{Connection, params};

use crate::{Truth, TruthError};

/// A link to one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// No secret.
    pub id: String,
    /// The name of the recording.
    pub recording: String,
    /// Its id, which tells it from a later one of that name.
    pub recording_id: String,
    /// What whoever made it calls it; may be empty.
    pub name: String,
    /// Of the secret in it.
    pub secret_sha256: [u8; 32],
    /// How its password was hashed, the salt and the hash, as a PHC text.
    pub password: Option<String>,
    /// Whether the file may be kept, and not only played.
    pub may_download: bool,
    /// Unix milliseconds.
    pub made_ms: i64,
    /// Unix milliseconds.
    pub expires_ms: Option<i64>,
    /// Unix milliseconds.
    pub revoked_ms: Option<i64>,
    /// How many views there were, those included that are not listed any more.
    pub views: i64,
    /// When the last one began: Unix milliseconds.
    pub viewed_ms: Option<i64>,
}

/// Somebody watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareView {
    /// No secret.
    pub id: String,
    /// The link they came by.
    pub share: String,
    /// Unix milliseconds.
    pub begun_ms: i64,
    /// Unix milliseconds of the last sign of them that is written down.
    pub seen_ms: i64,
    /// From where, if that can be told.
    pub address: Option<String>,
    /// Bytes of the file that were sent to them, some of them perhaps more than once.
    pub sent_bytes: i64,
    /// The end of the furthest part of the file that was sent to them.
    pub reached_bytes: i64,
}

/// What happened to shares and views since it was last written down.
#[derive(Clone, Debug, Default)]
pub struct ShareNews {
    /// Shares that were revoked, each with Unix milliseconds.
    pub revoked: Vec<(String, i64)>,
    /// Shares whose recording was deleted.
    pub forgotten: Vec<String>,
    /// Views that went on, as they are now.
    pub seen: Vec<ShareView>,
}

impl ShareNews {
    /// Whether there is nothing to write down.
    pub fn is_nothing(&self) -> bool {
        self.revoked.is_empty() && self.forgotten.is_empty() && self.seen.is_empty()
    }
}

const SHARE: &str = "id, recording, recording_id, name, secret_sha256, password, may_download, made_ms, expires_ms, \
                     revoked_ms, views, viewed_ms";

impl Truth {
    /// All shares, those that are over too.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn shares(&self) -> Result<Vec<Share>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached(&format!("SELECT {SHARE} FROM shares"))?
                .query_map([], |row| {
                    Ok(Share {
                        id: row.get(0)?,
                        recording: row.get(1)?,
                        recording_id: row.get(2)?,
                        name: row.get(3)?,
                        secret_sha256: row.get(4)?,
                        password: row.get(5)?,
                        may_download: row.get(6)?,
                        made_ms: row.get(7)?,
                        expires_ms: row.get(8)?,
                        revoked_ms: row.get(9)?,
                        views: row.get(10)?,
                        viewed_ms: row.get(11)?,
                    })
                })?
                .collect()
        })
    }

    /// Keeps a new share, and forgets the one that makes room for it.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn add_share(&self, share: &Share, instead_of: Option<&str>) -> Result<(), TruthError> {
        self.write_now(|db| {
            if let Some(id) = instead_of {
                remove(db, id)?;
            }
            db.prepare_cached(&format!(
                "INSERT INTO shares ({SHARE}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
            ))?
            .execute(params![
                share.id,
                share.recording,
                share.recording_id,
                share.name,
                share.secret_sha256,
                share.password,
                share.may_download,
                share.made_ms,
                share.expires_ms,
                share.revoked_ms,
                share.views,
                share.viewed_ms,
            ])
            .map(drop)
        })
    }

    /// Keeps what can be changed of a share: its name, its password, what it grants and until when.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn change_share(&self, share: &Share) -> Result<(), TruthError> {
        self.write_now(|db| {
            db.prepare_cached(
                "UPDATE shares SET name = ?2, password = ?3, may_download = ?4, expires_ms = ?5 WHERE id = ?1",
            )?
            .execute(params![share.id, share.name, share.password, share.may_download, share.expires_ms])
            .map(drop)
        })
    }

    /// Somebody begins to watch. Of the views of a share the newest `most` stay.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn begin_share_view(&self, view: &ShareView, most: usize) -> Result<(), TruthError> {
        self.write_now(|db| {
            let counted = db
                .prepare_cached(
                    "UPDATE shares SET views = views + 1, viewed_ms = max(ifnull(viewed_ms, ?2), ?2) WHERE id = ?1",
                )?
                .execute(params![view.share, view.begun_ms])?;
            if counted == 0 {
                return Ok(());
            }
            db.prepare_cached(
                "INSERT INTO share_views (id, share, begun_ms, seen_ms, address, sent_bytes, reached_bytes) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                view.id,
                view.share,
                view.begun_ms,
                view.seen_ms,
                view.address,
                view.sent_bytes,
                view.reached_bytes,
            ])?;
            db.prepare_cached(
                "DELETE FROM share_views WHERE share = ?1 AND id NOT IN \
                 (SELECT id FROM share_views WHERE share = ?1 ORDER BY begun_ms DESC, id DESC LIMIT ?2)",
            )?
            .execute(params![view.share, i64::try_from(most).unwrap_or(i64::MAX)])
            .map(drop)
        })
    }

    /// The views of a share that are listed, the newest in front.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn share_views(&self, share: &str) -> Result<Vec<ShareView>, TruthError> {
        self.read_now(|db| {
            db.prepare_cached(
                "SELECT id, share, begun_ms, seen_ms, address, sent_bytes, reached_bytes FROM share_views \
                 WHERE share = ?1 ORDER BY begun_ms DESC, id DESC",
            )?
            .query_map([share], |row| {
                Ok(ShareView {
                    id: row.get(0)?,
                    share: row.get(1)?,
                    begun_ms: row.get(2)?,
                    seen_ms: row.get(3)?,
                    address: row.get(4)?,
                    sent_bytes: row.get(5)?,
                    reached_bytes: row.get(6)?,
                })
            })?
            .collect()
        })
    }

    /// Writes down what happened.
    ///
    /// # Errors
    /// [`TruthError::Failed`].
    pub fn keep_share_news(&self, news: &ShareNews) -> Result<(), TruthError> {
        self.write_now(|db| {
            news.forgotten.iter().try_for_each(|id| remove(db, id))?;
            let mut revoke =
                db.prepare_cached("UPDATE shares SET revoked_ms = ifnull(revoked_ms, ?2) WHERE id = ?1")?;
            for (id, at_ms) in &news.revoked {
                revoke.execute(params![id, at_ms])?;
            }
            let mut see = db.prepare_cached(
                "UPDATE share_views SET seen_ms = max(seen_ms, ?2), sent_bytes = max(sent_bytes, ?3), \
                 reached_bytes = max(reached_bytes, ?4) WHERE id = ?1",
            )?;
            for view in &news.seen {
                see.execute(params![view.id, view.seen_ms, view.sent_bytes, view.reached_bytes])?;
            }
            Ok(())
        })
    }
}

fn remove(db: &Connection, id: &str) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM share_views WHERE share = ?1")?.execute([id])?;
    db.prepare_cached("DELETE FROM shares WHERE id = ?1")?.execute([id]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(id: &str) -> Share {
        Share {
            id: id.into(),
            recording: "a.mp4".into(),
            recording_id: "EG_1".into(),
            name: "for Ada".into(),
            secret_sha256: [5; 32],
            password: Some("$argon2id$".into()),
            may_download: true,
            made_ms: 1,
            expires_ms: Some(9),
            revoked_ms: None,
            views: 0,
            viewed_ms: None,
        }
    }

    fn view(id: &str, begun_ms: i64) -> ShareView {
        ShareView {
            id: id.into(),
            share: "SH_1".into(),
            begun_ms,
            seen_ms: begun_ms,
            address: Some("192.0.2.1".into()),
            sent_bytes: 0,
            reached_bytes: 0,
        }
    }

    fn open(folder: &tempfile::TempDir) -> Truth {
        Truth::open(&folder.path().join("truth.db")).unwrap()
    }

    #[test]
    fn a_share_and_its_views_are_there_again_as_they_were_changed() {
        let folder = tempfile::tempdir().unwrap();
        let truth = open(&folder);
        truth.add_share(&share("SH_0"), None).unwrap();
        truth.add_share(&share("SH_1"), Some("SH_0")).unwrap();
        let changed = Share {
            name: String::new(),
            password: None,
            may_download: false,
            expires_ms: None,
            // What is no matter of this call stays.
            recording: "b.mp4".into(),
            revoked_ms: Some(1),
            ..share("SH_1")
        };
        truth.change_share(&changed).unwrap();
        truth.begin_share_view(&view("VW_1", 3), 10).unwrap();
        let later = ShareView { seen_ms: 7, sent_bytes: 6, reached_bytes: 5, ..view("VW_1", 3) };
        let nobody = ShareView { id: "VW_nobody".into(), ..later.clone() };
        let revoked = vec![("SH_1".into(), 8), ("SH_nobody".into(), 8)];
        let news = ShareNews { revoked, seen: vec![later.clone(), nobody], ..ShareNews::default() };
        truth.keep_share_news(&news).unwrap();
        // What was known earlier takes nothing back.
        let earlier = ShareNews { revoked: vec![("SH_1".into(), 9)], seen: vec![view("VW_1", 3)], ..news };
        truth.keep_share_news(&earlier).unwrap();
        drop(truth);

        let truth = open(&folder);
        let expected =
            Share { recording: "a.mp4".into(), revoked_ms: Some(8), views: 1, viewed_ms: Some(3), ..changed };
        assert_eq!(truth.shares().unwrap(), [expected]);
        assert_eq!(truth.share_views("SH_1").unwrap(), [later]);
        assert!(truth.share_views("SH_0").unwrap().is_empty());
        let news = ShareNews { forgotten: vec!["SH_1".into()], ..ShareNews::default() };
        assert!(!news.is_nothing() && ShareNews::default().is_nothing());
        truth.keep_share_news(&news).unwrap();
        assert!(truth.shares().unwrap().is_empty() && truth.share_views("SH_1").unwrap().is_empty());
    }

    #[test]
    fn the_newest_views_are_listed_and_all_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let truth = open(&folder);
        truth.add_share(&share("SH_1"), None).unwrap();
        truth.add_share(&share("SH_2"), None).unwrap();
        let other = ShareView { share: "SH_2".into(), ..view("VW_other", 1) };
        truth.begin_share_view(&other, 2).unwrap();
        for number in 1..=5 {
            truth.begin_share_view(&view(&format!("VW_{number}"), number), 2).unwrap();
        }
        let listed: Vec<String> =
            truth.share_views("SH_1").unwrap().into_iter().map(|view| view.id).collect();
        assert_eq!(listed, ["VW_5", "VW_4"]);
        assert_eq!(truth.share_views("SH_2").unwrap(), [other]);
        let counts: Vec<_> =
            truth.shares().unwrap().into_iter().map(|share| (share.views, share.viewed_ms)).collect();
        assert_eq!(counts, [(5, Some(5)), (1, Some(1))]);
        let gone = ShareView { share: "SH_gone".into(), ..view("VW_6", 6) };
        truth.begin_share_view(&gone, 2).unwrap();
        assert!(truth.share_views("SH_gone").unwrap().is_empty(), "nobody watches by what is gone");
    }
}
