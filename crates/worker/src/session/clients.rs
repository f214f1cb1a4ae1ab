//! Who is connected. The count decides when a session ends, so it is exact: a guard counts a client in and out.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Session;

/// A session's clients, countable by all and watchable by its task.
#[derive(Debug, Default)]
pub(super) struct Clients(watch::Sender<Count>);

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) now: u32,
    /// All that ever came.
    pub(super) total: u32,
    /// How the last one went that went.
    last: Option<Departure>,
    /// Until when each client is expected back that was lost and has not come back, in order. Whoever comes in takes the
    /// place of the first.
    expected: Vec<Instant>,
    closed: bool,
}

/// How a client went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It closed, broke off or died, or we sent it away.
    Left,
    /// Its browser ended the connection.
    BrowserClosed,
    /// Its gateway died or stops, or the network did: it is expected back until this moment.
    Lost { until: Instant },
}

impl Count {
    /// Whether nobody is here or expected back.
    pub(super) fn is_empty(&self) -> bool {
        self.now == 0 && self.expected_until().is_none()
    }

    /// Until when somebody is expected back, if anybody is.
    fn expected_until(&self) -> Option<Instant> {
        let last = self.expected.iter().max().copied();
        last.filter(|&until| until > Instant::now())
    }

    fn count_in(&mut self) {
        self.now += 1;
        self.total += 1;
        self.forget_overdue();
        if !self.expected.is_empty() {
            self.expected.remove(0);
        }
    }

    fn count_out(&mut self, departure: Departure) {
        self.now -= 1;
        self.last = Some(departure);
        self.forget_overdue();
        if let Departure::Lost { until } = departure {
            self.expected.push(until);
        }
    }

    fn forget_overdue(&mut self) {
        let now = Instant::now();
        self.expected.retain(|&until| until > now);
    }
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

    /// All that ever came.
    pub(super) fn total(&self) -> u32 {
        self.0.borrow().total
    }

    #[cfg(test)]
    pub(super) async fn wait_for(&self, now: u32) {
        self.0
            .subscribe()
            .wait_for(|count| count.now == now)
            .await
            .unwrap();
    }

    /// Resolves when there were clients and none is left or expected back, with how the last one went.
    pub(super) async fn all_left(&self) -> Departure {
        let mut count = self.0.subscribe();
        loop {
            let (last, expected_until) = match count.wait_for(|count| count.total > 0 && count.now == 0).await
            {
                Ok(count) => (count.last, count.expected_until()),
                Err(_) => (None, None),
            };
            let Some(until) = expected_until else {
                return last.unwrap_or(Departure::Left);
            };
            tokio::select! {
                () = sleep_until(until) => {}
                _ = count.changed() => {}
            }
        }
    }
}

/// One connected client. Dropping it is the client's leaving.
#[derive(Debug)]
pub(crate) struct ClientGuard {
    session: Arc<Session>,
    departure: Departure,
}

impl ClientGuard {
    pub(super) fn of(session: Arc<Session>) -> Option<Self> {
        let joined = session.clients.0.send_if_modified(|count| {
            if !count.closed {
                count.count_in();
            }
            !count.closed
        });
        // Lazily: a guard that is made and dropped would count a client out that was never in.
        joined.then(|| Self {
            session,
            departure: Departure::Left,
        })
    }

    /// Says how the client went; it left, if nobody says.
    pub(crate) fn depart(mut self, departure: Departure) {
        self.departure = departure;
    }
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        self.session
            .clients
            .0
            .send_modify(|count| count.count_out(self.departure));
    }
}
