//! One segment's file, read as far as it is whole.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    error::TakeError,
    format::{Codec, SegmentOpened},
    ids::{SegmentId, TrackId},
    item::TakeFrame,
    mkv::{MkvParser, Step},
};

const READ_LEN: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct SegmentReader {
    path: PathBuf,
    file: File,
    track: TrackId,
    segment: SegmentId,
    first_rtp: u64,
    parser: MkvParser,
    buffer: BytesMut,
    /// The frame read last, which belongs to a later window.
    head: Option<TakeFrame>,
    /// Frames may have arrived in another order than they decode: the order key never goes back.
    key_ns: u64,
    /// Nothing after this place can be read.
    damaged: bool,
}

impl SegmentReader {
    /// `None` if there is nothing to be read: an unknown codec, a name that leaves the take, a file that is not there.
    pub(super) fn open(dir: &Path, opened: &SegmentOpened) -> Result<Option<Self>, TakeError> {
        let Some(name) = opened.media_file().filter(|_| opened.codec != Codec::Unknown) else {
            return Ok(None);
        };
        let path = dir.join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TakeError::io(&path)(error)),
        };
        Ok(Some(Self {
            path,
            file,
            track: opened.track.clone(),
            segment: opened.segment,
            first_rtp: opened.first_rtp,
            parser: MkvParser::new(),
            buffer: BytesMut::new(),
            head: None,
            key_ns: opened.first_at_ns,
            damaged: false,
        }))
    }

    /// Hands out the frames with a key up to `to_ns`.
    pub(super) fn read_to(
        &mut self,
        to_ns: u64,
        mut take: impl FnMut(u64, TakeFrame),
    ) -> Result<(), TakeError> {
        loop {
            let frame = match self.head.take() {
                Some(frame) => frame,
                None => match self.next()? {
                    Some(frame) => frame,
                    None => return Ok(()),
                },
            };
            let key_ns = self.key_ns.max(frame.at_ns);
            if key_ns > to_ns {
                self.head = Some(frame);
                return Ok(());
            }
            self.key_ns = key_ns;
            take(key_ns, frame);
        }
    }

    fn next(&mut self) -> Result<Option<TakeFrame>, TakeError> {
        while !self.damaged {
            match self.parser.step(&self.buffer) {
                Ok(Step::Need(len)) => {
                    let more = len.saturating_sub(self.buffer.len()).max(READ_LEN);
                    let mut chunk = Vec::new();
                    let read = Read::by_ref(&mut self.file)
                        .take(more as u64)
                        .read_to_end(&mut chunk)
                        .map_err(TakeError::io(&self.path))?;
                    if read == 0 {
                        return Ok(None);
                    }
                    self.buffer.extend_from_slice(&chunk);
                }
                Ok(Step::Skip(len)) => self.buffer.advance(len),
                Ok(Step::Block(len, block)) => {
                    let frame = TakeFrame {
                        track: self.track.clone(),
                        segment: self.segment,
                        rtp: self.first_rtp.saturating_add(block.tick),
                        at_ns: block.at_ns,
                        keyframe: block.keyframe,
                        data: Bytes::copy_from_slice(block.data),
                    };
                    self.buffer.advance(len);
                    return Ok(Some(frame));
                }
                Err(error) => {
                    tracing::warn!(file = %self.path.display(), %error, "the rest of this segment cannot be read");
                    self.damaged = true;
                }
            }
        }
        Ok(None)
    }
}
