//! What workers call: the bodies are those of `wharf-protocol`.

pub(crate) mod heartbeat;
pub(crate) mod register;
