//! Threads whose native stack holds the deepest guest.
//!
//! The metered call depth ends a guest long before this stack does, so that a recursion ends alike
//! on every machine. Only such threads can make a [`GuestStack`], which every run asks for.

use std::io;
use std::marker::PhantomData;
use std::thread::{self, JoinHandle};

use super::specification::NATIVE_STACK_BYTES;

/// What the host itself needs above the guest's frames, in bytes.
const HOST_STACK_BYTES: usize = 8 << 20;

/// Proof that the current thread has the stack that a guest may need.
#[derive(Debug)]
pub struct GuestStack {
    /// Keeps the proof on its thread.
    thread: PhantomData<*const ()>,
}

impl GuestStack {
    /// Starts a thread on which guests can run.
    ///
    /// # Errors
    /// The system's error if it cannot start one.
    pub fn spawn<T: Send + 'static>(
        name: &str,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        Self::builder(name).spawn(|| work(&Self { thread: PhantomData }))
    }

    /// Runs `work` on a thread of its own and waits for it.
    ///
    /// # Errors
    /// The system's error if it cannot start one.
    pub fn scope<T: Send>(work: impl FnOnce(&Self) -> T + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let handle = Self::builder("guest")
                .spawn_scoped(scope, || work(&Self { thread: PhantomData }))?;
            Ok(handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        })
    }

    fn builder(name: &str) -> thread::Builder {
        let bytes = NATIVE_STACK_BYTES + HOST_STACK_BYTES;
        thread::Builder::new().name(name.to_owned()).stack_size(bytes)
    }
}
