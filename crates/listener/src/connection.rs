//! A client's connection, as the handlers of its requests see it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// The connection that a request came on: an extension of every request.
#[derive(Debug, Clone)]
pub struct Connection(Arc<watch::Sender<State>>);

#[derive(Debug, Clone, Copy)]
struct State {
    /// Requests that have come so far.
    requests: u64,
    /// How it ended, if it has: by itself, or because we stop.
    ended: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Broken,
    Stopped,
}

/// An answer on its way, and what its connection tells of it.
#[derive(Debug)]
pub struct Answer {
    connection: Connection,
    request: u64,
}

impl Connection {
    pub(crate) fn new() -> Self {
        let state = State {
            requests: 0,
            ended: None,
        };
        Self(Arc::new(watch::Sender::new(state)))
    }

    pub(crate) fn request_came(&self) {
        self.0.send_modify(|state| state.requests += 1);
    }

    /// The client ended it, or the network did; not we.
    pub(crate) fn broke(&self) {
        self.0.send_modify(|state| state.ended = Some(End::Broken));
    }

    /// We ended it, in order.
    pub(crate) fn stopped(&self) {
        self.0.send_modify(|state| state.ended = Some(End::Stopped));
    }

    /// The answer to the request under way.
    pub fn answer(&self) -> Answer {
        Answer {
            connection: self.clone(),
            request: self.0.borrow().requests,
        }
    }
}

impl Answer {
    /// Whether the connection broke already, so that the answer cannot arrive.
    pub fn is_lost(&self) -> bool {
        self.connection.0.borrow().ended == Some(End::Broken)
    }

    /// Whether the connection breaks `within` this time, without another request before: then the answer may not have
    /// arrived, though all of it was sent.
    pub async fn breaks(&self, within: Duration) -> bool {
        let mut state = self.connection.0.subscribe();
        let told = state.wait_for(|state| state.ended.is_some() || state.requests > self.request);
        match timeout(within, told).await {
            Ok(Ok(state)) => state.requests == self.request && state.ended == Some(End::Broken),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_breaks_after_an_answer_may_have_lost_it() {
        let connection = Connection::new();
        connection.request_came();
        let answer = connection.answer();
        assert!(!answer.is_lost());
        connection.broke();
        assert!(answer.is_lost());
        assert!(answer.breaks(MOMENT).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_further_request_says_that_the_answer_has_arrived() {
        let connection = Connection::new();
        connection.request_came();
        let answer = connection.answer();
        connection.request_came();
        connection.broke();
        assert!(!answer.breaks(MOMENT).await);
    }

    #[tokio::test(start_paused = true)]
    async fn so_does_a_connection_that_stays() {
        let connection = Connection::new();
        connection.request_came();
        assert!(!connection.answer().breaks(MOMENT).await);
    }
}
