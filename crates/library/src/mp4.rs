//! How long an MP4 plays, read from its `moov` box with as few reads as the file allows (ISO/IEC 14496-12).

use std::ops::Range;

use bytes::Bytes;

use crate::error::LibraryError;

/// More boxes than any recorder writes at the top level before `moov`: a fragmented file of a day.
const MAX_BOXES: usize = 200_000;
/// One read covers many small boxes.
const READ_AHEAD: u64 = 64 * 1024;
const MVHD_BYTES: u64 = 64;

/// Milliseconds, or `None` when the file does not say: it is no MP4, is cut off, or is fragmented without a length.
pub(crate) async fn duration_ms<F, R>(size: u64, read: F) -> Result<Option<u64>, LibraryError>
where
    F: Fn(Range<u64>) -> R,
    R: Future<Output = Result<Bytes, LibraryError>>,
{
    let mut window = Window { read, size, at: 0, bytes: Bytes::new() };
    let (mut at, mut end) = (0, size);
    for _ in 0..MAX_BOXES {
        let Some(header) = window.header(at).await? else { return Ok(None) };
        let after = at.saturating_add(header.len);
        match &header.kind {
            // Into it: the next box looked at is its first.
            b"moov" => (at, end) = (at + header.header_len, after.min(end)),
            b"mvhd" => return Ok(mvhd(&window.bytes(at + header.header_len, MVHD_BYTES).await?)),
            _ if after <= at => return Ok(None),
            _ => at = after,
        }
        if at >= end {
            return Ok(None);
        }
    }
    Ok(None)
}

struct Header {
    kind: [u8; 4],
    header_len: u64,
    len: u64,
}

struct Window<F> {
    read: F,
    size: u64,
    at: u64,
    bytes: Bytes,
}

impl<F, R> Window<F>
where
    F: Fn(Range<u64>) -> R,
    R: Future<Output = Result<Bytes, LibraryError>>,
{
    /// `len` bytes, or fewer at the file's end.
    async fn bytes(&mut self, at: u64, len: u64) -> Result<Bytes, LibraryError> {
        let end = (at.saturating_add(len)).min(self.size);
        if at >= end {
            return Ok(Bytes::new());
        }
        if at < self.at || end > self.at + self.bytes.len() as u64 {
            let until = at.saturating_add(READ_AHEAD.max(len)).min(self.size);
            self.bytes = (self.read)(at..until).await?;
            self.at = at;
        }
        let from = usize::try_from(at - self.at).unwrap_or(usize::MAX).min(self.bytes.len());
        let to = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(self.bytes.slice(from..to))
    }

    async fn header(&mut self, at: u64) -> Result<Option<Header>, LibraryError> {
        let bytes = self.bytes(at, 16).await?;
        let (Some(len), Some(kind)) = (be32(&bytes, 0), bytes.get(4..8)) else { return Ok(None) };
        let kind = kind.try_into().expect("four bytes");
        Ok(Some(match len {
            0 => Header { kind, header_len: 8, len: self.size.saturating_sub(at) },
            1 => match be64(&bytes, 8) {
                Some(len) => Header { kind, header_len: 16, len },
                None => return Ok(None),
            },
            len => Header { kind, header_len: 8, len: len.into() },
        }))
    }
}

fn mvhd(body: &[u8]) -> Option<u64> {
    let (timescale, duration) = match body.first()? {
        0 => (be32(body, 12)?, u64::from(be32(body, 16)?)),
        1 => (be32(body, 20)?, be64(body, 24)?),
        _ => return None,
    };
    let is_known = timescale > 0 && duration > 0 && duration != u64::MAX && duration != u64::from(u32::MAX);
    is_known.then(|| (u128::from(duration) * 1000 / u128::from(timescale)) as u64)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn of(file: &[u8]) -> Option<u64> {
        let bytes = Bytes::copy_from_slice(file);
        duration_ms(file.len() as u64, |range| {
            let part = bytes.slice(range.start as usize..range.end as usize);
            async move { Ok(part) }
        })
        .await
        .unwrap()
    }

    fn atom(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    }

    fn moov(version: u8) -> Vec<u8> {
        let mut body = vec![version, 0, 0, 0];
        if version == 0 {
            body.extend([0; 8]);
            body.extend(1000_u32.to_be_bytes());
            body.extend(12_345_u32.to_be_bytes());
        } else {
            body.extend([0; 16]);
            body.extend(90_000_u32.to_be_bytes());
            body.extend((90_000_u64 * 3).to_be_bytes());
        }
        body.extend([0; 80]);
        atom(b"moov", &[atom(b"mvhd", &body), atom(b"trak", &[0; 30])].concat())
    }

    #[tokio::test]
    async fn the_length_is_found_before_and_behind_the_media() {
        let (ftyp, mdat) = (atom(b"ftyp", b"isom"), atom(b"mdat", &vec![7; 300_000]));
        assert_eq!(of(&[ftyp.clone(), moov(0), mdat.clone()].concat()).await, Some(12_345));
        assert_eq!(of(&[ftyp.clone(), mdat, moov(1)].concat()).await, Some(3000));
        let large = [&1_u32.to_be_bytes()[..], b"mdat", &24_u64.to_be_bytes(), &[0; 8]].concat();
        assert_eq!(of(&[ftyp, large, moov(0)].concat()).await, Some(12_345));
    }

    #[tokio::test]
    async fn what_is_no_mp4_has_no_length() {
        for file in [&b""[..], b"short", b"\0\0\0\0mdat", b"\0\0\0\x01mdat", b"\0\0\0\x04abcd\0\0\0\x04abcd"]
        {
            assert_eq!(of(file).await, None, "{file:?}");
        }
        let whole = moov(0);
        for cut in 0..40 {
            assert_eq!(of(&whole[..cut.min(35)]).await, None);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(file in proptest::collection::vec(any::<u8>(), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(of(&file));
            runtime.block_on(of(&[atom(b"moov", &file), moov(1)].concat()));
        }
    }
}
