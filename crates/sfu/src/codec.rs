//! The codecs that are forwarded, and what of their payloads a forwarder must know: where a keyframe begins.

/// A codec that this server negotiates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Codec {
    Opus,
    Vp8,
    H264,
}

impl Codec {
    /// As in `TrackInfo.mimeType`.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::Vp8 => "video/VP8",
            Self::H264 => "video/H264",
        }
    }

    /// From a MIME type or a bare codec name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.rsplit('/').next().unwrap_or(name);
        [("opus", Self::Opus), ("vp8", Self::Vp8), ("h264", Self::H264)]
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, codec)| codec)
    }

    /// RTP clock ticks per second.
    pub fn clock_rate_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Vp8 | Self::H264 => 90_000,
        }
    }
}

/// Whether `payload` is the first packet of a picture that can be decoded alone. Always true for audio.
pub fn is_keyframe(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Opus => true,
        Codec::Vp8 => vp8_starts_keyframe(payload),
        Codec::H264 => h264_starts_keyframe(payload),
    }
}

/// RFC 7741 4.2, 4.3: S set, partition 0, and the inverse keyframe bit of the frame header clear.
fn vp8_starts_keyframe(payload: &[u8]) -> bool {
    let Some(&first) = payload.first() else { return false };
    let starts_frame = first & 0x10 != 0 && first & 0x07 == 0;
    starts_frame
        && vp8_descriptor_len(payload).and_then(|at| payload.get(at)).is_some_and(|byte| byte & 1 == 0)
}

fn vp8_descriptor_len(payload: &[u8]) -> Option<usize> {
    let mut len = 1;
    if payload.first()? & 0x80 != 0 {
        let extensions = *payload.get(1)?;
        len = 2;
        if extensions & 0x80 != 0 {
            len += if payload.get(len)? & 0x80 != 0 { 2 } else { 1 };
        }
        len += usize::from(extensions & 0x40 != 0);
        len += usize::from(extensions & 0x30 != 0);
    }
    Some(len)
}

/// RFC 6184: a sequence parameter set or an IDR slice, alone, in a STAP-A, or at the start of an FU-A. Browsers send
/// the parameter sets before each IDR picture, so the first of these is where decoding can begin.
fn h264_starts_keyframe(payload: &[u8]) -> bool {
    const IDR: u8 = 5;
    const SPS: u8 = 7;
    let nal_type = |byte: u8| byte & 0x1f;
    let Some(&first) = payload.first() else { return false };
    match nal_type(first) {
        IDR | SPS => true,
        24 => {
            let mut rest = &payload[1..];
            while let [high, low, nal @ ..] = rest {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                if nal.first().is_some_and(|&byte| matches!(nal_type(byte), IDR | SPS)) {
                    return true;
                }
                rest = nal.get(len..).unwrap_or(&[]);
            }
            false
        }
        28 => {
            payload.get(1).is_some_and(|&header| header & 0x80 != 0 && matches!(nal_type(header), IDR | SPS))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vp8_keyframes_are_known_by_their_first_packet() {
        assert!(vp8_starts_keyframe(&[0x10, 0x00, 0, 0]));
        assert!(!vp8_starts_keyframe(&[0x10, 0x01, 0, 0]), "a delta frame");
        assert!(!vp8_starts_keyframe(&[0x00, 0x00, 0, 0]), "a later packet of the frame");
        assert!(vp8_starts_keyframe(&[0x90, 0x80, 0x81, 0x23, 0x00]), "with a long picture id");
        assert!(!vp8_starts_keyframe(&[0x90, 0x80]), "cut short");
    }

    #[test]
    fn h264_keyframes_are_known_alone_aggregated_and_fragmented() {
        assert!(h264_starts_keyframe(&[0x67, 1, 2]));
        assert!(h264_starts_keyframe(&[0x65, 1, 2]));
        assert!(!h264_starts_keyframe(&[0x41, 1, 2]));
        assert!(h264_starts_keyframe(&[0x78, 0, 1, 0x41, 0, 2, 0x67, 9]));
        assert!(h264_starts_keyframe(&[0x7c, 0x85, 1]));
        assert!(!h264_starts_keyframe(&[0x7c, 0x05, 1]), "a later fragment");
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            for codec in [Codec::Opus, Codec::Vp8, Codec::H264] {
                is_keyframe(codec, &payload);
            }
        }
    }
}
