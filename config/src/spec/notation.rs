//! What texts with a notation look like: those of the model, and those only the language has.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use ipnet::IpNet;

use super::{
    grpc::{GrpcMethod, GrpcService},
    path::Path,
    scalar::Notation,
};
use crate::model::{
    Address, Glob, HeaderName, HeaderValue, HostPattern, Millis, Name, PathPattern, Pattern, ServiceAccount,
    SpiffePattern,
    value::{Invalid, check_token, host_text},
};

/// Any text.
#[derive(Debug)]
pub(crate) struct Text(pub(crate) String);

/// The address of a listening socket; never port 0.
#[derive(Debug)]
pub(crate) struct Bind(pub(crate) SocketAddr);

/// A network, or a single address as the network of one.
#[derive(Debug)]
pub(crate) struct Network(pub(crate) IpNet);

/// A host without a port.
#[derive(Debug)]
pub(crate) struct Host(pub(crate) String);

/// A host with or without a port.
#[derive(Debug)]
pub(crate) struct Authority(pub(crate) String);

/// What an HTTP/1.1 request asks for: a path with or without a query.
#[derive(Debug)]
pub(crate) struct Target(pub(crate) String);

/// A method.
#[derive(Debug)]
pub(crate) struct Method(pub(crate) String);

/// A cookie's name.
#[derive(Debug)]
pub(crate) struct CookieName(pub(crate) String);

macro_rules! notation {
    ($type:ty, $name:literal, $expected:literal, $pattern:literal) => {
        impl Notation for $type {
            const NAME: &'static str = $name;
            const EXPECTED: &'static str = $expected;
            const PATTERN: &'static str = $pattern;
        }
    };
}

notation!(Name, "Name", "a name", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$");
notation!(
    Millis,
    "Duration",
    "a duration such as `250ms`, `3s`, `5m` or `1h`",
    r"^[0-9]+(ms|s|m|h)$"
);
notation!(
    HeaderName,
    "HeaderName",
    "a header name",
    r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"
);
notation!(
    HeaderValue,
    "HeaderValue",
    "a header value",
    r"^([^\x00-\x20\x7f]([^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?$"
);
notation!(
    HostPattern,
    "HostPattern",
    "a host or a wildcard such as `*.example.com`",
    r"^((\*\.)?[A-Za-z0-9._-]{1,254}|\[[0-9A-Fa-f:.]+\])$"
);
notation!(
    GrpcService,
    "GrpcService",
    "the full name of a service of gRPC, as `package.Service`",
    r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
);
notation!(
    GrpcMethod,
    "GrpcMethod",
    "the name of a method of gRPC, as `SayHello`",
    "^[A-Za-z_][A-Za-z0-9_]*$"
);
notation!(Pattern, "Regex", "a regular expression", "^");
notation!(
    Address,
    "Address",
    "an address such as `10.0.0.1:80` or `name.example:80`",
    r"^.+:[0-9]{1,5}$"
);
notation!(
    Bind,
    "Bind",
    "an address and port such as `0.0.0.0:8080`",
    r"^[0-9A-Fa-f:.\[\]]+:[0-9]{1,5}$"
);
notation!(
    Network,
    "Network",
    "a network such as `10.0.0.0/8`",
    r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"
);
notation!(
    Host,
    "Host",
    "a host",
    r"^([A-Za-z0-9._-]{1,254}|\[[0-9A-Fa-f:.]+\])$"
);
notation!(
    Authority,
    "Authority",
    "a host",
    r"^([A-Za-z0-9._-]{1,254}|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$"
);
notation!(
    Method,
    "Method",
    "a method such as `GET`",
    r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$"
);
notation!(
    CookieName,
    "CookieName",
    "a cookie's name",
    r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"
);
notation!(Path, "Path", "a path such as `/api`", r"^/[!-~]*$");
notation!(
    Target,
    "Target",
    "a path with or without a query, such as `/healthz`",
    r"^/([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$"
);
notation!(
    PathPattern,
    "PathPattern",
    "a path such as `/api`, `/api/*` or `/api/{*}/x`",
    r"^[/*][!-~]*$"
);
notation!(
    SpiffePattern,
    "SpiffePattern",
    "a SPIFFE ID such as `spiffe://example.org/ns/*/sa/web`",
    r"^spiffe://[!-~]+$"
);
notation!(
    Glob,
    "Glob",
    "a name with or without a `*`",
    r"^[A-Za-z0-9._*-]+$"
);
notation!(
    ServiceAccount,
    "ServiceAccount",
    "a service account such as `web` or `default/web`",
    r"^([A-Za-z0-9._*-]+/)?[A-Za-z0-9._*-]+$"
);
notation!(Text, "Text", "text", "^");

impl FromStr for Text {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Bind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => Err(Invalid::because("a port is from 1 to 65535")),
            Ok(address) => Ok(Self(address)),
            Err(_) => Err(match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
                Ok(port) => Invalid::rather("an address to bind has a host", format!("0.0.0.0:{port}")),
                Err(_) => Invalid::because(
                    "an address to bind is an IP address and a port, as in `0.0.0.0:8080` or `[::]:8080`",
                ),
            }),
        }
    }
}

impl FromStr for Network {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(IpNet::from(address)));
        }
        let network: IpNet = text.parse().map_err(|_| {
            Invalid::because(
                "a network is an address and the bits that count, as in `10.0.0.0/8`, or one address",
            )
        })?;
        if network.trunc() != network {
            let reason = format!("bits beyond the first {} are set", network.prefix_len());
            return Err(Invalid::rather(reason, network.trunc().to_string()));
        }
        Ok(Self(network))
    }
}

impl FromStr for Host {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        host_text(text).map(Self)
    }
}

impl FromStr for Authority {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bracketed = text.starts_with('[');
        match text.rsplit_once(':') {
            Some((host, port)) if !text.contains("://") && (!bracketed || host.ends_with(']')) => {
                if !port.bytes().all(|b| b.is_ascii_digit())
                    || !port.parse::<u16>().is_ok_and(|port| port > 0)
                {
                    return Err(Invalid::because("a port is from 1 to 65535"));
                }
                Ok(Self(format!("{}:{port}", host_text(host)?)))
            }
            _ => host_text(text).map(Self),
        }
    }
}

impl FromStr for Target {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some((_, rest)) = text.split_once("://") {
            let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
            return Err(Invalid::rather("a path has no scheme and no host", path));
        }
        if !text.starts_with('/') {
            return Err(Invalid::rather("a path begins with `/`", format!("/{text}")));
        }
        // RFC 9112 3.2.1 and RFC 3986 3.3 and 3.4.
        let may_stand = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?%".contains(c);
        match text.chars().find(|&c| !may_stand(c)) {
            Some('#') => Err(Invalid::because(
                "a request has no fragment: it ends before the `#`",
            )),
            Some(wrong) => Err(Invalid::because(format!(
                "a path holds no {wrong:?}: write it percent-encoded"
            ))),
            None if text.split('%').skip(1).any(|rest| !begins_with_byte(rest)) => {
                Err(Invalid::because("`%` is followed by two hexadecimal digits"))
            }
            None => Ok(Self(text.to_owned())),
        }
    }
}

fn begins_with_byte(text: &str) -> bool {
    text.len() >= 2 && text.bytes().take(2).all(|digit| digit.is_ascii_hexdigit())
}

impl FromStr for Method {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        check_token(text, "a method")?;
        let upper = text.to_ascii_uppercase();
        if upper != text && KNOWN_METHODS.contains(&upper.as_str()) {
            return Err(Invalid::rather(
                "methods are written in upper case (RFC 9110 9.1)",
                upper,
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for CookieName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        check_token(text, "a cookie's name")?;
        Ok(Self(text.to_owned()))
    }
}

/// Methods that are surely meant in upper case (RFC 9110 9.3, RFC 5789).
const KNOWN_METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn suggestion<T: FromStr<Err = Invalid> + std::fmt::Debug>(text: &str) -> Option<String> {
        text.parse::<T>().err().and_then(|invalid| invalid.suggestion)
    }

    #[test]
    fn binds() {
        assert!("[::]:80".parse::<Bind>().is_ok());
        assert!("0.0.0.0:0".parse::<Bind>().is_err());
        assert!("localhost:80".parse::<Bind>().is_err());
        assert_eq!(suggestion::<Bind>(":8080").as_deref(), Some("0.0.0.0:8080"));
        assert_eq!(suggestion::<Bind>("8080").as_deref(), Some("0.0.0.0:8080"));
    }

    #[test]
    fn networks() {
        assert_eq!(
            "10.0.0.1".parse::<Network>().unwrap().0.to_string(),
            "10.0.0.1/32"
        );
        assert!("fd00::/8".parse::<Network>().is_ok());
        assert!("10.0.0.0/33".parse::<Network>().is_err());
        assert_eq!(suggestion::<Network>("10.1.2.3/8").as_deref(), Some("10.0.0.0/8"));
    }

    #[test]
    fn authorities() {
        for (text, is) in [
            ("A.b", "a.b"),
            ("a.b:80", "a.b:80"),
            ("[::1]:80", "[::1]:80"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(text.parse::<Authority>().unwrap().0, is);
        }
        for wrong in ["a:0", "a:+1", "a:99999", "http://a", "a b", "", ":80", "::1"] {
            assert!(wrong.parse::<Authority>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn targets() {
        for text in ["/", "/healthz", "/health?full=1&q=%20"] {
            assert_eq!(text.parse::<Target>().unwrap().0, text);
        }
        for wrong in ["", "/a b", "/a#b", "/é", "*", "/%", "/%2", "/%zz", "/a<"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
        assert_eq!(suggestion::<Target>("healthz").as_deref(), Some("/healthz"));
        assert_eq!(suggestion::<Target>("http://a:80/x?y").as_deref(), Some("/x?y"));
        assert_eq!(suggestion::<Target>("http://a").as_deref(), Some("/"));
    }

    #[test]
    fn methods() {
        assert!("PURGE".parse::<Method>().is_ok());
        assert!("G T".parse::<Method>().is_err());
        assert_eq!(suggestion::<Method>("get").as_deref(), Some("GET"));
    }
}
