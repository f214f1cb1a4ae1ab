//! The listener and the signals, which every role that runs has.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

/// Takes the address, or says what to do.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!(
                "{address} is taken by another program; choose another address, as in --listen {}:{}",
                address.ip(),
                address.port().wrapping_add(1).max(1024)
            ),
            ErrorKind::PermissionDenied => {
                anyhow!(
                    "this user may not listen on {address}; choose a port above 1023, as in --listen {}:8080",
                    address.ip()
                )
            }
            _ => anyhow!("{address} cannot be listened on: {error}; choose another address with --listen"),
        })
}

/// How programs on this machine reach the address.
pub(crate) fn base_url(address: SocketAddr) -> Url {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Url::parse(&format!("http://{reachable}")).expect("an address makes a URL")
}

/// A create that is under way when the service stops may still end in order.
const DRAIN_WITHIN: Duration = Duration::from_secs(25);

/// A server that runs until it is stopped.
pub(crate) struct Server {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// Serves `router` on `listener`.
pub(crate) fn start(listener: TcpListener, router: Router) -> Server {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(wharf_listener::serve(
        listener,
        router,
        stop.clone(),
        DRAIN_WITHIN,
    ));
    Server { stop, tasks }
}

impl Server {
    /// Takes no more requests and answers those that are under way.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Ctrl-C, and the request to end that a supervisor sends.
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Waits for them from now on: they no longer end the process by themselves.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be waited for");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// Resolves at the next of them.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
