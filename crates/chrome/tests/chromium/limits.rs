//! Limits of memory, processes and files, without control groups: this machine need not have any.

use crate::support::{Lab, Page, call, first_process, options, own_children, processes_of_type};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::timeout;
use wharf_chrome::{
    Browser, BrowserExit, CpuLimit, LaunchError, LaunchOptions, Limits, MemoryLimit, ProcessLimit,
};

const MEBIBYTE: u64 = 1 << 20;
/// The guard needs a second at most, the machine its time.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

fn memory(mebibytes: u64) -> Limits {
    Limits {
        memory: Some(MemoryLimit::of_bytes(mebibytes * MEBIBYTE).unwrap()),
        ..Limits::default()
    }
}

/// Begins to evaluate something that may not answer.
async fn begin(page: &Page<'_>, expression: &str) {
    page.evaluate(&format!("setTimeout(() => {{ {expression} }}); 0"))
        .await;
}

async fn end_of(browser: &Browser) -> BrowserExit {
    timeout(ENDED_WITHIN, browser.exited()).await.expect("it goes on")
}

/// Filled, because untouched pages are not there.
const HOARD: &str = "globalThis.kept = []; const more = () => { kept.push(new Uint8Array(16 << 20).fill(1)); setTimeout(more); }; more()";

#[tokio::test]
async fn a_page_that_takes_memory_without_end_ends_its_browser_and_no_other() {
    let lab = Lab::limited(memory(600));
    let (hoarder, neighbour) = tokio::join!(
        lab.launcher.launch(options("session-1")),
        lab.launcher.launch(options("session-2"))
    );
    let (hoarder, neighbour) = (hoarder.unwrap(), neighbour.unwrap());
    let page = Page::first(&hoarder).await;
    begin(&page, HOARD).await;
    assert_eq!(end_of(&hoarder).await, BrowserExit::OutOfMemory);
    let report = hoarder.close().await;
    assert!(
        report.complete && report.exit == Some(BrowserExit::OutOfMemory),
        "{report:?}"
    );

    let page = Page::first(&neighbour).await;
    assert_eq!(page.evaluate("6 * 7").await, json!(42));
    neighbour.close().await;
    assert_eq!(own_children(), [] as [i32; 0]);
    lab.assert_nothing_left();
}

#[tokio::test]
async fn many_tabs_count_together() {
    let lab = Lab::limited(memory(700));
    let browser = lab.launch().await;
    for _ in 0..8 {
        let created = browser
            .cdp()
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        // It may be gone by now.
        let Ok(created) = created else { break };
        let created: serde_json::Value = serde_json::from_str(created.get()).unwrap();
        let attach = json!({ "targetId": created["targetId"], "flatten": true });
        let Ok(attached) = browser.cdp().call("Target.attachToTarget", attach).await else {
            break;
        };
        let attached: serde_json::Value = serde_json::from_str(attached.get()).unwrap();
        let fill = json!({ "expression": "globalThis.kept = new Uint8Array(120 << 20).fill(1); 0" });
        let session = attached["sessionId"].as_str();
        if browser
            .cdp()
            .call_session(session, "Runtime.evaluate", fill)
            .await
            .is_err()
        {
            break;
        }
    }
    assert_eq!(end_of(&browser).await, BrowserExit::OutOfMemory);
    browser.close().await;
    lab.assert_nothing_left();
}

#[tokio::test]
async fn without_a_jail_memory_is_limited_all_the_same() {
    let lab = Lab::limited_without_jail(memory(600));
    let browser = lab.launch().await;
    let page = Page::first(&browser).await;
    begin(&page, HOARD).await;
    assert_eq!(end_of(&browser).await, BrowserExit::OutOfMemory);
    browser.close().await;
    lab.assert_nothing_left();
}

#[tokio::test]
async fn what_a_browser_may_have_it_can_use() {
    let lab = Lab::limited(memory(900));
    let browser = lab.launch().await;
    let page = Page::first(&browser).await;
    let kept = page
        .evaluate("globalThis.kept = new Uint8Array(400 << 20).fill(1); kept.length")
        .await;
    assert_eq!(kept, json!(400 << 20));
    // Longer than the guard ever looks away.
    let ended = timeout(Duration::from_secs(2), browser.exited()).await;
    assert!(ended.is_err(), "{ended:?}");
    browser.close().await;
}

/// A tab that reaches the limit of its engine is the tab's trouble.
#[tokio::test]
async fn a_tab_that_crashes_ends_nothing_but_itself() {
    let lab = Lab::limited(memory(2_048));
    let browser = lab.launch().await;
    let page = Page::first(&browser).await;
    let created = call(
        &browser,
        "Target.createTarget",
        json!({ "url": "data:text/html,doomed" }),
    )
    .await;
    let doomed = Page::attach(&browser, created["targetId"].as_str().unwrap()).await;
    let before = renderers();
    doomed.crash().await;
    let gone = async {
        // Chromium may have started a spare one meanwhile.
        while before.iter().all(|renderer| renderers().contains(renderer)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(ENDED_WITHIN, gone).await.expect("nothing has crashed");
    assert_eq!(page.evaluate("6 * 7").await, json!(42));
    assert!(browser.exit().borrow().is_none());
    browser.close().await;
}

fn renderers() -> Vec<i32> {
    processes_of_type(&jail_folder("session-1"), "renderer")
}

fn jail_folder(name: &str) -> PathBuf {
    PathBuf::from(format!("/wharf-{}/{name}", std::process::id()))
}

/// A browser may have 256 MiB. Each of three file systems has half of that, and no process has any.
#[tokio::test]
async fn files_in_memory_count_like_any_other_memory() {
    let script =
        "for folder in /dev/shm /tmp .; do dd if=/dev/zero of=$folder/filler bs=1M; done; exec sleep 600";
    let (lab, _folder) = Lab::limited_script(script, memory(256));
    let error = lab.fail(options("session-1")).await;
    assert!(
        matches!(
            error,
            LaunchError::Exited {
                exit: BrowserExit::OutOfMemory,
                ..
            }
        ),
        "{error}"
    );
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_full_file_system_is_no_end() {
    let script = "dd if=/dev/zero of=/dev/shm/filler bs=1M; echo $? >&2; exit 3";
    let (lab, _folder) = Lab::limited_script(script, memory(256));
    let error = lab.fail(options("session-1")).await;
    let told = error.to_string();
    assert!(
        matches!(
            error,
            LaunchError::Exited {
                exit: BrowserExit::Code(3),
                ..
            }
        ),
        "{told}"
    );
    assert!(told.contains("No space left on device"), "{told}");
}

/// Runs until it may not. The first process does not fork again: a shell that cannot ends, and would end the jail.
const FORK_BOMB: &str = "bomb() { bomb & bomb & sleep 600; }; bomb & exec sleep 600";

#[tokio::test]
async fn a_fork_bomb_stays_in_its_jail() {
    const LIMIT: u32 = 300;
    let limits = Limits {
        processes: ProcessLimit::of(LIMIT).unwrap(),
        ..Limits::default()
    };
    let (bombs, _folder) = Lab::limited_script(FORK_BOMB, limits);
    let neighbours = Lab::limited(limits);
    let neighbour = neighbours.launch().await;
    let bomb = bombs.launcher.launch(LaunchOptions {
        deadline: Duration::from_secs(5),
        ..options("bomb")
    });
    let mut most = 0;
    let count = async {
        loop {
            let count = tokio::task::spawn_blocking(strangers);
            most = most.max(count.await.unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let failed = tokio::select! {
        failed = bomb => failed.map(|browser| browser.pid()).unwrap_err(),
        () = count => unreachable!("it goes on"),
    };
    // Its processes end of it, or it is never ready.
    assert!(
        matches!(failed, LaunchError::Deadline { .. } | LaunchError::Exited { .. }),
        "{failed}"
    );
    assert!(
        (LIMIT as usize / 2..LIMIT as usize + 16).contains(&most),
        "{most} processes"
    );
    let page = Page::first(&neighbour).await;
    assert_eq!(page.evaluate("6 * 7").await, json!(42));
    neighbour.close().await;
    assert_eq!(own_children(), [] as [i32; 0]);
    assert_eq!(strangers(), 0);
}

/// Processes below this one that are not the neighbour's.
fn strangers() -> usize {
    let (mut count, mut waiting) = (0, own_children());
    while let Some(pid) = waiting.pop() {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        count += usize::from(!command.contains("/session-1") && !command.contains("--type="));
        let threads = std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten();
        let lists =
            threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
        waiting.extend(lists.flat_map(|list| {
            let pids = list.split_whitespace().map(|pid| pid.parse().unwrap());
            pids.collect::<Vec<i32>>()
        }));
    }
    count
}

#[tokio::test]
async fn we_may_have_all_descriptors_there_are_and_a_browser_has_what_it_always_had() {
    let before = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(1000),
        maximum: before.maximum,
    };
    setrlimit(Resource::Nofile, few).unwrap();
    let (lab, _folder) = Lab::limited_script("echo it has $(ulimit -Sn) >&2; exit 3", Limits::default());
    let own = getrlimit(Resource::Nofile);
    assert_eq!(own.current, few.maximum);
    let told = lab.fail(options("session-1")).await.to_string();
    assert!(told.contains("it has 1000"), "{told}");
}

/// Should the machine run out of memory, browsers go before us.
#[tokio::test]
async fn the_kernel_takes_browsers_before_their_worker() {
    let lab = Lab::jailed();
    let browser = lab.launch().await;
    let score = |pid: i32| -> i32 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        text.trim().parse().unwrap()
    };
    let own = score(std::process::id().cast_signed());
    // Whoever runs the tests may have raised ours.
    let first = (own + 200).min(1000);
    // With the first process of its jail all of it ends. What Chromium starts by way of its zygotes has the score that those
    // gave themselves, or a higher one of Chromium's.
    for pid in [browser.pid().cast_signed(), first_process(&browser)] {
        assert_eq!(score(pid), first, "{pid}");
    }
    assert!(!renderers().is_empty());
    for renderer in renderers() {
        assert!(score(renderer) >= own.max(300), "{renderer}: {}", score(renderer));
    }
    browser.close().await;
}

/// Where the kernel shares the cores between sessions of processes, as it says for each.
fn nice_of(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/autogroup")).ok()?;
    text.trim().rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn a_browser_that_keeps_a_core_busy_comes_after_the_others_for_as_long() {
    if nice_of(std::process::id().cast_signed()).is_none() {
        return;
    }
    let limits = Limits {
        cpu: Some(CpuLimit::of_percent(20).unwrap()),
        ..Limits::default()
    };
    let lab = Lab::limited(limits);
    let browser = lab.launch().await;
    let page = Page::first(&browser).await;
    let renderers = renderers();
    let all_have = async |nice: i32| {
        while renderers.iter().any(|&pid| nice_of(pid) != Some(nice)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    begin(
        &page,
        "globalThis.spinner = new Worker(URL.createObjectURL(new Blob(['for (;;);'])))",
    )
    .await;
    timeout(ENDED_WITHIN, all_have(19))
        .await
        .expect("it comes before others");
    page.evaluate("spinner.terminate(); 0").await;
    timeout(ENDED_WITHIN, all_have(0))
        .await
        .expect("it is not forgiven");
    browser.close().await;
}
