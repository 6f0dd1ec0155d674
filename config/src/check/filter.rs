//! Filters: header edits, rewrites, and answers of the gateway's own.

use super::{Checker, each, matching::by_element};
use crate::{
    defaults,
    model::{
        Action, Direct, Filters, HeaderEdit, HeaderName, HeaderValue, PathRewrite, Redirect, Rewrite,
        value::Invalid,
    },
    spec::{self, BackendFilter, Filter, Slot, Table, Written},
    tree::NodeId,
};

/// What the filters of a rule come to.
pub(super) struct RuleFilters {
    pub(super) filters: Filters,
    /// The answers instead of a backend's: one at most is right.
    pub(super) answers: Vec<(NodeId, Action)>,
}

/// The message whose header fields are edited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Request,
    Response,
}

impl Checker<'_> {
    /// The filters of a rule; `is_prefix` tells whether its every match has a `prefix` path.
    pub(super) fn rule_filters(
        &mut self,
        list: &Slot<spec::List<Filter>>,
        is_prefix: bool,
    ) -> Option<RuleFilters> {
        let mut made = RuleFilters {
            filters: Filters::default(),
            answers: Vec::new(),
        };
        let mut rewrites = 0;
        let all = each(list.items(), |at, filter| {
            match filter {
                Filter::RequestHeaders(edits) => {
                    made.filters
                        .request_headers
                        .extend(self.edits(edits, Message::Request)?);
                }
                Filter::ResponseHeaders(edits) => {
                    made.filters
                        .response_headers
                        .extend(self.edits(edits, Message::Response)?);
                }
                Filter::Direct(spec) => made.answers.push((at, self.direct(spec)?)),
                Filter::Redirect(spec) => made.answers.push((at, self.redirect(spec, is_prefix)?)),
                Filter::Rewrite(spec) => {
                    rewrites += 1;
                    if rewrites > 1 {
                        self.error(at, "a rule has one `rewrite`");
                    }
                    made.filters.rewrite = Some(self.rewrite(spec, is_prefix)?);
                }
            }
            Some(())
        });
        if matches!(list, Slot::Wrong(_)) {
            None
        } else {
            all.map(|_| made)
        }
    }

    pub(super) fn backend_filters(&mut self, list: &Slot<spec::List<BackendFilter>>) -> Option<Filters> {
        let mut made = Filters::default();
        let all = each(list.items(), |_, filter| {
            match filter {
                BackendFilter::RequestHeaders(edits) => {
                    made.request_headers.extend(self.edits(edits, Message::Request)?);
                }
                BackendFilter::ResponseHeaders(edits) => {
                    made.response_headers
                        .extend(self.edits(edits, Message::Response)?);
                }
            }
            Some(())
        });
        if matches!(list, Slot::Wrong(_)) {
            None
        } else {
            all.map(|_| made)
        }
    }

    /// Gateway API's order: set, then add, then remove.
    fn edits(&mut self, slot: &Slot<spec::HeaderEdits>, message: Message) -> Option<Vec<HeaderEdit>> {
        let spec = slot.value()?;
        let set = self.header_values(&spec.set, message);
        let add = self.header_values(&spec.add, message);
        let remove = each(spec.remove.items(), |at, Written(name)| {
            self.editable(at, name, message)
                .then(|| HeaderEdit::Remove(name.clone()))
        });
        if matches!(spec.remove, Slot::Wrong(_)) {
            return None;
        }
        let (set, add) = (set?.into_iter(), add?.into_iter());
        let set = set.map(|(name, value)| HeaderEdit::Set(name, value));
        let add = add.map(|(name, value)| HeaderEdit::Add(name, value));
        Some(set.chain(add).chain(remove?).collect())
    }

    fn header_values(
        &mut self,
        table: &Slot<Table<Written<HeaderName>, Written<HeaderValue>>>,
        message: Message,
    ) -> Option<Vec<(HeaderName, HeaderValue)>> {
        self.distinct_names(table.entries().iter().map(|(name, _)| name));
        let names = each(
            table.entries().iter().map(|(name, _)| name),
            |at, Written(name)| self.editable(at, name, message).then(|| name.clone()),
        );
        let values = each(table.entries().iter().map(|(_, value)| value), |_, value| {
            Some(value.0.clone())
        });
        if matches!(table, Slot::Wrong(_)) {
            return None;
        }
        Some(names?.into_iter().zip(values?).collect())
    }

    /// Whether a header field may be changed: those that frame a message or belong to one connection may not
    /// (RFC 9110 7.6.1, RFC 9112 6).
    fn editable(&mut self, at: NodeId, name: &HeaderName, message: Message) -> bool {
        let Some((_, repair)) = FRAMING.iter().find(|(framing, _)| *framing == name.as_str()) else {
            return true;
        };
        let repair = if name.as_str() == "host" && message == Message::Response {
            "a response has none"
        } else {
            repair
        };
        self.error(at, format!("`{name}` cannot be changed: {repair}"));
        false
    }

    fn direct(&mut self, slot: &Slot<spec::Direct>) -> Option<Action> {
        let (at, spec) = slot.given()?;
        let status = self
            .required(at, "status", &spec.status)
            .and_then(|status| status.get::<u16>());
        let headers = self.header_values(&spec.headers, Message::Response);
        let body = spec.body.read_or(String::new(), |body| body.0.0.clone());
        if let (Some(body), Some(written)) = (&body, spec.body.node()) {
            if body.len() > defaults::DIRECT_BODY_BYTES_MAX {
                let reason = format!(
                    "a body of a `direct` has at most {} bytes",
                    defaults::DIRECT_BODY_BYTES_MAX
                );
                self.error(written, reason);
            }
            if let Some(status @ (204 | 205 | 304)) = status
                && !body.is_empty()
            {
                self.error(
                    written,
                    format!("a response of status {status} has no body (RFC 9110 15)"),
                );
            }
        }
        Some(Action::Direct(Direct {
            status: status?,
            body: body?,
            headers: headers?,
        }))
    }

    fn redirect(&mut self, slot: &Slot<spec::Redirect>, is_prefix: bool) -> Option<Action> {
        let (at, spec) = slot.given()?;
        let path = self.path_rewrite(&spec.path, is_prefix);
        let parts = [
            spec.scheme.node(),
            spec.host.node(),
            spec.port.node(),
            spec.path.node(),
        ];
        if parts.iter().all(Option::is_none) {
            self.error(
                at,
                "this redirects to the same place: write `scheme`, `host`, `port` or `path`",
            );
        }
        let status = spec.status.number_or(defaults::REDIRECT_STATUS);
        if let (Some(304..=306), Some(written)) = (status, spec.status.node()) {
            self.error(written, "a redirect has the status 301, 302, 303, 307 or 308");
        }
        let scheme = spec.scheme.read_or(None, |scheme| {
            Some(match scheme {
                spec::Scheme::Http => "http".to_owned(),
                spec::Scheme::Https => "https".to_owned(),
            })
        });
        Some(Action::Redirect(Redirect {
            scheme: scheme?,
            host: spec.host.read_or(None, |host| Some(host.0.0.clone()))?,
            port: spec.port.read_or(None, |port| port.get())?,
            path: path?,
            status: status?,
        }))
    }

    fn rewrite(&mut self, slot: &Slot<spec::Rewrite>, is_prefix: bool) -> Option<Rewrite> {
        let (at, spec) = slot.given()?;
        let path = self.path_rewrite(&spec.path, is_prefix);
        if spec.host.node().is_none() && spec.path.node().is_none() {
            self.error(at, "this rewrites nothing: write `host` or `path`");
        }
        Some(Rewrite {
            host: spec.host.read_or(None, |host| Some(host.0.0.clone()))?,
            path: path?,
        })
    }

    fn path_rewrite(
        &mut self,
        slot: &Slot<spec::PathRewrite>,
        is_prefix: bool,
    ) -> Option<Option<PathRewrite>> {
        let Some((at, spec)) = slot.given() else {
            return if slot.node().is_none() { Some(None) } else { None };
        };
        Some(Some(match spec {
            spec::PathRewrite::Full(path) => PathRewrite::Full(path.0.0.clone()),
            spec::PathRewrite::Prefix(path) => {
                if !is_prefix {
                    let reason =
                        "a prefix is replaced only where every match of the rule has a `prefix` path";
                    self.findings.error(at, Invalid::because(reason));
                }
                PathRewrite::Prefix(by_element(&path.0.0))
            }
        }))
    }
}

/// The header fields that cannot be edited, and what to do instead.
const FRAMING: &[(&str, &str)] = &[
    ("host", "use `rewrite.host`"),
    ("content-length", "it frames the message, and Sluice writes it"),
    ("transfer-encoding", "it frames the message, and Sluice writes it"),
    ("trailer", "it frames the message, and Sluice writes it"),
    (
        "connection",
        "it belongs to one connection; timeouts and `pool` say how long connections are kept",
    ),
    (
        "keep-alive",
        "it belongs to one connection; timeouts and `pool` say how long connections are kept",
    ),
    (
        "proxy-connection",
        "it belongs to one connection; timeouts and `pool` say how long connections are kept",
    ),
    ("te", "it belongs to one connection, and Sluice writes it"),
    (
        "upgrade",
        "it belongs to one connection; what clients ask for is passed on",
    ),
];
