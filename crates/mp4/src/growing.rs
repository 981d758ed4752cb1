//! A growing file as another process reads it, and whole files made of what is there.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use bytes::Bytes;
use mp4_atom::{Decode as _, Encode as _, Moof, Moov};

use crate::{
    boxes::{self, MovieSpec, OffsetWidth},
    front::{self, LARGE_HEADER_BYTES, Place},
    index::Tables,
};

/// No box of ours that describes samples is larger.
const MAX_DESCRIPTION_BYTES: u64 = 1 << 20;
/// One read covers the boxes of most fragments.
const READ_AHEAD: usize = 4096;

/// A file in the making, read as far as it is whole.
#[derive(Debug)]
pub struct Growing {
    file: Arc<File>,
    pub(crate) movie: MovieSpec,
    /// The `moov` without samples.
    pub(crate) moov: Place,
    /// Behind the last whole fragment.
    pub(crate) to: u64,
    pub(crate) tables: Tables,
}

impl Growing {
    /// Reads the file at `path`; `None` if it is not one in the making: not begun yet, finished, or none of ours.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        Self::read(Arc::new(File::open(path)?))
    }

    pub(crate) fn read(file: Arc<File>) -> io::Result<Option<Self>> {
        let end = file.metadata()?.len();
        let boxes = front::head(&file, end)?;
        let moov = match boxes.iter().position(|place| place.kind == *b"moov") {
            // In a finished file it follows `ftyp`, or the media.
            Some(at) if at > 1 && boxes[..at].iter().all(|place| place.kind != *b"mdat") => boxes[at],
            _ => return Ok(None),
        };
        if moov.len > MAX_DESCRIPTION_BYTES {
            return Ok(None);
        }
        let mut bytes = vec![0; moov.len as usize];
        file.read_exact_at(&mut bytes, moov.at)?;
        let Some(movie) =
            Moov::decode(&mut bytes.as_slice()).ok().and_then(|moov| MovieSpec::from_moov(&moov))
        else {
            return Ok(None);
        };
        let mut growing = Self { file, movie, moov, to: moov.to(), tables: Tables::default() };
        growing.read_on()?;
        Ok(Some(growing))
    }

    /// Reads the fragments that were written since.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_on(&mut self) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        let mut bytes = vec![0; READ_AHEAD];
        while let Some((moof, media)) = self.next_fragment(end, &mut bytes)? {
            let there = self.file.read_at(&mut bytes[..(moof.len as usize).min(READ_AHEAD)], moof.at)?;
            if there < moof.len as usize {
                bytes.resize((moof.len as usize).max(READ_AHEAD), 0);
                self.file.read_exact_at(&mut bytes[..moof.len as usize], moof.at)?;
            }
            let Ok(decoded) = Moof::decode(&mut &bytes[..moof.len as usize]) else { return Ok(()) };
            if !self.tables.add(&decoded, self.to, moof.at, media.to()) {
                return Ok(());
            }
            self.to = media.to();
        }
        Ok(())
    }

    /// The next fragment's `moof` and `mdat`, if all of it is there.
    fn next_fragment(&self, end: u64, bytes: &mut [u8]) -> io::Result<Option<(Place, Place)>> {
        // A `free` box or none, and then the two; mostly one read finds all headers.
        let there = self.file.read_at(&mut bytes[..READ_AHEAD], self.to)?;
        let place = |at: u64| {
            let window = usize::try_from(at - self.to).ok().and_then(|from| bytes[..there].get(from..));
            match window {
                Some(window) if window.len() >= LARGE_HEADER_BYTES as usize => {
                    Ok(Place::parse(window, at).filter(|place| place.to() <= end))
                }
                _ => Place::read(&self.file, at, end),
            }
        };
        let Some(mut moof) = place(self.to)? else { return Ok(None) };
        if moof.kind == *b"free" {
            let Some(next) = place(moof.to())? else { return Ok(None) };
            moof = next;
        }
        if moof.kind != *b"moof" || moof.len > MAX_DESCRIPTION_BYTES {
            return Ok(None);
        }
        Ok(place(moof.to())?.filter(|media| media.kind == *b"mdat").map(|media| (moof, media)))
    }

    /// How many fragments are there: each but the last one of a file is a second long.
    #[must_use]
    pub fn fragments(&self) -> usize {
        self.tables.pieces.len()
    }

    /// A whole file of the first `fragments` fragments, or all if there are fewer. `None` without any.
    #[must_use]
    pub fn snapshot(&self, fragments: usize) -> Option<Snapshot> {
        let mut tables = self.tables.first(fragments);
        let body = self.moov.to()..tables.pieces.last()?.to;
        let length_ns = self.movie.length_ns(tables.video.sizes.len(), tables.audio.sizes.len());
        let mut head = Vec::new();
        boxes::ftyp().encode(&mut head).ok()?;
        let ftyp_bytes = head.len() as u64;
        // The index says where the media are, and they are behind the index: its length is the same wherever they are.
        let width = OffsetWidth::of(body.end + MAX_DESCRIPTION_BYTES + tables.video.sizes.len() as u64 * 16);
        let index = |tables: &Tables| {
            let mut index = Vec::new();
            let moov = boxes::indexed_moov(&self.movie, tables, length_ns, width).ok()?;
            moov.encode(&mut index).ok()?;
            Some(index)
        };
        let index_bytes = index(&tables)?.len() as u64;
        let media_at = ftyp_bytes + index_bytes + LARGE_HEADER_BYTES;
        tables.shift(0, |at| at - body.start + media_at);
        head.extend_from_slice(&index(&tables)?);
        head.extend_from_slice(&front::media_header(LARGE_HEADER_BYTES + body.end - body.start));
        let fragments = tables.pieces.len();
        Some(Snapshot {
            file: Arc::clone(&self.file),
            moov: self.moov,
            head: head.into(),
            body,
            length_ns,
            fragments,
        })
    }
}

/// A whole file made of what is there of a growing one. It stays the same however much is added to that.
#[derive(Debug, Clone)]
pub struct Snapshot {
    file: Arc<File>,
    moov: Place,
    head: Bytes,
    body: Range<u64>,
    length_ns: u64,
    fragments: usize,
}

impl Snapshot {
    /// Bytes of the file.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.head.len() as u64 + self.body.end - self.body.start
    }

    /// How long it plays, nanoseconds.
    #[must_use]
    pub fn length_ns(&self) -> u64 {
        self.length_ns
    }

    /// Of how many fragments it is.
    #[must_use]
    pub fn fragments(&self) -> usize {
        self.fragments
    }

    /// Bytes from `from` on, as many as are at hand of the `most` that are wanted; empty at the end.
    ///
    /// # Errors
    /// The file cannot be read, or its writer has finished it since: then it is another one, that plays by itself.
    pub fn read(&self, from: u64, most: usize) -> io::Result<Bytes> {
        let head = self.head.len() as u64;
        if from < head {
            let from = from as usize;
            return Ok(self.head.slice(from..from.saturating_add(most).min(self.head.len())));
        }
        let at = self.body.start.saturating_add(from - head);
        let len = usize::try_from(self.body.end.saturating_sub(at)).unwrap_or(usize::MAX).min(most);
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, at)?;
        // Whoever finishes the file moves all of it or overwrites its beginning, before or after this read: never back again.
        match Place::read(&self.file, self.moov.at, self.moov.to())? {
            Some(place) if place == self.moov => Ok(bytes.into()),
            _ => Err(io::Error::new(io::ErrorKind::Interrupted, "the file has been finished meanwhile")),
        }
    }
}
