//! Bytes between the browser and the world, both ways, without a look at them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::World;

/// The most that is read at once.
const MOST_BYTES: usize = 64 * 1024;
/// The least, however much is held elsewhere: no tunnel starves because others are stuck.
const LEAST_BYTES: usize = 512;
/// Pieces that one direction may move before the other has its turn.
const MOST_PIECES: usize = 16;

thread_local! {
    /// Bytes pass through here within one call; only what a receiver does not take is kept, in a buffer of that size. So a
    /// tunnel that rests, and one whose receivers keep up, holds no memory.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; MOST_BYTES].into_boxed_slice());
}

/// What all tunnels together hold for receivers that do not take it.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    held: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: AtomicUsize::new(0),
        }
    }

    /// How much may be read at once: less and less as more is held, so that the limit is approached and hardly passed.
    fn piece(&self) -> usize {
        let free = self.limit.saturating_sub(self.held.load(Ordering::Relaxed));
        (free / 4).clamp(LEAST_BYTES, MOST_BYTES)
    }
}

/// How long a tunnel may carry nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) open: Option<Duration>,
    pub(crate) half_closed: Duration,
}

enum Event {
    HalfClosed,
    Ended,
    Waited,
}

/// A tunnel that is there.
pub(crate) struct Tunnel {
    browser: TcpStream,
    world: World,
    up: Direction,
    down: Direction,
    half_closed: bool,
}

impl Tunnel {
    /// What was read too early of either side goes first.
    pub(crate) fn new(
        (browser, from_browser): (TcpStream, Bytes),
        (world, from_world): (World, Bytes),
        budget: &Arc<Budget>,
    ) -> Self {
        Self {
            browser,
            world,
            up: Direction::new(&from_browser, budget),
            down: Direction::new(&from_world, budget),
            half_closed: false,
        }
    }

    /// Carries bytes until both sides have closed, one has failed, or patience ends.
    pub(crate) async fn carry(mut self, patience: Patience) {
        loop {
            let before = self.moved();
            let limit = if self.half_closed {
                Some(patience.half_closed)
            } else {
                patience.open
            };
            let event = match limit {
                Some(limit) => timeout(limit, self.next()).await.unwrap_or(Event::Waited),
                None => self.next().await,
            };
            match event {
                Event::HalfClosed => {}
                Event::Waited if self.moved() > before => {}
                Event::Waited | Event::Ended => return,
            }
        }
    }

    fn moved(&self) -> u64 {
        self.up.moved + self.down.moved
    }

    async fn next(&mut self) -> Event {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let up = self.up.poll(cx, &mut self.browser, &mut self.world);
        let down = self.down.poll(cx, &mut self.world, &mut self.browser);
        match (up, down) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) | (Poll::Ready(_), Poll::Ready(_)) => {
                Poll::Ready(Event::Ended)
            }
            (Poll::Pending, Poll::Pending) => Poll::Pending,
            _ if self.half_closed => Poll::Pending,
            _ => {
                self.half_closed = true;
                Poll::Ready(Event::HalfClosed)
            }
        }
    }
}

#[derive(Clone, Copy)]
enum State {
    Open,
    /// The sender has closed; the receiver is still to be told.
    Closing,
    Closed,
}

struct Direction {
    state: State,
    /// What the receiver has not taken, from `at` on.
    held: Vec<u8>,
    at: usize,
    unflushed: bool,
    moved: u64,
    budget: Arc<Budget>,
}

impl Direction {
    fn new(early: &[u8], budget: &Arc<Budget>) -> Self {
        let mut direction = Self {
            state: State::Open,
            held: Vec::new(),
            at: 0,
            unflushed: false,
            moved: 0,
            budget: Arc::clone(budget),
        };
        direction.hold(early);
        direction
    }

    fn hold(&mut self, bytes: &[u8]) {
        self.budget.held.fetch_add(bytes.len(), Ordering::Relaxed);
        self.held = bytes.to_vec();
        self.at = 0;
    }

    fn release(&mut self) {
        self.budget.held.fetch_sub(self.held.len(), Ordering::Relaxed);
        self.held = Vec::new();
        self.at = 0;
    }

    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..MOST_PIECES {
            ready!(self.poll_held(cx, to))?;
            match self.state {
                State::Open => ready!(self.poll_piece(cx, from, to))?,
                State::Closing => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.state = State::Closed;
                }
                State::Closed => return Poll::Ready(Ok(())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_held<W: AsyncWrite + Unpin>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>> {
        while self.at < self.held.len() {
            self.at += ready!(poll_some(cx, to, &self.held[self.at..], &mut self.moved))?;
            self.unflushed = true;
        }
        if !self.held.is_empty() {
            self.release();
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when a piece has been read, whether or not all of it was taken.
    fn poll_piece<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut piece = ReadBuf::new(&mut scratch[..self.budget.piece()]);
            if Pin::new(from).poll_read(cx, &mut piece)?.is_pending() {
                if self.unflushed {
                    ready!(Pin::new(to).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
            let mut rest = piece.filled();
            if rest.is_empty() {
                self.state = State::Closing;
            }
            while !rest.is_empty() {
                match poll_some(cx, to, rest, &mut self.moved)? {
                    Poll::Ready(taken) => rest = &rest[taken..],
                    Poll::Pending => {
                        self.hold(rest);
                        break;
                    }
                }
                self.unflushed = true;
            }
            Poll::Ready(Ok(()))
        })
    }
}

/// Ready with how much was taken, which is more than nothing.
fn poll_some<W: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    to: &mut W,
    bytes: &[u8],
    moved: &mut u64,
) -> Poll<io::Result<usize>> {
    let taken = ready!(Pin::new(to).poll_write(cx, bytes))?;
    if taken == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    *moved += taken as u64;
    Poll::Ready(Ok(taken))
}

impl Drop for Direction {
    fn drop(&mut self) {
        self.release();
    }
}
