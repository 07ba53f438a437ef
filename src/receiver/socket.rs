//! A client's connection, read in large gulps.
//!
//! HTTP/2 reads into a buffer of 8 KiB of which its last frames take a part, so that a small request would need two calls
//! to the system: one for what fits, one for the rest. Here one call takes up to [`GULP`] bytes, and HTTP/2 is given them
//! piece by piece. Large reads go straight to where they belong.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most that is read ahead: two requests of 16 spans.
const GULP: usize = 16 * 1024;
/// Spare buffers kept per thread. A connection has one only while HTTP/2 has not taken all that was read.
const SPARE: usize = 16;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A TCP connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    /// Read, but not taken yet: from `taken` on. Empty and without memory most of the time.
    ahead: Vec<u8>,
    taken: usize,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, ahead: Vec::new(), taken: 0 }
    }

    /// Gives what was read ahead.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let left = &self.ahead[self.taken..];
        let count = left.len().min(buf.remaining());
        buf.put_slice(&left[..count]);
        self.taken += count;
        if self.taken == self.ahead.len() {
            give_back(std::mem::take(&mut self.ahead));
            self.taken = 0;
        }
    }
}

/// An empty buffer of [`GULP`] bytes.
fn borrow() -> Vec<u8> {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(GULP))
}

fn give_back(mut buffer: Vec<u8>) {
    buffer.clear();
    BUFFERS.with_borrow_mut(|buffers| {
        if buffers.len() < SPARE {
            buffers.push(buffer);
        }
    });
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            self.give(buf);
            return Poll::Ready(Ok(()));
        }
        if buf.remaining() >= GULP {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let mut buffer = borrow();
        let read = tokio_util::io::poll_read_buf(Pin::new(&mut self.stream), cx, &mut buffer);
        match read {
            Poll::Ready(Ok(_)) => {
                self.ahead = buffer;
                if self.ahead.is_empty() {
                    give_back(std::mem::take(&mut self.ahead));
                } else {
                    self.give(buf);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                give_back(buffer);
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                give_back(buffer);
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What a reader with buffers of `rooms` bytes gets of `pieces`, sent one after the other before the end.
    async fn through(pieces: &[Vec<u8>], rooms: &[usize]) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut socket = Socket::new(listener.accept().await.unwrap().0);
        let send = async move {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let receive = async move {
            let mut received = Vec::new();
            for room in rooms.iter().cycle() {
                let mut buffer = vec![0; *room];
                let count = socket.read(&mut buffer).await.unwrap();
                if count == 0 {
                    break;
                }
                received.extend_from_slice(&buffer[..count]);
            }
            received
        };
        tokio::join!(send, receive).1
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Scenario: a client sends pieces of any size, HTTP/2 reads with buffers of any size, smaller and larger than what
        /// is read ahead. Guarantee: every byte arrives once and in order, up to the end.
        #[test]
        fn nothing_is_lost_between_the_gulps(
            sizes in proptest::collection::vec(prop_oneof![1..300usize, 1..40_000usize], 0..12),
            rooms in proptest::collection::vec(prop_oneof![1..300usize, 1..40_000usize], 1..8),
        ) {
            let mut next = 0u32;
            let mut byte = || { next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223); (next >> 24) as u8 };
            let pieces: Vec<Vec<u8>> = sizes.iter().map(|size| (0..*size).map(|_| byte()).collect()).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let received = runtime.block_on(through(&pieces, &rooms));
            prop_assert_eq!(received, pieces.concat());
        }
    }
}
