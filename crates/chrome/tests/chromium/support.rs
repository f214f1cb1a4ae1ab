//! What the tests with a real Chromium share.

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use wharf_chrome::{
    Browser, BrowserBinary, CdpError, InitProgram, Isolation, LaunchError, LaunchOptions, Launcher,
    LauncherOptions, Limits, ProfileRoot, find_browser,
};

/// A launcher whose profiles lie in a folder of the test's own.
pub struct Lab {
    pub launcher: Launcher,
    pub folder: TempDir,
}

impl Lab {
    pub fn new() -> Lab {
        Lab::with(find_browser(None).unwrap())
    }

    pub fn with(binary: BrowserBinary) -> Lab {
        Lab::behind(Isolation::Process, binary, Limits::default())
    }

    /// A launcher whose browsers are in jails.
    pub fn jailed() -> Lab {
        Lab::limited(Limits::default())
    }

    /// A launcher whose browsers are in jails and may use no more than this.
    pub fn limited(limits: Limits) -> Lab {
        let init = InitProgram::at(env!("CARGO_BIN_EXE_wharf-jail-init"));
        Lab::behind(Isolation::Jail(init), find_browser(None).unwrap(), limits)
    }

    /// The same without jails.
    pub fn limited_without_jail(limits: Limits) -> Lab {
        Lab::behind(Isolation::Process, find_browser(None).unwrap(), limits)
    }

    fn behind(isolation: Isolation, binary: BrowserBinary, limits: Limits) -> Lab {
        let folder = open_folder();
        let launcher = Launcher::new(LauncherOptions {
            binary,
            isolation,
            profiles: ProfileRoot::at(folder.path()).unwrap(),
            user: "nobody".to_owned(),
            limits,
        });
        Lab {
            launcher: launcher.unwrap(),
            folder,
        }
    }

    /// A launcher whose browser is a shell script.
    pub fn with_script(script: &str) -> (Lab, TempDir) {
        let (folder, path) = script_in_a_folder(script);
        (Lab::with(find_browser(Some(&path)).unwrap()), folder)
    }

    /// The same with a shell script for a browser, in a jail.
    pub fn limited_script(script: &str, limits: Limits) -> (Lab, TempDir) {
        let (folder, path) = script_in_a_folder(script);
        let init = InitProgram::at(env!("CARGO_BIN_EXE_wharf-jail-init"));
        let binary = find_browser(Some(&path)).unwrap();
        (Lab::behind(Isolation::Jail(init), binary, limits), folder)
    }

    pub async fn launch(&self) -> Browser {
        self.launcher.launch(options("session-1")).await.unwrap()
    }

    pub async fn fail(&self, options: LaunchOptions) -> LaunchError {
        self.launcher
            .launch(options)
            .await
            .map(|browser| browser.pid())
            .unwrap_err()
    }

    /// No process of a browser, dead or alive, and no profile.
    pub fn assert_nothing_left(&self) {
        assert_eq!(processes_of(self.folder.path()), [] as [i32; 0], "processes");
        assert_eq!(own_children(), [] as [i32; 0], "children");
        self.assert_no_profile_left();
    }

    /// Not one, or any other folder.
    pub fn assert_no_profile_left(&self) {
        for root in std::fs::read_dir(self.folder.path()).unwrap() {
            let profiles = std::fs::read_dir(root.unwrap().path()).unwrap();
            assert_eq!(
                profiles.map(|entry| entry.unwrap().path()).collect::<Vec<_>>(),
                [] as [PathBuf; 0]
            );
        }
    }
}

pub fn options(name: &str) -> LaunchOptions {
    LaunchOptions {
        name: name.to_owned(),
        viewport: None,
        ignore_certificate_errors: false,
        trusted: Vec::new(),
        deadline: Duration::from_secs(30),
    }
}

fn script_in_a_folder(script: &str) -> (TempDir, PathBuf) {
    let folder = open_folder();
    let path = folder.path().join("browser");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    (folder, path)
}

/// A folder the browser's user can pass through, with a path short enough for Chromium's socket.
pub fn open_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("w").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

/// The first page of a browser, attached over the pipe.
pub struct Page<'a> {
    browser: &'a Browser,
    session: String,
}

impl Page<'_> {
    pub async fn first(browser: &Browser) -> Page<'_> {
        let targets = call(browser, "Target.getTargets", json!({})).await;
        let targets = targets["targetInfos"].as_array().unwrap();
        let page = targets.iter().find(|target| target["type"] == "page").unwrap();
        Page::attach(browser, page["targetId"].as_str().unwrap()).await
    }

    pub async fn attach<'a>(browser: &'a Browser, target: &str) -> Page<'a> {
        let attach = json!({ "targetId": target, "flatten": true });
        let attached = call(browser, "Target.attachToTarget", attach).await;
        Page {
            browser,
            session: attached["sessionId"].as_str().unwrap().to_owned(),
        }
    }

    /// Crashes its process. Nothing answers that.
    pub async fn crash(&self) {
        let cdp = self.browser.cdp();
        let crash = cdp.call_session(Some(&self.session), "Page.crash", json!({}));
        let _ = tokio::time::timeout(Duration::from_secs(1), crash).await;
    }

    pub async fn evaluate(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        self.call("Runtime.evaluate", params).await["result"]["value"].clone()
    }

    /// Null between two pages.
    pub async fn evaluate_if_it_can(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let answer = self.try_call("Runtime.evaluate", params).await;
        answer.map_or(Value::Null, |answer| answer["result"]["value"].clone())
    }

    /// As if the user had clicked: pages may open others then.
    pub async fn evaluate_by_user(&self, expression: &str) {
        let params = json!({ "expression": expression, "userGesture": true });
        self.call("Runtime.evaluate", params).await;
    }

    pub async fn call(&self, method: &str, params: Value) -> Value {
        self.try_call(method, params).await.unwrap()
    }

    pub async fn try_call(&self, method: &str, params: Value) -> Result<Value, CdpError> {
        let cdp = self.browser.cdp();
        let answer = cdp.call_session(Some(&self.session), method, params).await?;
        Ok(serde_json::from_str(answer.get()).unwrap())
    }

    /// Waits until what the page was sent to is there.
    pub async fn loaded(&self) {
        let loaded = "new Promise(done => { const check = () => document.readyState === 'complete' \
                      && location.href !== 'about:blank' ? done() : setTimeout(check, 5); check(); })";
        self.evaluate(loaded).await;
    }
}

/// Navigates, and answers what the page then shows.
pub async fn visit(browser: &Browser, url: &str) -> String {
    let created = call(browser, "Target.createTarget", json!({ "url": url })).await;
    let opened = Page::attach(browser, created["targetId"].as_str().unwrap()).await;
    opened.loaded().await;
    let text = opened.evaluate("document.documentElement.innerText").await;
    text.as_str().unwrap_or_default().to_owned()
}

pub async fn call(browser: &Browser, method: &str, params: Value) -> Value {
    let answer = browser.cdp().call(method, params).await.unwrap();
    serde_json::from_str(answer.get()).unwrap()
}

/// Living processes that work in `folder` or name it on their command line, as all of Chromium's do.
pub fn processes_of(folder: &Path) -> Vec<i32> {
    let name = folder.to_str().unwrap();
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let inside = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        if inside || String::from_utf8_lossy(&command).contains(name) {
            pids.push(pid);
        }
    }
    pids
}

/// Our children, zombies included.
pub fn own_children() -> Vec<i32> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let lists =
        threads.map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<i32>>()
        })
        .collect()
}

/// Bubblewrap's child: the first process inside a jail.
pub fn first_process(browser: &Browser) -> i32 {
    first_child(browser.pid().cast_signed())
}

/// The browser itself, in a jail or without.
pub fn main_process(browser: &Browser) -> i32 {
    let outer = browser.pid().cast_signed();
    match status(outer, "Name").as_str() {
        "bwrap" => first_child(first_process(browser)),
        _ => outer,
    }
}

fn first_child(pid: i32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

/// A field of `/proc/<pid>/status`.
pub fn status(pid: i32, field: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{field}:")))
        .unwrap();
    line.trim().to_owned()
}

/// Processes below `folder` of one kind: `renderer`, `gpu-process`, `zygote`, `utility`.
pub fn processes_of_type(folder: &Path, kind: &str) -> Vec<i32> {
    let flag = format!("--type={kind}");
    let has_flag = |pid: &i32| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&flag)
    };
    processes_of(folder).into_iter().filter(has_flag).collect()
}
