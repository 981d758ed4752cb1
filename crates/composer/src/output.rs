//! From the encoders to the file: the file can only be begun once both encoders have said how to decode them.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use reelroom_mp4::{AudioSpec, Mark, MovieSpec, Mp4Writer, VideoSpec};

use crate::{
    encode::{self, AAC_FRAME_SAMPLES, AAC_PRIMING_SAMPLES, CHANNELS, Encoded, SAMPLE_RATE_HZ},
    error::ComposeError,
    preset::Preset,
    resume::Part,
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
    /// So many of the next AAC frames stand in the file already.
    sounds_there: u64,
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
            sounds_there: 0,
        })
    }

    /// Goes on with the file at `path`. `None` if it is not the one that was kept, or if encoders of today would not fit to it: then
    /// it has to be made anew.
    pub(crate) fn go_on(
        path: &Path,
        preset: &Preset,
        with_pictures: bool,
        part: &Part,
    ) -> Result<Option<Self>, ComposeError> {
        let (Some(mark), true) = (part.mark(), is_only_name(path)) else { return Ok(None) };
        let (pictures, sound) = encode::configs(preset, with_pictures)?;
        let movie = movie(preset, pictures, sound);
        let writer = Mp4Writer::resume(path, &movie, part.seconds, mark);
        let Some(writer) = writer.map_err(ComposeError::output(path))? else { return Ok(None) };
        Ok(Some(Self {
            path: path.to_owned(),
            preset: *preset,
            with_pictures,
            writer: Some(writer),
            pictures: VecDeque::new(),
            sounds: VecDeque::new(),
            sounds_there: 0,
        }))
    }

    /// AAC frames of the new encoder, whose first is number `first` of the file, are left out where the file's first `seconds` have
    /// them.
    pub(crate) fn leave_out(&mut self, first: u64, seconds: u64) {
        let audio = self.writer.as_ref().and_then(|writer| writer.movie().audio.as_ref());
        self.sounds_there =
            audio.map_or(0, |audio| Mp4Writer::sounds_in(audio, seconds).saturating_sub(first));
    }

    /// Whole seconds in the file.
    pub(crate) fn seconds(&self) -> u64 {
        self.writer.as_ref().map_or(0, Mp4Writer::seconds)
    }

    /// What the file's first `seconds` are known by; they are on disk.
    pub(crate) fn mark(&mut self, seconds: u64) -> Result<Option<Mark>, ComposeError> {
        let Some(writer) = &mut self.writer else { return Ok(None) };
        writer.mark(seconds).map_err(ComposeError::output(&self.path))
    }

    pub(crate) fn picture(&mut self, picture: Encoded) -> Result<(), ComposeError> {
        self.pictures.push_back(picture);
        self.write()
    }

    pub(crate) fn sound(&mut self, sound: Encoded) -> Result<(), ComposeError> {
        if self.sounds_there > 0 {
            self.sounds_there -= 1;
            return Ok(());
        }
        self.sounds.push_back(sound);
        self.write()
    }

    fn write(&mut self) -> Result<(), ComposeError> {
        if self.writer.is_none() {
            let Some(movie) = self.movie()? else { return Ok(()) };
            let writer = Mp4Writer::create(&self.path, movie).map_err(ComposeError::output(&self.path))?;
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
        let sound = config(sound, "avenc_aac")?;
        if !self.with_pictures {
            return Ok(Some(movie(&self.preset, None, sound)));
        }
        let Some(picture) = self.pictures.front() else { return Ok(None) };
        Ok(Some(movie(&self.preset, Some(config(picture, "x264enc")?), sound)))
    }

    /// Finishes the file; gives back its size.
    pub(crate) fn finish(mut self, duration_ns: u64) -> Result<u64, ComposeError> {
        self.write()?;
        let writer =
            self.writer.take().ok_or_else(|| ComposeError::element("encoder", "nothing was encoded"))?;
        writer.finish(duration_ns).map_err(ComposeError::output(&self.path))
    }
}

/// The tracks of a file, by what its encoders say.
fn movie(preset: &Preset, avcc: Option<Vec<u8>>, sound: Vec<u8>) -> MovieSpec {
    let audio = AudioSpec {
        sample_rate_hz: SAMPLE_RATE_HZ,
        channels: CHANNELS as u16,
        samples_per_frame: AAC_FRAME_SAMPLES,
        priming_samples: AAC_PRIMING_SAMPLES,
        config: sound,
        bitrate_bps: preset.audio_kbps * 1000,
    };
    let video = avcc.map(|avcc| VideoSpec {
        width: preset.size.width,
        height: preset.size.height,
        frames_per_second: preset.frames_per_second,
        avcc,
        bitrate_bps: preset.video_kbps * 1000,
    });
    MovieSpec { video, audio: Some(audio) }
}

/// A file that a store knows by another name is finished, and must not be written to.
fn is_only_name(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.nlink() == 1)
}
