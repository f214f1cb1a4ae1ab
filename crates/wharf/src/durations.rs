//! The durations that an operator may set, all in seconds. The defaults are where the rules are: `wharf_control::Timings`
//! and `wharf_worker::SessionRules`.

use std::time::Duration;

use clap::Args;
use wharf_chrome::Grace;
use wharf_control::Timings;
use wharf_worker::SessionRules;

/// A browser that does not hear SIGTERM within this hangs.
const TERMINATE_WITHIN: Duration = Duration::from_secs(2);

/// How long things may take, as the control plane decides it.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Durations of the control plane, in seconds")]
pub(crate) struct ControlDurations {
    /// For the first client to connect, unless the session is kept alive [default: 300].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    connect_within: Option<Duration>,
    /// For a session to get a slot when all are taken [default: 10].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    wait_within: Option<Duration>,
    /// For a browser to start [default: 20].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    launch_within: Option<Duration>,
    /// For a create call altogether, launches on further workers included [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    create_within: Option<Duration>,
    /// Between two reports of a worker [default: 5].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    heartbeat_every: Option<Duration>,
    /// Without a report before a worker gets no more sessions [default: 10].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    worker_silent_after: Option<Duration>,
    /// Without a report before a worker's sessions end as lost [default: 60].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    worker_lost_after: Option<Duration>,
    /// During which nobody is lost while most of a region is silent [default: 600].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    worker_brake_for: Option<Duration>,
    /// In which a client's retry of a create whose answer was lost gets the first session; 0 for never [default: 120].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    repeat_within: Option<Duration>,
    /// For which an Idempotency-Key is remembered [default: 86400].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idempotency_key_for: Option<Duration>,
}

impl ControlDurations {
    pub(crate) fn timings(self) -> Timings {
        let default = Timings::default();
        Timings {
            heartbeat_every: self.heartbeat_every.unwrap_or(default.heartbeat_every),
            connect_within: self.connect_within.unwrap_or(default.connect_within),
            wait_within: self.wait_within.unwrap_or(default.wait_within),
            launch_within: self.launch_within.unwrap_or(default.launch_within),
            create_within: self.create_within.unwrap_or(default.create_within),
            silent_after: self.worker_silent_after.unwrap_or(default.silent_after),
            lost_after: self.worker_lost_after.unwrap_or(default.lost_after),
            brake_for: self.worker_brake_for.unwrap_or(default.brake_for),
            repeat_within: self.repeat_within.unwrap_or(default.repeat_within),
            key_kept_for: self.idempotency_key_for.unwrap_or(default.key_kept_for),
        }
    }
}

/// How long things may take, as a worker decides it.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Durations of a worker, in seconds")]
pub(crate) struct SessionDurations {
    /// Without a byte from a client before its connection is closed [default: 600].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    cdp_silence: Option<Duration>,
    /// For which a session outlives a gateway that died, so that its client can come back [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    reconnect_grace: Option<Duration>,
    /// For a browser to close by itself at the end of its session. It is sent SIGTERM after that, and killed 2 s later,
    /// or sooner if it had less to close; 0 to kill it at once [default: 0].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    close_within: Option<Duration>,
}

impl SessionDurations {
    pub(crate) fn rules(self) -> SessionRules {
        let default = SessionRules::default();
        SessionRules {
            cdp_silence: self.cdp_silence.unwrap_or(default.cdp_silence),
            reconnect_grace: self.reconnect_grace.unwrap_or(default.reconnect_grace),
            ..default
        }
    }

    pub(crate) fn grace(self) -> Grace {
        let close = self.close_within.unwrap_or_default();
        Grace {
            close,
            terminate: TERMINATE_WITHIN.min(close),
        }
    }
}

/// A day of seconds at most: more is a slip of the finger.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0..=86_400_u64) => Ok(Duration::from_secs(seconds)),
        _ => Err("a number of seconds is expected, 0 to 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(ControlDurations::default().timings(), Timings::default());
        assert_eq!(SessionDurations::default().rules(), SessionRules::default());
    }

    #[test]
    fn a_browser_is_killed_at_once_unless_it_is_given_time() {
        let grace = |close_within| {
            let durations = SessionDurations {
                close_within,
                ..SessionDurations::default()
            };
            durations.grace()
        };
        assert_eq!(grace(None), Grace::NONE);
        let [moment, long] = [1, 30].map(Duration::from_secs);
        assert_eq!(
            (grace(Some(moment)).close, grace(Some(moment)).terminate),
            (moment, moment)
        );
        assert_eq!(
            (grace(Some(long)).close, grace(Some(long)).terminate),
            (long, TERMINATE_WITHIN)
        );
    }

    #[test]
    fn only_seconds_of_a_day_are_taken() {
        assert_eq!(seconds("90"), Ok(Duration::from_secs(90)));
        for text in ["", "-1", "1.5", "10s", "86401"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
