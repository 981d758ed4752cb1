//! The dependency descriptor, a header extension that is passed on as it came.
//!
//! Publishers of VP9 and AV1 send all layers in one stream; which frames belong together and which need which is said only
//! here. Which of them a subscriber gets the room says (`reelroom_sfu`, `svc.rs`); what goes, goes with its descriptor unchanged.

use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};

const URI: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
/// What the one-byte form of RFC 8285 can hold.
const ONE_BYTE_FORM_MAX_LEN: usize = 16;

/// The descriptor of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DependencyDescriptor(Box<[u8]>);

impl DependencyDescriptor {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// For the extension map of a session.
pub(super) fn extension() -> Extension {
    Extension::with_serializer(URI, Serializer)
}

#[derive(Debug)]
struct Serializer;

impl ExtensionSerializer for Serializer {
    fn write_to(&self, buf: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(DependencyDescriptor(bytes)) = values.user_values.get() else { return 0 };
        let Some(room) = buf.get_mut(..bytes.len()) else { return 0 };
        room.copy_from_slice(bytes);
        bytes.len()
    }

    fn parse_value(&self, buf: &[u8], values: &mut ExtensionValues) -> bool {
        values.user_values.set(DependencyDescriptor(buf.into()));
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        let long = |descriptor: &DependencyDescriptor| descriptor.0.len() > ONE_BYTE_FORM_MAX_LEN;
        values.user_values.get().is_some_and(long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_written_as_it_was_read_in_the_form_that_holds_it() {
        for len in [1, 3, 16, 17, 255] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let mut values = ExtensionValues::default();
            assert!(Serializer.parse_value(&bytes, &mut values));
            assert_eq!(Serializer.requires_two_byte_form(&values), len > 16);
            let mut written = [0; 300];
            assert_eq!(Serializer.write_to(&mut written, &values), bytes.len());
            assert_eq!(written[..bytes.len()], bytes);
            assert_eq!(Serializer.write_to(&mut [], &values), 0, "no room");
        }
        assert_eq!(Serializer.write_to(&mut [0; 300], &ExtensionValues::default()), 0, "none");
    }
}
