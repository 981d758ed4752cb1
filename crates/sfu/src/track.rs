//! A published track.

use std::collections::BTreeMap;
use std::time::Instant;

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::{
    AddTrackRequest, AudioTrackFeature, SimulcastCodecInfo, TimedVersion, TrackInfo, TrackSource, TrackType,
    VideoLayer, VideoQuality, encryption,
};

use crate::codec::Codec;
use crate::dynacast::Dynacast;
use crate::layers::{KeyframeFor, Layer, Layers};
use crate::output::{Fact, Output};
use crate::parameter_sets::ParameterSets;
use crate::red::Recovery;
use crate::subscription::{Streams, Subscription};
use crate::svc::Structure;

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

/// What a publisher's sound is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Almost nothing is sent while it is silent (DTX).
    pub pauses_in_silence: bool,
    /// Two channels, in the quality of music.
    pub is_stereo: bool,
    /// Each packet carries the sound of those before it once more (RED).
    pub is_redundant: bool,
}

impl Default for Sound {
    fn default() -> Self {
        Self { pauses_in_silence: true, is_stereo: false, is_redundant: true }
    }
}

impl Sound {
    /// As was announced. What is encrypted cannot be taken apart, so it is not put together either.
    pub(crate) fn of(info: &TrackInfo) -> Self {
        let has = |feature: AudioTrackFeature| info.audio_features.contains(&feature.into());
        Self {
            pauses_in_silence: !info.disable_dtx && !has(AudioTrackFeature::TfNoDtx),
            is_stereo: info.stereo || has(AudioTrackFeature::TfStereo),
            is_redundant: !info.disable_red && !is_encrypted(info),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) info: TrackInfo,
    pub(crate) publisher: ParticipantSid,
    pub(crate) mid: String,
    /// What the publisher said it would encode with.
    pub(crate) announced_codec: Option<Codec>,
    /// Known with the first packet; from then on there is something to forward and to record.
    pub(crate) codec: Option<Codec>,
    /// When it changed to this codec, if it did.
    pub(crate) codec_since: Option<Instant>,
    pub(crate) layers: Layers,
    pub(crate) parameter_sets: ParameterSets,
    pub(crate) down: BTreeMap<ParticipantSid, Subscription>,
    /// A moderator muted it, and its publisher has not unmuted it since: nothing of it is forwarded or recorded.
    pub(crate) held: bool,
    /// Everybody was told of it: as its section and its announcement had met, before any media.
    pub(crate) is_published: bool,
    /// A moderator muted it, and its publisher, who was asked to mute, has not answered: then it is told by itself.
    pub(crate) echo_due: Option<Instant>,
    /// What of its redundant sound was given out, by the stream that it came in.
    pub(crate) recovery: Option<(u32, Recovery)>,
    /// How its layers are told apart, where they come in one stream.
    pub(crate) scalable: Option<Structure>,
    /// Which of its layers its publisher was told that are wanted.
    pub(crate) dynacast: Dynacast,
}

impl Track {
    pub(crate) fn is_video(&self) -> bool {
        self.info.r#type == i32::from(TrackType::Video)
    }

    /// How its layers come.
    pub(crate) fn streams(&self) -> Streams<'_> {
        match &self.scalable {
            _ if self.info.simulcast => Streams::OfLayers(&self.layers),
            Some(structure) if structure.sizes() > 1 => Streams::Scalable(structure, &self.layers),
            _ => Streams::One,
        }
    }

    /// The best layer that arrives.
    pub(crate) fn best_layer(&self, now: Instant) -> Option<Layer> {
        if self.info.simulcast { self.layers.choose(Layer::High, now) } else { Some(Layer::High) }
    }

    /// A keyframe of a picture's layer is needed: it is asked for, unless it was a moment ago; then it is asked for later.
    pub(crate) fn request_keyframe(
        &mut self,
        sid: &TrackSid,
        layer: Layer,
        whom: KeyframeFor,
        now: Instant,
    ) -> Option<Output> {
        let is_asked = self.is_video() && self.layers.needs_keyframe(layer, whom, now);
        is_asked.then(|| self.keyframe_request(sid, layer))
    }

    /// Asks its publisher for a keyframe of a layer.
    pub(crate) fn keyframe_request(&self, sid: &TrackSid, layer: Layer) -> Output {
        Output::RequestKeyframe { track: sid.clone(), layer: self.info.simulcast.then_some(layer) }
    }

    /// What recorders are told of it, once its media arrives.
    pub(crate) fn published_fact(&self) -> Option<Fact> {
        Some(Fact::TrackPublished {
            participant: self.publisher.clone(),
            info: Box::new(self.info.clone()),
            codec: self.codec?,
        })
    }

    /// What it is encoded with, or will be as far as is known: one that says nothing takes what every client can decode.
    pub(crate) fn expected_codec(&self) -> Codec {
        let usual = if self.is_video() { Codec::Vp8 } else { Codec::Opus };
        let is_of_kind = |codec: &Codec| (*codec == Codec::Opus) != self.is_video();
        self.codec.or(self.announced_codec.filter(is_of_kind)).unwrap_or(usual)
    }

    /// It is encoded with `codec`, whatever was announced.
    pub(crate) fn set_codec(&mut self, codec: Codec) {
        self.codec = Some(codec);
        self.scalable = None;
        self.describe_codec();
    }

    /// Says of it what it is encoded with, or will be.
    pub(crate) fn describe_codec(&mut self) {
        let codec = self.expected_codec();
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
        self.changed();
    }

    /// Something is said of it that was not before.
    pub(crate) fn changed(&mut self) {
        let version = self.info.version.get_or_insert_default();
        version.ticks = version.ticks.saturating_add(1);
    }

    /// The sender of one of its layers is known.
    pub(crate) fn sender_known(&mut self, layer: Layer, ssrc: u32) {
        let quality = i32::from(layer.quality());
        // It is asked with every packet.
        let known = self.info.layers.iter().find(|known| known.quality == quality);
        if known.is_none_or(|known| known.ssrc == ssrc) {
            return;
        }
        let of_codecs = self.info.codecs.iter_mut().take(1).flat_map(|codec| &mut codec.layers);
        for known in self.info.layers.iter_mut().chain(of_codecs) {
            if known.quality == quality {
                known.ssrc = ssrc;
            }
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

/// The media stream of tracks that say none: a camera and a microphone belong together, and so do a screen and its sound.
fn stream_of(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Camera | TrackSource::Microphone => "camera",
        TrackSource::ScreenShare | TrackSource::ScreenShareAudio => "screen",
        TrackSource::Unknown => "unknown",
    }
}

/// Layers as they are sent: which of the streams each is, the lowest first.
pub(crate) fn numbered(mut layers: Vec<VideoLayer>) -> Vec<VideoLayer> {
    layers.sort_by_key(|layer| layer.quality);
    let has_several = layers.len() > 1;
    for (index, layer) in (0..).zip(&mut layers) {
        layer.spatial_layer = index;
        let sent_as = Layer::ALL.into_iter().find(|known| i32::from(known.quality()) == layer.quality);
        if let Some(sent_as) = sent_as.filter(|_| has_several && layer.rid.is_empty()) {
            sent_as.rid().clone_into(&mut layer.rid);
        }
    }
    layers
}

/// What is said of a track that `request` announces.
pub(crate) fn info_of(request: &AddTrackRequest, sid: &TrackSid, unix_ms: i64) -> TrackInfo {
    let is_video = request.r#type == i32::from(TrackType::Video);
    let mut layers = if is_video { request.layers.clone() } else { Vec::new() };
    if layers.is_empty() && is_video {
        layers = vec![VideoLayer {
            quality: VideoQuality::High.into(),
            width: request.width,
            height: request.height,
            ..Default::default()
        }];
    }
    let layers = numbered(layers);
    let mut codecs: Vec<_> = request
        .simulcast_codecs
        .iter()
        .filter(|codec| !codec.codec.is_empty())
        .map(|codec| SimulcastCodecInfo {
            mime_type: Codec::parse(&codec.codec)
                .map_or_else(|| codec.codec.clone(), |known| known.mime().to_owned()),
            cid: codec.cid.clone(),
            layers: if codec.layers.is_empty() { layers.clone() } else { numbered(codec.layers.clone()) },
            video_layer_mode: codec.video_layer_mode,
            ..Default::default()
        })
        .collect();
    if codecs.is_empty() {
        let (cid, layers) = (request.cid.clone(), layers.clone());
        codecs.push(SimulcastCodecInfo { cid, layers, ..Default::default() });
    }
    let mut audio_features = if is_video { Vec::new() } else { request.audio_features.clone() };
    // Older clients say it each by a field of its own.
    let said =
        [(request.stereo, AudioTrackFeature::TfStereo), (request.disable_dtx, AudioTrackFeature::TfNoDtx)];
    for (is_said, feature) in said {
        if is_said && !is_video && !audio_features.contains(&i32::from(feature)) {
            audio_features.push(feature.into());
        }
    }
    let has = |feature: AudioTrackFeature| audio_features.contains(&i32::from(feature));
    let source = TrackSource::try_from(request.source).unwrap_or(TrackSource::Unknown);
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
        stereo: has(AudioTrackFeature::TfStereo),
        disable_dtx: has(AudioTrackFeature::TfNoDtx),
        disable_red: !is_video && request.disable_red,
        encryption: request.encryption,
        stream: match request.stream.as_str() {
            "" => stream_of(source).to_owned(),
            said => said.to_owned(),
        },
        version: Some(TimedVersion { unix_micro: unix_ms.saturating_mul(1000), ticks: 0 }),
        audio_features,
        backup_codec_policy: request.backup_codec_policy,
        packet_trailer_features: request.packet_trailer_features.clone(),
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
