//! What a client may count on the moment `launch` answers.
use crate::support::{Lab, Page, call, options};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf_chrome::{LaunchOptions, Viewport};

const SIZES: &str = "[innerWidth, innerHeight, screen.width >= outerWidth, screen.height >= outerHeight]";

#[tokio::test]
async fn the_endpoint_answers_and_names_itself_as_announced() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    assert!(browser.version().starts_with("Chrome/"), "{}", browser.version());

    let mut stream = TcpStream::connect(browser.devtools().address()).await.unwrap();
    let request = "GET /json/version HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    // Chromium keeps the connection open, so only the end of the JSON tells the end of the answer.
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains(browser.devtools().path()), "{answer}");
    browser.close().await;
}

#[tokio::test]
async fn one_page_in_the_default_context_and_no_other_target() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    let targets = call(&browser, "Target.getTargets", json!({ "filter": [{}] })).await;
    let kinds: Vec<&Value> = targets["targetInfos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| &target["type"])
        .collect();
    let pages = kinds.iter().filter(|&&kind| kind == "page").count();
    assert_eq!(pages, 1, "{kinds:?}");
    assert!(!kinds.iter().any(|&kind| kind == "browser_ui"), "{kinds:?}");
    let contexts = call(&browser, "Target.getBrowserContexts", json!({})).await;
    assert_eq!(contexts["browserContextIds"], json!([]));
    assert_eq!(
        Page::first(&browser).await.evaluate("location.href").await,
        "about:blank"
    );
    browser.close().await;
}

#[tokio::test]
async fn the_viewport_is_exact() {
    let lab = Lab::new();
    let sizes = [None, Some((1024, 768)), Some((375, 812)), Some((2560, 1440))];
    for (number, size) in sizes.into_iter().enumerate() {
        let viewport = size.map(|(width, height)| Viewport { width, height });
        let name = format!("session-{number}");
        let browser = lab
            .launcher
            .launch(LaunchOptions {
                viewport,
                ..options(&name)
            })
            .await
            .unwrap();
        let (width, height) = size.unwrap_or((1280, 720));
        let seen = Page::first(&browser).await.evaluate(SIZES).await;
        assert_eq!(seen, json!([width, height, true, true]), "asked for {size:?}");
        browser.close().await;
    }
}

/// Everything that a page can learn about its window.
const WINDOW: &str = "[innerWidth, innerHeight, outerWidth, outerHeight, screenX, screenY, screen.width, \
    screen.height, screen.availWidth, screen.availHeight, devicePixelRatio, document.visibilityState, history.length]";

#[tokio::test]
async fn a_running_browser_takes_any_viewport_and_looks_as_if_started_with_it() {
    let lab = Lab::new();
    let running = lab.launch().await;
    let sizes = [(800, 600), (2560, 1440), (1920, 1080), (390, 844), (1280, 720)];
    for (number, (width, height)) in sizes.into_iter().enumerate() {
        let viewport = Viewport { width, height };
        running.set_viewport(viewport).await.unwrap();
        let seen = Page::first(&running).await.evaluate(WINDOW).await;

        let started = LaunchOptions {
            viewport: Some(viewport),
            ..options(&format!("started-{number}"))
        };
        let started = lab.launcher.launch(started).await.unwrap();
        assert_eq!(seen, Page::first(&started).await.evaluate(WINDOW).await);
        assert_eq!((&seen[0], &seen[1]), (&json!(width), &json!(height)));
        started.close().await;
    }
    running.close().await;
}

#[tokio::test]
async fn sizing_leaves_nobody_attached() {
    let lab = Lab::new();
    let browser = lab.launch().await;
    for (width, height) in [(1280, 720), (800, 600)] {
        browser.set_viewport(Viewport { width, height }).await.unwrap();
        let targets = call(&browser, "Target.getTargets", json!({})).await;
        assert_eq!(targets["targetInfos"][0]["attached"], false, "{targets}");
    }
    browser.close().await;
}

#[tokio::test]
async fn the_bar_that_warns_of_ignored_certificates_costs_no_height() {
    let lab = Lab::new();
    let launch = LaunchOptions {
        ignore_certificate_errors: true,
        ..options("session-1")
    };
    let browser = lab.launcher.launch(launch).await.unwrap();
    let page = Page::first(&browser).await;
    // After a few frames, so that a bar that slides in late is seen too.
    let frames = "new Promise(done => { let left = 30; const next = () => --left ? requestAnimationFrame(next) \
                  : done([innerWidth, innerHeight]); next(); })";
    assert_eq!(page.evaluate(frames).await, json!([1280, 720]));
    browser.close().await;
}

#[tokio::test]
async fn browsers_of_one_launcher_do_not_know_each_other() {
    let lab = Lab::new();
    let (first, second, third) = tokio::join!(
        lab.launcher.launch(options("session-1")),
        lab.launcher.launch(options("session-2")),
        lab.launcher.launch(options("session-3")),
    );
    let (first, second, third) = (first.unwrap(), second.unwrap(), third.unwrap());
    first.close().await;
    assert_eq!(Page::first(&second).await.evaluate("1 + 1").await, 2);
    assert_eq!(Page::first(&third).await.evaluate("1 + 1").await, 2);
    second.close().await;
    third.close().await;
    lab.assert_nothing_left();
}
