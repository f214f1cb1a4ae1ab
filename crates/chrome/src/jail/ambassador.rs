//! Our end of the socket to a jail's first process.

use super::wire::{self, Message};
use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Gets sockets out of a jail's network.
#[derive(Debug)]
pub(crate) struct Ambassador {
    socket: AsyncFd<OwnedFd>,
    desk: Mutex<Desk>,
}

/// Who waits for which answer.
#[derive(Debug)]
struct Desk {
    /// Numbers tell answers apart.
    asked: u32,
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
    closed: bool,
}

type Answer = (Message, Option<OwnedFd>);

/// The first word of a jail, to come.
#[derive(Debug)]
pub(crate) struct Hello(oneshot::Receiver<Answer>);

impl Ambassador {
    /// Takes over our end, which must not block. Nothing is heard before [`Ambassador::listen`].
    ///
    /// # Errors
    /// There is no runtime to register it with, or no descriptor left.
    pub(crate) fn new(socket: OwnedFd) -> Result<(Arc<Ambassador>, Hello)> {
        #[expect(
            unsafe_code,
            reason = "tokio cannot see that an owned descriptor stays open while registered"
        )]
        // SAFETY: the `AsyncFd` owns the only handle, and lends it out by shared reference only.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        let (speaks, hello) = oneshot::channel();
        let desk = Desk {
            asked: 0,
            waiting: HashMap::from([(Message::HELLO.number, speaks)]),
            closed: false,
        };
        let desk = Mutex::new(desk);
        Ok((Arc::new(Ambassador { socket, desk }), Hello(hello)))
    }

    /// Passes answers on until the browser has ended, and answers its exit code; `None` when the jail ended without a word.
    pub(crate) async fn listen(&self) -> Option<i32> {
        let code = loop {
            match self.receive().await {
                Ok(Some((
                    Message {
                        number: Message::FAREWELL,
                        value,
                    },
                    _,
                ))) => break Some(value),
                Ok(Some((message, mut descriptors))) => {
                    // Nobody waits any more, and the descriptors are closed, when whoever asked has given up.
                    let waiting = self.desk().waiting.remove(&message.number);
                    let _ = waiting.map(|waiting| waiting.send((message, descriptors.pop())));
                }
                Ok(None) => break None,
                Err(error) => {
                    tracing::warn!(%error, "the first process of a jail says what is no answer; nobody can connect any more");
                    break None;
                }
            }
        };
        let mut desk = self.desk();
        desk.closed = true;
        desk.waiting.clear();
        code
    }

    /// Connects to a port of the jail's loopback.
    ///
    /// # Errors
    /// Nobody listens there, or the jail has ended.
    pub(crate) async fn connect(&self, port: u16) -> Result<TcpStream> {
        let (message, descriptor) = self.ask(port)?.await.map_err(|_| ended())?;
        let Some(descriptor) = descriptor else {
            return Err(Error::from_raw_os_error(message.value));
        };
        let stream = std::net::TcpStream::from(descriptor);
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    }

    fn ask(&self, port: u16) -> Result<oneshot::Receiver<Answer>> {
        let (sender, answer) = oneshot::channel();
        let mut desk = self.desk();
        if desk.closed {
            return Err(ended());
        }
        // Never the number of what the jail says by itself.
        desk.asked = desk.asked % (Message::FAREWELL - 1) + 1;
        let request = Message {
            number: desk.asked,
            value: i32::from(port),
        };
        // The kernel holds some hundred of them: it is full only when nobody reads, and then the answer is an error.
        wire::send(self.socket.get_ref(), request, &[])?;
        desk.waiting.retain(|_, waiting| !waiting.is_closed());
        desk.waiting.insert(request.number, sender);
        Ok(answer)
    }

    async fn receive(&self) -> Result<Option<(Message, Vec<OwnedFd>)>> {
        loop {
            let mut ready = self.socket.readable().await?;
            match wire::receive(self.socket.get_ref()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                received => return received,
            }
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hello {
    /// Waits until the first process runs. Answers the listener for the browser's proxy connections.
    ///
    /// # Errors
    /// The jail could not be built, or ended: `UnexpectedEof`.
    pub(crate) async fn listener(self) -> Result<TcpListener> {
        let (_, descriptor) = self.0.await.map_err(|_| ended())?;
        let listener = TcpListener::from(descriptor.ok_or(ErrorKind::InvalidData)?);
        listener.set_nonblocking(true)?;
        Ok(listener)
    }
}

fn ended() -> Error {
    ErrorKind::UnexpectedEof.into()
}
