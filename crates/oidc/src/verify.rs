//! Whether an ID token is the provider's word, for this server, about this very sign-in.

use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreIdTokenClaims, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreTokenResponse,
};
use openidconnect::{
    AccessTokenHash, ClaimsVerificationError, JwsSigningAlgorithm as _, Nonce, OAuth2TokenResponse as _,
    TokenResponse as _,
};
use reelroom_limits::accounts::OIDC_CLOCK_SKEW;

use crate::provider::Client;

const SKEW_MS: i64 = OIDC_CLOCK_SKEW.as_millis() as i64;

/// What an answer of the token endpoint says of somebody, once all of it is believed: signature, issuer, audience, time, nonce, and that the
/// access token beside it is of the same answer.
///
/// # Errors
/// What is not.
pub(crate) fn verify(
    client: &Client,
    metadata: &CoreProviderMetadata,
    tokens: &CoreTokenResponse,
    nonce: &Nonce,
    now_ms: i64,
) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
    let none = || ClaimsVerificationError::Other("there is no ID token".to_owned());
    let id_token = tokens.id_token().ok_or_else(none)?;
    let (earliest, latest) = (at(now_ms - SKEW_MS), at(now_ms + SKEW_MS));
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(asymmetric(metadata))
        .set_time_fn(move || earliest)
        .set_issue_time_verifier_fn(move |issued| {
            if issued > latest {
                Err("it is of a time to come: compare the clocks".to_owned())
            } else {
                Ok(())
            }
        });
    let claims = id_token.claims(&verifier, nonce)?;
    if claims.authorized_party().is_some_and(|party| party != client.client_id()) {
        return Err(ClaimsVerificationError::InvalidAudience("it was given to another client".to_owned()));
    }
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = id_token.signing_alg().map_err(ClaimsVerificationError::SignatureVerification)?;
        let key = id_token.signing_key(&verifier).map_err(ClaimsVerificationError::SignatureVerification)?;
        let hash = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
            .map_err(|error| ClaimsVerificationError::Other(error.to_string()))?;
        if hash != *expected {
            return Err(ClaimsVerificationError::Other("the access token is of another answer".to_owned()));
        }
    }
    Ok(claims.clone())
}

/// Those of the provider's algorithms whose signatures nobody makes who can only check them.
fn asymmetric(metadata: &CoreProviderMetadata) -> Vec<CoreJwsSigningAlgorithm> {
    let all = metadata.id_token_signing_alg_values_supported().iter();
    all.filter(|one| **one != CoreJwsSigningAlgorithm::None && !one.uses_shared_secret()).cloned().collect()
}

fn at(unix_ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(unix_ms).unwrap_or_default()
}
