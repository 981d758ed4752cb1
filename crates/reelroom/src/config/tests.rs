#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use super::*;

fn from_toml(text: &str) -> anyhow::Result<Config> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    // The environment is left out so that the machine's own variables cannot change the result.
    Ok(Config::read_with(Some(file.path()), &Environment::default())?.config)
}

fn refusal(text: &str) -> String {
    format!("{:#}", from_toml(text).unwrap_err())
}

#[test]
fn the_defaults_are_the_tutorials_and_private() {
    let config = from_toml("").unwrap();
    assert!(config.listen.is_loopback());
    assert!(config.embeds_media());
    assert_eq!(config.recordings_path, "recordings/");
    assert_eq!(config.recording_file_portion_size, 5 * 1024 * 1024);
    assert_eq!(config.recording_playback_strategy, PlaybackStrategy::Proxy);
    assert_eq!(config.aws_region, "us-east-1");
}

#[test]
fn the_generated_file_is_the_committed_one_and_loads_as_the_defaults() {
    let template = Config::template();
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../reelroom.example.toml")).unwrap();
    assert_eq!(template, committed, "run: cargo run --bin reelroom -- config > reelroom.example.toml");
    from_toml(&template).unwrap();
}

#[test]
fn the_docs_name_every_setting() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
    let docs = std::fs::read_to_string(file).unwrap();
    let (table, _) = docs.split_once("\n## How they are read\n").unwrap();
    for line in Config::template().lines() {
        let Some((key, _)) = line.trim_start_matches('#').split_once(" =") else { continue };
        if key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            let variable = key.to_ascii_uppercase();
            assert!(table.contains(&format!("`{variable}`")), "docs/settings.md does not have {variable}");
        }
    }
}

#[test]
fn an_unknown_key_is_named() {
    assert!(refusal("sever_port = 80").contains("sever_port"));
}

#[test]
fn where_others_come_access_is_by_invitation_unless_it_is_said_to_be_open() {
    let access = |text: &str| {
        let config = from_toml(text).unwrap();
        (config.access_in_force(), config.reached())
    };
    for (text, expected) in [
        ("", None),
        ("listen = \"127.0.0.2\"", None),
        ("listen = \"::1\"", None),
        ("advertise_ips = [\"127.0.0.1\", \"::1\"]", None),
        ("media_listen = [\"0.0.0.0\"]", None),
        ("listen = \"0.0.0.0\"", Some(Reached::ByAddress)),
        ("listen = \"::\"", Some(Reached::ByAddress)),
        ("listen = \"192.0.2.1\"\npublic_hosts = [\"calls.example.org\"]", Some(Reached::ByAddress)),
        ("public_hosts = [\"calls.example.org\"]", Some(Reached::ByName)),
        ("public_url = \"https://example.org/calls\"", Some(Reached::ByName)),
        ("public_url = \"http://localhost:6080\"", None),
        ("trusted_proxies = [\"10.0.0.0/8\"]", None),
        ("advertise_ips = [\"127.0.0.1\", \"192.0.2.1\"]", Some(Reached::ByMedia)),
        ("advertise_hosts = [\"home.example.org\"]", Some(Reached::ByMedia)),
    ] {
        let unset = if expected.is_some() { Access::Invite } else { Access::Open };
        assert_eq!(access(text), (unset, expected), "{text}");
        for (said, meant) in [("open", Access::Open), ("invite", Access::Invite)] {
            assert_eq!(access(&format!("access = \"{said}\"\n{text}")).0, meant, "{text}");
        }
    }
    assert!(refusal("access = \"closed\"").contains("access"));
}

#[test]
fn the_address_that_everybody_has_is_one_of_the_names() {
    let names = |text: &str| {
        let names = from_toml(text).unwrap().public_names();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(names("").is_empty());
    assert_eq!(
        names("public_hosts = [\"a.example.org\", \"b.example.org\"]"),
        ["a.example.org", "b.example.org"]
    );
    assert_eq!(names("public_url = \"https://192.0.2.1:8443/calls\""), ["192.0.2.1"]);
    let both =
        "public_url = \"https://b.example.org\"\npublic_hosts = [\"a.example.org\", \"b.example.org\"]";
    assert_eq!(names(both), ["b.example.org", "a.example.org"]);
    for (text, reason) in [
        ("public_url = \"calls.example.org\"", "an address such as"),
        ("public_url = \"http://calls.example.org\"", "https://calls.example.org"),
        ("public_url = \"https://example.org/rooms\"", "choose another one"),
        ("public_url = \"https://example.org/a%20b\"", "cannot stand before"),
        ("trusted_proxies = [\"0.0.0.0/0\"]", "is everybody"),
        ("trusted_proxies = [\"proxy.example.org\"]", "no address and no network"),
    ] {
        let told = refusal(text);
        assert!(told.contains(reason), "{text}: {told}");
    }
    let proxies = from_toml("trusted_proxies = [\"10.0.0.0/8\", \"fd00::1\"]").unwrap().trusted_proxies;
    assert_eq!(proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "fd00::1"]);
}

#[test]
fn media_has_addresses_of_its_own() {
    let at = |text: &str| from_toml(text).unwrap().receives_media();
    assert_eq!(at(""), MediaListen::AsSignalled);
    assert_eq!(at("media_listen = [\"127.0.0.1\"]"), MediaListen::At(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
    let any = MediaListen::At(vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
    assert_eq!(at("listen = \"0.0.0.0\"\naccess = \"open\""), any);
    assert_eq!(at("media_listen = [\"0.0.0.0\"]"), any);
    assert!(refusal("advertise_ips = [\"0.0.0.0\"]").contains("no client can send to"));
    assert!(refusal("advertise_ips = [\"224.0.0.1\"]").contains("many"));
    assert!(refusal(&format!("media_listen = [{}]", "\"::1\",".repeat(17))).contains("17 addresses"));
    assert!(refusal("advertise_ips = [\"example.org\"]").contains("advertise_ips"));
}

#[test]
fn names_that_clients_are_told_and_the_port_of_turn_are_ones_that_they_reach() {
    let hosts = from_toml("advertise_hosts = [\"home.example.org\"]").unwrap().advertise_hosts;
    assert_eq!(hosts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["home.example.org"]);
    assert!(refusal("advertise_hosts = [\"192.0.2.1\"]").contains("advertise_ips"));
    assert!(refusal("advertise_hosts = [\"localhost\"]").contains("no name that clients find"));
    let many = "\"home.example.org\",".repeat(ADVERTISED_NAMES + 1);
    assert!(refusal(&format!("advertise_hosts = [{many}]")).contains("at most"));
    assert_eq!(from_toml("turn_udp_port = 3478").unwrap().turn_udp_port, Some(3478));
    assert!(refusal("turn_udp_port = 0").contains("3478"));
}

#[test]
fn half_a_pair_and_impossible_values_are_refused() {
    assert!(refusal("livekit_api_key = \"k\"").contains("livekit_api_secret"));
    assert!(refusal("s3_endpoint = \"http://localhost:9000\"").contains("s3_bucket"));
    assert!(refusal("s3_bucket = \"b\"\ns3_access_key = \"a\"").contains("s3_secret_key"));
    assert!(refusal("backup_s3_endpoint = \"http://localhost:9000\"").contains("backup_s3_bucket"));
    assert!(
        refusal("backup_s3_bucket = \"b\"\nbackup_s3_secret_key = \"s\"").contains("backup_s3_access_key")
    );
    assert!(refusal("backup_s3_bucket = \"b\"\nbackup_path = \"/b\"").contains("set one of them"));
    assert!(refusal("backup_s3_bucket = \"b\"\ns3_bucket = \"b\"").contains("the store itself"));
    assert!(refusal("backup_path = \"./data\"").contains("the store itself"));
    from_toml("backup_path = \"./data\"\ns3_bucket = \"b\"").unwrap();
    assert!(refusal("recording_playback_strategy = \"S3\"").contains("s3_bucket"));
    assert!(refusal("recording_playback_strategy = \"proxy\"").contains("recording_playback_strategy"));
    assert!(refusal("recordings_path = \"../up/\"").contains("recordings_path"));
    assert!(refusal("recording_file_portion_size = 0").contains("more than 0"));
    assert!(refusal("livekit_url = \"ftp://x\"").contains("livekit_url"));
    assert!(refusal("server_port = 70000").contains("server_port"));
}

#[test]
fn keys_of_the_bucket_come_by_either_name_and_a_token_stays_with_its_key() {
    let s3 = |text: &str| from_toml(&format!("s3_bucket = \"b\"\n{text}")).unwrap().s3().unwrap();
    let amazons = "aws_access_key_id = \"A\"\naws_secret_access_key = \"a\"\naws_session_token = \"t\"\n";
    let own = "s3_access_key = \"K\"\ns3_secret_key = \"k\"\n";
    let of = |config: S3Config| (config.access_key, config.secret_key, config.session_token);
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of(s3(amazons)), (some("A"), some("a"), some("t")));
    assert_eq!(of(s3(&format!("{own}{amazons}"))), (some("K"), some("k"), None), "it is the other key's");
    assert_eq!(of(s3(&format!("{own}aws_session_token = \"t\""))), (some("K"), some("k"), some("t")));
    assert_eq!(of(s3("")), (None, None, None));
    assert_eq!(s3("s3_force_path_style = false").force_path_style, Some(false));
    assert!(refusal("s3_bucket = \"b\"\naws_access_key_id = \"A\"").contains("aws_secret_access_key"));
    from_toml("aws_access_key_id = \"of another program\"").unwrap();
}

#[test]
fn an_openid_provider_is_set_as_a_whole_or_not_at_all() {
    let all = [
        "oidc_issuer = \"https://accounts.example.org\"",
        "oidc_client_id = \"reelroom\"",
        "oidc_client_secret = \"hunter2\"",
        "oidc_owners = [\"ann@example.org\", \"sub:1234\"]",
    ];
    let config = from_toml(&all.join("\n")).unwrap();
    let oidc = config.oidc().unwrap().unwrap();
    assert_eq!((oidc.issuer.host(), oidc.client_id.as_str()), ("accounts.example.org", "reelroom"));
    assert_eq!(oidc.owners, ["ann@example.org", "sub:1234"].map(|owner| owner.parse::<OwnerName>().unwrap()));
    assert!(!format!("{config:?} {oidc:?}").contains("hunter2"));
    for set in 1..(1 << all.len()) - 1 {
        let some = all.iter().enumerate().filter(|(at, _)| set & (1 << at) != 0).map(|(_, line)| *line);
        let told = refusal(&some.collect::<Vec<_>>().join("\n"));
        assert!(told.contains("all four") && !told.contains("hunter2"), "{told}");
    }
    let empty = "oidc_issuer = \"\"\noidc_client_id = \" \"\noidc_client_secret = \"\"\noidc_owners = []";
    assert!(from_toml(empty).unwrap().oidc().unwrap().is_none());
    let with = |issuer: &str| all.join("\n").replace("https://accounts.example.org", issuer);
    for issuer in ["http://accounts.example.org", "accounts.example.org", "https://a:hunter2@example.org"] {
        let told = refusal(&with(issuer));
        assert!(told.contains("OIDC_ISSUER") && !told.contains("hunter2"), "{told}");
    }
    from_toml(&with("http://127.0.0.1:9000")).unwrap();
    let nobody = all.join("\n").replace("sub:1234", "1234");
    assert!(refusal(&nobody).contains("neither an e-mail address"));
}

#[test]
fn secrets_are_not_shown() {
    let config = from_toml(
        "s3_bucket = \"b\"\ns3_endpoint = \"https://k:hunter2@host\"\ns3_access_key = \"a\"\ns3_secret_key = \"hunter2\"",
    );
    assert!(!format!("{:?}", config.unwrap()).contains("hunter2"));
    assert!(!refusal("livekit_url = \"ftp://user:hunter2@x\"").contains("hunter2"));
    let told = refusal("livekit_url = \"wss://user:hunter2@x\"");
    assert!(told.contains("every participant") && !told.contains("hunter2"), "{told}");
}

#[test]
fn empty_values_count_as_unset() {
    let config = from_toml("s3_bucket = \"\"\nlivekit_api_key = \"\"\nlivekit_api_secret = \" \"").unwrap();
    assert!(config.s3_bucket.is_none() && config.livekit_api_key.is_none());
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let missing = Path::new("/nonexistent/reelroom.toml");
    assert!(format!("{:#}", Config::load(Some(missing)).unwrap_err()).contains("does not exist"));
}
