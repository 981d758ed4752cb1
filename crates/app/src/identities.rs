//! Identities given lately, so that two people of a name are two participants.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::Rng as _;
use rand::distr::Alphanumeric;

/// How long a participant may take from its token into the room.
const ON_THE_WAY: Duration = Duration::from_secs(30);
const SUFFIX_CHARS: usize = 4;
/// Who is on the way is remembered for politeness alone: the media server lets no token of ours throw anybody out.
const MOST_ON_THE_WAY: usize = 10_000;

/// Identities given lately. A second participant of a name would push the first out of the room.
#[derive(Default)]
pub(crate) struct Identities {
    given: Mutex<HashMap<(String, String), Instant>>,
}

impl Identities {
    /// The name itself while it is free in the room, otherwise the name and a random ending.
    pub(crate) fn reserve(&self, room: &str, name: &str, present: &[String], now: Instant) -> String {
        let mut given = self.given.lock().expect("no code panics while it holds the identities");
        given.retain(|_, at| now.saturating_duration_since(*at) < ON_THE_WAY);
        let mut identity = name.to_owned();
        while present.contains(&identity) || given.contains_key(&(room.to_owned(), identity.clone())) {
            let suffix: String =
                rand::rng().sample_iter(Alphanumeric).take(SUFFIX_CHARS).map(char::from).collect();
            identity = format!("{name}-{suffix}");
        }
        if given.len() < MOST_ON_THE_WAY {
            given.insert((room.to_owned(), identity.clone()), now);
        }
        identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_use_or_on_its_way_gets_an_identity_of_its_own() {
        let identities = Identities::default();
        let now = Instant::now();
        assert_eq!(identities.reserve("r", "Ada", &[], now), "Ada");
        let second = identities.reserve("r", "Ada", &[], now);
        assert!(second.starts_with("Ada-") && second.len() == 8, "{second}");
        assert_eq!(identities.reserve("other", "Ada", &[], now), "Ada");
        let later = now + ON_THE_WAY;
        assert_ne!(identities.reserve("r", "Ada", &["Ada".into()], later), "Ada");
        assert_eq!(identities.reserve("r", "Ada", &[], later), "Ada");
    }
}
