//! The HTTP surface. A dialect is a folder, a resource a folder in it, an operation a file: its body types, its
//! documentation, its handler and its tests. Handlers translate; what happens is in `wharf-control`.

mod browserbase;
mod error;
mod extract;
mod fallback;
mod layers;
mod openapi;
mod router;
mod service;
mod state;
mod upcall;

pub use openapi::openapi;
pub use router::router;
pub use state::{Api, ApiOptions};
