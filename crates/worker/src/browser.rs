//! What a session needs of a browser. Chromium is one (`chromium.rs`); tests put in another.

mod ad_lists;
mod chromium;
mod outside;
mod proxy_pool;
mod roads;
#[cfg(test)]
pub(crate) mod testing;

use std::future::ready;
#[cfg(test)]
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::HeaderMap;
use wharf_chrome::Devtools;
use wharf_domain::{Bytes, Millis};
use wharf_protocol::LaunchRequest;
use wharf_tunnel::{Answer, DialError};

pub use ad_lists::AdLists;
pub use chromium::Chromiums;
pub use proxy_pool::{BadPool, ProxyPool};
pub use roads::BuiltInProxy;
pub(crate) use roads::session_number;

/// What was asked for cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Impossible {
    /// The options make no sense, or name something that does not work.
    #[error("{0}")]
    Invalid(String),
    /// The operator does not offer it.
    #[error("{0}")]
    NotOffered(String),
    /// Not now and not here, in a sentence for the caller; another worker may have it.
    #[error("{0}")]
    NotHere(String),
}

/// Starts browsers.
pub(crate) trait Browsers: Send + Sync + 'static {
    /// Whether what is asked for can be had at all; asked before a browser is started for it, or handed out.
    fn vet(&self, _: &LaunchRequest) -> BoxFuture<'static, Result<(), Impossible>> {
        Box::pin(ready(Ok(())))
    }

    /// Starts one that answers `within` this time; otherwise says why not. Dropping the future leaves nothing behind.
    fn launch(
        &self,
        request: &LaunchRequest,
        within: Duration,
    ) -> BoxFuture<'static, Result<Box<dyn Browser>, String>>;

    /// No launches are to come: takes away what waits for one, from this call on. Resolves when nothing is left.
    fn retire(&self) -> BoxFuture<'static, ()> {
        Box::pin(ready(()))
    }
}

/// A browser that answers.
pub(crate) trait Browser: Send + Sync + 'static {
    /// Where it takes CDP connections.
    fn endpoint(&self) -> Endpoint;
    /// Its product name and version.
    fn version(&self) -> String;
    /// Resolves when it has ended by itself. May be asked again and dropped at will.
    fn exited(&self) -> BoxFuture<'_, Exit>;
    /// Measures it, from any thread.
    fn meter(&self) -> Arc<dyn Meter>;
    /// Takes every trace of it away.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Measures a browser.
pub(crate) trait Meter: Send + Sync + 'static {
    /// `None` once the browser is gone. Reads files of the kernel for some milliseconds.
    fn read(&self) -> Option<Reading>;
    /// The CPU time alone, for which fewer files are read.
    fn cpu(&self) -> Option<Millis>;
    /// What its way out has carried. Told when the browser is gone too, and final once it is closed.
    fn traffic(&self) -> Traffic;
}

/// What a browser's processes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// CPU time so far.
    pub(crate) cpu: Millis,
    /// Memory now, as proportional set size.
    pub(crate) memory: Bytes,
}

/// What a browser's way out has carried, both ways. Nothing where a browser goes out by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// Bytes through a proxy so far.
    pub(crate) proxy: Bytes,
    /// Bytes by any road so far, the proxy's among them.
    pub(crate) egress: Bytes,
    /// Those of each of the session's proxy rules, in their order.
    pub(crate) by_rule: Vec<Bytes>,
}

/// Where a browser takes CDP connections.
#[derive(Debug, Clone)]
pub(crate) enum Endpoint {
    /// A Chromium's, in whatever network it is.
    Chromium(Devtools),
    /// A test's.
    #[cfg(test)]
    At {
        /// Host and port.
        address: SocketAddr,
        /// Holds a secret of the browser: not for logs.
        path: String,
    },
}

impl Endpoint {
    /// The whole URL, as the browser knows it.
    #[cfg(test)]
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Chromium(devtools) => devtools.url(),
            Self::At { address, path } => format!("ws://{address}{path}"),
        }
    }

    /// Asks for a WebSocket, with the client's own handshake headers.
    pub(crate) async fn dial(&self, handshake: HeaderMap) -> Result<Answer, DialError> {
        match self {
            Self::Chromium(devtools) => {
                // The host is the one that the browser knows: it checks.
                let host = devtools.address().to_string();
                wharf_tunnel::dial_through(devtools.connect(), &host, devtools.path(), handshake).await
            }
            #[cfg(test)]
            Self::At { address, path } => wharf_tunnel::dial(&address.to_string(), path, handshake).await,
        }
    }
}

/// How a browser ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was asked to close, and did.
    Clean,
    /// It took more memory than a session may have.
    OutOfMemory,
    /// Anything else, in words.
    Crash(String),
}
