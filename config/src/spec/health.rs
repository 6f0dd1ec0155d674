//! How health checks are written.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{
    List, Slot, Written,
    notation::{Authority, Target},
    scalar::{Int, True},
};
use crate::{
    defaults::{
        HEALTH_CHANGE_AFTER_MAX, HEALTH_HEALTHY_AFTER, HEALTH_INTERVAL, HEALTH_PANIC_BELOW, HEALTH_TIMEOUT,
        HEALTH_UNHEALTHY_AFTER,
    },
    model::{Millis, StatusRange, value::Invalid},
    reader::refuse,
};

/// Active checks of every endpoint, `http` or `tcp`. Without them only failed requests tell of an endpoint's health.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a health check, a map with `http: { path: /healthz }` or `tcp: true`"
)]
pub(crate) struct Health {
    /// Ask over HTTP/1.1, by GET; with `tls` over TLS, as requests go.
    pub(crate) http: Slot<HttpCheck>,
    /// Only connect.
    pub(crate) tcp: Slot<True>,
    /// Where to ask; the endpoint's own port where it is left out.
    pub(crate) port: Slot<Int<1, 65_535>>,
    /// Between the starts of two checks of an endpoint, give or take a tenth: 10ms or more.
    #[schemars(extend("default" = HEALTH_INTERVAL.to_string()))]
    pub(crate) interval: Slot<Written<Millis>>,
    /// How long one check may take.
    #[schemars(extend("default" = HEALTH_TIMEOUT.to_string()))]
    pub(crate) timeout: Slot<Written<Millis>>,
    /// Checks passed in a row that bring an endpoint back. The first check of a new endpoint decides alone.
    #[schemars(extend("default" = HEALTH_HEALTHY_AFTER))]
    pub(crate) healthy_after: Slot<Int<1, HEALTH_CHANGE_AFTER_MAX>>,
    /// Checks failed in a row that leave an endpoint out.
    #[schemars(extend("default" = HEALTH_UNHEALTHY_AFTER))]
    pub(crate) unhealthy_after: Slot<Int<1, HEALTH_CHANGE_AFTER_MAX>>,
    /// While fewer than this share of the endpoints are healthy, in percent, all are used. At 0 requests are answered
    /// 503 when none is.
    #[schemars(extend("default" = HEALTH_PANIC_BELOW))]
    pub(crate) panic_below: Slot<Int<0, 100>>,
}

/// A check over HTTP.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a check over HTTP, a map with `path`"
)]
pub(crate) struct HttpCheck {
    /// What to ask for, with or without a query.
    pub(crate) path: Slot<Written<Target>>,
    /// The Host field; the endpoint's address where it is left out, or the name it is called by over TLS.
    #[serde(default)]
    pub(crate) host: Slot<Written<Authority>>,
    /// Statuses that pass, single ones and ranges.
    #[serde(default)]
    #[schemars(extend("default" = ["200-299"]))]
    pub(crate) statuses: Slot<List<Statuses, 1>>,
}

/// A status or a range of them.
#[derive(Debug)]
pub(crate) struct Statuses(pub(crate) StatusRange);

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusesVisitor)
    }
}

struct StatusesVisitor;

impl Visitor<'_> for StatusesVisitor {
    type Value = Statuses;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a status from 200 to 599 or a range such as `200-299`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Statuses, E> {
        text.parse()
            .map(Statuses)
            .map_err(|invalid: Invalid| refuse(invalid))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Statuses, E> {
        let range = u16::try_from(value)
            .ok()
            .and_then(|status| StatusRange::new(status, status).ok());
        range
            .map(Statuses)
            .ok_or_else(|| E::invalid_type(de::Unexpected::Signed(value), &self))
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A status from 200 to 599, or a range of them such as `200-299`.",
            "anyOf": [
                { "type": "integer", "minimum": 200, "maximum": 599 },
                { "type": "string", "pattern": "^[2-5][0-9]{2}(-[2-5][0-9]{2})?$" },
            ],
        })
    }
}
