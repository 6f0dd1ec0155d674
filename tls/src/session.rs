//! One secure connection without a socket: records in, plaintext out; plaintext in, records out.
//!
//! Owns the only calls that open and seal records, behind a small trait: rustls 0.24 has another face for the same work.
//! Refuses buffers of its own: the caller's are read in place and appended to.

use rustls::{
    CommonState, Error,
    client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
    unbuffered::{
        ConnectionState, EncodeError, EncryptError, UnbufferedConnectionCommon, UnbufferedStatus,
        WriteTraffic,
    },
};

/// What turns records into plaintext and back. `received` is always what has been received and not taken, from the same
/// byte on: a handshake message that is not whole stays in it.
pub(crate) trait Records {
    /// Opens every whole record in `received`; appends plaintext to `plaintext`, and what must be sent to `records`: also
    /// an alert where it fails.
    fn open(&mut self, received: &mut [u8], plaintext: &mut Vec<u8>, records: &mut Vec<u8>) -> Opened;

    /// Seals `plaintext`, appending to `records`. Every whole record in `received` has been opened before.
    ///
    /// # Errors
    /// When nothing can be sent: before the end of the handshake, after a failure, or when keys are worn out.
    fn seal(&mut self, received: &mut [u8], plaintext: &[u8], records: &mut Vec<u8>) -> Result<(), Error>;

    /// Appends a close_notify (RFC 8446 6.1); nothing where there is nobody to read it.
    fn close(&mut self, received: &mut [u8], records: &mut Vec<u8>);
}

/// What came of opening records.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Bytes at the front of what was received that are done with.
    pub(crate) taken: usize,
    /// Whether more can come.
    pub(crate) outcome: Result<Then, Error>,
}

/// What can follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// More records.
    More,
    /// Nothing: the peer has ended its side well.
    Ended,
}

/// Either side of a connection.
pub(crate) enum Session {
    /// A client is at the other end.
    Server(UnbufferedServerConnection),
    /// A backend is.
    Client(UnbufferedClientConnection),
}

impl std::ops::Deref for Session {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        match self {
            Self::Server(connection) => connection,
            Self::Client(connection) => connection,
        }
    }
}

impl Records for Session {
    fn open(&mut self, received: &mut [u8], plaintext: &mut Vec<u8>, records: &mut Vec<u8>) -> Opened {
        match self {
            Self::Server(connection) => open(connection, received, plaintext, records),
            Self::Client(connection) => open(connection, received, plaintext, records),
        }
    }

    fn seal(&mut self, received: &mut [u8], plaintext: &[u8], records: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Self::Server(connection) => seal(connection, received, plaintext, records),
            Self::Client(connection) => seal(connection, received, plaintext, records),
        }
    }

    fn close(&mut self, received: &mut [u8], records: &mut Vec<u8>) {
        match self {
            Self::Server(connection) => close(connection, received, records),
            Self::Client(connection) => close(connection, received, records),
        }
    }
}

/// What both of rustls' unbuffered connections can do.
trait Endpoint {
    type Data;

    fn process<'c, 'i>(&'c mut self, received: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn common(&self) -> &CommonState;
}

impl Endpoint for UnbufferedServerConnection {
    type Data = rustls::server::ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, received: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        let common: &mut UnbufferedConnectionCommon<_> = self;
        common.process_tls_records(received)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl Endpoint for UnbufferedClientConnection {
    type Data = rustls::client::ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, received: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        let common: &mut UnbufferedConnectionCommon<_> = self;
        common.process_tls_records(received)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

fn open<E: Endpoint>(
    endpoint: &mut E,
    received: &mut [u8],
    plaintext: &mut Vec<u8>,
    records: &mut Vec<u8>,
) -> Opened {
    let mut taken = 0;
    let mut then = Then::More;
    loop {
        let UnbufferedStatus { mut discard, state } = endpoint.process(&mut received[taken..]);
        let mut blocked = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            plaintext.extend_from_slice(record.payload);
                            discard += record.discard;
                        }
                        Err(error) => {
                            return Opened {
                                taken,
                                outcome: Err(error),
                            };
                        }
                    }
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => append(records, |room| data.encode(room)),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => then = Then::Ended,
            Ok(ConnectionState::Closed) => (then, blocked) = (Then::Ended, true),
            // Early data is never accepted, so there is none to read.
            Ok(_) => blocked = true,
            Err(error) => {
                taken += discard;
                alert(endpoint, &mut received[taken..], records);
                return Opened {
                    taken,
                    outcome: Err(error),
                };
            }
        }
        taken += discard;
        if blocked {
            return Opened {
                taken,
                outcome: Ok(then),
            };
        }
    }
}

/// After a failure: what the peer is to be told of it.
fn alert<E: Endpoint>(endpoint: &mut E, received: &mut [u8], records: &mut Vec<u8>) {
    // Only while something waits: otherwise it would fail over the same record again.
    while endpoint.common().wants_write()
        && let Ok(ConnectionState::EncodeTlsData(mut data)) = endpoint.process(received).state
    {
        append(records, |room| data.encode(room));
    }
}

fn seal<E: Endpoint>(
    endpoint: &mut E,
    received: &mut [u8],
    plaintext: &[u8],
    records: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut outcome = Err(Error::HandshakeNotComplete);
    write(endpoint, received, records, |traffic, records| {
        let start = records.len();
        let expected = plaintext.len() + plaintext.len().div_ceil(RECORD_BYTES) * RECORD_OVERHEAD_BYTES;
        records.resize(start + expected, 0);
        let mut sealed = traffic.encrypt(plaintext, &mut records[start..]);
        if let Err(EncryptError::InsufficientSize(size)) = &sealed {
            records.resize(start + size.required_size, 0);
            sealed = traffic.encrypt(plaintext, &mut records[start..]);
        }
        records.truncate(start + sealed.as_ref().map_or(0, |length| *length));
        outcome = sealed.map(drop).map_err(|_| Error::EncryptError);
    })?;
    outcome
}

fn close<E: Endpoint>(endpoint: &mut E, received: &mut [u8], records: &mut Vec<u8>) {
    // A connection that failed, or never came to be, has nobody to tell.
    let _ = write(endpoint, received, records, |traffic, records| {
        append(records, |room| match traffic.queue_close_notify(room) {
            Ok(length) => Ok(length),
            Err(EncryptError::InsufficientSize(size)) => Err(EncodeError::InsufficientSize(size)),
            Err(EncryptError::EncryptExhausted) => Ok(0),
        });
    });
}

/// Comes to where plaintext may be written, sending before it what waits.
fn write<E: Endpoint>(
    endpoint: &mut E,
    received: &mut [u8],
    records: &mut Vec<u8>,
    act: impl FnOnce(&mut WriteTraffic<'_, E::Data>, &mut Vec<u8>),
) -> Result<(), Error> {
    loop {
        match endpoint.process(received).state? {
            ConnectionState::WriteTraffic(mut traffic) => {
                act(&mut traffic, records);
                return Ok(());
            }
            ConnectionState::EncodeTlsData(mut data) => append(records, |room| data.encode(room)),
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::PeerClosed => {}
            _ => return Err(Error::HandshakeNotComplete),
        }
    }
}

/// Appends what `encode` writes, as large as it says it is.
fn append(records: &mut Vec<u8>, mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>) {
    let start = records.len();
    let mut written = encode(&mut []);
    if let Err(EncodeError::InsufficientSize(size)) = &written {
        records.resize(start + size.required_size, 0);
        written = encode(&mut records[start..]);
    }
    records.truncate(start + written.unwrap_or(0));
}

/// The most plaintext of one record (RFC 8446 5.1).
pub(crate) const RECORD_BYTES: usize = 16 * 1024;
/// What a record is longer than its plaintext, at most: 5 of its head, 8 of a nonce (TLS 1.2), 16 of a tag, 1 of a type
/// (TLS 1.3), and two to spare.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 32;
