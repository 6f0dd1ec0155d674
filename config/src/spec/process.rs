//! How the parts that concern the whole process are written.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{
    OrNone, Slot, Written,
    notation::{Bind, Text},
    scalar::{Int, Size},
};
use crate::{
    defaults::{ADMIN_BIND, CONNECTIONS_MAX, DRAIN_TIMEOUT, MEMORY_MIN, WORKER_CONNECTIONS, WORKERS_MAX},
    model::{ByteSize, Millis, value::Invalid},
    reader::refuse,
};

/// The admin HTTP server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `bind`"
)]
pub(crate) struct Admin {
    /// Where it listens. It has no authentication, so keep it on loopback.
    #[schemars(extend("default" = ADMIN_BIND.to_string()))]
    pub(crate) bind: Slot<Written<Bind>>,
}

/// How many workers run.
#[derive(Debug)]
pub(crate) enum Workers {
    Auto,
    Count(u16),
}

/// Bounds of the process.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `connections` and `memory`"
)]
pub(crate) struct Limits {
    /// Open client connections of one worker.
    #[schemars(extend("default" = WORKER_CONNECTIONS))]
    pub(crate) connections: Slot<Int<1, CONNECTIONS_MAX>>,
    /// Resident memory of the process, from 16MiB, or `none` for no bound. Close to it idle connections are given up, then
    /// no more are accepted, then requests are answered 503. By default what the control group (a container's or a
    /// unit's memory limit) allows.
    pub(crate) memory: Slot<OrNone<Size<MEMORY_MIN, { ByteSize::MAX }>>>,
}

/// How the process ends on SIGTERM.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `timeout`"
)]
pub(crate) struct Drain {
    /// How long requests in flight and tunnels may still run.
    #[schemars(extend("default" = DRAIN_TIMEOUT.to_string()))]
    pub(crate) timeout: Slot<Written<Millis>>,
}

/// The JSON access log.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map with `output`"
)]
pub(crate) struct AccessLog {
    /// Where a line for each request goes: `stdout`, `stderr`, `none`, or `{ file: PATH }`, which is opened for
    /// appending and again after SIGHUP.
    #[schemars(extend("default" = "none"))]
    pub(crate) output: Slot<LogOutput>,
}

/// Where a log goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogOutput {
    Stdout,
    Stderr,
    None,
    File(Written<Text>),
}

impl<'de> Deserialize<'de> for Workers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WorkersVisitor)
    }
}

struct WorkersVisitor;

impl Visitor<'_> for WorkersVisitor {
    type Value = Workers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`auto` or a whole number from 1 to {WORKERS_MAX}")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Workers, E> {
        match text {
            "auto" => Ok(Workers::Auto),
            _ => Err(E::invalid_type(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Workers, E> {
        match u16::try_from(value) {
            Ok(count) if (1..=WORKERS_MAX).contains(&u64::from(count)) => Ok(Workers::Count(count)),
            _ if value == 0 => Err(refuse(Invalid::rather("at least one worker runs", "auto"))),
            _ => Err(E::invalid_type(de::Unexpected::Signed(value), &self)),
        }
    }
}

impl JsonSchema for Workers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Workers".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "const": "auto" },
            { "type": "integer", "minimum": 1, "maximum": WORKERS_MAX },
        ]})
    }
}
