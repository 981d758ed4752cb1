//! VP8 over RTP (RFC 7741).

/// What a whole frame says about itself.
pub(super) struct Picture {
    /// Keyframes tell their size.
    pub(super) dimensions: Option<(u32, u32)>,
}

/// The payload is the first of its frame: S bit set, partition 0 (RFC 7741, 4.2).
pub(super) fn begins_frame(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| first & 0x17 == 0x10)
}

/// The payload behind its descriptor (RFC 7741, 4.2). `None` if there is nothing behind it.
pub(super) fn strip_descriptor(payload: &[u8]) -> Option<&[u8]> {
    let (&first, mut rest) = payload.split_first()?;
    if first & 0x80 != 0 {
        let (&extensions, after) = rest.split_first()?;
        rest = after;
        if extensions & 0x80 != 0 {
            let &picture_id = rest.first()?;
            rest = rest.get(if picture_id & 0x80 != 0 { 2 } else { 1 }..)?;
        }
        if extensions & 0x40 != 0 {
            rest = rest.get(1..)?;
        }
        if extensions & 0x30 != 0 {
            rest = rest.get(1..)?;
        }
    }
    (!rest.is_empty()).then_some(rest)
}

/// Looks at a whole frame (RFC 6386, 9.1). `None` if it cannot be one.
pub(super) fn inspect(frame: &[u8]) -> Option<Picture> {
    let &first = frame.first()?;
    if first & 1 == 1 {
        return Some(Picture { dimensions: None });
    }
    let [0x9d, 0x01, 0x2a, w0, w1, h0, h1] = *frame.get(3..10)? else { return None };
    let size = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let (width, height) = (size(w0, w1), size(h0, h1));
    (width > 0 && height > 0).then_some(Picture { dimensions: Some((width, height)) })
}
