//! Where clients' connections to a browser's DevTools go.

use crate::jail::Ambassador;
use crate::stderr::DevtoolsEndpoint;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

/// The way to a browser's DevTools. A cheap handle; it leads nowhere once the browser has ended.
#[derive(Debug, Clone)]
pub struct Devtools {
    endpoint: Arc<DevtoolsEndpoint>,
    ambassador: Option<Arc<Ambassador>>,
}

impl Devtools {
    pub(crate) fn new(endpoint: DevtoolsEndpoint, ambassador: Option<Arc<Ambassador>>) -> Devtools {
        Devtools {
            endpoint: Arc::new(endpoint),
            ambassador,
        }
    }

    /// A new connection, in the jail's network if the browser has one.
    ///
    /// # Errors
    /// The browser does not listen any more.
    pub async fn connect(&self) -> std::io::Result<TcpStream> {
        match &self.ambassador {
            Some(ambassador) => ambassador.connect(self.endpoint.address().port()).await,
            None => TcpStream::connect(self.endpoint.address()).await,
        }
    }

    /// Address and port as the browser knows them, on its loopback: what its `Host` check accepts.
    pub fn address(&self) -> SocketAddr {
        self.endpoint.address()
    }

    /// `/devtools/browser/<uuid>`.
    pub fn path(&self) -> &str {
        self.endpoint.path()
    }

    /// The whole WebSocket URL, as the browser knows it.
    pub fn url(&self) -> String {
        self.endpoint.url()
    }
}
