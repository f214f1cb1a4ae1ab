//! `/v1/sessions`.

pub(crate) mod create;
pub(crate) mod get;
pub(crate) mod list;
mod options;
mod session;
pub(crate) mod update;

use options::{BrowserSettings, Proxies, ProxySettings, SessionOptions};
use session::{ConnectableSession, Session};
