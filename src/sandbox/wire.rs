//! Connections that can be cut from inside: at once, or in the middle of a body.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

/// The listening socket; it remembers which connections are open.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) links: Arc<Links>,
}

impl axum::serve::Listener for Door {
    type Io = Wire;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Wire, Self::Addr) {
        loop {
            match self.listener.accept().await {
                Ok((tcp, peer)) => return (self.links.wire(tcp), peer),
                // Too many open files and the like: leave others time to close some.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// All open connections.
#[derive(Default)]
pub(super) struct Links(Mutex<Vec<Weak<Link>>>);

impl Links {
    fn wire(&self, tcp: TcpStream) -> Wire {
        // An answer in two segments must not wait for the peer's delayed acknowledgement; where
        // the option cannot be set, answers are merely slower.
        let _ = tcp.set_nodelay(true);
        let link = Arc::new(Link::default());
        let mut links = lock(&self.0);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        Wire { tcp, link }
    }

    pub(super) fn cut_all(&self) {
        for link in lock(&self.0).drain(..).filter_map(|link| link.upgrade()) {
            link.cut();
        }
    }
}

/// The handle by which a handler cuts its own connection.
#[derive(Debug, Default)]
pub(super) struct Link(Mutex<LinkState>);

#[derive(Debug, Default)]
struct LinkState {
    state: State,
    reader: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// Half of the next answer's body may pass.
    HalfABody,
    Cut,
}

impl Link {
    /// Nothing more is read or written.
    pub(super) fn cut(&self) {
        let mut link = lock(&self.0);
        link.state = State::Cut;
        if let Some(reader) = link.reader.take() {
            reader.wake();
        }
    }

    /// The next answer loses the second half of its body, and the connection ends there.
    pub(super) fn cut_in_the_next_body(&self) {
        lock(&self.0).state = State::HalfABody;
    }

    fn state(&self) -> State {
        lock(&self.0).state
    }

    fn is_cut_or_wake(&self, waker: &Waker) -> bool {
        let mut link = lock(&self.0);
        link.reader = Some(waker.clone());
        link.state == State::Cut
    }
}

/// A connection that obeys its [`Link`]. The HTTP layer meets an error, drops it, and so closes it.
pub(super) struct Wire {
    tcp: TcpStream,
    pub(super) link: Arc<Link>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.link.is_cut_or_wake(cx.waker()) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.link.state() {
            State::Open => Pin::new(&mut self.tcp).poll_write(cx, bytes),
            State::Cut => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            State::HalfABody => {
                let half = half_a_body(bytes);
                let written = Pin::new(&mut self.tcp).poll_write(cx, &bytes[..half]);
                if written.is_ready() {
                    self.link.cut();
                }
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Headers and half of the body: a small answer is written in one piece, since this stream does
/// not offer vectored writes.
fn half_a_body(bytes: &[u8]) -> usize {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4);
    (head + (bytes.len() - head) / 2).max(1).min(bytes.len())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
