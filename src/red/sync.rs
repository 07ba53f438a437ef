//! The primitives the hot path rests on, so that a model checker can stand in for them.
//!
//! `RUSTFLAGS="--cfg chainspan_loom" cargo test --release --lib loom` runs the model. The flag has a name of its own
//! because with `--cfg loom` other crates (tokio's signals among them) leave things out that the rest of this crate needs.

#[cfg(chainspan_loom)]
pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(chainspan_loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(chainspan_loom))]
pub(super) use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(chainspan_loom))]
pub(super) use std::sync::{Mutex, MutexGuard};

use std::sync::{PoisonError, TryLockError};

/// The lock, if nobody holds it. A poisoned one is taken all the same: sums stay sums.
pub(super) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The lock, after waiting for it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets others run, between two rounds over shards that were all taken.
pub(super) fn pause(round: u32) {
    #[cfg(chainspan_loom)]
    {
        let _ = round;
        loom::thread::yield_now();
    }
    #[cfg(not(chainspan_loom))]
    if round < 64 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

/// Where the calling thread starts to look for a free shard. Threads get different numbers, so that each finds its own
/// shard free and warm.
pub(super) fn shard_hint() -> usize {
    #[cfg(chainspan_loom)]
    {
        0
    }
    #[cfg(not(chainspan_loom))]
    {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HINT: usize = NEXT.fetch_add(1, Ordering::Relaxed));
        HINT.with(|hint| *hint)
    }
}
