//! What a client says of itself in the address that it joins by (`/rtc?sdk=js&protocol=17&…`, or in the request in that of `/rtc/v1`).

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reelroom_limits::signalling::NAME_BYTES;
use reelroom_protocol::proto::{ClientInfo, client_info::Sdk};

/// The client; what is too long to be a name is left out.
pub(crate) fn client(params: &HashMap<String, String>) -> ClientInfo {
    let text = |name: &str| {
        let value = params.get(name).filter(|value| value.len() <= NAME_BYTES);
        value.cloned().unwrap_or_default()
    };
    let number = |name: &str| params.get(name).and_then(|value| value.parse().ok()).unwrap_or_default();
    ClientInfo {
        sdk: sdk(&text("sdk")).into(),
        version: text("version"),
        protocol: number("protocol"),
        os: text("os"),
        os_version: text("os_version"),
        device_model: text("device_model"),
        browser: text("browser"),
        browser_version: text("browser_version"),
        network: text("network"),
        client_protocol: number("client_protocol"),
        ..ClientInfo::default()
    }
}

/// The same of a client that says it in a message.
pub(crate) fn bounded(mut client: ClientInfo) -> ClientInfo {
    let texts = [
        &mut client.version,
        &mut client.os,
        &mut client.os_version,
        &mut client.device_model,
        &mut client.browser,
        &mut client.browser_version,
        &mut client.address,
        &mut client.network,
        &mut client.other_sdks,
    ];
    texts.into_iter().filter(|text| text.len() > NAME_BYTES).for_each(String::clear);
    client
}

fn sdk(name: &str) -> Sdk {
    match name.to_ascii_lowercase().as_str() {
        "js" => Sdk::Js,
        "ios" | "swift" => Sdk::Swift,
        "android" => Sdk::Android,
        "flutter" => Sdk::Flutter,
        "go" => Sdk::Go,
        "unity" => Sdk::Unity,
        "reactnative" => Sdk::ReactNative,
        "rust" => Sdk::Rust,
        "python" => Sdk::Python,
        "cpp" => Sdk::Cpp,
        "unityweb" => Sdk::UnityWeb,
        "node" => Sdk::Node,
        "unreal" => Sdk::Unreal,
        "esp32" => Sdk::Esp32,
        "dotnet" => Sdk::Dotnet,
        _ => Sdk::Unknown,
    }
}

/// The attributes that it gives itself beside those of its token: JSON in base64. `None` where they cannot be read.
pub(crate) fn attributes(params: &HashMap<String, String>) -> Option<BTreeMap<String, String>> {
    let Some(said) = params.get("attributes").filter(|said| !said.is_empty()) else {
        return Some(BTreeMap::new());
    };
    // A plus that is not escaped reads as a blank.
    let plain = said.trim_end_matches('=').replace(['+', ' '], "-").replace('/', "_");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(plain).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_client_says_what_it_is() {
        let long = "x".repeat(NAME_BYTES + 1);
        let said = params(&[
            ("sdk", "js"),
            ("protocol", "17"),
            ("client_protocol", "2"),
            ("browser", "Firefox"),
            ("os", long.as_str()),
        ]);
        let client = client(&said);
        assert_eq!((client.sdk(), client.protocol, client.client_protocol), (Sdk::Js, 17, 2));
        assert_eq!((client.browser.as_str(), client.os.as_str()), ("Firefox", ""));
        let in_a_message = ClientInfo { browser: "Firefox".into(), os: long.clone(), ..Default::default() };
        let bounded = super::bounded(in_a_message);
        assert_eq!((bounded.browser.as_str(), bounded.os.as_str()), ("Firefox", ""));
        let nonsense = super::client(&params(&[("sdk", "?"), ("protocol", "many")]));
        assert_eq!((nonsense.sdk(), nonsense.protocol), (Sdk::Unknown, 0));
    }

    #[test]
    fn attributes_are_read_in_every_kind_of_base64() {
        let known = BTreeMap::from([("key".to_owned(), "??>".to_owned())]);
        for said in ["eyJrZXkiOiI/Pz4ifQ==", "eyJrZXkiOiI_Pz4ifQ==", "eyJrZXkiOiI_Pz4ifQ"] {
            assert_eq!(attributes(&params(&[("attributes", said)])), Some(known.clone()), "{said}");
        }
        assert_eq!(attributes(&params(&[])), Some(BTreeMap::new()));
        for broken in ["%", "bm8=", "eyJhIjoxfQ"] {
            assert_eq!(attributes(&params(&[("attributes", broken)])), None, "{broken}");
        }
    }
}
