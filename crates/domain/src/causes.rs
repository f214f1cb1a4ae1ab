//! Errors in one line, with what is behind them.

use std::error::Error;

/// The error's message and those of its causes. Many libraries say only half in their own: "error sending request", and
/// in its cause "connection refused".
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some repeat their cause in their own message.
        if !text.ends_with(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layer {
        #[error("the call failed")]
        Call(#[source] Box<Layer>),
        #[error("no route: {0}")]
        Route(#[source] Box<Layer>),
        #[error("refused")]
        Refused,
    }

    #[test]
    fn every_cause_is_said_once() {
        let error = Layer::Call(Box::new(Layer::Route(Box::new(Layer::Refused))));
        assert_eq!(with_causes(&error), "the call failed: no route: refused");
    }
}
