//! A snapshot together with what one worker remembers for it: services' state, turns of splits, retry budgets.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use sluice_routing::{retry::Budget, split::Split};

use crate::{
    snapshot::{Action, Rule, Snapshot},
    upstream::{self, Service},
};

/// A snapshot with this worker's state for it. A request holds on to the one it began with.
pub struct Current {
    /// What was compiled.
    pub snapshot: Arc<Snapshot>,
    /// By `ServiceId`.
    pub services: Vec<Rc<Service>>,
    /// By index of the rule.
    pub turns: Vec<Turns>,
}

/// What a rule remembers from request to request.
pub struct Turns {
    split: Rc<RefCell<Split>>,
    budget: Rc<RefCell<Budget>>,
}

impl Current {
    /// The next one, taking over the state of what stays the same.
    #[must_use]
    pub fn next(before: Option<&Self>, snapshot: Arc<Snapshot>, worker: usize) -> Self {
        let services = upstream::services(&snapshot, before.map_or(&[], |before| &before.services), worker);
        let known: HashMap<(&str, &str), (&Rule, &Turns)> = before
            .into_iter()
            .flat_map(|before| before.snapshot.rules.iter().zip(&before.turns))
            .map(|(rule, turns)| ((rule.route.as_str(), rule.name.as_str()), (rule, turns)))
            .collect();
        let turns = snapshot
            .rules
            .iter()
            .map(|rule| {
                Turns::next(
                    rule,
                    known.get(&(rule.route.as_str(), rule.name.as_str())).copied(),
                )
            })
            .collect();
        Self {
            snapshot,
            services,
            turns,
        }
    }
}

impl Turns {
    /// The turns of a rule; a split with the same shares goes on where it stood.
    fn next(rule: &Rule, before: Option<(&Rule, &Self)>) -> Self {
        let shares = rule.shares();
        let split = before.filter(|(known, _)| known.shares() == shares).map_or_else(
            || Rc::new(RefCell::new(Split::new(shares.1))),
            |(_, turns)| Rc::clone(&turns.split),
        );
        let kept = before.filter(|(known, _)| known.budget() == rule.budget());
        let budget = kept.map_or_else(
            || {
                let (percent, per_second) = rule.budget();
                Rc::new(RefCell::new(Budget::new(percent, per_second)))
            },
            |(_, turns)| Rc::clone(&turns.budget),
        );
        Self { split, budget }
    }

    /// The next share of the split.
    #[must_use]
    pub fn split(&self) -> Option<usize> {
        self.split.borrow_mut().pick()
    }

    /// The retry budget; one of nothing if the rule does not retry.
    #[must_use]
    pub fn budget(&self) -> &RefCell<Budget> {
        &self.budget
    }
}

impl Rule {
    /// Each backend's key, and its weight.
    fn shares(&self) -> (&[u64], &[u32]) {
        match &self.action {
            Action::Forward { split, .. } => (&split.keys, &split.weights),
            Action::Direct { .. } | Action::Redirect { .. } => (&[], &[]),
        }
    }

    /// Percent and number a second.
    fn budget(&self) -> (u8, u32) {
        self.retry
            .as_ref()
            .map_or((0, 0), |retry| (retry.budget_percent, retry.budget_per_second))
    }
}
