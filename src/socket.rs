//! A client's TCP connection, and the wait for its next bytes.

use std::cell::RefCell;
use std::hint;
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// See the module. Each read tells the worker thread that this socket is in use.
pub(crate) struct Socket {
    stream: Arc<TcpStream>,
    /// Reads since the last write.
    unanswered: u8,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream: Arc::new(stream), unanswered: 0 }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            let mut taken = None;
            let read = self.stream.try_io(Interest::READABLE, || {
                let n = self.stream.try_read(room)?;
                taken = Some(n);
                // Less than there is room for: there is no more, and the next read need not ask the kernel to learn that.
                if n > 0 && n < room.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(n) }
            });
            match (taken, read) {
                (Some(n), _) => {
                    buf.advance(n);
                    self.unanswered = self.unanswered.saturating_add(1);
                    RECENT.with_borrow_mut(|recent| recent.add(&self.stream, self.unanswered > UNANSWERED));
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                (None, _) => {}
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(Shutdown::Write))
    }
}

impl Socket {
    fn poll_write_with(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.unanswered = 0;
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// A worker thread that runs out of work waits awake for so long, if its last wait was as short. It spares clients that send one
/// small thing after the other the wake-up of a sleeping processor: 54 → 25 µs for a round trip on an idle machine. It is less than what
/// two wake-ups take, and a thread whose waits are longer goes to sleep at once.
const PATIENCE: Duration = Duration::from_micros(50);

/// Waiting awake was in vain, perhaps because it keeps the client off the processor: not again for 2, 4, 8, ... waits, and at most for
/// 2 to the power of this.
const IN_VAIN_MAX: u32 = 10;

/// For a client that sends and sends without being answered the processor is left to others so often, so that there is more to
/// read at once: 0.43 → 0.23 µs for a 16-byte publish with a write each on a busy machine. To a client that waits for us it would cost the
/// turn, where others have much to do.
const YIELDS: u32 = 10;

/// Rests between two looks at the sockets, which disturb who writes into them; a microsecond.
const RESTS: u32 = 32;

/// Reads after which a client that was not answered is taken for a stream.
const UNANSWERED: u8 = 2;

/// Sockets that are looked at while waiting; what comes by others is noticed after [`PATIENCE`].
const LOOKED_AT_MAX: usize = 8;

/// What this worker thread has read since it last had nothing to do.
#[derive(Default)]
struct Recent {
    sockets: Vec<Weak<TcpStream>>,
    streaming: bool,
    /// The last wait was short.
    busy: bool,
    /// Times in a row that waiting awake was in vain.
    in_vain: u32,
    /// Waits to be slept through.
    sleeps: u32,
    waiting: Option<Instant>,
}

thread_local! {
    static RECENT: RefCell<Recent> = RefCell::default();
}

impl Recent {
    fn add(&mut self, socket: &Arc<TcpStream>, streaming: bool) {
        self.streaming = streaming;
        let known = |other: &Weak<TcpStream>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(socket));
        if self.sockets.len() < LOOKED_AT_MAX && !self.sockets.iter().any(known) {
            self.sockets.push(Arc::downgrade(socket));
        }
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        self.waiting = Some(begun);
        if self.busy && !self.sockets.is_empty() {
            if self.sleeps > 0 {
                self.sleeps -= 1;
            } else if self.stay_awake(begun) {
                self.in_vain = 0;
            } else {
                self.in_vain = IN_VAIN_MAX.min(self.in_vain + 1);
                self.sleeps = 1 << self.in_vain;
            }
        }
        self.sockets.clear();
    }

    /// Whether something came.
    fn stay_awake(&self, begun: Instant) -> bool {
        while begun.elapsed() < PATIENCE {
            if self.streaming {
                (0..YIELDS).for_each(|_| thread::yield_now());
            } else {
                (0..RESTS).for_each(|_| hint::spin_loop());
            }
            if self.sockets.iter().any(has_come) {
                return true;
            }
        }
        false
    }

    fn woken(&mut self) {
        self.busy = self.waiting.is_some_and(|since| since.elapsed() < PATIENCE);
    }
}

/// Whether there is something to read, if only the end.
fn has_come(socket: &Weak<TcpStream>) -> bool {
    let Some(socket) = socket.upgrade() else { return true };
    let would_block = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
    !SockRef::from(&*socket).peek(&mut [MaybeUninit::uninit()]).is_err_and(would_block)
}

/// To be called when a worker thread has nothing to do any more.
pub(crate) fn before_park() {
    RECENT.with_borrow_mut(Recent::wait);
}

/// To be called when it has.
pub(crate) fn after_park() {
    RECENT.with_borrow_mut(Recent::woken);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(listener.accept().await.unwrap().0), client)
    }

    #[tokio::test]
    async fn what_comes_later_is_read_after_a_short_read() {
        let (mut socket, mut client) = pair().await;
        let mut bytes = [0; 16];
        for sent in [&b"one"[..], b"another", b"0123456789abcdef", b"!"] {
            client.write_all(sent).await.unwrap();
            let n = socket.read(&mut bytes).await.unwrap();
            assert_eq!(&bytes[..n], sent);
        }
        drop(client);
        assert_eq!(socket.read(&mut bytes).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn bytes_and_the_end_are_noticed_without_taking_them() {
        let (mut socket, mut client) = pair().await;
        let watched = Arc::downgrade(&socket.stream);
        assert!(!has_come(&watched));
        client.write_all(b"x").await.unwrap();
        assert!(has_come(&watched));
        assert_eq!(socket.read_u8().await.unwrap(), b'x');
        assert!(!has_come(&watched));
        drop(client);
        assert!(has_come(&watched));
        drop(socket);
        assert!(has_come(&watched));
    }
}
