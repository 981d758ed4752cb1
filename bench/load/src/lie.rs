//! What a sender's reports say that is not so.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Whose reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Pictures,
    Sound,
}

/// From a time on, one track's sender reports say that its media were taken earlier than they were.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lie {
    about: About,
    /// Since media began to be sent.
    from: Duration,
    by: Duration,
}

/// By how much reports about a track are wrong at a time; the last lie counts.
pub(crate) fn told(lies: &[Lie], about: About, at: Duration) -> Duration {
    lies.iter().rfind(|lie| lie.about == about && lie.from <= at).map_or(Duration::ZERO, |lie| lie.by)
}

/// `sound:4:0.7` or `pictures:4:0.7`: from second 4 on, by 0.7 s.
impl FromStr for Lie {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split(':');
        let about = match parts.next() {
            Some("sound") => About::Sound,
            Some("pictures") => About::Pictures,
            _ => bail!("a lie is about \"sound\" or \"pictures\""),
        };
        let mut seconds = || -> anyhow::Result<Duration> {
            let seconds: f64 = parts.next().context("a lie has two times")?.parse()?;
            Ok(Duration::try_from_secs_f64(seconds)?)
        };
        Ok(Self { about, from: seconds()?, by: seconds()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lie_that_has_begun_counts() {
        let lies: Vec<Lie> =
            ["sound:1:0.5", "pictures:2:3", "sound:4:0"].map(|lie| lie.parse().unwrap()).into();
        let sound = |s| told(&lies, About::Sound, Duration::from_secs(s)).as_millis();
        assert_eq!([0, 1, 3, 4].map(sound), [0, 500, 500, 0]);
        assert_eq!(told(&lies, About::Pictures, Duration::from_secs(2)).as_secs(), 3);
        assert!(
            "sound:1".parse::<Lie>().is_err()
                && "taste:1:1".parse::<Lie>().is_err()
                && "sound:1:-1".parse::<Lie>().is_err()
        );
    }
}
