//! The request that is asked about.
//!
//! Owns how it is told (method, URL, headers), the bytes a client would send for it, and the listeners it may arrive
//! at. Refuses to judge those bytes: that is left to the code that reads a client's.

use std::{fmt::Write as _, net::IpAddr};

use sluice_config::{
    Model,
    model::{Listener, ListenerId, Protocol},
};
use thiserror::Error;

/// A request to explain.
#[derive(Debug, Clone)]
pub struct Question {
    /// `GET` and the like.
    pub method: String,
    /// `http://host:port/path?query`; or `tls://name:port` and `tcp://host:port` for a connection that is passed on.
    pub url: String,
    /// Beside Host, which comes from the URL unless it is here.
    pub headers: Vec<(String, String)>,
    /// Only on this listener. Without it: on those with the port of the URL, or on all if there is none.
    pub listener: Option<String>,
    /// The SPIFFE ID that the peer has proved; without it, it has proved none.
    pub spiffe: Option<String>,
    /// The DNS names of the certificate that the peer has proved to be its own.
    pub dns: Vec<String>,
    /// The address it comes from; without it, this machine's own.
    pub source: Option<IpAddr>,
}

impl Default for Question {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            url: String::new(),
            headers: Vec::new(),
            listener: None,
            spiffe: None,
            dns: Vec::new(),
            source: None,
        }
    }
}

impl Question {
    /// Takes `GET http://host/path`, or a URL alone, which is asked for with GET.
    pub fn ask(&mut self, request: &str) {
        match request.trim().split_once(' ') {
            Some((method, url)) => {
                method.clone_into(&mut self.method);
                url.trim_start().clone_into(&mut self.url);
            }
            None => request.trim().clone_into(&mut self.url),
        }
    }
}

/// Why a question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuestionError {
    /// The URL.
    #[error("{0:?} is not a URL like http://host/path, tls://name:port or tcp://host:port")]
    Url(String),
    /// A line end or NUL where a request has none.
    #[error("a request holds no line end or NUL in its method, URL or headers")]
    LineEnd,
    /// The listener.
    #[error("there is no listener {0:?}; there are: {1}")]
    Listener(String, String),
    /// The identity.
    #[error("{0:?} is no SPIFFE ID: {1}")]
    Spiffe(String, String),
    /// No listener at all.
    #[error("the configuration has no listener for {0}")]
    NoListener(&'static str),
    /// A listener for something else.
    #[error("the listener {0:?} is for {1}: ask with {1}://host:port")]
    Protocol(String, &'static str),
}

pub(super) struct Url<'q> {
    authority: &'q str,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    /// What is spoken to the listener.
    pub(super) protocol: Protocol,
    target: String,
}

impl<'q> Url<'q> {
    /// Takes the URL apart without judging its parts: that is done as for a client's request.
    pub(super) fn parse(url: &'q str) -> Result<Self, QuestionError> {
        let bad = || QuestionError::Url(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
        let (protocol, default_port) = match scheme {
            "http" => (Protocol::Http, 80),
            "https" => (Protocol::Http, 443),
            "tls" => (Protocol::Tls, 443),
            // No listener is there: without a port, all of them are asked.
            "tcp" => (Protocol::Tcp, 0),
            _ => return Err(bad()),
        };
        // A fragment is never sent (RFC 9110 4.2.5).
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let is_bare = matches!(target, "" | "/");
        if authority.is_empty() && protocol != Protocol::Tls || protocol.is_passthrough() && !is_bare {
            return Err(bad());
        }
        let port = authority
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(default_port);
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            authority,
            port,
            is_tls: matches!(scheme, "https" | "tls"),
            protocol,
            target: format!("{slash}{target}"),
        })
    }

    /// The host that is named, in lower case; none where it is empty.
    pub(super) fn name(&self) -> Option<String> {
        let name = self
            .authority
            .rsplit_once(':')
            .map_or(self.authority, |(name, _)| name);
        (!name.is_empty()).then(|| name.to_ascii_lowercase())
    }

    /// The bytes a client would send.
    pub(super) fn head(&self, question: &Question) -> Result<Vec<u8>, QuestionError> {
        let mut head = format!("{} {} HTTP/1.1\r\n", question.method, self.target);
        let mut lines = 2;
        if !question
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head += &format!("Host: {}\r\n", self.authority);
            lines += 1;
        }
        for (name, value) in &question.headers {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
            lines += 1;
        }
        head += "\r\n";
        let ends = head
            .bytes()
            .filter(|byte| matches!(byte, b'\r' | b'\n' | 0))
            .count();
        if ends == 2 * lines {
            Ok(head.into_bytes())
        } else {
            Err(QuestionError::LineEnd)
        }
    }
}

/// The listeners a request, or a connection that is passed on, may arrive at.
pub(super) fn arrivals(
    model: &Model,
    question: &Question,
    url: &Url<'_>,
) -> Result<Vec<ListenerId>, QuestionError> {
    let which = |test: &dyn Fn(&Listener) -> bool| -> Vec<ListenerId> {
        let found = model
            .listeners
            .iter()
            .enumerate()
            .filter(|(_, listener)| test(listener));
        found.map(|(index, _)| ListenerId(index)).collect()
    };
    let suits = |listener: &Listener| listener.protocol == url.protocol;
    let meant = match &question.listener {
        Some(name) => which(&|listener| listener.name.as_str() == name),
        None => Some(which(&|listener| listener.bind.port() == url.port))
            .filter(|found| !found.is_empty())
            .unwrap_or_else(|| which(&suits)),
    };
    let found: Vec<ListenerId> = meant
        .iter()
        .copied()
        .filter(|id| suits(&model.listeners[id.0]))
        .collect();
    match (&question.listener, meant.first()) {
        _ if !found.is_empty() => Ok(found),
        (_, Some(other)) => {
            let other = &model.listeners[other.0];
            Err(QuestionError::Protocol(
                other.name.to_string(),
                other.protocol.as_str(),
            ))
        }
        (None, None) => Err(QuestionError::NoListener(url.protocol.as_str())),
        (Some(name), None) => {
            let names: Vec<&str> = model
                .listeners
                .iter()
                .map(|listener| listener.name.as_str())
                .collect();
            Err(QuestionError::Listener(name.clone(), names.join(", ")))
        }
    }
}
