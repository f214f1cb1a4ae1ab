//! A launch that fails says why and what to do, and leaves nothing.
use crate::support::{Lab, options};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use wharf_chrome::{BrowserExit, LaunchError, LaunchOptions};

#[tokio::test]
async fn a_browser_that_ends_at_once_gives_its_last_words() {
    let (lab, _script) =
        Lab::with_script("echo one >&2; echo '[1:2:ERROR:dbus/bus.cc:4] noise' >&2; printf two >&2; exit 7");
    let error = lab.fail(options("session-1")).await;
    let LaunchError::Exited { exit, ref stderr } = error else {
        panic!("{error}")
    };
    assert_eq!(exit, BrowserExit::Code(7));
    assert_eq!(stderr[..], ["one", "two"]);
    assert!(error.to_string().contains("exit code 7"), "{error}");
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_forbidden_user_namespace_is_explained() {
    let (lab, _script) =
        Lab::with_script("echo 'FATAL:zygote_host_impl_linux.cc No usable sandbox!' >&2; kill -6 $$");
    let error = lab.fail(options("session-1")).await;
    assert!(
        matches!(
            error,
            LaunchError::Exited {
                exit: BrowserExit::Signal(6),
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    for advice in [
        "kernel.unprivileged_userns_clone",
        "kernel.apparmor_restrict_unprivileged_userns",
        "--isolation none",
    ] {
        assert!(text.contains(advice), "{text}");
    }
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_browser_that_never_speaks_is_killed_at_the_deadline() {
    let (lab, _script) = Lab::with_script("echo waiting >&2; sleep 600 & sleep 600");
    let limit = Duration::from_millis(300);
    let error = lab
        .fail(LaunchOptions {
            deadline: limit,
            ..options("session-1")
        })
        .await;
    let LaunchError::Deadline { stderr, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(stderr, ["waiting"]);
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_program_that_answers_nonsense_does_not_count_as_ready() {
    let (lab, _script) = Lab::with_script(
        "echo DevTools listening on ws://127.0.0.1:1/devtools/browser/x >&2\n\
         printf '{\"id\":1,\"result\":{\"product\":7}}\\0' >&4; sleep 600",
    );
    let error = lab.fail(options("session-1")).await;
    assert!(matches!(error, LaunchError::NotReady { .. }), "{error}");
    assert!(error.to_string().contains("Browser.getVersion"), "{error}");
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_binary_that_cannot_be_executed_is_named() {
    let (lab, script) = Lab::with_script("");
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(script.path().join("browser"), closed).unwrap();
    let error = lab.fail(options("session-1")).await;
    assert!(matches!(error, LaunchError::Spawn { .. }), "{error}");
    assert!(
        error.to_string().contains(script.path().to_str().unwrap()),
        "{error}"
    );
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_name_that_leaves_the_folder_is_refused() {
    let (lab, _script) = Lab::with_script("exit 1");
    let error = lab.fail(options("../escape")).await;
    assert!(matches!(error, LaunchError::Profile(_)), "{error}");
}
