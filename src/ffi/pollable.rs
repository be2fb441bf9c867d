//! A handle that the operating system can wait for: readable while events wait in a queue.

use crate::engine::stream::queue::Signal;

/// An eventfd on Linux, a pipe on other Unixes, a manual-reset event on Windows.
pub struct Pollable(imp::Inner);

impl Pollable {
    /// `None` where the system has no descriptor left.
    pub fn new() -> Option<Self> {
        imp::Inner::new().map(Self)
    }

    /// What `poll` and its relatives take.
    pub fn raw(&self) -> isize {
        self.0.raw()
    }
}

impl Signal for Pollable {
    fn raise(&self) {
        self.0.raise();
    }
    fn clear(&self) {
        self.0.clear();
    }
}

#[cfg(unix)]
mod imp {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    /// On Linux both ends are the same eventfd.
    pub struct Inner {
        read: File,
        write: File,
    }

    impl Inner {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        pub fn new() -> Option<Self> {
            // SAFETY: takes two numbers.
            let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
            if fd < 0 {
                return None;
            }
            // SAFETY: a descriptor that was just made and belongs to nobody else.
            let read = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
            let write = read.try_clone().ok()?;
            Some(Self { read, write })
        }

        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        pub fn new() -> Option<Self> {
            let mut ends = [0; 2];
            // SAFETY: a place for two descriptors.
            if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
                return None;
            }
            for fd in ends {
                // SAFETY: descriptors that were just made.
                unsafe {
                    libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
                    libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
                }
            }
            // SAFETY: descriptors that were just made and belong to nobody else.
            let [read, write] = ends.map(|fd| File::from(unsafe { OwnedFd::from_raw_fd(fd) }));
            Some(Self { read, write })
        }

        pub fn raw(&self) -> isize {
            self.read.as_raw_fd() as isize
        }

        // Both calls can only fail by finding the handle in the state that they wish for.
        pub fn raise(&self) {
            let _ = (&self.write).write(&1u64.to_ne_bytes());
        }

        pub fn clear(&self) {
            let mut bytes = [0; 64];
            while matches!((&self.read).read(&mut bytes), Ok(n) if n == bytes.len()) {}
        }
    }
}

#[cfg(windows)]
mod imp {
    use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};
    use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

    pub struct Inner(HANDLE);

    // SAFETY: an event may be used from any thread.
    unsafe impl Send for Inner {}
    // SAFETY: as above.
    unsafe impl Sync for Inner {}

    impl Inner {
        pub fn new() -> Option<Self> {
            // SAFETY: a manual-reset event without a name.
            let handle = unsafe { CreateEventW(std::ptr::null(), 1, 0, std::ptr::null()) };
            (!handle.is_null()).then_some(Self(handle))
        }

        pub fn raw(&self) -> isize {
            self.0 as isize
        }

        pub fn raise(&self) {
            // SAFETY: our own event.
            unsafe { SetEvent(self.0) };
        }

        pub fn clear(&self) {
            // SAFETY: our own event.
            unsafe { ResetEvent(self.0) };
        }
    }

    impl Drop for Inner {
        fn drop(&mut self) {
            // SAFETY: our own event, for the last time.
            unsafe { CloseHandle(self.0) };
        }
    }
}
