//! Measures a loopback server directly and through the proxy, in turns: bytes a second over one connection, and the time to
//! the first byte of a new connection and of a kept one. `cargo run --release --package wharf-egress --example throughput`
//!
//! A loopback has no latency and as much bandwidth as there is CPU, so this shows the proxy at its worst.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wharf_egress::{AddressPolicy, Egress, Options, PrivateAddresses, Rules};

const TURNS: usize = 15;
const BYTES: u64 = 1 << 30;
const LOOKS: usize = 400;

/// Sends as many bytes as it is asked for, at no more than a rate in bytes a second, if one is given.
async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let piece = vec![7; 64 * 1024];
            while let (Ok(mut left), Ok(rate)) = (stream.read_u64().await, stream.read_u64().await) {
                let (start, wanted) = (Instant::now(), left);
                while left > 0 {
                    let length = left.min(piece.len() as u64);
                    if stream.write_all(&piece[..length as usize]).await.is_err() {
                        return;
                    }
                    left -= length;
                    if let Some(due) = ((wanted - left) * 1_000_000).checked_div(rate) {
                        let ahead = Duration::from_micros(due).saturating_sub(start.elapsed());
                        if ahead > Duration::from_millis(1) {
                            sleep(ahead).await;
                        }
                    }
                }
            }
        });
    }
}

async fn connect(origin: SocketAddr, proxy: Option<SocketAddr>) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(proxy.unwrap_or(origin)).await?;
    stream.set_nodelay(true)?;
    if proxy.is_some() {
        let head = format!("CONNECT {origin} HTTP/1.1\r\nhost: {origin}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        // The server behind it says nothing before it is asked.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut answer).await?;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
    Ok(stream)
}

async fn fetch(stream: &mut TcpStream, bytes: u64, rate: u64) -> std::io::Result<()> {
    stream
        .write_all(&[bytes.to_be_bytes(), rate.to_be_bytes()].concat())
        .await?;
    let (mut left, mut buffer) = (bytes, vec![0; 256 * 1024]);
    while left > 0 {
        left = left.saturating_sub(stream.read(&mut buffer).await? as u64);
    }
    Ok(())
}

/// Seconds: all of a download as fast as it goes, of one at 1 Gbit/s, and the first byte of a new and of a kept connection.
async fn measure(origin: SocketAddr, proxy: Option<SocketAddr>) -> std::io::Result<[f64; 4]> {
    let mut stream = connect(origin, proxy).await?;
    let start = Instant::now();
    fetch(&mut stream, BYTES, 0).await?;
    let fast = start.elapsed();
    let start = Instant::now();
    fetch(&mut stream, BYTES / 16, 125_000_000).await?;
    let gigabit = start.elapsed();
    let start = Instant::now();
    for _ in 0..LOOKS {
        fetch(&mut stream, 1, 0).await?;
    }
    let kept = start.elapsed() / LOOKS as u32;
    let start = Instant::now();
    for _ in 0..LOOKS {
        fetch(&mut connect(origin, proxy).await?, 1, 0).await?;
    }
    let new = start.elapsed() / LOOKS as u32;
    Ok([fast, gigabit, new, kept].map(|time| time.as_secs_f64()))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = listener.local_addr()?;
    let mut servers = JoinSet::new();
    servers.spawn(serve(listener));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = listener.local_addr()?;
    let rules = Rules {
        addresses: AddressPolicy {
            private: PrivateAddresses::Allowed,
            ..AddressPolicy::default()
        },
        ..Rules::default()
    };
    let _egress = Egress::start(listener, rules, Options::default());
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        direct.push(measure(origin, None).await?);
        through.push(measure(origin, Some(proxy)).await?);
    }
    let of = |figures: &[[f64; 4]], index: usize| median(figures.iter().map(|turn| turn[index]).collect());
    println!("medians of {TURNS} turns, direct and through the proxy");
    for (index, (name, scale, unit)) in [
        ("1 GiB as fast as it goes", 1e3, "ms"),
        ("64 MiB at 1 Gbit/s", 1e3, "ms"),
        ("first byte, new connection", 1e6, "µs"),
        ("first byte, kept connection", 1e6, "µs"),
    ]
    .into_iter()
    .enumerate()
    {
        let (direct, through) = (of(&direct, index), of(&through, index));
        println!(
            "{name}: {:.0} {unit}, {:.0} {unit}; ratio {:.3}, difference {:.0} {unit}",
            direct * scale,
            through * scale,
            through / direct,
            (through - direct) * scale,
        );
    }
    Ok(())
}
