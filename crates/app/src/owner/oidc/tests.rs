//! What becomes of a browser that signs in elsewhere, and of those that should not be able to.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, HOST, LOCATION, SET_COOKIE, USER_AGENT};
use axum::http::{Method, Request};
use axum::response::Response;
use reelroom_limits::accounts::OIDC_EXCHANGES_BURST_ADDRESS;
use reelroom_limits::asker::Asker;
use reelroom_oidc::OpenId;
use reelroom_oidc::testing::TestProvider;
use serde_json::json;
use tower::ServiceExt as _;
use url::Url;

use crate::config::Access;
use crate::tests::house::{House, Shows, body, house_at, house_with_provider};

const LOCAL: &str = "localhost:6080";

/// A server, a provider, and whom it takes for the owner.
async fn with_provider(owners: &[&str]) -> (House, TestProvider) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let provider = TestProvider::start().await;
    let open_id = OpenId::new(provider.config(owners), &mut rand::rng());
    (house_with_provider(Access::Invite, open_id).await, provider)
}

async fn get(house: &House, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().uri(path).header(USER_AGENT, "a browser");
    if !headers.iter().any(|(name, _)| *name == HOST.as_str()) {
        request = request.header(HOST, LOCAL);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let asker = Asker(Some("192.0.2.1".parse().unwrap()));
    let request = request.extension(asker).body(Body::empty()).unwrap();
    house.app.routes().doors().oneshot(request).await.unwrap()
}

/// Where an answer sends the browser.
fn goes_to(answer: &Response) -> String {
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    answer.headers()[LOCATION].to_str().unwrap().to_owned()
}

/// The cookies that an answer has a browser keep, as it shows them.
fn kept(answer: &Response) -> Vec<String> {
    let lines = answer.headers().get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap());
    let lines = lines.filter(|line| !line.contains("Max-Age=0;"));
    lines.map(|line| line.split(';').next().unwrap().to_owned()).collect()
}

/// A browser begins: its cookie, and where it is sent.
async fn begin(house: &House, path: &str) -> (String, Url) {
    let answer = get(house, path, &[]).await;
    let [cookie]: [String; 1] = kept(&answer).try_into().unwrap();
    (cookie, goes_to(&answer).parse().unwrap())
}

/// What the provider has the browser ask for when somebody has signed in there.
fn back(provider: &TestProvider, address: &Url) -> String {
    let (code, state) = provider.approve(address);
    format!("/owner/oidc/back?code={code}&state={state}&session_state=ignored")
}

async fn is_owner(house: &House, cookies: &[String]) -> bool {
    let shown = cookies.join("; ");
    let answer = get(house, "/owner/session", &[("cookie", &shown)]).await;
    body(answer).await["signedIn"].as_bool().unwrap()
}

#[tokio::test]
async fn the_owner_comes_back_with_a_session_like_any_other_to_where_they_were_going() {
    let (house, provider) = with_provider(&["sub:1234"]).await;
    let settings = body(get(&house, "/settings.json", &[]).await).await;
    assert_eq!(settings, json!({ "access": "invite", "oidcHost": "127.0.0.1" }));
    let (cookie, address) = begin(&house, "/owner/oidc?next=%2Frecordings.html%3Fq%3Da%2520b").await;
    assert!(cookie.starts_with("reelroom-oidc="), "{cookie}");
    let asked: Vec<_> = address.query_pairs().collect();
    assert!(asked.contains(&("redirect_uri".into(), "http://localhost:6080/owner/oidc/back".into())));
    assert!(!address.as_str().contains("word-of-the-client"));

    let across = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    let answer = get(&house, &back(&provider, &address), &across).await;
    assert_eq!(goes_to(&answer), "/recordings.html?q=a%20b");
    let session = kept(&answer);
    assert_eq!(session.len(), 2, "{session:?}");
    assert!(session[0].starts_with("reelroom=") && session[1].starts_with("reelroom-mark="));
    assert!(is_owner(&house, &session).await);

    let token = session[0].strip_prefix("reelroom=").unwrap().to_owned();
    let shows = Shows { session: Some(token), ..Shows::default() };
    let (status, said) = house.answer(&Method::GET, "/owner/sessions", &shows, &json!({})).await;
    assert_eq!(status, 200);
    let listed = &said["sessions"][0];
    assert_eq!((&listed["address"], &listed["userAgent"]), (&json!("192.0.2.1"), &json!("a browser")));
}

#[tokio::test]
async fn another_browser_a_second_time_and_another_state_sign_nobody_in() {
    let (house, provider) = with_provider(&["sub:1234"]).await;
    let (cookie, address) = begin(&house, "/owner/oidc").await;
    let (other, _) = begin(&house, "/owner/oidc").await;
    let path = back(&provider, &address);
    let stale = "/owner?oidc=stale";
    for shown in ["", other.as_str(), "reelroom-oidc=x"] {
        let answer = get(&house, &path, &[("cookie", shown)]).await;
        assert_eq!(goes_to(&answer), stale, "{shown}");
        assert!(answer.headers().get(SET_COOKIE).is_none(), "what is under way there stays");
    }
    for wrong in ["/owner/oidc/back", "/owner/oidc/back?code=1", "/owner/oidc/back?code=1&state=1"] {
        assert_eq!(goes_to(&get(&house, wrong, &[("cookie", &cookie)]).await), stale, "{wrong}");
    }
    assert_eq!(provider.asked("/token"), 0, "no code was looked at");
    let answer = get(&house, &path, &[("cookie", &cookie)]).await;
    assert_eq!(goes_to(&answer), "/owner");
    assert!(is_owner(&house, &kept(&answer)).await);
    let again = get(&house, &path, &[("cookie", &cookie)]).await;
    assert_eq!(goes_to(&again), stale, "it has ended");
    assert!(kept(&again).is_empty());
    assert_eq!(provider.asked("/token"), 1);
}

#[tokio::test]
async fn of_two_tabs_the_one_that_comes_back_later_finds_the_owner_signed_in() {
    let (house, provider) = with_provider(&["sub:1234"]).await;
    let (_, first) = begin(&house, "/owner/oidc").await;
    let (cookie, second) = begin(&house, "/owner/oidc").await;
    let signed_in = kept(&get(&house, &back(&provider, &second), &[("cookie", cookie.as_str())]).await);
    let shown = signed_in.join("; ");
    let answer = get(&house, &back(&provider, &first), &[("cookie", shown.as_str())]).await;
    assert_eq!(goes_to(&answer), "/owner", "there is nothing to try again");
    assert!(answer.headers().get(SET_COOKIE).is_none());
    assert!(is_owner(&house, &signed_in).await);
    assert_eq!(provider.asked("/token"), 1, "the later code was not looked at");
}

#[tokio::test]
async fn whoever_is_not_the_owner_is_told_so_in_words_of_ours() {
    let (house, provider) = with_provider(&["ann@example.org"]).await;
    let cases = [
        (json!({ "email": "eve@example.org", "email_verified": true }), "", "stranger"),
        (json!({ "email": "ann@example.org", "email_verified": false }), "", "stranger"),
        (json!({ "sub": "ann@example.org" }), "", "odd"),
        (json!({}), "&error=access_denied", "declined"),
        (json!({}), "&error=%3Cscript%3E&error_description=%3Cscript%3E", "odd"),
        (json!({}), "&iss=https%3A%2F%2Fanother.example.org", "odd"),
    ];
    for (claims, besides, code) in cases {
        let what = format!("{claims} {besides}");
        provider.says(|says| says.claims = claims);
        let (cookie, address) = begin(&house, "/owner/oidc?next=/recordings.html").await;
        let path = format!("{}{besides}", back(&provider, &address));
        let answer = get(&house, &path, &[("cookie", &cookie)]).await;
        assert_eq!(goes_to(&answer), format!("/owner?oidc={code}&next=%2Frecordings.html"), "{what}");
        assert!(kept(&answer).is_empty(), "{what}");
        assert_eq!(answer.headers().get_all(SET_COOKIE).iter().count(), 2, "its cookie goes: {what}");
    }
    // Two accounts were others', and the owner is told.
    let key = Shows::key(&house.key(&["manage"]));
    let (status, told) = house.answer(&Method::GET, "/audit", &key, &json!({})).await;
    assert_eq!((status, &told["entries"]), (200, &json!([])), "{told}");
    let refusals = told["refusals"].as_array().unwrap();
    let [refused] = refusals.as_slice() else { panic!("{told}") };
    assert_eq!((&refused["act"], &refused["count"]), (&json!("signIn.refused"), &json!(2)));
    assert_eq!(refused["address"], json!("192.0.2.1"));
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_and_a_foreign_page_begins_nothing() {
    let (house, provider) = with_provider(&["sub:1234"]).await;
    for next in [
        "//evil.example.org",
        "https%3A%2F%2Fevil.example.org",
        "/%5Cevil.example.org",
        "/%09/evil.example.org",
    ] {
        let (cookie, address) = begin(&house, &format!("/owner/oidc?next={next}")).await;
        let answer = get(&house, &back(&provider, &address), &[("cookie", &cookie)]).await;
        assert_eq!(goes_to(&answer), "/owner", "{next}");
    }
    for site in ["cross-site", "same-site"] {
        let answer = get(&house, "/owner/oidc", &[("sec-fetch-site", site)]).await;
        assert_eq!((goes_to(&answer).as_str(), kept(&answer).len()), ("/owner", 0), "{site}");
    }
    for site in ["same-origin", "none"] {
        assert_eq!(kept(&get(&house, "/owner/oidc", &[("sec-fetch-site", site)]).await).len(), 1, "{site}");
    }
}

#[tokio::test]
async fn the_provider_sends_a_browser_back_to_the_address_by_which_it_came() {
    let (house, provider) = with_provider(&["sub:1234"]).await;
    for (headers, origin) in [
        (vec![("host", "localhost:6080")], "http://localhost:6080"),
        (vec![("host", "[::1]:6080")], "http://[::1]:6080"),
        (vec![("host", "localhost"), ("x-forwarded-proto", "https")], "https://localhost"),
        (vec![("host", "calls.example.org")], "https://calls.example.org"),
        (vec![("host", "Calls.Example.org:8443")], "https://calls.example.org:8443"),
        (vec![("host", "calls.example.org"), ("x-forwarded-proto", "http")], "http://calls.example.org"),
        (
            vec![("host", "127.0.0.1:6080"), ("x-forwarded-host", "calls.example.org, 127.0.0.1")],
            "https://calls.example.org",
        ),
    ] {
        let answer = get(&house, "/owner/oidc", &headers).await;
        let address: Url = goes_to(&answer).parse().unwrap();
        let said = address.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
        assert_eq!(said, format!("{origin}/owner/oidc/back"), "{headers:?}");
        let cookie = kept(&answer).remove(0);
        let prefix = if origin.starts_with("https") { "__Host-" } else { "" };
        assert!(cookie.starts_with(&format!("{prefix}reelroom-oidc=")), "{cookie}");
        // That address decides, too, how the session is kept.
        let answer = get(&house, &back(&provider, &address), &[("cookie", &cookie)]).await;
        assert!(kept(&answer)[0].starts_with(&format!("{prefix}reelroom=")), "{:?}", kept(&answer));
    }
    for host in ["", "a b", "user@calls.example.org", "calls.example.org/x?", "calls.example.org#"] {
        let refused = get(&house, "/owner/oidc", &[("host", host)]).await;
        assert_eq!(refused.status(), 400, "{host}");
    }
}

#[tokio::test]
async fn below_a_path_a_sign_in_goes_out_and_comes_back_by_the_address_that_everybody_has() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let provider = TestProvider::start().await;
    let open_id = OpenId::new(provider.config(&["sub:1234"]), &mut rand::rng());
    let house = house_at(Access::Invite, "https://example.org/calls", Some(open_id)).await;
    // As the front says it, whatever the proxy has made of Host.
    let below = ("x-forwarded-prefix", "/calls");
    for host in ["example.org", "127.0.0.1:6080"] {
        let answer = get(&house, "/owner/oidc?next=%2Frecordings.html", &[("host", host), below]).await;
        let address: Url = goes_to(&answer).parse().unwrap();
        let said = address.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
        assert_eq!(said, "https://example.org/calls/owner/oidc/back");
        let line = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert!(line.starts_with("__Secure-reelroom-oidc=") && line.contains("; Path=/calls/;"), "{line}");
        let cookie = kept(&answer).remove(0);
        let answer = get(&house, &back(&provider, &address), &[("cookie", &cookie), below]).await;
        assert_eq!(goes_to(&answer), "/calls/recordings.html");
        let session = kept(&answer);
        assert!(session[0].starts_with("__Secure-reelroom="), "{session:?}");
        assert!(is_owner(&house, &session).await);
    }
    let answer = get(&house, "/owner/oidc/back?code=1&state=1", &[below]).await;
    assert_eq!(goes_to(&answer), "/calls/owner?oidc=stale");
    let answer = get(&house, "/owner/oidc", &[("sec-fetch-site", "cross-site"), below]).await;
    assert_eq!(goes_to(&answer), "/calls/owner");
}

#[tokio::test]
async fn one_address_asks_the_provider_no_faster_than_it_may_and_a_flood_of_beginnings_keeps_nobody_out() {
    let (house, provider) = with_provider(&["sub:1234"]).await;
    for _ in 0..200 {
        begin(&house, "/owner/oidc").await;
    }
    let mut codes = Vec::new();
    for _ in 0..=OIDC_EXCHANGES_BURST_ADDRESS {
        let (cookie, address) = begin(&house, "/owner/oidc").await;
        let answer = get(&house, &back(&provider, &address), &[("cookie", &cookie)]).await;
        codes.push(goes_to(&answer));
    }
    assert_eq!(codes.pop().unwrap(), "/owner?oidc=busy");
    assert!(codes.iter().all(|code| code == "/owner"), "{codes:?}");
}

#[tokio::test]
async fn a_provider_that_is_away_and_one_that_is_not_set_are_told() {
    let (house, provider) = with_provider(&["sub:1234"]).await;
    drop(provider);
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let answer = get(&house, "/owner/oidc?next=/recordings.html", &[]).await;
    assert_eq!(goes_to(&answer), "/owner?oidc=away&next=%2Frecordings.html");
    let unset = crate::tests::house::house(Access::Invite).await;
    for path in ["/owner/oidc", "/owner/oidc/back?code=1&state=1"] {
        let answer = get(&unset, path, &[]).await;
        assert_eq!(answer.status(), 404);
        assert!(body(answer).await["errorMessage"].as_str().unwrap().contains("password"));
    }
}
