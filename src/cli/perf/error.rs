//! What can go wrong, each in one line.

use std::io;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server ended a consumer: its queue is gone.
    #[error("the server cancelled consumer {0}")]
    Cancelled(String),
    /// The server ended a channel.
    #[error("the server closed the channel: {code} {text}")]
    ChannelClosed {
        /// The reply code.
        code: u16,
        /// The reply text.
        text: String,
    },
    /// The server ended the connection and said why.
    #[error("the server closed the connection: {code} {text}")]
    Closed {
        /// The reply code.
        code: u16,
        /// The reply text.
        text: String,
    },
    /// There is no connection to be had.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The connection ended without a word.
    #[error("the server dropped the connection")]
    Dropped,
    /// The socket failed.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// There is no such process, or no right to look at it.
    #[error("cannot read {path}: {source}")]
    Process {
        /// The file of the process.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The server said something that the protocol does not allow here.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
    /// Messages are missing and none has come for a while.
    #[error("no progress for {seconds} s: {have} of {want} messages")]
    Stalled {
        /// Messages seen.
        have: u64,
        /// Messages expected.
        want: u64,
        /// How long nothing came.
        seconds: u64,
    },
    /// The file that is flushed cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Options that do not fit together.
    #[error("{0}")]
    Usage(String),
}

/// The result of anything that talks to the server.
pub type Result<T> = std::result::Result<T, Error>;
