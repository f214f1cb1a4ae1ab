//! Moving bytes both ways until either side has had enough.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::TcpStream;

use crate::Upstream;
use crate::socket;

/// Commands are small; the file uploads among them are cut up by the clients.
const UP_BUFFER: usize = 16 * 1024;
/// Screenshots and traces come this way, up to megabytes in one message.
const DOWN_BUFFER: usize = 64 * 1024;
/// How long one side may still speak after the other has ended. A WebSocket that lost one direction is of no use, so
/// this is for words that are already under way.
const LINGER: Duration = Duration::from_secs(2);

/// One end of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whoever connected to us.
    Client,
    /// Whoever we connected to.
    Upstream,
}

/// Bytes moved so far; readable while the tunnel runs.
#[derive(Debug, Default)]
pub struct Traffic {
    up: AtomicU64,
    down: AtomicU64,
}

impl Traffic {
    /// Bytes from the client.
    pub fn up(&self) -> u64 {
        self.up.load(Relaxed)
    }

    /// Bytes to the client.
    pub fn down(&self) -> u64 {
        self.down.load(Relaxed)
    }
}

/// Moves bytes until a side ends, passes its end on, and says which it was. To cut a tunnel, drop the future.
pub async fn relay(client: OnUpgrade, upstream: Upstream, traffic: &Traffic) -> Side {
    // The client hung up before it could read the 101.
    let Ok(client) = client.await else {
        return Side::Client;
    };
    match into_tcp(client) {
        Ok((stream, read_ahead)) => {
            socket::tune(&stream);
            pump(stream, read_ahead, upstream, traffic).await
        }
        Err(upgraded) => pump(TokioIo::new(upgraded), Bytes::new(), upstream, traffic).await,
    }
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

async fn pump<Client>(client: Client, client_ahead: Bytes, upstream: Upstream, traffic: &Traffic) -> Side
where
    Client: AsyncRead + AsyncWrite,
{
    let (client_read, client_write) = split(client);
    let (upstream_read, upstream_write) = split(upstream.stream);
    let up = one_way(client_read, upstream_write, client_ahead, UP_BUFFER, &traffic.up);
    let down = one_way(
        upstream_read,
        client_write,
        upstream.read_ahead,
        DOWN_BUFFER,
        &traffic.down,
    );
    tokio::pin!(up, down);
    // Whatever the other direction does in the time that is left, the tunnel is over.
    tokio::select! {
        end = &mut up => {
            let _ = tokio::time::timeout(LINGER, down).await;
            match end { End::Reader => Side::Client, End::Writer => Side::Upstream }
        }
        end = &mut down => {
            let _ = tokio::time::timeout(LINGER, up).await;
            match end { End::Reader => Side::Upstream, End::Writer => Side::Client }
        }
    }
}

/// Which end of a direction was the first to end it.
enum End {
    Reader,
    Writer,
}

/// Copies until an end, and passes the end on. Not `copy_bidirectional`: that waits for the second direction as long
/// as it likes to go on.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    ahead: Bytes,
    buffer: usize,
    count: &AtomicU64,
) -> End {
    if write(&mut to, &ahead, count).await.is_err() {
        return End::Writer;
    }
    drop(ahead);
    let mut buffer = vec![0; buffer];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) if write(&mut to, &buffer[..length], count).await.is_err() => return End::Writer,
            Ok(_) => {}
        }
    }
    // A socket that cannot be shut down is already gone.
    let _ = to.shutdown().await;
    End::Reader
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], count: &AtomicU64) -> io::Result<()> {
    to.write_all(bytes).await?;
    count.fetch_add(bytes.len() as u64, Relaxed);
    // Nothing to do for a bare socket; under TLS the last record may still be held back.
    to.flush().await
}
