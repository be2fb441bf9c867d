//! What the caller hands over to get it back with every call, and wants to see dropped once.

use std::ffi::c_void;

/// Called once, after the last use of `user_data`.
pub type apertis_drop_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A caller's pointer and the function that drops it.
pub struct UserData {
    pub pointer: *mut c_void,
    drop: apertis_drop_fn,
}

// SAFETY: the pointer is the caller's; the contract says on which threads it is used, and we never look behind it.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    pub fn new(pointer: *mut c_void, drop: apertis_drop_fn) -> Self {
        Self { pointer, drop }
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(drop) = self.drop.take() {
            // SAFETY: by contract a function that takes what it was registered with; `take` makes it once.
            unsafe { drop(self.pointer) };
        }
    }
}
