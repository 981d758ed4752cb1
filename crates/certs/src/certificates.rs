//! What is served to whoever connects, and what sees to it that it goes on.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::acme::{Acme, AcmeSettings, Refused, Store};
use crate::challenges::{ACME_TLS, Challenges};
use crate::error::CertsError;
use crate::facts::CertFacts;
use crate::files::{Files, Looks};
use crate::own::{Own, Served};
use crate::pair::provider;
use crate::renewal::{self, Lifetime, Next, Past};
use crate::resolver::Newest;

/// Files are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A clock that jumps is noticed within that.
const MINUTE: Duration = Duration::from_secs(60);
/// Whoever asks for a try has it, but not more often.
const HURRY_EVERY_S: u64 = 120;
/// Names that are in no public list of names, and that nobody vouches for.
const PRIVATE: [&str; 7] = ["localhost", "local", "internal", "test", "invalid", "lan", "home.arpa"];

/// Whence the certificate comes.
#[derive(Clone, Debug)]
pub enum Source {
    /// Files that somebody else renews: they are read again when they change.
    Files {
        /// The chain, the server's own certificate first.
        cert: PathBuf,
        /// Its key; it may be the same file.
        key: PathBuf,
    },
    /// One that the server makes for itself.
    Own,
    /// An ACME server.
    Acme(AcmeSettings),
}

/// How certificates are set up.
#[derive(Clone)]
pub struct CertsConfig {
    /// Where they are kept.
    pub folder: PathBuf,
    /// Whence they come.
    pub source: Source,
    /// What the server is reached by, for a certificate of its own; asked every minute.
    pub served: Arc<dyn Fn() -> Served + Send + Sync>,
}

/// What whoever connects is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// What the certificate says.
    pub facts: CertFacts,
    /// Its SHA-256, as browsers show it: "AB:CD:…".
    pub fingerprint: String,
    /// It is the server's own, because there is none of the ACME server yet.
    pub is_stopgap: bool,
    /// Why a newer one is not served: what of the files, or of the last try, is wrong.
    pub stale_because: Option<String>,
}

/// A handle to the certificates of a server.
#[derive(Clone)]
pub struct Certificates {
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    own: Own,
    served: Arc<dyn Fn() -> Served + Send + Sync>,
    newest: Arc<Newest>,
    challenges: Arc<Challenges>,
    is_stopgap: AtomicBool,
    state: Mutex<State>,
    hurry: Notify,
    config: Arc<ServerConfig>,
    for_challenges: Arc<ServerConfig>,
}

enum Kind {
    Files(Files),
    Own,
    Acme(Acme),
}

#[derive(Default)]
struct State {
    looks: Option<Looks>,
    trouble: Option<String>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("serving", &self.serving()).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Opens what there is; where an ACME server has given none yet, one of the server's own stands in for it.
    ///
    /// # Errors
    /// Files that cannot be used; a folder that cannot be written.
    pub fn open(config: CertsConfig) -> Result<Self, CertsError> {
        let now = SystemTime::now();
        let CertsConfig { folder, source, served } = config;
        let (own, challenges) = (Own::new(&folder), Arc::new(Challenges::default()));
        let mut state = State::default();
        let mut is_stopgap = false;
        let (kind, pair) = match source {
            Source::Files { cert, key } => {
                let files = Files::new(cert, key);
                state.looks = Some(files.looks());
                let pair = files.read()?;
                (Kind::Files(files), pair)
            }
            Source::Own => (Kind::Own, own.open(&served(), now)?),
            Source::Acme(settings) => {
                let store = Store::new(&folder, &settings);
                let kept = store.certificate().unwrap_or_else(|error| {
                    tracing::warn!(
                        "the certificate that is kept cannot be used, and another one is ordered: {error}"
                    );
                    None
                });
                // Whoever has changed the name has a certificate of before for another one.
                let kept = kept.filter(|pair| pair.facts.covers(&settings.name));
                is_stopgap = kept.is_none();
                let pair = match kept {
                    Some(pair) => pair,
                    None => own.open(&served(), now)?,
                };
                (Kind::Acme(Acme::new(settings, store, Arc::clone(&challenges))?), pair)
            }
        };
        for warning in pair.warnings(now) {
            tracing::warn!("{warning}");
        }
        let newest = Newest::new(pair);
        let config = server_config(Arc::clone(&newest) as _, SPOKEN)?;
        let for_challenges = server_config(Arc::clone(&challenges) as _, &[ACME_TLS])?;
        let shared = Shared {
            kind,
            own,
            served,
            newest,
            challenges,
            is_stopgap: AtomicBool::new(is_stopgap),
            state: Mutex::new(state),
            hurry: Notify::new(),
            config,
            for_challenges,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How a handshake goes on.
    pub fn config(&self, hello: &ClientHello<'_>) -> Arc<ServerConfig> {
        let shared = &self.shared;
        Arc::clone(if shared.challenges.is_for(hello) { &shared.for_challenges } else { &shared.config })
    }

    /// Whether a handshake that was done with a protocol was for a challenge: there is nothing more to say on that connection.
    pub fn was_challenge(protocol: Option<&[u8]>) -> bool {
        protocol == Some(ACME_TLS)
    }

    /// What is answered to `/.well-known/acme-challenge/TOKEN`, while that is asked for.
    pub fn challenge(&self, token: &str) -> Option<String> {
        self.shared.challenges.of_token(token)
    }

    /// What is served.
    pub fn serving(&self) -> Serving {
        let pair = self.shared.newest.get();
        Serving {
            facts: pair.facts.clone(),
            fingerprint: pair.fingerprint.clone(),
            is_stopgap: self.shared.is_stopgap.load(Ordering::Relaxed),
            stale_because: self.shared.state().trouble.clone(),
        }
    }

    /// Whether somebody whom browsers believe says that a public name is this server's. Only then may a browser be told to come by nothing
    /// but HTTPS: where a certificate is not believed, that would lock its owner out.
    pub fn vouches_for(&self, host: &str) -> bool {
        let pair = self.shared.newest.get();
        !matches!(self.shared.kind, Kind::Own)
            && !self.shared.is_stopgap.load(Ordering::Relaxed)
            && !pair.facts.is_self_signed
            && is_public_name(host)
            && pair.facts.covers(host)
            && pair.facts.is_valid_at(SystemTime::now())
    }

    /// What works all the same and should be looked at, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let shared = &self.shared;
        let pair = shared.newest.get();
        let mut warnings = Vec::new();
        let trouble = shared.state().trouble.clone();
        if shared.is_stopgap.load(Ordering::Relaxed) {
            let why = trouble.unwrap_or_else(|| "it is being ordered".to_owned());
            warnings.push(format!(
                "there is no certificate of the ACME server yet, and browsers warn of the server's own: {why}"
            ));
        } else if let Some(trouble) = trouble {
            let days = pair.facts.days_left(SystemTime::now());
            warnings.push(format!("the certificate is not renewed (it has {days} days left): {trouble}"));
        }
        warnings.extend(pair.warnings(SystemTime::now()));
        warnings
    }

    /// Reads files again, whether they seem changed or not; an ACME server that refused is asked again soon, unless it has said itself when to
    /// come again.
    ///
    /// # Errors
    /// What is wrong with the files: the old certificate is served on.
    pub fn reload(&self) -> Result<(), CertsError> {
        match &self.shared.kind {
            Kind::Files(files) => self.shared.read(files),
            Kind::Own => self.shared.renew_own(),
            Kind::Acme(_) => {
                self.shared.hurry.notify_one();
                Ok(())
            }
        }
    }

    /// Looks after it until `stop`: files that change, addresses that come, renewals.
    pub async fn tend(&self, stop: CancellationToken) {
        let tending = async {
            match &self.shared.kind {
                Kind::Files(_) => self.watch_files().await,
                Kind::Own => self.watch_addresses().await,
                Kind::Acme(acme) => {
                    tokio::join!(self.order_in_time(acme), self.watch_addresses());
                }
            }
        };
        let _ = stop.run_until_cancelled(tending).await;
    }

    async fn watch_files(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.on_disk(Shared::look).await;
        }
    }

    async fn watch_addresses(&self) {
        loop {
            tokio::time::sleep(MINUTE).await;
            self.on_disk(|shared| {
                if let Err(error) = shared.renew_own() {
                    shared.tell(error.to_string());
                }
            })
            .await;
        }
    }

    async fn order_in_time(&self, acme: &Acme) {
        let mut past = self.on_disk(|shared| shared.acme_past()).await.unwrap_or_default();
        // Of what the last try before this start failed is wrong still.
        self.shared.set_trouble(past.why.clone());
        let mut was_clock_wrong = false;
        loop {
            let now = unix_s(SystemTime::now());
            past.settle(now);
            let (lifetime, jitter) = self.shared.given();
            let next = renewal::next(lifetime, &past, jitter, now);
            if std::mem::replace(&mut was_clock_wrong, next == Next::ClockIsWrong) && !was_clock_wrong {
                self.shared.set_trouble(past.why.clone());
            }
            let wait = match next {
                Next::Now => {
                    past = self.order(acme, past).await;
                    continue;
                }
                Next::At(at) => Duration::from_secs(at - now).min(MINUTE),
                Next::ClockIsWrong => {
                    self.shared.tell(
                        "the clock of this machine is wrong (it shows a time before this program was written), so that no certificate can be ordered"
                            .to_owned(),
                    );
                    MINUTE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shared.hurry.notified() => {
                    if past.last_failure_s.is_some_and(|last| now >= last + HURRY_EVERY_S) {
                        past.last_failure_s = None;
                    }
                }
            }
        }
    }

    async fn order(&self, acme: &Acme, mut past: Past) -> Past {
        let name = acme.settings().name.as_str();
        tracing::info!(name, directory = acme.settings().directory.as_str(), "a certificate is ordered");
        // Whoever is killed in the middle of it has tried.
        let now = unix_s(SystemTime::now());
        past.failed(now, "the program ended while it was ordered".to_owned(), None);
        let refused = if let Err(error) = self.keep(&past).await {
            Refused { why: error.to_string(), retry_after: None }
        } else {
            match acme.order(acme.way(past.failures - 1)).await {
                Ok(given) => {
                    let kept = self.on_disk(move |shared| shared.take(&given)).await;
                    match kept.unwrap_or_else(|| Err(CertsError::Acme("the program ends".to_owned()))) {
                        Ok(()) => {
                            let days = self.serving().facts.days_left(SystemTime::now());
                            tracing::info!(name, days, "the ACME server has given a certificate");
                            let past = Past::given(unix_s(SystemTime::now()));
                            let _ = self.keep(&past).await;
                            return past;
                        }
                        Err(error) => Refused { why: error.to_string(), retry_after: None },
                    }
                }
                Err(refused) => refused,
            }
        };
        // The try counts once.
        past.failures -= 1;
        let now = unix_s(SystemTime::now());
        past.failed(now, refused.why.clone(), refused.retry_after.map(|after| after.as_secs()));
        if let Err(error) = self.keep(&past).await {
            tracing::warn!("what became of the order cannot be written down: {error}");
        }
        let (lifetime, jitter) = self.shared.given();
        let minutes = match renewal::next(lifetime, &past, jitter, now) {
            Next::At(at) => (at - now).div_ceil(60),
            Next::Now | Next::ClockIsWrong => 1,
        };
        self.shared.set_trouble(Some(refused.why.clone()));
        let serving = self.serving();
        if serving.is_stopgap {
            tracing::warn!(
                name,
                "no certificate could be had, so that browsers warn of the server's own; the next try is in {minutes} min, or when the program gets SIGHUP: {}",
                refused.why
            );
        } else {
            tracing::warn!(
                name,
                "the certificate could not be renewed and has {} days left; the next try is in {minutes} min, or when the program gets SIGHUP: {}",
                serving.facts.days_left(SystemTime::now()),
                refused.why
            );
        }
        past
    }

    async fn keep(&self, past: &Past) -> Result<(), CertsError> {
        let past = past.clone();
        self.on_disk(move |shared| shared.keep_past(&past)).await.unwrap_or(Ok(()))
    }

    /// Does something where the disk may be waited for; nothing when the program ends meanwhile.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared)).await.ok()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that is new.
    fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut state = self.state();
        let is_new = state.trouble != trouble;
        state.trouble = trouble;
        is_new
    }

    /// Says once what is wrong.
    fn tell(&self, trouble: String) {
        if self.set_trouble(Some(trouble.clone())) {
            tracing::warn!("{trouble}");
        }
    }

    /// Reads the files where they look different.
    fn look(&self) {
        let Kind::Files(files) = &self.kind else { return };
        let looks = files.looks();
        let is_same = self.state().looks == Some(looks);
        if is_same || files.are_being_written(SystemTime::now()) {
            return;
        }
        let _ = self.read(files);
    }

    fn read(&self, files: &Files) -> Result<(), CertsError> {
        // Taken before: what is written while it is read is seen the next time.
        let looks = files.looks();
        let read = files.read();
        self.state().looks = Some(looks);
        match read {
            Ok(pair) => {
                let is_new = pair.fingerprint != self.newest.get().fingerprint;
                let was_wrong = self.set_trouble(None);
                if is_new || was_wrong {
                    let now = SystemTime::now();
                    tracing::info!(days = pair.facts.days_left(now), "the certificate was read again");
                    for warning in pair.warnings(now) {
                        tracing::warn!("{warning}");
                    }
                }
                self.newest.set(pair);
                Ok(())
            }
            Err(error) => {
                if self.set_trouble(Some(error.to_string())) {
                    tracing::warn!(
                        "the new certificate cannot be used, and the old one is served on: {error}"
                    );
                }
                Err(error)
            }
        }
    }

    /// Where the server's own is served: one for the addresses that there are now.
    fn renew_own(&self) -> Result<(), CertsError> {
        if !matches!(self.kind, Kind::Own) && !self.is_stopgap.load(Ordering::Relaxed) {
            return Ok(());
        }
        let renewed = self.own.renew(&self.newest.get().facts, &(self.served)(), SystemTime::now())?;
        // The ACME server may have given one meanwhile.
        if let Some(pair) = renewed
            && (matches!(self.kind, Kind::Own) || self.is_stopgap.load(Ordering::Relaxed))
        {
            self.newest.set(pair);
        }
        if matches!(self.kind, Kind::Own) {
            self.set_trouble(None);
        }
        Ok(())
    }

    /// Serves what the ACME server has given, and keeps it.
    fn take(&self, given: &crate::acme::Given) -> Result<(), CertsError> {
        let Kind::Acme(acme) = &self.kind else { return Ok(()) };
        let pair = acme.store().keep_certificate(given)?;
        self.is_stopgap.store(false, Ordering::Relaxed);
        self.newest.set(pair);
        self.set_trouble(None);
        Ok(())
    }

    fn acme_past(&self) -> Past {
        match &self.kind {
            Kind::Acme(acme) => acme.store().past(),
            _ => Past::default(),
        }
    }

    fn keep_past(&self, past: &Past) -> Result<(), CertsError> {
        match &self.kind {
            Kind::Acme(acme) => acme.store().keep_past(past),
            _ => Ok(()),
        }
    }

    /// The life of what the ACME server has given, and what spreads its renewals.
    fn given(&self) -> (Option<Lifetime>, f64) {
        let pair = self.newest.get();
        let (not_before_s, not_after_s) = (unix_s(pair.facts.not_before), unix_s(pair.facts.not_after));
        let is_given = !self.is_stopgap.load(Ordering::Relaxed);
        let first = pair.fingerprint.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let jitter = f64::from(first.unwrap_or(0)) / f64::from(u8::MAX);
        (is_given.then_some(Lifetime { not_before_s, not_after_s }), jitter)
    }
}

fn unix_s(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn is_public_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_below = |of: &str| host == of || host.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
    host.parse::<std::net::IpAddr>().is_err() && host.contains('.') && !PRIVATE.iter().any(|of| is_below(of))
}

/// What is spoken within TLS: HTTP, and the TURN of calls, of whose name most clients say nothing.
const SPOKEN: &[&[u8]] = &[b"h2", b"http/1.1", b"stun.turn"];

fn server_config(
    resolver: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, CertsError> {
    let not_made = |error: rustls::Error| CertsError::NotMade(error.to_string());
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(not_made)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    // Whoever comes again costs no signature, and nothing is kept here for them.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(not_made)?;
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
