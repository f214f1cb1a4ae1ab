//! The pool with a real Chromium.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wharf_chrome::{Isolation, Launcher, LauncherOptions, Limits, ProfileRoot, find_browser};
use wharf_domain::{SeededEntropy, Viewport};
use wharf_egress::AddressPolicy;
use wharf_protocol::BrowserOptions;

use super::*;
use crate::browser::{BuiltInProxy, Chromiums};

/// Everything that a page can learn about its window, and the browser about its pages.
const WINDOW: &str = "[innerWidth, innerHeight, outerWidth, outerHeight, screenX, screenY, screen.width, \
    screen.height, devicePixelRatio, document.visibilityState, history.length, location.href]";

struct Lab {
    folder: TempDir,
    browsers: Chromiums,
    pool: WarmPool<Chromiums>,
}

impl Lab {
    /// With a pool of this size, full.
    async fn new(size: u32) -> Self {
        let folder = tempfile::Builder::new().prefix("w").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let launcher = Launcher::new(LauncherOptions {
            binary: find_browser(None).unwrap(),
            isolation: Isolation::Process,
            profiles: ProfileRoot::at(folder.path()).unwrap(),
            user: "nobody".to_owned(),
            limits: Limits::default(),
        });
        let browsers = Chromiums::new(
            Arc::new(launcher.unwrap()),
            AddressPolicy::default(),
            BuiltInProxy::None,
        );
        let entropy = Arc::new(SeededEntropy::new(1));
        let machine = Box::new(FakeMachine::default());
        let pool = WarmPool::start(browsers.clone(), WarmOptions::of(size), machine, entropy);
        let lab = Self {
            folder,
            browsers,
            pool,
        };
        lab.full(size).await;
        lab
    }

    async fn full(&self, size: u32) {
        let full = self.pool.0.shelf.holds(size);
        tokio::time::timeout(WITHIN, full).await.unwrap();
    }

    /// Signals the main process of the browser of this name.
    fn signal(&self, signal: &str, name: &str) {
        let leader = processes(self.folder.path(), name)
            .into_iter()
            .find(|(_, command)| !command.contains("--type="));
        let leader = leader.unwrap().0.to_string();
        assert!(
            Command::new("kill")
                .args([signal, &leader])
                .status()
                .unwrap()
                .success()
        );
    }

    fn is_alive(&self, name: &str) -> bool {
        !processes(self.folder.path(), name).is_empty()
    }
}

/// Processes that work in the profile of this name, with their command lines.
fn processes(folder: &Path, name: &str) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let ours = cwd.starts_with(folder) && cwd.ends_with(name);
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        ours.then(|| (pid, String::from_utf8_lossy(&command).into_owned()))
    })
    .collect()
}

/// A client as anybody's.
struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(browser: &dyn Browser) -> Self {
        Self(connect_async(browser.endpoint().url()).await.unwrap().0)
    }

    async fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let mut call = json!({ "id": 1, "method": method, "params": params });
        if let Some(session) = session {
            call["sessionId"] = session.into();
        }
        self.0.send(Message::text(call.to_string())).await.unwrap();
        loop {
            let answer = self.0.next().await.unwrap().unwrap().into_text().unwrap();
            let mut answer: Value = serde_json::from_str(&answer).unwrap();
            if answer["id"] == 1 {
                return answer["result"].take();
            }
        }
    }

    /// What the first client finds: targets, contexts and the page's window.
    async fn finds(&mut self) -> Value {
        let targets = self
            .call(None, "Target.getTargets", json!({ "filter": [{}] }))
            .await;
        let targets = targets["targetInfos"].as_array().unwrap();
        let mut seen: Vec<Value> = targets
            .iter()
            .map(|target| json!([target["type"], target["url"], target["title"], target["attached"]]))
            .collect();
        seen.sort_by_key(Value::to_string);
        let contexts = self.call(None, "Target.getBrowserContexts", json!({})).await;
        let page = targets.iter().find(|target| target["type"] == "page").unwrap();
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self.call(None, "Target.attachToTarget", attach).await;
        let evaluate = json!({ "expression": WINDOW, "returnByValue": true });
        let session = attached["sessionId"].as_str();
        let window = self.call(session, "Runtime.evaluate", evaluate).await;
        json!({ "targets": seen, "contexts": contexts["browserContextIds"], "window": window["result"]["value"] })
    }
}

fn sized(width: i64, height: i64) -> LaunchRequest {
    let viewport = Some(Viewport::new(width, height).unwrap());
    let browser = BrowserOptions {
        viewport,
        ..BrowserOptions::default()
    };
    LaunchRequest {
        browser,
        ..request(1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claimed_browser_is_found_as_one_that_was_started_for_the_session() {
    let lab = Lab::new(1).await;
    for (number, asked) in [request(1), sized(1024, 768), sized(1920, 1080)]
        .into_iter()
        .enumerate()
    {
        lab.full(1).await;
        let name = format!("warm-{}", number + 1);
        let warm = lab.pool.launch(&asked, WITHIN).await.unwrap();
        assert!(lab.is_alive(&name), "{name} was not the one");
        let cold = Browsers::launch(&lab.browsers, &asked, WITHIN).await.unwrap();
        let found = Client::connect(&*warm).await.finds().await;
        assert_eq!(
            found,
            Client::connect(&*cold).await.finds().await,
            "{:?}",
            asked.browser
        );
        if let Some(viewport) = asked.browser.viewport {
            assert_eq!(found["window"][0], viewport.width());
        }
        assert_ne!(warm.endpoint().url(), cold.endpoint().url());
        warm.close().await;
        cold.close().await;
        assert!(!lab.is_alive(&name));
    }
    lab.pool.retire().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_killed_while_it_rests_is_replaced_before_anybody_asks() {
    let lab = Lab::new(1).await;
    lab.signal("-KILL", "warm-1");
    tokio::time::timeout(WITHIN, lab.pool.0.shelf.missing(1))
        .await
        .unwrap();
    lab.full(1).await;
    assert!(!lab.is_alive("warm-1") && lab.is_alive("warm-2"));
    let browser = lab.pool.launch(&request(1), WITHIN).await.unwrap();
    Client::connect(&*browser).await.finds().await;
    browser.close().await;
    lab.pool.retire().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_killed_and_its_session_gets_another() {
    let lab = Lab::new(1).await;
    lab.signal("-STOP", "warm-1");
    let asked = Instant::now();
    let browser = lab.pool.launch(&request(1), WITHIN).await.unwrap();
    assert!(
        asked.elapsed() >= Duration::from_secs(1),
        "it was handed out: {:?}",
        asked.elapsed()
    );
    Client::connect(&*browser).await.finds().await;
    browser.close().await;
    lab.pool.retire().await;
    assert!(!lab.is_alive("warm-1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retiring_leaves_no_process_and_no_folder() {
    let lab = Lab::new(2).await;
    assert!(lab.is_alive("warm-1") && lab.is_alive("warm-2"));
    lab.pool.retire().await;
    assert!(!lab.is_alive("warm-1") && !lab.is_alive("warm-2"));
    let root = fs::read_dir(lab.folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert_eq!(fs::read_dir(root).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_not_billed_for_its_browsers_start() {
    let lab = Lab::new(1).await;
    let warm = lab.pool.launch(&request(1), WITHIN).await.unwrap();
    let meter = warm.meter();
    let reading = meter.read().unwrap();
    // A start takes some 300 ms of CPU time.
    assert!(reading.cpu.0 < 100, "{reading:?}");
    assert!(reading.memory.0 > 50 << 20, "{reading:?}");
    let mut client = Client::connect(&*warm).await;
    let targets = client.call(None, "Target.getTargets", json!({})).await;
    let attach = json!({ "targetId": targets["targetInfos"][0]["targetId"], "flatten": true });
    let attached = client.call(None, "Target.attachToTarget", attach).await;
    let busy = "{ const end = performance.now() + 600; while (performance.now() < end); }";
    let session = attached["sessionId"].as_str();
    client
        .call(session, "Runtime.evaluate", json!({ "expression": busy }))
        .await;
    let worked = meter.cpu().unwrap().0 - reading.cpu.0;
    assert!(worked >= 200, "{worked} ms");
    warm.close().await;
    lab.pool.retire().await;
}
