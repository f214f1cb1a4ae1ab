//! Why a session ends: a function of what happened.

use wharf_domain::EndReason;

use crate::browser::Exit;

/// What ends a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// Somebody with the right to it said so.
    Ordered(EndReason),
    /// The browser is gone by itself.
    Exited(Exit),
    /// The session's time is up.
    Deadline,
    /// No first client came in time.
    NobodyCame,
    /// The last client of a session that is not kept alive has left.
    AllLeft,
    /// No client has sent anything for the session's idle time.
    Idle,
}

/// Why a session ends that saw this event. A clean exit is a client's doing (`Browser.close`), if there was a client.
pub(super) fn reason(event: &Event, had_clients: bool) -> EndReason {
    match event {
        Event::Ordered(reason) => *reason,
        Event::Exited(Exit::Clean) if had_clients => EndReason::Disconnected,
        Event::Exited(Exit::OutOfMemory) => EndReason::OutOfMemory,
        Event::Exited(Exit::Clean | Exit::Crash(_)) => EndReason::BrowserCrashed,
        Event::Deadline => EndReason::Timeout,
        Event::NobodyCame => EndReason::NeverConnected,
        Event::AllLeft => EndReason::Disconnected,
        Event::Idle => EndReason::Idle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_reason() {
        let crash = Exit::Crash("signal 11".to_owned());
        for (event, had_clients, expected) in [
            (Event::Ordered(EndReason::Released), false, EndReason::Released),
            (Event::Ordered(EndReason::Killed), true, EndReason::Killed),
            (Event::Exited(Exit::Clean), true, EndReason::Disconnected),
            (Event::Exited(Exit::Clean), false, EndReason::BrowserCrashed),
            (Event::Exited(crash.clone()), true, EndReason::BrowserCrashed),
            (Event::Exited(crash), false, EndReason::BrowserCrashed),
            (Event::Exited(Exit::OutOfMemory), true, EndReason::OutOfMemory),
            (Event::Exited(Exit::OutOfMemory), false, EndReason::OutOfMemory),
            (Event::Deadline, true, EndReason::Timeout),
            (Event::NobodyCame, false, EndReason::NeverConnected),
            (Event::AllLeft, true, EndReason::Disconnected),
            (Event::Idle, true, EndReason::Idle),
            (Event::Idle, false, EndReason::Idle),
        ] {
            assert_eq!(
                reason(&event, had_clients),
                expected,
                "{event:?}, clients: {had_clients}"
            );
        }
    }
}
