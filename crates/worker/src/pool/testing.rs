//! Browsers for the pool that are played by a test, each with strings of its own, and a machine.

use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;

use futures_util::future::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;
use wharf_domain::{Bytes, Millis, SeededEntropy};

use super::*;
use crate::browser::testing::{FakeBrowser, FakeBrowsers};
use crate::browser::{Endpoint, Meter, Reading, Traffic};

/// The strings of all browsers of one test.
#[derive(Clone)]
pub(super) struct FakeSpares(Arc<Strings>);

struct Strings {
    /// Every start that was tried: when, and for the pool or for a session.
    tried: Mutex<Vec<(Instant, bool)>>,
    /// Every browser that ever was.
    started: watch::Sender<Vec<Arc<FakeSpare>>>,
    /// Starts wait while it is set.
    held: watch::Sender<bool>,
    /// Why starts fail.
    broken: Mutex<Option<String>>,
}

/// One browser.
pub(super) struct FakeSpare {
    pub(super) name: String,
    pub(super) wishes: Mutex<Option<Wishes>>,
    pub(super) answer: Mutex<FakeFit>,
    pub(super) cpu: AtomicU64,
    exit: watch::Sender<Option<Exit>>,
    closed: watch::Sender<bool>,
}

/// What a browser does when it is asked to fit.
#[derive(Clone)]
pub(super) enum FakeFit {
    Well,
    Never,
    Not(Unfit),
}

impl FakeSpares {
    pub(super) fn new() -> Self {
        Self(Arc::new(Strings {
            tried: Mutex::default(),
            started: watch::Sender::default(),
            held: watch::Sender::new(false),
            broken: Mutex::default(),
        }))
    }

    /// A pool of `size` on a machine that is at rest.
    pub(super) fn pool(&self, size: u32) -> WarmPool<Self> {
        self.pool_on(FakeMachine::default(), size)
    }

    pub(super) fn pool_on(&self, machine: FakeMachine, size: u32) -> WarmPool<Self> {
        let entropy = Arc::new(SeededEntropy::new(5));
        WarmPool::start(self.clone(), WarmOptions::of(size), Box::new(machine), entropy)
    }

    pub(super) fn hold(&self, held: bool) {
        self.0.held.send_replace(held);
    }

    pub(super) fn break_with(&self, reason: Option<&str>) {
        *self.0.broken.lock().unwrap() = reason.map(str::to_owned);
    }

    /// Waits until this many were started in all.
    pub(super) async fn started(&self, count: usize) {
        let mut started = self.0.started.subscribe();
        started.wait_for(|all| all.len() >= count).await.unwrap();
        // The pool takes a browser in after it has started.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// The browser that was started as the `number`th, from 0.
    pub(super) fn browser(&self, number: usize) -> Arc<FakeSpare> {
        Arc::clone(&self.0.started.borrow()[number])
    }

    pub(super) fn alive(&self) -> usize {
        self.0
            .started
            .borrow()
            .iter()
            .filter(|spare| !*spare.closed.borrow())
            .count()
    }

    /// When starts for the pool were tried.
    pub(super) fn tried(&self) -> Vec<Instant> {
        let tried = self.0.tried.lock().unwrap();
        tried
            .iter()
            .filter(|(_, pool)| *pool)
            .map(|(when, _)| *when)
            .collect()
    }

    pub(super) fn cold_starts(&self) -> usize {
        self.0
            .tried
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, pool)| !pool)
            .count()
    }

    async fn start(self, name: String, pool: bool) -> Result<Arc<FakeSpare>, String> {
        let strings = self.0;
        strings.tried.lock().unwrap().push((Instant::now(), pool));
        strings.held.subscribe().wait_for(|held| !held).await.unwrap();
        if let Some(reason) = strings.broken.lock().unwrap().clone() {
            return Err(reason);
        }
        let spare = Arc::new(FakeSpare {
            name,
            wishes: Mutex::default(),
            answer: Mutex::new(FakeFit::Well),
            cpu: AtomicU64::new(0),
            exit: watch::Sender::default(),
            closed: watch::Sender::default(),
        });
        strings.started.send_modify(|all| all.push(Arc::clone(&spare)));
        Ok(spare)
    }
}

impl FakeSpare {
    pub(super) fn die(&self) {
        self.exit.send_replace(Some(Exit::Crash("signal 9".to_owned())));
    }

    pub(super) fn answer(&self, fit: FakeFit) {
        *self.answer.lock().unwrap() = fit;
    }

    pub(super) async fn closed(&self) {
        self.closed.subscribe().wait_for(|closed| *closed).await.unwrap();
    }
}

impl SpareBrowsers for FakeSpares {
    fn spare(&self, name: String, _: Duration) -> BoxFuture<'static, Result<Box<dyn Spare>, String>> {
        let started = self.clone().start(name, true);
        Box::pin(async { Ok(Box::new(started.await?) as Box<dyn Spare>) })
    }
}

impl Browsers for FakeSpares {
    fn launch(&self, _: &LaunchRequest, _: Duration) -> BoxFuture<'static, Result<Box<dyn Browser>, String>> {
        let started = self.clone().start("cold".to_owned(), false);
        Box::pin(async { Ok(Box::new(started.await?) as Box<dyn Browser>) })
    }
}

impl Spare for Arc<FakeSpare> {
    fn exit(&self) -> BoxFuture<'static, Exit> {
        let mut exit = self.exit.subscribe();
        async move { exit.wait_for(Option::is_some).await.unwrap().clone().unwrap() }.boxed()
    }

    fn fit<'a>(&'a self, wishes: &'a Wishes) -> BoxFuture<'a, Result<(), Unfit>> {
        *self.wishes.lock().unwrap() = Some(wishes.clone());
        let answer = self.answer.lock().unwrap().clone();
        async move {
            match answer {
                FakeFit::Well => Ok(()),
                FakeFit::Never => pending().await,
                FakeFit::Not(unfit) => Err(unfit),
            }
        }
        .boxed()
    }
}

impl Browser for Arc<FakeSpare> {
    fn endpoint(&self) -> Endpoint {
        Endpoint::At {
            address: ([127, 0, 0, 1], 9).into(),
            path: format!("/devtools/browser/{}", self.name),
        }
    }

    /// Tells which one it is.
    fn version(&self) -> String {
        self.name.clone()
    }

    fn exited(&self) -> BoxFuture<'_, Exit> {
        Spare::exit(self)
    }

    fn meter(&self) -> Arc<dyn Meter> {
        Arc::new(Self::clone(self))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.closed.send_replace(true);
        })
    }
}

impl Meter for Arc<FakeSpare> {
    fn read(&self) -> Option<Reading> {
        Some(Reading {
            cpu: self.cpu()?,
            memory: Bytes(100),
        })
    }

    fn cpu(&self) -> Option<Millis> {
        Some(Millis(self.cpu.load(SeqCst)))
    }

    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

/// A machine that is as busy as a test says.
#[derive(Clone)]
pub(super) struct FakeMachine(Arc<Mutex<Load>>);

struct Load {
    /// Of the time from `since` on, some task waits for a CPU.
    share: f64,
    since: Instant,
    stalled: Duration,
    memory: Bytes,
}

impl Default for FakeMachine {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Load {
            share: 0.0,
            since: Instant::now(),
            stalled: Duration::ZERO,
            memory: Bytes(8 << 30),
        })))
    }
}

impl FakeMachine {
    pub(super) fn busy(&self, share: f64) {
        let stalled = self.cpu_stalled().unwrap_or_default();
        let mut load = self.0.lock().unwrap();
        (load.share, load.since, load.stalled) = (share, Instant::now(), stalled);
    }

    pub(super) fn leave_free(&self, memory: Bytes) {
        self.0.lock().unwrap().memory = memory;
    }
}

impl Machine for FakeMachine {
    fn cpu_stalled(&self) -> Option<Duration> {
        let load = self.0.lock().unwrap();
        Some(load.stalled + load.since.elapsed().mul_f64(load.share))
    }

    fn memory_available(&self) -> Option<Bytes> {
        Some(self.0.lock().unwrap().memory)
    }
}

/// The worker's own tests put their browsers in a pool as well.
impl SpareBrowsers for FakeBrowsers {
    fn spare(&self, _: String, _: Duration) -> BoxFuture<'static, Result<Box<dyn Spare>, String>> {
        let started = self.clone().start();
        Box::pin(async { Ok(Box::new(started.await?) as Box<dyn Spare>) })
    }
}

impl Spare for FakeBrowser {
    fn exit(&self) -> BoxFuture<'static, Exit> {
        self.ended().boxed()
    }

    fn fit<'a>(&'a self, _: &'a Wishes) -> BoxFuture<'a, Result<(), Unfit>> {
        async { Ok(()) }.boxed()
    }
}
