//! How large a request may be: halved when the destination says that one is too large, doubled again after a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The limit doubles when no request was too large for this long.
const GROW_INTERVAL: Duration = Duration::from_secs(300);
/// Bytes below which the limit does not fall: one span that is too large says little about the others.
const MIN_REQUEST_BYTES: usize = 16 << 10;

/// The most bytes of one request: as configured, or less while the destination takes less. The number is shared with whoever
/// cuts parcels to size.
#[derive(Debug)]
pub(crate) struct RequestLimit {
    configured: usize,
    bytes: Arc<AtomicUsize>,
    grows: Option<Instant>,
}

impl RequestLimit {
    pub(crate) fn new(configured: usize, bytes: Arc<AtomicUsize>) -> Self {
        Self { configured, bytes, grows: None }
    }

    /// The most bytes of one request.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A request of `bytes` that could be divided was too large.
    pub(crate) fn shrink(&mut self, bytes: usize, now: Instant) {
        let half = (bytes / 2).max(MIN_REQUEST_BYTES.min(self.configured));
        self.bytes.store(half.min(self.bytes()), Ordering::Relaxed);
        self.grows = Some(now + GROW_INTERVAL);
    }

    /// Something was taken: after [`GROW_INTERVAL`] the limit doubles, up to the configured one.
    pub(crate) fn grow(&mut self, now: Instant) {
        if self.grows.is_some_and(|grows| grows <= now) {
            let twice = self.bytes().saturating_mul(2).min(self.configured);
            self.bytes.store(twice, Ordering::Relaxed);
            self.grows = (twice < self.configured).then(|| now + GROW_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_limit_is_remembered_and_slowly_forgotten() {
        let mut limit = RequestLimit::new(1 << 20, Arc::new(AtomicUsize::new(1 << 20)));
        let now = Instant::now();
        limit.shrink(1 << 20, now);
        limit.shrink(1 << 19, now);
        assert_eq!(limit.bytes(), 1 << 18);
        limit.grow(now + GROW_INTERVAL / 2);
        assert_eq!(limit.bytes(), 1 << 18);
        limit.grow(now + GROW_INTERVAL);
        limit.grow(now + 2 * GROW_INTERVAL);
        limit.grow(now + 3 * GROW_INTERVAL);
        assert_eq!(limit.bytes(), 1 << 20);
        limit.shrink(3, now);
        assert_eq!(limit.bytes(), MIN_REQUEST_BYTES);
    }
}
