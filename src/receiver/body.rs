//! One length-prefixed message out of an HTTP/2 body: `compressed flag (1 byte) | length (4 bytes, big endian) | message`
//! (gRPC over HTTP/2, `Length-Prefixed-Message`).
//!
//! Memory is taken as bytes arrive, never because a client announced them: a client that announces 64 MiB and sends
//! nothing holds nothing. A message that came whole in one DATA frame stays where HTTP/2 put it; any other is gathered into
//! one buffer that grows with what has arrived. A body must keep moving ([`IDLE_TIMEOUT`]) and must end in time
//! ([`TOTAL_TIMEOUT`], or the client's own deadline), so nothing is held for ever.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::buffer::MessageBuffer;
use super::status::RequestError;
use crate::pipeline::{Budget, Reservation};

/// Longest pause between two frames of a body; then the request ends with DEADLINE_EXCEEDED.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time from the beginning of a body to its end, likewise: 64 MiB at 5 Mbit/s.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(120);
/// Size in bytes up to which a message is copied even when it came whole. HTTP/2 reads into blocks that neighbouring frames
/// share; a few hundred bytes waiting for a destination must not keep such a block alive. The copy costs less than 1 µs.
const COPY_UP_TO: usize = 16 * 1024;
const PREFIX: usize = 5;

/// A message as it was framed. Its share of the budget is given back when the last clone of `bytes` is dropped.
#[derive(Debug)]
pub(super) struct FramedMessage {
    /// The prefix's compressed flag.
    pub(super) compressed: bool,
    /// The message, still compressed if the flag says so.
    pub(super) bytes: Bytes,
}

/// What a body may take, of memory and of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimits<'a> {
    pub(super) max_message_bytes: usize,
    /// Where its memory comes from.
    pub(super) budget: &'a Budget,
    /// Longest pause between two frames.
    pub(super) idle: Duration,
    /// When the body must have ended.
    pub(super) until: Instant,
}

/// Reads the one message of `body`, and the end of `body` after it.
pub(super) async fn read_message<B>(body: B, limits: BodyLimits<'_>) -> Result<FramedMessage, RequestError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut frames = DataFrames { body, limits };
    let (prefix, first) = frames.prefix().await?;
    let [flag, length @ ..] = prefix;
    let announced = u32::from_be_bytes(length);
    let compressed = match flag {
        0 => false,
        1 => true,
        other => return Err(RequestError::BadFlag(other)),
    };
    if usize::try_from(announced).map_or(true, |announced| announced > limits.max_message_bytes) {
        return Err(RequestError::TooLarge { announced, limit: limits.max_message_bytes });
    }
    let bytes = frames.message(first, announced).await?;
    frames.end().await?;
    Ok(FramedMessage { compressed, bytes })
}

/// The DATA frames of a body.
struct DataFrames<'a, B> {
    body: B,
    limits: BodyLimits<'a>,
}

impl<B> DataFrames<'_, B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    /// The next frame that holds bytes; `None` at the end. Trailers of a request mean nothing in gRPC and are skipped.
    async fn next(&mut self) -> Result<Option<Bytes>, RequestError> {
        loop {
            if self.body.is_end_stream() {
                return Ok(None);
            }
            let BodyLimits { idle, until, .. } = self.limits;
            let idle_end = Instant::now() + idle;
            match timeout_at(idle_end.min(until), self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.has_remaining() => return Ok(Some(data)),
                    _ => {}
                },
                Ok(Some(Err(error))) => return Err(RequestError::Cancelled(error.to_string())),
                Err(_) if idle_end < until => return Err(RequestError::SlowBody(idle)),
                Err(_) => return Err(RequestError::LateBody),
            }
        }
    }

    /// The prefix, and what followed it in the same frame.
    async fn prefix(&mut self) -> Result<([u8; PREFIX], Bytes), RequestError> {
        let mut prefix = [0; PREFIX];
        let mut have = 0;
        loop {
            let Some(mut piece) = self.next().await? else {
                return Err(if have == 0 { RequestError::NoMessage } else { RequestError::ShortPrefix });
            };
            let take = piece.len().min(PREFIX - have);
            piece.copy_to_slice(&mut prefix[have..have + take]);
            have += take;
            if have == PREFIX {
                return Ok((prefix, piece));
            }
        }
    }

    /// The message of `announced` bytes, which is within the limit.
    async fn message(&mut self, first: Bytes, announced: u32) -> Result<Bytes, RequestError> {
        let size = announced as usize;
        let mut piece = first;
        if size == 0 {
            return if piece.is_empty() { Ok(Bytes::new()) } else { Err(RequestError::SecondMessage) };
        }
        if piece.is_empty() {
            piece = self.next().await?.ok_or(RequestError::Short { received: 0, announced })?;
        }
        if piece.len() > size {
            return Err(RequestError::SecondMessage);
        }
        if piece.len() == size {
            let reservation = self.reserve(size)?;
            let whole = if size <= COPY_UP_TO { Bytes::copy_from_slice(&piece) } else { piece };
            return Ok(reservation.attach(whole));
        }
        let mut buffer = MessageBuffer::new(self.reserve(0)?, size, self.limits.budget);
        loop {
            buffer.add(&piece)?;
            let received = buffer.len();
            if received == size {
                return Ok(buffer.finish());
            }
            piece = self.next().await?.ok_or(RequestError::Short { received, announced })?;
            if piece.len() > size - received {
                return Err(RequestError::SecondMessage);
            }
        }
    }

    /// Makes sure that nothing follows.
    async fn end(&mut self) -> Result<(), RequestError> {
        match self.next().await? {
            None => Ok(()),
            Some(_) => Err(RequestError::SecondMessage),
        }
    }

    fn reserve(&self, bytes: usize) -> Result<Reservation, RequestError> {
        let budget = self.limits.budget;
        budget.try_reserve(bytes).ok_or(RequestError::BudgetFull { limit: budget.limit() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
