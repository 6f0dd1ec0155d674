//! A client whose connection is passed on: unread, but for the hello of its TLS where that says where to.

use std::{future::poll_fn, net::SocketAddr, rc::Rc};

use sluice_config::model::Protocol;
use sluice_io::TcpStream;
use sluice_tls::HelloReader;

use super::{Entrance, Live};
use crate::{
    error::Failure,
    exchange::{self, Connection, Context, Next, Watchdog},
    wire::Wire,
};

/// Serves a connection to its end by the configuration that is live now, and drops `place` with it. The future holds each
/// thing once, as h1's does.
pub fn serve<P>(
    context: Rc<Context>,
    entrance: &Entrance,
    stream: TcpStream,
    peer: SocketAddr,
    place: P,
) -> impl Future<Output = ()> + use<P> {
    let live = entrance.live();
    let mut connection = Connection {
        wire: Wire::new(stream),
        peer,
        accepted: context.io.now(),
        watchdog: Watchdog::new(context.io.timer()),
        server_name: None,
    };
    async move {
        let arrived = arrive(&live, &mut connection).await;
        let next = exchange::pass_on(&context, &live.current, live.id, &mut connection, arrived).await;
        if next == Next::Abort {
            connection.wire.abort();
        }
        drop(place);
    }
}

/// Learns what there is to learn before it is passed on. The hello stays among what was received, and goes on as it came.
async fn arrive(live: &Live, connection: &mut Connection) -> Result<(), Failure> {
    let settings = &live.listener().settings;
    if settings.protocol != Protocol::Tls {
        return Ok(());
    }
    let mut reader = HelloReader::default();
    let wire = connection.wire.as_h1().ok_or(Failure::ClientGone)?;
    let hello = poll_fn(|cx| wire.poll_look(|received| reader.read(received).transpose(), cx));
    let until = connection.accepted + settings.tls_handshake_timeout.duration();
    let looked = connection.watchdog.until(Some(until), hello).await;
    let hello = looked
        .map_err(|_| Failure::ClientTimeout)?
        .ok_or(Failure::ClientGone)?;
    connection.server_name = hello.map_err(|bad| Failure::BadHello(bad.as_str()))?.server_name;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<'e, A, B, C, D, F: Future>(_: fn(A, &'e Entrance, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_costs_no_more_than_is_known() {
        // Every open connection holds one, as those of h1 do theirs.
        let bytes = size_of_future(serve::<()>);
        assert!(bytes <= 1104, "{bytes} bytes");
    }
}
