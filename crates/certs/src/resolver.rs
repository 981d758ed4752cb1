//! Which certificate a handshake is shown: the newest that works.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::pair::Pair;

/// What is served now. There always is something.
#[derive(Debug)]
pub(crate) struct Newest {
    pair: RwLock<Arc<Pair>>,
}

impl Newest {
    pub(crate) fn new(pair: Pair) -> Arc<Self> {
        Arc::new(Self { pair: RwLock::new(Arc::new(pair)) })
    }

    pub(crate) fn set(&self, pair: Pair) {
        *self.pair.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }

    pub(crate) fn get(&self) -> Arc<Pair> {
        Arc::clone(&self.pair.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Newest {
    // Whatever name is asked for: whoever comes by an address names none, and whoever comes by a name that is not in it is told so by
    // their browser.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.get().key))
    }
}
