//! Whose a datagram is. Pure.
//!
//! ```text
//!   a STUN request names a session ─► signed with its password? ─► its address belongs to the session
//!   other datagrams ─► the sessions of their address
//!        └─ of nobody's address ─► sessions that may have moved there, to be tried; few, and seldom
//! ```
//!
//! An address belongs to a session after a request that only its peer can sign came from there, or a datagram that only its peer
//! can encrypt. Whoever forges either names addresses in vain. What a peer itself can name is bounded, so that neither its session nor
//! the table grows.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reelroom_limits::media::{
    ADDRESSES, ADDRESSES_OF_SESSION, NEW_ADDRESS_EVERY, NEW_ADDRESSES, REQUESTS_PER_S, SEARCHED_SESSIONS,
    SEARCHES_PER_S, SESSIONS_OF_ADDRESS,
};

use super::addresses::Reach;
use super::{SessionId, Transport};
use crate::budget::Budget;

/// Where a peer sends from.
pub(crate) type Address = (Transport, SocketAddr);

/// Senders of media of one session that are looked up.
const SSRCS: usize = 32;
/// A session that was heard within this time is where it was.
const GOES_ON: Duration = Duration::from_millis(50);
/// A session that was not heard for so long has not just moved.
const MOVED_WITHIN: Duration = Duration::from_secs(30);

/// A session that datagrams go to.
#[derive(Clone, Debug)]
pub(crate) struct Registration<T> {
    /// Names it in STUN requests.
    pub(crate) ufrag: String,
    /// Signs them.
    pub(crate) password: Arc<str>,
    /// Sessions of one person tend to move together.
    pub(crate) person: u64,
    /// Whose datagrams it takes.
    pub(crate) reach: Reach,
    /// Where they go.
    pub(crate) inbox: T,
}

/// Why a signed request is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unused {
    TooManyRequests,
    TooManyAddresses,
    SessionOver,
}

struct Entry<T> {
    registration: Registration<T>,
    /// Its ufrag with its password, and while ICE is restarted those of before and after.
    names: Vec<(String, Arc<str>)>,
    addresses: Vec<Address>,
    /// Where its media goes, which is never forgotten.
    flows_on: Option<Address>,
    ssrcs: Vec<u32>,
    heard: Instant,
    new_addresses: Budget,
    requests: Budget,
}

struct Claim {
    session: SessionId,
    used: Instant,
}

/// The table.
pub(crate) struct Routes<T> {
    next_session: u64,
    sessions: HashMap<SessionId, Entry<T>>,
    by_ufrag: HashMap<String, SessionId>,
    by_address: HashMap<Address, Vec<Claim>>,
    by_ssrc: HashMap<u32, Vec<SessionId>>,
    by_ip: HashMap<IpAddr, Vec<SessionId>>,
    by_person: HashMap<u64, Vec<SessionId>>,
    searches: Budget,
}

impl<T: Clone> Routes<T> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            next_session: 0,
            sessions: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
            by_ssrc: HashMap::new(),
            by_ip: HashMap::new(),
            by_person: HashMap::new(),
            searches: Budget::per_second(SEARCHES_PER_S, now),
        }
    }

    pub(crate) fn register(&mut self, registration: Registration<T>, now: Instant) -> SessionId {
        self.next_session += 1;
        let session = SessionId(self.next_session);
        self.by_ufrag.insert(registration.ufrag.clone(), session);
        self.by_person.entry(registration.person).or_default().push(session);
        let names = vec![(registration.ufrag.clone(), Arc::clone(&registration.password))];
        let entry = Entry {
            registration,
            names,
            addresses: Vec::new(),
            flows_on: None,
            ssrcs: Vec::new(),
            heard: now,
            new_addresses: Budget::new(NEW_ADDRESSES, NEW_ADDRESS_EVERY, now),
            requests: Budget::per_second(REQUESTS_PER_S, now),
        };
        self.sessions.insert(session, entry);
        session
    }

    /// A session goes by other names from now on: as long as ICE is being restarted it has several, and its addresses stay its own.
    pub(crate) fn rename(&mut self, session: SessionId, names: Vec<(String, Arc<str>)>) {
        let Some(entry) = self.sessions.get_mut(&session) else { return };
        for (ufrag, _) in std::mem::take(&mut entry.names) {
            forget_name(&mut self.by_ufrag, &ufrag, session);
        }
        for (ufrag, _) in &names {
            self.by_ufrag.insert(ufrag.clone(), session);
        }
        entry.names = names;
    }

    /// Forgets a session; the addresses that it had.
    pub(crate) fn unregister(&mut self, session: SessionId) -> Vec<Address> {
        let Some(entry) = self.sessions.remove(&session) else { return Vec::new() };
        for (ufrag, _) in &entry.names {
            forget_name(&mut self.by_ufrag, ufrag, session);
        }
        forget(&mut self.by_person, &entry.registration.person, session);
        for ssrc in &entry.ssrcs {
            forget(&mut self.by_ssrc, ssrc, session);
        }
        for address in &entry.addresses {
            self.unclaim(*address, session);
        }
        entry.addresses
    }

    /// The session that a STUN request names, with what has to be checked before [`Routes::requested`].
    pub(crate) fn named(&self, ufrag: &str) -> Option<(SessionId, Arc<str>, Reach)> {
        let session = *self.by_ufrag.get(ufrag)?;
        let entry = self.sessions.get(&session)?;
        let (_, password) = entry.names.iter().find(|(name, _)| name == ufrag)?;
        Some((session, Arc::clone(password), entry.registration.reach))
    }

    /// A rightly signed request came from an address: it is the session's from now on.
    ///
    /// # Errors
    /// The peer asks for too much.
    pub(crate) fn requested(&mut self, session: SessionId, from: Address, now: Instant) -> Result<T, Unused> {
        let entry = self.sessions.get_mut(&session).ok_or(Unused::SessionOver)?;
        if !entry.requests.take(now) {
            return Err(Unused::TooManyRequests);
        }
        self.claim(session, from, now)
    }

    /// A datagram that only the peer can have encrypted came from an address.
    pub(crate) fn proven(&mut self, session: SessionId, from: Address, now: Instant) {
        // The budget may be spent: then the address becomes the session's with a later datagram.
        let _ = self.claim(session, from, now);
    }

    fn claim(&mut self, session: SessionId, from: Address, now: Instant) -> Result<T, Unused> {
        let is_full = self.by_address.len() >= ADDRESSES;
        let entry = self.sessions.get_mut(&session).ok_or(Unused::SessionOver)?;
        entry.heard = now;
        let inbox = entry.registration.inbox.clone();
        let known = self
            .by_address
            .get_mut(&from)
            .and_then(|claims| claims.iter_mut().find(|one| one.session == session));
        if let Some(claim) = known {
            claim.used = now;
            return Ok(inbox);
        }
        if !entry.new_addresses.take(now) {
            return Err(Unused::TooManyAddresses);
        }
        if entry.addresses.len() >= ADDRESSES_OF_SESSION || (is_full && !entry.addresses.is_empty()) {
            let used = |address: &Address| {
                let claims = self.by_address.get(address).map(Vec::as_slice).unwrap_or_default();
                claims.iter().find(|one| one.session == session).map(|one| one.used)
            };
            let spare = entry.addresses.iter().filter(|address| entry.flows_on != Some(**address));
            if let Some(oldest) = spare.min_by_key(|address| used(address)).copied() {
                entry.addresses.retain(|address| *address != oldest);
                self.unclaim(oldest, session);
            }
        }
        let claims = self.by_address.entry(from).or_default();
        if claims.len() >= SESSIONS_OF_ADDRESS {
            let sessions = &self.sessions;
            let flows =
                |one: &Claim| sessions.get(&one.session).is_some_and(|entry| entry.flows_on == Some(from));
            let place = (0..claims.len()).min_by_key(|place| (flows(&claims[*place]), claims[*place].used));
            let lost = claims.remove(place.expect("a full list is not empty")).session;
            if let Some(entry) = self.sessions.get_mut(&lost) {
                entry.addresses.retain(|address| *address != from);
                entry.flows_on = entry.flows_on.filter(|address| *address != from);
            }
            forget_ip(&mut self.by_ip, &self.sessions, from.1.ip(), lost);
        }
        self.by_address.entry(from).or_default().push(Claim { session, used: now });
        if let Some(entry) = self.sessions.get_mut(&session) {
            entry.addresses.push(from);
        }
        let at_ip = self.by_ip.entry(from.1.ip()).or_default();
        if !at_ip.contains(&session) {
            at_ip.push(session);
        }
        Ok(inbox)
    }

    fn unclaim(&mut self, address: Address, session: SessionId) {
        if let Some(claims) = self.by_address.get_mut(&address) {
            claims.retain(|one| one.session != session);
            if claims.is_empty() {
                self.by_address.remove(&address);
            }
        }
        forget_ip(&mut self.by_ip, &self.sessions, address.1.ip(), session);
    }

    /// A connection is closed: its address belongs to nobody any more.
    pub(crate) fn closed(&mut self, address: Address) {
        for claim in self.by_address.remove(&address).unwrap_or_default() {
            if let Some(entry) = self.sessions.get_mut(&claim.session) {
                entry.addresses.retain(|one| *one != address);
                entry.flows_on = entry.flows_on.filter(|one| *one != address);
            }
            forget_ip(&mut self.by_ip, &self.sessions, address.1.ip(), claim.session);
        }
    }

    /// Media of a session flows on an address from now on.
    pub(crate) fn flows(&mut self, session: SessionId, on: Address) {
        if let Some(entry) = self.sessions.get_mut(&session)
            && entry.addresses.contains(&on)
        {
            entry.flows_on = Some(on);
        }
    }

    /// A sender of media is heard in a session for the first time.
    pub(crate) fn sends(&mut self, session: SessionId, ssrc: u32) {
        let Some(entry) = self.sessions.get_mut(&session) else { return };
        if entry.ssrcs.contains(&ssrc) {
            return;
        }
        let sharing = self.by_ssrc.entry(ssrc).or_default();
        if sharing.len() >= SESSIONS_OF_ADDRESS {
            return;
        }
        sharing.push(session);
        entry.ssrcs.push(ssrc);
        if entry.ssrcs.len() > SSRCS {
            let oldest = entry.ssrcs.remove(0);
            forget(&mut self.by_ssrc, &oldest, session);
        }
    }

    /// The sessions that a datagram from an address may be for.
    pub(crate) fn at(&mut self, from: Address, now: Instant) -> impl Iterator<Item = (SessionId, T)> {
        let sessions = &mut self.sessions;
        let claims = self.by_address.get_mut(&from).map(Vec::as_mut_slice).unwrap_or_default();
        claims.iter_mut().filter_map(move |claim| {
            claim.used = now;
            let entry = sessions.get_mut(&claim.session)?;
            entry.heard = now;
            Some((claim.session, entry.registration.inbox.clone()))
        })
    }

    /// The sessions whose peer may have moved to an address that belongs to nobody; none when that is asked too often.
    pub(crate) fn moved(&mut self, from: SocketAddr, ssrc: Option<u32>, now: Instant) -> Vec<(SessionId, T)> {
        if !self.searches.take(now) {
            return Vec::new();
        }
        let sending = ssrc.and_then(|ssrc| self.by_ssrc.get(&ssrc)).into_iter().flatten().copied();
        let mut candidates: Vec<_> = sending.collect();
        if candidates.is_empty() {
            let here = self.by_ip.get(&from.ip()).into_iter().flatten();
            let persons = here.filter_map(|session| Some(self.sessions.get(session)?.registration.person));
            candidates.extend(persons.filter_map(|person| self.by_person.get(&person)).flatten().copied());
        }
        let heard = |session: &SessionId| self.sessions.get(session).map(|entry| entry.heard);
        candidates
            .retain(|one| heard(one).is_some_and(|at| now.saturating_duration_since(at) < MOVED_WITHIN));
        // Who moved was heard not long before, but not a moment ago, as its neighbours behind the same NAT are.
        candidates.sort_by_key(|one| {
            let at = heard(one);
            let goes_on = at.is_some_and(|at| now.saturating_duration_since(at) < GOES_ON);
            (goes_on, std::cmp::Reverse(at), *one)
        });
        candidates.dedup();
        candidates.truncate(SEARCHED_SESSIONS);
        let with_inbox = |session| Some((session, self.sessions.get(&session)?.registration.inbox.clone()));
        candidates.into_iter().filter_map(with_inbox).collect()
    }

    /// How many sessions and addresses are known.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.sessions.len(), self.by_address.len())
    }

    /// Asserts what always holds; for tests.
    pub(crate) fn check(&self) {
        let mut claims = 0;
        for (session, entry) in &self.sessions {
            assert!(entry.addresses.len() <= ADDRESSES_OF_SESSION);
            assert!(entry.ssrcs.len() <= SSRCS);
            assert!(entry.flows_on.is_none_or(|address| entry.addresses.contains(&address)));
            claims += entry.addresses.len();
            for address in &entry.addresses {
                assert!(self.by_address[address].iter().any(|one| one.session == *session));
                assert!(self.by_ip[&address.1.ip()].contains(session));
            }
        }
        assert_eq!(claims, self.by_address.values().map(Vec::len).sum::<usize>());
        assert!(self.by_address.values().all(|claims| (1..=SESSIONS_OF_ADDRESS).contains(&claims.len())));
        assert!(self.by_ip.values().all(|sessions| !sessions.is_empty()));
        let known = |session: &SessionId| self.sessions.contains_key(session);
        assert!(
            self.by_ip
                .values()
                .chain(self.by_ssrc.values())
                .chain(self.by_person.values())
                .flatten()
                .all(known)
        );
        assert!(self.by_ufrag.values().all(known));
    }
}

/// The same name may be another session's by now.
fn forget_name(by_ufrag: &mut HashMap<String, SessionId>, ufrag: &str, session: SessionId) {
    if by_ufrag.get(ufrag) == Some(&session) {
        by_ufrag.remove(ufrag);
    }
}

fn forget<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<SessionId>>, key: &K, session: SessionId) {
    if let Some(sessions) = map.get_mut(key) {
        sessions.retain(|one| *one != session);
        if sessions.is_empty() {
            map.remove(key);
        }
    }
}

/// A session has an address fewer: it may have been its last one there.
fn forget_ip<T>(
    by_ip: &mut HashMap<IpAddr, Vec<SessionId>>,
    sessions: &HashMap<SessionId, Entry<T>>,
    ip: IpAddr,
    session: SessionId,
) {
    let stays =
        sessions.get(&session).is_some_and(|entry| entry.addresses.iter().any(|one| one.1.ip() == ip));
    if !stays {
        forget(by_ip, &ip, session);
    }
}

#[cfg(test)]
mod tests;
