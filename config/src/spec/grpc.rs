//! What a match asks of a request of gRPC: its path is `/package.Service/Method`.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Slot, Written};
use crate::model::value::Invalid;

/// Which calls: of a service, of a method, or one method of one service.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    default,
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a map of `service` and `method`"
)]
pub(crate) struct Grpc {
    /// The service with its package, as `helloworld.Greeter`; any if absent.
    pub(crate) service: Slot<Written<GrpcService>>,
    /// The method, as `SayHello`; any if absent.
    pub(crate) method: Slot<Written<GrpcMethod>>,
}

/// The full name of a service.
#[derive(Debug)]
pub(crate) struct GrpcService(pub(crate) String);

/// The name of a method.
#[derive(Debug)]
pub(crate) struct GrpcMethod(pub(crate) String);

impl FromStr for GrpcService {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.split('.').all(is_identifier) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::because(
                "a service of gRPC is called as in `package.Service`, without slashes",
            ))
        }
    }
}

impl FromStr for GrpcMethod {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if is_identifier(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid::because(
                "a method of gRPC is one identifier, as `SayHello`",
            ))
        }
    }
}

/// As the language of protocol buffers has them.
fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
