//! A session that takes all it can get: it ends alone, or not at all, and says why.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use wharf_testkit::{Cdp, Wharf};

use crate::{WHARF, polling, processes};

/// Watching takes a second at most; a report and a busy machine take theirs.
const ENDED_WITHIN: Duration = Duration::from_secs(60);
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// A session that its neighbours go on without.
struct Tenant {
    id: String,
    path: String,
    client: Cdp,
}

impl Tenant {
    async fn of(wharf: &Wharf) -> anyhow::Result<Self> {
        let body = json!({ "keepAlive": true });
        let created = wharf.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        assert_eq!(created.status, 201, "{}", created.body);
        let text = |field: &str| created.body[field].as_str().expect("a string").to_owned();
        Ok(Self {
            id: text("id"),
            path: format!("/v1/sessions/{}", text("id")),
            client: Cdp::connect(&text("connectUrl")).await?,
        })
    }

    /// Begins something that may not come back.
    async fn begin(&mut self, script: &str) -> anyhow::Result<()> {
        let begun = format!("setTimeout(() => {{ {script} }}); 0");
        self.client.evaluate(&begun).await?;
        Ok(())
    }

    /// The processes of its browser: the folder there is named after the session. Wharf and its database have others.
    fn processes(&self) -> Vec<u32> {
        let named = processes::naming(Path::new(&self.id));
        let below = named.iter().flat_map(|&pid| processes::descendants(pid));
        let all: BTreeSet<u32> = below.chain(named.iter().copied()).collect();
        all.into_iter().collect()
    }

    /// Of its browser.
    fn threads(&self) -> usize {
        let of = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        self.processes().into_iter().map(of).sum()
    }

    async fn visit(&mut self, url: &str) -> anyhow::Result<()> {
        self.begin(&format!("location.href = {url:?}")).await?;
        let started = Instant::now();
        let there = format!("location.href.startsWith({url:?}) && document.readyState === 'complete'");
        // The page is a new one on the way, and its answers may be the old one's.
        while self.client.evaluate(&there).await.ok() != Some(Value::Bool(true)) {
            assert!(started.elapsed() < ENDED_WITHIN, "never at {url}");
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

async fn ended(wharf: &Wharf, path: &str) -> anyhow::Result<Value> {
    polling::until(wharf, path, ENDED_WITHIN, |session| {
        session["endedAt"].is_string()
    })
    .await
}

/// Filled, because untouched pages are not there.
const HOARD: &str = "globalThis.kept = []; const more = () => { kept.push(new Uint8Array(16 << 20).fill(1)); setTimeout(more); }; more();";

#[tokio::test]
async fn too_much_memory_ends_the_session_that_takes_it_and_no_other() -> anyhow::Result<()> {
    let wharf = Wharf::up(WHARF, &["--session-memory", "600MiB"]).await?;
    let mut neighbour = Tenant::of(&wharf).await?;
    neighbour.client.count_up().await?;

    let mut hoarder = Tenant::of(&wharf).await?;
    let doomed = hoarder.processes();
    assert!(doomed.len() >= 8, "{doomed:?}");
    hoarder.begin(HOARD).await?;
    let session = ended(&wharf, &hoarder.path).await?;
    assert_eq!(
        (&session["status"], &session["endReason"]),
        (&json!("ERROR"), &json!("out_of_memory")),
        "{session}"
    );
    let events = wharf
        .call(Method::GET, &format!("{}/events", hoarder.path), None)
        .await?
        .body;
    let last = events.as_array().and_then(|events| events.last());
    assert_eq!(
        last.map(|event| &event["endReason"]),
        Some(&json!("out_of_memory")),
        "{events}"
    );
    hoarder.client.ended().await;

    assert_eq!(neighbour.client.count_up().await?, 2, "the same page as before");
    // Those that it had at first, and any that came later.
    assert!(processes::all_end(&doomed, GONE_WITHIN).await);
    let left = hoarder.processes();
    assert!(processes::all_end(&left, GONE_WITHIN).await, "{left:?}");
    let family = processes::descendants(wharf.pid());
    assert!(wharf.stop().await?.success());
    assert!(processes::all_end(&family, Duration::ZERO).await);
    Ok(())
}

/// Files of a page's own, in its origin's private file system.
const FILL: &str = "(async () => {
    const folder = await navigator.storage.getDirectory();
    const chunk = new Uint8Array(8 << 20).fill(1);
    for (let written = 0; ; written += chunk.length) {
        try {
            const file = await folder.getFileHandle('file-' + written, { create: true });
            const writer = await file.createWritable();
            await writer.write(chunk);
            await writer.close();
        } catch (error) { return [written, error.name]; }
        if (written > 2 ** 31) return [written, 'no end'];
    }
})()";

#[tokio::test]
async fn a_full_disk_is_its_own_sessions_trouble_and_not_its_end() -> anyhow::Result<()> {
    let wharf = Wharf::up(WHARF, &["--session-memory", "1GiB"]).await?;
    let page = format!("{}/docs/", wharf.base_url());
    let mut filler = Tenant::of(&wharf).await?;
    let mut neighbour = Tenant::of(&wharf).await?;
    for tenant in [&mut filler, &mut neighbour] {
        tenant.visit(&page).await?;
    }
    let full = filler.client.evaluate(FILL).await?;
    let (written, error) = (full[0].as_u64().unwrap_or_default(), &full[1]);
    // Half of the session's memory, less what the browser itself keeps there, and Chromium's own reserve.
    assert!((64 << 20..512 << 20).contains(&written), "{full}");
    // By Chromium's own count, or by the file system's.
    assert!(error == "QuotaExceededError" || error == "AbortError", "{full}");
    let can_write = "(async () => {
        const folder = await navigator.storage.getDirectory();
        const writer = await (await folder.getFileHandle('one', { create: true })).createWritable();
        await writer.write(new Uint8Array(8 << 20).fill(1)); await writer.close(); return 'written'; })()";
    assert_eq!(neighbour.client.evaluate(can_write).await?, "written");
    assert_eq!(filler.client.evaluate("6 * 7").await?, 42, "it goes on");
    assert!(wharf.stop().await?.success());
    Ok(())
}

/// Each worker of a page is a thread of its process.
const FORK: &str = "const source = URL.createObjectURL(new Blob(['setInterval(() => {}, 1000)']));
    globalThis.workers = []; const more = () => { workers.push(new Worker(source)); setTimeout(more); }; more();";

#[tokio::test]
async fn a_page_that_starts_threads_without_end_gets_no_more_than_its_own() -> anyhow::Result<()> {
    const LIMIT: usize = 384;
    let wharf = Wharf::up(WHARF, &["--session-processes", "384"]).await?;
    let mut neighbour = Tenant::of(&wharf).await?;
    neighbour.client.count_up().await?;
    let mut bomber = Tenant::of(&wharf).await?;
    bomber.begin(FORK).await?;
    let started = Instant::now();
    let mut most = 0;
    // Either its page dies of it or the whole browser; until then it grows to its limit.
    while most < LIMIT * 9 / 10 && started.elapsed() < ENDED_WITHIN {
        most = most.max(bomber.threads());
        let session = wharf.call(Method::GET, &bomber.path, None).await?.body;
        if session["endedAt"].is_string() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..50 {
        most = most.max(bomber.threads());
        sleep(Duration::from_millis(20)).await;
    }
    // Bubblewrap stands outside, and who ends while we count may count twice.
    assert!((LIMIT * 2 / 3..LIMIT + 32).contains(&most), "{most} threads");
    assert_eq!(neighbour.client.count_up().await?, 2);
    let family = processes::descendants(wharf.pid());
    assert!(wharf.stop().await?.success());
    assert!(processes::all_end(&family, Duration::ZERO).await);
    Ok(())
}

#[tokio::test]
async fn a_limit_that_makes_no_sense_is_told_by_name() -> anyhow::Result<()> {
    for (option, value, words) in [
        ("--session-memory", "0", "256MiB at least; or none"),
        ("--session-memory", "lots", "as in 2GiB"),
        ("--session-cpu", "0", "0.1 at least; or none"),
        ("--session-processes", "none", "256 at least"),
        ("--session-processes", "1", "256 at least"),
    ] {
        let output = tokio::process::Command::new(WHARF)
            .args(["up", option, value])
            .output()
            .await?;
        let error = String::from_utf8(output.stderr)?;
        assert!(
            !output.status.success() && error.contains(words),
            "{option} {value}: {error}"
        );
        assert!(error.contains(option), "{error}");
    }
    Ok(())
}
