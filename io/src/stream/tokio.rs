//! The traits of `tokio::io` on a stream, for the libraries that want them.
//!
//! A write is accepted while little is queued, and goes out at the end of the turn, together with those after it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::TcpStream;

/// A write waits while this many bytes are queued.
const WRITE_LIMIT: usize = 64 * 1024;

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let received = ready!(this.poll_fill(cx))?;
        let count = received.len().min(into.remaining());
        into.put_slice(&received[..count]);
        this.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drained(cx, WRITE_LIMIT - 1))?;
        let room = WRITE_LIMIT - this.queued();
        let count = bytes.len().min(room);
        this.write(&bytes[..count]);
        this.start_flush();
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drained(cx, WRITE_LIMIT - 1))?;
        let mut room = WRITE_LIMIT - this.queued();
        let mut count = 0;
        for slice in slices {
            let part = slice.len().min(room);
            this.write(&slice[..part]);
            (count, room) = (count + part, room - part);
        }
        this.start_flush();
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_flush(cx))?;
        Poll::Ready(this.shutdown_write())
    }
}
