//! `/owner/keys`: what programs show instead of a password.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use reelroom_access::Right;
use reelroom_accounts::{AccountsError, ApiKey, KeyId, NewKey, Rights};
use reelroom_audit::{Act, On, OnKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{blocking, told};
use crate::app::WebApp;
use crate::audit::Actor;
use crate::clock;
use crate::error::{ApiError, ErrorBody};
use crate::extract::{Json, Path};

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyBody {
    /// How its text begins.
    id: String,
    /// What its owner calls it.
    name: String,
    /// What it may do: docs/access.md says what each of them is; "-" stands for each space.
    rights: Vec<String>,
    /// Milliseconds since 1970.
    made_at: i64,
    /// Milliseconds since 1970; absent where it lasts until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// Milliseconds since 1970; absent where it was never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<i64>,
    /// Milliseconds since 1970; absent where it was not revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeysAnswer {
    /// Those that are over too, the newest in front.
    keys: Vec<KeyBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MakeKeyRequest {
    /// What its owner calls it.
    name: String,
    /// What it may do: docs/access.md says what each of them is; "-" stands for each space.
    rights: Vec<String>,
    /// Milliseconds since 1970; absent: it lasts until it is revoked.
    expires_at: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MadeKeyAnswer {
    key: KeyBody,
    /// All of it, for the header "Authorization: Bearer …". It is shown this once.
    secret: String,
    /// The id of a key, long over, that is not listed any more to make room for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    forgotten: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct RevokedAnswer {
    /// The id of the key that opens nothing any more.
    revoked: String,
}

impl From<ApiKey> for KeyBody {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.into(),
            name: key.name,
            rights: key.rights.iter().map(str::to_owned).collect(),
            made_at: key.made_ms,
            expires_at: key.expires_ms,
            used_at: key.used_ms,
            revoked_at: key.revoked_ms,
        }
    }
}

/// Lists API keys.
#[utoipa::path(get, path = "/owner/keys", responses((status = 200, body = KeysAnswer)))]
pub(crate) async fn list_keys(State(app): State<WebApp>) -> Response {
    told(KeysAnswer { keys: app.accounts().keys().into_iter().map(KeyBody::from).collect() })
}

/// Makes an API key.
#[utoipa::path(post, path = "/owner/keys", request_body = MakeKeyRequest, responses(
    (status = 200, body = MadeKeyAnswer),
    (status = 400, description = "The name, a right or the time is none", body = ErrorBody),
    (status = 409, description = "As many keys as there may be are in force", body = ErrorBody),
    (status = 503, description = "The disk fails", body = ErrorBody),
))]
pub(crate) async fn make_key(
    State(app): State<WebApp>,
    actor: Actor,
    Json(request): Json<MakeKeyRequest>,
) -> Result<Response, ApiError> {
    check_words(&request.rights)?;
    let rights = Rights::new(&request.rights)?;
    let accounts = Arc::clone(app.accounts());
    let made = blocking(move || {
        let new = NewKey { name: &request.name, rights, expires_ms: request.expires_at };
        let made = accounts.make_key(new, clock::now(), &mut rand::rng())?;
        let on = On::one(OnKind::Key, &made.key.id).named(&made.key.name);
        actor.did_so(Act::KeyMade, on, format!("rights: {}", request.rights.join(", ")));
        Ok::<_, AccountsError>(made)
    })
    .await?;
    if let Some(forgotten) = &made.forgotten {
        tracing::info!(key = %forgotten, "an API key that was over is not listed any more");
    }
    tracing::info!(key = %made.key.id, "an API key was made");
    Ok(told(MadeKeyAnswer {
        key: made.key.into(),
        secret: made.secret.reveal().to_owned(),
        forgotten: made.forgotten.map(String::from),
    }))
}

/// Revokes an API key at once.
#[utoipa::path(delete, path = "/owner/keys/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = RevokedAnswer),
    (status = 404, description = "There is no such key", body = ErrorBody),
    (status = 503, description = "It is revoked, and the disk does not take that", body = ErrorBody),
))]
pub(crate) async fn revoke_key(
    State(app): State<WebApp>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (accounts, key) = (Arc::clone(app.accounts()), KeyId::from(id));
    let revoked = key.clone();
    blocking(move || {
        let outcome = accounts.revoke_key(&key, clock::now());
        let name = accounts.key_name(&key);
        actor.tried(Act::KeyRevoked, On { name, ..On::one(OnKind::Key, &key) }, None, &outcome);
        outcome
    })
    .await?;
    tracing::info!(key = %revoked, "an API key was revoked");
    Ok(told(RevokedAnswer { revoked: revoked.into() }))
}

/// A word that gives no right would be a key that does less than its owner meant.
fn check_words(words: &[String]) -> Result<(), ApiError> {
    if words.iter().all(|word| Right::of_word(word).is_some()) {
        return Ok(());
    }
    let known: Vec<String> = Right::ALL.iter().map(|right| right.word()).collect();
    Err(ApiError::BadRequest(format!("the rights of an API key are of these: {}", known.join(", "))))
}
