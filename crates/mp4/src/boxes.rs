//! The boxes of our MP4 files, as `mp4-atom` values. Pure. Rules: ISO/IEC 14496-12 (boxes), -14 (`esds`), -15 (`avcC`).

use mp4_atom::{
    Atom, Audio, Avc1, Avcc, Btrt, Co64, Codec, Colr, Dinf, Dref, Edts, Elst, ElstEntry, Esds, Ftyp, Hdlr,
    Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mp4a, Mvex, Mvhd, Pasp, Smhd, Stbl, Stco, Stsc, StscEntry, Stsd,
    Stss, Stsz, StszSamples, Stts, SttsEntry, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry,
    TrunSamples, Url, Visual, Vmhd, esds,
};

use crate::index::{Index, Tables};

/// Ticks per picture of the video track.
const PICTURE_TICKS: u32 = 1000;
/// Ticks per second of the movie; every common picture rate and AAC's divide it without remainder.
const MOVIE_HZ: u32 = 48_000;
pub(crate) const VIDEO_TRACK: u32 = 1;
pub(crate) const AUDIO_TRACK: u32 = 2;
/// Samples in an AAC-LC frame (ISO/IEC 14496-3).
const AAC_LC_SAMPLES: u32 = 1024;
/// `sample_depends_on = 2`: decodable alone.
const KEYFRAME_FLAGS: u32 = 0x0200_0000;
/// `sample_depends_on = 1`, `sample_is_non_sync_sample`.
const DELTA_FLAGS: u32 = 0x0101_0000;

/// The H.264 track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSpec {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pictures per second.
    pub frames_per_second: u32,
    /// The `avcC` record (ISO/IEC 14496-15, 5.3.3.1).
    pub avcc: Vec<u8>,
    /// Bits per second, at most (informative).
    pub bitrate_bps: u32,
}

/// The AAC track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioSpec {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Channels.
    pub channels: u16,
    /// Samples in each AAC frame.
    pub samples_per_frame: u32,
    /// Samples at the beginning that are the encoder's and not ours.
    pub priming_samples: u32,
    /// The AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).
    pub config: Vec<u8>,
    /// Bits per second (informative).
    pub bitrate_bps: u32,
}

/// The tracks of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MovieSpec {
    /// Pictures, if there are any.
    pub video: Option<VideoSpec>,
    /// Sound, if there is any.
    pub audio: Option<AudioSpec>,
}

/// The first box of every file.
pub(crate) fn ftyp() -> Ftyp {
    Ftyp {
        major_brand: b"isom".into(),
        minor_version: 512,
        compatible_brands: vec![b"isom".into(), b"iso6".into(), b"mp41".into(), b"mp42".into()],
    }
}

/// The `moov` of the growing file: no samples, no durations.
pub(crate) fn fragmented_moov(movie: &MovieSpec) -> mp4_atom::Result<Moov> {
    let empty = Index::default();
    let mut moov = moov(movie, &empty, &empty, 0, OffsetWidth::Short)?;
    let trex = |track_id| Trex { track_id, default_sample_description_index: 1, ..Trex::default() };
    let tracks = moov.trak.iter().map(|trak| trex(trak.tkhd.track_id)).collect();
    moov.mvex = Some(Mvex { mehd: None, trex: tracks });
    Ok(moov)
}

/// The `moov` of the finished file.
pub(crate) fn indexed_moov(
    movie: &MovieSpec,
    tables: &Tables,
    duration_ns: u64,
    width: OffsetWidth,
) -> mp4_atom::Result<Moov> {
    let duration = (u128::from(duration_ns) * u128::from(MOVIE_HZ) + 500_000_000) / 1_000_000_000;
    moov(movie, &tables.video, &tables.audio, duration as u64, width)
}

/// How offsets of chunks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetWidth {
    /// `stco`: in 32 bits.
    Short,
    /// `co64`.
    Long,
}

impl OffsetWidth {
    /// For a file that is at most so large.
    pub(crate) fn of(file_bytes: u64) -> Self {
        if file_bytes > u64::from(u32::MAX) { Self::Long } else { Self::Short }
    }
}

/// Whether a sample of these flags is decodable alone.
pub(crate) fn is_keyframe(flags: u32) -> bool {
    const NON_SYNC: u32 = 0x0001_0000;
    flags & NON_SYNC == 0
}

impl MovieSpec {
    /// What a growing file's `moov` says; `None` for one that is none of ours.
    pub(crate) fn from_moov(moov: &Moov) -> Option<Self> {
        let mut movie = Self::default();
        for trak in &moov.trak {
            let (stbl, hz) = (&trak.mdia.minf.stbl, trak.mdia.mdhd.timescale);
            match stbl.stsd.codecs.first()? {
                Codec::Avc1(codec) => {
                    let mut avcc = Vec::new();
                    codec.avcc.encode_body(&mut avcc).ok()?;
                    movie.video = Some(VideoSpec {
                        width: codec.visual.width.into(),
                        height: codec.visual.height.into(),
                        frames_per_second: hz / PICTURE_TICKS,
                        avcc,
                        bitrate_bps: codec.btrt.as_ref()?.max_bitrate,
                    });
                }
                Codec::Mp4a(codec) => {
                    let edits = trak.edts.as_ref()?.elst.as_ref()?;
                    movie.audio = Some(AudioSpec {
                        sample_rate_hz: hz,
                        channels: codec.audio.channel_count,
                        samples_per_frame: AAC_LC_SAMPLES,
                        priming_samples: edits.entries.first()?.media_time?.try_into().ok()?,
                        config: codec.esds.es_desc.dec_config.dec_specific.as_ref()?.raw.clone(),
                        bitrate_bps: codec.btrt.as_ref()?.max_bitrate,
                    });
                }
                _ => return None,
            }
        }
        (movie.video.is_some() || movie.audio.is_some()).then_some(movie)
    }

    /// How long so many pictures and AAC frames are, nanoseconds; of both tracks the pictures count.
    pub(crate) fn length_ns(&self, pictures: usize, sounds: usize) -> u64 {
        let ns = |count: u64, hz: u32| {
            (u128::from(count) * 1_000_000_000 / u128::from(hz.max(1))).try_into().unwrap_or(u64::MAX)
        };
        match (&self.video, &self.audio) {
            (Some(video), _) => ns(pictures as u64, video.frames_per_second),
            (None, Some(audio)) => {
                let samples = sounds as u64 * u64::from(audio.samples_per_frame);
                ns(samples.saturating_sub(audio.priming_samples.into()), audio.sample_rate_hz)
            }
            (None, None) => 0,
        }
    }
}

fn moov(
    movie: &MovieSpec,
    video: &Index,
    audio: &Index,
    duration: u64,
    width: OffsetWidth,
) -> mp4_atom::Result<Moov> {
    let mut trak = Vec::new();
    if let Some(spec) = &movie.video {
        trak.push(video_trak(spec, video, duration, width)?);
    }
    if let Some(spec) = &movie.audio {
        trak.push(audio_trak(spec, audio, duration, width));
    }
    Ok(Moov {
        mvhd: Mvhd {
            timescale: MOVIE_HZ,
            duration,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: AUDIO_TRACK + 1,
            ..Mvhd::default()
        },
        trak,
        ..Moov::default()
    })
}

fn video_trak(spec: &VideoSpec, index: &Index, duration: u64, width: OffsetWidth) -> mp4_atom::Result<Trak> {
    let avcc = Avcc::decode_body(&mut spec.avcc.as_slice())?;
    let codec = Avc1 {
        visual: Visual {
            data_reference_index: 1,
            width: spec.width as u16,
            height: spec.height as u16,
            horizresolution: 72.into(),
            vertresolution: 72.into(),
            frame_count: 1,
            compressor: "".into(),
            depth: 24,
        },
        avcc,
        btrt: Some(Btrt { buffer_size_db: 0, max_bitrate: spec.bitrate_bps, avg_bitrate: spec.bitrate_bps }),
        // BT.601, limited range: what browsers send (see `video::BROWSER_COLOURS`).
        colr: Some(Colr::Nclx {
            colour_primaries: 6,
            transfer_characteristics: 6,
            matrix_coefficients: 6,
            full_range_flag: false,
        }),
        pasp: Some(Pasp { h_spacing: 1, v_spacing: 1 }),
        taic: None,
        fiel: None,
        spatial: None,
    };
    let timescale = spec.frames_per_second * PICTURE_TICKS;
    Ok(Trak {
        tkhd: Tkhd {
            track_id: VIDEO_TRACK,
            duration,
            enabled: true,
            in_movie: true,
            width: (spec.width as u16).into(),
            height: (spec.height as u16).into(),
            ..Tkhd::default()
        },
        edts: Some(edit(duration, 0)),
        mdia: Mdia {
            mdhd: Mdhd {
                timescale,
                duration: index.sizes.len() as u64 * u64::from(PICTURE_TICKS),
                language: "und".into(),
                ..Mdhd::default()
            },
            hdlr: Hdlr { handler: b"vide".into(), name: "VideoHandler".into() },
            minf: Minf {
                vmhd: Some(Vmhd::default()),
                dinf: own_file(),
                stbl: Stbl {
                    stss: (!index.sizes.is_empty()).then(|| Stss { entries: index.keyframes.clone() }),
                    ..stbl(codec.into(), PICTURE_TICKS, index, width)
                },
                ..Minf::default()
            },
        },
        ..Trak::default()
    })
}

fn audio_trak(spec: &AudioSpec, index: &Index, duration: u64, width: OffsetWidth) -> Trak {
    let config = &spec.config;
    let (first, second) = (config.first().copied().unwrap_or(0x11), config.get(1).copied().unwrap_or(0x90));
    let codec = Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: spec.channels,
            sample_size: 16,
            sample_rate: (spec.sample_rate_hz as u16).into(),
        },
        esds: Esds {
            es_desc: esds::EsDescriptor {
                es_id: AUDIO_TRACK as u16,
                dec_config: esds::DecoderConfig {
                    object_type_indication: 0x40,
                    stream_type: 5,
                    max_bitrate: spec.bitrate_bps,
                    avg_bitrate: spec.bitrate_bps,
                    dec_specific: Some(esds::DecoderSpecific {
                        profile: first >> 3,
                        freq_index: (first & 7) << 1 | second >> 7,
                        chan_conf: second >> 3 & 0xf,
                        raw: config.clone(),
                    }),
                    ..esds::DecoderConfig::default()
                },
                ..esds::EsDescriptor::default()
            },
        },
        btrt: Some(Btrt { buffer_size_db: 0, max_bitrate: spec.bitrate_bps, avg_bitrate: spec.bitrate_bps }),
        taic: None,
    };
    Trak {
        tkhd: Tkhd {
            track_id: AUDIO_TRACK,
            duration,
            alternate_group: 1,
            enabled: true,
            in_movie: true,
            volume: 1.into(),
            ..Tkhd::default()
        },
        edts: Some(edit(duration, u64::from(spec.priming_samples))),
        mdia: Mdia {
            mdhd: Mdhd {
                timescale: spec.sample_rate_hz,
                duration: index.sizes.len() as u64 * u64::from(spec.samples_per_frame),
                language: "und".into(),
                ..Mdhd::default()
            },
            hdlr: Hdlr { handler: b"soun".into(), name: "SoundHandler".into() },
            minf: Minf {
                smhd: Some(Smhd::default()),
                dinf: own_file(),
                stbl: stbl(codec.into(), spec.samples_per_frame, index, width),
                ..Minf::default()
            },
        },
        ..Trak::default()
    }
}

/// Shows `duration` movie ticks of the track from its tick `from` on (0 = to its end, in a growing file).
fn edit(duration: u64, from: u64) -> Edts {
    let entry = ElstEntry { segment_duration: duration, media_time: Some(from), media_rate: 1.into() };
    Edts { elst: Some(Elst { entries: vec![entry] }) }
}

fn own_file() -> Dinf {
    Dinf { dref: Dref { entries: vec![Url { location: String::new() }.into()] } }
}

fn stbl(codec: Codec, ticks: u32, index: &Index, width: OffsetWidth) -> Stbl {
    let mut chunks: Vec<StscEntry> = Vec::new();
    for (number, (_, samples)) in (1u32..).zip(&index.chunks) {
        if chunks.last().is_none_or(|last| last.samples_per_chunk != *samples) {
            chunks.push(StscEntry {
                first_chunk: number,
                samples_per_chunk: *samples,
                sample_description_index: 1,
            });
        }
    }
    let offsets = index.chunks.iter().map(|(offset, _)| *offset);
    let samples = index.sizes.len() as u32;
    Stbl {
        stsd: Stsd { codecs: vec![codec] },
        stts: Stts {
            entries: if samples == 0 {
                vec![]
            } else {
                vec![SttsEntry { sample_count: samples, sample_delta: ticks }]
            },
        },
        stsc: Stsc { entries: chunks },
        stsz: Stsz { samples: StszSamples::Different { sizes: index.sizes.clone() } },
        stco: (width == OffsetWidth::Short)
            .then(|| Stco { entries: offsets.clone().map(|offset| offset as u32).collect() }),
        co64: (width == OffsetWidth::Long).then(|| Co64 { entries: offsets.collect() }),
        ..Stbl::default()
    }
}

/// The samples of one fragment.
pub(crate) struct Runs<'a> {
    pub(crate) sequence: u32,
    /// Number of the fragment's first picture, from 0.
    pub(crate) first_picture: u64,
    /// Number of the fragment's first AAC frame, from 0.
    pub(crate) first_sound: u64,
    pub(crate) pictures: &'a [u32],
    pub(crate) keyframes: &'a [bool],
    pub(crate) sounds: &'a [u32],
}

/// The fragment's header; the offsets count from its first byte.
pub(crate) fn moof(movie: &MovieSpec, runs: &Runs<'_>, video_at: i32, audio_at: i32) -> Moof {
    let mut traf = Vec::new();
    if movie.video.is_some() && !runs.pictures.is_empty() {
        let samples = runs.pictures.iter().zip(runs.keyframes).map(|(size, keyframe)| TrunEntry {
            size: Some(*size),
            flags: Some(if *keyframe { KEYFRAME_FLAGS } else { DELTA_FLAGS }),
            ..TrunEntry::default()
        });
        traf.push(Traf {
            tfhd: Tfhd {
                track_id: VIDEO_TRACK,
                default_sample_duration: Some(PICTURE_TICKS),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt { base_media_decode_time: runs.first_picture * u64::from(PICTURE_TICKS) }),
            trun: vec![Trun {
                data_offset: Some(video_at),
                samples: TrunSamples::Explicit(samples.collect()),
            }],
            ..Traf::default()
        });
    }
    if let (Some(audio), false) = (&movie.audio, runs.sounds.is_empty()) {
        let samples = runs.sounds.iter().map(|size| TrunEntry { size: Some(*size), ..TrunEntry::default() });
        traf.push(Traf {
            tfhd: Tfhd {
                track_id: AUDIO_TRACK,
                default_sample_duration: Some(audio.samples_per_frame),
                default_sample_flags: Some(KEYFRAME_FLAGS),
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: runs.first_sound * u64::from(audio.samples_per_frame),
            }),
            trun: vec![Trun {
                data_offset: Some(audio_at),
                samples: TrunSamples::Explicit(samples.collect()),
            }],
            ..Traf::default()
        });
    }
    Moof { mfhd: Mfhd { sequence_number: runs.sequence }, traf }
}
