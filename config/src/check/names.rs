//! Which names are declared, and where.

use std::collections::{HashMap, hash_map};

use super::Checker;
use crate::{
    model::{Name, value::Invalid},
    problem::Findings,
    reader::closest,
    spec::{List, Slot, Written},
    tree::{NodeId, Tree},
};

/// The names of one kind of thing.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Its index among its kind, and the node of the name.
    by_name: HashMap<Name, (usize, NodeId)>,
    /// The second and later nodes of a name.
    doubles: Vec<(Name, NodeId)>,
    count: usize,
    /// Whether every declaration could be read: if not, a name found nowhere may be declared all the same.
    is_whole: bool,
}

impl Names {
    pub(super) fn new(is_whole: bool) -> Self {
        Self {
            is_whole,
            ..Self::default()
        }
    }

    /// Declares every item of a list by the name it has.
    pub(super) fn declare_all<T, const MIN: usize>(
        &mut self,
        list: &Slot<List<T, MIN>>,
        name: impl Fn(&T) -> &Slot<Written<Name>>,
    ) {
        for item in list.items() {
            match item.value().and_then(|item| name(item).given()) {
                Some((node, Written(name))) => self.declare(name, node),
                None => self.is_whole = false,
            }
            self.count += 1;
        }
    }

    fn declare(&mut self, name: &Name, node: NodeId) {
        match self.by_name.entry(name.clone()) {
            hash_map::Entry::Vacant(slot) => {
                slot.insert((self.count, node));
            }
            hash_map::Entry::Occupied(_) => self.doubles.push((name.clone(), node)),
        }
    }

    /// Reports every name that is declared again.
    pub(super) fn report_doubles(&self, kind: &str, tree: &Tree, findings: &mut Findings) {
        for (name, node) in &self.doubles {
            if let Some((_, first)) = self.by_name.get(name) {
                let reason = format!("another {kind} has the name `{name}`, at {}", tree.place(*first));
                findings.error(*node, Invalid::because(reason));
            }
        }
    }
}

impl Checker<'_> {
    /// The index of the service that `name`, written at `at`, names.
    pub(super) fn service_named(&mut self, at: NodeId, name: &Name) -> Option<usize> {
        self.named("service", |checker| &checker.services, at, name)
    }

    /// The index of the listener that `name`, written at `at`, names.
    pub(super) fn listener_named(&mut self, at: NodeId, name: &Name) -> Option<usize> {
        self.named("listener", |checker| &checker.listeners, at, name)
    }

    /// The index of the route that `name`, written at `at`, names.
    pub(super) fn route_named(&mut self, at: NodeId, name: &Name) -> Option<usize> {
        self.named("route", |checker| &checker.routes, at, name)
    }

    fn named(
        &mut self,
        kind: &str,
        names: impl Fn(&Self) -> &Names,
        at: NodeId,
        name: &Name,
    ) -> Option<usize> {
        let known = names(self);
        let found = known.by_name.get(name).map(|(index, _)| *index);
        if found.is_none() && known.is_whole {
            let mut suggestions_left = self.suggestions_left;
            let what = dangling(kind, name, names(self), &mut suggestions_left);
            self.suggestions_left = suggestions_left;
            self.findings.error(at, what);
        }
        found
    }

    /// The index of the service of this name, if there is one.
    pub(super) fn service_index(&self, name: &Name) -> Option<usize> {
        self.services.by_name.get(name).map(|(index, _)| *index)
    }

    /// How many listeners are declared.
    pub(super) fn listener_count(&self) -> usize {
        self.listeners.count
    }
}

fn dangling(kind: &str, name: &Name, names: &Names, suggestions_left: &mut usize) -> Invalid {
    let mut suggestion = None;
    if *suggestions_left > 0 {
        *suggestions_left -= 1;
        suggestion = closest(name.as_str(), names.by_name.keys().map(Name::as_str));
    }
    Invalid {
        reason: format!("there is no {kind} `{name}`"),
        suggestion,
    }
}
