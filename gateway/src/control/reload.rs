//! A load of the configuration as a transaction: everything that can fail is done before anything goes live.
//!
//! Owns the steps from text to a [`Candidate`], by way of a [`Text`] that is known to be right. Refuses to publish: a candidate that is dropped has changed nothing.

use std::{
    collections::{BTreeSet, HashSet},
    net::SocketAddr,
    sync::Arc,
};

use sluice_config::{
    Model, Source,
    model::{Address, Listener},
};

use super::{
    fleet::{self, Sockets},
    material::{BadMaterial, Materials},
    upgrade::predecessor::Inherited,
};
use crate::access_log::Sink;

/// A text that is right; whether what it names is there is not known yet.
pub(super) struct Text {
    sources: Vec<Source>,
    pub(super) model: Model,
}

/// A configuration that is ready to go live.
pub(super) struct Candidate {
    pub(super) sources: Vec<Source>,
    pub(super) model: Arc<Model>,
    /// What its listeners end TLS with.
    pub(super) materials: Materials,
    /// Of the listeners that are new in it.
    pub(super) sockets: Sockets,
    /// Where its access log goes, if that is new in it; `Some(None)` is nowhere.
    pub(super) sink: Option<Option<Sink>>,
    /// The names its endpoints are known by.
    pub(super) names: BTreeSet<String>,
}

/// Why a load was refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The text is wrong; each problem with its place.
    Config(Vec<String>),
    /// The text is right, a file of certificates it names is not.
    Material(BadMaterial),
    /// The text is right, the system refuses what it asks for.
    System(Vec<String>),
}

impl Refusal {
    pub(super) fn problems(&self) -> &[String] {
        match self {
            Self::Config(problems)
            | Self::System(problems)
            | Self::Material(BadMaterial { problems, .. }) => problems,
        }
    }
}

/// Loads and checks `sources`.
///
/// # Errors
/// All that is wrong with the text.
pub(super) fn read(sources: Vec<Source>) -> Result<Text, Refusal> {
    let loaded = sluice_config::load(&sources);
    let model = loaded
        .model
        .map_err(|problems| Refusal::Config(problems.iter().map(ToString::to_string).collect()))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(Text { sources, model })
}

/// Loads the files that `text` names, and gets from the system what is new against `running` and was not `inherited`. A
/// file that is bad and was good in `before` stays as it was.
///
/// # Errors
/// All that is wrong; what was bound or opened is given back.
pub(super) fn prepare(
    text: Text,
    running: Option<&Model>,
    before: &Materials,
    workers: impl Fn(&Model) -> usize,
    inherited: &Inherited,
) -> Result<Candidate, Refusal> {
    let Text { sources, model } = text;
    for change in needs_restart(running, &model) {
        tracing::warn!("{change} is read at start only: restart to make the change work");
    }
    let materials = Materials::load(&model, before).map_err(Refusal::Material)?;
    let new = new_addresses(running, &model);
    // At the start nobody else may serve here; later it may be a socket of this process that is about to close.
    let claimed = if running.is_none() && inherited.is_empty() {
        fleet::claim(&new)
    } else {
        Ok(())
    };
    let sockets = claimed.and_then(|()| fleet::bind(&new, workers(&model), inherited));
    let sockets = sockets.map_err(|failures| {
        let words = failures.into_iter().map(|(address, error)| {
            let listener = model.listeners.iter().find(|listener| listener.bind == address);
            let which = listener.map(|listener| format!("{}: listener {}: ", listener.place, listener.name));
            format!("{}cannot listen on {address}: {error}", which.unwrap_or_default())
        });
        Refusal::System(words.collect())
    })?;
    let sink = new_sink(running, &model).map_err(|problem| Refusal::System(vec![problem]))?;
    Ok(Candidate {
        sources,
        names: names(&model),
        model: Arc::new(model),
        materials,
        sockets,
        sink,
    })
}

/// Opens where the access log of `model` goes.
///
/// # Errors
/// What the system said.
pub(super) fn open_sink(model: &Model) -> Result<Option<Sink>, String> {
    let opened = model.access_log.as_ref().map(|target| {
        Sink::open(target).map_err(|error| format!("accessLog: cannot open {target:?}: {error}"))
    });
    opened.transpose()
}

fn new_sink(running: Option<&Model>, model: &Model) -> Result<Option<Option<Sink>>, String> {
    if running.is_some_and(|running| running.access_log == model.access_log) {
        return Ok(None);
    }
    open_sink(model).map(Some)
}

/// Addresses and backlogs of listeners that `running` has not. A listener is known by its address: one that only
/// changes its name keeps its socket.
fn new_addresses(running: Option<&Model>, model: &Model) -> Vec<(SocketAddr, u32)> {
    let bound: HashSet<SocketAddr> = listeners(running).map(|listener| listener.bind).collect();
    let new = model
        .listeners
        .iter()
        .filter(|listener| !bound.contains(&listener.bind));
    new.map(|listener| (listener.bind, listener.backlog)).collect()
}

fn listeners(model: Option<&Model>) -> impl Iterator<Item = &Listener> {
    model.into_iter().flat_map(|model| &model.listeners)
}

/// What differs and cannot change while the process runs.
fn needs_restart(running: Option<&Model>, model: &Model) -> Vec<String> {
    let Some(running) = running else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    if running.workers != model.workers {
        changes.push("workers".to_owned());
    }
    if running.admin != model.admin {
        changes.push("admin.bind".to_owned());
    }
    for listener in &model.listeners {
        let old = running.listeners.iter().find(|old| old.bind == listener.bind);
        if old.is_some_and(|old| old.backlog != listener.backlog) {
            changes.push(format!("the backlog of listener {}", listener.name.as_str()));
        }
    }
    changes
}

pub(super) fn names(model: &Model) -> BTreeSet<String> {
    let endpoints = model.services.iter().flat_map(|service| &service.endpoints);
    endpoints
        .filter_map(|endpoint| match &endpoint.address {
            Address::Dns(name, _) => Some(name.clone()),
            Address::Ip(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> Vec<Source> {
        vec![Source {
            name: "a.yaml".to_owned(),
            text: text.to_owned(),
        }]
    }

    fn yaml(port: u16, more: &str) -> Vec<Source> {
        sources(&format!(
            "listeners: [{{ name: web, bind: \"127.0.0.1:{port}\" }}]\n\
             routes: [{{ name: all, rules: [{{ backends: [{{ service: one }}] }}] }}]\n\
             services: [{{ name: one, endpoints: [{{ address: \"one.example:80\" }}] }}]\n{more}"
        ))
    }

    /// From the text to a candidate, in one go.
    fn prepare(
        sources: Vec<Source>,
        running: Option<&Model>,
        before: &Materials,
        workers: impl Fn(&Model) -> usize,
        inherited: &Inherited,
    ) -> Result<Candidate, Refusal> {
        super::prepare(read(sources)?, running, before, workers, inherited)
    }

    fn free_port() -> u16 {
        std::net::TcpListener::bind(("127.0.0.1", 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    }

    #[test]
    fn a_candidate_has_what_is_new() {
        let port = free_port();
        let first = prepare(
            yaml(port, ""),
            None,
            &Materials::default(),
            |_| 2,
            &Inherited::new(),
        )
        .ok()
        .unwrap();
        assert_eq!(first.sockets.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
        assert!(first.sink.is_some());
        assert!(first.names.iter().eq(["one.example"]));

        let second = prepare(
            yaml(port, ""),
            Some(&first.model),
            &first.materials,
            |_| 2,
            &Inherited::new(),
        )
        .ok()
        .unwrap();
        assert_eq!(second.sockets.iter().map(Vec::len).collect::<Vec<_>>(), [0, 0]);
        assert!(second.sink.is_none());
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let refusal = prepare(
            sources("listners: []\nroutes: 3\n"),
            None,
            &Materials::default(),
            |_| 1,
            &Inherited::new(),
        )
        .err()
        .unwrap();
        let Refusal::Config(problems) = refusal else {
            panic!("{refusal:?}")
        };
        assert!(problems.len() >= 2, "{problems:?}");
        assert!(
            problems.iter().all(|problem| problem.starts_with("a.yaml:")),
            "{problems:?}"
        );
    }

    #[test]
    fn a_clash_of_ports_and_a_log_that_cannot_be_opened_refuse_the_whole() {
        let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let refusal = prepare(
            yaml(port, ""),
            None,
            &Materials::default(),
            |_| 1,
            &Inherited::new(),
        )
        .err()
        .unwrap();
        assert!(matches!(refusal, Refusal::System(_)));
        assert!(
            refusal.problems()[0].contains(&format!("127.0.0.1:{port}")),
            "{refusal:?}"
        );

        let refusal = prepare(
            yaml(free_port(), "accessLog: { output: /no/such/folder/log }\n"),
            None,
            &Materials::default(),
            |_| 1,
            &Inherited::new(),
        );
        let refusal = refusal.err().unwrap();
        assert!(
            refusal.problems()[0].contains("/no/such/folder/log"),
            "{refusal:?}"
        );
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let model = |more: &str| sluice_config::load(&yaml(8080, more)).model.unwrap();
        let old = model("");
        assert_eq!(needs_restart(None, &old), [""; 0]);
        let new = model("workers: 3\nadmin: { bind: \"127.0.0.1:9999\" }\n");
        assert_eq!(needs_restart(Some(&old), &new), ["workers", "admin.bind"]);
    }
}
