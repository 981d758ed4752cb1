//! Which run of the program an event is of. Numbers of changes begin anew with each: one of another run says nothing.
//!
//! ```text
//!   2f81c09a44d0b7e3-17: the 17th change of that run
//! ```

use rand::Rng;
use reelroom_library::ChangeNumber;

/// A run of the program.
pub(crate) struct Run(u64);

impl Run {
    pub(crate) fn new(rng: &mut impl Rng) -> Self {
        Self(rng.random())
    }

    /// The id of an event behind which whoever follows has seen `number`.
    pub(crate) fn event_id(&self, number: ChangeNumber) -> String {
        format!("{:016x}-{}", self.0, number.get())
    }

    /// What whoever had that event has seen; `None` where it is none of this run.
    pub(crate) fn seen(&self, event_id: &str) -> Option<ChangeNumber> {
        let (run, number) = event_id.split_once('-')?;
        let run = u64::from_str_radix(run, 16).ok()?;
        let number: u64 = number.parse().ok()?;
        (run == self.0).then(|| number.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_another_run_says_nothing() {
        let (run, other) = (Run(7), Run(8));
        let number = ChangeNumber::from(17);
        assert_eq!(run.seen(&run.event_id(number)), Some(number));
        assert_eq!(run.seen(&other.event_id(number)), None);
        for id in ["", "7", "7-", "-7", "7-x", "0000000000000007-99999999999999999999"] {
            assert_eq!(run.seen(id), None, "{id}");
        }
    }
}
