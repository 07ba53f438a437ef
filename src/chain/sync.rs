//! The atomics that `set` is made of, in one place: its loom model (`tests/domain/traces_loom.rs`) puts loom's in here.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};

/// Called between two attempts to get hold of a set: at first the other writer is about to finish, later it may have
/// lost its processor.
pub(super) fn pause(attempt: u32) {
    if attempt < 32 {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}
