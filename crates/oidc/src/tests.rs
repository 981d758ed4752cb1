//! What becomes of a sign-in, by what the provider and those on the way say.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reelroom_limits::accounts::{
    OIDC_ANSWER_BYTES, OIDC_ANSWER_WITHIN, OIDC_ASKED_AGAIN_AFTER, OIDC_EXCHANGE_EVERY_ADDRESS,
    OIDC_EXCHANGES_AT_ONCE, OIDC_EXCHANGES_BURST_ADDRESS, OIDC_KEYS_LAST, OIDC_SIGN_IN_LASTS,
};
use reelroom_limits::asker::Asker;
use serde_json::{Value, json};

use crate::testing::{SUBJECT, Says, Signs, TestProvider};
use crate::{Back, Flow, Next, OidcError, OpenId};

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}

fn open_id(provider: &TestProvider, owners: &[&str]) -> OpenId {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    OpenId::new(provider.config(owners), &mut StdRng::seed_from_u64(7))
}

fn begin(open_id: &OpenId, now_ms: i64) -> Flow {
    let back = "http://localhost:6080/owner/oidc/back".parse().unwrap();
    open_id.begin(back, Next::of(None), now_ms, &mut rand::rng())
}

/// Somebody signs in at the provider: the sign-in, and what their browser brings back.
async fn approved(open_id: &OpenId, provider: &TestProvider, now_ms: i64) -> (Flow, Back) {
    let flow = begin(open_id, now_ms);
    let address = open_id.authorize(&flow, now_ms).await.unwrap();
    let (code, state) = provider.approve(&address);
    (flow, Back { code: Some(code), state: Some(state), ..Back::default() })
}

async fn sign_in(open_id: &OpenId, provider: &TestProvider) -> Result<(), OidcError> {
    let now = now_ms();
    let (flow, back) = approved(open_id, provider, now).await;
    let flow = open_id.recognise([flow.text()].into_iter(), &back, now)?;
    open_id.use_up(&flow, now)?;
    open_id.prove(&flow, back, now).await
}

/// What comes of it where the provider says otherwise than it should.
async fn code_when(
    provider: &TestProvider,
    open_id: &OpenId,
    change: impl FnOnce(&mut Says),
) -> &'static str {
    provider.says(change);
    sign_in(open_id, provider).await.map_or_else(|error| error.code(), |()| "in")
}

#[tokio::test]
async fn the_owner_is_who_the_settings_name_and_nobody_else() {
    let provider = TestProvider::start().await;
    for (owners, claims, user_info, expected) in [
        (vec!["sub:1234"], json!({}), json!({}), "in"),
        (vec!["sub:12345", "sub:123"], json!({}), json!({}), "stranger"),
        (vec!["1234@example.org"], json!({}), json!({}), "stranger"),
        (
            vec!["ann@example.org"],
            json!({ "email": "Ann@example.org", "email_verified": true }),
            json!({}),
            "in",
        ),
        (
            vec!["ann@example.org"],
            json!({ "email": "ann@example.org", "email_verified": false }),
            json!({}),
            "stranger",
        ),
        (vec!["ann@example.org"], json!({ "email": "ann@example.org" }), json!({}), "stranger"),
        (
            vec!["ann@example.org"],
            json!({ "email": "eve@example.org", "email_verified": true }),
            json!({}),
            "stranger",
        ),
        (
            vec!["ann@example.org"],
            json!({ "sub": "ann@example.org", "email_verified": true }),
            json!({}),
            "stranger",
        ),
        (
            vec!["sub:ann@example.org"],
            json!({ "email": "ann@example.org", "email_verified": true }),
            json!({}),
            "stranger",
        ),
        // Where the ID token says nothing of an address, the provider is asked for it.
        (
            vec!["ann@example.org"],
            json!({}),
            json!({ "email": "ann@example.org", "email_verified": true }),
            "in",
        ),
        (
            vec!["ann@example.org"],
            json!({}),
            json!({ "email": "ann@example.org", "email_verified": "true" }),
            "in",
        ),
        (
            vec!["ann@example.org"],
            json!({}),
            json!({ "email": "ann@example.org", "email_verified": false }),
            "stranger",
        ),
        (
            vec!["ann@example.org"],
            json!({}),
            json!({ "sub": "5", "email": "ann@example.org", "email_verified": true }),
            "odd",
        ),
    ] {
        let open_id = open_id(&provider, &owners);
        let mut info = json!({ "sub": claims["sub"].as_str().unwrap_or(SUBJECT) });
        for (name, value) in user_info.as_object().unwrap() {
            info[name] = value.clone();
        }
        let what = format!("{owners:?} {claims} {info}");
        let code = code_when(&provider, &open_id, |says| {
            says.claims = claims;
            says.user_info = info;
        });
        assert_eq!(code.await, expected, "{what}");
    }
}

#[tokio::test]
async fn a_token_is_the_providers_for_this_server_and_for_this_sign_in() {
    let provider = TestProvider::start().await;
    let open_id = open_id(&provider, &["sub:1234"]);
    let now = now_ms() / 1000;
    let with = |claims: Value| move |says: &mut Says| says.claims = claims;
    for (claims, expected) in [
        (json!({ "aud": ["reelroom"] }), "in"),
        (json!({ "aud": "another client" }), "odd"),
        (json!({ "aud": ["reelroom", "another client"] }), "odd"),
        (json!({ "aud": [] }), "odd"),
        (json!({ "aud": null }), "odd"),
        (json!({ "azp": "reelroom" }), "in"),
        (json!({ "azp": "another client" }), "odd"),
        (json!({ "iss": "http://127.0.0.1:1" }), "odd"),
        (json!({ "iss": format!("{}/", provider.issuer()) }), "odd"),
        (json!({ "nonce": "of another sign-in" }), "odd"),
        (json!({ "nonce": null }), "odd"),
        (json!({ "exp": now - 30 }), "in"),
        (json!({ "exp": now - 90 }), "odd"),
        (json!({ "exp": null }), "odd"),
        (json!({ "iat": now + 30 }), "in"),
        (json!({ "iat": now + 90 }), "odd"),
        (json!({ "sub": null }), "odd"),
        (json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }), "odd"),
    ] {
        let what = claims.to_string();
        assert_eq!(code_when(&provider, &open_id, with(claims)).await, expected, "{what}");
    }
    provider.says(|says| says.claims = json!({}));
    for (signs, expected) in
        [(Signs::ByItsKey, "in"), (Signs::ByAnother, "odd"), (Signs::ByTheSecret, "odd"), (Signs::Not, "odd")]
    {
        assert_eq!(code_when(&provider, &open_id, |says| says.signs = signs).await, expected, "{signs:?}");
    }
}

#[tokio::test]
async fn a_sign_in_is_of_one_browser_and_ends_once() {
    let provider = TestProvider::start().await;
    let open_id = open_id(&provider, &["sub:1234"]);
    let now = now_ms();
    let ((flow, back), (other, of_other)) =
        (approved(&open_id, &provider, now).await, approved(&open_id, &provider, now).await);
    let recognise = |shown: &[&str], back: &Back, now_ms: i64| {
        open_id.recognise(shown.iter().copied(), back, now_ms).map(|flow| flow.text().to_owned())
    };
    let is_stale = |outcome: Result<String, OidcError>| matches!(outcome, Err(OidcError::Stale(_)));
    assert!(is_stale(recognise(&[], &back, now)), "another browser has no cookie of it");
    assert!(is_stale(recognise(&[other.text()], &back, now)), "or one of its own");
    assert!(is_stale(recognise(&[flow.text()], &Back::default(), now)));
    assert_eq!(recognise(&["x", other.text(), flow.text()], &back, now).unwrap(), flow.text());
    assert!(is_stale(recognise(&[flow.text()], &back, now + ms(OIDC_SIGN_IN_LASTS))), "it takes too long");
    let another_run = OpenId::new(provider.config(&["sub:1234"]), &mut StdRng::seed_from_u64(8));
    assert!(another_run.recognise([flow.text()].into_iter(), &back, now).is_err());

    // A code of another sign-in is worth nothing, whoever put it into this one.
    let mixed = Back { code: of_other.code.clone(), ..back.clone() };
    assert_eq!(open_id.prove(&flow, mixed, now).await.unwrap_err().code(), "stale");
    open_id.use_up(&flow, now).unwrap();
    assert_eq!(open_id.use_up(&flow, now).unwrap_err().code(), "stale");
    open_id.prove(&flow, back.clone(), now).await.unwrap();
    assert_eq!(open_id.prove(&flow, back, now).await.unwrap_err().code(), "stale", "its code is used up");
}

#[tokio::test]
async fn what_the_provider_says_instead_of_a_code_is_told_by_what_can_be_done() {
    let provider = TestProvider::start().await;
    let open_id = open_id(&provider, &["sub:1234"]);
    let now = now_ms();
    let flow = begin(&open_id, now);
    for (error, code) in [
        ("access_denied", "declined"),
        ("unauthorized_client", "refused"),
        ("server_error", "odd"),
        ("<script>", "odd"),
    ] {
        let back = Back { error: Some(error.into()), code: Some("1".into()), ..Back::default() };
        assert_eq!(open_id.prove(&flow, back, now).await.unwrap_err().code(), code, "{error}");
    }
    assert_eq!(open_id.prove(&flow, Back::default(), now).await.unwrap_err().code(), "odd");
    let (flow, back) = approved(&open_id, &provider, now).await;
    let mixed_up = Back { iss: Some("https://another.example.org".into()), ..back.clone() };
    assert_eq!(open_id.prove(&flow, mixed_up, now).await.unwrap_err().code(), "odd");
    assert_eq!(provider.asked("/token"), 0, "the code goes to nobody");
    let own = Back { iss: Some(provider.issuer().to_owned()), ..back };
    open_id.prove(&flow, own, now).await.unwrap();

    for (refusal, code) in [
        ((401, r#"{"error": "invalid_client"}"#), "refused"),
        ((400, r#"{"error": "invalid_grant"}"#), "stale"),
        ((400, r#"{"error": "else", "error_description": "<script>"}"#), "odd"),
        ((500, "broken"), "odd"),
        ((200, "[]"), "odd"),
        ((200, r#"{"access_token": "access", "token_type": "Bearer"}"#), "odd"),
        ((200, r#"{"access_token": "access", "token_type": "Bearer", "id_token": "a.b.c"}"#), "odd"),
    ] {
        let (status, text) = refusal;
        let outcome = code_when(&provider, &open_id, |says| says.refusal = Some((status, text.to_owned())));
        assert_eq!(outcome.await, code, "{text}");
    }
}

#[tokio::test]
async fn an_access_token_that_is_no_header_is_not_sent() {
    let provider = TestProvider::start().await;
    let open_id = open_id(&provider, &["ann@example.org"]);
    let code = code_when(&provider, &open_id, |says| says.access_token = "a\nb".to_owned());
    assert_eq!(code.await, "odd");
    assert_eq!(provider.asked("/userinfo"), 0);
}

#[tokio::test]
async fn a_provider_that_is_away_slow_or_endless_is_given_up() {
    let provider = TestProvider::start().await;
    let now = now_ms();
    let fresh = || open_id(&provider, &["sub:1234"]);
    let code = async |open_id: &OpenId| {
        open_id.authorize(&begin(open_id, now), now).await.map_or_else(|error| error.code(), |_| "there")
    };
    provider.says(|says| says.padding_bytes = OIDC_ANSWER_BYTES);
    assert_eq!(code(&fresh()).await, "odd");
    provider.says(|says| says.padding_bytes = 1000);
    assert_eq!(code(&fresh()).await, "there");
    for (metadata, expected) in [
        (json!({ "issuer": "https://another.example.org" }), "odd"),
        (json!({ "authorization_endpoint": "http://another.example.org/authorize" }), "odd"),
        (json!({ "authorization_endpoint": "javascript:alert(1)" }), "odd"),
        (json!({ "jwks_uri": "http://another.example.org/keys" }), "odd"),
        (json!({ "jwks_uri": null }), "odd"),
    ] {
        let what = metadata.to_string();
        provider.says(|says| says.metadata = metadata);
        assert_eq!(code(&fresh()).await, expected, "{what}");
    }
    provider.says(|says| {
        says.metadata = json!({});
        says.waits = 2 * OIDC_ANSWER_WITHIN;
    });
    let (open_id, began) = (fresh(), Instant::now());
    let asked = provider.asked(DISCOVERY);
    for _ in 0..20 {
        assert_eq!(code(&open_id).await, "away");
    }
    assert!(began.elapsed() < 2 * OIDC_ANSWER_WITHIN, "others wait for the same answer");
    assert_eq!(provider.asked(DISCOVERY), asked + 1);
    provider.says(|says| says.waits = Duration::ZERO);
    let later = now + ms(OIDC_ASKED_AGAIN_AFTER);
    open_id.authorize(&begin(&open_id, later), later).await.unwrap();

    let config = provider.config(&["sub:1234"]);
    drop(provider);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let open_id = OpenId::new(config, &mut StdRng::seed_from_u64(7));
    assert_eq!(code(&open_id).await, "away");
}

#[tokio::test]
async fn the_provider_is_asked_for_its_keys_once_in_a_while_and_when_it_has_new_ones() {
    let provider = TestProvider::start().await;
    let open_id = open_id(&provider, &["sub:1234"]);
    for _ in 0..3 {
        sign_in(&open_id, &provider).await.unwrap();
    }
    assert_eq!((provider.asked(DISCOVERY), provider.asked("/keys")), (1, 1));
    provider.says(|says| says.key = 1);
    sign_in(&open_id, &provider).await.unwrap();
    sign_in(&open_id, &provider).await.unwrap();
    assert_eq!(provider.asked("/keys"), 2);
    let later = now_ms() + ms(OIDC_KEYS_LAST);
    open_id.authorize(&begin(&open_id, later), later).await.unwrap();
    assert_eq!(provider.asked("/keys"), 3);
}

#[tokio::test]
async fn however_many_begin_few_ask_the_provider_at_once_and_one_address_not_too_often() {
    let provider = TestProvider::start().await;
    let open_id = open_id(&provider, &["sub:1234"]);
    let start = Instant::now();
    let at = |last: u8| Asker(Some([192, 0, 2, last].into()));
    {
        let turns: Vec<_> =
            (0..OIDC_EXCHANGES_AT_ONCE).map(|_| open_id.take_turn(Asker(None), start).unwrap()).collect();
        assert!(open_id.take_turn(Asker(None), start).is_err());
        drop(turns);
    }
    let taken = (0..100).filter(|_| open_id.take_turn(at(1), start).is_ok()).count();
    assert_eq!(taken, OIDC_EXCHANGES_BURST_ADDRESS as usize);
    assert!(open_id.take_turn(at(2), start).is_ok(), "it costs others nothing");
    let later = start + OIDC_EXCHANGE_EVERY_ADDRESS + Duration::from_millis(1);
    assert!(open_id.take_turn(at(1), later).is_ok());
}

#[tokio::test]
async fn others_are_the_owner_as_soon_as_they_are_set() {
    let provider = TestProvider::start().await;
    let open_id = open_id(&provider, &["sub:1234"]);
    assert_eq!(code_when(&provider, &open_id, |_| {}).await, "in");
    open_id.set_owners(&["sub:5678".parse().unwrap()]);
    assert_eq!(code_when(&provider, &open_id, |_| {}).await, "stranger");
    open_id.set_owners(&["sub:1234".parse().unwrap(), "ann@example.org".parse().unwrap()]);
    assert_eq!(code_when(&provider, &open_id, |_| {}).await, "in");
    let address = open_id.authorize(&begin(&open_id, now_ms()), now_ms()).await.unwrap();
    let scope = address.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    assert_eq!(scope, "openid email", "an address makes the owner now");
}

#[tokio::test]
async fn an_address_is_asked_for_where_one_makes_the_owner() {
    let provider = TestProvider::start().await;
    for (owners, expected) in [(["sub:1234"], "openid"), (["ann@example.org"], "openid email")] {
        let open_id = open_id(&provider, &owners);
        let address = open_id.authorize(&begin(&open_id, now_ms()), now_ms()).await.unwrap();
        let scope = address.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
        assert_eq!(scope, expected);
    }
}
