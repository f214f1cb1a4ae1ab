//! A small DevTools client for the pipe: commands with answers, a few events, nothing typed.
//!
//! Answers stay raw JSON for the caller to read what it needs; events nobody asked for are dropped unread, so
//! that a new Chromium with new events changes nothing.

mod framing;
mod queue;

use framing::Decoder;
pub(crate) use queue::CdpQueue;
use queue::Intake;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::JoinSet;

/// Commands written but not yet taken by Chromium. More callers wait.
const OUTGOING_LIMIT: usize = 32;
/// Events kept for a slow subscriber before it loses the oldest.
const EVENT_LIMIT: usize = 64;
/// How long [`CdpPipe::call`] waits. Each of our commands takes milliseconds; a busy machine gets its chance.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// A command got no useful answer.
#[derive(Debug, thiserror::Error)]
pub enum CdpError {
    /// The pipe is closed: the browser has ended.
    #[error("the browser has closed its pipe")]
    Closed,
    /// No answer in time.
    #[error("{method} got no answer within {limit:?}; the browser hangs or the machine is overloaded")]
    Timeout {
        /// The command.
        method: String,
        /// How long we waited.
        limit: Duration,
    },
    /// Chromium refused the command.
    #[error("{method} was refused: {message} ({code})")]
    Refused {
        /// The command.
        method: String,
        /// JSON-RPC error code.
        code: i64,
        /// Chromium's words.
        message: String,
    },
    /// The parameters or the answer are not the JSON they should be.
    #[error("{method} has unexpected JSON")]
    Json {
        /// The command.
        method: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// An event of a domain that was enabled on the pipe.
#[derive(Debug, Clone)]
pub struct CdpEvent {
    /// For example `Target.targetCreated`.
    pub method: String,
    /// The flat session it belongs to; `None` for the browser itself.
    pub session: Option<String>,
    /// The parameters as they came.
    pub params: Box<RawValue>,
}

type Answer = Result<Box<RawValue>, RemoteError>;

#[derive(Debug)]
struct Shared {
    /// `None` once the pipe is closed.
    pending: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
    events: broadcast::Sender<CdpEvent>,
    /// For events of which none may be lost. `None` before somebody asks, and once the pipe is closed.
    intake: Mutex<Option<Intake>>,
}

/// Our own connection to the browser. Clients have the port; nobody else has this.
#[derive(Debug)]
pub struct CdpPipe {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Vec<u8>>,
    next_id: AtomicU64,
    _tasks: JoinSet<()>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Command<'a, P> {
    id: u64,
    method: &'a str,
    params: P,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: Option<u64>,
    result: Option<Box<RawValue>>,
    error: Option<RemoteError>,
    method: Option<String>,
    params: Option<Box<RawValue>>,
    session_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RemoteError {
    code: i64,
    message: String,
}

impl CdpPipe {
    pub(crate) fn start(commands: pipe::Sender, answers: pipe::Receiver) -> CdpPipe {
        let shared = Arc::new(Shared {
            pending: Mutex::new(Some(HashMap::new())),
            events: broadcast::channel(EVENT_LIMIT).0,
            intake: Mutex::default(),
        });
        let (outgoing, queue) = mpsc::channel(OUTGOING_LIMIT);
        let mut tasks = JoinSet::new();
        tasks.spawn(write(commands, queue));
        tasks.spawn(read(answers, Arc::clone(&shared)));
        CdpPipe {
            shared,
            outgoing,
            next_id: AtomicU64::new(1),
            _tasks: tasks,
        }
    }

    /// Sends a command to the browser and waits up to 10 s for the answer.
    ///
    /// # Errors
    /// See [`CdpError`]; after a timeout the late answer is dropped.
    pub async fn call(&self, method: &str, params: impl Serialize) -> Result<Box<RawValue>, CdpError> {
        self.call_session(None, method, params).await
    }

    /// Sends a command to an attached target (the `sessionId` of `Target.attachToTarget` with `flatten`).
    ///
    /// # Errors
    /// As [`CdpPipe::call`].
    pub async fn call_session(
        &self,
        session: Option<&str>,
        method: &str,
        params: impl Serialize,
    ) -> Result<Box<RawValue>, CdpError> {
        match tokio::time::timeout(CALL_LIMIT, self.exchange(session, method, params)).await {
            Ok(answer) => answer,
            Err(_) => Err(CdpError::Timeout {
                method: method.to_owned(),
                limit: CALL_LIMIT,
            }),
        }
    }

    /// Sends a command to the browser and waits for no answer. What is sent later is done later.
    ///
    /// # Errors
    /// The pipe is closed, or the parameters are not JSON.
    pub(crate) async fn tell(&self, method: &str, params: impl Serialize) -> Result<(), CdpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let message = message(id, None, method, params)?;
        self.outgoing.send(message).await.map_err(|_| CdpError::Closed)
    }

    /// Events from now on. A subscriber that falls behind by 64 loses the oldest and is told so.
    pub fn events(&self) -> broadcast::Receiver<CdpEvent> {
        self.shared.events.subscribe()
    }

    /// Whether nothing can be asked any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.pending().is_none()
    }

    /// Every event of this name from now on, of the browser itself. They go nowhere else; a second call ends the first.
    pub(crate) fn queue(&self, method: &'static str) -> CdpQueue {
        let (intake, queue) = queue::of(method);
        *self.shared.intake() = Some(intake);
        queue
    }

    async fn exchange(
        &self,
        session: Option<&str>,
        method: &str,
        params: impl Serialize,
    ) -> Result<Box<RawValue>, CdpError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let message = message(id, session, method, params)?;
        let (sender, answer) = oneshot::channel();
        self.shared
            .pending()
            .as_mut()
            .ok_or(CdpError::Closed)?
            .insert(id, sender);
        let _forget = Forget {
            shared: &self.shared,
            id,
        };
        self.outgoing.send(message).await.map_err(|_| CdpError::Closed)?;
        answer
            .await
            .map_err(|_| CdpError::Closed)?
            .map_err(|error| CdpError::Refused {
                method: method.to_owned(),
                code: error.code,
                message: error.message,
            })
    }
}

fn message(
    id: u64,
    session_id: Option<&str>,
    method: &str,
    params: impl Serialize,
) -> Result<Vec<u8>, CdpError> {
    let command = Command {
        id,
        method,
        params,
        session_id,
    };
    let mut message = serde_json::to_vec(&command).map_err(|source| CdpError::Json {
        method: method.to_owned(),
        source,
    })?;
    message.push(0);
    Ok(message)
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn intake(&self) -> MutexGuard<'_, Option<Intake>> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn receive(&self, bytes: &[u8]) {
        let message: Message = match serde_json::from_slice(bytes) {
            Ok(message) => message,
            Err(error) => return tracing::warn!(%error, "a message on the browser's pipe is not CDP"),
        };
        if let Some(id) = message.id {
            let waiting = self.pending().as_mut().and_then(|pending| pending.remove(&id));
            if let Some(waiting) = waiting {
                let answer = message
                    .error
                    .map_or_else(|| Ok(message.result.unwrap_or_default()), Err);
                // The caller may have timed out this instant.
                let _ = waiting.send(answer);
            }
        } else if let Some(method) = message.method {
            self.announce(CdpEvent {
                method,
                session: message.session_id,
                params: message.params.unwrap_or_default(),
            });
        }
    }

    fn announce(&self, event: CdpEvent) {
        let mut intake = self.intake();
        match intake.as_ref().filter(|intake| intake.wants(&event)) {
            Some(wanting) => {
                if wanting.put(event).is_err() {
                    // Its reader learns from the end that something is missing.
                    *intake = None;
                }
            }
            // Fails when nobody listens.
            None => drop(self.events.send(event)),
        }
    }
}

/// Forgets a command whose caller no longer waits.
struct Forget<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.shared.pending().as_mut() {
            pending.remove(&self.id);
        }
    }
}

/// A task of its own: a caller that goes away halfway must not leave half a message in the pipe.
async fn write(mut pipe: pipe::Sender, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(message) = queue.recv().await {
        if pipe.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn read(mut pipe: pipe::Receiver, shared: Arc<Shared>) {
    let mut decoder = Decoder::default();
    let mut chunk = vec![0; 16 << 10];
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        decoder.push(&chunk[..length], |message| shared.receive(message));
    }
    // Everybody who waits learns now that no answer will come.
    shared.pending().take();
    shared.intake().take();
}

#[cfg(test)]
mod tests;
