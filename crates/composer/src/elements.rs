//! The GStreamer elements that composing needs, each with the Debian package that brings it, said once.
//!
//! An element is looked for when it is needed; whoever wants to know before a recording is over asks [`missing`].

use gstreamer as gst;

use crate::{error::ComposeError, filter};

/// An element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its factory's name.
    pub factory: &'static str,
    /// The Debian package that brings it.
    pub package: &'static str,
    /// What it is needed for, in words that stand behind "to".
    pub what: &'static str,
}

const fn element(factory: &'static str, package: &'static str, what: &'static str) -> Element {
    Element { factory, package, what }
}

pub(crate) const VP8: Element = element("vp8dec", "gstreamer1.0-plugins-good", "read VP8 pictures");
pub(crate) const VP9: Element = element("vp9dec", "gstreamer1.0-plugins-good", "read VP9 pictures");
pub(crate) const H264: Element = element("avdec_h264", "gstreamer1.0-libav", "read H.264 pictures");
pub(crate) const AV1: Element = element("av1dec", "gstreamer1.0-plugins-bad", "read AV1 pictures");
/// Twice as fast as [`AV1`], but not everywhere.
pub(crate) const DAV1D: Element = element("dav1ddec", "gst-plugin-dav1d", "read AV1 pictures");
pub(crate) const OPUS: Element = element("opusdec", "gstreamer1.0-plugins-base", "read sound");
pub(crate) const X264: Element = element("x264enc", "gstreamer1.0-plugins-ugly", "write the file's pictures");
pub(crate) const AAC: Element = element("avenc_aac", "gstreamer1.0-libav", "write the file's sound");
pub(crate) const TEXT: Element = element("textrender", "gstreamer1.0-x", "draw names");

/// Those that any recording may need. Of AV1 either element will do.
pub const NEEDED: [Element; 8] = [VP8, VP9, H264, AV1, OPUS, X264, AAC, TEXT];

/// Those of [`NEEDED`] that this machine lacks.
///
/// # Errors
/// GStreamer itself cannot be started.
pub fn missing() -> Result<Vec<Element>, ComposeError> {
    filter::start()?;
    let is_there = |element: &Element| gst::ElementFactory::find(element.factory).is_some();
    let is_missing = |element: &Element| !(is_there(element) || *element == AV1 && is_there(&DAV1D));
    Ok(NEEDED.into_iter().filter(is_missing).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_that_setup_installs_bring_every_element() {
        assert_eq!(missing().expect("GStreamer starts"), [], "scripts/setup test installs what is missing");
    }
}
