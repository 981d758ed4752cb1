//! Tokens that were used. One that is counted is good once, also when its bearer has left and the room is closed. It is used when its bearer has said
//! something in the room: a connection that breaks before they know that they are in costs them nothing.
//!
//! # Invariants
//!
//! - What is remembered of a ticket lasts longer than every token that is refused by it: those that were made before it was used.
//! - Memory is bounded. With more, what was used first is forgotten: its token is good once more, for as long as it lasts.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use reelroom_limits::rooms::{TICKETS_REMEMBERED, TOKEN_LASTS};
use reelroom_protocol::ids::Ticket;

/// By how much clocks may differ, besides how long a token lasts.
const LEEWAY: Duration = Duration::from_secs(120);

/// Which tokens were used.
#[derive(Default)]
pub(crate) struct Spent {
    /// The highest serial that was used of each ticket, and when.
    tickets: HashMap<Ticket, (u32, Instant)>,
    /// Each use, the first in front.
    uses: VecDeque<(Instant, Ticket)>,
}

impl Spent {
    /// Whether this token of a ticket was used, or a later one.
    pub(crate) fn has(&self, ticket: &Ticket, serial: u32, now: Instant) -> bool {
        self.tickets.get(ticket).is_some_and(|(used, at)| serial <= *used && !is_over(*at, now))
    }

    /// The highest serial that was used of each ticket, and how long ago, the longest first.
    pub(crate) fn all(&self, now: Instant) -> Vec<(Ticket, u32, Duration)> {
        let age = |at: Instant| now.saturating_duration_since(at);
        let used = self.tickets.iter().filter(|(_, (_, at))| !is_over(*at, now));
        let mut all: Vec<_> =
            used.map(|(ticket, (serial, at))| (ticket.clone(), *serial, age(*at))).collect();
        all.sort_by_key(|(_, _, age)| std::cmp::Reverse(*age));
        all
    }

    /// It is used now.
    pub(crate) fn put(&mut self, ticket: Ticket, serial: u32, now: Instant) {
        self.uses.push_back((now, ticket.clone()));
        let known = self.tickets.entry(ticket).or_insert((serial, now));
        *known = (known.0.max(serial), now);
        while let Some((at, _)) = self.uses.front()
            && (is_over(*at, now) || self.uses.len() > TICKETS_REMEMBERED)
        {
            let Some((at, ticket)) = self.uses.pop_front() else { break };
            if self.tickets.get(&ticket).is_some_and(|(_, last)| *last == at) {
                self.tickets.remove(&ticket);
            }
        }
    }
}

fn is_over(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) > TOKEN_LASTS + LEEWAY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_and_those_before_it_are_used_until_they_have_expired() {
        let (mut spent, start) = (Spent::default(), Instant::now());
        let (ada, bob) = (Ticket::from("TK_1"), Ticket::from("TK_2"));
        spent.put(ada.clone(), 2, start);
        assert!(spent.has(&ada, 1, start) && spent.has(&ada, 2, start));
        assert!(!spent.has(&ada, 3, start) && !spent.has(&bob, 1, start));
        let later = start + TOKEN_LASTS;
        spent.put(ada.clone(), 3, later);
        spent.put(bob.clone(), 1, later);
        assert!(spent.has(&ada, 3, later + TOKEN_LASTS), "it counts from the last use");
        let over = later + TOKEN_LASTS + LEEWAY + Duration::from_secs(1);
        assert!(!spent.has(&ada, 1, over) && !spent.has(&bob, 1, over));
        spent.put(bob, 1, over);
        assert_eq!((spent.tickets.len(), spent.uses.len()), (1, 1), "nothing is kept of what is over");
    }

    #[test]
    fn those_of_a_former_run_are_used_for_as_long_as_they_were_to_be() {
        let (mut former, mut next, start) = (Spent::default(), Spent::default(), Instant::now());
        former.put(Ticket::from("TK_1"), 2, start);
        former.put(Ticket::from("TK_2"), 1, start + Duration::from_secs(60));
        let later = start + Duration::from_secs(120);
        let all = former.all(later);
        assert_eq!(all.iter().map(|(_, _, age)| age.as_secs()).collect::<Vec<_>>(), [120, 60]);
        for (ticket, serial, age) in all {
            next.put(ticket, serial, later - age);
        }
        assert!(next.has(&"TK_1".into(), 2, later) && next.has(&"TK_2".into(), 1, later));
        assert!(!next.has(&"TK_1".into(), 3, later));
        let over = start + TOKEN_LASTS + LEEWAY + Duration::from_secs(1);
        assert!(!next.has(&"TK_1".into(), 2, over) && next.has(&"TK_2".into(), 1, over));
    }

    #[test]
    fn so_many_are_remembered_and_the_first_is_forgotten() {
        let (mut spent, now) = (Spent::default(), Instant::now());
        let ticket = |number: usize| Ticket::from(format!("TK_{number}"));
        for number in 0..=TICKETS_REMEMBERED {
            // Each at a time of its own.
            spent.put(ticket(number), 1, now + Duration::from_nanos(number as u64));
        }
        assert_eq!((spent.tickets.len(), spent.uses.len()), (TICKETS_REMEMBERED, TICKETS_REMEMBERED));
        assert!(!spent.has(&ticket(0), 1, now) && spent.has(&ticket(1), 1, now));
        for _ in 0..10 {
            spent.put(ticket(1), 1, now + Duration::from_secs(1));
        }
        assert!(spent.uses.len() == TICKETS_REMEMBERED && spent.has(&ticket(1), 1, now));
    }
}
