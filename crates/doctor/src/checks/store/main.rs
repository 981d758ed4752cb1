//! The store of recordings.

use super::{StoreFacts, Troubles, judged};
use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { Store:
    NO_ANSWER = Bad "store-no-answer",
        "The bucket does not answer, does not exist, or lets nobody in with these keys.",
        "Correct S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY or AWS_REGION by what the line says; docs/storing.md says what the key has to be \
         allowed.";
    NOT_WRITTEN = Bad "store-not-written",
        "The bucket answers, and takes nothing or gives back something else.",
        "Allow the key s3:PutObject and s3:GetObject below RECORDINGS_PATH in S3_BUCKET, and look at quotas (docs/storing.md).";
    NOT_DELETED = Warn "store-not-deleted",
        "The bucket takes what is stored and does not delete it: nobody can delete recordings.",
        "Allow the key s3:DeleteObject below RECORDINGS_PATH in S3_BUCKET, and delete {name} there.";
}

const ALL: Troubles = Troubles {
    check: Check::Store,
    no_answer: NO_ANSWER,
    not_written: NOT_WRITTEN,
    not_deleted: NOT_DELETED,
};

/// The verdict.
#[must_use]
pub fn check(facts: &StoreFacts) -> Vec<Line> {
    vec![judged(facts, &ALL)]
}

#[cfg(test)]
mod tests {
    use super::super::Tried;
    use super::*;

    #[test]
    fn a_store_is_judged_by_how_far_it_goes() {
        let of = |tried| check(&StoreFacts { what: "bucket b at s3.example.org".into(), tried }).remove(0);
        assert_eq!(of(Tried::NotNeeded).code, None);
        assert_eq!(of(Tried::Works).code, None);
        assert_eq!(of(Tried::NoAnswer("access denied".into())).code, Some("store-no-answer"));
        assert_eq!(of(Tried::NotWritten("quota".into())).code, Some("store-not-written"));
        let left =
            of(Tried::NotDeleted { name: "recordings/reelroom-doctor-1".into(), reason: "denied".into() });
        assert_eq!(left.code, Some("store-not-deleted"));
        assert!(left.todo.unwrap().contains("delete recordings/reelroom-doctor-1 there"));
    }
}
