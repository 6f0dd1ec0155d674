//! What would become of a request: every rule tried, why it did or did not match, and what the chosen one does.
//!
//! Owns the question and the answer, for `/explain` and `sluice explain` alike. Refuses to decide anything: the head is
//! read by the code that reads a client's, and the rules are tried by the table that routes.

mod policies;
mod question;
mod text;
mod words;

use std::net::SocketAddr;

use serde::Serialize;
use sluice_config::{
    Model,
    model::{Action, Backend, HeaderEdit, Listener, ListenerId, Protocol, Rule, Sticky},
};
use sluice_routing::{
    filter::{self, HeaderEdits, Target},
    table::{Considered, RouteTable, Test, Verdict},
};

pub(crate) use policies::action;
pub(crate) use text::percent;

pub use policies::{AtPlace, Judged};
pub use question::{Question, QuestionError};

use crate::http::{Progress, RequestHead, RequestLimits, Scan};
use policies::Told;
use question::{Url, arrivals};

/// What would become of a request.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// As asked; empty of a connection that is passed on.
    pub method: String,
    /// As asked.
    pub url: String,
    /// On each listener that it may arrive at.
    pub listeners: Vec<OnListener>,
}

/// What would become of it on one listener.
#[derive(Debug, Clone, Serialize)]
pub struct OnListener {
    /// Its name.
    pub listener: String,
    /// Where it listens.
    pub bind: SocketAddr,
    /// What would happen.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What would happen.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// It is not a request this listener takes.
    Refused {
        /// The status it gets.
        status: u16,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// It was put to the rules.
    Tried {
        /// In normal form, as rules see it.
        host: String,
        /// In normal form, as rules see it.
        path: String,
        /// In order of precedence.
        rules: Vec<Tried>,
        /// Who asks, as rules and policies see it.
        source: String,
        /// Where policies are asked, in this order; all must let it pass.
        policies: Vec<AtPlace>,
        /// `None`: 404.
        chosen: Option<Box<Chosen>>,
    },
    /// It is a connection that is passed on.
    PassedOn {
        /// That of its TLS hello.
        server_name: Option<String>,
        /// In order of precedence.
        rules: Vec<Tried>,
        /// Who asks, as policies see it.
        source: String,
        /// Where policies are asked, in this order; all must let it pass.
        policies: Vec<AtPlace>,
        /// Where it goes; `None`: it is closed.
        backends: Option<Vec<Share>>,
    },
}

/// One way for one rule to take the request.
#[derive(Debug, Clone, Serialize)]
pub struct Tried {
    /// The route.
    pub route: String,
    /// The rule.
    pub rule: String,
    /// What it asks of a request.
    pub asks: String,
    /// `chosen`, `outranked` or `failed`.
    pub verdict: &'static str,
    /// The first test that failed.
    pub because: Option<String>,
    /// Whether the route serves another host.
    pub other_host: bool,
}

/// The rule that takes the request.
#[derive(Debug, Clone, Serialize)]
pub struct Chosen {
    /// The route.
    pub route: String,
    /// The rule.
    pub rule: String,
    /// Where the request goes; empty if the gateway answers itself.
    pub backends: Vec<Share>,
    /// What the gateway answers itself.
    pub answer: Option<String>,
    /// Changes to that answer's header.
    pub answer_headers: Vec<String>,
    /// Which clients stay on one backend.
    pub sticky: Option<String>,
    /// The request's own bound, as it is written.
    pub request_timeout: Option<String>,
    /// The bound of each try, as it is written.
    pub backend_timeout: Option<String>,
    /// When it is tried again, and within what bounds; empty if it is not.
    pub retry: Vec<String>,
}

/// One backend of a split.
#[derive(Debug, Clone, Serialize)]
pub struct Share {
    /// The service.
    pub service: String,
    /// Its weight.
    pub weight: u32,
    /// Its share of the rule's requests, 0 to 100.
    pub percent: f64,
    /// Its addresses and balancing.
    pub endpoints: String,
    /// Request line and Host as sent.
    pub sends: String,
    /// Changes to the request's header.
    pub request_headers: Vec<String>,
    /// Changes to the response's header.
    pub response_headers: Vec<String>,
}

/// Explains what `model` does with a request.
///
/// # Errors
/// When the question is not one.
pub fn explain(model: &Model, question: &Question) -> Result<Explanation, QuestionError> {
    let url = Url::parse(&question.url)?;
    let head = url.head(question)?;
    let told = Told::of(question, url.is_tls)?;
    let listeners = arrivals(model, question, &url)?;
    let name = url.name();
    let listeners = listeners
        .into_iter()
        .map(|id| {
            let listener = &model.listeners[id.0];
            let outcome = if listener.protocol.is_passthrough() {
                connection(model, id, name.as_deref(), &told)
            } else {
                outcome(model, id, &head, &told)
            };
            OnListener {
                listener: listener.name.as_str().to_owned(),
                bind: listener.bind,
                outcome,
            }
        })
        .collect();
    let is_request = !url.protocol.is_passthrough();
    Ok(Explanation {
        method: if is_request {
            question.method.clone()
        } else {
            String::new()
        },
        url: question.url.clone(),
        listeners,
    })
}

fn outcome(model: &Model, id: ListenerId, bytes: &[u8], told: &Told<'_>) -> Outcome {
    let listener = &model.listeners[id.0];
    let mut head = RequestHead::default();
    match head.parse(bytes, &mut Scan::default(), &RequestLimits::from(listener)) {
        Err(bad) => Outcome::Refused {
            status: bad.status,
            rule: bad.rule,
        },
        // The empty line at the end makes every head whole that breaks no rule.
        Ok(Progress::Incomplete) => Outcome::Refused {
            status: 400,
            rule: "incomplete",
        },
        Ok(Progress::Complete { .. }) => {
            let table = RouteTable::compile(model, id);
            let request = told.by(&mut head, listener);
            let considered = table.explain(&request);
            let found = table.find(&request);
            let chosen = found.map(|found| {
                let rule = &model.routes[found.route].rules[found.rule];
                Box::new(chosen(
                    model,
                    listener,
                    found.route,
                    rule,
                    request.head,
                    found.prefix_bytes,
                ))
            });
            let rules = considered.iter().map(|one| tried(model, one, &request)).collect();
            Outcome::Tried {
                host: request.head.host().to_owned(),
                path: request.head.path().to_owned(),
                rules,
                source: policies::source(&request),
                policies: policies::asked(model, id, found, &request),
                chosen,
            }
        }
    }
}

/// What becomes of a connection that asks for `name`.
fn connection(model: &Model, id: ListenerId, name: Option<&str>, told: &Told<'_>) -> Outcome {
    let listener = &model.listeners[id.0];
    let name = name.filter(|_| listener.protocol == Protocol::Tls);
    // An empty head is what a connection shows of itself.
    let head = RequestHead::default();
    let routed = told.connected(&head, listener, name, name.unwrap_or_default());
    let table = RouteTable::compile(model, id);
    let found = table.find(&routed);
    let rules = table.explain(&routed);
    let asks = told.connected(&head, listener, name, "");
    Outcome::PassedOn {
        server_name: name.map(str::to_owned),
        rules: rules.iter().map(|one| tried(model, one, &routed)).collect(),
        source: policies::source(&asks),
        policies: policies::asked(model, id, found, &asks),
        backends: found.map(|found| shares(model, &model.routes[found.route].rules[found.rule], "")),
    }
}

fn tried(model: &Model, considered: &Considered<'_>, request: &policies::View<'_>) -> Tried {
    let route = &model.routes[considered.route];
    let rule = &route.rules[considered.rule];
    let matched = considered.match_index.map(|index| &rule.matches[index]);
    let (verdict, failed) = match considered.verdict {
        Verdict::Won => ("chosen", None),
        Verdict::Outranked => ("outranked", None),
        Verdict::Failed(test) => ("failed", Some(test)),
    };
    Tried {
        route: route.name.as_str().to_owned(),
        rule: rule.name.as_str().to_owned(),
        asks: words::asks(considered.host, matched),
        verdict,
        because: failed.map(|test| words::because(&test, matched, request)),
        other_host: matches!(failed, Some(Test::Host)),
    }
}

fn chosen(
    model: &Model,
    listener: &Listener,
    route: usize,
    rule: &Rule,
    head: &RequestHead,
    prefix_bytes: usize,
) -> Chosen {
    let retry = rule.retry.as_ref().map(words::retry);
    Chosen {
        route: model.routes[route].name.as_str().to_owned(),
        rule: rule.name.as_str().to_owned(),
        backends: shares(model, rule, &sends(rule, head, prefix_bytes)),
        answer: answer(rule, listener, head, prefix_bytes),
        answer_headers: match &rule.action {
            Action::Forward(_) => Vec::new(),
            Action::Direct(_) | Action::Redirect(_) => edits(&rule.filters.response_headers, &[]),
        },
        sticky: rule.sticky.as_ref().map(sticky),
        request_timeout: rule.timeouts.request.map(|timeout| timeout.to_string()),
        backend_timeout: rule.timeouts.backend.map(|timeout| timeout.to_string()),
        retry: retry.into_iter().flatten().collect(),
    }
}

fn backends(rule: &Rule) -> &[Backend] {
    match &rule.action {
        Action::Forward(backends) => backends,
        Action::Direct(_) | Action::Redirect(_) => &[],
    }
}

fn weight_sum(rule: &Rule) -> u64 {
    backends(rule)
        .iter()
        .map(|backend| u64::from(backend.weight.get()))
        .sum()
}

fn shares(model: &Model, rule: &Rule, sends: &str) -> Vec<Share> {
    let sum = weight_sum(rule).max(1) as f64;
    let share = |backend: &Backend| {
        let service = &model.services[backend.service.0];
        let (weight, filters) = (backend.weight.get(), &backend.filters);
        Share {
            service: service.name.as_str().to_owned(),
            weight,
            percent: f64::from(weight) * 100.0 / sum,
            endpoints: words::endpoints(service),
            sends: sends.to_owned(),
            request_headers: edits(&rule.filters.request_headers, &filters.request_headers),
            response_headers: edits(&rule.filters.response_headers, &filters.response_headers),
        }
    };
    backends(rule).iter().map(share).collect()
}

/// What the gateway answers itself, if it does.
fn answer(rule: &Rule, listener: &Listener, head: &RequestHead, prefix_bytes: usize) -> Option<String> {
    match &rule.action {
        Action::Forward(_) => (weight_sum(rule) == 0).then(|| "503, as every weight is 0".to_owned()),
        Action::Direct(direct) => Some(format!("{}, {} bytes", direct.status, direct.body.len())),
        Action::Redirect(redirect) => {
            let target = Target {
                scheme: "http",
                host: head.host(),
                port: listener.bind.port(),
                path: head.path(),
                query: head.query(),
                prefix_bytes,
            };
            let location = filter::location(redirect, &target);
            Some(format!("{} to {location}", redirect.status))
        }
    }
}

/// Request line and Host after the rule's rewrite.
fn sends(rule: &Rule, head: &RequestHead, prefix_bytes: usize) -> String {
    let rewrite = rule.filters.rewrite.as_ref();
    let path = rewrite.and_then(|rewrite| rewrite.path.as_ref()).map_or_else(
        || head.path().to_owned(),
        |path| filter::rewrite_path(path, head.path(), prefix_bytes),
    );
    let query = head.query().map(|query| format!("?{query}")).unwrap_or_default();
    let host = rewrite
        .and_then(|rewrite| rewrite.host.as_deref())
        .unwrap_or_else(|| head.authority());
    format!("{} {path}{query}, Host: {host}", head.method())
}

fn edits(rule: &[HeaderEdit], backend: &[HeaderEdit]) -> Vec<String> {
    let edits = HeaderEdits::merge(rule, backend);
    let mut words: Vec<String> = edits
        .added()
        .map(|(name, value)| format!("{}: {}", name.as_str(), value.as_str()))
        .collect();
    let names = rule.iter().chain(backend).map(|edit| match edit {
        HeaderEdit::Set(name, _) | HeaderEdit::Add(name, _) | HeaderEdit::Remove(name) => name,
    });
    let mut dropped: Vec<String> = names
        .filter(|name| edits.touches(name.as_str().as_bytes()))
        .map(|name| format!("{} as received is dropped", name.as_str()))
        .collect();
    dropped.sort();
    dropped.dedup();
    words.append(&mut dropped);
    words
}

fn sticky(sticky: &Sticky) -> String {
    match sticky {
        Sticky::Header(name) => format!("by header {}", name.as_str()),
        Sticky::Cookie(name) => format!("by cookie {name}"),
        Sticky::SourceAddress => "by the client's address".to_owned(),
    }
}

#[cfg(test)]
mod tests;
