//! TLS on either side, and who is let in by it: certificates, identities of the mesh, policies.

#[path = "../support/harness.rs"]
mod harness;

mod authority;
mod authority_server;
mod client_certificate;
mod mesh;
mod mesh_hosts;
mod mtls;
mod passthrough;
mod policies;
mod rotation;
mod termination;
mod upstream;
