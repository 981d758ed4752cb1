//! Names of this server whose addresses clients are told: looked up as it starts, and again every minute, as a router's address changes at night.
//!
//! # Invariants
//!
//! - A name that cannot be looked up keeps the addresses that it had.
//! - A name has no more addresses than are told in all.

use std::net::IpAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use reelroom_limits::media::{ADVERTISED_NAMES, NAME_LOOKED_UP_WITHIN};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::Mux;
use super::addresses::MAX_ADDRESSES;

const LOOK_UP_EVERY: Duration = Duration::from_secs(60);

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: String,
    addresses: Vec<IpAddr>,
    /// Why it could not be looked up last.
    failure: Option<String>,
}

/// The names, with what is known of them.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<Vec<Named>>);

impl Names {
    pub(super) fn new(names: &[String]) -> Self {
        let named = |name: &String| Named { name: name.clone(), addresses: Vec::new(), failure: None };
        Self(RwLock::new(names.iter().take(ADVERTISED_NAMES).map(named).collect()))
    }

    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.read().iter().flat_map(|one| one.addresses.clone()).collect()
    }

    /// What an operator should look at.
    pub(super) fn warnings(&self) -> Vec<String> {
        let says = |one: &Named| {
            let why = one.failure.as_ref()?;
            let holds = if one.addresses.is_empty() {
                "clients are told no address of it"
            } else {
                "clients are told the addresses that it had"
            };
            Some(format!("the address of {} cannot be looked up, and {holds}: {why}", one.name))
        };
        self.read().iter().filter_map(says).collect()
    }

    fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Looks all of them up. Whether anything has changed.
    pub(super) async fn look_up(&self) -> bool {
        let names: Vec<_> = self.read().iter().map(|one| one.name.clone()).collect();
        let found = futures::future::join_all(names.iter().map(|name| look_up(name))).await;
        let mut has_changed = false;
        let mut all = self.0.write().expect("no code panics while it notes addresses");
        for (one, found) in all.iter_mut().zip(found) {
            has_changed |= one.note(found);
        }
        has_changed
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Named>> {
        self.0.read().expect("no code panics while it notes addresses")
    }
}

impl Named {
    /// Whether its addresses have changed.
    fn note(&mut self, found: Result<Vec<IpAddr>, String>) -> bool {
        match found {
            Ok(addresses) => {
                self.failure = None;
                let has_changed = addresses != self.addresses;
                if has_changed {
                    tracing::info!(name = self.name, ?addresses, "a name of this server has these addresses");
                    self.addresses = addresses;
                }
                has_changed
            }
            Err(error) => {
                if self.failure.is_none() {
                    tracing::warn!(
                        name = self.name,
                        error,
                        "the address of a name of this server cannot be looked up"
                    );
                }
                self.failure = Some(error);
                false
            }
        }
    }
}

/// In an order of their own: name servers shuffle them.
async fn look_up(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = timeout(NAME_LOOKED_UP_WITHIN, lookup_host((name, 0))).await;
    let found = found.map_err(|_| format!("no answer within {NAME_LOOKED_UP_WITHIN:?}"))?;
    let mut addresses: Vec<_> = found.map_err(|error| error.to_string())?.map(|at| at.ip()).collect();
    addresses.retain(|ip| !ip.is_unspecified() && !ip.is_multicast());
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
}

/// Looks them up again and again.
pub(super) async fn follow(mux: Arc<Mux>) {
    if mux.names.is_empty() {
        return;
    }
    loop {
        tokio::select! {
            () = mux.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_UP_EVERY) => {}
        }
        if mux.names.look_up().await {
            mux.tell_peers();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_that_is_lost_keeps_its_addresses_and_is_told() {
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let names = Names::new(&["home.example.org".to_owned()]);
        let note = |found: Result<Vec<IpAddr>, String>| names.0.write().unwrap()[0].note(found);
        assert!(!note(Err("no such name".to_owned())));
        assert!(names.warnings()[0].contains("no address of it: no such name"), "{:?}", names.warnings());
        assert!(note(Ok(ips(&["203.0.113.7"]))) && names.warnings().is_empty());
        assert!(!note(Ok(ips(&["203.0.113.7"]))));
        assert!(!note(Err("no answer".to_owned())));
        assert_eq!(names.addresses(), ips(&["203.0.113.7"]));
        assert!(names.warnings()[0].contains("that it had"), "{:?}", names.warnings());
        assert!(note(Ok(ips(&["203.0.113.9", "2001:db8::9"]))));
        assert_eq!(names.addresses(), ips(&["203.0.113.9", "2001:db8::9"]));
    }

    #[tokio::test]
    async fn the_name_of_every_machine_is_found() {
        let names = Names::new(&["localhost".to_owned()]);
        assert!(names.look_up().await && !names.look_up().await);
        assert!(names.addresses().iter().all(IpAddr::is_loopback) && !names.addresses().is_empty());
        // Nobody's for good (RFC 6761).
        let names = Names::new(&["nobody.invalid".to_owned()]);
        assert!(!names.look_up().await);
        assert_eq!(names.warnings().len(), 1);
    }
}
