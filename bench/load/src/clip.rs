//! What everybody shows: VP8 pictures from an IVF file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

const FILE_HEADER_LEN: usize = 32;
const FRAME_HEADER_LEN: usize = 12;

/// Coded pictures; the first is a keyframe.
#[derive(Debug)]
pub(crate) struct Clip {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    pub(crate) frames: Vec<Arc<[u8]>>,
}

impl Clip {
    /// Reads an IVF file, as `ffmpeg -c:v libvpx -f ivf` writes it.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        ensure!(
            bytes.len() > FILE_HEADER_LEN && bytes.starts_with(b"DKIF") && &bytes[8..12] == b"VP80",
            "{} is no IVF file with VP8",
            path.display()
        );
        let u16_at = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let (width, height) = (u16_at(12), u16_at(14));
        let mut frames = Vec::new();
        let mut rest = &bytes[FILE_HEADER_LEN..];
        while let Some((header, after)) = rest.split_at_checked(FRAME_HEADER_LEN) {
            let len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let (frame, after) = after.split_at_checked(len).context("the file's last picture is cut")?;
            frames.push(frame.into());
            rest = after;
        }
        // RFC 6386, 9.1: the lowest bit of a frame's first byte is 0 in keyframes.
        ensure!(
            frames.first().is_some_and(|first: &Arc<[u8]>| first[0] & 1 == 0),
            "it begins with no keyframe"
        );
        Ok(Self { width, height, frames })
    }
}
