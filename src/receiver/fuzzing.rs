//! A way for the fuzz target in `fuzz/` into what reads foreign bytes here: a request's framing and its compression.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::body::{BodyLimits, FramedMessage, IDLE_TIMEOUT, TOTAL_TIMEOUT, read_message};
use super::encoding::Encoding;
use super::inflate::inflate;
use super::status::RequestError;
use crate::pipeline::Budget;

/// DATA frames one by one, then the end.
struct Frames(VecDeque<Bytes>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

/// The message of a body that arrives as `frames`, inflated as `grpc_encoding` says; `None` if it is refused.
///
/// # Panics
/// The message is longer than `max_bytes`, or what was taken out of the budget is not given back: a bug.
pub fn read_body(frames: Vec<Bytes>, grpc_encoding: &str, max_bytes: usize, budget_bytes: usize) -> Option<Bytes> {
    thread_local! {
        static RUNTIME: Runtime =
            Builder::new_current_thread().enable_time().build().expect("a runtime without sockets needs no system resource");
    }
    let budget = Budget::new(budget_bytes);
    let read = async {
        let until = Instant::now() + TOTAL_TIMEOUT;
        let limits = BodyLimits { max_message_bytes: max_bytes, budget: &budget, idle: IDLE_TIMEOUT, until };
        let FramedMessage { compressed, bytes } = read_message(Frames(frames.into()), limits).await?;
        match Encoding::parse(grpc_encoding.as_bytes()) {
            Some(encoding) if compressed => inflate(encoding, bytes, max_bytes, &budget).await,
            _ => Ok::<_, RequestError>(bytes),
        }
    };
    let message = RUNTIME.with(|runtime| runtime.block_on(read)).ok();
    assert!(message.as_ref().is_none_or(|message| message.len() <= max_bytes), "longer than allowed");
    let copy = message.as_deref().map(Bytes::copy_from_slice);
    drop(message);
    assert_eq!(budget.used(), 0, "the budget is not whole again");
    copy
}
