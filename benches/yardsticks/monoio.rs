//! A yardstick: a proxy without features on monoio, whose ring has the flags that cost least (one issuer, deferred task
//! work). No gateway on this machine costs less by much.

mod head;
mod relay;

use std::{error::Error, io, net::SocketAddr, rc::Rc};

use monoio::{
    IoUringDriver, RuntimeBuilder,
    buf::IoBufMut,
    io::{AsyncReadRent, AsyncWriteRentExt},
    net::{TcpListener, TcpStream},
};
use relay::{Pool, RING_ENTRIES, Stream, arguments, serve};

impl Stream for TcpStream {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = Self::connect_addr(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let end = buffer.len();
        let (result, slice) = AsyncReadRent::read(self, buffer.slice_mut(end..)).await;
        result.map(|_| slice.into_inner())
    }

    async fn write_all(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let (result, buffer) = AsyncWriteRentExt::write_all(self, buffer).await;
        result.map(|_| buffer)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let (listen, origin) = arguments()?;
    let mut ring = io_uring_06::IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun();
    let builder = RuntimeBuilder::<IoUringDriver>::new()
        .with_entries(RING_ENTRIES)
        .uring_builder(ring);
    builder.build()?.block_on(async {
        let listener = TcpListener::bind(listen)?;
        let pool = Pool::new(origin);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            monoio::spawn(serve(stream, Rc::clone(&pool)));
        }
    })
}
