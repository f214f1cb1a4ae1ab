//! The walls: Chromium's sandbox, the unprivileged user, the clean environment.
use crate::support::{Lab, options, processes_of, processes_of_type, status};
use std::path::Path;
use wharf_chrome::LaunchError;

fn user_namespace(process: &str) -> std::path::PathBuf {
    std::fs::read_link(Path::new("/proc").join(process).join("ns/user")).unwrap()
}

#[tokio::test]
async fn renderers_run_in_chromiums_sandbox() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    let renderers = processes_of_type(lab.folder.path(), "renderer");
    assert!(!renderers.is_empty());
    for renderer in renderers {
        assert_eq!(status(renderer, "Seccomp"), "2", "system call filter");
        assert_eq!(status(renderer, "NoNewPrivs"), "1");
        assert_eq!(status(renderer, "CapEff"), "0000000000000000");
        assert!(
            status(renderer, "NSpid").split_whitespace().count() > 1,
            "own pid namespace"
        );
        assert_ne!(user_namespace(&renderer.to_string()), user_namespace("self"));
    }
    browser.close().await;
}

#[tokio::test]
async fn no_process_of_the_browser_is_root_or_may_become_root() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    for process in processes_of(lab.folder.path()) {
        let users = status(process, "Uid");
        assert!(
            !users.split_whitespace().any(|user| user == "0"),
            "{process}: {users}"
        );
        assert_eq!(status(process, "NoNewPrivs"), "1", "{process}");
        // The zygote is mighty within a namespace of its own, which is how it builds the sandbox.
        if user_namespace(&process.to_string()) == user_namespace("self") {
            assert_eq!(status(process, "CapEff"), "0000000000000000", "{process}");
        }
    }
    if rustix::process::geteuid().is_root() {
        assert_eq!(status(browser.pid().cast_signed(), "Groups"), "");
    }
    browser.close().await;
}

#[tokio::test]
async fn nothing_of_our_environment_is_passed_on() {
    let (lab, _script) = Lab::with_script("env >&2; pwd >&2; exit 3");
    let LaunchError::Exited { stderr, .. } = lab.fail(options("session-1")).await else {
        panic!("the script did not end");
    };
    let folder = stderr.last().unwrap();
    assert!(
        folder.starts_with(lab.folder.path().to_str().unwrap()),
        "{stderr:?}"
    );
    for variable in [
        "HOME",
        "TMPDIR",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
    ] {
        assert!(
            stderr.contains(&format!("{variable}={folder}")),
            "{variable} in {stderr:?}"
        );
    }
    let known = [
        "HOME", "TMPDIR", "XDG_", "PATH", "LANG", "DBUS_", "PWD", "OLDPWD", "SHLVL", "_",
    ];
    for line in stderr.iter().filter(|line| line.contains('=')) {
        assert!(known.iter().any(|name| line.starts_with(name)), "{line}");
    }
}
