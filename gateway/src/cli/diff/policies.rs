//! Policies: what came, went and changed.
//!
//! Owns the comparison by names, as with routes. Order means nothing here: what denies comes before what allows.

use serde_json::Value;
use sluice_config::{
    Model,
    model::{Policy, PolicyTarget},
};

use super::{
    by_name,
    fields::{changed_fields, json},
    indented,
};
use crate::admin::explain::action;

/// The changes of all policies.
pub(super) fn changes(old: &Model, new: &Model) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, pair) in by_name(&old.policies, &new.policies, |policy| policy.name.as_str()) {
        match pair {
            (None, Some(policy)) => lines.push(format!("+ {name}: {}", summary(new, policy))),
            (Some(policy), None) => lines.push(format!("- {name}: {}", summary(old, policy))),
            (Some(before), Some(after)) => {
                let changes = changed_fields(&fields(old, before), &fields(new, after));
                if !changes.is_empty() {
                    lines.push(format!("~ {name}: {}", summary(new, after)));
                    lines.extend(indented(changes));
                }
            }
            (None, None) => {}
        }
    }
    lines
}

fn summary(model: &Model, policy: &Policy) -> String {
    let dry = if policy.dry_run { " (dry run)" } else { "" };
    let action = action(policy.action);
    format!("{action}{dry} at {}", places(model, &policy.target).join(", "))
}

fn places(model: &Model, target: &PolicyTarget) -> Vec<String> {
    let listeners = target
        .listeners
        .iter()
        .map(|id| format!("listener {}", model.listeners[id.0].name));
    let routes = target
        .routes
        .iter()
        .map(|id| format!("route {}", model.routes[id.0].name));
    let services = target
        .services
        .iter()
        .map(|id| format!("service {}", model.services[id.0].name));
    let mut places: Vec<String> = listeners.chain(routes).chain(services).collect();
    places.sort();
    places
}

/// As JSON, with names in the place of indices.
fn fields(model: &Model, policy: &Policy) -> Value {
    let mut fields = json(policy);
    fields["target"] = places(model, &policy.target).join(", ").into();
    fields["action"] = action(policy.action).into();
    fields
}
