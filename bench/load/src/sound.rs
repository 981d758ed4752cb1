//! What everybody says: Opus packets of 20 ms.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

/// A voice of 32 kbit/s in packets of 20 ms.
const VOICE_PACKET_LEN: usize = 80;
/// RFC 3533, 6: of an Ogg page's header, without the table of segments.
const PAGE_HEADER_LEN: usize = 27;
const SEGMENT_COUNT_AT: usize = 26;
const LONGEST_SEGMENT: u8 = 255;
/// RFC 7845, 3: `OpusHead` and `OpusTags` come before the first packet of sound.
const HEADER_PACKETS: usize = 2;

/// Coded sound; never empty.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) packets: Vec<Arc<[u8]>>,
}

impl Sound {
    /// Silence, padded to the size of a voice (RFC 6716, 3.2.5: one frame, with padding).
    pub(crate) fn silence() -> Self {
        const CELT_20_MS_MANY_FRAMES: u8 = 0xff;
        const ONE_FRAME_AND_PADDING: u8 = 0x41;
        const SILENCE: [u8; 2] = [0xff, 0xfe];
        let padding = VOICE_PACKET_LEN - 3 - SILENCE.len();
        let mut packet = vec![CELT_20_MS_MANY_FRAMES, ONE_FRAME_AND_PADDING, padding as u8];
        packet.extend(SILENCE);
        packet.resize(VOICE_PACKET_LEN, 0);
        Self { packets: vec![packet.into()] }
    }

    /// Reads an Ogg file of one stream, as `ffmpeg -c:a libopus -frame_duration 20` writes it.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut packets =
            packets(&bytes).with_context(|| format!("{} is no whole Ogg file", path.display()))?;
        ensure!(
            packets.len() > HEADER_PACKETS && packets[0].starts_with(b"OpusHead"),
            "{} has no Opus in it",
            path.display()
        );
        packets.drain(..HEADER_PACKETS);
        Ok(Self { packets: packets.into_iter().map(Arc::from).collect() })
    }
}

/// The packets of an Ogg stream; `None` where it is cut.
fn packets(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut packets, mut packet, mut rest) = (Vec::new(), Vec::new(), bytes);
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(PAGE_HEADER_LEN)?;
        if !header.starts_with(b"OggS") {
            return None;
        }
        let (segments, mut body) = after.split_at_checked(usize::from(header[SEGMENT_COUNT_AT]))?;
        for len in segments {
            let (segment, after) = body.split_at_checked(usize::from(*len))?;
            packet.extend_from_slice(segment);
            body = after;
            if *len < LONGEST_SEGMENT {
                packets.push(std::mem::take(&mut packet));
            }
        }
        rest = body;
    }
    Some(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(segments: &[u8]) -> Vec<u8> {
        let mut page = b"OggS".to_vec();
        page.resize(SEGMENT_COUNT_AT, 0);
        page.push(segments.len() as u8);
        page.extend(segments);
        page.extend(vec![7; segments.iter().map(|len| usize::from(*len)).sum()]);
        page
    }

    #[test]
    fn packets_go_on_over_pages_and_a_cut_file_is_told() {
        let bytes = [page(&[3, 255]), page(&[255, 0, 2])].concat();
        let lengths: Vec<usize> = packets(&bytes).unwrap().iter().map(Vec::len).collect();
        assert_eq!(lengths, [3, 510, 2]);
        assert!(packets(&bytes[..bytes.len() - 1]).is_none());
        assert!(packets(b"something else, and no Ogg at all").is_none());
    }
}
