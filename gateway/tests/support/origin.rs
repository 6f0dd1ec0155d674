//! Origins: backends that echo, record, answer by a script or misbehave on purpose.
//!
//! Owns the listening socket and a thread for each connection. Every byte received is kept, so that a
//! test can show what did and what did not reach an origin.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{
    GUARD,
    message::{Broken, Head, Wire, field},
};

/// A backend of the test's own. Stops listening when dropped.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// One connection from the gateway, as a script sees it.
pub struct Connection {
    /// The how-manieth connection of this origin, from 0.
    pub index: usize,
    wire: Wire,
    shared: Arc<Shared>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The how-manieth connection it came by, from 0.
    pub connection: usize,
}

/// What an origin has seen so far.
#[derive(Default)]
pub struct Seen {
    /// Connections taken.
    pub connections: usize,
    /// Of these, still served.
    pub open: usize,
    /// Whole requests, over all connections.
    pub requests: Vec<Request>,
    /// Bytes that were no clean request.
    pub unclean: Vec<Broken>,
    raw: Vec<Arc<Mutex<Vec<u8>>>>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl Origin {
    /// Answers every request with 200, `x-backend: name` and the request itself as the body.
    pub fn echo(name: &str) -> Self {
        let name = name.to_owned();
        Self::answering(move |request| echo(&name, request))
    }

    /// Answers every whole request with the bytes `answer` gives, on connections kept open.
    pub fn answering(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serving(move |mut connection| {
            while let Some(request) = connection.request() {
                connection.send(answer(&request));
                if request
                    .head
                    .values("connection")
                    .iter()
                    .any(|value| value.eq_ignore_ascii_case("close"))
                {
                    break;
                }
            }
        })
    }

    /// Runs `script` for each connection, on a thread of its own; the connection closes when it returns.
    pub fn serving(script: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::over(listener, script)
    }

    /// As [`Origin::serving`], on a listener of the test's.
    pub fn over(listener: TcpListener, script: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let (served, script) = (Arc::clone(&shared), Arc::new(script));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if served.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let connection = Connection::new(stream, &served);
                let (script, shared) = (Arc::clone(&script), Arc::clone(&served));
                thread::spawn(move || {
                    script(connection);
                    shared.lock().open -= 1;
                    shared.changed.notify_all();
                });
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen by now.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.lock()
    }

    /// Whole requests by now.
    pub fn requests(&self) -> Vec<Request> {
        self.seen().requests.clone()
    }

    /// Connections by now.
    pub fn connections(&self) -> usize {
        self.seen().connections
    }

    /// Every byte received by now, connection after connection.
    pub fn bytes(&self) -> Vec<u8> {
        let logs = self.seen().raw.clone();
        logs.iter()
            .flat_map(|log| log.lock().expect("no holder panics").clone())
            .collect()
    }

    /// Waits until `is_so` of what was seen.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        let seen = self.seen();
        let (_seen, timeout) = self
            .shared
            .changed
            .wait_timeout_while(seen, GUARD, |seen| !is_so(seen))
            .expect("no holder panics");
        assert!(!timeout.timed_out(), "the origin never saw: {what}");
    }

    /// Stops listening: later connects are refused. Connections taken go on.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok(); // wakes the accept
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder panics")
    }
}

impl Connection {
    fn new(stream: TcpStream, shared: &Arc<Shared>) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut seen = shared.lock();
        seen.raw.push(Arc::clone(&log));
        seen.connections += 1;
        seen.open += 1;
        let index = seen.connections - 1;
        drop(seen);
        shared.changed.notify_all();
        Self {
            index,
            wire: Wire::new(stream, Some(log)),
            shared: Arc::clone(shared),
        }
    }

    /// The next whole request, asked to go on if it waits for that; none when the gateway closed or sent something
    /// unclean (which is recorded).
    pub fn request(&mut self) -> Option<Request> {
        let read = self.head_recorded().and_then(|head| {
            if head
                .value("expect")
                .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
            {
                self.send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            let body = match head.framing() {
                Some(framing) => self.wire.body(framing)?,
                None => Default::default(),
            };
            Ok(Request {
                head,
                body: body.bytes,
                trailers: body.trailers,
                connection: self.index,
            })
        });
        let mut seen = self.shared.lock();
        let request = match read {
            Ok(request) => {
                seen.requests.push(request.clone());
                Some(request)
            }
            Err(Broken::Closed) => None,
            Err(broken) => {
                seen.unclean.push(broken);
                None
            }
        };
        drop(seen);
        self.shared.changed.notify_all();
        request
    }

    /// The next head only: the body stays unread.
    pub fn head(&mut self) -> Option<Head> {
        self.head_recorded().ok()
    }

    fn head_recorded(&mut self) -> Result<Head, Broken> {
        let head = self.wire.head()?;
        assert_clean(&head)?;
        Ok(head)
    }

    /// Sends `bytes`; true when the gateway took them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).is_ok()
    }

    /// The next `count` bytes, as from a tunnel; none when the gateway closed first.
    pub fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        self.wire.take(count).ok()
    }

    /// Waits until the gateway closes or resets; what came before.
    pub fn wait_close(&mut self) -> Vec<u8> {
        self.wire.rest().unwrap_or_default()
    }

    /// Waits for a byte without taking it; none when the gateway closed.
    pub fn more(&mut self) -> Option<usize> {
        self.wire.fill().ok().filter(|count| *count > 0)
    }

    /// Ends the sending side.
    pub fn finish(&mut self) {
        self.wire.finish();
    }

    /// Closes with a reset.
    pub fn reset(self) {
        self.wire.reset();
    }

    pub fn stream(&self) -> &TcpStream {
        self.wire.stream()
    }
}

impl Request {
    /// As an echo origin wrote it into its answer.
    pub fn from_echo(body: &[u8]) -> Self {
        let end = body
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("an echoed head")
            + 4;
        let head = String::from_utf8_lossy(&body[..end]).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let start = lines.next().unwrap_or("").to_owned();
        let fields = lines.map(|line| field(line).expect("a field line")).collect();
        let head = Head {
            start,
            fields,
            raw: body[..end].to_vec(),
        };
        Self {
            head,
            body: body[end..].to_vec(),
            trailers: Vec::new(),
            connection: 0,
        }
    }

    pub fn method(&self) -> &str {
        self.head.start.split(' ').next().unwrap_or("")
    }

    pub fn target(&self) -> &str {
        self.head.second()
    }

    /// The one value of a field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.value(name)
    }

    /// Every value of a field.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.head.values(name)
    }
}

/// A 200 with `body`.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend(body);
    answer
}

/// The echo of `request`; to a HEAD its head alone.
pub fn echo(name: &str, request: &Request) -> Vec<u8> {
    let length = request.head.raw.len() + request.body.len();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nx-backend: {name}\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    if request.method() != "HEAD" {
        answer.extend(&request.head.raw);
        answer.extend(&request.body);
    }
    answer
}

/// Refuses what no origin should ever get from a gateway, however lenient it is itself.
fn assert_clean(head: &Head) -> Result<(), Broken> {
    let unclean = |why: &str| {
        Err(Broken::Malformed(format!(
            "{why}: {:?}",
            String::from_utf8_lossy(&head.raw)
        )))
    };
    let text = String::from_utf8_lossy(&head.raw).replace("\r\n", "");
    if text.contains(['\r', '\n', '\0']) {
        return unclean("a bare CR, LF or NUL");
    }
    if head.start.split(' ').count() != 3 || !head.start.ends_with(" HTTP/1.1") {
        return unclean("the request line");
    }
    let is_token = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    if !head.fields.iter().all(|(name, _)| is_token(name)) {
        return unclean("a field name");
    }
    let count = |name| head.values(name).len();
    if count("host") != 1 || count("content-length") + count("transfer-encoding") > 1 {
        return unclean("Host or framing fields");
    }
    let length = head.values("content-length");
    if !length
        .iter()
        .all(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()))
    {
        return unclean("Content-Length");
    }
    if !head
        .values("transfer-encoding")
        .iter()
        .all(|value| *value == "chunked")
    {
        return unclean("Transfer-Encoding");
    }
    Ok(())
}
