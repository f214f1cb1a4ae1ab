//! The proxy against real sockets: browsers, servers and upstream proxies on this machine's loopback.

#![expect(clippy::unwrap_used, reason = "the lint knows tests, but not their helpers")]

mod addresses;
mod fake_upstream;
mod forward;
mod hostile;
mod limits;
mod meter;
mod rules;
mod support;
mod tunnel;
mod upstream;
mod websocket;
