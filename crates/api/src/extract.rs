//! How handlers get what they need from a request. Each refuses in the service's own error shape.

mod body;
mod caller;
mod origin;
mod path;
mod repeatable;
mod upload;

pub(crate) use body::JsonBody;
#[cfg(test)]
pub(crate) use body::parse;
pub(crate) use caller::{Authenticated, AuthenticatedWorker};
pub(crate) use origin::Origin;
pub(crate) use path::IdPath;
pub(crate) use repeatable::RepeatableBody;
pub(crate) use upload::UploadedFile;
