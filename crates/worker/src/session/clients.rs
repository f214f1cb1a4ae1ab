//! Who is connected. The count decides when a session ends, so it is exact: a guard counts a client in and out.

use std::sync::Arc;

use tokio::sync::watch;

use super::Session;
use wharf_tunnel::Side;

/// A session's clients, countable by all and watchable by its task.
#[derive(Debug, Default)]
pub(super) struct Clients(watch::Sender<Count>);

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) now: u32,
    /// All that ever came.
    pub(super) total: u32,
    /// Which side ended the tunnel that ended last.
    last_ended_by: Option<Side>,
    closed: bool,
}

impl Clients {
    /// Lets nobody in from now on, if the count is still as it must be; says whether it was.
    pub(super) fn close_if(&self, still: impl FnOnce(&Count) -> bool) -> bool {
        self.0.send_if_modified(|count| {
            count.closed |= still(count);
            count.closed
        })
    }

    /// Lets nobody in from now on.
    pub(super) fn close(&self) {
        self.0.send_modify(|count| count.closed = true);
    }

    pub(super) fn count(&self) -> Count {
        *self.0.borrow()
    }

    #[cfg(test)]
    pub(super) async fn wait_for(&self, now: u32) {
        self.0
            .subscribe()
            .wait_for(|count| count.now == now)
            .await
            .unwrap();
    }

    /// Resolves when there were clients and none is left, with the side that ended the last tunnel.
    pub(super) async fn all_left(&self) -> Side {
        let mut count = self.0.subscribe();
        let left = count.wait_for(|count| count.total > 0 && count.now == 0).await;
        left.ok()
            .and_then(|count| count.last_ended_by)
            .unwrap_or(Side::Client)
    }
}

/// One connected client. Dropping it is the client's leaving.
#[derive(Debug)]
pub(crate) struct ClientGuard {
    session: Arc<Session>,
    ended_by: Side,
}

impl ClientGuard {
    pub(super) fn of(session: Arc<Session>) -> Option<Self> {
        let joined = session.clients.0.send_if_modified(|count| {
            if !count.closed {
                count.now += 1;
                count.total += 1;
            }
            !count.closed
        });
        // Lazily: a guard that is made and dropped would count a client out that was never in.
        joined.then(|| Self {
            session,
            ended_by: Side::Client,
        })
    }

    /// Says which side ended the tunnel; the client, if nobody says.
    pub(crate) fn ended_by(mut self, side: Side) {
        self.ended_by = side;
    }
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        self.session.clients.0.send_modify(|count| {
            count.now -= 1;
            count.last_ended_by = Some(self.ended_by);
        });
    }
}
