//! Who gets how much of a line: layers for a budget.
//!
//! ```text
//!   sound         always first, and never held back
//!   screen share  its lowest layer, then as good as fits
//!   cameras       everybody's lowest layer, then one layer more in turn
//!                 └─ in the order of priority, who speaks, size
//! ```
//!
//! A step up has to leave room to spare, what is there already need not: an estimate that trembles changes nothing. And nobody steps up
//! to a layer that costs as much as one that somebody else does without.
//!
//! # Invariants
//!
//! - What is chosen fits, unless somebody's demand may not be paused: then that has its lowest layer.
//! - More budget takes nothing from anybody among equals.
//! - Equals differ by one layer at most.

use std::cmp::Reverse;

use crate::layers::Layer;

/// After a step up everything has to fit so many times, in percent.
const SPARE_PERCENT: u64 = 110;

/// What a picture shows: what comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Screen,
    Camera,
}

/// A picture that somebody wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub(crate) kind: Kind,
    /// What each layer costs in bits a second that is sent, and that is not too good.
    pub(crate) layers: [Option<u64>; 3],
    /// What is sent now.
    pub(crate) current: Option<Layer>,
    /// What the subscriber said comes first: the highest.
    pub(crate) priority: u32,
    /// Who it shows speaks, or did a moment ago.
    pub(crate) speaks: bool,
    /// How large it is shown.
    pub(crate) pixels: u64,
    /// Whether it may be left out.
    pub(crate) may_pause: bool,
}

impl Demand {
    pub(crate) fn cost(&self, layer: Option<Layer>) -> u64 {
        layer.and_then(|layer| self.layers[layer.index()]).unwrap_or(0)
    }

    /// The next better layer.
    pub(crate) fn above(&self, layer: Option<Layer>) -> Option<Layer> {
        let is_above = |candidate: &Layer| layer.is_none_or(|layer| *candidate > layer);
        Layer::ALL.into_iter().filter(is_above).find(|candidate| self.layers[candidate.index()].is_some())
    }

    /// The best one.
    pub(crate) fn best(&self) -> Option<Layer> {
        Layer::ALL.into_iter().rfind(|layer| self.layers[layer.index()].is_some())
    }
}

/// What comes of a budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// The layer of each demand, in their order; `None` pauses it.
    pub(crate) choices: Vec<Option<Layer>>,
    /// What all of them cost, in bits a second.
    pub(crate) used_bps: u64,
    /// What the next step up needs in all, room to spare included; `None` where everybody has what they want.
    pub(crate) next_bps: Option<u64>,
    /// What everybody's best layers cost in all.
    pub(crate) best_bps: u64,
}

/// The demands by place, whoever comes first in front.
pub(crate) fn order(demands: &[Demand]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..demands.len()).collect();
    // A stable sort: among equals it stays as it was.
    order.sort_by_key(|place| {
        let demand = &demands[*place];
        (demand.kind, Reverse(demand.priority), Reverse(demand.speaks), Reverse(demand.pixels))
    });
    order
}

/// Chooses a layer for each demand so that all fit into `budget_bps`.
pub(crate) fn allocate(budget_bps: u64, demands: &[Demand]) -> Allocation {
    let order = order(demands);
    let mut table = Table {
        budget_bps,
        demands,
        choices: vec![None; demands.len()],
        used_bps: 0,
        next_bps: None,
        missed_bps: u64::MAX,
    };
    // What may not be paused is sent in any case, and is in the way of all others.
    for place in order.iter().copied().filter(|place| !demands[*place].may_pause) {
        table.set(place, demands[place].above(None));
    }
    for place in order.iter().copied().filter(|place| demands[*place].may_pause) {
        table.raise(place);
    }
    let is_screen = |place: &usize| demands[*place].kind == Kind::Screen;
    for place in order.iter().copied().filter(is_screen) {
        while table.raise_shown(place) {}
    }
    let mut in_turn: Vec<usize> = order.into_iter().filter(|place| !is_screen(place)).collect();
    while !in_turn.is_empty() {
        in_turn.retain(|place| table.raise_shown(*place));
    }
    Allocation {
        best_bps: demands.iter().map(|demand| demand.cost(demand.best())).sum(),
        choices: table.choices,
        used_bps: table.used_bps,
        next_bps: table.next_bps,
    }
}

struct Table<'a> {
    budget_bps: u64,
    demands: &'a [Demand],
    choices: Vec<Option<Layer>>,
    used_bps: u64,
    next_bps: Option<u64>,
    /// The cheapest layer that somebody does without because it does not fit.
    missed_bps: u64,
}

impl Table<'_> {
    fn set(&mut self, place: usize, layer: Option<Layer>) {
        let demand = &self.demands[place];
        self.used_bps = self.used_bps + demand.cost(layer) - demand.cost(self.choices[place]);
        self.choices[place] = layer;
    }

    /// One layer more, where it fits.
    fn raise(&mut self, place: usize) -> bool {
        let demand = &self.demands[place];
        let now = self.choices[place];
        let Some(next) = demand.above(now) else { return false };
        let cost = demand.cost(Some(next));
        let is_step_up = demand.current.is_none_or(|current| next > current);
        if is_step_up && cost >= self.missed_bps {
            return false;
        }
        let all = self.used_bps - demand.cost(now) + cost;
        let needed = if is_step_up { all * SPARE_PERCENT / 100 } else { all };
        if needed > self.budget_bps {
            self.next_bps = Some(self.next_bps.map_or(needed, |known| known.min(needed)));
            self.missed_bps = self.missed_bps.min(cost);
            return false;
        }
        self.set(place, Some(next));
        true
    }

    /// The same for what is shown: what is paused has not even its lowest layer.
    fn raise_shown(&mut self, place: usize) -> bool {
        self.choices[place].is_some() && self.raise(place)
    }
}

#[cfg(test)]
mod tests;
