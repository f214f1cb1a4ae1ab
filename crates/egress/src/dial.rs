//! To the first of a host's addresses that answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// How long an address has before the next is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// Of a host with many addresses.
const MOST_ADDRESSES: usize = 8;

/// Connects to one of the addresses, the first one preferred.
///
/// # Errors
/// The last failure, once every address has failed.
pub(crate) async fn dial(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().take(MOST_ADDRESSES);
    let mut dials = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let connect = |address: &IpAddr| TcpStream::connect(SocketAddr::new(*address, port));
    loop {
        if dials.is_empty() {
            match waiting.next() {
                Some(address) => dials.push(connect(address)),
                None => return Err(failure),
            }
        }
        tokio::select! {
            Some(dialled) = dials.next() => match dialled {
                Ok(stream) => {
                    // Without it small writes are only later.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => {
                    failure = error;
                    dials.extend(waiting.next().map(connect));
                }
            },
            () = sleep(STAGGER), if waiting.len() > 0 => dials.extend(waiting.next().map(connect)),
        }
    }
}
