//! The samples of a finished MP4, found by its index as a player finds them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use mp4_atom::{Atom as _, Codec, Decode as _, Moov, Stbl, StszSamples};

/// No index of a few seconds is larger.
const INDEX_BYTES: u64 = 16 << 20;
const SAMPLE_BYTES: u32 = 16 << 20;

/// A file's tracks.
pub(super) struct Film {
    /// Of the movie.
    pub(super) seconds: f64,
    /// The `avcC` record.
    pub(super) avcc: Vec<u8>,
    /// Whole pictures.
    pub(super) pictures: Vec<Vec<u8>>,
    /// The AudioSpecificConfig.
    pub(super) aac: Vec<u8>,
    /// AAC frames.
    pub(super) sounds: Vec<Vec<u8>>,
    /// Samples that are cut off at the beginning of the sound.
    pub(super) sound_begins_at: usize,
}

impl Film {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let index = index(&file).map_err(|error| error.to_string())?;
        let moov = Moov::decode(&mut index.as_slice()).map_err(|error| format!("its index: {error}"))?;
        let mut film = Self {
            seconds: moov.mvhd.duration as f64 / f64::from(moov.mvhd.timescale.max(1)),
            avcc: Vec::new(),
            pictures: Vec::new(),
            aac: Vec::new(),
            sounds: Vec::new(),
            sound_begins_at: 0,
        };
        for track in &moov.trak {
            let stbl = &track.mdia.minf.stbl;
            let samples = samples(&file, stbl).map_err(|error| error.to_string())?;
            match stbl.stsd.codecs.first() {
                Some(Codec::Avc1(codec)) => {
                    codec.avcc.encode_body(&mut film.avcc).map_err(|error| error.to_string())?;
                    film.pictures = samples;
                }
                Some(Codec::Mp4a(codec)) => {
                    let config = codec.esds.es_desc.dec_config.dec_specific.as_ref();
                    film.aac = config.map(|config| config.raw.clone()).unwrap_or_default();
                    film.sounds = samples;
                    let edits = track.edts.as_ref().and_then(|edts| edts.elst.as_ref());
                    let begins = edits.and_then(|elst| elst.entries.first()?.media_time).unwrap_or_default();
                    film.sound_begins_at = usize::try_from(begins).unwrap_or_default();
                }
                _ => return Err("it has a track that is neither H.264 nor AAC".to_owned()),
            }
        }
        Ok(film)
    }
}

/// The box `moov`, which has to stand before what is to be played.
fn index(file: &File) -> io::Result<Vec<u8>> {
    let (end, mut at) = (file.metadata()?.len(), 0);
    while at + 8 <= end {
        let mut head = [0; 8];
        file.read_exact_at(&mut head, at)?;
        let length = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        match &head[4..] {
            b"moov" if length <= INDEX_BYTES => {
                let mut index = vec![0; length as usize];
                file.read_exact_at(&mut index, at)?;
                return Ok(index);
            }
            b"mdat" => break,
            _ if length < 8 => break,
            _ => at += length,
        }
    }
    Err(io::Error::other("no index stands in front of what is to be played"))
}

fn samples(file: &File, stbl: &Stbl) -> io::Result<Vec<Vec<u8>>> {
    let sizes = match &stbl.stsz.samples {
        StszSamples::Different { sizes } => sizes.clone(),
        StszSamples::Identical { count, size } => vec![*size; *count as usize],
    };
    let offsets: Vec<u64> = match (&stbl.stco, &stbl.co64) {
        (Some(stco), _) => stco.entries.iter().map(|at| u64::from(*at)).collect(),
        (None, Some(co64)) => co64.entries.clone(),
        (None, None) => Vec::new(),
    };
    let runs = &stbl.stsc.entries;
    let count = |number: u32| {
        runs.iter().rev().find(|run| run.first_chunk <= number).map_or(0, |run| run.samples_per_chunk)
    };
    let (mut samples, mut sizes) = (Vec::new(), sizes.into_iter());
    for (number, offset) in (1..).zip(offsets) {
        let mut at = offset;
        for size in sizes.by_ref().take(count(number) as usize) {
            if size > SAMPLE_BYTES {
                return Err(io::Error::other("a sample is larger than any may be"));
            }
            let mut sample = vec![0; size as usize];
            file.read_exact_at(&mut sample, at)?;
            at += u64::from(size);
            samples.push(sample);
        }
    }
    Ok(samples)
}
