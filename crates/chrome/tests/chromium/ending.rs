//! However a browser ends, nothing of it stays.
use crate::support::{
    Lab, Page, main_process, open_folder, options, own_children, processes_of, processes_of_type,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use wharf_chrome::{BrowserExit, Grace};

/// The reliability goal for a killed parent.
const ORPHAN_LIMIT: Duration = Duration::from_secs(2);

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

/// Waits for the end of all of them; answers whether it came in time.
fn wait_for_end(processes: &[OwnedFd], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    processes.iter().all(|process| {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).unwrap();
        poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)).unwrap() == 1
    })
}

fn watch(pids: &[i32]) -> Vec<OwnedFd> {
    let open = |&pid: &i32| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok();
    pids.iter().filter_map(open).collect()
}

#[tokio::test]
async fn close_leaves_no_process_and_no_folder() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    assert!(processes_of(lab.folder.path()).len() >= 8);
    let report = browser.close().await;
    assert!(report.complete, "{report:?}");
    assert_eq!(report.exit, Some(BrowserExit::Signal(9)));
    lab.assert_nothing_left();
}

#[tokio::test]
async fn dropping_does_the_same() {
    let lab = Lab::new();
    drop(lab.launch().await);
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_launch_given_up_halfway_leaves_nothing() {
    let lab = Lab::new();
    let launch = lab.launcher.launch(options("session-1"));
    let mut launch = Box::pin(launch);
    let started = async {
        while processes_of_type(lab.folder.path(), "zygote").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut launch => panic!("ready before it had a zygote"),
        () = started => {}
    }
    drop(launch);
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_killed_browser_is_an_exit_event_and_takes_its_helpers_with_it() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    let helpers = watch(&processes_of(lab.folder.path()));
    let mut exit = browser.exit();
    kill(browser.pid());
    let seen = *exit.wait_for(Option::is_some).await.unwrap();
    assert_eq!(seen, Some(BrowserExit::Signal(9)));
    let ended = tokio::task::spawn_blocking(move || wait_for_end(&helpers, ORPHAN_LIMIT))
        .await
        .unwrap();
    assert!(ended, "helpers outlive their browser");
    assert!(browser.sampler().sample().is_none());
    assert!(browser.close().await.complete);
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_client_that_closes_the_browser_is_a_clean_exit() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    browser.cdp().call("Browser.close", json!({})).await.unwrap();
    assert_eq!(browser.exited().await, BrowserExit::Clean);
    assert_eq!(browser.close().await.exit, Some(BrowserExit::Clean));
    lab.assert_nothing_left();
}

/// The rungs: it closes when it is asked to, else it hears SIGTERM, else it is killed.
#[tokio::test]
async fn a_browser_with_grace_ends_by_itself_unless_it_hangs() {
    let (moment, enough) = (Duration::from_millis(100), Duration::from_secs(20));
    let close = Grace {
        close: enough,
        terminate: Duration::ZERO,
    };
    let terminate = Grace {
        close: Duration::ZERO,
        terminate: enough,
    };
    let soon = Grace {
        close: moment,
        terminate: moment,
    };
    for lab in [Lab::new(), Lab::jailed()] {
        let closed = lab.launch().await.close_within(close).await;
        assert_eq!((closed.exit, closed.complete), (Some(BrowserExit::Clean), true));

        let terminated = lab.launch().await.close_within(terminate).await;
        assert_ne!(terminated.exit, Some(BrowserExit::Signal(9)), "{terminated:?}");
        assert!(terminated.complete && terminated.took < enough, "{terminated:?}");

        let hanging = lab.launch().await;
        let main = Pid::from_raw(main_process(&hanging)).unwrap();
        kill_process(main, Signal::STOP).unwrap();
        let killed = hanging.close_within(soon).await;
        assert_eq!(
            (killed.exit, killed.complete),
            (Some(BrowserExit::Signal(9)), true)
        );
        assert!(killed.took >= 2 * moment, "{killed:?}");
        lab.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_page_that_never_yields_does_not_delay_the_end() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    {
        let page = Page::first(&browser).await;
        // Started from a timer, so that the evaluation itself returns.
        page.evaluate("setTimeout(() => { for (;;) {} }, 0)").await;
    }
    let report = browser.close().await;
    assert!(
        report.complete && report.took < Duration::from_secs(1),
        "{report:?}"
    );
    lab.assert_nothing_left();
}

/// Another process of ours, which holds one browser; run as `nobody` if asked to and we are root.
struct Holder {
    process: Child,
    processes: u32,
    memory: u64,
}

impl Holder {
    fn start(folder: &std::path::Path, unprivileged: bool) -> Holder {
        let deps = std::env::current_exe().unwrap();
        let built = deps.ancestors().nth(2).unwrap().join("examples/launch");
        // A copy, because the build folder may be closed to other users.
        let copy = folder.join("launch");
        std::fs::copy(built, &copy).unwrap();
        let mut command = Command::new(copy);
        command.arg("--hold").arg(folder).stdout(Stdio::piped());
        if unprivileged && rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u64>().unwrap());
        let _pid = numbers.next().expect("the holder could not launch a browser");
        let processes = numbers.next().unwrap().try_into().unwrap();
        Holder {
            process,
            processes,
            memory: numbers.next().unwrap(),
        }
    }
}

#[test]
fn a_killed_parent_leaves_no_browser() {
    let folder = open_folder();
    let mut holder = Holder::start(folder.path(), false);
    let browser = watch(&processes_of(folder.path()));
    assert!(browser.len() >= 8, "{}", browser.len());
    kill(holder.process.id());
    holder.process.wait().unwrap();
    assert!(
        wait_for_end(&browser, ORPHAN_LIMIT),
        "Chromium outlives its parent by {ORPHAN_LIMIT:?}"
    );
}

#[test]
fn an_ordinary_user_launches_measures_and_ends_as_well() {
    let folder = open_folder();
    let mut holder = Holder::start(folder.path(), true);
    assert!(holder.processes >= 8, "{}", holder.processes);
    // Every process could be read in full: private memory alone would be below this.
    assert!(holder.memory > 120 << 20, "{}", holder.memory);
    let browser = watch(&processes_of(folder.path()));
    kill(holder.process.id());
    holder.process.wait().unwrap();
    assert!(wait_for_end(&browser, ORPHAN_LIMIT));
    assert_eq!(own_children(), [] as [i32; 0]);
}

/// In a container that was entered without a session of its own, the number of our session is 0.
#[test]
fn a_browser_ends_where_the_session_leader_is_outside_the_container() {
    let same_test = "ready::one_page_in_the_default_context_and_no_other_target";
    let contained = Command::new("bwrap")
        .args([
            "--dev-bind",
            "/",
            "/",
            "--unshare-pid",
            "--proc",
            "/proc",
            "--die-with-parent",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", same_test])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&contained.stdout);
    assert!(contained.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
