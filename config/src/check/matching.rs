//! Matches.

use std::collections::HashMap;

use super::{Checker, each, policy::values};
use crate::{
    model::{FieldMatch, HeaderName, Match, PathMatch, Peer, StringMatch},
    spec::{self, Slot, Table, Written},
    tree::NodeId,
};

impl Checker<'_> {
    pub(super) fn matching(&mut self, spec: &spec::Match) -> Option<Match> {
        let headers = self.headers(&spec.headers);
        let query = field_matches(&spec.query, |name| name.0.0.clone());
        let path = match &spec.grpc {
            Slot::Absent => spec.path.read_or(None, |path| Some(path_match(path))),
            Slot::Wrong(_) => None,
            Slot::Given(at, grpc) => self.grpc(*at, grpc, spec.path.node()).map(Some),
        };
        let peer = match &spec.peer {
            Slot::Absent => Some(None),
            Slot::Wrong(_) => None,
            Slot::Given(at, peer) => self.peer(*at, peer).map(Some),
        };
        Some(Match {
            path: path?,
            method: spec.method.read_or(None, |method| Some(method.0.0.clone()))?,
            headers: headers?,
            query: query?,
            peer: peer?,
        })
    }

    /// The paths of calls of gRPC.
    fn grpc(&mut self, at: NodeId, spec: &spec::Grpc, path: Option<NodeId>) -> Option<PathMatch> {
        if let Some(path) = path {
            self.error(path, "`grpc` says which paths are meant: remove one of both");
            return None;
        }
        let service = spec.service.read_or(None, |name| Some(name.0.0.clone()))?;
        let method = spec.method.read_or(None, |name| Some(name.0.0.clone()))?;
        match (service, method) {
            (Some(service), Some(method)) => Some(PathMatch::Exact(format!("/{service}/{method}"))),
            (Some(service), None) => Some(PathMatch::Prefix(format!("/{service}"))),
            (None, Some(method)) => format!("/[^/]+/{method}").parse().ok().map(PathMatch::Regex),
            (None, None) => {
                self.error(
                    at,
                    "`service` or `method` is missing: they say which calls are meant",
                );
                None
            }
        }
    }

    fn peer(&mut self, at: NodeId, spec: &spec::Peer) -> Option<Peer> {
        if spec.spiffe.node().is_none() && spec.names.node().is_none() {
            self.error(at, "`spiffe` or `names` is missing: it says who the peer must be");
            return None;
        }
        let spiffe = values(&spec.spiffe, |pattern| Some(pattern.0.clone()));
        let names = values(&spec.names, |name| Some(name.0.clone()));
        Some(Peer {
            spiffe: spiffe?,
            names: names?,
        })
    }

    /// Header fields by name, each name once.
    pub(super) fn headers(
        &mut self,
        table: &Slot<Table<Written<HeaderName>, spec::StringMatch>>,
    ) -> Option<Vec<FieldMatch<HeaderName>>> {
        self.distinct_names(table.entries().iter().map(|(name, _)| name));
        field_matches(table, |name| name.0.clone())
    }

    /// Reports header names that differ only in case, which YAML takes for different keys.
    pub(super) fn distinct_names<'s>(&mut self, names: impl Iterator<Item = &'s Slot<Written<HeaderName>>>) {
        let mut seen: HashMap<&HeaderName, NodeId> = HashMap::new();
        for (at, Written(name)) in names.filter_map(Slot::given) {
            if let Some(first) = seen.insert(name, at) {
                let place = self.tree.place(first);
                self.error(
                    at,
                    format!("the header `{name}` stands here already, at {place}: case does not count"),
                );
            }
        }
    }
}

fn field_matches<K, N>(
    table: &Slot<Table<K, spec::StringMatch>>,
    name: impl Fn(&K) -> N,
) -> Option<Vec<FieldMatch<N>>> {
    if matches!(table, Slot::Wrong(_)) {
        return None;
    }
    let tests = each(table.entries().iter().map(|(_, test)| test), |_, test| {
        Some(string_match(test))
    })?;
    let names = each(table.entries().iter().map(|(name, _)| name), |_, key| {
        Some(name(key))
    })?;
    Some(
        names
            .into_iter()
            .zip(tests)
            .map(|(name, test)| FieldMatch { name, test })
            .collect(),
    )
}

fn path_match(spec: &spec::PathMatch) -> PathMatch {
    match spec {
        spec::PathMatch::Exact(path) => PathMatch::Exact(path.0.0.clone()),
        spec::PathMatch::Prefix(path) => PathMatch::Prefix(by_element(&path.0.0)),
        spec::PathMatch::Regex(pattern) => PathMatch::Regex(pattern.0.clone()),
    }
}

/// A prefix without the slash at its end, which means nothing when elements are compared.
pub(super) fn by_element(path: &str) -> String {
    match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

fn string_match(spec: &spec::StringMatch) -> StringMatch {
    match spec {
        spec::StringMatch::Exact(text) => StringMatch::Exact(text.0.0.clone()),
        spec::StringMatch::Prefix(text) => StringMatch::Prefix(text.0.0.clone()),
        spec::StringMatch::Regex(pattern) => StringMatch::Regex(pattern.0.clone()),
        spec::StringMatch::Present(flag) => StringMatch::Present(flag.0),
        spec::StringMatch::Not(inner) => StringMatch::Not(Box::new(string_match(inner))),
    }
}
