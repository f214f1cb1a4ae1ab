//! How much one browser can make its proxy hold, whatever it does. The proxy runs on a thread of its own, and the allocator
//! counts what that thread holds; clients and servers are on the test's.

#![expect(clippy::unwrap_used, reason = "the lint knows tests, but not their helpers")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wharf_egress::{AddressPolicy, Egress, Options, PrivateAddresses, Rules};

struct Counting;

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// What the proxy holds, and the most that it held. Tests of this file do not run beside each other.
static HELD: AtomicIsize = AtomicIsize::new(0);
static MOST: AtomicIsize = AtomicIsize::new(0);
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn changed(by: isize) {
    if COUNTED.get() {
        let held = HELD.fetch_add(by, Ordering::Relaxed) + by;
        MOST.fetch_max(held, Ordering::Relaxed);
    }
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by its nature; this one passes every call on as it is"
)]
// SAFETY: every call goes to the system's allocator with its own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        changed(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        changed(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: isize = 1024 * 1024;
/// What one session's proxy may hold.
const LIMIT: isize = 4 * MIB;

/// Far longer than it takes until nothing moves any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// A proxy on its own thread.
struct Proxy {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    async fn start() -> Self {
        HELD.store(0, Ordering::Relaxed);
        MOST.store(0, Ordering::Relaxed);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            COUNTED.set(true);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = listener();
                let address = listener.local_addr().unwrap();
                let rules = Rules {
                    addresses: AddressPolicy {
                        private: PrivateAddresses::Allowed,
                        ..AddressPolicy::default()
                    },
                    ..Rules::default()
                };
                let options = Options {
                    browser_send_buffer: 64 * 1024,
                    world_send_buffer: Some(64 * 1024),
                    ..Options::default()
                };
                let _egress = Egress::start(listener, rules, options);
                tell.send(address).unwrap();
                let _ = stopped.await;
            });
        });
        Self {
            address: told.await.unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()));
    }
}

/// A socket of which the kernel's buffers are soon full, as are those of its peer.
fn small() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket
}

fn listener() -> TcpListener {
    let socket = small();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(4_096).unwrap()
}

/// A server that floods whoever connects and reads nothing.
async fn flood(tasks: &mut JoinSet<()>, start: &'static [u8]) -> SocketAddr {
    let listener = listener();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                if !start.is_empty() {
                    let mut head = [0; 256];
                    let _ = stream.read(&mut head).await;
                    let _ = stream.write_all(start).await;
                }
                while stream.write_all(&[0; 16_384]).await.is_ok() {}
                pending::<()>().await;
            });
        }
    });
    address
}

/// Sends a head and then, if it is whole, as much as anybody takes; reads nothing. Counts itself once nothing is taken.
async fn push(address: SocketAddr, head: String, stuck: watch::Sender<usize>) {
    let whole = head.ends_with("\r\n\r\n");
    let Ok(mut stream) = small().connect(address).await else {
        return;
    };
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    drop(head);
    let quiet = Duration::from_millis(200);
    if whole {
        while let Ok(written) = timeout(quiet, stream.write_all(&[0; 16_384])).await {
            if written.is_err() {
                return;
            }
        }
    } else {
        // Until the proxy has read it, which nothing tells: it waits for the end of the head.
        sleep(10 * quiet).await;
    }
    stuck.send_modify(|stuck| *stuck += 1);
    let _stream = stream;
    pending::<()>().await;
}

const TUNNEL: &str = "CONNECT ORIGIN HTTP/1.1\r\n\r\n";
const UPLOAD: &str = "POST http://ORIGIN/ HTTP/1.1\r\ncontent-length: 1000000000000\r\n\r\n";
const DOWNLOAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";

/// What the proxy holds at most while so many clients send each of these heads, one kind after the other, and all that is
/// taken after it.
async fn most_held(kinds: &[(usize, &str)], answer: &'static [u8]) -> isize {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut tasks = JoinSet::new();
    let (stuck, mut all_stuck) = watch::channel(0);
    let origin = flood(&mut tasks, answer).await;
    let proxy = Proxy::start().await;
    let mut expected = 0;
    for (clients, head) in kinds {
        for _ in 0..*clients {
            let head = head.replace("ORIGIN", &origin.to_string());
            tasks.spawn(push(proxy.address, head, stuck.clone()));
        }
        expected += clients;
        let reached = timeout(PATIENCE, all_stuck.wait_for(|&stuck| stuck == expected)).await;
        assert!(reached.is_ok(), "{} of {expected} are stuck", *stuck.borrow());
    }
    MOST.load(Ordering::Relaxed)
}

#[expect(clippy::print_stdout, reason = "the figures are wanted")]
fn within_limit(what: &str, held: isize) {
    println!("{what}: {} KiB", held / 1024);
    assert!(held <= LIMIT, "{what}: {held} bytes");
}

#[tokio::test]
async fn endless_tunnels_that_nobody_reads() {
    let held = most_held(&[(320, TUNNEL)], b"").await;
    within_limit("320 tunnels stuck both ways", held);
}

#[tokio::test]
async fn endless_bodies_that_nobody_reads() {
    let held = most_held(&[(24, UPLOAD)], DOWNLOAD).await;
    within_limit("24 exchanges stuck both ways", held);
}

#[tokio::test]
async fn two_thousand_connections_at_once() {
    let held = most_held(&[(2_000, TUNNEL)], b"").await;
    within_limit("2,000 connections that want a tunnel", held);
    let held = most_held(&[(2_000, UPLOAD)], DOWNLOAD).await;
    within_limit("2,000 connections that want an exchange", held);
}

#[tokio::test]
async fn tunnels_and_heads_that_never_end() {
    let head = format!("GET http://ORIGIN/ HTTP/1.1\r\na: {}", "b".repeat(57_000));
    let held = most_held(&[(296, TUNNEL), (24, &head)], b"").await;
    within_limit("296 tunnels stuck both ways and 24 heads that never end", held);
}

/// The figure is for every byte: a body that passes leaves nothing behind.
#[tokio::test]
async fn what_has_passed_is_gone() {
    let mut servers = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = listener.local_addr().unwrap();
    servers.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(&[1; 100_000]).await;
        }
    });
    let _alone = ONE_AT_A_TIME.lock().await;
    let proxy = Proxy::start().await;
    let mut held = Vec::new();
    for _ in 0..30 {
        let mut client = TcpStream::connect(proxy.address).await.unwrap();
        let head = format!("CONNECT {origin} HTTP/1.1\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = 0;
        let mut buffer = [0; 4_096];
        while let Ok(read @ 1..) = client.read(&mut buffer).await {
            bytes += read;
        }
        assert!(bytes > 100_000);
        held.push(HELD.load(Ordering::Relaxed));
    }
    let (early, late) = (held[9], held[29]);
    assert!(late - early < 32 * 1024, "{early} bytes, then {late}");
}
