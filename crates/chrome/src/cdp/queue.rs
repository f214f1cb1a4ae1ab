//! Events of which none may be lost: who waits for one would wait for ever.

use super::CdpEvent;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// Bytes of events that wait for their reader. A page decides how many there are, and how long.
const BYTES_LIMIT: usize = 16 << 20;
/// What an event takes besides its parameters.
const OVERHEAD: usize = 256;

/// There is no more room.
#[derive(Debug)]
pub(super) struct Full;

/// Where events come in.
#[derive(Debug)]
pub(super) struct Intake {
    method: &'static str,
    sender: mpsc::UnboundedSender<CdpEvent>,
    held: Arc<AtomicUsize>,
}

/// Where they come out, in order. It ends with the pipe, and when its reader falls behind by 16 MiB.
#[derive(Debug)]
pub(crate) struct CdpQueue {
    receiver: mpsc::UnboundedReceiver<CdpEvent>,
    held: Arc<AtomicUsize>,
}

pub(super) fn of(method: &'static str) -> (Intake, CdpQueue) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let held = Arc::new(AtomicUsize::new(0));
    let intake = Intake {
        method,
        sender,
        held: Arc::clone(&held),
    };
    (intake, CdpQueue { receiver, held })
}

impl Intake {
    pub(super) fn wants(&self, event: &CdpEvent) -> bool {
        event.method == self.method && event.session.is_none()
    }

    pub(super) fn put(&self, event: CdpEvent) -> Result<(), Full> {
        let size = size(&event);
        if self.held.fetch_add(size, Ordering::Relaxed) + size > BYTES_LIMIT {
            return Err(Full);
        }
        self.sender.send(event).map_err(|_| Full)
    }
}

impl CdpQueue {
    /// The next one; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<CdpEvent> {
        let event = self.receiver.recv().await?;
        self.held.fetch_sub(size(&event), Ordering::Relaxed);
        Some(event)
    }
}

fn size(event: &CdpEvent) -> usize {
    event.params.get().len() + OVERHEAD
}
