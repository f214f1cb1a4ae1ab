//! How many descriptors this process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::OnceLock;

static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Lets this process have as many as it may allow itself: each browser takes some ten, each connection two, and the usual
/// 1024 are for programs that use `select`, as we do not.
pub(crate) fn raise() {
    let all = Rlimit {
        current: before().maximum,
        ..before()
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
}

/// What we were started with, and what a browser is: what it runs may use `select`.
pub(crate) fn before() -> Rlimit {
    *BEFORE.get_or_init(|| getrlimit(Resource::Nofile))
}
