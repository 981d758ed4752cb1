//! How much is worked on at once, of one client and in all: requests, or bytes of their heads and bodies.
//!
//! An address has its bound, and never more than it leaves free: where a few addresses take all they may, something is left for the next.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::front::connections::Client;

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// A count that is bounded.
#[derive(Clone)]
pub(crate) struct Traffic {
    total: usize,
    of_an_address: usize,
    clients: Arc<Mutex<Clients>>,
}

#[derive(Default)]
struct Clients {
    count: usize,
    of: HashMap<Client, usize>,
}

/// What is counted of a request, until it is dropped.
pub(crate) struct Slot {
    traffic: Traffic,
    client: Client,
    amount: AtomicUsize,
}

impl Traffic {
    pub(crate) fn new(total: usize, of_an_address: usize) -> Self {
        Self { total, of_an_address, clients: Arc::default() }
    }

    /// Counts one more.
    ///
    /// # Errors
    /// [`Busy`].
    pub(crate) fn enter(&self, client: Client) -> Result<Slot, Busy> {
        let slot = self.open(client);
        slot.grow(1)?;
        Ok(slot)
    }

    /// Counts nothing yet.
    pub(crate) fn open(&self, client: Client) -> Slot {
        Slot { traffic: self.clone(), client, amount: AtomicUsize::new(0) }
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Counts so much more.
    ///
    /// # Errors
    /// [`Busy`].
    pub(crate) fn grow(&self, more: usize) -> Result<(), Busy> {
        let mut clients = self.traffic.clients();
        let free = self.traffic.total.saturating_sub(clients.count);
        let is_local = self.client == Client::ThisMachine;
        let bound = if is_local { self.traffic.total } else { self.traffic.of_an_address.min(free) };
        let mine = clients.of.get(&self.client).copied().unwrap_or(0);
        if more > free || mine + more > bound {
            return Err(Busy);
        }
        clients.count += more;
        clients.of.insert(self.client, mine + more);
        self.amount.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    /// Counts nothing any more.
    pub(crate) fn clear(&self) {
        let amount = self.amount.swap(0, Ordering::Relaxed);
        if amount == 0 {
            return;
        }
        let mut clients = self.traffic.clients();
        clients.count -= amount;
        if let Some(mine) = clients.of.get_mut(&self.client) {
            *mine -= amount;
            if *mine == 0 {
                clients.of.remove(&self.client);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_room_for_others_and_all_of_them_have_a_bound() {
        let traffic = Traffic::new(4, 2);
        let at = |ip: &str| traffic.enter(Client::of(ip.parse().unwrap())).ok();
        let mut slots: Vec<_> = (0..2).map(|_| at("192.0.2.1").unwrap()).collect();
        assert!(at("192.0.2.1").is_none());
        slots.extend([at("192.0.2.2").unwrap(), at("::1").unwrap()]);
        assert!(at("127.0.0.1").is_none() && at("192.0.2.3").is_none());
        slots.remove(0);
        assert!(at("192.0.2.1").is_none(), "it has as much as is free");
        assert!(at("192.0.2.3").is_some(), "it is counted no longer than it is held");
        slots.clear();
        let local: Vec<_> = (0..4).map(|_| at("127.0.0.1").unwrap()).collect();
        assert!(at("192.0.2.1").is_none());
        drop(local);
        assert!(traffic.clients.lock().unwrap().of.is_empty(), "nothing is kept of whoever is gone");
    }

    #[test]
    fn a_few_addresses_that_take_all_they_may_leave_room_for_the_next_one() {
        let traffic = Traffic::new(512, 128);
        let mut slots = Vec::new();
        for at in 0..10 {
            let client = Client::of(format!("192.0.2.{at}").parse().unwrap());
            let before = slots.len();
            slots.extend(std::iter::from_fn(|| traffic.enter(client).ok()));
            assert!(slots.len() > before, "{at} addresses have taken all");
        }
    }

    #[test]
    fn bodies_count_by_what_came_of_them() {
        let bytes = Traffic::new(100, 50);
        let at = |ip: &str| bytes.open(Client::of(ip.parse().unwrap()));
        let (first, second, other) = (at("192.0.2.1"), at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!((first.grow(30), second.grow(30), second.grow(20)), (Ok(()), Err(Busy), Ok(())));
        assert_eq!(other.grow(50), Ok(()));
        assert_eq!(at("127.0.0.1").grow(1), Err(Busy));
        drop(first);
        assert_eq!((second.grow(11), second.grow(10), other.grow(1)), (Err(Busy), Ok(()), Err(Busy)));
        drop((second, other));
        assert!(bytes.clients().of.is_empty() && bytes.clients().count == 0);
    }
}
