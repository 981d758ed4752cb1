//! What StartRoomCompositeEgress asks for, checked: the [`Plan`] of a recording.

use reelroom_protocol::proto::room_composite_egress_request::{Options, Output};
use reelroom_protocol::proto::{
    AudioCodec, AudioMixing, EncodedFileOutput, EncodedFileType, EncodingOptions, EncodingOptionsPreset,
    RoomCompositeEgressRequest, VideoCodec, encoded_file_output,
};
use reelroom_protocol::twirp::{TwirpCode, TwirpError};
use serde::{Deserialize, Serialize};

use crate::storage::Storage;
use crate::template::{self, Facts};

const EXTENSION: &str = "mp4";
const MAX_PIXELS: i32 = 4096;
const MAX_FRAMES_PER_SECOND: i32 = 60;
/// A picture lasts a whole number of sound samples.
const SAMPLE_RATE_HZ: i32 = 48_000;
const MAX_VIDEO_KBPS: i32 = 50_000;
const MAX_AUDIO_KBPS: i32 = 512;
/// Seconds between keyframes; longer ones make seeking slow.
const KEYFRAME_INTERVAL_S: std::ops::RangeInclusive<f64> = 0.1..=10.0;

/// How a recording is made, and what it is called. Kept in the take's header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// LiveKit's layout name; empty is `grid`.
    pub(crate) layout: String,
    pub(crate) audio_only: bool,
    pub(crate) encoding: Encoding,
    /// Path inside the store.
    pub(crate) key: String,
    /// Whether a description is stored beside the file for other programs.
    pub(crate) manifest: bool,
    /// The bucket that the request names; the server's own store otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) storage: Option<Storage>,
}

/// Size and rates of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encoding {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frames_per_second: u32,
    pub(crate) video_kbps: u32,
    pub(crate) audio_kbps: u32,
    /// A keyframe comes at least this often. Takes of before it was kept have the default.
    #[serde(default = "default_keyframe_ms")]
    pub(crate) keyframe_ms: u32,
}

fn default_keyframe_ms() -> u32 {
    2000
}

impl Default for Encoding {
    /// `H264_720P_30`, whatever the comments in LiveKit's protocol say.
    fn default() -> Self {
        Self {
            width: 1280,
            height: 720,
            frames_per_second: 30,
            video_kbps: 3000,
            audio_kbps: 128,
            keyframe_ms: default_keyframe_ms(),
        }
    }
}

/// Checks a request.
///
/// # Errors
/// `invalid_argument` with LiveKit's "request has missing or invalid field: …"; `unimplemented`, saying what, for what LiveKit
/// can and this recorder cannot.
pub(crate) fn plan(request: &RoomCompositeEgressRequest, facts: &Facts<'_>) -> Result<Plan, TwirpError> {
    if !request.stream_outputs.is_empty() || matches!(request.output, Some(Output::Stream(_))) {
        return Err(unsupported("stream outputs"));
    }
    if !request.segment_outputs.is_empty() || matches!(request.output, Some(Output::Segments(_))) {
        return Err(unsupported("segment outputs"));
    }
    if !request.image_outputs.is_empty() {
        return Err(unsupported("image outputs"));
    }
    let file = match (request.file_outputs.as_slice(), &request.output) {
        ([file], None) => file,
        ([], Some(Output::File(file))) => file,
        ([], _) => return Err(invalid("output")),
        _ => return Err(invalid("file_outputs")),
    };
    if !request.custom_base_url.is_empty() {
        return Err(unsupported("custom_base_url"));
    }
    if request.video_only {
        return Err(if request.audio_only { invalid("video_only") } else { unsupported("video_only") });
    }
    if request.audio_mixing != AudioMixing::DefaultMixing as i32 {
        return Err(unsupported("audio_mixing"));
    }
    if !request.webhooks.is_empty() {
        return Err(unsupported("webhooks of a single request (the server's settings name webhook URLs)"));
    }
    let encoding = match request.options {
        None => Encoding::default(),
        Some(Options::Preset(preset)) => from_preset(preset)?,
        Some(Options::Advanced(options)) => from_advanced(&options)?,
    };
    Ok(Plan {
        layout: request.layout.clone(),
        audio_only: request.audio_only,
        encoding,
        key: key(file, facts)?,
        manifest: !file.disable_manifest,
        storage: Storage::of(file)?,
    })
}

/// Where a request that has a [`plan`] wants its file, as it was written: the path, behind the bucket that it names if it does.
pub(crate) fn asked_place(request: &RoomCompositeEgressRequest) -> String {
    let file = match (request.file_outputs.first(), &request.output) {
        (Some(file), _) | (None, Some(Output::File(file))) => file,
        _ => return String::new(),
    };
    match &file.output {
        Some(encoded_file_output::Output::S3(s3)) => {
            format!("{} {} {}", s3.endpoint, s3.bucket, file.filepath)
        }
        _ => file.filepath.clone(),
    }
}

fn key(file: &EncodedFileOutput, facts: &Facts<'_>) -> Result<String, TwirpError> {
    // Sound alone is stored as MP4 too, so DEFAULT never means OGG here.
    match EncodedFileType::try_from(file.file_type) {
        Ok(EncodedFileType::DefaultFiletype | EncodedFileType::Mp4) => {}
        Ok(_) => return Err(unsupported("file types other than MP4")),
        Err(_) => return Err(invalid("file_type")),
    }
    template::resolve(&file.filepath, EXTENSION, facts).map_err(|_| invalid("filepath"))
}

fn from_preset(preset: i32) -> Result<Encoding, TwirpError> {
    use EncodingOptionsPreset as P;
    let preset = P::try_from(preset).map_err(|_| invalid("preset"))?;
    let (width, height, frames_per_second, video_kbps) = match preset {
        P::H264720p30 => (1280, 720, 30, 3000),
        P::H264720p60 => (1280, 720, 60, 4500),
        P::H2641080p30 => (1920, 1080, 30, 4500),
        P::H2641080p60 => (1920, 1080, 60, 6000),
        P::PortraitH264720p30 => (720, 1280, 30, 3000),
        P::PortraitH264720p60 => (720, 1280, 60, 4500),
        P::PortraitH2641080p30 => (1080, 1920, 30, 4500),
        P::PortraitH2641080p60 => (1080, 1920, 60, 6000),
        P::Passthrough => return Err(invalid("preset")),
    };
    Ok(Encoding { width, height, frames_per_second, video_kbps, ..Encoding::default() })
}

/// 0 keeps the default of a field. Sound is always at 48 kHz: the frequency is checked, and not followed.
fn from_advanced(options: &EncodingOptions) -> Result<Encoding, TwirpError> {
    let base = Encoding::default();
    let video_codec = VideoCodec::try_from(options.video_codec).map_err(|_| invalid("video_codec"))?;
    if video_codec != VideoCodec::DefaultVc && !video_codec.as_str_name().starts_with("H264") {
        return Err(unsupported("video codecs other than H.264"));
    }
    match AudioCodec::try_from(options.audio_codec) {
        // The stock Rust SDK asks for Opus unless it is told otherwise; what is written is AAC, for every player takes that.
        Ok(AudioCodec::DefaultAc | AudioCodec::Aac | AudioCodec::Opus) => {}
        Ok(_) => return Err(unsupported("audio codecs other than AAC")),
        Err(_) => return Err(invalid("audio_codec")),
    }
    if !matches!(options.depth, 0 | 8 | 16 | 24) {
        return Err(invalid("depth"));
    }
    if !matches!(options.audio_frequency, 0 | 44_100 | 48_000) {
        return Err(invalid("audio_frequency"));
    }
    let size = |value: i32, field| match value {
        value if value % 2 == 0 => within(value, 16, MAX_PIXELS, field),
        _ => Err(invalid(field)),
    };
    let or_base =
        |value: i32, base: u32| if value == 0 { i32::try_from(base).unwrap_or(i32::MAX) } else { value };
    let frames_per_second = or_base(options.framerate, base.frames_per_second);
    if frames_per_second <= 0 || SAMPLE_RATE_HZ % frames_per_second != 0 {
        return Err(invalid("framerate"));
    }
    Ok(Encoding {
        width: size(or_base(options.width, base.width), "width")?,
        height: size(or_base(options.height, base.height), "height")?,
        frames_per_second: within(frames_per_second, 1, MAX_FRAMES_PER_SECOND, "framerate")?,
        video_kbps: within(
            or_base(options.video_bitrate, base.video_kbps),
            1,
            MAX_VIDEO_KBPS,
            "video_bitrate",
        )?,
        audio_kbps: within(
            or_base(options.audio_bitrate, base.audio_kbps),
            8,
            MAX_AUDIO_KBPS,
            "audio_bitrate",
        )?,
        keyframe_ms: match options.key_frame_interval {
            0.0 => base.keyframe_ms,
            seconds if KEYFRAME_INTERVAL_S.contains(&seconds) => (seconds * 1000.0).round() as u32,
            _ => return Err(invalid("key_frame_interval")),
        },
    })
}

fn within(value: i32, least: i32, most: i32, field: &str) -> Result<u32, TwirpError> {
    u32::try_from(value).ok().filter(|_| (least..=most).contains(&value)).ok_or_else(|| invalid(field))
}

/// LiveKit's layouts, as UpdateLayout takes them; empty is the default one.
///
/// # Errors
/// `invalid_argument`: with a request to start, an unknown name is a layout of another server and recorded as a grid; a change of
/// a running recording is made by somebody who wants to see it.
pub(crate) fn known_layout(name: &str) -> Result<&str, TwirpError> {
    let bare = name.strip_suffix("-light").or_else(|| name.strip_suffix("-dark")).unwrap_or(name);
    if matches!(bare, "" | "grid" | "speaker" | "single-speaker") { Ok(name) } else { Err(invalid("layout")) }
}

/// LiveKit's answer to a bad request.
pub(crate) fn invalid(field: &str) -> TwirpError {
    TwirpError::new(TwirpCode::InvalidArgument, format!("request has missing or invalid field: {field}"))
}

/// What LiveKit has and this recorder does not.
pub(crate) fn unsupported(what: &str) -> TwirpError {
    TwirpError::new(TwirpCode::Unimplemented, format!("not supported by this recorder: {what}"))
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::{GcpUpload, S3Upload};
    use time::macros::datetime;

    use super::*;

    fn file(filepath: &str) -> EncodedFileOutput {
        EncodedFileOutput { filepath: filepath.into(), ..Default::default() }
    }

    fn request() -> RoomCompositeEgressRequest {
        RoomCompositeEgressRequest {
            room_name: "r".into(),
            file_outputs: vec![file("recordings/{room_name}")],
            ..Default::default()
        }
    }

    fn checked(request: &RoomCompositeEgressRequest) -> Result<Plan, TwirpError> {
        plan(request, &Facts { room_name: "r", room_id: "RM_1", at: datetime!(2026-01-01 00:00 UTC) })
    }

    fn refusal(request: &RoomCompositeEgressRequest) -> (TwirpCode, String) {
        let error = checked(request).unwrap_err();
        (error.code, error.message)
    }

    #[test]
    fn a_file_output_in_either_place_is_a_plan_with_the_default_preset() {
        let plan = checked(&request()).unwrap();
        assert_eq!(plan.key, "recordings/r.mp4");
        assert_eq!((plan.encoding, plan.manifest), (Encoding::default(), true));
        let old = RoomCompositeEgressRequest {
            file_outputs: Vec::new(),
            output: Some(Output::File(file("recordings/{room_name}"))),
            ..request()
        };
        assert_eq!(checked(&old).unwrap(), plan);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_as_livekit_names_it() {
        let field = |name: &str| {
            (TwirpCode::InvalidArgument, format!("request has missing or invalid field: {name}"))
        };
        let none = RoomCompositeEgressRequest { file_outputs: Vec::new(), ..request() };
        assert_eq!(refusal(&none), field("output"));
        let two = RoomCompositeEgressRequest { file_outputs: vec![file("a"), file("b")], ..request() };
        assert_eq!(refusal(&two), field("file_outputs"));
        let bad = RoomCompositeEgressRequest { file_outputs: vec![file(&"x".repeat(300))], ..request() };
        assert_eq!(refusal(&bad), field("filepath"));
        for (options, name) in [
            (EncodingOptions { width: 1281, ..Default::default() }, "width"),
            (EncodingOptions { height: 8, ..Default::default() }, "height"),
            (EncodingOptions { framerate: 29, ..Default::default() }, "framerate"),
            (EncodingOptions { framerate: -30, ..Default::default() }, "framerate"),
            (EncodingOptions { depth: 12, ..Default::default() }, "depth"),
            (EncodingOptions { video_bitrate: -1, ..Default::default() }, "video_bitrate"),
            (EncodingOptions { key_frame_interval: 60.0, ..Default::default() }, "key_frame_interval"),
            (EncodingOptions { key_frame_interval: f64::NAN, ..Default::default() }, "key_frame_interval"),
        ] {
            let request =
                RoomCompositeEgressRequest { options: Some(Options::Advanced(options)), ..request() };
            assert_eq!(refusal(&request), field(name));
        }
    }

    #[test]
    fn what_livekit_can_and_we_cannot_is_refused_and_not_ignored() {
        let gcp = encoded_file_output::Output::Gcp(GcpUpload::default());
        let refused = [
            RoomCompositeEgressRequest { stream_outputs: vec![Default::default()], ..request() },
            RoomCompositeEgressRequest { segment_outputs: vec![Default::default()], ..request() },
            RoomCompositeEgressRequest { image_outputs: vec![Default::default()], ..request() },
            RoomCompositeEgressRequest { custom_base_url: "https://x".into(), ..request() },
            RoomCompositeEgressRequest { video_only: true, ..request() },
            RoomCompositeEgressRequest { webhooks: vec![Default::default()], ..request() },
            RoomCompositeEgressRequest {
                file_outputs: vec![EncodedFileOutput { output: Some(gcp), ..file("a") }],
                ..request()
            },
            RoomCompositeEgressRequest {
                file_outputs: vec![EncodedFileOutput { file_type: EncodedFileType::Ogg as i32, ..file("a") }],
                ..request()
            },
        ];
        for request in refused {
            assert_eq!(refusal(&request).0, TwirpCode::Unimplemented);
        }
    }

    #[test]
    fn a_bucket_that_a_request_names_is_in_its_plan() {
        let s3 = S3Upload {
            bucket: "theirs".into(),
            access_key: "a".into(),
            secret: "b".into(),
            ..Default::default()
        };
        let output = Some(encoded_file_output::Output::S3(s3));
        let request = RoomCompositeEgressRequest {
            file_outputs: vec![EncodedFileOutput { output, ..file("a") }],
            ..request()
        };
        let plan = checked(&request).unwrap();
        assert_eq!((plan.key.as_str(), plan.storage.unwrap().config().bucket.as_str()), ("a.mp4", "theirs"));
        let here = RoomCompositeEgressRequest { file_outputs: vec![file("a")], ..request.clone() };
        assert_ne!(asked_place(&request), asked_place(&here), "both at once are no recording twice");
    }

    #[test]
    fn presets_and_advanced_options_are_followed() {
        let preset = Options::Preset(EncodingOptionsPreset::PortraitH2641080p30 as i32);
        let encoding =
            checked(&RoomCompositeEgressRequest { options: Some(preset), ..request() }).unwrap().encoding;
        assert_eq!((encoding.width, encoding.height, encoding.video_kbps), (1080, 1920, 4500));
        let advanced = Options::Advanced(EncodingOptions {
            width: 640,
            framerate: 15,
            key_frame_interval: 4.0,
            ..Default::default()
        });
        let encoding =
            checked(&RoomCompositeEgressRequest { options: Some(advanced), ..request() }).unwrap().encoding;
        assert_eq!((encoding.width, encoding.height, encoding.frames_per_second), (640, 720, 15));
        assert_eq!(encoding.keyframe_ms, 4000);
    }

    #[test]
    fn a_layout_is_kept_as_it_was_named() {
        for layout in ["", "speaker", "single-speaker-light", "grid-dark"] {
            let request = RoomCompositeEgressRequest { layout: layout.into(), ..request() };
            assert_eq!(checked(&request).unwrap().layout, layout);
        }
    }

    #[test]
    fn only_layouts_that_there_are_can_be_changed_to() {
        for layout in ["", "grid", "speaker-dark", "single-speaker-light"] {
            assert_eq!(known_layout(layout).unwrap(), layout);
        }
        for layout in ["spiral", "Grid", "grid-pink", "light"] {
            assert_eq!(known_layout(layout).unwrap_err().code, TwirpCode::InvalidArgument);
        }
    }

    #[test]
    fn a_plan_of_before_keyframes_were_kept_is_still_read() {
        let old = r#"{"width":1280,"height":720,"frames_per_second":30,"video_kbps":3000,"audio_kbps":128}"#;
        assert_eq!(serde_json::from_str::<Encoding>(old).unwrap(), Encoding::default());
    }
}
