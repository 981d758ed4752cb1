//! What clients say by enums, in values that JSON has a name for. A newer client says others, which clients like it understand: they are passed
//! on as they are, and not written as JSON.

// What LiveKit's protocol calls deprecated is still what its clients write.
#![allow(deprecated)]

use crate::proto::{
    AudioTrackFeature, BackupCodecPolicy, PacketTrailerFeature, ParticipantInfo, TrackInfo, TrackSource,
    TrackType, VideoLayer, VideoQuality, client_info, encryption, participant_info, video_layer,
};

/// A participant with nothing that has no name.
pub fn participant(mut info: ParticipantInfo) -> ParticipantInfo {
    settle::<participant_info::Kind>(&mut info.kind);
    info.kind_details.retain(is_known::<participant_info::KindDetail>);
    info.capabilities.retain(is_known::<client_info::Capability>);
    info.tracks = info.tracks.into_iter().map(track).collect();
    info
}

/// A track with nothing that has no name. Its encryption stays one.
pub fn track(mut info: TrackInfo) -> TrackInfo {
    settle::<TrackType>(&mut info.r#type);
    settle::<TrackSource>(&mut info.source);
    settle::<BackupCodecPolicy>(&mut info.backup_codec_policy);
    if !is_known::<encryption::Type>(&info.encryption) {
        info.encryption = encryption::Type::Custom.into();
    }
    info.audio_features.retain(is_known::<AudioTrackFeature>);
    info.packet_trailer_features.retain(is_known::<PacketTrailerFeature>);
    settle_layers(&mut info.layers);
    for codec in &mut info.codecs {
        settle::<video_layer::Mode>(&mut codec.video_layer_mode);
        settle_layers(&mut codec.layers);
    }
    info
}

fn settle_layers(layers: &mut [VideoLayer]) {
    layers.iter_mut().for_each(|layer| settle::<VideoQuality>(&mut layer.quality));
}

fn is_known<E: TryFrom<i32>>(value: &i32) -> bool {
    E::try_from(*value).is_ok()
}

fn settle<E: TryFrom<i32> + Into<i32> + Default>(value: &mut i32) {
    if !is_known::<E>(value) {
        *value = E::default().into();
    }
}
