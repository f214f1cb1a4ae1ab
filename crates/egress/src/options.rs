//! The limits of one egress.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::resolve::{Resolve, SystemResolver};
use crate::trust::Trust;

/// The limits of one [`crate::Egress`], and what it works with.
///
/// The defaults suit a browser, which has 32 connections to a proxy for each of its contexts, and keep what the proxy holds
/// below 4 MiB: about 5 KiB for a tunnel, 60 KiB for an exchange of which neither side takes anything, and 70 KiB for the
/// longest head.
#[derive(Clone)]
pub struct Options {
    /// Connections from the browser at once. Further ones wait, unaccepted, in the listener's backlog.
    pub connections: usize,
    /// How many of them may hold an HTTP parser: those that send a request or exchange plain HTTP; a tunnel does not.
    /// Further ones wait, and resting ones are closed for them; after `head_timeout` a waiting one is told 503.
    pub exchanges: usize,
    /// Bytes that all tunnels together may hold for receivers that do not take them. Beyond that a tunnel reads 512 bytes
    /// at a time, and only once it holds nothing.
    pub tunnel_bytes: usize,
    /// What the kernel may keep, in bytes, for a browser that does not take it. Left to itself it is 2.5 MB for each socket
    /// of a loopback, which is not the browser's memory but the machine's.
    pub browser_send_buffer: usize,
    /// The same towards the world. By default the kernel decides, by how fast and far the receiver is.
    pub world_send_buffer: Option<usize>,
    /// The longest head of a request or an answer, in bytes; a longer request is told 431. At least 8 KiB.
    /// The buffer doubles when less than 8 KiB of it is free, so that this default just fits in 64 KiB.
    pub head_bytes: usize,
    /// For the whole head of a request. Also how long a kept-alive connection may rest.
    pub head_timeout: Duration,
    /// To reach a host: its name, its address, and TLS if it is an upstream proxy. Then 504.
    pub connect_timeout: Duration,
    /// For an upstream proxy to open a tunnel, which includes its own dialling. Then 504.
    pub upstream_timeout: Duration,
    /// From the request to the head of its answer. Then 504.
    pub answer_timeout: Duration,
    /// How long the world may take none of the bytes that wait for it.
    pub stall_timeout: Duration,
    /// How long a tunnel of which one side has closed may carry nothing.
    pub half_closed_timeout: Duration,
    /// How long an open tunnel may carry nothing; as long as it likes by default.
    pub idle_timeout: Option<Duration>,
    /// Lookups of names at once: each may hold one of the process's threads.
    pub lookups: usize,
    /// Looks names up.
    pub resolver: Arc<dyn Resolve>,
    /// Whose certificates upstream proxies may show, except the operator's own: those show public ones.
    pub trust: Trust,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 320,
            exchanges: 24,
            tunnel_bytes: 256 * 1024,
            browser_send_buffer: 256 * 1024,
            world_send_buffer: None,
            head_bytes: 56 * 1024,
            head_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            upstream_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(300),
            stall_timeout: Duration::from_secs(300),
            half_closed_timeout: Duration::from_secs(60),
            idle_timeout: None,
            lookups: 8,
            resolver: Arc::new(SystemResolver),
            trust: Trust::public(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("connections", &self.connections)
            .field("exchanges", &self.exchanges)
            .finish_non_exhaustive()
    }
}
