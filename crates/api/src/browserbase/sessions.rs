//! `/v1/sessions`.

mod allowed_domains;
pub(crate) mod create;
pub(crate) mod events;
pub(crate) mod get;
pub(crate) mod list;
mod options;
pub(crate) mod release;
mod session;
pub(crate) mod update;

use options::{BrowserSettings, Proxies, ProxySettings, SessionOptions};
use session::{ConnectableSession, Session};
