//! A stream of known bytes for each connection, of known length.

use std::io;

use tokio::{io::AsyncWriteExt, net::TcpStream};

/// Sends all of it and ends.
pub(super) async fn send(mut stream: TcpStream) -> io::Result<()> {
    let chunk: Vec<u8> = pattern_from(0).take(PERIOD * PERIODS).collect();
    let mut missing = STREAM_BYTES;
    while missing > 0 {
        let piece = &chunk[..missing.min(chunk.len())];
        stream.write_all(piece).await?;
        missing -= piece.len();
    }
    stream.shutdown().await
}

/// The bytes of a stream from a place in it on. They repeat after a prime number of bytes, so that no piece that is
/// lost, doubled or moved goes unseen.
pub(crate) fn pattern_from(place: usize) -> impl Iterator<Item = u8> {
    let bytes = (0..PERIOD).map(|at| (at ^ (at >> 8)) as u8).cycle();
    bytes.skip(place % PERIOD)
}

/// Of each stream: long enough that its beginning and its end do not count.
pub(crate) const STREAM_BYTES: usize = 128 << 20;
const PERIOD: usize = 65_521;
/// Whole ones in one write.
const PERIODS: usize = 4;
