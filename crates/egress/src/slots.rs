//! How many connections may hold an HTTP parser with its buffers. A tunnel needs none.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How often those who rest are asked for their slots.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The slots of one egress.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    wanted: Notify,
}

impl Slots {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            wanted: Notify::new(),
        }
    }

    /// The next free slot, or `None` if there is none for so long.
    pub(crate) async fn take(&self, within: Duration) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(slot);
        }
        let taken = async {
            let mut slot = pin!(Arc::clone(&self.free).acquire_owned());
            loop {
                self.wanted.notify_waiters();
                // Those who were busy may rest by now.
                if let Ok(taken) = timeout(ASK_AGAIN, slot.as_mut()).await {
                    return taken.ok();
                }
            }
        };
        timeout(within, taken).await.ok()?
    }

    /// Resolves when somebody waits for a slot, so that those who rest can give theirs up.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
