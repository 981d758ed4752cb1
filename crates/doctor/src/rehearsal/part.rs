//! What a child process does, and where it finds what the one before it has left.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{look, make};
use crate::checks::codecs::Missing;

/// A part of the rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Says which elements of GStreamer are missing.
    Elements,
    /// Makes a take.
    Make,
    /// Looks at the file that was composed of it.
    Look,
}

impl Part {
    const ALL: [Self; 3] = [Self::Elements, Self::Make, Self::Look];

    /// As it stands on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Elements => "elements",
            Self::Make => "make",
            Self::Look => "look",
        }
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|part| part.name() == name)
            .ok_or_else(|| format!("there is no part {name:?}"))
    }
}

/// Plays a part in `folder`, and writes what it found as a line of JSON.
///
/// # Errors
/// Why it cannot be played, for people.
pub fn play(part: Part, folder: &Path, out: &mut dyn Write) -> Result<(), String> {
    match part {
        Part::Elements => tell(out, &elements()?),
        Part::Make => make::take(&take_in(folder)).and_then(|()| tell(out, &())),
        Part::Look => tell(out, &look::file(&film_in(folder))?),
    }
}

pub(crate) fn take_in(folder: &Path) -> PathBuf {
    folder.join("take")
}

pub(crate) fn film_in(folder: &Path) -> PathBuf {
    folder.join("film.mp4")
}

fn elements() -> Result<Vec<Missing>, String> {
    let missing = reelroom_composer::elements::missing().map_err(|error| error.to_string())?;
    let told = |element: reelroom_composer::elements::Element| Missing {
        factory: element.factory.to_owned(),
        package: element.package.to_owned(),
        what: element.what.to_owned(),
    };
    Ok(missing.into_iter().map(told).collect())
}

fn tell(out: &mut dyn Write, found: &impl Serialize) -> Result<(), String> {
    let mut line = serde_json::to_vec(found).expect("what is found has string keys and finite numbers only");
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_called_as_they_are_named() {
        for part in Part::ALL {
            assert_eq!(part.name().parse(), Ok(part));
        }
        assert!("other".parse::<Part>().is_err());
    }
}
