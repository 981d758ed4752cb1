//! What a writer leaves beside its file for whoever goes on with it: the newest of a row of records, whole or not at all.
//!
//! ```text
//!   slot 0 │ number, length, checksum, record 2, 4, 6 ...   │   slot 1 │ record 1, 3, 5 ...
//! ```
//!
//! Records take turns in two places, so that one of them is whole whenever the writer dies. A record that does not fit is not kept:
//! then the one before it is the newest.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

/// No record is larger. Where nothing was written the file has a hole.
const SLOT_BYTES: u64 = 8 << 20;
const HEADER_BYTES: usize = 24;
const MAGIC: [u8; 4] = *b"RRj1";

/// The file with the records.
#[derive(Debug)]
pub struct Journal {
    file: File,
    number: u64,
}

impl Journal {
    /// Opens the file, making it where it is missing; gives back the newest record too.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub fn open(path: &Path) -> io::Result<(Self, Option<Vec<u8>>)> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let newest = newest(&file)?;
        let number = newest.as_ref().map_or(0, |(number, _)| *number);
        Ok((Self { file, number }, newest.map(|(_, record)| record)))
    }

    /// The newest record of a file that somebody else writes; `None` without one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest(path: &Path) -> io::Result<Option<Vec<u8>>> {
        match File::open(path) {
            Ok(file) => Ok(newest(&file)?.map(|(_, record)| record)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a record instead of all before it. The caller has made sure that what it tells of is on disk.
    ///
    /// # Errors
    /// It cannot be written, or is larger than 8 MiB.
    pub fn keep(&mut self, record: &[u8]) -> io::Result<()> {
        if record.len() as u64 > SLOT_BYTES - HEADER_BYTES as u64 {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let number = self.number + 1;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + record.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&checksum(number, record).to_be_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&(record.len() as u64).to_be_bytes());
        bytes.extend_from_slice(record);
        self.file.write_all_at(&bytes, number % 2 * SLOT_BYTES)?;
        self.number = number;
        Ok(())
    }

    /// Forgets all records.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)
    }
}

fn checksum(number: u64, record: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&number.to_be_bytes());
    hash.update(record);
    hash.finalize()
}

fn newest(file: &File) -> io::Result<Option<(u64, Vec<u8>)>> {
    let slots = [slot(file, 0)?, slot(file, SLOT_BYTES)?];
    Ok(slots.into_iter().flatten().max_by_key(|(number, _)| *number))
}

fn slot(file: &File, at: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let word = |bytes: &[u8], at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let mut header = [0; HEADER_BYTES];
    if !read(file, &mut header, at)? || header[..4] != MAGIC {
        return Ok(None);
    }
    let (number, len) = (word(&header, 8), word(&header, 16));
    if len > SLOT_BYTES {
        return Ok(None);
    }
    let mut record = vec![0; len as usize];
    if !read(file, &mut record, at + HEADER_BYTES as u64)? {
        return Ok(None);
    }
    let is_whole = checksum(number, &record).to_be_bytes() == header[4..8];
    Ok(is_whole.then_some((number, record)))
}

/// `false` where the file ends before.
fn read(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whatever_a_writer_left_undone_one_record_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        assert_eq!(Journal::newest(&path).unwrap(), None);
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, None);
        for number in 0..9u8 {
            let record = vec![number; 1000 + usize::from(number) * 100];
            journal.keep(&record).unwrap();
            assert_eq!(Journal::newest(&path).unwrap(), Some(record));
        }
        // The newest one is in slot 1: cut or damaged anywhere, the one before it is found.
        let whole = std::fs::read(&path).unwrap();
        for at in (SLOT_BYTES..whole.len() as u64).step_by(7) {
            std::fs::write(&path, &whole[..at as usize]).unwrap();
            assert_eq!(Journal::newest(&path).unwrap(), Some(vec![7; 1700]), "cut at {at}");
        }
        for at in (SLOT_BYTES as usize..whole.len()).step_by(97) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(Journal::newest(&path).unwrap(), Some(vec![7; 1700]), "damaged at {at}");
        }
        let (mut journal, found) = Journal::open(&path).unwrap();
        assert_eq!(found, Some(vec![7; 1700]));
        assert!(journal.keep(&vec![0; SLOT_BYTES as usize]).is_err());
        journal.keep(b"next").unwrap();
        assert_eq!(Journal::newest(&path).unwrap(), Some(b"next".to_vec()));
        journal.clear().unwrap();
        assert_eq!(Journal::newest(&path).unwrap(), None);
    }
}
