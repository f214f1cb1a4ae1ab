//! What control plane and workers say to each other, and the tokens that prove who says it.
//!
//! Two calls go from the control plane to a worker: [`LaunchRequest`] and [`ReleaseRequest`], each signed
//! ([`CallSigner`]). Two go from a worker to the control plane: [`RegisterRequest`], once a start, and [`Heartbeat`],
//! which carries everything the worker runs, so that a lost message of either kind heals at the next beat.
//!
//! [`ConnectToken`]s go to clients. They are verified with the public key alone: a reconnect needs no control plane.

mod call;
mod connect;
mod heartbeat;
mod keys;
mod launch;
mod proxies;
mod register;
mod release;

pub use call::{CALL_SIGNATURE_HEADER, CallSigner, CallVerifier, InvalidCall};
pub use connect::{ConnectClaims, ConnectSigner, ConnectToken, ConnectVerifier, InvalidToken, Scope};
pub use heartbeat::{Heartbeat, HeartbeatReply, ObservedSession, ObservedStatus, Order, SessionOrder, Usage};
pub use keys::{InvalidKey, SigningKey, VerifyingKey};
pub use launch::{BrowserOptions, LaunchReply, LaunchRequest, REFUSED_FULL};
pub use proxies::{ProxyPassword, ProxyPlace, ProxyRoad, ProxyRule};
pub use register::{RegisterReply, RegisterRequest};
pub use release::ReleaseRequest;

/// Where a worker takes [`LaunchRequest`]s: `POST`.
pub const LAUNCH_PATH: &str = "/launch";
/// Where a worker takes [`ReleaseRequest`]s: `POST`.
pub const RELEASE_PATH: &str = "/release";
/// Where a worker takes clients' connections from a gateway: `GET` with an upgrade, the token in the query.
pub const CONNECT_PATH: &str = "/connect";
/// Where the control plane takes [`RegisterRequest`]s: `POST`.
pub const REGISTER_PATH: &str = "/upcall/v1/register";
/// Where the control plane takes [`Heartbeat`]s: `POST`.
pub const HEARTBEAT_PATH: &str = "/upcall/v1/heartbeat";
