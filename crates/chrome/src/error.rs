//! Why a browser did not start.

use crate::account::AccountError;
use crate::jail::JailError;
use crate::process::BrowserExit;
use crate::profile::ProfileError;
use crate::trust::TrustError;
use std::path::PathBuf;
use std::time::Duration;

/// A launcher cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    /// The user the browser should run as.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// Jails cannot be built here.
    #[error(transparent)]
    Jail(#[from] JailError),
    /// The kernel lacks something.
    #[error("this kernel cannot {0}")]
    Kernel(&'static str, #[source] std::io::Error),
}

/// A browser did not start. Whatever had started is gone again.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// No folder for the profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// It cannot be made to trust what it is to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The process could not be started.
    #[error("cannot start {}; the browser's user must be able to execute it", .binary.display())]
    Spawn {
        /// What was started.
        binary: PathBuf,
        /// The system's refusal.
        source: std::io::Error,
    },
    /// The process ended before it was ready.
    #[error("the browser ended with {exit} before it was ready{}{}", hint(.stderr), last_words(.stderr))]
    Exited {
        /// How it ended.
        exit: BrowserExit,
        /// Its last lines on stderr.
        stderr: Vec<String>,
    },
    /// The process was not ready in time.
    #[error("the browser was not ready within {limit:?} and was killed{}", last_words(.stderr))]
    Deadline {
        /// The deadline given.
        limit: Duration,
        /// Its last lines on stderr.
        stderr: Vec<String>,
    },
    /// The process answered, but not as Chromium does.
    #[error("the browser started wrongly: {reason}{}", last_words(.stderr))]
    NotReady {
        /// What was wrong.
        reason: String,
        /// Its last lines on stderr.
        stderr: Vec<String>,
    },
}

pub(crate) fn last_words(stderr: &[String]) -> String {
    match stderr {
        [] => "; it said nothing on stderr".to_owned(),
        lines => format!("; last lines on stderr:\n  {}", lines.join("\n  ")),
    }
}

/// Failures whose cause Chromium or bubblewrap names, but not what to do.
pub(crate) fn hint(stderr: &[String]) -> &'static str {
    const NAMESPACES: &str = ". The kernel forbids unprivileged user namespaces, which Chromium's sandbox needs: \
        set sysctl kernel.unprivileged_userns_clone=1 (Debian) or \
        kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), or in a container allow clone and unshare in \
        its seccomp profile. As a last resort --isolation none runs without the sandbox";
    const LIBRARIES: &str =
        ". A library is missing: install the browser with its dependencies (\"apt install chromium\")";
    const APPARMOR: &str = ". AppArmor forbids unprivileged user namespaces to have rights, which a jail needs to be built: set \
        sysctl kernel.apparmor_restrict_unprivileged_userns=0, or load a profile that allows userns to bwrap";
    const MASKED: &str = ". This container hides parts of /proc, so the kernel lets nobody mount another: start it with \
        unmasked system paths (docker: --security-opt systempaths=unconfined)";
    const HINTS: [(&str, &str); 9] = [
        ("RTM_NEWADDR", APPARMOR),
        ("mount proc", MASKED),
        ("setting up uid map", NAMESPACES),
        ("reating new namespace", NAMESPACES),
        ("unshare: unshare failed", NAMESPACES),
        ("No usable sandbox", NAMESPACES),
        ("Failed to move to new namespace", NAMESPACES),
        ("error while loading shared libraries", LIBRARIES),
        (
            "No space left on device",
            ". The folder for profiles or /dev/shm is full",
        ),
    ];
    let said = |words: &str| stderr.iter().any(|line| line.contains(words));
    HINTS
        .iter()
        .find(|(words, _)| said(words))
        .map_or("", |(_, advice)| advice)
}
