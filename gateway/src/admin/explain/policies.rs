//! What the policies say of a request.
//!
//! Owns what is told of its connection, and the order of the places where policies are asked. Refuses to judge: each
//! place is asked by the code that asks it for a client.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr},
};

use serde::Serialize;
use sluice_config::{
    Model,
    model::{
        Action, Criteria, ForwardCertificate, Listener, ListenerId, Policy, PolicyAction, RouteId, Source,
        SpiffeId,
    },
};
use sluice_routing::{
    Arrival, RequestView,
    authorize::{Considered, Policies, Unmet},
    filter,
    table::Found,
};

use super::{Question, QuestionError};
use crate::http::{Forwarded, RequestHead, Scheme};

/// What the policies at one place say.
#[derive(Debug, Clone, Serialize)]
pub struct AtPlace {
    /// `listener web`, `route shop`, `service v1`.
    pub place: String,
    /// In the order of the files.
    pub policies: Vec<Judged>,
    /// The policy that denies it here; `None` where it passes.
    pub denied_by: Option<String>,
}

/// What one policy makes of the request.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// Its name.
    pub policy: String,
    /// `allow`, `deny` or `audit`.
    pub action: &'static str,
    /// It decides nothing.
    pub dry_run: bool,
    /// Why it does not match the request; `None` where it does.
    pub because: Option<String>,
}

/// What a question tells of the connection.
pub(super) struct Told<'q> {
    identity: Option<SpiffeId<'q>>,
    names: Vec<String>,
    peer: IpAddr,
    is_tls: bool,
}

/// The request asked about, as rules and policies see it.
pub(super) struct View<'v> {
    pub(super) head: &'v RequestHead,
    arrival: Arrival<'v>,
    method: &'v str,
    host: &'v str,
    path: &'v str,
}

impl<'q> Told<'q> {
    pub(super) fn of(question: &'q Question, is_tls: bool) -> Result<Self, QuestionError> {
        let parse = |text: &'q String| {
            SpiffeId::parse(text).map_err(|invalid| QuestionError::Spiffe(text.clone(), invalid.to_string()))
        };
        Ok(Self {
            identity: question.spiffe.as_ref().map(parse).transpose()?,
            names: question
                .dns
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            peer: question
                .source
                .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |source| source.to_canonical()),
            is_tls,
        })
    }

    /// A request that came so by a listener.
    pub(super) fn by<'v>(&'v self, head: &'v mut RequestHead, listener: &Listener) -> View<'v> {
        let told = ForwardCertificate::None;
        let forwarded = Forwarded::read(head, self.peer, &listener.trusted_proxies, Scheme::Http, told);
        let head = &*head;
        View {
            head,
            arrival: Arrival {
                identity: self.identity,
                names: &self.names,
                client: forwarded.client(),
                sni: self.is_tls.then(|| head.host()),
                ..Arrival::plain(self.peer, listener.bind.port())
            },
            method: head.method(),
            host: head.host(),
            path: head.path(),
        }
    }
}

impl Told<'_> {
    /// A connection that came so by a listener and is passed on, to this server name; `head` is empty. Rules find it under
    /// `host`, and policies under none.
    pub(super) fn connected<'v>(
        &'v self,
        head: &'v RequestHead,
        listener: &Listener,
        server_name: Option<&'v str>,
        host: &'v str,
    ) -> View<'v> {
        View {
            head,
            arrival: Arrival {
                sni: server_name,
                ..Arrival::plain(self.peer, listener.bind.port())
            },
            method: "",
            host,
            path: "",
        }
    }
}

impl RequestView for View<'_> {
    fn host(&self) -> &str {
        self.host
    }

    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        self.head.query()
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.head.header(name)
    }

    fn arrival(&self) -> Arrival<'_> {
        self.arrival
    }
}

/// Who asks, in words.
pub(super) fn source(request: &View<'_>) -> String {
    let Arrival { peer, client, .. } = request.arrival;
    let behind = if client == peer {
        String::new()
    } else {
        format!(", for {client}")
    };
    let identity = identity(request);
    format!("{peer}{behind}, {}", identity.as_deref().unwrap_or("no identity"))
}

/// Who the peer has proved to be: its SPIFFE ID and its names.
pub(super) fn identity(request: &View<'_>) -> Option<String> {
    let Arrival { identity, names, .. } = request.arrival;
    let id = identity.map(SpiffeId::as_str);
    let all: Vec<&str> = id.into_iter().chain(names.iter().map(String::as_str)).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// What is asked where, of a request that `found` takes; places without policies are left out.
pub(super) fn asked(
    model: &Model,
    listener: ListenerId,
    found: Option<Found>,
    request: &View<'_>,
) -> Vec<AtPlace> {
    let name = model.listeners[listener.0].name.as_str();
    let policies = Policies::compile(model, |target| target.listeners.contains(&listener));
    let mut places = vec![at(model, format!("listener {name}"), &policies, request)];
    if let Some(found) = found {
        let (route, id) = (&model.routes[found.route], RouteId(found.route));
        let policies = Policies::compile(model, |target| target.routes.contains(&id));
        places.push(at(model, format!("route {}", route.name), &policies, request));
        let rule = &route.rules[found.rule];
        if let Action::Forward(backends) = &rule.action {
            let (host, path) = sent(rule, found, request);
            let request = View {
                host: &host,
                path: &path,
                ..*request
            };
            for backend in backends {
                let policies = Policies::compile(model, |target| target.services.contains(&backend.service));
                let place = format!("service {}", model.services[backend.service.0].name);
                places.push(at(model, place, &policies, &request));
            }
        }
    }
    places.retain(|place| !place.policies.is_empty());
    places
}

/// Host and path as a service gets them.
fn sent<'v>(
    rule: &'v sluice_config::model::Rule,
    found: Found,
    request: &View<'v>,
) -> (Cow<'v, str>, Cow<'v, str>) {
    let rewrite = rule.filters.rewrite.as_ref();
    let path = rewrite.and_then(|rewrite| rewrite.path.as_ref()).map_or_else(
        || Cow::Borrowed(request.path),
        |path| Cow::Owned(filter::rewrite_path(path, request.path, found.prefix_bytes)),
    );
    let host = rewrite.and_then(|rewrite| rewrite.host.as_deref());
    (Cow::Borrowed(host.map_or(request.host, filter::host_of)), path)
}

fn at(model: &Model, place: String, policies: &Policies, request: &View<'_>) -> AtPlace {
    let denied = policies.decide(request, |_, _| ()).err();
    AtPlace {
        place,
        policies: policies
            .consider(request)
            .iter()
            .map(|one| judged(model, one, request))
            .collect(),
        denied_by: denied.map(|id| model.policies[id.0].name.to_string()),
    }
}

fn judged(model: &Model, considered: &Considered, request: &View<'_>) -> Judged {
    let policy = &model.policies[considered.policy.0];
    Judged {
        policy: policy.name.to_string(),
        action: action(policy.action),
        dry_run: policy.dry_run,
        because: considered.unmet.map(|unmet| because(unmet, policy, request)),
    }
}

/// As it is written.
pub(crate) const fn action(action: PolicyAction) -> &'static str {
    match action {
        PolicyAction::Allow => "allow",
        PolicyAction::Deny => "deny",
        PolicyAction::Audit => "audit",
    }
}

fn because(unmet: Unmet, policy: &Policy, request: &View<'_>) -> String {
    let asks_identity =
        |entry: &Criteria<Source>| [&entry.all, &entry.none].into_iter().any(Source::asks_identity);
    match unmet {
        Unmet::From if identity(request).is_none() && policy.from.iter().any(asks_identity) => {
            "`from` asks for an identity, and there is none"
        }
        Unmet::From => "nothing in `from` is who asks",
        Unmet::To => "nothing in `to` is what is asked for",
        Unmet::When => "nothing in `when` holds",
    }
    .to_owned()
}
