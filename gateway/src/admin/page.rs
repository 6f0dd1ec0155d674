//! What each path of the admin server answers.
//!
//! Owns the table of paths and the JSON of `/config`. Refuses connections and bodies of requests: none of its paths
//! reads one.

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, ORIGIN},
};
use serde::{Deserialize, Serialize};
use sluice_config::Model;
use sluice_config::defaults::operations::ADMIN_CONTROL_TIMEOUT;
use tokio::{sync::oneshot, time::timeout};

use super::explain::{Question, explain};
use crate::status::{Ask, Phase, Status, View};

/// The answer to one request.
pub(super) async fn answer<B>(request: &Request<B>, view: &View) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let Some((_, method, _)) = PATHS.iter().find(|(known, ..)| *known == path) else {
        return text(
            StatusCode::NOT_FOUND,
            format!("{path} is nothing here; there is\n{}", index()),
        );
    };
    if !(request.method() == method || (request.method() == Method::HEAD && method == Method::GET)) {
        let mut refusal = text(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("{path} takes {method} only\n"),
        );
        refusal.headers_mut().insert(
            ALLOW,
            HeaderValue::from_static(if method == Method::GET {
                "GET, HEAD"
            } else {
                "POST"
            }),
        );
        return refusal;
    }
    match path {
        "/metrics" => metrics(view),
        "/livez" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => ready(view).await,
        "/config" => config(&view.status.borrow()),
        "/explain" => explanation(request, view),
        // A page in a browser may post to any address of its host; only a page says where it comes from.
        "/drain" if request.headers().contains_key(ORIGIN) => {
            text(StatusCode::FORBIDDEN, "not for web pages\n".to_owned())
        }
        _ => drain(view).await,
    }
}

/// Path, method, what it is for.
const PATHS: [(&str, Method, &str); 6] = [
    ("/metrics", Method::GET, "for Prometheus"),
    ("/livez", Method::GET, "200 while the process answers"),
    ("/readyz", Method::GET, "200 while every worker takes requests"),
    (
        "/config",
        Method::GET,
        "what runs, since when, and how the last reload went (JSON)",
    ),
    (
        "/explain",
        Method::GET,
        "?request=GET%20http://host/path[&header=name:value]...[&listener=name][&format=json]",
    ),
    (
        "/drain",
        Method::POST,
        "take no more connections, end when the last has ended",
    ),
];

fn index() -> String {
    PATHS
        .iter()
        .map(|(path, method, what)| format!("{method:4} {path:9} {what}\n"))
        .collect()
}

fn metrics(view: &View) -> Response<Full<Bytes>> {
    match view.registry.encode() {
        Ok(page) => content(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

async fn ready(view: &View) -> Response<Full<Bytes>> {
    let phase = view.status.borrow().phase;
    let outcome = match phase {
        Phase::Starting => Err("starting".to_owned()),
        Phase::Draining | Phase::Replaced => Err("draining".to_owned()),
        Phase::Serving => {
            let (ask, answered) = oneshot::channel();
            // The loop answers for slow workers by itself; this bound is for the loop.
            let outcome = timeout(ADMIN_CONTROL_TIMEOUT, async {
                view.asks.send(Ask::Ready(ask)).await.ok()?;
                answered.await.ok()
            });
            outcome
                .await
                .ok()
                .flatten()
                .unwrap_or_else(|| Err("the control loop does not answer".to_owned()))
        }
    };
    match outcome {
        Ok(()) => text(StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}

async fn drain(view: &View) -> Response<Full<Bytes>> {
    let (ask, begun) = oneshot::channel();
    let outcome = timeout(ADMIN_CONTROL_TIMEOUT, async {
        view.asks.send(Ask::Drain(ask)).await.ok()?;
        begun.await.ok()
    });
    match outcome.await {
        Ok(Some(())) => text(StatusCode::OK, "draining\n".to_owned()),
        _ => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "the control loop does not answer\n".to_owned(),
        ),
    }
}

fn explanation<B>(request: &Request<B>, view: &View) -> Response<Full<Bytes>> {
    let Some(model) = view
        .status
        .borrow()
        .running
        .as_ref()
        .map(|running| Arc::clone(&running.model))
    else {
        return text(
            StatusCode::SERVICE_UNAVAILABLE,
            "no configuration is live yet\n".to_owned(),
        );
    };
    let mut question = Question::default();
    let mut json = false;
    for (name, value) in form_pairs(request.uri().query().unwrap_or_default()) {
        match (name.as_str(), value.split_once(':')) {
            ("request", _) => question.ask(&value),
            ("method", _) => question.method = value,
            ("url", _) => question.url = value,
            ("listener", _) => question.listener = Some(value),
            ("spiffe", _) => question.spiffe = Some(value),
            ("dns", _) => question.dns.push(value),
            ("source", _) if value.parse::<IpAddr>().is_ok() => question.source = value.parse().ok(),
            ("format", _) => json = value == "json",
            ("header", Some((name, value))) => {
                question
                    .headers
                    .push((name.trim().to_owned(), value.trim().to_owned()));
            }
            _ => {
                return text(
                    StatusCode::BAD_REQUEST,
                    format!("{name}={value} is not understood\n"),
                );
            }
        }
    }
    match explain(&model, &question) {
        Ok(explanation) if json => match serde_json::to_string_pretty(&explanation) {
            Ok(page) => content(StatusCode::OK, "application/json", page + "\n"),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        Ok(explanation) => text(StatusCode::OK, explanation.to_string()),
        Err(error) => text(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

/// The JSON of `/config`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfigPage {
    /// Of what runs; 0 before anything does.
    pub generation: u64,
    /// Since its text went live.
    pub age_seconds: f64,
    /// When its text went live, RFC 3339.
    pub loaded_at: Option<String>,
    /// How the last load ended.
    pub last_reload: Option<LastReload>,
    /// What runs.
    pub model: Option<Model>,
}

/// How a load ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LastReload {
    /// `applied`, `rejected` or `unchanged`.
    pub result: String,
    /// When, RFC 3339.
    pub at: String,
    /// Each with its place.
    pub problems: Vec<String>,
}

impl ConfigPage {
    fn of(status: &Status) -> Self {
        let running = status.running.as_ref();
        Self {
            generation: running.map_or(0, |running| running.generation),
            age_seconds: running.map_or(0.0, |running| running.since.elapsed().as_secs_f64()),
            loaded_at: running.map(|running| stamp(running.loaded_at)),
            last_reload: status.last_reload.as_ref().map(|reload| LastReload {
                result: reload.result.as_str().to_owned(),
                at: stamp(reload.at),
                problems: reload.problems.clone(),
            }),
            model: running.map(|running| Model::clone(&running.model)),
        }
    }
}

fn config(status: &Status) -> Response<Full<Bytes>> {
    match serde_json::to_string_pretty(&ConfigPage::of(status)) {
        Ok(page) => content(StatusCode::OK, "application/json", page + "\n"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn stamp(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "unknown".to_owned(), |stamp| format!("{stamp:.3}"))
}

/// The pairs of a query or form (application/x-www-form-urlencoded); what is not UTF-8 is replaced.
fn form_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_text(name), form_text(value))
    })
}

fn form_text(encoded: &str) -> String {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escaped = || u8::from_str_radix(str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        match byte {
            b'+' => bytes.push(b' '),
            b'%' if let Some(byte) = escaped() => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    content(status, "text/plain; charset=utf-8", body)
}

fn content(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
