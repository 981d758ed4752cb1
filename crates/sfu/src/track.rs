//! A published track.

use std::collections::BTreeMap;
use std::time::Instant;

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    AddTrackRequest, SimulcastCodecInfo, TrackInfo, TrackSource, TrackType, VideoLayer, VideoQuality,
    encryption,
};

use crate::codec::Codec;
use crate::forward::DownTrack;
use crate::layers::Layers;
use crate::output::Fact;
use crate::parameter_sets::ParameterSets;

/// A media section of a publisher's SDP, as it stands after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its mid.
    pub mid: String,
    /// "audio" or "video".
    pub kind: TrackType,
    /// The track id of its msid: the `cid` of AddTrack.
    pub track_id: String,
    /// Whether the publisher sends on it.
    pub sends: bool,
    /// Whether it announces simulcast.
    pub simulcast: bool,
    /// H.264 parameter sets that the stream may not repeat (`sprop-parameter-sets`).
    pub parameter_sets: Vec<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) info: TrackInfo,
    pub(crate) publisher: ParticipantSid,
    pub(crate) mid: String,
    /// What the publisher said it would encode with.
    pub(crate) announced_codec: Option<Codec>,
    /// Known with the first packet; from then on the track is announced.
    pub(crate) codec: Option<Codec>,
    /// When it changed to this codec, if it did.
    pub(crate) codec_since: Option<Instant>,
    pub(crate) layers: Layers,
    pub(crate) parameter_sets: ParameterSets,
    pub(crate) down: BTreeMap<ParticipantSid, Down>,
    /// A moderator muted it, and its publisher has not unmuted it since: nothing of it is forwarded or recorded.
    pub(crate) held: bool,
}

/// One subscriber of a track.
#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) track: DownTrack,
    /// The subscriber has answered the offer that carries it.
    pub(crate) ready: bool,
}

impl Track {
    pub(crate) fn is_video(&self) -> bool {
        self.info.r#type == i32::from(TrackType::Video)
    }

    /// What recorders are told of it, once its media arrives.
    pub(crate) fn published_fact(&self) -> Option<Fact> {
        Some(Fact::TrackPublished {
            participant: self.publisher.clone(),
            info: Box::new(self.info.clone()),
            codec: self.codec?,
        })
    }

    /// It is encoded with `codec`, whatever was announced.
    pub(crate) fn set_codec(&mut self, codec: Codec) {
        self.codec = Some(codec);
        codec.mime().clone_into(&mut self.info.mime_type);
        let codecs = &mut self.info.codecs;
        if codecs.is_empty() {
            codecs.push(SimulcastCodecInfo { layers: self.info.layers.clone(), ..Default::default() });
        }
        if codecs.iter().all(|known| known.mime_type != codec.mime()) {
            codec.mime().clone_into(&mut codecs[0].mime_type);
        }
        for known in codecs {
            known.mid.clone_from(&self.mid);
        }
    }
}

/// Whether a source gives tracks of that kind: a right to a microphone is none to a camera.
pub(crate) fn is_of(kind: TrackType, source: TrackSource) -> bool {
    match source {
        TrackSource::Camera | TrackSource::ScreenShare => kind == TrackType::Video,
        TrackSource::Microphone | TrackSource::ScreenShareAudio => kind == TrackType::Audio,
        TrackSource::Unknown => true,
    }
}

/// What is said of a track that `request` announces.
pub(crate) fn info_of(request: &AddTrackRequest, sid: &TrackSid) -> TrackInfo {
    let mut layers = request.layers.clone();
    if layers.is_empty() && request.r#type == i32::from(TrackType::Video) {
        layers = vec![VideoLayer {
            quality: VideoQuality::High.into(),
            width: request.width,
            height: request.height,
            ..Default::default()
        }];
    }
    let codecs = request
        .simulcast_codecs
        .iter()
        .filter(|codec| !codec.codec.is_empty())
        .map(|codec| SimulcastCodecInfo {
            mime_type: Codec::parse(&codec.codec)
                .map_or_else(|| codec.codec.clone(), |known| known.mime().to_owned()),
            cid: codec.cid.clone(),
            layers: if codec.layers.is_empty() { layers.clone() } else { codec.layers.clone() },
            video_layer_mode: codec.video_layer_mode,
            ..Default::default()
        })
        .collect();
    TrackInfo {
        sid: sid.to_string(),
        r#type: request.r#type,
        name: request.name.clone(),
        muted: request.muted,
        width: request.width,
        height: request.height,
        simulcast: layers.len() > 1,
        source: request.source,
        layers,
        codecs,
        stereo: request.stereo,
        disable_dtx: request.disable_dtx,
        disable_red: true,
        encryption: request.encryption,
        stream: request.stream.clone(),
        audio_features: request.audio_features.clone(),
        ..Default::default()
    }
}

/// Whether only those who have its key can see or hear a track. Kinds of encryption that this version does not know count.
pub fn is_encrypted(info: &TrackInfo) -> bool {
    info.encryption != i32::from(encryption::Type::None)
}

pub(crate) fn source_of(info: &TrackInfo) -> TrackSource {
    TrackSource::try_from(info.source).unwrap_or(TrackSource::Unknown)
}
