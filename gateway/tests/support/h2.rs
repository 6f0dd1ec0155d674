//! Clients and backends that speak HTTP/2, over the library's own connections.
//!
//! Owns a runtime for each. What is to be malformed is written frame by frame elsewhere.

use std::{
    future::Future,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client, server};
use hyper::http::{HeaderMap, Method, Request, Response};
use tokio::{
    net::TcpStream,
    runtime::Builder,
    sync::watch,
    task::{LocalSet, spawn_local},
    time::timeout,
};

use super::GUARD;

/// Runs `test` to its end, with what it spawns.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let guarded = async { timeout(GUARD, test).await.expect("it ends in time") };
    LocalSet::new().block_on(&runtime, guarded)
}

/// A connection of a client; ends with it.
#[derive(Clone)]
pub struct Session {
    handle: client::SendRequest<Bytes>,
    authority: SocketAddr,
    ended: Rc<tokio::sync::Notify>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub interim: Vec<u16>,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

/// What came in place of an answer.
pub type Failed = h2::Error;

impl Session {
    /// Connects in clear text, by prior knowledge.
    pub async fn open(address: SocketAddr) -> Self {
        Self::with(address, client::Builder::new().initial_window_size(1 << 20)).await
    }

    /// As [`Self::open`], with settings of the test's own.
    pub async fn with(address: SocketAddr, builder: &client::Builder) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        let (handle, connection) = builder.handshake(stream).await.expect("a preface goes out");
        let ended = Rc::new(tokio::sync::Notify::new());
        let ends = Rc::clone(&ended);
        spawn_local(async move {
            let _ = connection.await;
            ends.notify_one();
        });
        Self {
            handle,
            authority: address,
            ended,
        }
    }

    /// Waits until the connection has ended.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// A request to be sent.
    pub fn request(&self, method: &str, path: &str) -> Request<()> {
        let uri = format!("http://{}{path}", self.authority);
        let method: Method = method.parse().expect("a method");
        Request::builder()
            .method(method)
            .uri(uri)
            .body(())
            .expect("a request")
    }

    /// Begins a request; its body is the caller's to send.
    pub async fn begin(
        &self,
        request: Request<()>,
        is_whole: bool,
    ) -> Result<(client::ResponseFuture, SendStream<Bytes>), Failed> {
        let mut handle = self.handle.clone().ready().await?;
        handle.send_request(request, is_whole)
    }

    /// Sends a request with a body and trailers, and reads the whole answer.
    pub async fn send(
        &self,
        request: Request<()>,
        body: &[u8],
        trailers: Option<HeaderMap>,
    ) -> Result<Answer, Failed> {
        let (response, mut stream) = self.begin(request, body.is_empty() && trailers.is_none()).await?;
        let upload = {
            let body = Bytes::copy_from_slice(body);
            spawn_local(async move {
                if !body.is_empty() || trailers.is_some() {
                    send_all(&mut stream, body, trailers).await;
                }
                stream
            })
        };
        let answer = read(response).await;
        upload.abort();
        answer
    }

    /// The status that a GET is answered with.
    pub async fn get_status(&self, path: &str) -> u16 {
        self.get(path).await.status
    }

    /// A GET, answered.
    pub async fn get(&self, path: &str) -> Answer {
        let request = self.request("GET", path);
        self.send(request, b"", None).await.expect("an answer")
    }
}

/// Reads an answer to its end.
pub async fn read(mut response: client::ResponseFuture) -> Result<Answer, Failed> {
    let mut interim = Vec::new();
    while let Some(Ok(head)) = std::future::poll_fn(|cx| response.poll_informational(cx)).await {
        interim.push(head.status().as_u16());
    }
    let (head, mut body) = response.await?.into_parts();
    let (body, trailers) = drain(&mut body).await?;
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        interim,
        body,
        trailers,
    })
}

/// Reads a body to its end.
pub async fn drain(body: &mut RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), Failed> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        bytes.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok((bytes, body.trailers().await?))
}

/// Sends a body to its end, as fast as the receiver lets it. `false` if the stream broke.
pub async fn send_all(stream: &mut SendStream<Bytes>, mut body: Bytes, trailers: Option<HeaderMap>) -> bool {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(Ok(count)) => {
                let piece = body.split_to(count.min(body.len()));
                if stream
                    .send_data(piece, body.is_empty() && trailers.is_none())
                    .is_err()
                {
                    return false;
                }
            }
            _ => return false,
        }
    }
    match trailers {
        Some(trailers) => stream.send_trailers(trailers).is_ok(),
        None => true,
    }
}

/// A backend; ends with the test's process.
pub struct Backend {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: watch::Sender<usize>,
}

/// One request as a backend's script gets it.
pub struct Asked {
    pub request: Request<RecvStream>,
    pub answer: server::SendResponse<Bytes>,
    /// The how-manieth connection it came by, from 0.
    pub connection: usize,
    /// Ends its connection after the streams that are open, or at once with an error.
    pub goodbye: Goodbye,
}

/// Tells the connection to end.
pub type Goodbye = tokio::sync::mpsc::UnboundedSender<Option<Reason>>;

impl Backend {
    /// Serves each request by `script`, at most `streams` at a time on a connection.
    pub fn serving<F: Future<Output = ()> + 'static>(
        streams: u32,
        script: impl Fn(Asked) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::with(server::Builder::new().max_concurrent_streams(streams), script)
    }

    /// As [`Self::serving`], with settings of the test's own.
    pub fn with<F: Future<Output = ()> + 'static>(
        builder: &server::Builder,
        script: impl Fn(Asked) -> F + Send + Sync + 'static,
    ) -> Self {
        let builder = builder.clone();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address = listener.local_addr().expect("an address");
        let (connections, requests) = (Arc::<AtomicUsize>::default(), watch::Sender::new(0));
        let counts = (Arc::clone(&connections), requests.clone());
        let script = Arc::new(script);
        thread::spawn(move || {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            LocalSet::new().block_on(&runtime, async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    let index = counts.0.fetch_add(1, Ordering::SeqCst);
                    let (script, requests) = (Arc::clone(&script), counts.1.clone());
                    spawn_local(serve(stream, index, builder.clone(), script, requests));
                }
            });
        });
        Self {
            address,
            connections,
            requests,
        }
    }

    /// Answers with the request's body and trailers; `x-connection` tells the connection, `x-te` what TE said.
    pub fn echo() -> Self {
        Self::serving(100, |mut asked| async move {
            let mut head = Response::builder()
                .status(200)
                .header("x-connection", asked.connection)
                .header("x-method", asked.request.method().as_str())
                .header(
                    "x-path",
                    asked
                        .request
                        .uri()
                        .path_and_query()
                        .map_or("", |path| path.as_str()),
                )
                .header(
                    "x-authority",
                    asked.request.uri().authority().map_or("", |host| host.as_str()),
                );
            for (name, value) in asked.request.headers() {
                head = head.header(format!("x-got-{name}"), value);
            }
            let Ok((body, trailers)) = drain(asked.request.body_mut()).await else {
                return;
            };
            let whole = body.is_empty() && trailers.is_none();
            let head = head.body(()).expect("a head");
            if let Ok(mut stream) = asked.answer.send_response(head, whole)
                && !whole
            {
                send_all(&mut stream, body.into(), trailers).await;
            }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections taken so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Requests begun so far.
    pub fn requests(&self) -> usize {
        *self.requests.borrow()
    }

    /// Waits until so many requests have begun.
    pub async fn wait_requests(&self, count: usize) {
        let mut requests = self.requests.subscribe();
        let seen = requests.wait_for(|seen| *seen >= count).await;
        seen.expect("this holds the sender");
    }
}

async fn serve<F: Future<Output = ()> + 'static>(
    stream: TcpStream,
    index: usize,
    builder: server::Builder,
    script: Arc<impl Fn(Asked) -> F + Send + Sync + 'static>,
    requests: watch::Sender<usize>,
) {
    let Ok(mut connection) = builder.handshake(stream).await else {
        return;
    };
    let (goodbye, mut goodbyes) = tokio::sync::mpsc::unbounded_channel();
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            Some(goodbye) = goodbyes.recv() => {
                match goodbye {
                    None => connection.graceful_shutdown(),
                    Some(reason) => connection.abrupt_shutdown(reason),
                }
                continue;
            }
        };
        let Some(Ok((request, answer))) = accepted else {
            return;
        };
        // Told only now that the script has it: who waits for it may then count on what the script does first.
        let answering = script(Asked {
            request,
            answer,
            connection: index,
            goodbye: goodbye.clone(),
        });
        requests.send_modify(|count| *count += 1);
        spawn_local(answering);
    }
}
