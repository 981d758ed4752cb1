//! A certificate of an ACME server (RFC 8555): Let's Encrypt, or whoever else speaks it.
//!
//! ```text
//!   account (kept) ─► order ─► challenge: HTTP-01 or TLS-ALPN-01 ─► answered while it is pending ─► certificate and key (kept in one file)
//!                                                        └─► refused: why, and when to come again
//! ```
//!
//! # Invariants
//!
//! - Nothing is ordered that could not be kept: the folder is written to before.
//! - An order has a time, an answer has a time and a length.

mod http;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use reelroom_limits::tls::ACME_ORDER_WITHIN;

pub(crate) use self::store::Store;
use crate::acme::http::{Asked, HttpClient};
use crate::challenges::{Challenges, Pending};
use crate::error::CertsError;

/// An ACME server that has had enough, and does not say until when.
const RATE_LIMITED: Duration = Duration::from_secs(3 * 60 * 60);
/// What an ACME server says to an order by an account that it has forgotten, or closed.
const NO_ACCOUNT: [&str; 2] =
    ["urn:ietf:params:acme:error:accountDoesNotExist", "urn:ietf:params:acme:error:unauthorized"];

/// Whose certificate, of whom, and how it is proven.
#[derive(Clone, Debug)]
pub struct AcmeSettings {
    /// The name that it is for.
    pub name: String,
    /// The server's directory, an https URL.
    pub directory: String,
    /// Whom the server may write to.
    pub email: Option<String>,
    /// A PEM file of whoever vouches for the server's own certificate, where no browser knows them.
    pub ca: Option<PathBuf>,
    /// Whether requests to port 80 of the name come here: HTTP-01 is tried first then.
    pub has_http: bool,
}

/// A way to prove that a name is one's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Http01,
    TlsAlpn01,
}

impl Way {
    fn kind(self) -> ChallengeType {
        match self {
            Self::Http01 => ChallengeType::Http01,
            Self::TlsAlpn01 => ChallengeType::TlsAlpn01,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http01 => "HTTP-01, by port 80",
            Self::TlsAlpn01 => "TLS-ALPN-01, by port 443",
        }
    }
}

/// A certificate that was given: its chain and its key.
pub(crate) struct Given {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// Why none was given.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) why: String,
    /// After how long the server wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

impl Refused {
    fn because(why: impl ToString) -> Self {
        Self { why: why.to_string(), retry_after: None }
    }
}

/// An ACME server, asked for one name.
pub(crate) struct Acme {
    settings: AcmeSettings,
    store: Store,
    challenges: Arc<Challenges>,
}

impl Acme {
    /// # Errors
    /// The settings cannot be used.
    pub(crate) fn new(
        settings: AcmeSettings,
        store: Store,
        challenges: Arc<Challenges>,
    ) -> Result<Self, CertsError> {
        // Told at the start, and not in the middle of the night.
        HttpClient::new(settings.ca.as_deref())?;
        Ok(Self { settings, store, challenges })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn settings(&self) -> &AcmeSettings {
        &self.settings
    }

    /// Which way is tried after so many failures: where both may work, in turns.
    pub(crate) fn way(&self, failures: u32) -> Way {
        if self.settings.has_http && failures.is_multiple_of(2) { Way::Http01 } else { Way::TlsAlpn01 }
    }

    /// Orders one.
    ///
    /// # Errors
    /// [`Refused`].
    pub(crate) async fn order(&self, way: Way) -> Result<Given, Refused> {
        let asked = Asked::default();
        let ordering = tokio::time::timeout(ACME_ORDER_WITHIN, self.order_at_leisure(way, &asked));
        match ordering.await {
            Ok(Ok(given)) => Ok(given),
            Ok(Err(failed)) => Err(self.refused(failed, way, &asked)),
            Err(_) => Err(Refused::because(format!(
                "the order at {} took more than {} s",
                self.settings.directory,
                ACME_ORDER_WITHIN.as_secs()
            ))),
        }
    }

    async fn order_at_leisure(&self, way: Way, asked: &Asked) -> Result<Given, Failed> {
        // A disk that takes nothing is found before the server counts an order.
        self.store.probe()?;
        let account = self.account(asked).await?;
        let identifiers = [Identifier::Dns(self.settings.name.clone())];
        let wanted = NewOrder::new(&identifiers);
        let mut order = match account.new_order(&wanted).await {
            Err(error) if NO_ACCOUNT.contains(&kind_of(&error)) => {
                tracing::warn!(
                    "the ACME server does not know the account any more, and a new one is made: {error}"
                );
                self.store.forget_account();
                self.account(asked).await?.new_order(&wanted).await?
            }
            order => order?,
        };
        let pending = self.prove(&mut order, way).await?;
        let retries = RetryPolicy::default().timeout(Duration::from_secs(120));
        let status = order.state().status;
        let status = match status {
            OrderStatus::Ready | OrderStatus::Valid => OrderStatus::Ready,
            _ => order.poll_ready(&retries).await?,
        };
        if status != OrderStatus::Ready {
            let (kind, why) = why_invalid(&mut order).await;
            return Err(Failed::Said(format!("{} ({why})", hint(&kind, &self.settings.name, way))));
        }
        drop(pending);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![self.settings.name.clone()])?;
        params.distinguished_name = DistinguishedName::new();
        order.finalize_csr(params.serialize_request(&key)?.der()).await?;
        let chain = order.poll_certificate(&retries).await?;
        Ok(Given { chain, key: key.serialize_pem() })
    }

    /// The account that is kept, or a new one.
    async fn account(&self, asked: &Asked) -> Result<Account, Failed> {
        let client = || HttpClient::new(self.settings.ca.as_deref()).map(|client| client.noting(asked));
        if let Some(credentials) = self.store.account()? {
            return Ok(Account::builder_with_http(Box::new(client()?)).from_credentials(credentials).await?);
        }
        let contact = self.settings.email.as_ref().map(|email| format!("mailto:{email}"));
        let contacts: Vec<&str> = contact.as_deref().into_iter().collect();
        let wanted =
            NewAccount { contact: &contacts, terms_of_service_agreed: true, only_return_existing: false };
        let builder = Account::builder_with_http(Box::new(client()?));
        let (account, credentials) = builder.create(&wanted, self.settings.directory.clone(), None).await?;
        self.store.keep_account(&credentials)?;
        Ok(account)
    }

    /// Answers what is asked, and says that it is; held as long as it may be looked at.
    async fn prove(&self, order: &mut Order, way: Way) -> Result<Vec<Pending>, Failed> {
        let mut held = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization: AuthorizationHandle<'_> = authorization?;
            match authorization.status {
                AuthorizationStatus::Pending => {}
                AuthorizationStatus::Valid => continue,
                status => return Err(Failed::Said(format!("the name may not be proven ({status:?})"))),
            }
            let Some(mut challenge) = authorization.challenge(way.kind()) else {
                return Err(Failed::Said(format!("the server does not offer {}", way.name())));
            };
            let proof = challenge.key_authorization();
            held.push(match way {
                Way::Http01 => self.challenges.answer_http(&challenge.token, proof.as_str()),
                Way::TlsAlpn01 => self.challenges.answer_tls(&self.settings.name, proof.digest().as_ref())?,
            });
            challenge.set_ready().await?;
        }
        Ok(held)
    }

    fn refused(&self, failed: Failed, way: Way, asked: &Asked) -> Refused {
        let error = match failed {
            Failed::Acme(error) => error,
            other => return Refused { why: other.to_string(), retry_after: asked.retry_after() },
        };
        let kind = kind_of(&error);
        if kind.ends_with(":rateLimited") {
            let retry_after = Some(asked.retry_after().unwrap_or(RATE_LIMITED));
            return Refused { why: error.to_string(), retry_after };
        }
        let why = format!("{} ({error})", hint(kind, &self.settings.name, way));
        Refused { why, retry_after: asked.retry_after() }
    }
}

/// Whatever goes wrong in an order.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Acme(#[from] instant_acme::Error),
    #[error(transparent)]
    Certs(#[from] CertsError),
    #[error("no key could be made: {0}")]
    Key(#[from] rcgen::Error),
    #[error("{0}")]
    Said(String),
}

/// The kind of a refusal, as the protocol has them; empty where it is none.
fn kind_of(error: &instant_acme::Error) -> &str {
    match error {
        instant_acme::Error::Api(problem) => problem.r#type.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// Why an order became invalid, and what kind of refusal that is: it stands in its challenges.
async fn why_invalid(order: &mut Order) -> (String, String) {
    let (mut kind, mut reasons) = (String::new(), Vec::new());
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            continue;
        }
        for error in authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref()) {
            kind = error.r#type.clone().unwrap_or(kind);
            reasons.push(error.to_string());
        }
    }
    let said =
        if reasons.is_empty() { "it says that the order is invalid".to_owned() } else { reasons.join("; ") };
    (kind, said)
}

/// What a person can do about a refusal.
fn hint(kind: &str, name: &str, way: Way) -> String {
    let port = match way {
        Way::Http01 => 80,
        Way::TlsAlpn01 => 443,
    };
    match kind.rsplit(':').next().unwrap_or_default() {
        "dns" => format!(
            "the name {name} leads nowhere: its A and AAAA records have to be addresses of this server"
        ),
        "connection" => format!(
            "nobody answers at port {port} of {name} from outside: open it in the firewall and forward it to this server, and let no AAAA record name an \
             address at which it does not listen"
        ),
        "unauthorized" | "incorrectResponse" | "tls" => format!(
            "somebody else answers at port {port} of {name}: its A and AAAA records have to be addresses of this server"
        ),
        "caa" => format!("the CAA records of {name} let this server give no certificate for it"),
        "rejectedIdentifier" => format!("this ACME server gives no certificate for {name}"),
        _ => format!("no certificate was given for {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_tried_in_turns_where_both_may_work() {
        let folder = tempfile::tempdir().unwrap();
        let acme = |has_http| {
            let settings = AcmeSettings {
                name: "calls.example.org".into(),
                directory: "https://acme.example/directory".into(),
                email: None,
                ca: None,
                has_http,
            };
            let store = Store::new(folder.path(), &settings);
            Acme::new(settings, store, Arc::default()).unwrap()
        };
        let ways = |has_http| [0, 1, 2].map(|failures| acme(has_http).way(failures));
        assert_eq!(ways(true), [Way::Http01, Way::TlsAlpn01, Way::Http01]);
        assert_eq!(ways(false), [Way::TlsAlpn01; 3]);
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        for (kind, way, expected) in [
            ("urn:ietf:params:acme:error:connection", Way::Http01, "port 80 of calls.example.org"),
            ("urn:ietf:params:acme:error:connection", Way::TlsAlpn01, "port 443 of calls.example.org"),
            ("urn:ietf:params:acme:error:dns", Way::Http01, "A and AAAA records"),
            ("urn:ietf:params:acme:error:unauthorized", Way::Http01, "somebody else answers"),
            ("", Way::Http01, "no certificate was given"),
        ] {
            assert!(hint(kind, "calls.example.org", way).contains(expected), "{kind}");
        }
    }

    #[test]
    fn roots_that_are_none_are_told_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, "no certificate").unwrap();
        let error = HttpClient::new(Some(&ca)).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("ca.pem"), "{error}");
    }
}
