//! Secure transports.
//!
//! Owns what is known of TLS and X.509: handshakes, records, certificates and whom they name. The only crate that names
//! rustls. Refuses files and clocks beyond what a handshake needs: material comes in as bytes, time as an argument.
//!
//! [`Stream`] is what sessions read and write, plain or secure with one face. [`ServerContext`] is how a listener ends
//! TLS and [`ClientContext`] how a service is reached over it, made of [`material`] that the control thread has read.
//! Below both, `session` is the one place where records are opened and sealed: bytes in and plaintext out, plaintext in
//! and records out, without a socket. What the control thread itself says over TLS goes by [`control`].

mod certificate;
mod client;
mod client_hello;
pub mod control;
mod digest;
mod failure;
pub mod material;
mod peer;
mod server;
mod session;
mod stream;
mod transport;
mod verifier;

pub use client::{ClientContext, ClientSettings, Expected};
pub use client_hello::{BadHello, ClientHello, HelloReader};
pub use digest::sha1;
pub use failure::{Failure, Reason};
pub use peer::Peer;
pub use server::{Clients, ServerContext, ServerSettings, WrongSettings};
pub use stream::Stream;
pub use transport::Transport;

/// Whether these first bytes of a connection begin a TLS record that holds a handshake (RFC 8446 5.1):
/// content type 22 and major version 3. Fewer than two bytes tell nothing and give `false`.
#[must_use]
pub const fn begins_handshake(first: &[u8]) -> bool {
    matches!(first, [22, 3, ..])
}

#[cfg(test)]
mod tests;
