//! The tunnel that a gateway and a worker have in common: a client's WebSocket upgrade on one side, a fresh one on
//! the other, and then bytes. No frame is parsed, so there is no limit on a message and nothing to get wrong in one.
//!
//! The life of a tunnel: [`ClientHandshake::from_request`], [`dial`], an answer to the client
//! ([`Upstream::switching_protocols`]), and [`relay`] in a task of its own. Until the answer is 101, every failure is a
//! [`Refusal`].

mod handshake;
mod refusal;
mod relay;
mod socket;
#[cfg(feature = "testing")]
pub mod testing;
mod upstream;

pub use handshake::ClientHandshake;
pub use refusal::Refusal;
pub use relay::{Side, Traffic, relay};
pub use upstream::{Answer, Upstream, dial};
