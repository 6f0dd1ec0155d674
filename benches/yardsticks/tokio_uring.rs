//! A yardstick: a proxy without features on tokio-uring, whose ring runs task work cooperatively. With deferred task
//! work it would hang, as it waits for the ring's descriptor and does not enter the ring to have the work run.

mod head;
mod relay;

use std::{error::Error, io, net::SocketAddr, rc::Rc};

use relay::{Pool, RING_ENTRIES, Stream, arguments, serve};
use tokio_uring::{
    buf::BoundedBuf,
    net::{TcpListener, TcpStream},
};

impl Stream for TcpStream {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = Self::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let end = buffer.len();
        let (result, slice) = Self::read(self, buffer.slice(end..)).await;
        result.map(|_| slice.into_inner())
    }

    async fn write_all(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let (result, buffer) = Self::write_all(self, buffer).await;
        result.map(|()| buffer)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (listen, origin) = arguments()?;
    let mut ring = tokio_uring::uring_builder();
    ring.setup_coop_taskrun();
    let mut builder = tokio_uring::builder();
    builder.entries(RING_ENTRIES).uring_builder(&ring);
    builder.start(async {
        let listener = TcpListener::bind(listen)?;
        let pool = Pool::new(origin);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio_uring::spawn(serve(stream, Rc::clone(&pool)));
        }
    })
}
