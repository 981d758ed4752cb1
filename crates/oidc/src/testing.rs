//! A provider for tests: what it says is right, but for what a test has it say otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::{Url, form_urlencoded};

use crate::config::{Issuer, OidcConfig};

/// What it calls its client.
pub const CLIENT_ID: &str = "reelroom";
/// What its client proves itself by.
pub const CLIENT_SECRET: &str = "word-of-the-client";
/// Whom it signs in.
pub const SUBJECT: &str = "1234";

const KEYS: [&str; 2] = [
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIEBhX12Jr/8+yFiycBS7/4OCe8+fTURDg3zFxv54Mx+f\n-----END PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIO7sBpUNI330NQscT8Avhc/QhcKGoczge5+UYWG6y66K\n-----END PRIVATE KEY-----\n",
];

/// By what an ID token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// A key that the provider names.
    ByItsKey,
    /// A key that it does not name, under the name of one that it does.
    ByAnother,
    /// The client's secret.
    ByTheSecret,
    /// Nothing.
    Not,
}

/// How it answers.
#[derive(Clone, Debug)]
pub struct Says {
    /// Of the ID token, instead of what is right or besides; null leaves a claim out.
    pub claims: Value,
    /// Of the ID token.
    pub signs: Signs,
    /// What it gives beside the ID token.
    pub access_token: String,
    /// Of the person, where it is asked for that.
    pub user_info: Value,
    /// Of itself, instead of what is right or besides; null leaves it out.
    pub metadata: Value,
    /// Instead of tokens: a status and a body.
    pub refusal: Option<(u16, String)>,
    /// Bytes that it says besides, whatever it says.
    pub padding_bytes: usize,
    /// How long it takes.
    pub waits: Duration,
    /// Which of its keys it has now.
    pub key: usize,
}

struct Shared {
    issuer: String,
    says: Mutex<Says>,
    /// By code.
    approved: Mutex<HashMap<String, Approval>>,
    asked: Mutex<Vec<String>>,
}

struct Approval {
    nonce: String,
    challenge: String,
    back: String,
}

/// A provider on this machine.
pub struct TestProvider {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl TestProvider {
    /// Starts one.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            says: Mutex::new(Says {
                claims: json!({}),
                signs: Signs::ByItsKey,
                access_token: "access".to_owned(),
                user_info: json!({ "sub": SUBJECT }),
                metadata: json!({}),
                refusal: None,
                padding_bytes: 0,
                waits: Duration::ZERO,
                key: 0,
            }),
            approved: Mutex::default(),
            asked: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { shared, serving }
    }

    /// The settings of a server whose owners these are.
    ///
    /// # Panics
    /// Where one of them is none.
    pub fn config(&self, owners: &[&str]) -> OidcConfig {
        OidcConfig {
            issuer: Issuer::parse(&self.shared.issuer).unwrap(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            owners: owners.iter().map(|owner| owner.parse().unwrap()).collect(),
        }
    }

    /// What it calls itself.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// Has it answer otherwise from now on.
    pub fn says(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.shared.says());
    }

    /// How often something was asked for, by its path.
    pub fn asked(&self, path: &str) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|asked| *asked == path).count()
    }

    /// Somebody signs in at the address to which a server sent their browser. What the browser brings back: code and state.
    ///
    /// # Panics
    /// Where that address does not ask for what it has to.
    pub fn approve(&self, address: &Url) -> (String, String) {
        let asked: HashMap<String, String> = address.query_pairs().into_owned().collect();
        let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
        assert!(address.as_str().starts_with(&format!("{}/authorize?", self.shared.issuer)), "{address}");
        assert_eq!((of("response_type").as_str(), of("client_id").as_str()), ("code", CLIENT_ID));
        assert_eq!(of("code_challenge_method"), "S256");
        assert!(of("scope").split(' ').any(|scope| scope == "openid"), "{address}");
        assert!(of("state").len() >= 32 && of("nonce").len() >= 32, "{address}");
        let mut approved = self.shared.approved.lock().unwrap();
        let code = format!("code-{}-{}", approved.len(), of("state"));
        let approval =
            Approval { nonce: of("nonce"), challenge: of("code_challenge"), back: of("redirect_uri") };
        approved.insert(code.clone(), approval);
        (code, of("state"))
    }
}

impl Drop for TestProvider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().unwrap()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let says = shared.says().clone();
    let path = uri.path().to_owned();
    shared.asked.lock().unwrap().push(path.clone());
    tokio::time::sleep(says.waits).await;
    let mut said = match path.as_str() {
        "/.well-known/openid-configuration" => merged(metadata(&shared.issuer), &says.metadata),
        "/keys" => {
            let keys = CoreJsonWebKeySet::new(vec![key(says.key, says.key).as_verification_key()]);
            serde_json::to_value(keys).unwrap()
        }
        "/token" => match tokens(&shared, &says, &headers, &body) {
            Ok(tokens) => tokens,
            Err((status, text)) => {
                let status = StatusCode::from_u16(status).unwrap();
                return (status, [(CONTENT_TYPE, "application/json")], text).into_response();
            }
        },
        "/userinfo" if headers.get(AUTHORIZATION).is_some_and(|shown| shown == "Bearer access") => {
            says.user_info
        }
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    if says.padding_bytes > 0 {
        said["padding"] = "a".repeat(says.padding_bytes).into();
    }
    axum::Json(said).into_response()
}

fn metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
    })
}

/// What a code is worth: once, to the client, and with the verifier.
fn tokens(shared: &Shared, says: &Says, headers: &HeaderMap, body: &str) -> Result<Value, (u16, String)> {
    if let Some(refusal) = &says.refusal {
        return Err(refusal.clone());
    }
    let refuse = |status, error: &str| Err((status, json!({ "error": error }).to_string()));
    let word = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    if headers.get(AUTHORIZATION).is_none_or(|shown| *shown != word) {
        return refuse(401, "invalid_client");
    }
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let of = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let Some(approval) = shared.approved.lock().unwrap().remove(of("code")) else {
        return refuse(400, "invalid_grant");
    };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(of("code_verifier")));
    if challenge != approval.challenge || of("redirect_uri") != approval.back {
        return refuse(400, "invalid_grant");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let right = json!({
        "iss": shared.issuer,
        "sub": SUBJECT,
        "aud": CLIENT_ID,
        "iat": now,
        "exp": now + 300,
        "nonce": approval.nonce,
    });
    let id_token = signed(says, &merged(right, &says.claims));
    Ok(json!({ "access_token": says.access_token, "token_type": "Bearer", "id_token": id_token }))
}

/// The one with what the other says; null leaves something out.
fn merged(mut one: Value, other: &Value) -> Value {
    for (name, value) in other.as_object().unwrap() {
        if value.is_null() {
            one.as_object_mut().unwrap().remove(name);
        } else {
            one[name] = value.clone();
        }
    }
    one
}

/// One of the keys, under the name of one.
fn key(which: usize, name: usize) -> CoreEdDsaPrivateSigningKey {
    let name = JsonWebKeyId::new(format!("key-{name}"));
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(KEYS[which], Some(name)).unwrap()
}

fn signed(says: &Says, claims: &Value) -> String {
    let algorithm = match says.signs {
        Signs::ByItsKey | Signs::ByAnother => "EdDSA",
        Signs::ByTheSecret => "HS256",
        Signs::Not => "none",
    };
    let header = json!({ "alg": algorithm, "kid": format!("key-{}", says.key) });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(&header), encode(claims));
    let by = |which| key(which, says.key).sign(&CoreJwsSigningAlgorithm::EdDsa, input.as_bytes()).unwrap();
    let signature = match says.signs {
        Signs::ByItsKey => by(says.key),
        Signs::ByAnother => by(1 - says.key),
        Signs::ByTheSecret => {
            let mut mac = Hmac::<Sha256>::new_from_slice(CLIENT_SECRET.as_bytes()).unwrap();
            mac.update(input.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        Signs::Not => Vec::new(),
    };
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}
