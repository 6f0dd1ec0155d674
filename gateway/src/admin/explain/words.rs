//! Parts of a configuration in words.
//!
//! Owns how a test, its failure, a service and a retry read. Refuses to judge a request.

use sluice_config::model::{
    Balance, FieldMatch, HostPattern, Match, PathMatch, Retry, RetryOn, Service, StringMatch,
};
use sluice_routing::{RequestView as _, table::Test};

use super::policies::{View, identity};

/// What a match of a route for one host asks: `host a.example, path prefix /api, header x-canary "true"`.
pub(super) fn asks(host: Option<&HostPattern>, matched: Option<&Match>) -> String {
    let mut parts: Vec<String> = host
        .map(|host| format!("host {}", pattern(host)))
        .into_iter()
        .collect();
    if let Some(matched) = matched {
        parts.extend(
            matched
                .path
                .as_ref()
                .map(|path| format!("path {}", path_words(path))),
        );
        parts.extend(matched.method.as_ref().map(|method| format!("method {method}")));
        parts.extend(matched.peer.as_ref().map(|peer| {
            let ids = peer.spiffe.iter().map(ToString::to_string);
            let all: Vec<String> = ids.chain(peer.names.iter().map(pattern)).collect();
            format!("peer {}", all.join(" or "))
        }));
        let headers = matched.headers.iter();
        parts.extend(
            headers.map(|field| format!("header {} {}", field.name.as_str(), test_words(&field.test))),
        );
        let query = matched.query.iter();
        parts.extend(query.map(|field| format!("query {} {}", field.name, test_words(&field.test))));
    }
    if parts.is_empty() {
        "any request".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Why `request` fails a test of `matched`.
pub(super) fn because(test: &Test<'_>, matched: Option<&Match>, request: &View<'_>) -> String {
    let head = request.head;
    let matched = matched.cloned().unwrap_or_default();
    match test {
        Test::Host => format!("the host is {}", quoted(request.host())),
        Test::Path => format!("the path is {}", quoted(head.path())),
        Test::Method => format!("the method is {}", head.method()),
        Test::Peer => match identity(request) {
            Some(identity) => format!("the peer is {identity}"),
            None => "the peer has no identity".to_owned(),
        },
        Test::Header(name) => {
            let asked = matched.headers.iter().find(|field| field.name == **name);
            let value = head.header(name.as_str());
            field_failure("header", name.as_str(), value.as_deref(), asked)
        }
        Test::Query(name) => {
            let asked = matched.query.iter().find(|field| field.name == *name);
            // The decoded value is the table's; here it is shown as it was sent.
            let value = head.query().and_then(|query| sent_value(query, name));
            field_failure("query parameter", name, value.map(str::as_bytes), asked)
        }
    }
}

fn field_failure<N>(what: &str, name: &str, value: Option<&[u8]>, asked: Option<&FieldMatch<N>>) -> String {
    let value = value.map_or_else(
        || "absent".to_owned(),
        |value| quoted(&String::from_utf8_lossy(value)),
    );
    let asked = asked
        .map(|asked| format!(", not {}", test_words(&asked.test)))
        .unwrap_or_default();
    format!("{what} {name} is {value}{asked}")
}

fn sent_value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

pub(super) fn pattern(host: &HostPattern) -> String {
    match host {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(tail) => format!("*.{tail}"),
    }
}

fn path_words(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => format!("exactly {path}"),
        PathMatch::Prefix(path) => format!("prefix {path}"),
        PathMatch::Regex(pattern) => format!("regex {}", pattern.source()),
    }
}

fn test_words(test: &StringMatch) -> String {
    match test {
        StringMatch::Exact(value) => quoted(value),
        StringMatch::Prefix(value) => format!("prefix {}", quoted(value)),
        StringMatch::Regex(pattern) => format!("regex {}", pattern.source()),
        StringMatch::Present(true) => "present".to_owned(),
        StringMatch::Present(false) => "absent".to_owned(),
        StringMatch::Not(inner) => format!("not {}", test_words(inner)),
    }
}

fn quoted(value: &str) -> String {
    format!("{value:?}")
}

/// `10.0.0.1:80, 10.0.0.2:80 (weight 2), least request`.
pub(super) fn endpoints(service: &Service) -> String {
    let shown = service.endpoints.iter().take(ENDPOINTS_SHOWN).map(|endpoint| {
        let address = endpoint.address.to_string();
        match endpoint.weight.get() {
            1 => address,
            weight => format!("{address} (weight {weight})"),
        }
    });
    let mut list: Vec<String> = shown.collect();
    if let Some(more) = service
        .endpoints
        .len()
        .checked_sub(ENDPOINTS_SHOWN)
        .filter(|more| *more > 0)
    {
        list.push(format!("{more} more"));
    }
    let balance = match service.balance {
        Balance::LeastRequest => "least request",
        Balance::RoundRobin => "round robin",
        Balance::Random => "random",
    };
    format!("{}, {balance}", list.join(", "))
}

/// When there is another try, and within what bounds.
pub(super) fn retry(retry: &Retry) -> [String; 2] {
    let on: Vec<String> = retry.on.iter().map(reason).collect();
    let (attempts, on) = (retry.attempts, on.join(", "));
    let (base, max) = (retry.backoff_base, retry.backoff_max);
    let (percent, each_second) = (retry.budget_percent, retry.budget_per_second);
    let body = retry.body_limit;
    let methods = if retry.unsafe_methods {
        "POST and PATCH too"
    } else {
        "not POST and PATCH"
    };
    [
        format!("up to {attempts} on {on}; waits {base} to {max}"),
        format!("budget {percent} % and {each_second} a second; bodies up to {body}; {methods}"),
    ]
}

fn reason(on: &RetryOn) -> String {
    match on {
        RetryOn::ConnectFailure => "connectFailure".to_owned(),
        RetryOn::Reset => "reset".to_owned(),
        RetryOn::Timeout => "timeout".to_owned(),
        RetryOn::RefusedStream => "refusedStream".to_owned(),
        RetryOn::GatewayError => "gatewayError".to_owned(),
        RetryOn::ServerError => "5xx".to_owned(),
        RetryOn::Status(status) => status.to_string(),
        RetryOn::Grpc(status) => format!("gRPC status {}", status.0),
    }
}

/// A line's worth.
const ENDPOINTS_SHOWN: usize = 6;
