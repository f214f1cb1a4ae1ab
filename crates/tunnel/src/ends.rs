//! The sockets of a tunnel, each direction by itself.

use std::io::Cursor;

use axum::body::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, split};
use tokio::net::TcpStream;

use crate::Upstream;
use crate::socket;

/// Where bytes come from.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// Where bytes go.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Both sockets of a tunnel, once the client has its answer 101. What had been read of them too early is read first.
pub struct Ends {
    /// From the client.
    pub client_read: Reader,
    /// To the client.
    pub client_write: Writer,
    /// From the far side.
    pub upstream_read: Reader,
    /// To the far side.
    pub upstream_write: Writer,
}

impl Ends {
    /// Waits until the client has its answer.
    ///
    /// # Errors
    /// The client hung up before it could read the answer; the far side's socket is given back.
    pub async fn meet(client: OnUpgrade, upstream: Upstream) -> Result<Self, Upstream> {
        let Ok(client) = client.await else {
            return Err(upstream);
        };
        let (client_read, client_write) = match into_tcp(client) {
            Ok((stream, read_ahead)) => {
                socket::tune(&stream);
                halves(stream, read_ahead)
            }
            Err(upgraded) => {
                let (read, write) = split(TokioIo::new(upgraded));
                (Box::new(read) as Reader, Box::new(write) as Writer)
            }
        };
        let (upstream_read, upstream_write) = halves(upstream.stream, upstream.read_ahead);
        Ok(Self {
            client_read,
            client_write,
            upstream_read,
            upstream_write,
        })
    }
}

fn halves(stream: TcpStream, read_ahead: Bytes) -> (Reader, Writer) {
    let (read, write) = stream.into_split();
    let read: Reader = if read_ahead.is_empty() {
        Box::new(read)
    } else {
        Box::new(Cursor::new(read_ahead).chain(read))
    };
    (read, Box::new(write))
}

/// The bare socket under an upgraded connection, and what was read from it too early. Under TLS there is none.
///
/// Servers wrap it in two ways: hyper's own not at all, axum's in a buffer that replays the first bytes.
fn into_tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded)
            .map(|parts| (parts.io.into_inner(), parts.read_buf)),
    }
}
