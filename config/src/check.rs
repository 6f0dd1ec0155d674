//! Spec to [`Model`]: what fields mean together, and that every name that is used is there.
//!
//! One conversion for each type, each in its own file. A conversion goes through every field before it gives up,
//! so all problems are found in one go; it gives `None` only when a problem was reported.
//!
//! Owns the meaning of the language. Refuses notation ([`crate::spec`]) and style ([`lint`]).

mod enrollment;
mod filter;
mod health;
mod lint;
mod listener;
mod matching;
mod names;
mod passthrough;
mod policy;
mod process;
mod retry;
mod route;
mod service;
mod service_tls;
mod tls;

use crate::{
    defaults,
    model::{CertificateFiles, FilePath, Model, value::Invalid},
    problem::Findings,
    spec::{Document, Slot},
    tree::{Content, NodeId, Tree},
};
use names::Names;
use passthrough::Passing;

/// Checks all documents as one configuration. Gives `None` where
/// there is a problem in `findings`, or no document.
pub(crate) fn check(documents: &[(NodeId, Document)], tree: &Tree, findings: &mut Findings) -> Option<Model> {
    let (first, _) = documents.first()?;
    let may_be_empty = findings.has_errors();
    let mut checker = Checker {
        tree,
        suggestions_left: defaults::SUGGESTIONS_MAX,
        listeners: Names::default(),
        routes: Names::default(),
        services: Names::default(),
        identity: None,
        passing: Passing::default(),
        findings,
    };
    checker.index(documents);
    let model = checker.model(documents);
    if !may_be_empty {
        checker.some_listener(documents, *first);
    }
    let model = model.filter(|_| !findings.has_errors())?;
    lint::lint(&model, documents, tree, findings);
    Some(model)
}

/// What every conversion needs.
struct Checker<'c> {
    tree: &'c Tree,
    findings: &'c mut Findings,
    suggestions_left: usize,
    listeners: Names,
    routes: Names,
    services: Names,
    /// What `identity` gives to those who name no files; for one that is wrong it stands in all the same, as what is wrong
    /// with it was reported.
    identity: Option<Own>,
    passing: Passing,
}

/// The files of the process's own identity.
#[derive(Clone)]
struct Own {
    certificate: CertificateFiles,
    roots: FilePath,
}

impl Checker<'_> {
    /// Learns the names of what routes and policies use before and after it is declared.
    fn index(&mut self, documents: &[(NodeId, Document)]) {
        let whole =
            !self.findings.has_errors() || documents.iter().all(|(root, spec)| self.is_whole(*root, spec));
        let mut listeners = Names::new(whole);
        let mut services = Names::new(whole);
        for (_, document) in documents {
            listeners.declare_all(&document.listeners, |listener| &listener.name);
            services.declare_all(&document.services, |service| &service.name);
        }
        listeners.report_doubles("listener", self.tree, self.findings);
        services.report_doubles("service", self.tree, self.findings);
        let mut routes = Names::new(whole);
        for (_, document) in documents {
            routes.declare_all(&document.routes, |route| &route.name);
        }
        routes.report_doubles("route", self.tree, self.findings);
        let mut policies = Names::new(whole);
        for (_, document) in documents {
            policies.declare_all(&document.policies, |policy| &policy.name);
        }
        policies.report_doubles("policy", self.tree, self.findings);
        self.listeners = listeners;
        self.routes = routes;
        self.services = services;
        self.passing = Passing::new(documents);
    }

    fn model(&mut self, documents: &[(NodeId, Document)]) -> Option<Model> {
        let admin = self.single(documents, "admin", |document| &document.admin);
        let workers = self.single(documents, "workers", |document| &document.workers);
        let limits = self.single(documents, "limits", |document| &document.limits);
        let drain = self.single(documents, "drain", |document| &document.drain);
        let access_log = self.single(documents, "accessLog", |document| &document.access_log);
        let admin = admin.nested(process::admin);
        let identity = self.single(documents, "identity", |document| &document.identity);
        let identity = self.identity(identity);
        let listeners = all(
            documents,
            |document| document.listeners.items(),
            |at, spec| self.listener(at, spec),
        );
        let services = all(
            documents,
            |document| document.services.items(),
            |at, spec| self.service(at, spec),
        );
        let routes = all(
            documents,
            |document| document.routes.items(),
            |at, spec| self.route(at, spec),
        );
        let policies = all(
            documents,
            |document| document.policies.items(),
            |at, spec| self.policy(at, spec),
        );
        self.binds(documents);
        Some(Model {
            admin: admin?,
            workers: process::workers(workers)?,
            limits: limits.nested(process::limits)?,
            drain: drain.nested(process::drain)?,
            access_log: access_log.nested(process::access_log)?,
            identity: identity?,
            listeners: listeners?,
            routes: routes?,
            services: services?,
            policies: policies?,
        })
    }

    /// The one slot among all documents where a field is written that may be written once.
    fn single<'d, T>(
        &mut self,
        documents: &'d [(NodeId, Document)],
        name: &str,
        field: impl Fn(&'d Document) -> &'d Slot<T>,
    ) -> &'d Slot<T> {
        let mut first: &Slot<T> = &Slot::Absent;
        for (root, document) in documents {
            let slot = field(document);
            if slot.node().is_none() {
                continue;
            }
            match first.node() {
                None => first = slot,
                Some(earlier) => {
                    let place = self.tree.place(earlier);
                    let here = self.tree.get(*root, name).map_or(*root, |entry| entry.key);
                    self.error(
                        here,
                        format!("`{name}` stands in one document only, and is already at {place}"),
                    );
                }
            }
        }
        first
    }

    fn some_listener(&mut self, documents: &[(NodeId, Document)], first: NodeId) {
        if documents
            .iter()
            .all(|(_, document)| document.listeners.items().is_empty())
        {
            let written = documents
                .iter()
                .find_map(|(_, document)| document.listeners.node());
            self.error(
                written.unwrap_or(first),
                "there is no listener: nothing would be served",
            );
        }
    }

    /// Whether everything at the top of a document could be read, so that a name found nowhere is surely missing.
    fn is_whole(&self, root: NodeId, document: &Document) -> bool {
        let written = match self.tree.content(root) {
            Content::Map(entries) => entries.len(),
            _ => 0,
        };
        let Document {
            admin,
            workers,
            limits,
            drain,
            access_log,
            identity,
            listeners,
            routes,
            services,
            policies,
        } = document;
        let known = [
            admin.node(),
            workers.node(),
            limits.node(),
            drain.node(),
            access_log.node(),
            identity.node(),
            listeners.node(),
            routes.node(),
            services.node(),
            policies.node(),
        ];
        let wrong = matches!(listeners, Slot::Wrong(_))
            || matches!(routes, Slot::Wrong(_))
            || matches!(services, Slot::Wrong(_));
        !wrong && written == known.iter().flatten().count()
    }

    /// The value of a field that must be written in the map at `at`.
    fn required<'s, T>(&mut self, at: NodeId, name: &str, slot: &'s Slot<T>) -> Option<&'s T> {
        if slot.node().is_none() {
            self.error(at, format!("`{name}` is missing"));
        }
        slot.value()
    }

    fn error(&mut self, at: NodeId, reason: impl Into<String>) {
        self.findings.error(at, Invalid::because(reason));
    }
}

/// Converts every item of every document; `None` if one could not be.
fn all<'d, S: 'd, M>(
    documents: &'d [(NodeId, Document)],
    items: impl Fn(&'d Document) -> &'d [Slot<S>],
    convert: impl FnMut(NodeId, &'d S) -> Option<M>,
) -> Option<Vec<M>> {
    each(
        documents.iter().flat_map(|(_, document)| items(document)),
        convert,
    )
}

/// Converts every slot; `None` if one could not be, but not before all were tried.
fn each<'s, S: 's, M>(
    slots: impl IntoIterator<Item = &'s Slot<S>>,
    mut convert: impl FnMut(NodeId, &'s S) -> Option<M>,
) -> Option<Vec<M>> {
    let mut made = Some(Vec::new());
    for slot in slots {
        let item = slot.given().and_then(|(at, spec)| convert(at, spec));
        match (item, &mut made) {
            (Some(item), Some(list)) => list.push(item),
            _ => made = None,
        }
    }
    made
}
