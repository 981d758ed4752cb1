use super::*;

const NOW: u64 = 1_800_000_000;

fn keys() -> ApiKeys {
    ApiKeys::new("devkey", "secret")
}

fn claims() -> Claims {
    Claims {
        sub: "ada".into(),
        exp: NOW + 600,
        nbf: NOW,
        video: Some(VideoGrants { room_join: true, room: "räume".into(), ..VideoGrants::default() }),
        ..Claims::default()
    }
}

#[test]
fn what_is_minted_is_verified() {
    let token = mint(&keys(), claims());
    let read = verify(&keys(), &token, NOW).unwrap();
    assert_eq!(read.identity(), "ada");
    assert_eq!(read.iss, "devkey");
    assert_eq!(read.video.unwrap().room, "räume");
}

#[test]
fn the_stock_verifier_takes_our_tokens() {
    use livekit_api::access_token::TokenVerifier;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = mint(&keys(), Claims { exp: now + 600, nbf: now, ..claims() });
    let read = TokenVerifier::with_api_key("devkey", "secret").verify(&token).unwrap();
    assert_eq!(read.video.room, "räume");
}

#[test]
fn stock_tokens_are_taken() {
    use livekit_api::access_token::{AccessToken, VideoGrants};
    let token = AccessToken::with_api_key("devkey", "secret")
        .with_identity("bob")
        .with_name("Bob")
        .with_grants(VideoGrants { room_join: true, room: "r".into(), ..VideoGrants::default() })
        .to_jwt()
        .unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let read = verify(&keys(), &token, now).unwrap();
    assert_eq!((read.identity(), read.name.as_str()), ("bob", "Bob"));
}

#[test]
fn a_tampered_foreign_or_stale_token_is_refused() {
    let token = mint(&keys(), claims());
    assert_eq!(verify(&ApiKeys::new("devkey", "other"), &token, NOW), Err(TokenError::Signature));
    assert_eq!(verify(&ApiKeys::new("other", "secret"), &token, NOW), Err(TokenError::UnknownKey));
    assert_eq!(verify(&keys(), &token, NOW + 600 + LEEWAY_S + 1), Err(TokenError::Expired));
    assert!(verify(&keys(), &token, NOW + 600 + LEEWAY_S).is_ok());
    assert_eq!(verify(&keys(), &token, NOW - LEEWAY_S - 1), Err(TokenError::NotYetValid));
    assert!(verify_late(&keys(), &token, NOW + 600 + LEEWAY_S + 60, 60).is_ok());
    assert_eq!(verify_late(&keys(), &token, NOW + 600 + LEEWAY_S + 61, 60), Err(TokenError::Expired));
    for bad in ["", ".", "..", "a.b.c", "é.é.é", &token[..token.len() - 3], &format!("{token}x")] {
        assert!(verify(&keys(), bad, NOW).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn a_token_without_expiry_or_signature_algorithm_is_refused() {
    assert_eq!(verify(&keys(), &mint(&keys(), Claims { exp: 0, ..claims() }), NOW), Err(TokenError::Expired));
    let body =
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&Claims { iss: "devkey".into(), ..claims() }).unwrap());
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    assert_eq!(verify(&keys(), &format!("{header}.{body}."), NOW), Err(TokenError::Malformed));
}

#[test]
fn absent_grants_have_livekits_defaults() {
    let grants = VideoGrants::default();
    assert!(grants.may_publish() && grants.may_subscribe() && grants.may_publish_data());
    assert!(!grants.may_update_own_metadata());
    let silent =
        VideoGrants { can_publish: Some(false), can_publish_sources: vec!["camera".into()], ..grants };
    assert!(!silent.may_publish_data());
    assert!(!silent.may_publish_source(TrackSource::Camera));
    let camera = VideoGrants { can_publish_sources: vec!["camera".into()], ..VideoGrants::default() };
    assert!(
        camera.may_publish_source(TrackSource::Camera) && !camera.may_publish_source(TrackSource::Microphone)
    );
}

#[test]
fn grants_that_are_narrowed_give_nobody_more_and_an_empty_list_never_means_all() {
    let of = |sources: &[&str]| VideoGrants {
        room_join: true,
        room: "own".into(),
        can_publish: Some(true),
        can_publish_sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        can_publish_data: Some(true),
        can_update_own_metadata: Some(true),
        ..VideoGrants::default()
    };
    let camera = of(&["camera", "microphone"]).narrowed_to(&of(&["CAMERA", "screen_share"]));
    assert_eq!((camera.can_publish, camera.can_publish_sources), (Some(true), vec!["camera".to_owned()]));
    let none = of(&["microphone"]).narrowed_to(&of(&["camera"]));
    assert!(
        !none.may_publish_source(TrackSource::Microphone) && !none.may_publish_source(TrackSource::Camera)
    );
    let all = of(&[]).narrowed_to(&of(&[]));
    assert!(all.may_publish_source(TrackSource::ScreenShare) && all.room == "own" && all.room_join);
    let quiet = VideoGrants { can_publish: Some(false), can_publish_data: Some(false), ..of(&[]) };
    for (one, other) in [(of(&["camera"]), quiet.clone()), (quiet.clone(), of(&[]))] {
        let both = one.narrowed_to(&other);
        assert!(!both.may_publish_source(TrackSource::Camera) && !both.may_publish_data());
    }
    let admin = VideoGrants { room_admin: true, room_record: true, hidden: true, ..of(&[]) };
    let guest = admin.narrowed_to(&of(&[]));
    assert!(!guest.room_admin && !guest.room_record && !guest.hidden);
    assert!(!of(&[]).narrowed_to(&VideoGrants::default()).room_join);
    let own = VideoGrants { can_update_own_metadata: None, ..of(&[]) };
    assert!(!of(&[]).narrowed_to(&own).may_update_own_metadata(), "what is not said is refused");
}

/// A token of these claims, as another library writes it.
fn foreign(claims: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","kid":null,"alg":"HS256"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(mac("secret", &signed).finalize().into_bytes());
    format!("{signed}.{signature}")
}

#[test]
fn claims_are_read_as_other_libraries_write_them() {
    let none = r#""sub":null,"jti":"ada","aud":["x"],"name":null,"kind":null,"kindDetails":null,"metadata":null,"attributes":null,
        "sha256":null,"roomConfig":null,"roomPreset":null,"inference":null,"ticket":null,"serial":null"#;
    let video = r#"{"roomJoin":true,"room":"r","roomAdmin":null,"canPublish":null,"canSubscribe":false,"canPublishSources":null,
        "canUpdateOwnMetadata":null,"hidden":null,"destinationRoom":null,"somethingNew":{"a":[null]}}"#;
    let token = foreign(&format!(
        r#"{{"iss":"devkey","exp":{}.75,"nbf":{}.0,"iat":1.8e9,{none},"video":{video}}}"#,
        NOW + 60,
        NOW - 5
    ));
    let read = verify(&keys(), &token, NOW).unwrap();
    assert_eq!((read.identity(), read.exp, read.nbf, read.iat), ("ada", NOW + 60, NOW - 5, NOW));
    assert_eq!((read.name.as_str(), read.room_config, read.serial), ("", None, 0));
    let video = read.video.unwrap();
    assert!(
        video.room_join
            && video.may_publish()
            && !video.may_subscribe()
            && !video.room_admin
            && !video.hidden
    );
    let config = r#"{"name":null,"emptyTimeout":"7","max_participants":3.0,"agents":[{"agentName":"a"}]}"#;
    let token = foreign(&format!(
        r#"{{"iss":"devkey","sub":"a","exp":{}e0,"video":null,"roomConfig":{config}}}"#,
        NOW + 1
    ));
    let read = verify(&keys(), &token, NOW).unwrap();
    let config = read.room_config.unwrap();
    assert_eq!((config.empty_timeout, config.max_participants, config.agents.len()), (7, 3, 1));
    assert!(read.video.is_none());
}

#[test]
fn times_beyond_all_bounds_are_at_them() {
    let at =
        |exp: &str| verify(&keys(), &foreign(&format!(r#"{{"iss":"devkey","sub":"a","exp":{exp}}}"#)), NOW);
    assert!(at("1e300").is_ok());
    for over in ["-1e300", "-1.5", "0.5", "null"] {
        assert_eq!(at(over), Err(TokenError::Expired), "{over}");
    }
    for none in ["\"1800000100\"", "true", "[]"] {
        assert_eq!(at(none), Err(TokenError::Malformed), "{none}");
    }
}

#[test]
fn a_token_was_issued_when_it_says_so_or_from_when_it_holds() {
    assert_eq!(Claims { nbf: 5, ..Claims::default() }.issued_unix_s(), 5);
    assert_eq!(Claims { nbf: 5, iat: 7, ..Claims::default() }.issued_unix_s(), 7);
}
