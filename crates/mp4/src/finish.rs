//! How a growing file becomes an ordinary one with its index in front. It plays after each step, and none reads or writes more than
//! a little of it.
//!
//! Where the file system can insert blocks (ext4, XFS, F2FS), the free room in front is made larger until the index fits. A box must
//! lead over what is inserted both before and after it is, so each step inserts no more than is free already:
//!
//! ```text
//!   ftyp | free ──────────────► moov(mvex) ...      before; the last bytes of `free` hold a second header
//!   ftyp | free ─────► free ──► moov(mvex) ...      inserted: the second header leads over what has been moved
//!   ftyp | free ──────────────► moov(mvex) ...      the first one is made longer, in 8 bytes
//!   ftyp | moov | free | mdat ─────────────────     at last the index is written into it, and 8 bytes are flipped
//! ```
//!
//! Elsewhere (btrfs, tmpfs, network file systems) the first media make room and stand at the end from then on:
//!
//! ```text
//!   ftyp | free | moov(mvex) | free moof mdat | free moof mdat ...               growing
//!   ftyp | free | moov(mvex) | free moof mdat | free moof mdat ... | free        first media and index are written behind
//!   ftyp | free ─────────────────────────────── mdat ... first media | moov      flipped: the index at the end
//!   ftyp | moov ──────────────────────── free | mdat ... first media             copied to the front, flipped, cut
//! ```
//!
//! Only where neither is possible the index stays at the end.

use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::Path,
};

use rustix::fs::{FallocateFlags, fallocate};

use crate::{
    boxes::{self, OffsetWidth},
    front::{self, LARGE_HEADER_BYTES, header, media_header},
    index::Piece,
    writer::{HOOK_BYTES, Mp4Writer, encode},
};

/// A `free` box is as large as its header at least.
const SMALLEST_BOX_BYTES: u64 = 8;
const COPY_BYTES: usize = 1 << 20;
/// The index of a week.
const MOST_INDEX_BYTES: u64 = 256 << 20;

/// Is told before each change of a file in the making: a test ends it there.
pub(crate) trait Steps {
    fn next(&mut self) -> io::Result<()>;
    /// Whether blocks may be inserted.
    fn may_insert(&self) -> bool;
}

/// Nobody listens.
struct Unwatched;

impl Steps for Unwatched {
    fn next(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn may_insert(&self) -> bool {
        true
    }
}

impl Mp4Writer {
    /// Writes what is left, turns the file into an ordinary MP4 of exactly `duration_ns`, syncs it; gives back its size in bytes.
    ///
    /// # Errors
    /// The file cannot be written. It is still one that plays.
    pub fn finish(self, duration_ns: u64) -> io::Result<u64> {
        self.finish_in(duration_ns, &mut Unwatched)
    }

    pub(crate) fn finish_in(mut self, duration_ns: u64, steps: &mut dyn Steps) -> io::Result<u64> {
        steps.next()?;
        self.write_fragment(usize::MAX, usize::MAX)?;
        let free_at = ftyp_bytes()?;
        let mut front = Front { free_at, to: self.moov_at, file: &self.file };
        // With whatever may be moved or inserted.
        let width = OffsetWidth::of(self.end + MOST_INDEX_BYTES);
        let index_bytes = self.index(duration_ns, width)?.len() as u64;
        let wanted = index_bytes + SMALLEST_BOX_BYTES + LARGE_HEADER_BYTES;
        let made = if steps.may_insert() { front.make_room(wanted, steps)? } else { 0 };
        let has_room = wanted <= front.len();
        self.tables.shift(0, |at| at + made);
        for piece in &mut self.tables.pieces {
            (piece.from, piece.to) = (piece.from + made, piece.to + made);
        }
        (self.moov_at, self.end) = (self.moov_at + made, self.end + made);
        if has_room {
            let index = self.index(duration_ns, width)?;
            let media_at = self.moov_at - LARGE_HEADER_BYTES;
            steps.next()?;
            self.file.write_all_at(&media_header(self.end - media_at), media_at)?;
            put_index(&self.file, &index, free_at..media_at, steps)?;
            return Ok(self.end);
        }
        self.move_first_media(free_at, index_bytes, duration_ns, width, steps)
    }

    fn index(&self, duration_ns: u64, width: OffsetWidth) -> io::Result<Vec<u8>> {
        let mut index = Vec::new();
        let moov = boxes::indexed_moov(&self.movie, &self.tables, duration_ns, width);
        encode(&moov.map_err(io::Error::other)?, &mut index)?;
        Ok(index)
    }

    /// The media before a hook behind which the index fits are copied to the end, and the index after them.
    fn move_first_media(
        mut self,
        free_at: u64,
        index_bytes: u64,
        duration_ns: u64,
        width: OffsetWidth,
        steps: &mut dyn Steps,
    ) -> io::Result<u64> {
        // Behind the first header of the hook stands that of the media box.
        let enough =
            |piece: &&Piece| piece.has_hook && piece.from + 8 - free_at >= index_bytes + SMALLEST_BOX_BYTES;
        let hook = self.tables.pieces.iter().find(enough).map(|piece| piece.from);
        let body_at = self.tables.pieces.first().map_or(self.end, |piece| piece.from);
        // Without such a hook the index stays at the end, and nothing has to make room for it.
        let (moved, media_at) = match hook {
            Some(hook) => (body_at..hook, hook + HOOK_BYTES - LARGE_HEADER_BYTES),
            None => (body_at..body_at, self.moov_at - LARGE_HEADER_BYTES),
        };
        let moved_bytes = moved.end - moved.start;
        let copy_at = self.end + 8;
        let index_at = copy_at + moved_bytes;
        let in_moved = moved.clone();
        self.tables.shift(0, |at| if in_moved.contains(&at) { at - in_moved.start + copy_at } else { at });
        let index = self.index(duration_ns, width)?;
        // All of it is in a box that is skipped, and of which the growing file has no need.
        steps.next()?;
        self.file.write_all_at(&header(8 + moved_bytes + index_bytes, b"free"), self.end)?;
        steps.next()?;
        self.file.set_len(index_at + index_bytes)?;
        steps.next()?;
        copy(&self.file, moved, copy_at)?;
        steps.next()?;
        self.file.write_all_at(&index, index_at)?;
        steps.next()?;
        self.file.write_all_at(&media_header(index_at - media_at), media_at)?;
        self.file.sync_all()?;
        steps.next()?;
        self.file.write_all_at(&header(media_at - free_at, b"free"), free_at)?;
        self.file.sync_all()?;
        settle_in(&self.file, steps)?;
        Ok(self.file.metadata()?.len())
    }
}

/// What stands before the media of a growing file.
struct Front<'a> {
    file: &'a File,
    free_at: u64,
    to: u64,
}

impl Front<'_> {
    fn len(&self) -> u64 {
        self.to - self.free_at
    }

    /// Inserts blocks until `wanted` bytes are free, if the file system can; gives back how many it inserted.
    fn make_room(&mut self, wanted: u64, steps: &mut dyn Steps) -> io::Result<u64> {
        let before = self.to;
        let block = self.file.metadata()?.blksize().max(1);
        // The first place behind the box's header where a block begins.
        let at = (self.free_at + 8).next_multiple_of(block);
        while self.len() < wanted {
            let most = self.to.saturating_sub(at) / block * block;
            let bytes = (wanted - self.len()).next_multiple_of(block).min(most);
            if bytes < SMALLEST_BOX_BYTES || bytes > u64::from(u32::MAX) {
                break;
            }
            steps.next()?;
            self.file.write_all_at(&header(bytes, b"free"), self.to - bytes)?;
            steps.next()?;
            if fallocate(self.file, FallocateFlags::INSERT_RANGE, at, bytes).is_err() {
                break;
            }
            self.to += bytes;
            steps.next()?;
            self.file.write_all_at(&header(self.len(), b"free"), self.free_at)?;
        }
        Ok(self.to - before)
    }
}

/// Writes the index into a free box, and flips the box.
fn put_index(file: &File, index: &[u8], free: std::ops::Range<u64>, steps: &mut dyn Steps) -> io::Result<()> {
    let filler = free.end - free.start - index.len() as u64;
    steps.next()?;
    file.write_all_at(&index[8..], free.start + 8)?;
    if filler > 0 {
        steps.next()?;
        file.write_all_at(&header(filler, b"free"), free.start + index.len() as u64)?;
    }
    file.sync_all()?;
    steps.next()?;
    file.write_all_at(&index[..8], free.start)?;
    file.sync_all()
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// An ordinary MP4, of so many bytes.
    Finished(u64),
    /// Still in the making, or none of ours.
    Growing,
}

/// Does what is left of finishing the file at `path`, whose writer died after it had become an ordinary one.
///
/// # Errors
/// The file cannot be read or written.
pub fn settle(path: &Path) -> io::Result<Settled> {
    let file = File::options().read(true).write(true).open(path)?;
    settle_in(&file, &mut Unwatched)
}

pub(crate) fn settle_in(file: &File, steps: &mut dyn Steps) -> io::Result<Settled> {
    let end = file.metadata()?.len();
    let boxes = front::head(file, end)?;
    let kinds: Vec<&[u8; 4]> = boxes.iter().map(|place| &place.kind).collect();
    let is_whole = boxes.last().is_some_and(|last| last.to() == end);
    match (kinds.as_slice(), is_whole) {
        // The index at the end: is there room for it in front?
        ([b"ftyp", b"free", b"mdat", b"moov"], true) => {
            let [_, free, media, index] = [boxes[0], boxes[1], boxes[2], boxes[3]];
            if index.len + SMALLEST_BOX_BYTES <= free.len || index.len == free.len {
                let mut bytes = vec![0; index.len as usize];
                file.read_exact_at(&mut bytes, index.at)?;
                put_index(file, &bytes, free.at..media.at, steps)?;
                return cut(file, index.at, steps);
            }
            Ok(Settled::Finished(end))
        }
        ([b"ftyp", b"moov", .., b"mdat", b"moov"], true) => cut(file, boxes[boxes.len() - 1].at, steps),
        ([b"ftyp", b"moov", b"mdat"] | [b"ftyp", b"moov", b"free", b"mdat"], true) => {
            Ok(Settled::Finished(end))
        }
        _ => Ok(Settled::Growing),
    }
}

/// What is at the end stands in front too.
fn cut(file: &File, at: u64, steps: &mut dyn Steps) -> io::Result<Settled> {
    steps.next()?;
    file.set_len(at)?;
    file.sync_all()?;
    Ok(Settled::Finished(at))
}

/// Copies bytes of a file to another place of it, where they do not overlap.
fn copy(file: &File, from: std::ops::Range<u64>, to: u64) -> io::Result<()> {
    let mut bytes = vec![0; COPY_BYTES];
    let mut at = from.start;
    while at < from.end {
        let len = (from.end - at).min(COPY_BYTES as u64) as usize;
        file.read_exact_at(&mut bytes[..len], at)?;
        file.write_all_at(&bytes[..len], to + (at - from.start))?;
        at += len as u64;
    }
    Ok(())
}

fn ftyp_bytes() -> io::Result<u64> {
    let mut bytes = Vec::new();
    encode(&boxes::ftyp(), &mut bytes)?;
    Ok(bytes.len() as u64)
}
