//! However a body is cut, delayed or wrong: the message comes out whole, or the right error does.

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

fn read(body: Scripted, budget: &Budget, limit: usize) -> Result<FramedMessage, RequestError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let until = Instant::now() + TOTAL_TIMEOUT;
        read_message(body, BodyLimits { max_message_bytes: limit, budget, idle: IDLE_TIMEOUT, until }).await
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
        let error = read(cut(short, cuts.clone()), &budget, 100_000).unwrap_err();
        prop_assert!(matches!(error, RequestError::Short { .. } | RequestError::ShortPrefix | RequestError::NoMessage), "{error:?}");
        prop_assert_eq!(budget.used(), 0);
        let long = [bytes, more].concat();
        let error = read(cut(&long, cuts), &budget, 100_000).unwrap_err();
        prop_assert!(matches!(error, RequestError::SecondMessage), "{error:?}");
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

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
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
    let until = Instant::now() + TOTAL_TIMEOUT;
    let error =
        read_message(body, BodyLimits { max_message_bytes: 64 << 20, budget: &budget, idle: IDLE_TIMEOUT, until })
            .await
            .unwrap_err();
    assert!(matches!(error, RequestError::SlowBody(_)), "{error:?}");
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_message_beyond_the_limit_is_refused_from_its_prefix_alone() {
    let budget = Budget::new(1 << 20);
    for length in [101, u32::MAX] {
        let mut prefix = vec![0];
        prefix.extend_from_slice(&length.to_be_bytes());
        let error = read(Scripted(VecDeque::from([Bytes::from(prefix)])), &budget, 100).unwrap_err();
        assert!(matches!(error, RequestError::TooLarge { announced, limit: 100 } if announced == length), "{error:?}");
    }
}

#[test]
fn a_flag_other_than_0_and_1_is_refused() {
    let error = read(cut(&framed(2, b"x"), vec![]), &Budget::new(100), 100).unwrap_err();
    assert!(matches!(error, RequestError::BadFlag(2)), "{error:?}");
}

#[test]
fn a_full_budget_refuses_and_does_not_wait() {
    let budget = Budget::new(99);
    let bytes = framed(0, &[1; 100]);
    for cuts in [vec![], vec![50]] {
        let error = read(cut(&bytes, cuts), &budget, 100).unwrap_err();
        assert!(matches!(error, RequestError::BudgetFull { limit: 99 }), "{error:?}");
    }
    assert_eq!(budget.used(), 0);
}
