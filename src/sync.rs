//! The atomics and locks that lock-free code rests on, in one place, so that a model checker can stand in for them.
//!
//! `RUSTFLAGS="--cfg chainspan_loom" cargo test --release --lib loom` runs the models. The flag has a name of its own
//! because with `--cfg loom` other crates (tokio's signals among them) leave things out that the rest of this crate needs.

#[cfg(chainspan_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(chainspan_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(chainspan_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(chainspan_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

use std::sync::{PoisonError, TryLockError};

/// The lock, if nobody holds it. A poisoned one is taken all the same, as [`crate::lock::lock`] does it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The lock, after waiting for it. A poisoned one is taken all the same, as [`crate::lock::lock`] does it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets others run between two attempts at something that another thread holds for a moment: at first by spinning, as the
/// holder is about to finish; after `spins` attempts by giving up the processor, which the holder may have lost.
pub(crate) fn pause(attempt: u32, spins: u32) {
    #[cfg(chainspan_loom)]
    {
        let _ = (attempt, spins);
        loom::thread::yield_now();
    }
    #[cfg(not(chainspan_loom))]
    if attempt < spins {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}
