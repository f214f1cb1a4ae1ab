//! Both ends of a tunnel for tests, over real sockets and by hand: a client that can misbehave, and a far end that
//! stands for a browser or a worker.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// An answer 101 in due form. The two values belong together: RFC 6455, section 1.3.
pub const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                                    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// The headers of a handshake in due form.
pub const HANDSHAKE: &str = "upgrade: websocket\r\nconnection: keep-alive, Upgrade\r\n\
                                    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A server that gives every connection the same answer, and then leaves it to the test.
pub struct FarEnd {
    /// Where it listens.
    pub address: SocketAddr,
    arrived: mpsc::UnboundedReceiver<Arrived>,
    _tasks: JoinSet<()>,
}

/// A connection that the far end has answered.
pub struct Arrived {
    /// The request's head.
    pub head: String,
    /// The connection, after the answer.
    pub stream: TcpStream,
}

impl FarEnd {
    /// Listens on a free port, and answers so.
    pub async fn answering(answer: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrivals, arrived) = mpsc::unbounded_channel();
        let answer = answer.to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let head = read_head(&mut stream).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
                // The test may have seen enough.
                let _ = arrivals.send(Arrived { head, stream });
            }
        });
        Self {
            address,
            arrived,
            _tasks: tasks,
        }
    }

    /// The next connection.
    pub async fn next(&mut self) -> Arrived {
        self.arrived.recv().await.unwrap()
    }

    /// Whether nobody has come since the last time.
    pub fn is_untouched(&mut self) -> bool {
        self.arrived.try_recv().is_err()
    }
}

/// What a client was answered.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// What follows the head.
    pub body: String,
}

/// Sends a GET with these headers and reads the answer.
pub async fn get(address: SocketAddr, target: &str, headers: &str) -> (Reply, TcpStream) {
    send(
        address,
        &format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n"),
    )
    .await
}

/// Sends these bytes and reads the answer to them.
pub async fn send(address: SocketAddr, request: &str) -> (Reply, TcpStream) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    // A server may refuse a request that it has not read to the end.
    let _ = stream.write_all(request.as_bytes()).await;
    let head = read_head(&mut stream).await.to_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (
        Reply {
            status,
            head,
            body: String::from_utf8(body).unwrap(),
        },
        stream,
    )
}

/// Reads up to the empty line, and not a byte more: what follows is the tunnel's.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}
