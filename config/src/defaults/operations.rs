//! What the operations side bounds: the control thread, the admin server, the logs, the commands.

use std::time::Duration;

// Metrics.

/// Loads of the configuration for which a series lives on after its names left it: long enough that a name taken
/// out and put back keeps its counts, short enough that generated names cannot pile up.
pub const SERIES_RELOADS_KEPT: u64 = 8;

// The logs.

/// Buffers kept for each worker: one being filled while another comes back.
pub const ACCESS_LOG_BUFFERS_RETURNED_MAX: usize = 4;
/// Longest value written: a target within the default limit stands whole, a header of 60 KiB does not fill the disk.
pub const ACCESS_LOG_TEXT_BYTES_MAX: usize = 8 * 1024;
/// A batch is handed on at this size: a hundred lines for each wake-up of the writer, still inside the level 2 cache.
pub const ACCESS_LOG_BATCH_BYTES: usize = 32 * 1024;
/// Batches waiting for the writer, all workers together: 2 MiB ride out a pause of the disk, then lines are dropped.
pub const ACCESS_LOG_BATCHES_QUEUED_MAX: usize = 64;
/// For the last lines of the access log.
pub const ACCESS_LOG_END_TIMEOUT: Duration = Duration::from_secs(1);

// Configuration files.

/// Largest file, in bytes: a thousand times a long hand-written one, and what a mistaken path must not exceed.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Readings until one was not disturbed by a swap of links; swaps are seconds apart.
pub const FILE_READS_MAX: u32 = 3;
/// Links followed from one path: what Linux itself follows (path_resolution(7)).
pub const FILE_LINKS_FOLLOWED_MAX: usize = 40;
/// Longer than the pause between the writes of one save or one ConfigMap update, too short to be noticed.
pub const RELOAD_QUIET: Duration = Duration::from_millis(100);
/// A storm of changes reloads once a second.
pub const RELOAD_LATEST: Duration = Duration::from_secs(1);

// The certificate authority.

/// Before now a certificate begins, if that is a small part of its life: clocks of hosts differ by minutes at worst.
pub const CA_BACKDATED: Duration = Duration::from_secs(5 * 60);
/// And at most such a part of its life: what is left of it is to be told from its two ends.
pub const CA_BACKDATED_PART: u32 = 12;
/// Life of a root: whoever trusts it must be told of the next one.
pub const CA_ROOT_LIFE: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// Life of an intermediate, which is replaced without telling those who trust the root.
pub const CA_INTERMEDIATE_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Shortest life of a workload's certificate: below it a renewal in time is luck, as its last third is the time of one
/// try and a half. Of use to try out what renewals do; who wants to sleep takes hours.
pub const CA_TTL_MIN: Duration = Duration::from_secs(5);
/// Longest life of a workload's certificate: nothing revokes it, so what was lost is good until then.
pub const CA_TTL_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);

// The authority as a server.

/// Life of its own certificate, which it renews by itself.
pub const CA_SERVER_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// After its renewal failed.
pub const CA_SERVER_RETRY: Duration = Duration::from_secs(60);
/// Connections at once: each is there for the time of a handshake and one answer, so a thousand workloads that start
/// together are served within seconds.
pub const CA_CONNECTIONS_MAX: usize = 128;
/// One connection, whatever it does: three round trips to the far side of the world and the time of a busy core, ten times
/// over.
pub const CA_CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// A request head: there are no cookies here; hyper's smallest bound is 8 KiB.
pub const CA_HEAD_BYTES_MAX: usize = 8 * 1024;
/// A request body: a request to sign an RSA key of 8192 bits, with its token, three times over.
pub const CA_BODY_BYTES_MAX: usize = 16 * 1024;
/// After accept failed, for want of file descriptors most likely.
pub const CA_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Life of a join token where none is asked for: long enough to bring it to another host by hand.
pub const CA_TOKEN_LIFE: Duration = Duration::from_secs(60 * 60);
/// Longest life of a join token: who finds one that was forgotten is whom it names.
pub const CA_TOKEN_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How a join token begins, so that it is known for what it is wherever it turns up.
pub const JOIN_TOKEN_PREFIX: &str = "sluice-join-v1.";
/// A join token and white space around it: no more is read of its file.
pub const CA_TOKEN_BYTES_MAX: u64 = 1024;

// The identity of this process.

/// From the connect to the whole answer of the authority, which does this within milliseconds when it is well.
pub const IDENTITY_FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer: two chains of ten large certificates.
pub const IDENTITY_ANSWER_BYTES_MAX: usize = 128 * 1024;
/// How long a start without a certificate asks an authority that does not answer: it may be starting too, as after a power
/// cut; a supervisor starts again whoever gives up.
pub const IDENTITY_START_PATIENCE: Duration = Duration::from_secs(30);
/// First wait before asking again.
pub const IDENTITY_RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait before asking again: a thousand workloads then ask an authority that comes back thirty times a second.
pub const IDENTITY_RETRY_MAX: Duration = Duration::from_secs(30);
/// The time of day is looked at so often: a clock that was set, or a host that slept, does not put a renewal off.
pub const IDENTITY_LOOK_INTERVAL: Duration = Duration::from_secs(60);

// The control thread.

/// Events of one kind that wait for the loop: those who tell more wait for their turn.
pub const EVENTS_QUEUED_MAX: usize = 64;
/// How long a configuration waits for the addresses of its endpoints before it goes live without: a name server that
/// answers does so within it, lost packets included.
pub const DNS_AWAITED: Duration = Duration::from_secs(3);
/// How long a change of addresses waits for others, so that many names make one snapshot.
pub const DNS_PUBLISH_DELAY: Duration = Duration::from_millis(50);

// Names of endpoints.

/// Between two look-ups of a name whose records say less: a time to live of 0 must not become a flood.
pub const DNS_REFRESH_MIN: Duration = Duration::from_secs(1);
/// Between two look-ups of a name whose records say more: a day's time to live, once wrong, would last that day.
pub const DNS_REFRESH_MAX: Duration = Duration::from_secs(300);
/// Between two look-ups of a name that does not resolve.
pub const DNS_RETRY_MAX: Duration = Duration::from_secs(30);
/// For how long the last addresses hold when look-ups fail: an outage of DNS is over by then, and addresses that are
/// given to others are not used for ever.
pub const DNS_KEPT: Duration = Duration::from_secs(3600);
/// Addresses used of one name: more than any answer fits usefully, and a bound on what an answer can cost.
pub const DNS_ADDRESSES_MAX: usize = 256;
/// Look-ups at once: half of what the resolver allows on one connection.
pub const DNS_LOOKUPS_AT_ONCE_MAX: usize = 16;
/// One look-up with all its retries and search domains: twice the five seconds of one query.
pub const DNS_LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

// Health checks.

/// Checks at once: half of the descriptors kept back for all but connections. Where all of them hang for the default second,
/// 640 endpoints are still asked each 5 s.
pub const HEALTH_CHECKS_AT_ONCE_MAX: usize = 128;
/// A response head: what tells of health is short; hyper's smallest bound is 8 KiB.
pub const HEALTH_HEAD_BYTES_MAX: usize = 16 * 1024;
/// Of a response body as much is read, so that the endpoint can end its answer, and no more: ten times what health
/// endpoints tell.
pub const HEALTH_BODY_BYTES_MAX: usize = 64 * 1024;

// Workers.

/// File descriptors for all but connections: files, logs, rings, admin, listeners.
pub const DESCRIPTORS_RESERVED: u64 = 256;
/// Client connections that share one pipe for large bodies: few of them hold bytes in one at a time.
pub const CONNECTIONS_PER_PIPE: u32 = 16;
/// Most pipes of a worker: as many as keep one core busy with large bodies, many times over.
pub const PIPES_MAX: u32 = 256;
/// For a sign of life: a thousand turns of a busy worker; a probe's usual time-out is 1 s too.
pub const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a start waits for addresses that another process listens at: a predecessor that was told to end still takes
/// those whose handshake had begun.
pub const CLAIM_PATIENCE: Duration = Duration::from_secs(1);
/// How soon the end of a worker, or how much memory is used, is noticed: in this time a flood of 1 GB/s, all of which
/// would have to be held, takes a quarter of a gigabyte.
pub const WORKERS_CHECK_INTERVAL: Duration = Duration::from_millis(250);

// Memory, in percent of `limits.memory`.

/// From here on connections are not kept idle, on either side.
pub const MEMORY_TIGHT_PERCENT: u64 = 92;
/// From here on no connection is accepted.
pub const MEMORY_SHORT_PERCENT: u64 = 95;
/// From here on no request is served.
pub const MEMORY_OUT_PERCENT: u64 = 98;
/// So far below it a step is left again, so that none is taken and left all the time.
pub const MEMORY_SLACK_PERCENT: u64 = 2;
/// How long past their own time workers may take to end before the process ends without them.
pub const DRAIN_GRACE: Duration = Duration::from_secs(2);

// The upgrade of the binary.

/// From the start of a new process until it serves: three times what a start may wait for the names of endpoints. It
/// holds back reloads meanwhile, so it must not last.
pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the exit status of a new process that has said, or shown, that it fails.
pub const UPGRADE_END_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two messages of the process that gives its sockets away: it has nothing else to do then.
pub const HANDOFF_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages until the last: more than the descriptors a process may usually have.
pub const HANDOFF_SOCKETS_MAX: usize = 65_536;
/// For the service manager to take one datagram.
pub const NOTIFY_TIMEOUT: Duration = Duration::from_secs(1);

// The admin server.

/// How long a page waits for the control loop: a probe's usual time-out is longer.
pub const ADMIN_CONTROL_TIMEOUT: Duration = Duration::from_millis(2500);
/// Connections at once: a scraper, probes and an operator need ten.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// From accept, or the end of an answer, to the end of a head: as long as silent connections that take all the room may
/// keep a probe waiting; Kubernetes gives up on one after three failures, 10 s apart.
pub const ADMIN_HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// One connection, whatever it does: scrapers open another one.
pub const ADMIN_CONNECTION_TIME_MAX: Duration = Duration::from_secs(600);
/// A request head: the longest URL to explain with room to spare; hyper's smallest bound is 8 KiB.
pub const ADMIN_HEAD_BYTES_MAX: usize = 64 * 1024;
/// After accept failed, for want of file descriptors most likely.
pub const ADMIN_ACCEPT_PAUSE: Duration = Duration::from_millis(100);

// The commands.

/// Lines that wait for the writer: every problem of a refused configuration and then some.
pub const LOG_LINES_QUEUED_MAX: usize = 2048;
/// For the last lines at the end of the process.
pub const LOG_END_TIMEOUT: Duration = Duration::from_secs(1);
/// Ports tried in a row.
pub const QUICKSTART_PORTS_TRIED_MAX: u16 = 100;
/// For the running gateway's answer: an operator waits no longer.
pub const DIFF_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer: several times the largest configuration that loads.
pub const DIFF_ANSWER_BYTES_MAX: usize = 256 << 20;
