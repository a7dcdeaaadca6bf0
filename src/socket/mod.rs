//! A client's TCP connection, and the wait for its next bytes.

mod disk;
mod survey;
mod wait;

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

pub(crate) use disk::has_written;
pub(crate) use wait::{after_park, before_park, on_worker_start, waits_for_disk};

/// See the module. Each read tells the worker thread that this socket is in use.
pub(crate) struct Socket {
    stream: Arc<TcpStream>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream: Arc::new(stream) }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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
                    wait::has_read(&self.stream, n);
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
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::wait::has_come;
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
