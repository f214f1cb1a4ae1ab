//! An upstream proxy that is the world behind it as well: it answers for every host, with its own name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// `me:secret`, as a proxy is told it.
const AUTHORIZATION: &str = "proxy-authorization: basic bwu6c2vjcmv0";

/// Ends when it is dropped.
pub struct Upstream {
    pub name: &'static str,
    pub address: SocketAddr,
    bytes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// One that wants credentials.
    pub async fn start(name: &'static str) -> anyhow::Result<Self> {
        Self::serve(name, true).await
    }

    /// A server of pages, which is no proxy: nobody shows it credentials.
    pub async fn origin(name: &'static str) -> anyhow::Result<Self> {
        Self::serve(name, false).await
    }

    async fn serve(name: &'static str, guarded: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let bytes = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&bytes);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, name, guarded, Arc::clone(&counted)));
            }
        });
        Ok(Self {
            name,
            address,
            bytes,
            _tasks: tasks,
        })
    }

    /// Its entry in a pool.
    pub fn entry(&self, place: &str) -> String {
        entry(self.address, place)
    }

    /// What went over its sockets, both ways, since the last call.
    pub fn take_bytes(&self) -> u64 {
        self.bytes.swap(0, SeqCst)
    }
}

pub fn entry(address: SocketAddr, place: &str) -> String {
    format!(
        "[[upstream]]\nserver = \"http://{address}\"\nusername = \"me\"\npassword = \"secret\"\n{place}\n"
    )
}

/// One request a connection.
async fn answer(mut stream: TcpStream, name: &'static str, guarded: bool, counted: Arc<AtomicU64>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(1..) => {}
            _ => break,
        }
    }
    counted.fetch_add(head.len() as u64, SeqCst);
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let (status, body) = match (
        guarded && !head.contains(AUTHORIZATION),
        head.starts_with("connect "),
    ) {
        (true, _) => ("407 Proxy Authentication Required", ""),
        (false, true) => ("502 Bad Gateway", ""),
        (false, false) => ("200 OK", name),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\naccess-control-allow-origin: *\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        counted.fetch_add(answer.len() as u64, SeqCst);
    }
    let _ = stream.shutdown().await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}
