//! A site for pages that need one: an origin with storage, and connections that are never answered.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use wharf_testkit::Cdp;

const THERE_WITHIN: Duration = Duration::from_secs(20);
const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 5\r\nconnection: close\r\n\r\nthere";

/// Gone when dropped.
pub struct Site {
    port: u16,
    _server: JoinSet<()>,
}

impl Site {
    pub async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut visitors = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                visitors.spawn(serve(stream));
                while visitors.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            port,
            _server: server,
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Takes the client's first page here.
    pub async fn visit(&self, client: &mut Cdp) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/", self.port);
        client
            .evaluate(&format!("setTimeout(() => location.href = {url:?}); 0"))
            .await?;
        let (started, there) = (Instant::now(), "document.body?.innerText === 'there'");
        // What is asked on the way may get no answer.
        while !matches!(client.evaluate(there).await, Ok(serde_json::Value::Bool(true))) {
            ensure!(
                started.elapsed() < THERE_WITHIN,
                "a page of the site does not load"
            );
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// Answers `/`, and holds everything else until the other end goes.
async fn serve(mut stream: TcpStream) {
    let mut head = [0; 4096];
    let Ok(length) = stream.read(&mut head).await else {
        return;
    };
    if head[..length].starts_with(b"GET / ") {
        let _ = stream.write_all(PAGE).await;
        return;
    }
    while matches!(stream.read(&mut head).await, Ok(1..)) {}
}
