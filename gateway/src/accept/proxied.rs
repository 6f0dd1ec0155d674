//! The first moments of a connection that a proxy passes on: the header that says whose it is.

use std::{
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    task::{Poll, ready},
};

use sluice_io::TcpStream;

use super::Admitted;
use crate::{
    downstream::Entrance,
    exchange::{Context, Watchdog},
    http::is_trusted,
    snapshot::Listener,
    wire::proxy_protocol::{self, BadHeader},
};

/// Whether what comes from `peer` begins with a header. Of one that is no trusted proxy it is never read as such.
pub(super) fn tells(listener: &Listener, peer: SocketAddr) -> bool {
    let settings = &listener.settings;
    settings.proxy_protocol && is_trusted(peer.ip().to_canonical(), &settings.trusted_proxies)
}

/// Reads the header within `timeouts.head` of now, and goes on with the connection as one of whom it tells. This task ends
/// with it: what it takes to read a header no session holds.
pub(super) async fn run(
    context: Rc<Context>,
    entrance: Rc<Entrance>,
    mut stream: TcpStream,
    proxy: SocketAddr,
    admitted: Admitted,
) {
    let patience = entrance.live().listener().settings.head_timeout.duration();
    let until = context.io.now() + patience;
    let header = poll_fn(|cx| {
        loop {
            match proxy_protocol::read(stream.received()) {
                Ok(Some(header)) => return Poll::Ready(Ok(header)),
                Ok(None) => {}
                Err(bad) => return Poll::Ready(Err(bad.into())),
            }
            match ready!(stream.poll_more(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(Err(NoHeader::CLOSED)),
                Ok(_) => {}
            }
        }
    });
    let mut watchdog = Watchdog::new(context.io.timer());
    let header = watchdog.until(Some(until), header).await;
    drop(watchdog);
    match header.unwrap_or(Err(NoHeader::TIMEOUT)) {
        Ok(header) => {
            stream.consume(header.bytes);
            let result = if header.told.is_some() { "told" } else { "local" };
            count(&context, &entrance, result);
            let peer = header.told.map_or(proxy, |ends| ends.source);
            super::serve(context, entrance, stream, peer, admitted);
        }
        Err(NoHeader { reason, rule }) => {
            count(&context, &entrance, reason);
            let live = entrance.live();
            let name = live.listener().settings.name.as_str();
            tracing::debug!(listener = name, %proxy, reason, rule, "no PROXY header");
        }
    }
}

/// Why a connection is closed.
struct NoHeader {
    reason: &'static str,
    rule: Option<&'static str>,
}

impl NoHeader {
    const CLOSED: Self = Self {
        reason: "closed",
        rule: None,
    };
    const TIMEOUT: Self = Self {
        reason: "timeout",
        rule: None,
    };
}

impl From<BadHeader> for NoHeader {
    fn from(bad: BadHeader) -> Self {
        Self {
            reason: bad.as_str(),
            rule: bad.rule(),
        }
    }
}

fn count(context: &Context, entrance: &Entrance, result: &str) {
    let live = entrance.live();
    let metrics = live.listener().metrics.of(context.worker);
    metrics.proxy_headers.count(result);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ProxyHeaders;

    #[test]
    fn every_end_of_the_reading_is_counted() {
        let bad = [
            BadHeader::Missing,
            BadHeader::Malformed(""),
            BadHeader::TooLong,
            BadHeader::BadChecksum,
        ];
        let reasons = bad.map(|bad| NoHeader::from(bad).reason);
        let others = ["told", "local", NoHeader::CLOSED.reason, NoHeader::TIMEOUT.reason];
        for result in reasons.into_iter().chain(others) {
            assert!(ProxyHeaders::RESULTS.contains(&result), "{result}");
        }
    }
}
