//! Ports that stay a process's own while it is stopped.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context;

/// Below the range from which the kernel takes the source ports of outgoing connections: a process that was killed finds
/// its own port free when it comes back.
const FIRST: u16 = 10_000;
const LAST: u16 = 32_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A free address on loopback. Tests that run at the same time begin to look at different places.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    let span = LAST - FIRST;
    let offset = u16::try_from(u64::from(std::process::id()) * 97 % u64::from(span))?;
    (0..span)
        .map(|_| NEXT.fetch_add(1, Ordering::Relaxed))
        .map(|step| {
            FIRST + u16::try_from((u32::from(offset) + u32::from(step)) % u32::from(span)).unwrap_or(0)
        })
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no free port")
}
