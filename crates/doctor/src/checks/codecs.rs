//! What pictures and sound are read and written with: GStreamer's elements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::line::{Check, Line};
use crate::trouble::troubles;

troubles! { Codecs:
    MISSING = Bad "codecs-missing",
        "Elements of GStreamer that recordings need are not installed: what was received is kept, and no file is made of it.",
        "Run `apt install {package}`; if it is installed, unset GST_PLUGIN_PATH and GST_PLUGIN_SYSTEM_PATH.";
    NO_GSTREAMER = Bad "codecs-no-gstreamer",
        "GStreamer does not start, or ends the program that loads it.",
        "Run `gst-inspect-1.0 x264enc` to see what it says, and `apt install --reinstall libgstreamer1.0-0`; plugins of another version in \
         GST_PLUGIN_PATH are a common cause.";
}

/// What is known of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecFacts {
    /// Those that are missing, or why nobody knows.
    pub missing: Result<Vec<Missing>, String>,
    /// How many are needed.
    pub needed: usize,
}

impl CodecFacts {
    /// Whether a recording can be made with them.
    #[must_use]
    pub fn are_there(&self) -> bool {
        matches!(&self.missing, Ok(missing) if missing.is_empty())
    }
}

/// An element that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The element.
    pub factory: String,
    /// The Debian package that brings it.
    pub package: String,
    /// What it is needed for, in words behind "to".
    pub what: String,
}

/// The verdict.
#[must_use]
pub fn check(facts: &CodecFacts) -> Vec<Line> {
    let missing = match &facts.missing {
        Ok(missing) => missing,
        Err(why) => return vec![NO_GSTREAMER.said(why)],
    };
    if missing.is_empty() {
        let said = format!("all {} elements of GStreamer that recordings need are there", facts.needed);
        return vec![Line::ok(Check::Codecs, said)];
    }
    let mut packages: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Missing { factory, package, what } in missing {
        packages.entry(package).or_default().push(format!("{factory} to {what}"));
    }
    let line = |(package, elements): (&str, Vec<String>)| {
        MISSING.filled(format!("{} is missing", elements.join(", ")), &[("package", package)])
    };
    packages.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(factory: &str, package: &str, what: &str) -> Missing {
        Missing { factory: factory.into(), package: package.into(), what: what.into() }
    }

    #[test]
    fn what_is_missing_is_told_by_the_package_that_brings_it() {
        let well = CodecFacts { missing: Ok(Vec::new()), needed: 8 };
        assert!(well.are_there() && check(&well)[0].code.is_none());
        let facts = CodecFacts {
            missing: Ok(vec![
                missing("avdec_h264", "gstreamer1.0-libav", "read H.264 pictures"),
                missing("x264enc", "gstreamer1.0-plugins-ugly", "write the file's pictures"),
                missing("avenc_aac", "gstreamer1.0-libav", "write the file's sound"),
            ]),
            needed: 8,
        };
        let lines = check(&facts);
        assert!(!facts.are_there());
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].said.contains("avdec_h264 to read H.264 pictures, avenc_aac"), "{lines:?}");
        assert!(lines[0].todo.as_ref().unwrap().contains("apt install gstreamer1.0-libav"), "{lines:?}");
        let broken = CodecFacts { missing: Err("it ended with signal 4".into()), needed: 8 };
        assert_eq!(check(&broken)[0].code, Some("codecs-no-gstreamer"));
    }
}
