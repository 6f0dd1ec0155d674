//! `sluice diff`: what a reload would change.
//!
//! Owns getting both configurations and putting the changes in words. Refuses to compare text: two configurations that
//! mean the same do not differ.

mod fields;
mod policies;
mod routes;

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use sluice_config::defaults::operations::{DIFF_ANSWER_BYTES_MAX, DIFF_ANSWER_TIMEOUT};
use sluice_config::{
    Model,
    model::{Listener, Service},
};
use tokio::{net::TcpStream, runtime, time::timeout};

use super::{Failure, check, print};
use crate::admin::ConfigPage;
use fields::{changed_fields, json};

/// Prints what the configuration at `path` would change in a running gateway.
///
/// # Errors
/// When the configuration is wrong, or the gateway does not tell its own.
pub(super) fn against_running(path: &Path, admin: Option<String>) -> Result<(), Failure> {
    let new = check::load(&[path.to_owned()])?;
    let admin = admin.unwrap_or_else(|| new.admin.bind.to_string());
    let old =
        running(&admin).map_err(|error| Failure::Run(format!("asking the gateway at {admin}: {error}")))?;
    print(&diff(&old, &new));
    Ok(())
}

/// Prints what the configuration at `new` would change in one at `old`.
///
/// # Errors
/// When one of them is wrong.
pub(super) fn between(old: &Path, new: &Path) -> Result<(), Failure> {
    let load = |path: &Path| check::load(&[PathBuf::from(path)]);
    print(&diff(&load(old)?, &load(new)?));
    Ok(())
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// The configuration that a gateway runs.
fn running(admin: &str) -> Result<Model, Error> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let page = runtime.block_on(async { timeout(DIFF_ANSWER_TIMEOUT, fetch(admin)).await })??;
    let page: ConfigPage = serde_json::from_slice(&page)?;
    page.model.ok_or_else(|| "it has no configuration yet".into())
}

async fn fetch(admin: &str) -> Result<Bytes, Error> {
    let address = admin.trim_start_matches("http://").trim_end_matches('/');
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors come out of the request as well.
    tokio::spawn(connection);
    let request = Request::get("/config")
        .header(HOST, address)
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(format!("it answered {}", response.status()).into());
    }
    Ok(Limited::new(response.into_body(), DIFF_ANSWER_BYTES_MAX)
        .collect()
        .await?
        .to_bytes())
}

/// The changes from `old` to `new`, section by section.
fn diff(old: &Model, new: &Model) -> String {
    let sections = [
        ("process", process(old, new)),
        ("listeners", listeners(old, new)),
        ("routes", routes::changes(old, new)),
        ("services", services(old, new)),
        ("policies", policies::changes(old, new)),
    ];
    let text: String = sections
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(title, lines)| {
            format!(
                "{title}\n{}",
                lines.iter().map(|line| format!("  {line}\n")).collect::<String>()
            )
        })
        .collect();
    if text.is_empty() {
        "no change\n".to_owned()
    } else {
        text
    }
}

fn process(old: &Model, new: &Model) -> Vec<String> {
    let parts = |model: &Model| {
        serde_json::json!({
            "admin": json(&model.admin), "workers": json(&model.workers), "limits": json(&model.limits),
            "drain": json(&model.drain), "accessLog": json(&model.access_log), "identity": json(&model.identity),
        })
    };
    let restart = |line: String| {
        let at_start = line.starts_with("workers") || line.starts_with("admin");
        format!("~ {line}{}", if at_start { "  (needs a restart)" } else { "" })
    };
    changed_fields(&parts(old), &parts(new))
        .into_iter()
        .map(restart)
        .collect()
}

fn listeners(old: &Model, new: &Model) -> Vec<String> {
    let socket = |listener: &Listener| match bound(old, listener) {
        Some(other) if other.protocol != listener.protocol => {
            format!("takes over the socket of {}, whose connections drain", other.name)
        }
        Some(other) if other.name == listener.name => "keeps its socket and its connections".to_owned(),
        Some(other) => format!("takes over the socket of {}", other.name),
        None => "opens a new socket".to_owned(),
    };
    let end = |listener: &Listener| match bound(new, listener) {
        Some(other) => format!("its socket goes to {}", other.name),
        None if listener.protocol.is_passthrough() => "drains: its connections end by themselves".to_owned(),
        None => "drains: its connections end after their request".to_owned(),
    };
    let mut lines = Vec::new();
    for (name, pair) in by_name(&old.listeners, &new.listeners, |listener| listener.name.as_str()) {
        match pair {
            (None, Some(new)) => lines.push(format!("+ {name} {}: {}", new.bind, socket(new))),
            (Some(old), None) => lines.push(format!("- {name} {}: {}", old.bind, end(old))),
            (Some(old), Some(new)) => {
                let changes = changed_fields(&json(old), &json(new));
                if !changes.is_empty() {
                    let moved = if old.bind == new.bind {
                        String::new()
                    } else {
                        format!("; the one on {} drains", old.bind)
                    };
                    lines.push(format!("~ {name} {}: {}{moved}", new.bind, socket(new)));
                    lines.extend(indented(changes));
                }
            }
            (None, None) => {}
        }
    }
    lines
}

/// The listener of `model` that has the address of `listener`.
fn bound<'m>(model: &'m Model, listener: &Listener) -> Option<&'m Listener> {
    let mut listeners = model.listeners.iter();
    listeners.find(|other| other.bind == listener.bind)
}

fn services(old: &Model, new: &Model) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, pair) in by_name(&old.services, &new.services, |service| service.name.as_str()) {
        match pair {
            (None, Some(new)) => lines.push(format!("+ {name}: {}", endpoint_list(new))),
            (Some(old), None) => lines.push(format!("- {name}: {}", endpoint_list(old))),
            (Some(old), Some(new)) => {
                let mut changes = endpoint_changes(old, new);
                let settings = |service: &Service| {
                    json(&Service {
                        endpoints: Vec::new(),
                        ..service.clone()
                    })
                };
                changes.extend(changed_fields(&settings(old), &settings(new)));
                if !changes.is_empty() {
                    lines.push(format!("~ {name}"));
                    lines.extend(indented(changes));
                }
            }
            (None, None) => {}
        }
    }
    lines
}

fn endpoint_list(service: &Service) -> String {
    let addresses: Vec<String> = service
        .endpoints
        .iter()
        .map(|endpoint| endpoint.address.to_string())
        .collect();
    addresses.join(", ")
}

fn endpoint_changes(old: &Service, new: &Service) -> Vec<String> {
    let key = |endpoint: &sluice_config::model::Endpoint| endpoint.address.to_string();
    let (olds, news): (BTreeMap<_, _>, BTreeMap<_, _>) = (
        old.endpoints
            .iter()
            .map(|endpoint| (key(endpoint), endpoint.weight))
            .collect(),
        new.endpoints
            .iter()
            .map(|endpoint| (key(endpoint), endpoint.weight))
            .collect(),
    );
    let gone = olds
        .keys()
        .filter(|address| !news.contains_key(*address))
        .map(|address| format!("- {address}"));
    let come = news
        .iter()
        .filter_map(|(address, weight)| match olds.get(address) {
            None => Some(format!("+ {address}")),
            Some(before) if before != weight => Some(format!("{address}: weight {before} -> {weight}")),
            Some(_) => None,
        });
    gone.chain(come).collect()
}

/// What has one name before and after; never nothing on both sides.
type Pair<'m, T> = (Option<&'m T>, Option<&'m T>);

/// Both lists by name, in the order of the new one, what is gone last.
fn by_name<'m, T>(old: &'m [T], new: &'m [T], name: impl Fn(&T) -> &str) -> Vec<(String, Pair<'m, T>)> {
    let mut olds: HashMap<&str, &T> = old.iter().map(|one| (name(one), one)).collect();
    let mut pairs: Vec<_> = new
        .iter()
        .map(|one| (name(one).to_owned(), (olds.remove(name(one)), Some(one))))
        .collect();
    let gone = old.iter().filter(|one| olds.contains_key(name(one)));
    pairs.extend(gone.map(|one| (name(one).to_owned(), (Some(one), None))));
    pairs
}

fn indented(lines: Vec<String>) -> impl Iterator<Item = String> {
    lines.into_iter().map(|line| format!("    {line}"))
}

#[cfg(test)]
mod tests;
