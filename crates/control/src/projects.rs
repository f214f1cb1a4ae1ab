//! What callers, and the administrator, do with projects.

mod create;
mod get;
mod list;
mod usage;

pub use create::{CreateProject, create};
pub use get::get;
pub use list::{list, list_all};
pub use usage::usage;
