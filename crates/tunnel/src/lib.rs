//! The tunnel that a gateway and a worker have in common: a client's WebSocket upgrade on one side, a fresh one on
//! the other, and then bytes. No frame is parsed, so there is no limit on a message and nothing to get wrong in one.
//!
//! The life of a tunnel: [`ClientHandshake::from_request`], [`dial`], an answer to the client
//! ([`Upstream::switching_protocols`]), and then a task of its own: [`relay`] in a gateway; a worker takes the [`Ends`] and
//! moves the bytes itself, because it has rules about them. Until the answer is 101, every failure is a [`Refusal`].
//!
//! What a gateway tells a worker of its client's end is in [`HopEnd`] and told in full in `hop.rs`.

mod ends;
mod handshake;
mod hop;
mod refusal;
mod relay;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;
mod upstream;

pub use ends::{Ends, Reader, Writer};
pub use handshake::ClientHandshake;
pub use hop::{HopEnd, HopReader, Piece, name_hop, names_hop};
pub use refusal::Refusal;
pub use relay::{DOWN_BUFFER, Traffic, UP_BUFFER, relay, write};
pub use upstream::{Answer, DialError, Upstream, dial, dial_through};

/// One end of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whoever connected to us.
    Client,
    /// Whoever we connected to.
    Upstream,
}
