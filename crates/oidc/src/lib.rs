//! Signing in at an OpenID provider: whether a browser's person is the owner by somebody else's word.
//!
//! ```text
//!   begin ─► Flow: a secret, where to go afterwards ──────────────► cookie of this browser
//!             │ HMAC by a key of this run                               │
//!             ├─► state, nonce, PKCE verifier                           │
//!             ▼                                                         ▼
//!   authorize ─► the provider's page ─► a code, the state ─► recognise: the state is of a cookie of this browser
//!                                                              │ take_turn: how many, how fast; use_up: once
//!                                                              ▼
//!   prove: code and verifier ─► the provider ─► ID token ─► signature, iss, aud, exp, nonce ─► OwnerName: is it the owner?
//! ```
//!
//! # Invariants
//!
//! - Beginning keeps nothing: what is known of a sign-in under way is in its browser's cookie, so that a flood of them costs others nothing.
//!   What the cookie says holds only together with the state that this server made of it.
//! - Nonce and verifier are of one cookie and one run of the program, and are told to nobody: a code of another browser, of another
//!   provider or of an earlier run is worth nothing.
//! - Each of them ends once, whatever comes of it.
//! - Tokens are believed by asymmetric signatures alone, of keys that the issuer names. A shared secret signs nothing.
//! - The provider is bounded too: how long it may take, how much it may say, how many ask it at once. It is reached by https, but on this
//!   machine, and no redirect is followed.
//! - What the provider says of itself is for the log, and never for a page.
//!
//! This is the only crate that names `openidconnect`.

#![forbid(unsafe_code)]

mod config;
mod error;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod finished;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod flow;
mod http_client;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod next;
#[cfg_attr(not(test), warn(clippy::disallowed_methods))]
mod owner_name;
mod provider;
#[cfg(any(test, feature = "testing"))]
#[allow(clippy::unwrap_used, reason = "a test that cannot have its provider fails")]
pub mod testing;
mod verify;

pub use config::{Issuer, NoIssuer, OidcConfig};
pub use error::{OidcError, Said};
pub use flow::Flow;
pub use next::Next;
pub use owner_name::{NoOwnerName, OwnerName};
pub use provider::{Back, OpenId, Turn};

#[cfg(test)]
mod tests;
