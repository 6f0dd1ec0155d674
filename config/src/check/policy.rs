//! Policies.

use std::{collections::HashSet, hash::Hash};

use super::{Checker, each};
use crate::{
    model::{
        Condition, Criteria, ListenerId, Name, Operation, Policy, PolicyAction, PolicyTarget, RouteId,
        ServiceId, Source,
    },
    spec::{self, List, Slot, Written},
    tree::{Content, NodeId},
};

impl Checker<'_> {
    pub(super) fn policy(&mut self, at: NodeId, spec: &spec::Policy) -> Option<Policy> {
        let name = self.required(at, "name", &spec.name);
        let action = self.required(at, "action", &spec.action);
        let target = self.policy_target(&spec.target);
        let from = self.criteria(&spec.from, |checker, spec| {
            let not = checker.excluded(&spec.not, |_, not| source(not));
            Some(criteria(source(spec)?, not?))
        });
        let to = self.criteria(&spec.to, |checker, spec| {
            let not = checker.excluded(&spec.not, |_, not| operation(not));
            Some(criteria(operation(spec)?, not?))
        });
        let when = self.criteria(&spec.when, |checker, spec| {
            let not = checker.excluded(&spec.not, Self::condition);
            Some(criteria(checker.condition(spec)?, not?))
        });
        Some(Policy {
            name: name?.0.clone(),
            action: match action? {
                spec::PolicyAction::Allow => PolicyAction::Allow,
                spec::PolicyAction::Deny => PolicyAction::Deny,
                spec::PolicyAction::Audit => PolicyAction::Audit,
            },
            dry_run: spec.dry_run.read_or(false, |flag| flag.0)?,
            target: target?,
            from: from?,
            to: to?,
            when: when?,
            place: self.tree.place(at),
        })
    }

    fn policy_target(&mut self, slot: &Slot<spec::PolicyTarget>) -> Option<PolicyTarget> {
        let spec = match slot {
            Slot::Absent => {
                return Some(PolicyTarget {
                    listeners: (0..self.listener_count()).map(ListenerId).collect(),
                    ..PolicyTarget::default()
                });
            }
            Slot::Wrong(_) => return None,
            Slot::Given(at, spec) => {
                self.asks_something(*at, "leave `target` out to ask it on every listener");
                spec
            }
        };
        let listeners = self.targets(&spec.listeners, Self::listener_named, ListenerId);
        let routes = self.targets(&spec.routes, Self::route_named, RouteId);
        let services = self.targets(&spec.services, Self::service_named, ServiceId);
        Some(PolicyTarget {
            listeners: listeners?,
            routes: routes?,
            services: services?,
        })
    }

    /// What each name of a list stands for; each once.
    fn targets<T: Eq + Hash + Copy>(
        &mut self,
        names: &Slot<List<Written<Name>, 1>>,
        named: fn(&mut Self, NodeId, &Name) -> Option<usize>,
        id: fn(usize) -> T,
    ) -> Option<Vec<T>> {
        if matches!(names, Slot::Wrong(_)) {
            return None;
        }
        let mut seen = HashSet::new();
        each(names.items(), |at, Written(name)| {
            let target = id(named(self, at, name)?);
            if !seen.insert(target) {
                self.error(at, format!("`{name}` stands twice"));
            }
            Some(target)
        })
    }

    /// Every entry of a list, none of which may be empty.
    fn criteria<S, M>(
        &mut self,
        list: &Slot<List<S, 1>>,
        mut convert: impl FnMut(&mut Self, &S) -> Option<M>,
    ) -> Option<Vec<M>> {
        if matches!(list, Slot::Wrong(_)) {
            return None;
        }
        each(list.items(), |at, spec| {
            self.asks_something(at, "an entry that asks nothing would match every request");
            convert(self, spec)
        })
    }

    /// What stands in `not`; nothing where none is written.
    fn excluded<S, M: Default>(
        &mut self,
        not: &Slot<S>,
        convert: impl FnOnce(&mut Self, &S) -> Option<M>,
    ) -> Option<M> {
        match not {
            Slot::Absent => Some(M::default()),
            Slot::Wrong(_) => None,
            Slot::Given(at, spec) => {
                self.asks_something(*at, "`not` says what may not be");
                convert(self, spec)
            }
        }
    }

    /// Reports an empty map at `at`: it would mean everything where something was meant.
    fn asks_something(&mut self, at: NodeId, reason: &str) {
        if matches!(self.tree.content(at), Content::Map(entries) if entries.is_empty()) {
            self.error(at, reason);
        }
    }

    fn condition<N>(&mut self, spec: &spec::ConditionOf<N>) -> Option<Condition> {
        let headers = self.headers(&spec.headers);
        let sni = values(&spec.sni, |host| Some(host.0.clone()));
        Some(Condition {
            headers: headers?,
            sni: sni?,
        })
    }
}

const fn criteria<T>(all: T, none: T) -> Criteria<T> {
    Criteria { all, none }
}

fn source<N>(spec: &spec::SourceOf<N>) -> Option<Source> {
    Some(Source {
        spiffe: values(&spec.spiffe, |pattern| Some(pattern.0.clone()))?,
        namespaces: values(&spec.namespaces, |glob| Some(glob.0.clone()))?,
        service_accounts: values(&spec.service_accounts, |account| Some(account.0.clone()))?,
        names: values(&spec.names, |name| Some(name.0.clone()))?,
        cidrs: values(&spec.cidrs, |network| Some(network.0.0))?,
        remote_cidrs: values(&spec.remote_cidrs, |network| Some(network.0.0))?,
    })
}

fn operation<N>(spec: &spec::OperationOf<N>) -> Option<Operation> {
    Some(Operation {
        hosts: values(&spec.hosts, |host| Some(host.0.clone()))?,
        methods: values(&spec.methods, |method| Some(method.0.0.clone()))?,
        paths: values(&spec.paths, |path| Some(path.0.clone()))?,
        ports: values(&spec.ports, |port| port.get())?,
    })
}

/// Every value of a field; none where it is absent.
pub(super) fn values<S, M>(
    list: &Slot<List<S, 1>>,
    mut convert: impl FnMut(&S) -> Option<M>,
) -> Option<Vec<M>> {
    if matches!(list, Slot::Wrong(_)) {
        return None;
    }
    each(list.items(), |_, value| convert(value))
}
