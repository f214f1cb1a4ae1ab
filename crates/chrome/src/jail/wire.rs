//! What the two ends of an ambassador's socket say to each other: eight bytes, and descriptors beside them.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// More are closed by the kernel before we see them.
const DESCRIPTORS: usize = 2;

/// A request, whose value is a port, or the answer of the same number, whose value is an error number or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) number: u32,
    pub(super) value: i32,
}

impl Message {
    /// What the first process says by itself, once, before it starts the browser.
    pub(super) const HELLO: Message = Message { number: 0, value: 0 };

    /// What it says when the browser has ended, before the kernel ends the rest, which takes its time.
    pub(super) const fn farewell(exit_code: i32) -> Message {
        Message {
            number: Message::FAREWELL,
            value: exit_code,
        }
    }

    /// The number of a farewell.
    pub(super) const FAREWELL: u32 = u32::MAX;

    fn to_bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.number.to_le_bytes());
        bytes[4..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }

    fn of(bytes: [u8; 8]) -> Message {
        let [a, b, c, d, e, f, g, h] = bytes;
        Message {
            number: u32::from_le_bytes([a, b, c, d]),
            value: i32::from_le_bytes([e, f, g, h]),
        }
    }
}

/// # Errors
/// The other end is gone, or the socket is full and does not block.
pub(super) fn send(socket: impl AsFd, message: Message, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(ErrorKind::InvalidInput.into());
    }
    let bytes = message.to_bytes();
    sendmsg(socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message; `None` when the other end is gone.
///
/// # Errors
/// There is none yet and the socket does not block, or what came is no message.
pub(super) fn receive(socket: impl AsFd) -> Result<Option<(Message, Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 8];
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    match received.bytes {
        0 => Ok(None),
        8 => Ok(Some((Message::of(bytes), descriptors))),
        _ => Err(Error::from(ErrorKind::InvalidData)),
    }
}
