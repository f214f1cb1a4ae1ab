//! Browsers that are played by a test.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

use super::*;

/// The strings of every browser of one test.
#[derive(Clone)]
pub(crate) struct FakeBrowsers(Arc<Strings>);

struct Strings {
    endpoint: SocketAddr,
    /// Launches wait while it is set.
    held: watch::Sender<bool>,
    /// Why launches fail.
    broken: Mutex<Option<String>>,
    exit: watch::Sender<Option<Exit>>,
    reading: Mutex<Option<Reading>>,
    traffic: Mutex<Traffic>,
    launched: AtomicU32,
    /// Browsers whose traces are not gone yet.
    alive: watch::Sender<u32>,
    /// Closing waits while it is set.
    stuck: watch::Sender<bool>,
    /// Launches panic.
    rotten: AtomicBool,
    /// Whoever waits for an exit panics.
    cursed: watch::Sender<bool>,
}

impl FakeBrowsers {
    pub(crate) fn new() -> Self {
        Self::at(([127, 0, 0, 1], 9).into())
    }

    /// Browsers that take clients here.
    pub(crate) fn at(endpoint: SocketAddr) -> Self {
        Self(Arc::new(Strings {
            endpoint,
            held: watch::Sender::new(false),
            broken: Mutex::default(),
            exit: watch::Sender::new(None),
            reading: Mutex::default(),
            traffic: Mutex::default(),
            launched: AtomicU32::new(0),
            alive: watch::Sender::new(0),
            stuck: watch::Sender::new(false),
            rotten: AtomicBool::new(false),
            cursed: watch::Sender::new(false),
        }))
    }

    pub(crate) fn hold_launches(&self, held: bool) {
        self.0.held.send_replace(held);
    }

    pub(crate) fn hold_closes(&self, stuck: bool) {
        self.0.stuck.send_replace(stuck);
    }

    pub(crate) fn break_with(&self, reason: &str) {
        *self.0.broken.lock().unwrap() = Some(reason.to_owned());
    }

    pub(crate) fn exit(&self, exit: Exit) {
        self.0.exit.send_replace(Some(exit));
    }

    pub(crate) fn panic_at_launch(&self) {
        self.0.rotten.store(true, SeqCst);
    }

    pub(crate) fn panic_at_exit(&self) {
        self.0.cursed.send_replace(true);
    }

    pub(crate) fn use_up(&self, cpu: u64, memory: u64) {
        *self.0.reading.lock().unwrap() = Some(Reading {
            cpu: Millis(cpu),
            memory: Bytes(memory),
        });
    }

    /// What it has carried by the time that somebody asks again.
    pub(crate) fn carry(&self, proxy: u64, egress: u64) {
        *self.0.traffic.lock().unwrap() = Traffic {
            proxy: Bytes(proxy),
            egress: Bytes(egress),
            by_rule: vec![Bytes(proxy)],
        };
    }

    /// Measuring hangs until the guard is dropped.
    pub(crate) fn hold_readings(&self) -> MutexGuard<'_, Option<Reading>> {
        self.0.reading.lock().unwrap()
    }

    pub(crate) fn launched(&self) -> u32 {
        self.0.launched.load(SeqCst)
    }

    pub(crate) fn alive(&self) -> u32 {
        *self.0.alive.borrow()
    }

    pub(crate) async fn wait_for_alive(&self, count: u32) {
        self.0
            .alive
            .subscribe()
            .wait_for(|alive| *alive == count)
            .await
            .unwrap();
    }

    pub(crate) async fn start(self) -> Result<FakeBrowser, String> {
        let strings = self.0;
        strings.launched.fetch_add(1, SeqCst);
        released(&strings.held).await;
        assert!(!strings.rotten.load(SeqCst), "the test wants a panic");
        if let Some(reason) = strings.broken.lock().unwrap().clone() {
            return Err(reason);
        }
        strings.alive.send_modify(|alive| *alive += 1);
        Ok(FakeBrowser(Life(strings)))
    }
}

async fn released(gate: &watch::Sender<bool>) {
    gate.subscribe().wait_for(|held| !held).await.unwrap();
}

impl Browsers for FakeBrowsers {
    fn launch(&self, _: &LaunchRequest, _: Duration) -> BoxFuture<'static, Result<Box<dyn Browser>, String>> {
        let started = self.clone().start();
        Box::pin(async { Ok(Box::new(started.await?) as Box<dyn Browser>) })
    }
}

pub(crate) struct FakeBrowser(Life);

/// A browser's life, which ends when it is dropped too.
struct Life(Arc<Strings>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.alive.send_modify(|alive| *alive -= 1);
    }
}

impl FakeBrowser {
    pub(crate) fn ended(&self) -> impl Future<Output = Exit> + Send + 'static {
        let (mut exit, mut cursed) = (self.0.0.exit.subscribe(), self.0.0.cursed.subscribe());
        async move {
            tokio::select! {
                exit = exit.wait_for(Option::is_some) => exit.unwrap().clone().unwrap(),
                _ = cursed.wait_for(|cursed| *cursed) => panic!("the test wants a panic"),
            }
        }
    }
}

impl Browser for FakeBrowser {
    fn endpoint(&self) -> Endpoint {
        Endpoint::At {
            address: self.0.0.endpoint,
            path: "/devtools/browser/secret".to_owned(),
        }
    }

    fn version(&self) -> String {
        "Fake/1.0".to_owned()
    }

    fn exited(&self) -> BoxFuture<'_, Exit> {
        Box::pin(self.ended())
    }

    fn meter(&self) -> Arc<dyn Meter> {
        Arc::new(FakeMeter(Arc::clone(&self.0.0)))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            released(&self.0.0.stuck).await;
        })
    }
}

struct FakeMeter(Arc<Strings>);

impl Meter for FakeMeter {
    fn read(&self) -> Option<Reading> {
        *self.0.reading.lock().unwrap()
    }

    fn cpu(&self) -> Option<Millis> {
        self.read().map(|reading| reading.cpu)
    }

    fn traffic(&self) -> Traffic {
        self.0.traffic.lock().unwrap().clone()
    }
}
