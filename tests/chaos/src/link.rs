//! A connection that can be hurt: a TCP proxy in this process, with one address in front and one or several behind.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::dice::Dice;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const CHUNK: usize = 16 * 1024;
/// The answer to a create is shorter than this.
const ANSWER_BYTES: usize = 2_400;

/// What happens to bytes on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weather {
    /// Nothing.
    #[default]
    Fair,
    /// Every connection is cut, and new ones are too.
    Cut,
    /// Every piece is held back this long.
    Slow(Duration),
    /// Of this many of a hundred answers the connection is cut at some byte, the first included.
    CutAnswers(usize),
}

/// A proxy. Its connections end when it is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    behind: Vec<SocketAddr>,
    next: AtomicUsize,
    weather: watch::Sender<Weather>,
    dice: Mutex<Dice>,
    cut: AtomicU64,
    /// What each connection's client has said, while that is recorded.
    recorded: Mutex<Option<Vec<Vec<u8>>>>,
}

impl Link {
    /// A link to these addresses, tried in turn, as a balancer would.
    pub async fn to(behind: Vec<SocketAddr>, dice: Dice) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behind,
            next: AtomicUsize::new(0),
            weather: watch::Sender::new(Weather::Fair),
            dice: Mutex::new(dice),
            cut: AtomicU64::new(0),
            recorded: Mutex::new(None),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            _tasks: tasks,
        })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As the base of an API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the weather, for connections that are open too.
    pub fn set(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Keeps what clients say from now on, a stream for each connection.
    pub fn record(&self) {
        *self.shared.recorded() = Some(Vec::new());
    }

    /// What clients have said since then. Nothing is kept any more.
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.shared.recorded().take().unwrap_or_default()
    }

    /// Answers that were cut so far.
    pub fn answers_cut(&self) -> u64 {
        self.shared.cut.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(carry(client, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let mut weather = shared.weather.subscribe();
    if *weather.borrow() == Weather::Cut {
        return;
    }
    let Some(server) = shared.connect().await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let budget = Budget::default();
    tokio::select! {
        () = up(from_client, to_server, &shared, &budget) => {}
        () = down(from_server, to_client, &shared, &budget) => {}
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

/// Bytes of the answer under way that may still pass; `usize::MAX` for all.
#[derive(Debug)]
struct Budget(AtomicUsize);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, budget: &Budget) {
    let mut chunk = vec![0; CHUNK];
    let mut recording = None;
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        shared.keep(&mut recording, &chunk[..length]);
        // Bytes of a client's begin a request, so what follows is an answer.
        budget.0.store(shared.draw_budget(), Ordering::Relaxed);
        shared.hold_back().await;
        if to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
    // A client that has said all it has to say may still listen.
    let _ = to.shutdown().await;
    std::future::pending::<()>().await;
}

async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, budget: &Budget) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        shared.hold_back().await;
        let left = budget.0.load(Ordering::Relaxed);
        if to.write_all(&chunk[..length.min(left)]).await.is_err() {
            return;
        }
        if left < length {
            shared.cut.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if left != usize::MAX {
            budget.0.store(left - length, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// The next one that takes the connection.
    async fn connect(&self) -> Option<TcpStream> {
        for _ in 0..self.behind.len() {
            let index = self.next.fetch_add(1, Ordering::Relaxed) % self.behind.len();
            if let Ok(Ok(stream)) = timeout(CONNECT_WITHIN, TcpStream::connect(self.behind[index])).await {
                return Some(stream);
            }
        }
        None
    }

    fn recorded(&self) -> MutexGuard<'_, Option<Vec<Vec<u8>>>> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `stream` is the connection's place among the recorded ones.
    fn keep(&self, stream: &mut Option<usize>, bytes: &[u8]) {
        if let Some(streams) = self.recorded().as_mut() {
            let index = *stream.get_or_insert_with(|| {
                streams.push(Vec::new());
                streams.len() - 1
            });
            streams[index].extend_from_slice(bytes);
        }
    }

    fn draw_budget(&self) -> usize {
        let Weather::CutAnswers(share) = *self.weather.borrow() else {
            return usize::MAX;
        };
        let dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        if dice.percent(share) {
            dice.below(ANSWER_BYTES)
        } else {
            usize::MAX
        }
    }

    async fn hold_back(&self) {
        let weather = *self.weather.borrow();
        if let Weather::Slow(delay) = weather {
            sleep(delay).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every request, of whatever bytes, with 3,000 of its own.
    async fn answering() -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut chunk = [0; 100];
                while let Ok(1..) = stream.read(&mut chunk).await {
                    if stream.write_all(&[b'x'; 3_000]).await.is_err() {
                        break;
                    }
                }
            }
        });
        (address, tasks)
    }

    /// How many bytes come back.
    async fn answer_through(link: &Link) -> usize {
        let mut client = TcpStream::connect(link.address()).await.unwrap();
        let _ = client.write_all(b"request").await;
        let mut seen = 0;
        let mut chunk = [0; 3_000];
        while seen < 3_000 {
            match client.read(&mut chunk).await {
                Ok(length @ 1..) => seen += length,
                _ => break,
            }
        }
        seen
    }

    #[tokio::test]
    async fn each_weather_does_what_it_says() {
        let (address, _tasks) = answering().await;
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let link = Link::to(vec![nobody, address], Dice::new(1, 1)).await.unwrap();
        assert_eq!(answer_through(&link).await, 3_000, "a dead one is passed over");
        link.set(Weather::CutAnswers(100));
        let cut = answer_through(&link).await;
        assert!(cut < ANSWER_BYTES, "{cut}");
        assert_eq!(link.answers_cut(), 1);
        link.set(Weather::Cut);
        assert_eq!(answer_through(&link).await, 0);
        link.set(Weather::Slow(Duration::from_millis(50)));
        let started = tokio::time::Instant::now();
        assert_eq!(answer_through(&link).await, 3_000);
        assert!(started.elapsed() >= Duration::from_millis(100));
    }
}
