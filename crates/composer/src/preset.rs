//! Presets: what the file shall be like, by LiveKit's names.

use crate::{error::ComposeError, layout::Size};

/// Sound is mixed and encoded at this rate, samples per second.
pub const SAMPLE_RATE_HZ: u32 = 48_000;

/// What the file shall be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Pixels, even.
    pub size: Size,
    /// Pictures per second; a divisor of 48000.
    pub frames_per_second: u32,
    /// Picture bits per second at most, thousands.
    pub video_kbps: u32,
    /// Sound bits per second, thousands.
    pub audio_kbps: u32,
    /// A keyframe comes at least this often, milliseconds.
    pub keyframe_ms: u32,
}

/// LiveKit's `EncodingOptionsPreset`s: name, width, height, pictures per second, kbit/s.
const NAMED: [(&str, u32, u32, u32, u32); 8] = [
    ("H264_720P_30", 1280, 720, 30, 3000),
    ("H264_720P_60", 1280, 720, 60, 4500),
    ("H264_1080P_30", 1920, 1080, 30, 4500),
    ("H264_1080P_60", 1920, 1080, 60, 6000),
    ("PORTRAIT_H264_720P_30", 720, 1280, 30, 3000),
    ("PORTRAIT_H264_720P_60", 720, 1280, 60, 4500),
    ("PORTRAIT_H264_1080P_30", 1080, 1920, 30, 4500),
    ("PORTRAIT_H264_1080P_60", 1080, 1920, 60, 6000),
];

impl Default for Preset {
    /// LiveKit's `H264_720P_30`.
    fn default() -> Self {
        Self {
            size: Size { width: 1280, height: 720 },
            frames_per_second: 30,
            video_kbps: 3000,
            audio_kbps: 128,
            keyframe_ms: 2000,
        }
    }
}

impl Preset {
    /// The preset of that LiveKit name, such as `PORTRAIT_H264_1080P_60`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let (_, width, height, frames_per_second, video_kbps) =
            *NAMED.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))?;
        Some(Self { size: Size { width, height }, frames_per_second, video_kbps, ..Self::default() })
    }

    /// The names [`Preset::named`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, ..)| *name)
    }

    /// Whether its numbers fit together.
    pub(crate) fn check(&self) -> Result<(), ComposeError> {
        let Size { width, height } = self.size;
        if width < 64 || height < 64 || width % 2 != 0 || height % 2 != 0 || width > 8192 || height > 8192 {
            return Err(ComposeError::Preset("width and height must be even and between 64 and 8192"));
        }
        if self.frames_per_second == 0 || !SAMPLE_RATE_HZ.is_multiple_of(self.frames_per_second) {
            return Err(ComposeError::Preset("the picture rate must divide 48000"));
        }
        Ok(())
    }

    /// Pictures from one keyframe to the next at most.
    pub(crate) fn keyframe_interval(&self) -> u32 {
        let pictures = u64::from(self.keyframe_ms) * u64::from(self.frames_per_second) / 1000;
        u32::try_from(pictures).unwrap_or(u32::MAX).clamp(1, 10 * self.frames_per_second)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_name_is_a_preset_that_holds() {
        for name in Preset::names() {
            let preset = Preset::named(name).unwrap();
            preset.check().unwrap();
            assert_eq!(preset.size.height > preset.size.width, name.starts_with("PORTRAIT"));
        }
        assert_eq!(Preset::named("h264_720p_30"), Some(Preset::default()));
        assert_eq!(Preset::named("VP9"), None);
    }

    #[test]
    fn keyframes_come_as_often_as_asked_within_reason() {
        let interval = |keyframe_ms| Preset { keyframe_ms, ..Preset::default() }.keyframe_interval();
        assert_eq!((interval(2000), interval(0), interval(u32::MAX)), (60, 1, 300));
    }
}
