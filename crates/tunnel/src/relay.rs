//! A gateway's part: moving bytes both ways until either side has had enough.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::ends::{Ends, Reader, Writer};
use crate::hop::{HopEnd, LENGTH_SIZE};
use crate::{Side, Upstream};

/// Commands are small; the file uploads among them are cut up by the clients. A chunk of the hop must hold it.
pub const UP_BUFFER: usize = 16 * 1024;
/// Screenshots and traces come this way, up to megabytes in one message.
pub const DOWN_BUFFER: usize = 64 * 1024;
/// How long one side may still speak after the other has ended. A WebSocket that lost one direction is of no use, so
/// this is for words that are already under way.
const LINGER: Duration = Duration::from_secs(2);

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

    /// Counts bytes from the client.
    pub fn add_up(&self, bytes: usize) {
        self.up.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts bytes to the client.
    pub fn add_down(&self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Relaxed);
    }
}

/// Moves bytes until a side ends, passes its end on, and says which it was; `None` when `stop` came first. A worker is
/// told why its client's bytes end; a dropped future looks to it like a dead gateway.
pub async fn relay(
    client: OnUpgrade,
    upstream: Upstream,
    traffic: &Traffic,
    stop: impl Future<Output = ()>,
) -> Option<Side> {
    let chunked = upstream.is_hop();
    let ends = match Ends::meet(client, upstream).await {
        Ok(ends) => ends,
        Err(mut upstream) => {
            if chunked {
                // A socket that does not take it is already gone.
                let _ = upstream.stream.write_all(&HopEnd::ClientLeft.chunk()).await;
            }
            return Some(Side::Client);
        }
    };
    let (tell, told) = oneshot::channel();
    let up = Up {
        from: ends.client_read,
        to: ends.upstream_write,
        chunked,
    };
    let up = up.copy(told, traffic);
    let down = copy_down(ends.upstream_read, ends.client_write, traffic);
    tokio::pin!(up, down);
    // Whatever the other direction does in the time that is left, the tunnel is over.
    tokio::select! {
        end = &mut up => {
            let _ = timeout(LINGER, down).await;
            Some(match end { End::Reader => Side::Client, End::Writer => Side::Upstream })
        }
        end = &mut down => {
            if let End::Writer = end {
                // Nobody else may notice: the client's last word can still be on its way to the worker.
                let _ = tell.send(HopEnd::ClientLeft);
            }
            let _ = timeout(LINGER, up).await;
            Some(match end { End::Reader => Side::Upstream, End::Writer => Side::Client })
        }
        () = stop => {
            if chunked {
                let _ = tell.send(HopEnd::GatewayStops);
                // The worker closes the client's WebSocket, in words that come down here.
                let _ = timeout(LINGER, async { tokio::join!(up, down) }).await;
            }
            None
        }
    }
}

/// Which end of a direction was the first to end it.
enum End {
    Reader,
    Writer,
}

/// From the client to the worker.
struct Up {
    from: Reader,
    to: Writer,
    chunked: bool,
}

impl Up {
    /// Copies until an end or until told to stop, and passes the end on.
    async fn copy(mut self, told: oneshot::Receiver<HopEnd>, traffic: &Traffic) -> End {
        let mut buffer = vec![0; LENGTH_SIZE + UP_BUFFER];
        let told = async {
            match told.await {
                Ok(why) => why,
                // Nobody is left to stop it.
                Err(_) => pending().await,
            }
        };
        tokio::pin!(told);
        let why = loop {
            let read = tokio::select! {
                biased;
                why = &mut told => break why,
                read = self.from.read(&mut buffer[LENGTH_SIZE..]) => read,
            };
            match read {
                Ok(0) | Err(_) => break HopEnd::ClientLeft,
                Ok(length) => {
                    let chunk = self.chunk(&mut buffer, length);
                    if write(&mut self.to, chunk).await.is_err() {
                        return End::Writer;
                    }
                    traffic.add_up(length);
                }
            }
        };
        // A socket that takes no more is already gone.
        if self.chunked {
            let _ = write(&mut self.to, &why.chunk()).await;
        }
        let _ = self.to.shutdown().await;
        End::Reader
    }

    /// What goes out for the bytes that stand in `buffer` behind the place for their length.
    fn chunk<'buffer>(&self, buffer: &'buffer mut [u8], length: usize) -> &'buffer [u8] {
        if self.chunked {
            let size = u16::try_from(length).expect("the buffer is smaller than the largest chunk");
            buffer[..LENGTH_SIZE].copy_from_slice(&size.to_be_bytes());
            &buffer[..LENGTH_SIZE + length]
        } else {
            &buffer[LENGTH_SIZE..LENGTH_SIZE + length]
        }
    }
}

/// Copies until an end, and passes the end on. Not `copy_bidirectional`: that waits for the second direction as long
/// as it likes to go on.
async fn copy_down(mut from: Reader, mut to: Writer, traffic: &Traffic) -> End {
    let mut buffer = vec![0; DOWN_BUFFER];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) if write(&mut to, &buffer[..length]).await.is_err() => return End::Writer,
            Ok(length) => traffic.add_down(length),
        }
    }
    // A socket that cannot be shut down is already gone.
    let _ = to.shutdown().await;
    End::Reader
}

/// Writes all of it, past a record of TLS that may be held back too.
pub async fn write(to: &mut Writer, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}
