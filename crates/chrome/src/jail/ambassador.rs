//! Our end of the socket to a jail's first process.

use super::wire::{self, Message};
use std::io::{Error, ErrorKind, Result};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// Gets sockets out of a jail's network.
#[derive(Debug)]
pub(crate) struct Ambassador(Mutex<Line>);

#[derive(Debug)]
struct Line {
    socket: AsyncFd<OwnedFd>,
    /// Numbers tell an answer from one whose asker has given up.
    asked: u32,
}

impl Ambassador {
    /// Takes over our end, which must not block.
    ///
    /// # Errors
    /// There is no runtime to register it with, or no descriptor left.
    pub(crate) fn new(socket: OwnedFd) -> Result<Ambassador> {
        #[expect(
            unsafe_code,
            reason = "tokio cannot see that an owned descriptor stays open while registered"
        )]
        // SAFETY: the `AsyncFd` owns the only handle, and lends it out by shared reference only.
        let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE)? };
        Ok(Ambassador(Mutex::new(Line { socket, asked: 0 })))
    }

    /// Waits until the first process runs. Answers the listener for the browser's proxy connections.
    ///
    /// # Errors
    /// The jail could not be built, or ended.
    pub(crate) async fn hello(&self) -> Result<TcpListener> {
        let line = self.0.lock().await;
        let (_, descriptor) = line.answer(Message::HELLO.number).await?;
        let listener = TcpListener::from(descriptor.ok_or(ErrorKind::InvalidData)?);
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Connects to a port of the jail's loopback.
    ///
    /// # Errors
    /// Nobody listens there, or the jail has ended.
    pub(crate) async fn connect(&self, port: u16) -> Result<TcpStream> {
        let mut line = self.0.lock().await;
        line.asked = line.asked.wrapping_add(1).max(1);
        let request = Message {
            number: line.asked,
            value: i32::from(port),
        };
        // The kernel holds some hundred of them, and we wait for each: it is never full.
        wire::send(line.socket.get_ref(), request, &[])?;
        let (answer, descriptor) = line.answer(request.number).await?;
        let Some(descriptor) = descriptor else {
            return Err(Error::from_raw_os_error(answer.value));
        };
        let stream = std::net::TcpStream::from(descriptor);
        stream.set_nonblocking(true)?;
        TcpStream::from_std(stream)
    }
}

impl Line {
    async fn answer(&self, number: u32) -> Result<(Message, Option<OwnedFd>)> {
        loop {
            let mut ready = self.socket.readable().await?;
            match wire::receive(self.socket.get_ref()) {
                Ok(Some((message, mut descriptors))) if message.number == number => {
                    return Ok((message, descriptors.pop()));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    }
}
