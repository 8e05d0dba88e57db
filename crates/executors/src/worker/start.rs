//! Starts processes from one thread that lasts as long as this process.
//!
//! The kernel ends a worker when the *thread* that started it ends, and a thread of an async
//! runtime may end at any time.

use std::io;
use std::sync::{LazyLock, mpsc};

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Start = Box<dyn FnOnce() + Send>;

static STARTER: LazyLock<Option<mpsc::Sender<Start>>> = LazyLock::new(|| {
    let (starts, waiting) = mpsc::channel::<Start>();
    let work = move || waiting.into_iter().for_each(|start| start());
    let thread = std::thread::Builder::new().name("worker-starter".to_owned()).spawn(work);
    thread.ok().map(|_| starts)
});

/// Starts a process.
pub(super) async fn start(mut command: Command) -> io::Result<Child> {
    let gone = || io::Error::other("the thread that starts processes is gone");
    let starter = STARTER.as_ref().ok_or_else(gone)?;
    let (reply, started) = oneshot::channel();
    let runtime = Handle::current();
    let start = move || {
        let _context = runtime.enter();
        // Who does not wait any more drops the child, which ends it.
        let _ = reply.send(command.spawn());
    };
    starter.send(Box::new(start)).map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}
