//! Answers the gateway makes itself: by rule, as a redirect, for a failure.

use sluice_config::model::{Direct, Redirect};
use sluice_routing::filter::{HeaderEdits, Target, location};

use super::{Exchange, Next};
use crate::{
    answer::Answer,
    http::{Connection, Method, Reply, grpc_message},
};

impl Exchange<'_> {
    /// The answer a rule spells out.
    pub(super) async fn direct(&mut self, direct: &Direct, edits: &HeaderEdits) -> Next {
        let headers = direct
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        self.reply(direct.status, headers, direct.body.as_bytes(), edits);
        self.after_reply().await
    }

    /// A redirect (RFC 9110 15.4).
    pub(super) async fn redirect(
        &mut self,
        redirect: &Redirect,
        prefix_bytes: usize,
        edits: &HeaderEdits,
    ) -> Next {
        let request = &self.heads.request;
        let target = Target {
            scheme: self.account.forwarded.scheme().as_str(),
            host: request.host(),
            port: request
                .port()
                .unwrap_or_else(|| self.client.wire.local_address().port()),
            path: request.path(),
            query: request.query(),
            prefix_bytes,
        };
        let to = location(redirect, &target);
        self.reply(
            redirect.status,
            [("location", to.as_str())].into_iter(),
            b"",
            edits,
        );
        self.after_reply().await
    }

    /// What the table of failures says.
    pub(super) async fn failure(&mut self, answer: &Answer) -> Next {
        self.client.closing |= answer.close;
        if self.heads.request.is_grpc() {
            return self.grpc_failure(answer).await;
        }
        self.reply(
            answer.status,
            std::iter::empty(),
            answer.text.as_bytes(),
            &HeaderEdits::default(),
        );
        self.after_reply().await
    }

    /// The end of a call of gRPC, without a message before it: its status stands where trailers would be, in the head.
    async fn grpc_failure(&mut self, answer: &Answer) -> Next {
        let (status, message) = (answer.grpc.0.to_string(), grpc_message(answer.text));
        let content_type = match &self.client.web {
            None => "application/grpc",
            Some(web) => web.content_type(),
        };
        let fields = [
            ("content-type", content_type),
            ("grpc-status", status.as_str()),
            ("grpc-message", message.as_str()),
        ];
        self.account.grpc_status = Some(answer.grpc);
        self.reply(200, fields.into_iter(), b"", &HeaderEdits::default());
        self.after_reply().await
    }

    fn reply<'h>(
        &mut self,
        status: u16,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
        body: &[u8],
        edits: &'h HeaderEdits,
    ) {
        self.account.status = Some(status);
        let client = &mut *self.client;
        client.closing |= !client.may_keep_alive(&self.heads.request);
        let kept = headers.filter(|(name, _)| !edits.touches(name.as_bytes()));
        let added = edits.added().map(|(name, value)| (name.as_str(), value.as_str()));
        self.context.with_date(|date| {
            let reply = Reply {
                status,
                body,
                to_head: self.heads.request.method_kind() == Method::Head,
                client_version: self.heads.request.version(),
                connection: if client.closing {
                    Connection::Close
                } else {
                    Connection::KeepAlive
                },
                date,
            };
            client.wire.write_reply(&reply, kept.chain(added));
        });
        client.answered = true;
    }

    async fn after_reply(&mut self) -> Next {
        if self.client.closing {
            self.client.lingers = true;
            return Next::Close;
        }
        self.settle().await
    }
}
