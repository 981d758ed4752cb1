//! How the log stands.

use crate::Audit;

/// How the log stands: what is not in it, or not yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Acts that wait for the disk.
    pub unwritten: usize,
    /// Acts that found no place since the program began.
    pub lost: u64,
    /// Why nothing is written at present.
    pub trouble: Option<String>,
}

impl Audit {
    /// How the log stands.
    pub fn standing(&self) -> Standing {
        let waiting = self.waiting();
        Standing {
            unwritten: waiting.acts.len() + waiting.under_way,
            lost: waiting.lost,
            trouble: waiting.trouble.clone(),
        }
    }
}
