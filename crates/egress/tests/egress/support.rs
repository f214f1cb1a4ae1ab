//! An egress under test, clients of it that speak by hand, and servers that do what a test tells them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wharf_egress::{AddressPolicy, Egress, Options, PrivateAddresses, Rules};

/// Longer than anything here takes on a busy machine; what waits for nothing fails by it.
pub const LONG: Duration = Duration::from_secs(60);

/// Everything on this machine is open.
pub fn open() -> Rules {
    Rules {
        addresses: AddressPolicy {
            private: PrivateAddresses::Allowed,
            ..AddressPolicy::default()
        },
        ..Rules::default()
    }
}

/// A running egress.
pub struct Proxy {
    pub egress: Egress,
    pub address: SocketAddr,
}

pub async fn proxy(rules: Rules) -> Proxy {
    proxy_with(rules, Options::default()).await
}

pub async fn proxy_with(rules: Rules, options: Options) -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Proxy {
        egress: Egress::start(listener, rules, options),
        address,
    }
}

impl Proxy {
    pub async fn client(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// The answer to one request on a connection of its own, head and body.
    pub async fn ask(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.send(request).await;
        client.rest().await
    }

    /// The answer to a GET.
    pub async fn get(&self, url: &str) -> String {
        self.ask(&format!("GET {url} HTTP/1.1\r\nconnection: close\r\n\r\n"))
            .await
    }
}

/// A connection on which a test speaks by hand.
pub struct Client(pub TcpStream);

impl Client {
    pub async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.unwrap();
    }

    /// The head of the next message.
    pub async fn head(&mut self) -> String {
        timeout(LONG, head(&mut self.0)).await.expect("there is no head")
    }

    /// The next so many bytes.
    pub async fn bytes(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        timeout(LONG, self.0.read_exact(&mut bytes))
            .await
            .expect("there are not so many bytes")
            .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// All that comes until the connection ends, in whichever way.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset after the answer is an end too.
        let _ = timeout(LONG, self.0.read_to_end(&mut bytes))
            .await
            .expect("the connection does not end");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asks for a tunnel, which must be granted.
    pub async fn connect(&mut self, authority: impl std::fmt::Display) {
        self.send(format!(
            "CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n"
        ))
        .await;
        let head = self.head().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
}

/// Reads up to the empty line, and nothing beyond it.
pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}

/// A server on loopback that gives each connection to a function. It ends with the test.
pub struct Server {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub async fn start<F, Served>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        Self::start_on("127.0.0.1:0", serve).await
    }

    pub async fn start_on<F, Served>(address: &str, serve: F) -> Self
    where
        F: Fn(TcpStream) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        Self::on(TcpListener::bind(address).await.unwrap(), serve)
    }

    pub fn on<F, Served>(listener: TcpListener, serve: F) -> Self
    where
        F: Fn(TcpStream) -> Served + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, mut tasks) = (Arc::clone(&accepted), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream));
            }
        });
        Self {
            address,
            accepted,
            _tasks: tasks,
        }
    }

    /// Answers every request on a connection with the head that it got.
    pub async fn echo() -> Self {
        Self::start(|mut stream| async move {
            loop {
                let mut first = [0];
                if stream.peek(&mut first).await.is_err() || first == [0] {
                    return;
                }
                let head = head(&mut stream).await;
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        })
        .await
    }

    /// Sends every byte back.
    pub async fn mirror() -> Self {
        Self::start(|mut stream| async move {
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        })
        .await
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

/// The value of a header, if the head has it.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0)
}

/// Why our proxy gave the answer itself.
pub fn reason(answer: &str) -> Option<&str> {
    header(answer, "x-wharf-egress")
}
