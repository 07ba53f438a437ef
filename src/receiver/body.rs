//! One length-prefixed message out of an HTTP/2 body: `compressed flag (1 byte) | length (4 bytes, big endian) | message`
//! (gRPC over HTTP/2, `Length-Prefixed-Message`).
//!
//! Memory is taken as bytes arrive, never because a client announced them: whoever announces 64 MiB and sends nothing
//! holds nothing. A message that came whole in one DATA frame stays where HTTP/2 put it; any other is gathered into one
//! buffer that grows with what has arrived. A body must keep moving ([`IDLE`]) and must end in time ([`TOTAL`], or the
//! client's own deadline), so nothing is held for ever.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::status::Fault;
use crate::pipeline::{Budget, Reservation};

/// Longest pause between two pieces of a body.
pub(super) const IDLE: Duration = Duration::from_secs(10);
/// Longest time from a body's beginning to its end: 64 MiB at 5 Mbit/s.
pub(super) const TOTAL: Duration = Duration::from_secs(120);
/// Messages up to this size are copied even when they came whole. HTTP/2 reads into blocks that neighbouring frames
/// share; a few hundred bytes waiting for a destination must not keep such a block alive. The copy costs less than 1 µs.
const COPY_UP_TO: usize = 16 * 1024;
/// First size of the buffer that gathers a message, unless the message is smaller.
const FIRST_BUFFER: usize = 64 * 1024;
const PREFIX: usize = 5;

/// A message as it was framed. The budget it takes is given back when the last clone of `bytes` is dropped.
#[derive(Debug)]
pub(super) struct Framed {
    /// The prefix's compressed flag.
    pub(super) compressed: bool,
    /// The message, still compressed if the flag says so.
    pub(super) bytes: Bytes,
}

/// What a body may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance<'a> {
    /// Largest message, in bytes.
    pub(super) limit: usize,
    /// Where its memory comes from.
    pub(super) budget: &'a Budget,
    /// Longest pause between two pieces.
    pub(super) idle: Duration,
    /// When the body must have ended.
    pub(super) until: Instant,
}

/// Reads the one message of `body`, and the end of `body` after it.
pub(super) async fn read_message<B>(body: B, allowance: Allowance<'_>) -> Result<Framed, Fault>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut pieces = Pieces { body, allowance };
    let (prefix, first) = pieces.prefix().await?;
    let [flag, length @ ..] = prefix;
    let announced = u32::from_be_bytes(length);
    let compressed = match flag {
        0 => false,
        1 => true,
        other => return Err(Fault::BadFlag(other)),
    };
    if usize::try_from(announced).map_or(true, |announced| announced > allowance.limit) {
        return Err(Fault::TooLarge { announced, limit: allowance.limit });
    }
    let bytes = pieces.message(first, announced).await?;
    pieces.end().await?;
    Ok(Framed { compressed, bytes })
}

struct Pieces<'a, B> {
    body: B,
    allowance: Allowance<'a>,
}

impl<B> Pieces<'_, B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    /// The next piece that holds bytes; `None` at the end. Trailers of a request mean nothing in gRPC and are skipped.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if self.body.is_end_stream() {
                return Ok(None);
            }
            let Allowance { idle, until, .. } = self.allowance;
            let patience = Instant::now() + idle;
            match timeout_at(patience.min(until), self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.has_remaining() => return Ok(Some(data)),
                    _ => {}
                },
                Ok(Some(Err(error))) => return Err(Fault::BrokenOff(error.to_string())),
                Err(_) if patience < until => return Err(Fault::SlowBody(idle)),
                Err(_) => return Err(Fault::LateBody),
            }
        }
    }

    /// The prefix, and what came behind it in the same piece.
    async fn prefix(&mut self) -> Result<([u8; PREFIX], Bytes), Fault> {
        let mut prefix = [0; PREFIX];
        let mut have = 0;
        loop {
            let Some(mut piece) = self.next().await? else {
                return Err(if have == 0 { Fault::NoMessage } else { Fault::ShortPrefix });
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
    async fn message(&mut self, first: Bytes, announced: u32) -> Result<Bytes, Fault> {
        let size = announced as usize;
        let mut piece = first;
        if size == 0 {
            return if piece.is_empty() { Ok(Bytes::new()) } else { Err(Fault::SecondMessage) };
        }
        if piece.is_empty() {
            piece = self.next().await?.ok_or(Fault::Short { received: 0, announced })?;
        }
        if piece.len() > size {
            return Err(Fault::SecondMessage);
        }
        if piece.len() == size {
            let reservation = self.reserve(size)?;
            let whole = if size <= COPY_UP_TO { Bytes::copy_from_slice(&piece) } else { piece };
            return Ok(reservation.attach(whole));
        }
        let mut gathered = Gathered::new(self.reserve(0)?, size, self.allowance.budget);
        loop {
            gathered.add(&piece)?;
            let received = gathered.bytes.len();
            if received == size {
                return Ok(gathered.finish());
            }
            piece = self.next().await?.ok_or(Fault::Short { received, announced })?;
            if piece.len() > size - received {
                return Err(Fault::SecondMessage);
            }
        }
    }

    /// Nothing may follow.
    async fn end(&mut self) -> Result<(), Fault> {
        match self.next().await? {
            None => Ok(()),
            Some(_) => Err(Fault::SecondMessage),
        }
    }

    fn reserve(&self, bytes: usize) -> Result<Reservation, Fault> {
        let budget = self.allowance.budget;
        budget.try_reserve(bytes).ok_or(Fault::BudgetFull { limit: budget.limit() })
    }
}

/// A message that arrives in several pieces. The buffer is never larger than the message, nor than twice what has
/// arrived (64 KiB at the least), and the reservation covers all of it.
struct Gathered {
    bytes: Vec<u8>,
    size: usize,
    reservation: Reservation,
    budget_limit: usize,
}

impl Gathered {
    fn new(reservation: Reservation, size: usize, budget: &Budget) -> Self {
        Self { bytes: Vec::new(), size, reservation, budget_limit: budget.limit() }
    }

    fn add(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let needed = self.bytes.len() + piece.len();
        let capacity = self.bytes.capacity();
        if needed > capacity {
            let larger = needed.max(capacity * 2).max(FIRST_BUFFER).min(self.size);
            if !self.reservation.try_grow(larger - capacity) {
                return Err(Fault::BudgetFull { limit: self.budget_limit });
            }
            self.bytes.reserve_exact(larger - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn finish(self) -> Bytes {
        self.reservation.attach(Bytes::from(self.bytes))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::Frame;
    use proptest::prelude::*;

    use super::*;

    /// A body that gives its pieces one by one, then ends.
    struct Scripted(VecDeque<Bytes>);

    impl Body for Scripted {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![flag];
        bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(message);
        bytes
    }

    fn cut(bytes: &[u8], mut cuts: Vec<usize>) -> Scripted {
        cuts.iter_mut().for_each(|cut| *cut %= bytes.len() + 1);
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        Scripted(cuts.windows(2).map(|ends| Bytes::copy_from_slice(&bytes[ends[0]..ends[1]])).collect())
    }

    fn read(body: Scripted, budget: &Budget, limit: usize) -> Result<Framed, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let until = Instant::now() + TOTAL;
            read_message(body, Allowance { limit, budget, idle: IDLE, until }).await
        })
    }

    /// Up to `most` bytes, small sizes as often as large ones. What they are does not matter, only that none is lost.
    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        let size = prop_oneof![0..64usize, 0..COPY_UP_TO * 2, 0..most];
        (size, any::<u8>()).prop_map(|(size, seed)| (0..size).map(|at| (at / 251 + at) as u8 ^ seed).collect())
    }

    proptest! {
        /// However the body is cut into DATA frames, the message comes out whole, its budget is taken while it lives and
        /// given back afterwards.
        #[test]
        fn a_message_is_the_same_however_it_was_cut(
            message in bytes(200_000),
            compressed: bool,
            cuts in proptest::collection::vec(any::<usize>(), 0..8),
        ) {
            let budget = Budget::new(1 << 20);
            let framed = read(cut(&framed(u8::from(compressed), &message), cuts), &budget, 200_000).unwrap();
            prop_assert_eq!(framed.compressed, compressed);
            prop_assert_eq!(&framed.bytes[..], &message[..]);
            prop_assert_eq!(budget.used(), message.len());
            drop(framed);
            prop_assert_eq!(budget.used(), 0);
        }

        /// A body that ends early or goes on too long is never taken for a message, and keeps nothing of the budget.
        #[test]
        fn a_body_of_the_wrong_length_is_refused(
            message in bytes(100_000),
            cuts in proptest::collection::vec(any::<usize>(), 0..8),
            wrong in any::<prop::sample::Index>(),
            more in proptest::collection::vec(any::<u8>(), 1..100),
        ) {
            let budget = Budget::new(1 << 20);
            let bytes = framed(0, &message);
            let short = &bytes[..wrong.index(bytes.len())];
            let fault = read(cut(short, cuts.clone()), &budget, 100_000).unwrap_err();
            prop_assert!(matches!(fault, Fault::Short { .. } | Fault::ShortPrefix | Fault::NoMessage), "{fault:?}");
            prop_assert_eq!(budget.used(), 0);
            let long = [bytes, more].concat();
            let fault = read(cut(&long, cuts), &budget, 100_000).unwrap_err();
            prop_assert!(matches!(fault, Fault::SecondMessage), "{fault:?}");
            prop_assert_eq!(budget.used(), 0);
        }
    }

    /// Scenario: 60 MiB are announced, 100 KiB arrive, then nothing. Guarantee: the budget has given twice what arrived at
    /// the most, and all of it comes back when the body is given up.
    #[tokio::test(start_paused = true)]
    async fn what_is_only_announced_takes_nothing() {
        struct Stalling(Option<Bytes>, Budget);
        impl Body for Stalling {
            type Data = Bytes;
            type Error = Infallible;

            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                match self.0.take() {
                    Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                    None => {
                        let used = self.1.used();
                        assert!((100 * 1024..=200 * 1024).contains(&used), "{used}");
                        Poll::Pending
                    }
                }
            }
        }
        let budget = Budget::new(256 << 20);
        let mut bytes = vec![0];
        bytes.extend_from_slice(&(60u32 << 20).to_be_bytes());
        bytes.extend_from_slice(&[7; 100 * 1024]);
        let body = Stalling(Some(Bytes::from(bytes)), budget.clone());
        let until = Instant::now() + TOTAL;
        let fault =
            read_message(body, Allowance { limit: 64 << 20, budget: &budget, idle: IDLE, until }).await.unwrap_err();
        assert!(matches!(fault, Fault::SlowBody(_)), "{fault:?}");
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused_from_its_prefix_alone() {
        let budget = Budget::new(1 << 20);
        for length in [101, u32::MAX] {
            let mut prefix = vec![0];
            prefix.extend_from_slice(&length.to_be_bytes());
            let fault = read(Scripted(VecDeque::from([Bytes::from(prefix)])), &budget, 100).unwrap_err();
            assert!(matches!(fault, Fault::TooLarge { announced, limit: 100 } if announced == length), "{fault:?}");
        }
    }

    #[test]
    fn a_flag_other_than_0_and_1_is_refused() {
        let fault = read(cut(&framed(2, b"x"), vec![]), &Budget::new(100), 100).unwrap_err();
        assert!(matches!(fault, Fault::BadFlag(2)), "{fault:?}");
    }

    #[test]
    fn a_full_budget_refuses_and_does_not_wait() {
        let budget = Budget::new(99);
        let bytes = framed(0, &[1; 100]);
        for cuts in [vec![], vec![50]] {
            let fault = read(cut(&bytes, cuts), &budget, 100).unwrap_err();
            assert!(matches!(fault, Fault::BudgetFull { limit: 99 }), "{fault:?}");
        }
        assert_eq!(budget.used(), 0);
    }
}
