//! Sockets to the world: dialled by the rules, every byte counted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::client::TlsStream;

use crate::address::AddressPolicy;
use crate::dial::dial;
use crate::failure::Failure;
use crate::host::Host;
use crate::meter::RoadMeter;
use crate::options::Options;
use crate::resolve::Names;

/// Opens sockets to the world.
pub(crate) struct Dialler {
    pub(crate) names: Names,
    pub(crate) options: Arc<Options>,
}

impl Dialler {
    /// Resolves, checks and dials, each once. Without a policy every address is open.
    pub(crate) async fn reach(
        &self,
        host: &Host,
        port: u16,
        policy: Option<&AddressPolicy>,
        meter: &Arc<RoadMeter>,
    ) -> Result<Counted, Failure> {
        let within = self.options.connect_timeout;
        let dialled = timeout(within, async {
            let addresses = self.names.open_addresses(host, policy).await?;
            dial(&addresses, port).await.map_err(Failure::of_dial)
        });
        let socket = dialled.await.map_err(|_| Failure::ConnectTimedOut(within))??;
        if let Some(bytes) = self.options.world_send_buffer {
            // Without it the kernel only keeps more.
            let _ = set_socket_send_buffer_size(&socket, bytes);
        }
        Ok(Counted {
            socket,
            meter: Arc::clone(meter),
            stall_timeout: self.options.stall_timeout,
            stalled: None,
        })
    }

    /// Whether the policy lets through a host that somebody else will resolve and dial, as far as a lookup here tells.
    pub(crate) async fn check(&self, host: &Host, policy: &AddressPolicy) -> Result<(), Failure> {
        let within = self.options.connect_timeout;
        let checked = timeout(within, self.names.check(host, policy));
        checked.await.map_err(|_| Failure::ConnectTimedOut(within))?
    }
}

/// A socket whose bytes are counted, and which fails when its peer takes none of them for too long.
pub(crate) struct Counted {
    socket: TcpStream,
    meter: Arc<RoadMeter>,
    stall_timeout: Duration,
    /// Since the peer took the last byte.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Counted {
    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(result) => {
                self.stalled = None;
                self.meter.send(*result.as_ref().unwrap_or(&0));
                Poll::Ready(result)
            }
            Poll::Pending => {
                let within = self.stall_timeout;
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(within)));
                ready!(stalled.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        self.meter.receive(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// A connection to the world: the bare socket, or TLS to an upstream proxy over it.
pub(crate) enum World {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

/// The same call on whichever it is.
macro_rules! either {
    ($world:expr, $call:ident($($argument:expr),*)) => {
        match $world.get_mut() {
            World::Plain(socket) => Pin::new(socket).$call($($argument),*),
            World::Tls(stream) => Pin::new(stream.as_mut()).$call($($argument),*),
        }
    };
}

impl AsyncRead for World {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for World {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(cx))
    }
}
