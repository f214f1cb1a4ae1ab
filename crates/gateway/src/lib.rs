//! Takes clients' connections: checks the connect token and tunnels to the worker that runs the session.
//!
//! The token is verified by its signature alone, and it names the worker. So a client gets in, and comes back, while
//! the control plane is down. Whatever is wrong is said strictly before the upgrade, with a status and a JSON body
//! `{statusCode, error, message}`.
//!
//! No query string is ever logged: it holds the key.

mod credentials;
mod exchange;
mod gateway;
mod webdriver;
mod workers;

pub use gateway::{Gateway, GatewayOptions};
pub use workers::{RemoteWorkers, Workers};
