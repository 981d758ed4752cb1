//! The backup store.

use super::{StoreFacts, Troubles, judged};
use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { BackupStore:
    NO_ANSWER = Bad "backup-no-answer",
        "The backup store does not answer, is not there, or lets nobody in.",
        "Correct BACKUP_PATH, or BACKUP_S3_ENDPOINT, BACKUP_S3_BUCKET, BACKUP_S3_ACCESS_KEY, BACKUP_S3_SECRET_KEY or BACKUP_AWS_REGION by what the line \
         says.";
    NOT_WRITTEN = Bad "backup-not-written",
        "The backup store takes nothing, or gives back something else.",
        "Let the user that the server runs as write into BACKUP_PATH, or allow the key s3:PutObject and s3:GetObject in BACKUP_S3_BUCKET.";
    NOT_DELETED = Warn "backup-not-deleted",
        "The backup store takes what is stored and does not delete it: what is moved to the store stays there, too.",
        "Allow the key s3:DeleteObject in BACKUP_S3_BUCKET, and delete {name} there.";
}

const ALL: Troubles = Troubles {
    check: Check::BackupStore,
    no_answer: NO_ANSWER,
    not_written: NOT_WRITTEN,
    not_deleted: NOT_DELETED,
};

/// The verdict; nothing where there is none.
#[must_use]
pub fn check(facts: Option<&StoreFacts>) -> Vec<Line> {
    facts.map(|facts| judged(facts, &ALL)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::Tried;
    use super::*;

    #[test]
    fn a_backup_store_has_remedies_of_its_own() {
        assert!(check(None).is_empty());
        let facts =
            StoreFacts { what: "/mnt/backup".into(), tried: Tried::NoAnswer("it is not there".into()) };
        let line = check(Some(&facts)).remove(0);
        assert_eq!(line.code, Some("backup-no-answer"));
        assert!(line.todo.unwrap().contains("BACKUP_PATH"));
    }
}
