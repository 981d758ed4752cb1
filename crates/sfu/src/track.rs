//! A published track.

use std::collections::BTreeMap;
use std::time::Instant;

use reelroom_protocol::ids::{ParticipantSid, TrackSid};
use reelroom_protocol::proto::video_layer::Mode;
use reelroom_protocol::proto::{
    AddTrackRequest, AudioTrackFeature, SimulcastCodec, SimulcastCodecInfo, TimedVersion, TrackInfo,
    TrackSource, TrackType, VideoLayer, VideoQuality, encryption,
};

use crate::codec::Codec;
use crate::coding::{self, Coding};
use crate::layers::{KeyframeFor, Layer};
use crate::output::{Fact, Output};
use crate::red::Recovery;
use crate::subscription::Subscription;

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
    /// The primary codec, and those that come besides for who cannot decode it.
    pub(crate) codings: Vec<Coding>,
    /// The backup codec that everybody gets who can decode it, so that the publisher encodes once.
    pub(crate) regressed: Option<usize>,
    pub(crate) down: BTreeMap<ParticipantSid, Subscription>,
    /// A moderator muted it, and its publisher has not unmuted it since: nothing of it is forwarded or recorded.
    pub(crate) held: bool,
    /// Everybody was told of it: as its section and its announcement had met, before any media.
    pub(crate) is_published: bool,
    /// A moderator muted it, and its publisher, who was asked to mute, has not answered: then it is told by itself.
    pub(crate) echo_due: Option<Instant>,
    /// What of its redundant sound was given out, by the stream that it came in.
    pub(crate) recovery: Option<(u32, Recovery)>,
}

impl Track {
    pub(crate) fn is_video(&self) -> bool {
        self.info.r#type == i32::from(TrackType::Video)
    }

    /// Its primary codec.
    pub(crate) fn primary(&self) -> &Coding {
        self.codings.first().expect("a track has a primary codec")
    }

    /// The place of the codec that recorders take, and that is for everybody of whom nothing else is known.
    pub(crate) fn main(&self) -> usize {
        self.regressed.unwrap_or(0)
    }

    /// The place of the codec that a section brings.
    pub(crate) fn coding_on(&self, mid: &str) -> Option<usize> {
        self.codings.iter().position(|coding| coding.mid.as_deref() == Some(mid))
    }

    /// The place of the backup codec that its publisher calls so, and that no section brings by that name yet.
    pub(crate) fn backup_named(&self, cid: &str) -> Option<usize> {
        let waits =
            |coding: &Coding, known: &SimulcastCodecInfo| coding.mid.is_none() || known.sdp_cid != cid;
        let named =
            |(coding, known): (&Coding, &SimulcastCodecInfo)| known.cid == cid && waits(coding, known);
        let place = self.codings.iter().zip(&self.info.codecs).skip(1).position(named)? + 1;
        (!cid.is_empty()).then_some(place)
    }

    /// The place of a codec that its publisher names.
    pub(crate) fn coding_in(&self, codec: Codec) -> Option<usize> {
        let is_it = |place: &usize| self.codings[*place].announced == Some(codec);
        let is_primary = || is_it(&0) || self.expected_codec(0) == codec;
        (1..self.codings.len()).find(is_it).or_else(|| is_primary().then_some(0))
    }

    /// The layers of one of its codecs, as its publisher described them.
    pub(crate) fn said_layers(&self, place: usize) -> &[VideoLayer] {
        let own = self.info.codecs.get(place).filter(|_| place > 0).map(|codec| codec.layers.as_slice());
        own.filter(|layers| !layers.is_empty()).unwrap_or(&self.info.layers)
    }

    /// A keyframe of a picture's layer is needed: it is asked for, unless it was a moment ago; then it is asked for later.
    pub(crate) fn request_keyframe(
        &mut self,
        sid: &TrackSid,
        place: usize,
        layer: Layer,
        whom: KeyframeFor,
        now: Instant,
    ) -> Option<Output> {
        let is_video = self.is_video();
        let coding = self.codings.get_mut(place).filter(|coding| is_video && coding.mid.is_some())?;
        let is_asked = coding.layers.needs_keyframe(layer, whom, now);
        is_asked.then(|| self.keyframe_request(sid, place, layer)).flatten()
    }

    /// Asks its publisher for a keyframe of a layer; nothing where no section brings it.
    pub(crate) fn keyframe_request(&self, sid: &TrackSid, place: usize, layer: Layer) -> Option<Output> {
        let coding = self.codings.get(place)?;
        let (mid, layer) = (coding.mid.clone()?, coding.is_simulcast.then_some(layer));
        Some(Output::RequestKeyframe { track: sid.clone(), mid, layer })
    }

    /// What recorders are told of it, once its media arrives.
    pub(crate) fn published_fact(&self) -> Option<Fact> {
        Some(Fact::TrackPublished {
            participant: self.publisher.clone(),
            info: Box::new(self.info.clone()),
            codec: self.recorded_codec()?,
        })
    }

    /// What recorders get it in, once there is something to record.
    pub(crate) fn recorded_codec(&self) -> Option<Codec> {
        self.codings.get(self.main())?.codec
    }

    /// What it is encoded with at a place, or will be as far as is known: one that says nothing takes what every client can decode.
    pub(crate) fn expected_codec(&self, place: usize) -> Codec {
        let usual = if self.is_video() { Codec::Vp8 } else { Codec::Opus };
        let is_of_kind = |codec: &Codec| (*codec == Codec::Opus) != self.is_video();
        self.codings.get(place).and_then(Coding::expected).filter(is_of_kind).unwrap_or(usual)
    }

    /// What it can be had in, the first one first.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = Codec> + '_ {
        (0..self.codings.len()).map(|place| self.expected_codec(place))
    }

    /// Gives each subscriber the codec that is for them by now.
    pub(crate) fn choose_codings(&mut self) {
        let codecs: Vec<_> = self.codecs().collect();
        for subscription in self.down.values_mut() {
            let place = coding::choose(&codecs, self.regressed, subscription.takes.as_deref());
            subscription.goes_by(place, codecs[place]);
        }
    }

    /// It is encoded with `codec` at a place, whatever was announced.
    pub(crate) fn set_codec(&mut self, place: usize, codec: Codec) {
        let Some(coding) = self.codings.get_mut(place) else { return };
        coding.codec = Some(codec);
        coding.scalable = None;
        self.describe_codec(place);
    }

    /// Says of it what it is encoded with at a place, or will be.
    pub(crate) fn describe_codec(&mut self, place: usize) {
        let codec = self.expected_codec(place);
        if place == 0 {
            codec.mime().clone_into(&mut self.info.mime_type);
        }
        let mid = self.codings.get(place).and_then(|coding| coding.mid.clone()).unwrap_or_default();
        if let Some(known) = self.info.codecs.get_mut(place) {
            codec.mime().clone_into(&mut known.mime_type);
            known.mid = mid;
        }
        self.choose_codings();
        self.changed();
    }

    /// Something is said of it that was not before.
    pub(crate) fn changed(&mut self) {
        let version = self.info.version.get_or_insert_default();
        version.ticks = version.ticks.saturating_add(1);
    }

    /// The sender of one of its layers is known.
    pub(crate) fn sender_known(&mut self, place: usize, layer: Layer, ssrc: u32) {
        let quality = i32::from(layer.quality());
        let TrackInfo { layers, codecs, .. } = &mut self.info;
        let of_codec = codecs.get_mut(place).map(|codec| &mut codec.layers);
        // It is asked with every packet.
        let told = if place == 0 { Some(&*layers) } else { of_codec.as_deref() };
        let known = told.and_then(|layers| layers.iter().find(|known| known.quality == quality));
        if known.is_none_or(|known| known.ssrc == ssrc) {
            return;
        }
        // Those of the track are those of its primary codec.
        let of_track = layers.iter_mut().filter(|_| place == 0);
        for known in of_track.chain(of_codec.into_iter().flatten()) {
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

/// What is said of codecs that are announced, each once; a codec that this server does not forward is taken for the usual one.
pub(crate) fn codecs_of(
    said: &[SimulcastCodec],
    layers: &[VideoLayer],
    is_video: bool,
) -> Vec<SimulcastCodecInfo> {
    let mut codecs: Vec<SimulcastCodecInfo> = Vec::new();
    for said in said.iter().filter(|said| !said.codec.is_empty()) {
        let is_of_kind = |codec: &Codec| (*codec == Codec::Opus) != is_video;
        let usual = if is_video { Codec::Vp8 } else { Codec::Opus };
        let codec = Codec::parse(&said.codec).filter(is_of_kind).unwrap_or(usual);
        if codecs.iter().any(|known| known.mime_type == codec.mime()) {
            continue;
        }
        let mode = match Mode::try_from(said.video_layer_mode) {
            Ok(Mode::Unused) | Err(_) if codec.is_scalable() => Mode::MultipleSpatialLayersPerStream,
            Ok(Mode::Unused) | Err(_) if is_video => Mode::OneSpatialLayerPerStream,
            Ok(mode) => mode,
            Err(_) => Mode::Unused,
        };
        codecs.push(SimulcastCodecInfo {
            mime_type: codec.mime().to_owned(),
            cid: said.cid.clone(),
            layers: if said.layers.is_empty() { layers.to_vec() } else { numbered(said.layers.clone()) },
            video_layer_mode: mode.into(),
            ..Default::default()
        });
    }
    codecs
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
    let mut codecs = codecs_of(&request.simulcast_codecs, &layers, is_video);
    if codecs.is_empty() {
        let (cid, layers) = (request.cid.clone(), layers.clone());
        let mode = if is_video { Mode::OneSpatialLayerPerStream } else { Mode::Unused };
        codecs.push(SimulcastCodecInfo { cid, layers, video_layer_mode: mode.into(), ..Default::default() });
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
