//! What participants say of their tracks and of themselves, bounded before anything of it is kept.

use std::collections::{BTreeMap, HashMap};

use reelroom_limits::signalling::{
    ATTRIBUTE_NAME_BYTES, ATTRIBUTES, ATTRIBUTES_BYTES, ID_BYTES, NAME_BYTES, TRACK_CODECS, TRACK_LAYERS,
};
use reelroom_protocol::proto::{AddTrackRequest, VideoLayer};
use reelroom_protocol::token::VideoGrants;

use crate::participant::{Joining, Participant};

/// Features of sound, or of what stands behind its packets, that a track may name; LiveKit knows seven.
const FEATURES: usize = 16;

/// Something asks for more than anybody may: what, and how much there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is too long or has too many parts: {at_most} are allowed")]
pub struct TooMuch {
    what: &'static str,
    at_most: usize,
}

pub(crate) fn within(what: &'static str, amount: usize, at_most: usize) -> Result<(), TooMuch> {
    if amount > at_most { Err(TooMuch { what, at_most }) } else { Ok(()) }
}

/// An announcement within the bounds of a track, each layer, codec and feature named once.
pub(crate) fn track(mut request: AddTrackRequest) -> Result<AddTrackRequest, TooMuch> {
    within("the cid", request.cid.len(), ID_BYTES)?;
    within("the name of a track", request.name.len(), NAME_BYTES)?;
    within("the stream of a track", request.stream.len(), ID_BYTES)?;
    within("the list of codecs", request.simulcast_codecs.len(), TRACK_CODECS)?;
    let mut known = Vec::new();
    request.simulcast_codecs.retain(|codec| {
        let name = codec.codec.to_ascii_lowercase();
        let is_new = !known.contains(&name);
        known.push(name);
        is_new
    });
    for codec in &mut request.simulcast_codecs {
        within("the name of a codec", codec.codec.len(), NAME_BYTES)?;
        within("the cid of a codec", codec.cid.len(), ID_BYTES)?;
        codec.layers = layers(std::mem::take(&mut codec.layers))?;
    }
    request.layers = layers(request.layers)?;
    request.audio_features = features(request.audio_features)?;
    request.packet_trailer_features = features(request.packet_trailer_features)?;
    request.sid.clear();
    Ok(request)
}

/// The layers of a track, each quality once: the last word on it counts.
pub(crate) fn layers(said: Vec<VideoLayer>) -> Result<Vec<VideoLayer>, TooMuch> {
    within("the list of layers", said.len(), TRACK_LAYERS)?;
    let mut kept: Vec<VideoLayer> = Vec::new();
    for layer in said {
        within("the id of a layer", layer.rid.len(), ID_BYTES)?;
        match kept.iter_mut().find(|known| known.quality == layer.quality) {
            Some(known) => *known = layer,
            None => kept.push(layer),
        }
    }
    Ok(kept)
}

/// The features of a track, each once.
pub(crate) fn features(mut said: Vec<i32>) -> Result<Vec<i32>, TooMuch> {
    said.sort_unstable();
    said.dedup();
    within("the list of features", said.len(), FEATURES)?;
    said.shrink_to_fit();
    Ok(said)
}

impl Participant {
    /// Whether it may be described so: `metadata` bytes at most, and all attributes as they would be then.
    pub(crate) fn bounds(
        &self,
        name: &str,
        metadata: &str,
        metadata_bytes: usize,
        attributes: &HashMap<String, String>,
    ) -> Result<(), TooMuch> {
        within("the name", name.len(), NAME_BYTES)?;
        within("the metadata", metadata.len(), metadata_bytes)?;
        let unchanged = self.attributes.iter().filter(|(key, _)| !attributes.contains_key(*key));
        bounded(unchanged.chain(attributes.iter().filter(|(_, value)| !value.is_empty())))
    }
}

impl Joining {
    /// What somebody says of themselves as they join, beside what their token says of them: empty metadata leaves that of the token. Whether
    /// they may, by their token and by the most that they may do now; what they say is taken only then. To be called before
    /// [`Joining::check`].
    #[must_use]
    pub fn introduces_itself(
        &mut self,
        metadata: &str,
        attributes: BTreeMap<String, String>,
        most: Option<&VideoGrants>,
    ) -> bool {
        if metadata.is_empty() && attributes.is_empty() {
            return true;
        }
        let may = |grants: &VideoGrants| grants.may_update_own_metadata();
        if !may(&self.grants) || most.is_some_and(|most| !may(&self.grants.narrowed_to(most))) {
            return false;
        }
        if !metadata.is_empty() {
            metadata.clone_into(&mut self.metadata);
        }
        self.attributes.extend(attributes.into_iter().filter(|(_, value)| !value.is_empty()));
        true
    }

    /// Whether somebody may join with such a description.
    ///
    /// # Errors
    /// What is too much, in words.
    pub fn check(&self) -> Result<(), TooMuch> {
        within("the identity", self.identity.as_str().len(), NAME_BYTES)?;
        within("the name", self.name.len(), NAME_BYTES)?;
        within("the metadata", self.metadata.len(), reelroom_limits::signalling::METADATA_BYTES)?;
        bounded(self.attributes.iter())
    }
}

fn bounded<'a>(attributes: impl Iterator<Item = (&'a String, &'a String)>) -> Result<(), TooMuch> {
    let (mut count, mut bytes) = (0, 0);
    for (key, value) in attributes {
        within("the name of an attribute", key.len(), ATTRIBUTE_NAME_BYTES)?;
        count += 1;
        bytes += key.len() + value.len();
    }
    within("the list of attributes", count, ATTRIBUTES)?;
    within("the text of all attributes", bytes, ATTRIBUTES_BYTES)
}

#[cfg(test)]
mod tests {
    use reelroom_protocol::proto::{SimulcastCodec, VideoQuality};

    use super::*;

    fn layer(quality: VideoQuality, width: u32) -> VideoLayer {
        VideoLayer { quality: quality.into(), width, ..Default::default() }
    }

    #[test]
    fn an_announcement_names_each_layer_codec_and_feature_once() {
        let said =
            vec![layer(VideoQuality::High, 1), layer(VideoQuality::Low, 2), layer(VideoQuality::High, 3)];
        let codec =
            |name: &str| SimulcastCodec { codec: name.into(), layers: said.clone(), ..Default::default() };
        let kept = track(AddTrackRequest {
            layers: said.clone(),
            simulcast_codecs: vec![codec("vp8"), codec("VP8"), codec("h264")],
            audio_features: [1, 2].repeat(5000),
            packet_trailer_features: vec![1; 5000],
            ..Default::default()
        })
        .unwrap();
        let once = [layer(VideoQuality::High, 3), layer(VideoQuality::Low, 2)];
        assert_eq!(kept.layers, once);
        let codecs: Vec<_> = kept.simulcast_codecs.iter().map(|codec| codec.codec.as_str()).collect();
        assert_eq!(codecs, ["vp8", "h264"]);
        assert_eq!(kept.simulcast_codecs[0].layers, once);
        assert_eq!(kept.audio_features, [1, 2]);
        assert_eq!(kept.packet_trailer_features, [1]);
    }

    #[test]
    fn an_announcement_beyond_its_bounds_is_refused_in_words() {
        let base = AddTrackRequest::default;
        let codecs = |count| vec![SimulcastCodec { codec: "x".into(), ..Default::default() }; count];
        let long = || "x".repeat(ID_BYTES + 1);
        let deep = SimulcastCodec { layers: vec![VideoLayer::default(); 5], ..Default::default() };
        for (request, what) in [
            (AddTrackRequest { cid: long(), ..base() }, "cid"),
            (AddTrackRequest { name: long(), ..base() }, "name"),
            (AddTrackRequest { stream: long(), ..base() }, "stream"),
            (AddTrackRequest { layers: vec![VideoLayer::default(); 5], ..base() }, "layers"),
            (AddTrackRequest { simulcast_codecs: codecs(5), ..base() }, "codecs"),
            (AddTrackRequest { simulcast_codecs: vec![deep], ..base() }, "layers"),
            (AddTrackRequest { audio_features: (0..17).collect(), ..base() }, "features"),
        ] {
            let refused = track(request).unwrap_err().to_string();
            assert!(refused.contains(what), "{refused}");
        }
        assert!(track(AddTrackRequest { simulcast_codecs: codecs(4), ..base() }).is_ok());
    }
}
