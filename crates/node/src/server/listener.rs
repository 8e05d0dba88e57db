//! Connections: how many at a time, how long they may be silent, and how they end.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::Router;
use hyper::{server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, Sleep},
};

use super::{App, Link, gate::Place, stopped};

/// The longest that a connection may take to send a request's head, or be idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that a connection may take nothing of what is sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The pause after the system refuses to accept, as when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The longest that open connections may take to end when the node goes down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves connections until the node goes down, then lets those that are open end.
pub(crate) async fn serve(listener: TcpListener, router: Router, app: Arc<App>) {
    let mut stopping = app.stopping.clone();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &app) => accepted,
            () = stopped(&mut stopping) => break,
        };
        let Some((stream, link, place)) = accepted else { continue };
        let (router, stopping) = (router.clone(), stopping.clone());
        tokio::spawn(async move {
            connection(stream, link, router, stopping).await;
            drop(place);
        });
    }
    drop(listener);
    // Those that do not end in time are cut by the runtime.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, app.gates.connections.emptied()).await;
}

/// Accepts a connection; one for which there is no place is closed at once.
async fn accept(listener: &TcpListener, app: &App) -> Option<(TcpStream, Link, Place)> {
    let accepted = listener.accept().await;
    let accepted = accepted.and_then(|(stream, remote)| {
        // Answers are written whole, so there is nothing to gather.
        stream.set_nodelay(true)?;
        let link = Link::new(remote, stream.local_addr()?);
        Ok((stream, link))
    });
    match accepted {
        Ok((stream, link)) => {
            let place = app.gates.connections.try_enter(link.peer, 1)?;
            Some((stream, link, place))
        }
        Err(error) => {
            tracing::warn!("a connection was not accepted: {error}");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    link: Link,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request| {
        hyper::Request::extensions_mut(&mut request).insert(link);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Impatient::new(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended badly: {error}");
    }
}

/// A connection that fails when what is written to it is not taken for too long.
#[derive(Debug)]
struct Impatient {
    stream: TcpStream,
    /// Runs while a write waits.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    const fn new(stream: TcpStream) -> Self {
        Self { stream, patience: None }
    }

    fn limit<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.patience = None;
            return written;
        }
        let deadline = || Box::pin(tokio::time::sleep_until(Instant::now() + WRITE_TIMEOUT));
        let patience = self.patience.get_or_insert_with(deadline);
        match patience.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.limit(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
