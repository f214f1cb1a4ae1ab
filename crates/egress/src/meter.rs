//! Bytes on the sockets to the world: what TCP carries, with headers, and with TLS where there is TLS.

use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes to the world and from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bytes {
    /// To the world.
    pub sent: u64,
    /// From the world.
    pub received: u64,
}

/// What has been carried so far. Every figure only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Everything.
    pub total: Bytes,
    /// The part that took a route which counts as proxied.
    pub proxied: Bytes,
}

impl Bytes {
    /// Both directions.
    pub fn sum(self) -> u64 {
        self.sent + self.received
    }
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            received: self.received + other.received,
        }
    }
}

impl Sub for Bytes {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            sent: self.sent - other.sent,
            received: self.received - other.received,
        }
    }
}

#[derive(Default)]
struct Counter {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Counter {
    // Relaxed: the figures say nothing about other memory.
    fn send(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    fn receive(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    fn read(&self) -> Bytes {
        Bytes {
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }
}

/// The figures of one [`crate::Egress`].
#[derive(Default)]
pub(crate) struct Meter {
    total: Counter,
    proxied: Counter,
}

impl Meter {
    pub(crate) fn read(&self) -> Traffic {
        // The part before the whole, so that it is never more.
        let proxied = self.proxied.read();
        Traffic {
            total: self.total.read(),
            proxied,
        }
    }
}

/// The figures of one route, which add to those of its egress.
pub(crate) struct RoadMeter {
    all: Arc<Meter>,
    own: Counter,
    counted: bool,
}

impl RoadMeter {
    pub(crate) fn new(all: Arc<Meter>, counted: bool) -> Self {
        Self {
            all,
            own: Counter::default(),
            counted,
        }
    }

    pub(crate) fn send(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.all.total.send(bytes);
        self.own.send(bytes);
        if self.counted {
            self.all.proxied.send(bytes);
        }
    }

    pub(crate) fn receive(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.all.total.receive(bytes);
        self.own.receive(bytes);
        if self.counted {
            self.all.proxied.receive(bytes);
        }
    }

    pub(crate) fn read(&self) -> Bytes {
        self.own.read()
    }
}
