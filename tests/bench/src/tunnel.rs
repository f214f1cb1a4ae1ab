//! The raw tunnel: a process that moves bytes between two sockets and does nothing else. A process of its own,
//! because Wharf is one too, and what is compared is the same path with and without Wharf in it.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::{JoinSet, spawn_blocking};

/// Carries every connection to `target`, until standard input ends: with the parent, however that ended.
pub async fn serve(target: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    announce(listener.local_addr()?);
    let parent_gone = spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let accept = async {
        let mut tunnels = JoinSet::new();
        loop {
            let (client, _) = listener.accept().await?;
            tunnels.spawn(carry(client, target));
        }
    };
    tokio::select! {
        failed = accept => failed,
        gone = parent_gone => {
            gone??;
            Ok(())
        }
    }
}

#[expect(clippy::print_stdout, reason = "the parent reads the address from here")]
fn announce(address: SocketAddr) {
    println!("{address}");
}

async fn carry(mut client: TcpStream, target: SocketAddr) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

/// A running tunnel process.
#[derive(Debug)]
pub struct Tunnel {
    process: Child,
    address: SocketAddr,
}

impl Tunnel {
    /// Starts a tunnel to `target`.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Tunnel> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["tunnel", &target.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the raw tunnel did not start")?;
        let stdout = process.stdout.take().context("standard output is a pipe")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        let address = line.trim().parse().context("the raw tunnel said no address")?;
        Ok(Tunnel { process, address })
    }

    /// Where it takes connections.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, and waits until it is gone.
    pub async fn end(mut self) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        self.process.wait().await?;
        Ok(())
    }
}
