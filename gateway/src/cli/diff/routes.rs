//! Routes and rules: what came, went, changed, and who gets which share before and after.
//!
//! Owns the comparison by names: the indices of a model change with the order of its files and mean nothing outside it.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use sluice_config::{
    Model,
    model::{Action, Backend, Filters, HostPattern, Route, Rule, Weight},
};

use super::{
    by_name,
    fields::{changed_fields, json},
    indented,
};
use crate::admin::explain::percent;

/// The changes of all routes.
pub(super) fn changes(old: &Model, new: &Model) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, pair) in by_name(&old.routes, &new.routes, |route| route.name.as_str()) {
        match pair {
            (None, Some(route)) => lines.push(format!("+ {name}: {}", summary(route))),
            (Some(route), None) => lines.push(format!("- {name}: {}", summary(route))),
            (Some(before), Some(after)) => {
                let changes = route_changes((old, before), (new, after));
                if !changes.is_empty() {
                    lines.push(format!("~ {name}"));
                    lines.extend(indented(changes));
                }
            }
            (None, None) => {}
        }
    }
    let order =
        |model: &Model, other: &Model| kept_order(&model.routes, &other.routes, |route| route.name.as_str());
    if order(old, new) != order(new, old) {
        lines.push("~ order of the routes, which decides between rules that match alike".to_owned());
    }
    lines
}

fn summary(route: &Route) -> String {
    let hosts: Vec<String> = route.hosts.iter().map(host).collect();
    let hosts = if hosts.is_empty() {
        "every host".to_owned()
    } else {
        hosts.join(", ")
    };
    let rules: Vec<&str> = route.rules.iter().map(|rule| rule.name.as_str()).collect();
    format!("for {hosts}; rules {}", rules.join(", "))
}

fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(tail) => format!("*.{tail}"),
    }
}

fn route_changes((old, before): (&Model, &Route), (new, after): (&Model, &Route)) -> Vec<String> {
    let outside = |model: &Model, route: &Route| {
        let mut listeners: Vec<&str> = route
            .listeners
            .iter()
            .map(|id| model.listeners[id.0].name.as_str())
            .collect();
        listeners.sort_unstable();
        let hosts: Vec<String> = route.hosts.iter().map(host).collect();
        serde_json::json!({ "listeners": listeners.join(", "), "hosts": hosts.join(", ") })
    };
    let mut lines = changed_fields(&outside(old, before), &outside(new, after));
    for (name, pair) in by_name(&before.rules, &after.rules, |rule| rule.name.as_str()) {
        match pair {
            (None, Some(rule)) => {
                lines.push(format!("+ rule {name}"));
                lines.extend(indented(share_changes(None, Some((new, rule)))));
            }
            (Some(_), None) => lines.push(format!("- rule {name}")),
            (Some(before), Some(after)) => {
                let changes = rule_changes((old, before), (new, after));
                if !changes.is_empty() {
                    lines.push(format!("~ rule {name}"));
                    lines.extend(indented(changes));
                }
            }
            (None, None) => {}
        }
    }
    let order =
        |route: &Route, other: &Route| kept_order(&route.rules, &other.rules, |rule| rule.name.as_str());
    if order(before, after) != order(after, before) {
        lines.push("~ order of the rules, which decides between those that match alike".to_owned());
    }
    lines
}

fn rule_changes(before: (&Model, &Rule), after: (&Model, &Rule)) -> Vec<String> {
    let mut lines = share_changes(Some(before), Some(after));
    lines.extend(changed_fields(&comparable(before), &comparable(after)));
    lines
}

/// A rule without weights and with names instead of indices.
fn comparable((model, rule): (&Model, &Rule)) -> Value {
    let mut fields = json(rule);
    if let Action::Forward(backends) = &rule.action {
        let filters: BTreeMap<&str, &Filters> = backends
            .iter()
            .map(|backend| (service(model, backend), &backend.filters))
            .collect();
        // Which services there are is told by their shares.
        fields["action"] = serde_json::json!({ "backends": null });
        for (name, filters) in filters {
            if *filters != Filters::default() {
                fields["action"][format!("filters of {name}")] = json(filters);
            }
        }
    }
    fields
}

/// `v1: 90 % -> 50 % (weight 90 -> 50)` for each service whose share differs.
fn share_changes(before: Option<(&Model, &Rule)>, after: Option<(&Model, &Rule)>) -> Vec<String> {
    let olds = before
        .map(|(model, rule)| shares(model, rule))
        .unwrap_or_default();
    let news = after.map(|(model, rule)| shares(model, rule)).unwrap_or_default();
    let gone = olds.keys().filter(|name| !news.contains_key(*name));
    let lines = news.keys().chain(gone).filter_map(|name| {
        let (old, new) = (olds.get(name).copied(), news.get(name).copied());
        if old == new {
            return None;
        }
        let words = |share: Option<Share>| match share {
            Some(share) => (percent(share.percent()), share.weight.to_string()),
            None => ("none".to_owned(), "none".to_owned()),
        };
        let ((old_percent, old_weight), (new_percent, new_weight)) = (words(old), words(new));
        let whose = if old_percent == new_percent {
            new_percent
        } else {
            format!("{old_percent} -> {new_percent}")
        };
        let weight = if old_weight == new_weight {
            new_weight
        } else {
            format!("{old_weight} -> {new_weight}")
        };
        Some(format!("{name}: {whose} (weight {weight})"))
    });
    lines.collect()
}

/// What one service gets of a rule's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    weight: u64,
    sum: u64,
}

impl Share {
    fn percent(self) -> f64 {
        if self.sum == 0 {
            0.0
        } else {
            self.weight as f64 * 100.0 / self.sum as f64
        }
    }
}

fn shares<'m>(model: &'m Model, rule: &Rule) -> BTreeMap<&'m str, Share> {
    let Action::Forward(backends) = &rule.action else {
        return BTreeMap::new();
    };
    let weight = |weight: Weight| u64::from(weight.get());
    let sum = backends.iter().map(|backend| weight(backend.weight)).sum();
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for backend in backends {
        let share = shares
            .entry(service(model, backend))
            .or_insert(Share { weight: 0, sum });
        share.weight += weight(backend.weight);
    }
    shares
}

fn service<'m>(model: &'m Model, backend: &Backend) -> &'m str {
    model.services[backend.service.0].name.as_str()
}

/// The names that both lists have, in the order of the first.
fn kept_order<T>(list: &[T], other: &[T], name: impl Fn(&T) -> &str) -> Vec<String> {
    let others: HashSet<&str> = other.iter().map(&name).collect();
    list.iter()
        .map(&name)
        .filter(|name| others.contains(name))
        .map(str::to_owned)
        .collect()
}
