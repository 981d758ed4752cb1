//! What a client says of itself at its join, as far as anything follows from it.
//!
//! Some devices cannot do what they offer. What they shall not use is told to the client ([`Client::configuration`]), which chooses among the
//! rest, and left out of the answers to its offers, for those that do not look at what they are told.

use reelroom_limits::signalling::CLIENT_CAPABILITIES;
use reelroom_protocol::proto::{self, ClientConfiguration, ClientInfo, DisabledCodecs};

use crate::codec::Codec;

/// A client, without the texts that it describes itself by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    /// Which features of clients it takes part in: others ask before they send it something new.
    pub(crate) client_protocol: i32,
    /// What others may use towards it.
    pub(crate) capabilities: Vec<i32>,
    /// It plays the tracks of one media stream in step only where each has its own.
    pub(crate) is_firefox: bool,
    /// What it neither encodes nor decodes well.
    broken: Option<Codec>,
    /// What it does not encode well.
    badly_encoded: Option<Codec>,
}

impl Client {
    /// What follows from what a client says of itself.
    pub(crate) fn of(info: &ClientInfo) -> Self {
        let is = |said: &str, known: &str| said.eq_ignore_ascii_case(known);
        let (browser, os) = (info.browser.as_str(), info.os.as_str());
        let is_firefox = is(browser, "firefox") || is(browser, "firefox mobile");
        // Its encoder is a library apart, which sends no keyframe when it is asked for one.
        let is_firefox_elsewhere = is_firefox && (is(os, "linux") || is(os, "android"));
        let is_xiaomi = is(&info.device_model, "xiaomi 2201117ti") && is(os, "android");
        let is_safari = is(browser, "safari");
        let badly_encoded = if is_firefox_elsewhere || is_xiaomi {
            Some(Codec::H264)
        } else {
            (is_safari && is_newer(&info.browser_version, &[18, 3])).then_some(Codec::Vp9)
        };
        let mut capabilities = info.capabilities.clone();
        capabilities.sort_unstable();
        capabilities.dedup();
        capabilities.truncate(CLIENT_CAPABILITIES);
        Self {
            client_protocol: info.client_protocol,
            capabilities,
            is_firefox,
            broken: is_safari.then_some(Codec::Av1),
            badly_encoded,
        }
    }

    /// Whether it may publish in that codec.
    pub(crate) fn may_publish(&self, codec: Codec) -> bool {
        self.broken != Some(codec) && self.badly_encoded != Some(codec)
    }

    /// What it is told to do without; nothing for most.
    pub(crate) fn configuration(&self) -> Option<ClientConfiguration> {
        let named = |codec: Option<Codec>| {
            let mime = codec.map(|codec| codec.mime().to_owned());
            mime.into_iter().map(|mime| proto::Codec { mime, ..Default::default() }).collect()
        };
        (self.broken.is_some() || self.badly_encoded.is_some()).then(|| ClientConfiguration {
            disabled_codecs: Some(DisabledCodecs {
                codecs: named(self.broken),
                publish: named(self.badly_encoded),
            }),
            ..Default::default()
        })
    }
}

/// Whether a version, such as 18.3.1, comes after another one.
fn is_newer(version: &str, than: &[u32]) -> bool {
    let numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    numbers.gt(than.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(browser: &str, os: &str, device_model: &str) -> Client {
        Client::of(&ClientInfo {
            browser: browser.into(),
            os: os.into(),
            device_model: device_model.into(),
            ..Default::default()
        })
    }

    #[test]
    fn devices_that_encode_badly_are_told_and_others_are_not() {
        for (browser, os, device, without) in [
            ("Safari", "mac os", "", Some(Codec::Av1)),
            ("Firefox", "Linux", "", Some(Codec::H264)),
            ("Firefox Mobile", "Android", "", Some(Codec::H264)),
            ("", "Android", "Xiaomi 2201117TI", Some(Codec::H264)),
            ("Firefox", "Windows", "", None),
            ("Chrome", "Linux", "", None),
        ] {
            let client = client(browser, os, device);
            let refused: Vec<_> =
                Codec::ALL.into_iter().filter(|codec| !client.may_publish(*codec)).collect();
            assert_eq!(refused, Vec::from_iter(without), "{browser} {os} {device}");
            assert_eq!(client.configuration().is_some(), without.is_some());
        }
        assert!(client("Firefox", "Windows", "").is_firefox && !client("Safari", "", "").is_firefox);
    }

    #[test]
    fn a_safari_that_encodes_vp9_badly_is_known_by_its_version() {
        for (browser, version, may) in [
            ("Safari", "18.3", true),
            ("Safari", "17.10", true),
            ("Safari", "18.3.1", false),
            ("Safari", "18.10", false),
            ("Safari", "26", false),
            ("Safari", "", true),
            ("Safari", "new", true),
            ("Chrome", "140.0", true),
        ] {
            let (browser, browser_version) = (browser.into(), version.into());
            let client = Client::of(&ClientInfo { browser, browser_version, ..Default::default() });
            assert_eq!(client.may_publish(Codec::Vp9), may, "{version}");
        }
    }

    #[test]
    fn capabilities_are_kept_once_each_and_not_without_number() {
        let info = ClientInfo { capabilities: (0..1000).chain(0..10).collect(), ..Default::default() };
        let known = Client::of(&info).capabilities;
        assert_eq!(known.len(), CLIENT_CAPABILITIES);
        let info = ClientInfo { capabilities: vec![2, 1, 2], client_protocol: 2, ..Default::default() };
        let client = Client::of(&info);
        assert_eq!((client.capabilities, client.client_protocol), (vec![1, 2], 2));
    }
}
