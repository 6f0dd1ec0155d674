//! How retries are written.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{
    List, Slot, Written,
    scalar::{Flag, Int, Size},
};
use crate::{
    defaults::{
        RETRY_ATTEMPTS, RETRY_ATTEMPTS_MAX, RETRY_BACKOFF_BASE, RETRY_BACKOFF_MAX, RETRY_BODY_LIMIT,
        RETRY_BODY_LIMIT_MAX, RETRY_BUDGET_PER_SECOND, RETRY_BUDGET_PER_SECOND_MAX, RETRY_BUDGET_PERCENT,
    },
    model::{self, GrpcStatus, Millis, value::Invalid},
    reader::{closest, refuse},
};

/// When to try a request again. Methods that are not idempotent are tried again only if nothing was sent yet,
/// or with `unsafeMethods`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `attempts` and `on`"
)]
pub(crate) struct Retry {
    /// How often, after the first try.
    #[schemars(extend("default" = RETRY_ATTEMPTS))]
    pub(crate) attempts: Slot<Int<1, RETRY_ATTEMPTS_MAX>>,
    /// After which outcomes of a try.
    #[schemars(extend("default" = ["connectFailure", "reset"]))]
    pub(crate) on: Slot<List<RetryOn, 1>>,
    /// How long to wait before.
    pub(crate) backoff: Slot<Backoff>,
    /// How many retries the service is asked to bear.
    pub(crate) budget: Slot<Budget>,
    /// A request whose body is larger is sent once: 0 to 1MiB.
    #[schemars(extend("default" = RETRY_BODY_LIMIT.to_string()))]
    pub(crate) body_limit: Slot<Size<0, RETRY_BODY_LIMIT_MAX>>,
    /// Try POST and PATCH again too, though the backend may have acted.
    #[schemars(extend("default" = false))]
    pub(crate) unsafe_methods: Slot<Flag>,
}

/// The wait before a retry: `base`, doubled each time up to `max`, of which a random part is waited.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `base` and `max`"
)]
pub(crate) struct Backoff {
    /// The first wait.
    #[schemars(extend("default" = RETRY_BACKOFF_BASE.to_string()))]
    pub(crate) base: Slot<Written<Millis>>,
    /// The longest wait; at least `base`.
    #[schemars(extend("default" = RETRY_BACKOFF_MAX.to_string()))]
    pub(crate) max: Slot<Written<Millis>>,
}

/// Retries allowed: a share of the requests of the last ten seconds, and some each second besides.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `percent` and `minPerSecond`"
)]
pub(crate) struct Budget {
    /// The share, in percent.
    #[schemars(extend("default" = RETRY_BUDGET_PERCENT))]
    pub(crate) percent: Slot<Int<0, 100>>,
    /// Those besides.
    #[schemars(extend("default" = RETRY_BUDGET_PER_SECOND))]
    pub(crate) min_per_second: Slot<Int<0, RETRY_BUDGET_PER_SECOND_MAX>>,
}

/// What makes a try worth repeating: a word or a status.
#[derive(Debug)]
pub(crate) struct RetryOn(pub(crate) model::RetryOn);

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RetryOnVisitor)
    }
}

struct RetryOnVisitor;

impl Visitor<'_> for RetryOnVisitor {
    type Value = RetryOn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`connectFailure`, `reset`, `timeout`, `refusedStream`, `gatewayError`, `5xx`, a status of gRPC as `unavailable`, or a status from 400 to 599")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RetryOn, E> {
        if let Some((_, on)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(RetryOn(*on));
        }
        match closest(text, WORDS.iter().map(|(word, _)| *word)) {
            Some(word) => Err(refuse(Invalid::rather(
                format!("`{text}` is no reason to retry"),
                word,
            ))),
            None => Err(E::invalid_type(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<RetryOn, E> {
        match u16::try_from(value) {
            Ok(status @ 400..=599) => Ok(RetryOn(model::RetryOn::Status(status))),
            _ => Err(E::invalid_type(de::Unexpected::Signed(value), &self)),
        }
    }
}

impl JsonSchema for RetryOn {
    fn schema_name() -> Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
        json_schema!({
            "description": "What makes a try worth repeating: no connection; the connection ended before a \
                response head; the backend timeout passed; an HTTP/2 backend refused the stream; 502, 503 or 504; any 5xx; that status of gRPC without a message before; or this status.",
            "anyOf": [{ "enum": words }, { "type": "integer", "minimum": 400, "maximum": 599 }],
        })
    }
}

const WORDS: [(&str, model::RetryOn); 11] = [
    ("connectFailure", model::RetryOn::ConnectFailure),
    ("reset", model::RetryOn::Reset),
    ("timeout", model::RetryOn::Timeout),
    ("refusedStream", model::RetryOn::RefusedStream),
    ("gatewayError", model::RetryOn::GatewayError),
    ("5xx", model::RetryOn::ServerError),
    ("cancelled", model::RetryOn::Grpc(GrpcStatus::CANCELLED)),
    (
        "deadlineExceeded",
        model::RetryOn::Grpc(GrpcStatus::DEADLINE_EXCEEDED),
    ),
    ("internal", model::RetryOn::Grpc(GrpcStatus::INTERNAL)),
    (
        "resourceExhausted",
        model::RetryOn::Grpc(GrpcStatus::RESOURCE_EXHAUSTED),
    ),
    ("unavailable", model::RetryOn::Grpc(GrpcStatus::UNAVAILABLE)),
];
