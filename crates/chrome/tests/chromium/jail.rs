//! The jail: what is inside, what is not, and that nothing of it stays.

use crate::support::{
    Lab, Page, call, first_process, main_process, options, own_children, processes_of, processes_of_type,
    status, visit,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use wharf_chrome::BrowserExit;

/// Where a jail of this process shows its browser's folder. Every process of the browser names it.
fn folder() -> PathBuf {
    PathBuf::from(format!("/wharf-{}/session-1", std::process::id()))
}

fn namespace(process: &str, kind: &str) -> PathBuf {
    std::fs::read_link(Path::new("/proc").join(process).join("ns").join(kind)).unwrap()
}

fn assert_nothing_left(lab: &Lab) {
    assert_eq!(processes_of(&folder()), [] as [i32; 0], "processes");
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_jailed_browser_answers_on_its_pipe_and_on_devtools_and_leaves_nothing() {
    let lab = Lab::jailed();
    let browser = lab.launch().await;
    let page = Page::first(&browser).await;
    assert_eq!(
        page.evaluate("[innerWidth, innerHeight]").await,
        json!([1280, 720])
    );

    let request = format!(
        "GET /json/version HTTP/1.1\r\nHost: {}\r\n\r\n",
        browser.devtools().address()
    );
    // More than one connection, at once and after one another.
    for _ in 0..3 {
        let (first, second) = tokio::join!(browser.devtools().connect(), browser.devtools().connect());
        for mut devtools in [first.unwrap(), second.unwrap()] {
            devtools.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![0; 4096];
            let length = devtools.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
            assert!(answer.contains(browser.version()), "{answer}");
        }
    }
    let devtools = browser.devtools().clone();
    let report = browser.close().await;
    assert!(report.complete, "{report:?}");
    assert_eq!(report.exit, Some(BrowserExit::Signal(9)));
    assert!(devtools.connect().await.is_err(), "nobody listens any more");
    assert_nothing_left(&lab);
}

/// What bubblewrap says on other machines, and what to do there.
#[test]
fn a_machine_that_forbids_jails_is_told_what_to_allow() {
    for (words, advice) in [
        (
            "bwrap: setting up uid map: Permission denied",
            "unprivileged_userns_clone=1",
        ),
        (
            "bwrap: No permissions to creating new namespace, likely because",
            "unprivileged_userns_clone=1",
        ),
        (
            "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted",
            "apparmor_restrict",
        ),
        (
            "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
            "systempaths=unconfined",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let script = folder.path().join("bwrap");
        std::fs::write(&script, format!("#!/bin/sh\necho \"{words}\" >&2\nexit 1\n")).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let refused = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "jail::a_jail_can_stand_here"])
            .env("PATH", folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stdout);
        for part in [
            "cannot have a jail on this machine",
            words,
            advice,
            "--isolation process",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}

#[tokio::test]
async fn a_jail_can_stand_here() {
    let lab = Lab::jailed();
    if let Err(error) = lab.launcher.check().await {
        panic!("{error}");
    }
    assert_nothing_left(&lab);
}

#[tokio::test]
async fn every_process_has_namespaces_of_its_own_and_no_rights() {
    let lab = Lab::jailed();
    let browser = lab.launch().await;
    let first = first_process(&browser);
    let inside: Vec<i32> = processes_of(&folder())
        .into_iter()
        .filter(|pid| pid.cast_unsigned() != browser.pid())
        .collect();
    assert!(inside.len() >= 8, "{inside:?}");
    for pid in inside {
        let process = pid.to_string();
        for kind in ["user", "mnt", "pid", "ipc", "uts", "net", "cgroup"] {
            assert_ne!(
                namespace(&process, kind),
                namespace("self", kind),
                "{kind} of {pid}"
            );
        }
        assert_eq!(status(pid, "NoNewPrivs"), "1", "{pid}");
        // The zygote is mighty within a namespace of its own, which is how it builds the sandbox.
        if namespace(&process, "user") == namespace(&first.to_string(), "user") {
            assert_eq!(status(pid, "CapEff"), "0000000000000000", "{pid}");
            assert_eq!(status(pid, "CapBnd"), "0000000000000000", "{pid}");
        }
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(
            !String::from_utf8_lossy(&command).contains("--no-sandbox"),
            "{pid}"
        );
    }
    let renderers = processes_of_type(&folder(), "renderer");
    assert!(!renderers.is_empty());
    for renderer in renderers {
        assert_eq!(status(renderer, "Seccomp"), "2", "{renderer}");
    }
    let said = visit(&browser, "chrome://sandbox").await;
    assert!(
        said.contains("Layer 1 Sandbox") && said.contains("Namespace"),
        "{said}"
    );
    browser.close().await;
    assert_nothing_left(&lab);
}

/// A proxy that has nothing to give, and tells what it was asked for.
async fn answer_all(listener: TcpListener, seen: tokio::sync::mpsc::UnboundedSender<String>) {
    let mut connections = JoinSet::new();
    while let Ok((mut connection, _)) = listener.accept().await {
        let seen = seen.clone();
        connections.spawn(async move {
            let mut head = vec![0; 4096];
            if let Ok(length @ 1..) = connection.read(&mut head).await {
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                // The one thing that Chromium asks for by itself; see its flags.
                if !head.starts_with("CONNECT accounts.google.com:443 ") {
                    let _ = seen.send(head);
                }
                let _ = connection
                    .write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
                    .await;
            }
        });
    }
}

#[tokio::test]
async fn whatever_a_page_asks_for_arrives_at_our_listener_and_nowhere_else() {
    let lab = Lab::jailed();
    let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut browser = lab.launch().await;
    let egress = browser.take_egress().unwrap();
    assert!(browser.take_egress().is_none());
    let (seen, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let mut proxy = JoinSet::new();
    proxy.spawn(answer_all(TcpListener::from_std(egress).unwrap(), seen));
    let page = Page::first(&browser).await;
    let devtools = browser.devtools().address();
    for target in [
        format!("http://{}/", outside.local_addr().unwrap()),
        format!("http://localhost:{}/", outside.local_addr().unwrap().port()),
        format!("http://{devtools}/json/version"),
        "http://example.test/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::1]/".to_owned(),
    ] {
        let fetch = format!("fetch({target:?}, {{ mode: 'no-cors' }}).then(() => 'answered', String)");
        let answer = page.evaluate(&fetch).await;
        assert_eq!(answer, Value::from("answered"), "{target}");
        let head: String = heads.recv().await.unwrap();
        assert!(head.starts_with(&format!("GET {target} ")), "{target}: {head}");
    }
    let nobody =
        std::future::poll_fn(|context| std::task::Poll::Ready(outside.poll_accept(context).is_pending()));
    assert!(nobody.await, "a connection went past the proxy");
    browser.close().await;
}

#[tokio::test]
async fn what_can_be_written_has_a_size_and_the_rest_is_read_only() {
    let lab = Lab::jailed();
    let browser = lab.launch().await;
    let first = first_process(&browser);
    let mounts = std::fs::read_to_string(format!("/proc/{first}/mounts")).unwrap();
    let options_of = |path: &str| {
        let line = mounts.lines().rfind(|line| line.split(' ').nth(1) == Some(path));
        line.unwrap_or_else(|| panic!("{path} in {mounts}"))
            .split(' ')
            .nth(3)
            .unwrap()
            .to_owned()
    };
    for path in [folder().to_str().unwrap(), "/tmp", "/dev/shm"] {
        assert!(options_of(path).contains("size="), "{path}: {}", options_of(path));
    }
    for path in ["/", "/usr", "/dev"] {
        assert!(options_of(path).starts_with("ro"), "{path}: {}", options_of(path));
    }
    browser.close().await;
}

#[tokio::test]
async fn whichever_process_of_a_jail_is_killed_all_of_it_goes() {
    let lab = Lab::jailed();
    for victim in ["bubblewrap", "the first process", "the browser"] {
        let browser = lab.launch().await;
        let first = first_process(&browser);
        let pid = match victim {
            "bubblewrap" => browser.pid().cast_signed(),
            "the first process" => first,
            _ => main_process(&browser),
        };
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        assert_eq!(browser.exited().await, BrowserExit::Signal(9), "{victim}");
        let report = browser.close().await;
        assert!(report.complete, "{victim}: {report:?}");
        assert_eq!(own_children(), [] as [i32; 0], "{victim}");
        assert_nothing_left(&lab);
    }
}

#[tokio::test]
async fn a_client_that_closes_a_jailed_browser_is_a_clean_exit() {
    let lab = Lab::jailed();
    let browser = lab.launch().await;
    call(&browser, "Browser.close", json!({})).await;
    assert_eq!(browser.exited().await, BrowserExit::Clean);
    browser.close().await;
    assert_nothing_left(&lab);
}

#[tokio::test]
async fn a_jail_given_up_while_it_is_built_leaves_nothing() {
    let lab = Lab::jailed();
    // Dropped at every step of the way, whatever it was.
    for polls in [1, 2, 3, 5, 8, 13, 21, 34] {
        let mut launch = Box::pin(lab.launcher.launch(options("session-1")));
        for _ in 0..polls {
            tokio::select! {
                biased;
                _ = &mut launch => panic!("ready at once"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(launch);
        // The thread that forks drops what nobody waits for; another launch comes after it.
        lab.launch().await.close().await;
        assert_nothing_left(&lab);
    }
}

#[tokio::test]
async fn the_walls_that_stand_are_told_from_those_that_do_not() {
    let (jailed, bare) = (Lab::jailed(), Lab::new());
    for (lab, expected) in [
        (
            &jailed,
            ["namespaces", "network", "files", "rights", "system calls"].as_slice(),
        ),
        (&bare, &["rights", "system calls"]),
    ] {
        let browser = lab.launch().await;
        let walls = browser.walls();
        let standing: Vec<&str> = walls
            .iter()
            .filter(|wall| wall.stands)
            .map(|wall| wall.name)
            .collect();
        assert_eq!(standing, expected, "{walls:?}");
        browser.close().await;
    }
}
