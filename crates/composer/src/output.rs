//! From the encoders to the file: the file can only be begun once both encoders have said how to decode them.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use crate::{
    encode::{AAC_FRAME_SAMPLES, AAC_PRIMING_SAMPLES, CHANNELS, Encoded, SAMPLE_RATE_HZ},
    error::ComposeError,
    mp4::{AudioSpec, INDEX_RESERVE_BYTES, MovieSpec, Mp4Writer, VideoSpec},
    preset::Preset,
};

/// The file being written, or about to be.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    preset: Preset,
    with_pictures: bool,
    writer: Option<Mp4Writer>,
    pictures: VecDeque<Encoded>,
    sounds: VecDeque<Encoded>,
}

impl Output {
    /// Checks that `path` can be written, so that a wrong one is told at once and not after the first second.
    pub(crate) fn new(path: &Path, preset: &Preset, with_pictures: bool) -> Result<Self, ComposeError> {
        std::fs::File::create(path).map_err(ComposeError::output(path))?;
        Ok(Self {
            path: path.to_owned(),
            preset: *preset,
            with_pictures,
            writer: None,
            pictures: VecDeque::new(),
            sounds: VecDeque::new(),
        })
    }

    pub(crate) fn picture(&mut self, picture: Encoded) -> Result<(), ComposeError> {
        self.pictures.push_back(picture);
        self.write()
    }

    pub(crate) fn sound(&mut self, sound: Encoded) -> Result<(), ComposeError> {
        self.sounds.push_back(sound);
        self.write()
    }

    fn write(&mut self) -> Result<(), ComposeError> {
        if self.writer.is_none() {
            let Some(movie) = self.movie()? else { return Ok(()) };
            let writer = Mp4Writer::create(&self.path, movie, INDEX_RESERVE_BYTES)
                .map_err(ComposeError::output(&self.path))?;
            self.writer = Some(writer);
        }
        let writer = self.writer.as_mut().expect("it was just made");
        for picture in self.pictures.drain(..) {
            let map =
                picture.buffer.map_readable().map_err(|error| ComposeError::element("x264enc", error))?;
            writer.push_video(&map, picture.keyframe).map_err(ComposeError::output(&self.path))?;
        }
        for sound in self.sounds.drain(..) {
            let map =
                sound.buffer.map_readable().map_err(|error| ComposeError::element("avenc_aac", error))?;
            writer.push_audio(&map).map_err(ComposeError::output(&self.path))?;
        }
        Ok(())
    }

    /// The file's tracks, once every encoder has given out something.
    fn movie(&self) -> Result<Option<MovieSpec>, ComposeError> {
        let config = |encoded: &Encoded, element: &str| -> Result<Vec<u8>, ComposeError> {
            let config =
                encoded.config.as_ref().ok_or_else(|| ComposeError::element(element, "no codec_data"))?;
            let map = config.map_readable().map_err(|error| ComposeError::element(element, error))?;
            Ok(map.to_vec())
        };
        let Some(sound) = self.sounds.front() else { return Ok(None) };
        let audio = AudioSpec {
            sample_rate_hz: SAMPLE_RATE_HZ,
            channels: CHANNELS as u16,
            samples_per_frame: AAC_FRAME_SAMPLES,
            priming_samples: AAC_PRIMING_SAMPLES,
            config: config(sound, "avenc_aac")?,
            bitrate_bps: self.preset.audio_kbps * 1000,
        };
        if !self.with_pictures {
            return Ok(Some(MovieSpec { video: None, audio: Some(audio) }));
        }
        let Some(picture) = self.pictures.front() else { return Ok(None) };
        let video = VideoSpec {
            width: self.preset.size.width,
            height: self.preset.size.height,
            frames_per_second: self.preset.frames_per_second,
            avcc: config(picture, "x264enc")?,
            bitrate_bps: self.preset.video_kbps * 1000,
        };
        Ok(Some(MovieSpec { video: Some(video), audio: Some(audio) }))
    }

    /// Finishes the file; gives back its size.
    pub(crate) fn finish(mut self, duration_ns: u64) -> Result<u64, ComposeError> {
        self.write()?;
        let writer =
            self.writer.take().ok_or_else(|| ComposeError::element("encoder", "nothing was encoded"))?;
        writer.finish(duration_ns).map_err(ComposeError::output(&self.path))
    }
}
