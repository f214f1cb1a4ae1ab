//! Where pages may navigate to, by whatever way they try.

mod arrived;

use crate::support::{Lab, Page, call};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wharf_chrome::{Browser, BrowserExit, Grace, find_browser};

const WITHIN: Duration = Duration::from_secs(20);
/// Long after a page's wish to have another one loaded in advance has been followed, if it is.
const PRELOADED_WITHIN: Duration = Duration::from_millis(800);

/// Frames of one page that ask at once: more than questions to the browser are asked at once.
const MANY: usize = 150;

/// Answers under every name below `localhost`, which Chromium resolves by itself.
struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Site {
    async fn start() -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (mut serving, seen) = (JoinSet::new(), Arc::clone(&asked));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, port, Arc::clone(&seen)));
            }
        });
        Site {
            port,
            asked,
            _serving: serving,
        }
    }

    /// Pages may go there.
    fn good(&self, path: &str) -> String {
        format!("http://sub.good.localhost:{}/{path}", self.port)
    }

    /// And not there.
    fn bad(&self, path: &str) -> String {
        format!("http://bad.localhost:{}/{path}", self.port)
    }

    /// The paths that the bad host was asked for.
    fn bad_asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let mut bad: Vec<_> = asked
            .iter()
            .filter_map(|line| line.strip_prefix("bad /"))
            .filter(|path| *path != "favicon.ico")
            .map(ToOwned::to_owned)
            .collect();
        bad.sort();
        bad
    }
}

async fn serve(stream: TcpStream, port: u16, seen: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut path, mut host) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(name) = line.strip_prefix("Host: ") {
                host = name.split(".localhost").next().unwrap().to_owned();
            } else if path.is_empty() {
                path = line.split(' ').nth(1).unwrap_or("/").to_owned();
            } else if line == "\r\n" {
                break;
            }
        }
        seen.lock().unwrap().push(format!("{host} {path}"));
        let bad = format!("http://bad.localhost:{port}");
        let (status, body) = match path.as_str() {
            "/redirect" => (format!("302 Found\r\nLocation: {bad}/redirected"), String::new()),
            "/script" => (
                "200 OK".to_owned(),
                format!("<script>location = '{bad}/scripted'</script>"),
            ),
            "/form" => (
                "200 OK".to_owned(),
                format!("<form id=f action='{bad}/submitted'></form><script>f.submit()</script>"),
            ),
            "/refresh" => (
                "200 OK".to_owned(),
                format!("<meta http-equiv=refresh content='0;{bad}/refreshed'>"),
            ),
            "/top" => (
                "200 OK".to_owned(),
                format!("<iframe srcdoc=\"<script>top.location = '{bad}/from-frame'</script>\"></iframe>"),
            ),
            "/frames" => (
                "200 OK".to_owned(),
                format!("<iframe src='{bad}/framed'></iframe><img src='{bad}/image'>"),
            ),
            "/maker" => (
                "200 OK".to_owned(),
                format!("<iframe src='{bad}/frame'></iframe>"),
            ),
            "/preload" => (
                "200 OK".to_owned(),
                format!(
                    "<script type=speculationrules>{{\"prefetch\": [{{\"urls\": [\"{bad}/prefetched\"], \"eagerness\": \
                     \"immediate\"}}], \"prerender\": [{{\"urls\": [\"/redirect\"], \"eagerness\": \"immediate\"}}]}}</script>"
                ),
            ),
            "/many" => (
                "200 OK".to_owned(),
                format!(
                    "<script>for (let i = 0; i < {MANY}; i++) document.write(`<iframe src='{bad}/frame-${{i}}'></iframe>`)</script>"
                ),
            ),
            _ => ("200 OK".to_owned(), "<title>there</title>".to_owned()),
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// May go to `good.localhost` and below.
async fn limited(lab: &Lab) -> Browser {
    let browser = lab.launch().await;
    let verdict = |url: &str| !url.contains("//bad.");
    browser.limit_navigation(Arc::new(verdict)).await.unwrap();
    browser
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < WITHIN, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The browser shows its own page about the refusal, in a page that went there.
async fn is_refused(browser: &Browser, url: &str) {
    until(url, async || {
        let targets = call(browser, "Target.getTargets", json!({})).await;
        let targets = targets["targetInfos"].as_array().unwrap();
        let Some(target) = targets.iter().find(|target| target["url"] == url) else {
            return false;
        };
        let page = Page::attach(browser, target["targetId"].as_str().unwrap()).await;
        let seen = page.evaluate_if_it_can("document.body?.innerText").await;
        seen.as_str()
            .is_some_and(|text| text.contains("ERR_BLOCKED_BY_CLIENT"))
    })
    .await;
}

async fn go(page: &Page<'_>, url: &str) -> Value {
    page.call("Page.navigate", json!({ "url": url })).await
}

async fn go_and_wait(page: &Page<'_>, url: &str) {
    go(page, url).await;
    until(url, async || {
        let there = page
            .evaluate_if_it_can("document.readyState + ' ' + location.href")
            .await;
        there == format!("complete {url}")
    })
    .await;
}

#[tokio::test]
async fn no_page_goes_where_it_may_not_by_any_way() {
    let (lab, site) = (Lab::new(), Site::start().await);
    let browser = limited(&lab).await;
    let page = Page::first(&browser).await;

    assert_eq!(go(&page, &site.good("")).await["errorText"], Value::Null);
    let refused = go(&page, &site.bad("direct")).await;
    assert_eq!(refused["errorText"], "net::ERR_BLOCKED_BY_CLIENT");
    let refused = go(&page, &site.good("redirect")).await;
    assert_eq!(refused["errorText"], "net::ERR_BLOCKED_BY_CLIENT");
    for (start, end) in [
        ("script", "scripted"),
        ("form", "submitted?"),
        ("refresh", "refreshed"),
        ("top", "from-frame"),
    ] {
        go(&page, &site.good(start)).await;
        is_refused(&browser, &site.bad(end)).await;
    }

    // Pages that nobody is attached to when they start: of a page, of a client, in another context.
    go_and_wait(&page, &site.good("")).await;
    for (name, features) in [
        ("opened", ""),
        ("alone", "noopener"),
        ("window", "popup,width=300"),
    ] {
        let open = format!("void open('{}', '_blank', '{features}')", site.bad(name));
        page.evaluate_by_user(&open).await;
        is_refused(&browser, &site.bad(name)).await;
    }
    let context = call(&browser, "Target.createBrowserContext", json!({})).await;
    for (name, context) in [
        ("created", Value::Null),
        ("elsewhere", context["browserContextId"].clone()),
    ] {
        let mut create = json!({ "url": site.bad(name) });
        if !context.is_null() {
            create["browserContextId"] = context;
        }
        call(&browser, "Target.createTarget", create).await;
        is_refused(&browser, &site.bad(name)).await;
    }
    // Back and forth.
    go_and_wait(&page, &site.good("1")).await;
    go(&page, &site.bad("2")).await;
    is_refused(&browser, &site.bad("2")).await;
    page.call("Page.reload", json!({})).await;
    is_refused(&browser, &site.bad("2")).await;
    assert_eq!(site.bad_asked(), [] as [&str; 0]);
    browser.close().await;
}

#[tokio::test]
async fn frames_and_what_a_page_loads_are_not_limited_nor_what_no_host_answers() {
    let (lab, site) = (Lab::new(), Site::start().await);
    let browser = limited(&lab).await;
    let page = Page::first(&browser).await;
    go_and_wait(&page, &site.good("frames")).await;
    assert_eq!(site.bad_asked(), ["framed", "image"]);
    for url in [
        "data:text/html,here",
        "about:blank",
        "file:///etc/hostname",
        "chrome://version/",
    ] {
        go_and_wait(&page, url).await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_page_of_many_frames_is_answered_for_each() {
    let (lab, site) = (Lab::new(), Site::start().await);
    let browser = limited(&lab).await;
    let page = Page::first(&browser).await;
    go_and_wait(&page, &site.good("many")).await;
    assert_eq!(site.bad_asked().len(), MANY);
    let refused = go(&page, &site.bad("direct")).await;
    assert_eq!(refused["errorText"], "net::ERR_BLOCKED_BY_CLIENT");
    browser.close().await;
}

#[tokio::test]
async fn a_page_is_not_loaded_before_somebody_navigates_to_it() {
    let (lab, site) = (Lab::new(), Site::start().await);
    // What the rest of the test shows is worth nothing unless Chromium does it otherwise.
    let free = lab.launch().await;
    let page = Page::first(&free).await;
    go_and_wait(&page, &site.good("preload")).await;
    until("the preload", async || {
        site.bad_asked() == ["prefetched", "redirected"]
    })
    .await;
    free.close().await;

    site.asked.lock().unwrap().clear();
    let browser = limited(&lab).await;
    let page = Page::first(&browser).await;
    for (next, end) in [
        ("bad", site.bad("prefetched")),
        ("redirect", site.bad("redirected")),
    ] {
        go_and_wait(&page, &site.good("preload")).await;
        sleep(PRELOADED_WITHIN).await;
        let next = if next == "bad" {
            end.clone()
        } else {
            site.good(next)
        };
        page.evaluate(&format!("location = '{next}'")).await;
        is_refused(&browser, &end).await;
    }
    assert_eq!(site.bad_asked(), [] as [&str; 0]);
    browser.close().await;
}

#[tokio::test]
async fn a_client_that_sends_its_own_request_elsewhere_is_refused() {
    let (lab, site) = (Lab::new(), Site::start().await);
    let browser = limited(&lab).await;
    let page = Page::first(&browser).await;
    go_and_wait(&page, &site.good("")).await;
    page.call("Fetch.enable", json!({})).await;
    let mut events = browser.cdp().events();
    let (url, elsewhere) = (site.good("1"), site.bad("continued"));
    let send = async {
        // The guard's own questions have no session.
        let ours = async {
            loop {
                let event = events.recv().await.unwrap();
                if event.method == "Fetch.requestPaused" && event.session.is_some() {
                    return serde_json::from_str::<Value>(event.params.get()).unwrap();
                }
            }
        };
        let paused = timeout(WITHIN, ours).await.unwrap();
        let sent = json!({ "requestId": paused["requestId"], "url": elsewhere });
        page.call("Fetch.continueRequest", sent).await;
    };
    let (went, ()) = tokio::join!(go(&page, &url), send);
    assert_eq!(went["errorText"], "net::ERR_BLOCKED_BY_CLIENT", "{went}");
    assert_eq!(site.bad_asked(), [] as [&str; 0]);
    browser.close().await;
}

/// Its pipe closes when Chromium ends, and the process that stands for it ends later than the guard would wait.
const SLOW: &str = "\"$CHROMIUM\" \"$@\" & exec 3<&- 4>&-; wait; sleep 7; exit 0";

#[tokio::test]
async fn a_browser_that_is_ordered_to_end_gets_the_time_it_was_given() {
    let chromium = find_browser(None).unwrap();
    let (lab, _script) = Lab::with_script(&SLOW.replace("$CHROMIUM", chromium.path().to_str().unwrap()));
    let browser = limited(&lab).await;
    let grace = Grace {
        close: WITHIN,
        terminate: Duration::ZERO,
    };
    let closed = browser.close_within(grace).await;
    assert_eq!(
        (closed.exit, closed.complete),
        (Some(BrowserExit::Clean), true),
        "{closed:?}"
    );
    lab.assert_nothing_left();
}

#[tokio::test]
async fn a_guard_that_fails_takes_its_browser_with_it() {
    let (lab, site) = (Lab::new(), Site::start().await);
    let browser = lab.launch().await;
    let verdict = |_: &str| panic!("a defect");
    browser.limit_navigation(Arc::new(verdict)).await.unwrap();
    let page = Page::first(&browser).await;
    let gone = page
        .try_call("Page.navigate", json!({ "url": site.bad("") }))
        .await;
    assert!(gone.is_err(), "{gone:?}");
    timeout(WITHIN, browser.exited()).await.unwrap();
    assert_eq!(site.bad_asked(), [] as [&str; 0]);
    browser.close().await;
    lab.assert_nothing_left();
}
