//! One connection from the browser.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::egress::Shared;
use crate::exchange::Link;
use crate::failure::Failure;
use crate::page;
use crate::small_reads::SmallReads;
use crate::tunnel::{Patience, Tunnel};
use crate::world::World;

/// What one connection from the browser has of its own.
pub(crate) struct Browser {
    pub(crate) shared: Arc<Shared>,
    /// Its place among the connections, which its tunnel takes over.
    place: Arc<OwnedSemaphorePermit>,
    /// The connection to the world that the last answer came on.
    kept: Mutex<Option<Link>>,
    /// Whether a request has come.
    asked: AtomicBool,
}

impl Browser {
    pub(crate) fn kept(&self) -> Option<Link> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn keep(&self, link: Link) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(link);
    }

    /// Carries bytes once the browser has its answer and the far end is there: in a task of its own, which begins only then
    /// and so has no room for what came before.
    pub(crate) fn carry(
        self: &Arc<Self>,
        browser: OnUpgrade,
        world: impl Future<Output = Option<(World, Bytes)>> + Send + 'static,
    ) {
        let (shared, place) = (Arc::clone(&self.shared), Arc::clone(&self.place));
        self.shared.tasks.spawn(async move {
            let ends = tokio::join!(bare(browser), world);
            let (Some(browser), Some(world)) = ends else {
                return;
            };
            let options = &shared.dialler.options;
            let patience = Patience {
                open: options.idle_timeout,
                half_closed: options.half_closed_timeout,
            };
            let tunnel = Tunnel::new(browser, world, &shared.tunnels);
            shared.tasks.spawn(async move {
                let _place = place;
                tunnel.carry(patience).await;
            });
        });
    }
}

/// The browser's socket, once the answer has been written, and what was read of it too early.
async fn bare(upgrade: OnUpgrade) -> Option<(TcpStream, Bytes)> {
    let parts = upgrade
        .await
        .ok()?
        .downcast::<TokioIo<SmallReads<TcpStream>>>()
        .ok()?;
    Some((parts.io.into_inner().into_inner(), parts.read_buf))
}

/// Answers the requests of one connection until it ends or becomes a tunnel.
pub(crate) async fn serve(mut stream: TcpStream, shared: Arc<Shared>, place: OwnedSemaphorePermit) {
    // Without it small writes are only later.
    let _ = stream.set_nodelay(true);
    let options = Arc::clone(&shared.dialler.options);
    // Without it the kernel only keeps more.
    let _ = set_socket_send_buffer_size(&stream, options.browser_send_buffer);
    // A connection that says nothing yet needs no parser.
    if !matches!(timeout(options.head_timeout, stream.readable()).await, Ok(Ok(()))) {
        return;
    }
    let Some(_slot) = shared.slots.take(options.head_timeout).await else {
        // A browser that does not read it learns as much from the close.
        let _ = stream
            .write_all(page::bytes(&Failure::TooManyExchanges).as_bytes())
            .await;
        return;
    };
    let browser = Arc::new(Browser {
        shared: Arc::clone(&shared),
        place: Arc::new(place),
        kept: Mutex::new(None),
        asked: AtomicBool::new(false),
    });
    let served = Arc::clone(&browser);
    let service = service_fn(move |request| {
        served.asked.store(true, Ordering::Relaxed);
        Box::pin(Arc::clone(&served).answer(request))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .max_buf_size(options.head_bytes)
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(SmallReads::new(stream)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            // How it ended is the browser's business.
            _ = connection.as_mut() => return,
            // Before its first request it does not rest: hyper would close it under the head that is on its way.
            () = shared.slots.wanted() => if browser.asked.load(Ordering::Relaxed) {
                connection.as_mut().graceful_shutdown();
            },
        }
    }
}
