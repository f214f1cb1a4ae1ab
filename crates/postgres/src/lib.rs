//! Runs a PostgreSQL server of our own from the machine's binaries, for `wharf up` and for tests.
//!
//! The server listens on a unix socket only, and only the account that runs it and root can reach that socket.
//! It dies with us: by [`Server::stop`], by dropping the [`Server`], or by the kernel when our process is killed.
//! Linux only: it leans on `/proc`, process descriptors and the parent-death signal.
//!
//! What lies where, for a data directory `<data>/postgres`:
//!
//! | path | what |
//! |---|---|
//! | `<data>/postgres` | the cluster, mode 0700, and its socket `.s.PGSQL.5432` |
//! | `<data>/postgres.log` | what the server and `initdb` wrote; the previous one is `postgres.log.1` |
//! | `<data>/postgres.lock` | locked while a [`Server`] lives; holds the pid of our process |
//! | `<data>/.postgres.initdb-*` | a cluster being initialised; renamed when whole, removed by the next start if not |

mod account;
mod binaries;
mod cluster;
mod error;
mod lock;
mod log;
mod previous;
mod process;
mod server;
mod settings;

pub use binaries::{Binaries, BinariesNotFound, find_binaries};
pub use error::{StartError, StopError};
pub use process::Exit;
pub use server::{Server, start};
pub use settings::{Durability, Options};
