//! The provider: what it says of itself, where it is asked, and what it says of somebody.
//!
//! # Invariants
//!
//! - It is asked of itself by one at a time, and not again for a moment after it did not answer: others wait for that one.
//! - It is asked of itself again after a while, and when a token has a signature that its keys do not explain.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdTokenClaims,
    CoreProviderMetadata, CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardErrorResponse,
    UserInfoError,
};
use rand::CryptoRng;
use reelroom_limits::accounts::{
    OIDC_ADDRESSES, OIDC_ASKED_AGAIN_AFTER, OIDC_EXCHANGE_EVERY_ADDRESS, OIDC_EXCHANGES_AT_ONCE,
    OIDC_EXCHANGES_BURST_ADDRESS, OIDC_KEYS_LAST,
};
use reelroom_limits::asker::Asker;
use reelroom_limits::pace::{Paces, Rate};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use crate::config::OidcConfig;
use crate::error::{OidcError, Said, chain};
use crate::finished::Finished;
use crate::flow::Flow;
use crate::http_client::{HttpClient, HttpError};
use crate::next::Next;
use crate::owner_name::{Account, OwnerName};
use crate::verify::verify;

/// This server as the provider's client: where people go and where tokens come from is known, if the provider says the latter.
pub(crate) type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What the provider has a browser bring back, in the query.
#[derive(Clone, Default)]
pub struct Back {
    /// For the ID token.
    pub code: Option<String>,
    /// What it was told when the sign-in began.
    pub state: Option<String>,
    /// Which provider it is, where it says so (RFC 9207).
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// A place among those who ask the provider at once.
pub struct Turn<'a> {
    _permit: SemaphorePermit<'a>,
}

/// A provider by which the owner may sign in.
pub struct OpenId {
    config: OidcConfig,
    /// Those of `config`, until others are set.
    owners: RwLock<Arc<[OwnerName]>>,
    http: HttpClient,
    /// Of this run. What was under way before it is over.
    key: [u8; 32],
    known: tokio::sync::Mutex<Known>,
    turns: Semaphore,
    addresses: Mutex<Paces<std::net::IpAddr>>,
    finished: Mutex<Finished>,
}

/// What the provider has said of itself, with Unix milliseconds.
#[derive(Default)]
struct Known {
    metadata: Option<(Arc<CoreProviderMetadata>, i64)>,
    failure: Option<(OidcError, i64)>,
}

impl OpenId {
    /// Knows the provider by its settings; it is asked when somebody signs in.
    pub fn new(config: OidcConfig, rng: &mut impl CryptoRng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let rate = Rate::one_in(OIDC_EXCHANGES_BURST_ADDRESS, OIDC_EXCHANGE_EVERY_ADDRESS);
        Self {
            http: HttpClient::new(config.issuer.is_plain()),
            owners: RwLock::new(config.owners.clone().into()),
            config,
            key,
            known: tokio::sync::Mutex::default(),
            turns: Semaphore::new(OIDC_EXCHANGES_AT_ONCE),
            addresses: Mutex::new(Paces::new(rate, OIDC_ADDRESSES)),
            finished: Mutex::default(),
        }
    }

    /// These are the owner from now on, and nobody else. Whoever is signed in stays so.
    pub fn set_owners(&self, owners: &[OwnerName]) {
        *self.owners.write().unwrap_or_else(PoisonError::into_inner) = owners.into();
    }

    fn owners(&self) -> Arc<[OwnerName]> {
        Arc::clone(&self.owners.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a person knows the provider by.
    pub fn host(&self) -> &str {
        self.config.issuer.host()
    }

    /// Begins to sign somebody in, whom the provider is to send back to `back`. Nothing is kept of it here.
    pub fn begin(&self, back: Url, next: Next, now_ms: i64, rng: &mut impl CryptoRng) -> Flow {
        Flow::new(back, next, now_ms, rng)
    }

    /// Where the provider asks somebody who they are.
    ///
    /// # Errors
    /// [`OidcError::Away`], [`OidcError::Odd`].
    pub async fn authorize(&self, flow: &Flow, now_ms: i64) -> Result<Url, OidcError> {
        let metadata = self.metadata(now_ms).await?;
        let client = self.client(&metadata, flow);
        let (state, nonce) = (CsrfToken::new(flow.state(&self.key)), Nonce::new(flow.nonce(&self.key)));
        let verifier = PkceCodeVerifier::new(flow.verifier(&self.key));
        let request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        let request =
            if self.knows_emails() { request.add_scope(Scope::new("email".to_owned())) } else { request };
        Ok(request.url().0)
    }

    /// The sign-in that a browser comes back from: one of those that it shows, whose state the provider was told.
    ///
    /// # Errors
    /// [`OidcError::Stale`].
    pub fn recognise<'a>(
        &self,
        mut shown: impl Iterator<Item = &'a str>,
        back: &Back,
        now_ms: i64,
    ) -> Result<Flow, OidcError> {
        let state = back.state.as_deref().unwrap_or_default();
        let flow = shown.find_map(|text| Flow::parse(text).filter(|flow| flow.is_state(&self.key, state)));
        flow.filter(|flow| flow.goes_on(now_ms))
            .ok_or_else(|| OidcError::Stale(Said::new("no browser that began it brings it back in time")))
    }

    /// A place among those who ask the provider at once, for whoever is not too fast.
    ///
    /// # Errors
    /// [`OidcError::Busy`].
    pub fn take_turn(&self, asker: Asker, now: Instant) -> Result<Turn<'_>, OidcError> {
        let permit = self.turns.try_acquire().map_err(|_| OidcError::Busy)?;
        if let Asker(Some(address)) = asker {
            let mut addresses = self.addresses.lock().expect("no code panics while it holds the addresses");
            addresses.take(address, 1, Duration::ZERO, now).map_err(|_| OidcError::Busy)?;
        }
        Ok(Turn { _permit: permit })
    }

    /// Ends a sign-in: it does so once, whatever comes of it.
    ///
    /// # Errors
    /// [`OidcError::Stale`]: it had ended.
    pub fn use_up(&self, flow: &Flow, now_ms: i64) -> Result<(), OidcError> {
        let mut finished = self.finished.lock().expect("no code panics while it ends a sign-in");
        if finished.end(flow.sha256(), now_ms) {
            Ok(())
        } else {
            Err(OidcError::Stale(Said::new("it has ended")))
        }
    }

    /// Goes on where what a browser brings back proves that its person is the owner.
    ///
    /// # Errors
    /// Any but [`OidcError::Busy`].
    pub async fn prove(&self, flow: &Flow, back: Back, now_ms: i64) -> Result<(), OidcError> {
        if back.iss.is_some_and(|iss| iss != self.config.issuer.as_str()) {
            return Err(OidcError::Odd(Said::new("it is another provider's")));
        }
        if let Some(error) = back.error {
            return Err(match error.as_str() {
                "access_denied" => OidcError::Declined,
                "invalid_client" | "unauthorized_client" => OidcError::Refused(Said::new(error)),
                _ => OidcError::Odd(Said::new(error)),
            });
        }
        let code = back.code.ok_or_else(|| OidcError::Odd(Said::new("there is no code")))?;
        let metadata = self.metadata(now_ms).await?;
        let client = self.client(&metadata, flow);
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| OidcError::Odd(chain(&error)))?
            .set_pkce_verifier(PkceCodeVerifier::new(flow.verifier(&self.key)))
            .request_async(&self.http)
            .await
            .map_err(no_tokens)?;
        let claims = self.claims(&client, &metadata, flow, &tokens, now_ms).await?;
        self.is_owner(&client, &claims, &tokens).await
    }

    /// What the ID token says, once it is believed.
    async fn claims(
        &self,
        client: &Client,
        metadata: &Arc<CoreProviderMetadata>,
        flow: &Flow,
        tokens: &CoreTokenResponse,
        now_ms: i64,
    ) -> Result<CoreIdTokenClaims, OidcError> {
        let nonce = Nonce::new(flow.nonce(&self.key));
        let mut verified = verify(client, metadata, tokens, &nonce, now_ms);
        if matches!(verified, Err(ClaimsVerificationError::SignatureVerification(_))) {
            // It may sign by new keys.
            let metadata = self.metadata_after(metadata, now_ms).await?;
            verified = verify(&self.client(&metadata, flow), &metadata, tokens, &nonce, now_ms);
        }
        verified.map_err(|error| OidcError::Odd(chain(&error)))
    }

    async fn is_owner(
        &self,
        client: &Client,
        claims: &CoreIdTokenClaims,
        tokens: &CoreTokenResponse,
    ) -> Result<(), OidcError> {
        let mut account = Account {
            subject: claims.subject().to_string(),
            email: claims.email().map(|email| email.to_string()),
            is_email_verified: claims.email_verified() == Some(true),
        };
        if account.email.is_none() && self.knows_emails() && !self.is_one_of_the_owners(&account) {
            // It is told there alone by providers that keep to the letter of the standard. What is no token is not sent: the library
            // wants a header's characters.
            if !tokens.access_token().secret().bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(OidcError::Odd(Said::new("the access token is none")));
            }
            if let Ok(request) =
                client.user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
            {
                let said: CoreUserInfoClaims =
                    request.request_async(&self.http).await.map_err(no_user_info)?;
                account.email = said.email().map(|email| email.to_string());
                account.is_email_verified = said.email_verified() == Some(true);
            }
        }
        if self.is_one_of_the_owners(&account) {
            return Ok(());
        }
        let verified = if account.is_email_verified { "verified" } else { "not verified" };
        let email = account.email.as_deref().unwrap_or("none");
        Err(OidcError::Stranger(Said::new(format!("sub:{}, e-mail {email} ({verified})", account.subject))))
    }

    fn is_one_of_the_owners(&self, account: &Account) -> bool {
        self.owners().iter().any(|owner| owner.is_of(account))
    }

    fn knows_emails(&self) -> bool {
        self.owners().iter().any(|owner| matches!(owner, OwnerName::Email(_)))
    }

    fn client(&self, metadata: &CoreProviderMetadata, flow: &Flow) -> Client {
        let id = ClientId::new(self.config.client_id.clone());
        let secret = ClientSecret::new(self.config.client_secret.clone());
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, Some(secret))
            .set_redirect_uri(RedirectUrl::from_url(flow.back().clone()));
        let methods = metadata.token_endpoint_auth_methods_supported();
        let takes = |method| methods.is_none_or(|methods| methods.contains(&method));
        if !takes(CoreClientAuthMethod::ClientSecretBasic) && takes(CoreClientAuthMethod::ClientSecretPost) {
            client.set_auth_type(AuthType::RequestBody)
        } else {
            client
        }
    }

    /// What the provider says of itself.
    async fn metadata(&self, now_ms: i64) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((metadata, at_ms)) = &known.metadata
            && is_within(*at_ms, OIDC_KEYS_LAST, now_ms)
        {
            return Ok(Arc::clone(metadata));
        }
        self.ask(&mut known, now_ms).await
    }

    /// The same, as it is by now, where `before` does not do.
    async fn metadata_after(
        &self,
        before: &Arc<CoreProviderMetadata>,
        now_ms: i64,
    ) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        let mut known = self.known.lock().await;
        if let Some((metadata, _)) = &known.metadata
            && !Arc::ptr_eq(metadata, before)
        {
            return Ok(Arc::clone(metadata));
        }
        self.ask(&mut known, now_ms).await
    }

    async fn ask(&self, known: &mut Known, now_ms: i64) -> Result<Arc<CoreProviderMetadata>, OidcError> {
        if let Some((failure, at_ms)) = &known.failure
            && is_within(*at_ms, OIDC_ASKED_AGAIN_AFTER, now_ms)
        {
            return Err(failure.clone());
        }
        match self.discover().await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *known = Known { metadata: Some((Arc::clone(&metadata), now_ms)), failure: None };
                Ok(metadata)
            }
            Err(error) => {
                tracing::warn!(%error, "the OpenID provider does not say how people sign in there");
                known.failure = Some((error.clone(), now_ms));
                Err(error)
            }
        }
    }

    async fn discover(&self) -> Result<CoreProviderMetadata, OidcError> {
        let issuer = IssuerUrl::new(self.config.issuer.as_str().to_owned()).expect("an issuer is a URL");
        let metadata =
            CoreProviderMetadata::discover_async(issuer, &self.http).await.map_err(not_discovered)?;
        // People are sent there with what this server says of itself; all else is asked by the client, which looks.
        if !self.http.takes(metadata.authorization_endpoint().url()) {
            return Err(OidcError::Odd(Said::new("it has people sign in by a way that others can read")));
        }
        Ok(metadata)
    }
}

/// Whether a time is no longer ago than this.
fn is_within(at_ms: i64, time: Duration, now_ms: i64) -> bool {
    let time_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    (0..time_ms).contains(&now_ms.saturating_sub(at_ms))
}

fn not_discovered(error: DiscoveryError<HttpError>) -> OidcError {
    match error {
        DiscoveryError::Request(error) => error.into(),
        DiscoveryError::Response(status, _, text) if status.is_server_error() => {
            OidcError::Away(Said::new(text))
        }
        DiscoveryError::Response(_, _, text) => OidcError::Odd(Said::new(text)),
        DiscoveryError::Validation(text) => OidcError::Odd(Said::new(format!(
            "OIDC_ISSUER is not, letter by letter, what it calls itself: {text}"
        ))),
        error => OidcError::Odd(chain(&error)),
    }
}

fn no_tokens(error: RequestTokenError<HttpError, StandardErrorResponse<CoreErrorResponseType>>) -> OidcError {
    match error {
        RequestTokenError::Request(error) => error.into(),
        RequestTokenError::ServerResponse(refusal) => {
            let said = Said::new(&refusal);
            match refusal.error() {
                CoreErrorResponseType::InvalidGrant => OidcError::Stale(said),
                CoreErrorResponseType::InvalidClient | CoreErrorResponseType::UnauthorizedClient => {
                    OidcError::Refused(said)
                }
                _ => OidcError::Odd(said),
            }
        }
        error => OidcError::Odd(chain(&error)),
    }
}

fn no_user_info(error: UserInfoError<HttpError>) -> OidcError {
    match error {
        UserInfoError::Request(error) => error.into(),
        error => OidcError::Odd(chain(&error)),
    }
}
