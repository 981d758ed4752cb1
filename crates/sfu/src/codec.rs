//! The codecs that are forwarded, and what of their payloads a forwarder must know: where a keyframe begins.

/// A codec that this server negotiates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Codec {
    Opus,
    Vp8,
    H264,
    Vp9,
    Av1,
}

/// Redundant sound (RFC 2198): packets of Opus that carry those before them once more.
pub(crate) const RED: &str = "audio/red";

impl Codec {
    /// All of them. Clients whose own choice is not here take the first one of its kind.
    pub const ALL: [Self; 5] = [Self::Opus, Self::Vp8, Self::H264, Self::Vp9, Self::Av1];

    /// As in `TrackInfo.mimeType`.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Opus => "audio/opus",
            Self::Vp8 => "video/VP8",
            Self::H264 => "video/H264",
            Self::Vp9 => "video/VP9",
            Self::Av1 => "video/AV1",
        }
    }

    /// From a MIME type or a bare codec name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let bare = |name: &str| name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|codec| bare(codec.mime()) == bare(name))
    }

    /// RTP clock ticks per second.
    pub fn clock_rate_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Vp8 | Self::H264 | Self::Vp9 | Self::Av1 => 90_000,
        }
    }

    /// Whether publishers send its layers in one stream, told apart by the AV1 dependency descriptor (a header extension
    /// of VP9 too) instead of one stream for each.
    pub fn is_scalable(self) -> bool {
        matches!(self, Self::Vp9 | Self::Av1)
    }
}

/// Whether `payload` is the first packet of a picture that can be decoded alone. Always true for audio.
pub fn is_keyframe(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Opus => true,
        Codec::Vp8 => vp8_starts_keyframe(payload),
        Codec::H264 => h264_starts_keyframe(payload),
        Codec::Vp9 => vp9_starts_keyframe(payload),
        Codec::Av1 => av1_starts_sequence(payload),
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

/// RFC 6184: a sequence parameter set, the first slice of an IDR picture or a recovery point, alone, in a STAP-A, or at the start of an
/// FU-A. Browsers send the parameter sets before each IDR picture, so the first of these is where decoding can begin. Encoders that
/// spread their keyframes over many pictures send recovery points instead (ITU-T H.264, D.2.8).
fn h264_starts_keyframe(payload: &[u8]) -> bool {
    h264_any_unit(payload, h264_unit_starts_keyframe)
}

/// Whether a payload brings the sequence parameter set without which no picture can be decoded.
pub(crate) fn h264_brings_sequence_set(payload: &[u8]) -> bool {
    h264_any_unit(payload, |unit| unit.first().is_some_and(|byte| byte & 0x1f == SPS))
}

/// Whether one of the units that begin in a payload is such.
fn h264_any_unit(payload: &[u8], is_such: impl Fn(&[u8]) -> bool) -> bool {
    let Some(&first) = payload.first() else { return false };
    match first & 0x1f {
        24 => {
            let mut rest = &payload[1..];
            while let [high, low, nal @ ..] = rest {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                if is_such(nal.get(..len).unwrap_or(nal)) {
                    return true;
                }
                rest = nal.get(len..).unwrap_or(&[]);
            }
            false
        }
        // The fragment's header stands where a whole unit has its first byte.
        28 => payload.get(1).is_some_and(|header| header & 0x80 != 0) && is_such(&payload[1..]),
        _ => is_such(payload),
    }
}

/// Type of a sequence parameter set.
const SPS: u8 = 7;

fn h264_unit_starts_keyframe(unit: &[u8]) -> bool {
    const IDR: u8 = 5;
    const SEI: u8 = 6;
    /// `payloadType`, the first byte of a message.
    const RECOVERY_POINT: u8 = 6;
    match unit.first().map(|byte| byte & 0x1f) {
        Some(SPS) => true,
        // A later slice's first macroblock is not 0, and its code does not begin with a 1.
        Some(IDR) => unit.get(1).is_none_or(|byte| byte & 0x80 != 0),
        Some(SEI) => unit.get(1) == Some(&RECOVERY_POINT),
        _ => false,
    }
}

/// RFC 9628 4.2: B set, P clear, and, where layers are told, the lowest spatial one: the higher layers of a keyframe
/// are predicted from it.
fn vp9_starts_keyframe(payload: &[u8]) -> bool {
    let Some(&flags) = payload.first() else { return false };
    let (has_id, inter, has_layers, begins) =
        (flags & 0x80 != 0, flags & 0x40 != 0, flags & 0x20 != 0, flags & 0x08 != 0);
    let layers_at = match (has_id, payload.get(1)) {
        (true, Some(id)) => {
            if id & 0x80 != 0 {
                3
            } else {
                2
            }
        }
        (true, None) => return false,
        (false, _) => 1,
    };
    let lowest = !has_layers || payload.get(layers_at).is_some_and(|layers| layers >> 1 & 7 == 0);
    begins && !inter && lowest
}

/// AOM's "RTP Payload Format For AV1" 4.4: N, "the packet is the first packet of a coded video sequence", and Z clear.
fn av1_starts_sequence(payload: &[u8]) -> bool {
    payload.first().is_some_and(|header| header & 0x88 == 0x08)
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
        assert!(h264_starts_keyframe(&[0x65, 0x88, 2]));
        assert!(!h264_starts_keyframe(&[0x65, 0x48, 2]), "a later slice");
        assert!(h264_starts_keyframe(&[0x06, 6, 1, 0x84]), "a recovery point");
        assert!(!h264_starts_keyframe(&[0x06, 5, 1, 0x84]), "other supplemental information");
        assert!(!h264_starts_keyframe(&[0x41, 1, 2]));
        assert!(h264_starts_keyframe(&[0x78, 0, 1, 0x41, 0, 2, 0x67, 9]));
        assert!(h264_starts_keyframe(&[0x7c, 0x85, 0x88]));
        assert!(!h264_starts_keyframe(&[0x7c, 0x05, 1]), "a later fragment");
        assert!(h264_brings_sequence_set(&[0x67, 1, 2]));
        assert!(h264_brings_sequence_set(&[0x78, 0, 1, 0x68, 0, 2, 0x67, 9]));
        assert!(!h264_brings_sequence_set(&[0x7c, 0x85, 0x88]) && !h264_brings_sequence_set(&[0x65, 0x88]));
    }

    #[test]
    fn vp9_keyframes_begin_with_their_lowest_layer() {
        assert!(vp9_starts_keyframe(&[0x08, 0x82]), "no layers, no picture id");
        assert!(vp9_starts_keyframe(&[0xa8, 0x81, 0x23, 0x00, 0x00, 0x82]), "a long picture id");
        assert!(!vp9_starts_keyframe(&[0xa8, 0x05, 0x03, 0x00, 0x82]), "a higher layer, predicted from it");
        assert!(!vp9_starts_keyframe(&[0xe8, 0x05, 0x00, 0x00, 0x86]), "a delta frame");
        assert!(!vp9_starts_keyframe(&[0xa0, 0x05, 0x00, 0x00, 0x82]), "a later packet of the frame");
        assert!(!vp9_starts_keyframe(&[0x88]) && !vp9_starts_keyframe(&[0xa8, 0x05]), "cut short");
    }

    #[test]
    fn av1_keyframes_begin_a_coded_video_sequence() {
        assert!(av1_starts_sequence(&[0x18, 0x0a]));
        assert!(av1_starts_sequence(&[0x48, 0x0a]), "its last unit goes on in the next packet");
        assert!(!av1_starts_sequence(&[0x10, 0x32]), "a delta frame");
        assert!(!av1_starts_sequence(&[0x98, 0x32]), "goes on with a unit of the packet before");
    }

    #[test]
    fn codecs_are_known_by_mime_type_and_name_in_any_case() {
        for codec in Codec::ALL {
            assert_eq!(Codec::parse(codec.mime()), Some(codec));
        }
        assert_eq!((Codec::parse("av1"), Codec::parse("Video/vp9")), (Some(Codec::Av1), Some(Codec::Vp9)));
        assert_eq!((Codec::parse("h265"), Codec::parse("")), (None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            for codec in Codec::ALL {
                is_keyframe(codec, &payload);
            }
        }
    }
}
