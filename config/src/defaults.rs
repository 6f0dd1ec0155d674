//! Every bound and default of Sluice, each with its reason. Nothing else in the project names a bound.
//!
//! A constant that ends in `_MIN` or `_MAX` bounds what may be written; the others hold where nothing is.

pub mod operations;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::model::{
    ApplicationProtocol, KeyExchange, StatusRange, TlsVersion,
    value::{ByteSize, Millis, Weight},
};

// What the loader takes.

/// Most bytes of all sources of one configuration together: ten times a folder of 10,000 routes, and sixteen
/// times what a Kubernetes ConfigMap holds.
pub const SOURCE_BYTES_MAX: usize = 16 << 20;
/// Most YAML nodes of one configuration, aliases expanded: stops alias bombs at about 150 MiB of memory.
pub const YAML_NODES_MAX: usize = 2_000_000;
/// Deepest nesting of YAML: twice what the language needs, far less than a stack holds.
pub const YAML_DEPTH_MAX: usize = 32;
/// Most problems reported in one go: more than anyone reads, and a bound on memory.
pub const PROBLEMS_MAX: usize = 1000;
/// Most "did you mean" searches in one go: each compares with every name, so they are bounded.
pub const SUGGESTIONS_MAX: usize = 100;
/// Largest compiled regular expression in bytes: ten times what a long alternation of paths needs.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

// The process.

/// The admin server: loopback, because it has no authentication; 9901 is where Envoy's users look.
pub const ADMIN_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9901);
/// Most workers: twice the cores of the largest machines.
pub const WORKERS_MAX: u64 = 1024;
/// Open client connections of one worker: at 3 KiB an idle one 60 MiB, at 20 KiB a busy one 400 MiB.
pub const WORKER_CONNECTIONS: u32 = 20_000;
/// Most open client connections that may be asked for, of a worker or a listener: a million descriptors is
/// the kernel's `fs.nr_open`.
pub const CONNECTIONS_MAX: u64 = 1_000_000;
/// Smallest bound on resident memory: twice what one idle worker takes with its binary.
pub const MEMORY_MIN: u64 = 16 << 20;
/// How long requests may still run after SIGTERM: Kubernetes kills after 30 s by default.
pub const DRAIN_TIMEOUT: Millis = Millis::literal(30_000);

// Listeners.

/// Pending connections the kernel keeps: a burst of one second at 4,000 new connections; the kernel caps it
/// at `net.core.somaxconn`, 4096 since Linux 5.4.
pub const BACKLOG: u32 = 4096;
/// Largest backlog: `net.core.somaxconn` fits 16 bits.
pub const BACKLOG_MAX: u64 = 65_535;
/// Open connections of one listener and worker: four fifths of the worker's, so that a flooded listener leaves
/// the others room.
pub const LISTENER_CONNECTIONS: u32 = 16_000;
/// Largest request or response head in bytes: large cookies fit, a flood does not (FAULTS: 32-64 KiB).
pub const HEAD_BYTES_MAX: u64 = 64 * 1024;
/// [`HEAD_BYTES_MAX`] as a size.
pub const HEAD_BYTES: ByteSize = ByteSize::literal(HEAD_BYTES_MAX);
/// Smallest and largest head a listener may be set to: a bare request fits, a worker's memory is not at stake.
pub const HEAD_BYTES_BOUNDS: [u64; 2] = [1024, 1 << 20];
/// Most fields of a head: browsers send under 30, gRPC under 40; field floods stop here.
pub const HEAD_FIELDS_MAX: u16 = 100;
/// Most fields a listener may be set to: each is looked at for every request.
pub const HEAD_FIELDS_LIMIT: u64 = 1000;
/// Largest request target: what nginx, Apache and browsers' authors settled on (RFC 9110 4.1 asks for 8000).
pub const TARGET_BYTES: ByteSize = ByteSize::literal(8 * 1024);
/// Smallest and largest target a listener may be set to.
pub const TARGET_BYTES_BOUNDS: [u64; 2] = [256, 1 << 20];
/// Unsent and unread bytes of each direction of a request: one full receive window of a fast local peer.
pub const BUFFER_BYTES: ByteSize = ByteSize::literal(64 * 1024);
/// Smallest and largest buffer a listener may be set to: below, every read is a wake-up; above, a thousand slow
/// clients hold gigabytes.
pub const BUFFER_BYTES_BOUNDS: [u64; 2] = [4 * 1024, 16 << 20];
/// From the first byte of a head, or from accept, to its last: a silent or slow client is gone after this.
pub const HEAD_TIMEOUT: Millis = Millis::literal(10_000);
/// Most bytes of a PROXY header, version 2, with all that proxies add to it: what nginx takes, twenty times the addresses.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;
/// Between two bytes of a body: a client that stalls is gone after 30 s, as HAProxy's is.
pub const BODY_IDLE_TIMEOUT: Millis = Millis::literal(30_000);
/// A keep-alive connection without a request: what browsers and load balancers assume.
pub const IDLE_TIMEOUT: Millis = Millis::literal(60_000);
/// A tunnel without a byte either way: WebSocket users ping every 30 s or so, some only each half hour.
pub const TUNNEL_IDLE_TIMEOUT: Millis = Millis::literal(3_600_000);

// TLS.

/// A handshake from accept to its end: three round trips to the far side of the world and the time of a busy core, ten
/// times over; as long as a head may take.
pub const TLS_HANDSHAKE_TIMEOUT: Millis = Millis::literal(10_000);
/// Most bytes of a client's side of a handshake: a certificate chain of ten large certificates, and what rustls takes for
/// one message.
pub const TLS_HANDSHAKE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a hello that is read to be passed on, with the headers of its records: one record as large as records may
/// be (RFC 8446 5.1), ten times what clients with post-quantum keys send.
pub const TLS_HELLO_BYTES_MAX: usize = 5 + 16 * 1024;
/// The oldest version: 1.3 where both can, 1.2 for clients that cannot; older ones are broken (RFC 8996).
pub const TLS_MIN_VERSION: TlsVersion = TlsVersion::V12;
/// Key exchange: first what a recording of today's traffic does not open to tomorrow's quantum computer, as browsers and
/// OpenSSL 3.5 offer it; then what is quickest and what everybody has.
pub const TLS_GROUPS: [KeyExchange; 4] = [
    KeyExchange::X25519MlKem768,
    KeyExchange::X25519,
    KeyExchange::P256,
    KeyExchange::P384,
];
/// What is spoken inside: HTTP/2 with whoever can, as one connection then carries all of a client's requests.
pub const TLS_ALPN: [ApplicationProtocol; 2] = [ApplicationProtocol::Http2, ApplicationProtocol::Http1];
/// When `check` warns of a certificate that ends: two weeks leave time for a person to act, where a machine has failed to
/// (those of Let's Encrypt are renewed 30 days before their end).
pub const CERTIFICATE_WARNING_DAYS: i64 = 14;
/// Streams that a client may have open on one connection of HTTP/2: what RFC 9113 6.5.2 advises at least, and browsers are
/// content with.
pub const H2_STREAMS_MAX: u32 = 100;
/// Bytes that a backend may send on one stream of HTTP/2 before any of it was passed on: [`BUFFER_BYTES_MAX`]'s figure.
pub const H2_WINDOW: u32 = 64 * 1024;
/// How many streams' windows a connection of HTTP/2 has: so many bodies that nobody takes hold up the others. Bounds what
/// one connection makes the gateway hold.
pub const H2_CONNECTION_WINDOWS: u32 = 4;
/// Largest list of fields of one head in HTTP/2, each counted with 32 bytes more (RFC 9113 6.5.2): a head of the default
/// bounds fits.
pub const H2_HEADER_LIST_BYTES_MAX: u32 = 72 * 1024;
/// How long a backend's connection of HTTP/2 is silent before it is sent a PING: servers of gRPC take more than one in
/// five minutes for abuse.
pub const H2_PING_INTERVAL: Millis = Millis::literal(305_000);
/// How long the answer to a PING may take.
pub const H2_PING_TIMEOUT: Millis = Millis::literal(20_000);
/// Points of glitches (resets count ten, control frames one) from which on a connection of HTTP/2 is noted, told to open
/// no more streams, and ended: a hundred resets at once end it, as the best peers have it, while a browser that leaves a
/// page resets a few dozen at most.
pub const H2_GLITCHES_WARN: u32 = 250;
/// See [`H2_GLITCHES_WARN`].
pub const H2_GLITCHES_GOAWAY: u32 = 500;
/// See [`H2_GLITCHES_WARN`].
pub const H2_GLITCHES_MAX: u32 = 1000;
/// Points that wear off each second: what a busy proxy's clients, who give up now and then, may go on doing for ever.
pub const H2_GLITCHES_PER_SECOND: u32 = 200;
/// How long a client of HTTP/2 without streams may take to close after it was told that no more are taken.
pub const H2_GOODBYE_MAX: Millis = Millis::literal(5_000);
/// Where an identity is kept: beside the file that asks for one, so that two processes of one host do not share it.
pub const IDENTITY_FOLDER: &str = "identity";
/// For how long an identity's certificates are asked for: nothing revokes them, and an authority that is away for a night
/// is missed by no one.
pub const IDENTITY_TTL: Millis = Millis::literal(24 * 60 * 60 * 1000);
/// Sources of plaintext counted by their address for each listener; those after are counted together. Enough to see
/// whom to turn to next, and a bound on what a scrape holds.
pub const PLAINTEXT_SOURCES_MAX: usize = 64;

// Routes.

/// One try's wait for a response head: what nginx waits. The request as a whole has no bound by default, as it would cut
/// long downloads and event streams; a body that stalls ends by `bodyIdle`.
pub const BACKEND_TIMEOUT: Millis = Millis::literal(60_000);
/// A backend's share of a split where none is written.
pub const BACKEND_WEIGHT: Weight = Weight::literal(1);
/// Largest body of a `direct` answer: an error page, not a file server; it is held in every snapshot.
pub const DIRECT_BODY_BYTES_MAX: usize = 64 * 1024;
/// Status of a redirect: temporary, so that a mistake is not cached for ever.
pub const REDIRECT_STATUS: u16 = 302;
/// Tries after the first: one covers a lost endpoint.
pub const RETRY_ATTEMPTS: u8 = 1;
/// Most tries after the first: beyond it retries are load, not help.
pub const RETRY_ATTEMPTS_MAX: u64 = 10;
/// First wait before a retry: a little longer than a round trip within a region.
pub const RETRY_BACKOFF_BASE: Millis = Millis::literal(25);
/// Longest wait before a retry: Envoy's ten times the base.
pub const RETRY_BACKOFF_MAX: Millis = Millis::literal(250);
/// Retries as a share of requests: Linkerd's and Envoy's 20 %, so that an outage costs a fifth more, not a multiple.
pub const RETRY_BUDGET_PERCENT: u8 = 20;
/// Retries each second besides, so that quiet routes retry at all: Linkerd's 10.
pub const RETRY_BUDGET_PER_SECOND: u32 = 10;
/// Most retries each second besides: past it there is no budget.
pub const RETRY_BUDGET_PER_SECOND_MAX: u64 = 1_000_000;
/// Largest body kept for a replay: as much as a request may buffer anyway.
pub const RETRY_BODY_LIMIT: ByteSize = ByteSize::literal(64 * 1024);
/// Largest body that may be kept for a replay: a hundred such requests hold 100 MiB.
pub const RETRY_BODY_LIMIT_MAX: u64 = 1 << 20;

// Services.

/// Connecting: past two lost SYNs (1 s and 2 s later) another endpoint is the better bet.
pub const CONNECT_TIMEOUT: Millis = Millis::literal(3000);
/// Idle connections kept for each worker and endpoint: as many as requests that usually come at once. With 128, a thousand
/// clients at once cost two thirds more, as most requests then connect; HAProxy and Envoy keep all.
pub const POOL_IDLE_MAX: u32 = 1024;
/// Most idle connections that may be asked for.
pub const POOL_IDLE_LIMIT: u64 = 100_000;
/// How long an idle one is kept: half of the 60 to 75 s after which common servers close it under our hands.
pub const POOL_IDLE_TIMEOUT: Millis = Millis::literal(30_000);
/// Requests in flight for each worker and endpoint; more are a backend that stands still.
pub const POOL_REQUESTS_MAX: u32 = 10_000;
/// Most requests in flight that may be asked for.
pub const POOL_REQUESTS_LIMIT: u64 = 1_000_000;
/// Most methods of gRPC of one service that may be counted each by itself: each has some thirty series.
pub const GRPC_METHODS_LIMIT: u64 = 1000;
/// Failures without an answer in a row that eject an endpoint: Envoy's and Linkerd's five and seven.
pub const OUTLIER_CONSECUTIVE_FAILURES: u32 = 5;
/// Most failures in a row that may be asked for.
pub const OUTLIER_CONSECUTIVE_FAILURES_MAX: u64 = 1000;
/// First ejection: a restarted process is back after it.
pub const OUTLIER_EJECTION: Millis = Millis::literal(10_000);
/// Share of the endpoints out at once: with more than half gone the rest would fall too.
pub const OUTLIER_PERCENT_MAX: u8 = 50;

// Health checks.

/// Between two checks of an endpoint: HAProxy asks every 2 s, Envoy's users every 5 to 10, Kubernetes every 10; with three
/// failures in a row a dead endpoint is left out within 15 s, and what fails at once is ejected sooner.
pub const HEALTH_INTERVAL: Millis = Millis::literal(5000);
/// Shortest time between two checks of an endpoint: below it checks are load, and sooner than a failed request tells.
pub const HEALTH_INTERVAL_MIN: Millis = Millis::literal(10);
/// One check: what Kubernetes' probes wait; an endpoint that takes longer for its health has none to spare.
pub const HEALTH_TIMEOUT: Millis = Millis::literal(1000);
/// Checks passed in a row until an endpoint is back: HAProxy's `rise`.
pub const HEALTH_HEALTHY_AFTER: u32 = 2;
/// Checks failed in a row until it is left out: HAProxy's `fall` and Kubernetes' `failureThreshold`; one lost packet or
/// one pause of a garbage collector is no reason.
pub const HEALTH_UNHEALTHY_AFTER: u32 = 3;
/// Most checks in a row that may be asked for.
pub const HEALTH_CHANGE_AFTER_MAX: u64 = 1000;
/// Share of healthy endpoints below which all are used: none, because an endpoint that says it is not well is believed
/// (as in HAProxy; Envoy's 50 % sends half of the requests of a lasting outage to broken endpoints).
pub const HEALTH_PANIC_BELOW: u8 = 0;
/// Statuses that pass: those that say success (RFC 9110 15.3); a redirect to a login page is none.
pub const HEALTH_STATUSES: StatusRange = StatusRange::literal(200, 299);

// What the exchange bounds for every listener.

/// Largest body of an idempotent request kept without a retry policy, in bytes, so that it survives a kept
/// connection that the backend had just closed: what a request may buffer anyway.
pub const REPLAY_BYTES_MAX: u64 = 64 * 1024;
/// Endpoints tried for one connection that is passed on, each once: HAProxy's three with `redispatch`; with the default of
/// `connect` they take 9 s together, and clients seldom wait longer.
pub const PASSTHROUGH_ATTEMPTS: usize = 3;
/// Interim responses of one request passed on: 100, a few 103; a backend that sends more is broken.
pub const INTERIM_RESPONSES_MAX: u32 = 16;
/// How long the rest of a request is read whose answer is already written, to save its connection.
pub const SETTLE_MAX: Millis = Millis::literal(5000);
/// And how many bytes of it: a new connection is cheaper than more.
pub const SETTLE_BYTES_MAX: u64 = 256 * 1024;
/// How long a listening socket that goes takes those whose handshake had begun: a round trip to the other side of the
/// world and back.
pub const HANDSHAKES_END: Millis = Millis::literal(400);
/// How long a closing connection is read so that its last answer is not lost to a reset: nginx waits 5 s.
pub const LINGER_MAX: Millis = Millis::literal(2000);
/// And how many bytes.
pub const LINGER_BYTES_MAX: u64 = 4 << 20;
/// How long an idle connection stays when its listener drains: a client that sends more often than this is told
/// with its next answer, and loses nothing.
pub const DRAIN_IDLE_GRACE: Millis = Millis::literal(1000);
/// What `x-forwarded-client-cert` tells of one certificate at most, in bytes of its names: backends refuse longer lines.
pub const CLIENT_CERT_BYTES_MAX: usize = 4096;
/// How long a client that closed its sending side is still believed to read: clients that half-close on purpose get
/// quick answers, and those that left do not keep a backend working.
pub const HALF_CLOSED_GRACE: Millis = Millis::literal(1000);
/// Longest pause of accepting before room is looked for again: file descriptors also come back from elsewhere.
pub const ACCEPT_PAUSE_MAX: Millis = Millis::literal(100);
/// Idle time after which TCP asks whether the peer is still there: middle boxes forget connections after minutes.
pub const TCP_KEEPALIVE: Millis = Millis::literal(60_000);
/// How often a worker hands on log lines.
pub const HOUSEKEEPING_INTERVAL: Millis = Millis::literal(100);
/// And every how many of these it looks through its idle upstream connections.
pub const HOUSEKEEPING_SWEEP_TURNS: u32 = 10;
