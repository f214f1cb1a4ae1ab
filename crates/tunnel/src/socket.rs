//! The settings of a tunnel's sockets.

use std::time::Duration;

use tokio::net::TcpStream;

/// Silence after which the kernel asks whether the other end is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// Makes small messages leave at once, and a peer that vanished without a word be noticed within a minute.
///
/// A socket that refuses a setting is still a good socket, only slower or later to be missed.
pub(super) fn tune(stream: &TcpStream) {
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| Ok(rustix::net::sockopt::set_socket_keepalive(stream, true)?))
        .and_then(|()| Ok(rustix::net::sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?))
        .and_then(|()| {
            Ok(rustix::net::sockopt::set_tcp_keepintvl(
                stream,
                KEEPALIVE_INTERVAL,
            )?)
        })
        .and_then(|()| Ok(rustix::net::sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?));
    if let Err(error) = tuned {
        tracing::debug!(%error, "a tunnel's socket refused a setting");
    }
}
