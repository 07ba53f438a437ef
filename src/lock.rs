//! One way to take a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits for the lock, and takes it even if a thread panicked while it held it.
///
/// To be used only where what the lock guards is whole at every point where its holder might panic. A panic then costs
/// what that thread was doing, and not everybody who comes after it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_whose_holder_panicked_is_still_given() {
        let mutex = Mutex::new(1);
        let panicked = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _held = lock(&mutex);
                    panic!("while holding the lock");
                })
                .join()
        });
        assert!(panicked.is_err() && mutex.is_poisoned());
        assert_eq!(*lock(&mutex), 1);
    }
}
