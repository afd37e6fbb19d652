//! Locks a mutex whatever became of the thread that held it last.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The guarded value, also where a thread panicked while it held the lock: for values that no panic leaves half changed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
