//! Which callbacks this thread is inside of: what would wait for itself can be told instead of hanging.

use std::cell::RefCell;

thread_local! {
    static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// While it lives, this thread runs a callback of the queue.
#[derive(Debug)]
pub struct Inside(());

/// Marks the beginning of a callback.
#[must_use]
pub fn enter(queue: u64) -> Inside {
    INSIDE.with_borrow_mut(|all| all.push(queue));
    Inside(())
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(|all| all.pop());
    }
}

/// Whether this thread is inside a callback of this queue.
#[must_use]
pub fn inside(queue: u64) -> bool {
    INSIDE.with_borrow(|all| all.contains(&queue))
}

/// Whether this thread is inside any callback.
#[must_use]
pub fn inside_any() -> bool {
    INSIDE.with_borrow(|all| !all.is_empty())
}
