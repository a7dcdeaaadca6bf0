//! How a connection ends, and the manners of it: what is still written, how long the socket stays (C-21 to C-23).

use std::io::IoSlice;
use std::time::Duration;

use leveret_protocol::method::connection;
use leveret_protocol::{Method, frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time;

use crate::error::Error;
use crate::output::Output;

/// The longest that a closed connection's socket stays open for the peer to close it, also when there is no heartbeat (C-21).
const LINGER_MAX: Duration = Duration::from_secs(30);

/// When the byte stream is unreadable the socket stays this long (C-23).
const UNREADABLE_LINGER: Duration = Duration::from_secs(3);

/// Bytes read at once when they are only read away.
const READ_AWAY_CHUNK: usize = 4096;

/// Why a connection is over.
pub(super) enum End {
    /// The client closed it.
    Closed,
    /// TCP ended.
    Lost,
    /// The client's heartbeats stopped.
    Silent,
    /// We close it.
    Refused(Refused),
}

/// A connection.close from our side.
pub(super) struct Refused {
    pub(super) text: String,
    /// What comes from the peer makes no sense any more.
    unreadable: bool,
    close: (u16, (u16, u16)),
}

impl Refused {
    pub(super) fn new(error: &Error, method: (u16, u16)) -> Self {
        let unreadable = matches!(error, Error::Connection(error) if error.is_unreadable());
        let method = if error.names_method() { method } else { (0, 0) };
        Self { text: error.text(), unreadable, close: (error.code().as_u16(), method) }
    }

    /// Appends the connection.close.
    pub(super) fn write(&self, out: &mut Output) {
        let (reply_code, (class_id, method_id)) = self.close;
        let close = connection::Close { reply_code, reply_text: &self.text, class_id, method_id };
        out.method(0, &Method::ConnectionClose(close));
    }
}

/// The end and the output for an error before the connection was open.
pub(super) fn close_frame(error: &Error, method: (u16, u16)) -> (End, Output) {
    let refused = Refused::new(error, method);
    let mut output = Output::default();
    refused.write(&mut output);
    (End::Refused(refused), output)
}

/// Writes what is left and keeps the socket until the peer has seen it. `input` has come already.
pub(super) async fn linger<S>(io: S, output: Output, input: Vec<u8>, end: &End, heartbeat_secs: u16)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let patience = match heartbeat_secs {
        0 => LINGER_MAX,
        secs => LINGER_MAX.min(Duration::from_secs(secs.into())),
    };
    let (mut reader, mut writer) = tokio::io::split(io);
    match end {
        End::Lost | End::Silent => {}
        End::Closed => {
            let _ = time::timeout(patience, part(&mut reader, &mut writer, output, input)).await;
        }
        End::Refused(Refused { unreadable: true, .. }) => {
            let reading = async {
                read_away(&mut reader).await;
                std::future::pending::<()>().await; // TCP ends after the time, answered or not
            };
            let both = async { tokio::join!(write_out(&mut writer, output), reading) };
            let _ = time::timeout(UNREADABLE_LINGER, both).await;
        }
        End::Refused(_) => {
            let _ = time::timeout(patience, part(&mut reader, &mut writer, output, input)).await;
        }
    }
    let _ = writer.shutdown().await;
}

/// Reads until the peer closes TCP.
pub(super) async fn read_away<S: AsyncRead + Unpin>(io: &mut S) {
    let mut chunk = vec![0; READ_AWAY_CHUNK]; // on the heap: in the future it would be part of every connection's task
    while io.read(&mut chunk).await.is_ok_and(|n| n > 0) {}
}

async fn write_out<S: AsyncWrite>(writer: &mut WriteHalf<S>, mut output: Output) {
    while !output.is_empty() {
        let mut slices: Vec<IoSlice<'_>> = Vec::new();
        output.slices(&mut slices);
        match writer.write_vectored(&slices).await {
            Ok(n) if n > 0 => output.advance(n),
            _ => return,
        }
    }
}

/// Sends the close and reads until close-ok. A close of the peer's that crosses it is answered; everything else is ignored.
async fn part<S: AsyncRead + AsyncWrite>(
    reader: &mut ReadHalf<S>,
    writer: &mut WriteHalf<S>,
    output: Output,
    mut input: Vec<u8>,
) {
    let (_, mut answer) = tokio::join!(write_out(writer, output), read_to_close(reader, &mut input));
    while answer == Answer::Close {
        let mut close_ok = Vec::new();
        frame::write_method(&mut close_ok, 0, &Method::ConnectionCloseOk(connection::CloseOk {}));
        if writer.write_all(&close_ok).await.is_err() {
            return;
        }
        answer = read_to_close(reader, &mut input).await;
    }
}

#[derive(PartialEq, Eq)]
enum Answer {
    /// close-ok, or the end of TCP.
    Done,
    /// The peer closes too.
    Close,
}

/// Reads until close-ok or close; `input` has been read, or is left for the next time.
async fn read_to_close<S: AsyncRead>(reader: &mut ReadHalf<S>, input: &mut Vec<u8>) -> Answer {
    loop {
        let mut taken = 0;
        let mut answer = None;
        while answer.is_none()
            && let Ok(Some((frame, len))) = frame::decode(&input[taken..], 0)
        {
            taken += len;
            answer = match Method::decode(frame.payload) {
                Ok(Method::ConnectionCloseOk(_)) if frame.channel == 0 => Some(Answer::Done),
                Ok(Method::ConnectionClose(_)) if frame.channel == 0 => Some(Answer::Close),
                _ => None,
            };
        }
        input.drain(..taken);
        if let Some(answer) = answer {
            return answer;
        }
        if input.len() > IGNORED_FRAME_MAX {
            return Answer::Done;
        }
        input.reserve(READ_AWAY_CHUNK);
        match reader.read_buf(input).await {
            Ok(n) if n > 0 => {}
            _ => return Answer::Done,
        }
    }
}

/// A frame larger than this is not waited for while the connection is being closed, in bytes.
const IGNORED_FRAME_MAX: usize = 16 * 1024 * 1024;
