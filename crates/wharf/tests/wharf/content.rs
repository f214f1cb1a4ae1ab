//! `allowedDomains` and `blockAds`, from the API down to what a server sees of a page.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use wharf_testkit::{Cdp, Wharf};

use crate::WHARF;
use crate::polling::tells;
use crate::site::Site;

const WITHIN: Duration = Duration::from_secs(30);
const RESTING: &str = "wharf_worker_warm_browsers 1";

const LIST: &str = "||ads.localhost^\n||sometimes.localhost^$third-party\n/banner-*.png$image\n";

const PAGES: &[(&str, &str)] = &[
    (
        "/frames",
        "<iframe src='http://bad.localhost:PORT/framed'></iframe><script>onload = () => document.title = 'there'</script>",
    ),
    (
        "/shop",
        "<img src='http://ads.localhost:PORT/1.png'><img src='/banner-1.png'><img src='/product.png'>\
         <img src='http://sometimes.localhost:PORT/2.png'><script>onload = () => document.title = 'there'</script>",
    ),
];

/// A session's browser, as its client has it.
struct Client(Cdp);

impl Client {
    async fn of(wharf: &Wharf, settings: Value) -> anyhow::Result<Self> {
        let body = json!({ "browserSettings": settings });
        let created = wharf.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        assert_eq!(created.status, 201, "{}", created.body);
        let url = created.body["connectUrl"].as_str().unwrap_or_default();
        Ok(Self(Cdp::connect(url).await?))
    }

    /// Opens a page that nobody is attached to, and waits until it shows itself; its title.
    async fn open(&mut self, url: &str) -> anyhow::Result<String> {
        let target = self.0.call("Target.createTarget", json!({ "url": url })).await?;
        let started = Instant::now();
        loop {
            let asked = json!({ "targetId": target["targetId"] });
            let target = self.0.call("Target.getTargetInfo", asked).await?;
            let title = target["targetInfo"]["title"].as_str().unwrap_or_default();
            // Until it has a title it is shown by its URL; a page of the browser's own, by its host.
            if !title.is_empty() && !title.contains(['/', ':']) {
                return Ok(title.to_owned());
            }
            assert!(started.elapsed() < WITHIN, "{url} does not load: {target}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Navigates a page of its own, and answers with what that failed of.
    async fn fails(&mut self, url: &str) -> anyhow::Result<String> {
        let created = self
            .0
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await?;
        self.0.attach(&created["targetId"]).await?;
        let went = self.0.call_page("Page.navigate", json!({ "url": url })).await?;
        Ok(went["errorText"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn pages_of_a_session_go_to_the_allowed_domains_only_warm_or_cold() -> anyhow::Result<()> {
    let site = Site::start(PAGES).await?;
    let wharf = Wharf::up(WHARF, &["--warm", "1"]).await?;
    tells(&wharf, RESTING).await?;
    let allowed = json!(["*.Good.localhost", "example.com"]);
    for (settings, claims) in [
        (json!({ "allowedDomains": allowed }), "warm"),
        (
            json!({ "allowedDomains": allowed, "ignoreCertificateErrors": true }),
            "options",
        ),
    ] {
        let mut client = Client::of(&wharf, settings).await?;
        tells(
            &wharf,
            &format!("wharf_worker_claims_total{{outcome=\"{claims}\"}} 1"),
        )
        .await?;
        let pages = client.0.call("Target.getTargets", json!({})).await?;
        assert_eq!(pages["targetInfos"].as_array().map(Vec::len), Some(1), "{pages}");

        for host in ["good.localhost", "www.good.localhost"] {
            assert_eq!(client.open(&site.url(host, "/frames")).await?, "there");
        }
        assert_eq!(site.take_asked("bad.localhost"), ["/framed", "/framed"]);
        for host in [
            "bad.localhost",
            "notgood.localhost",
            "good.localhost.bad.localhost",
        ] {
            assert_eq!(client.open(&site.url(host, "/")).await?, host);
            assert_eq!(site.take_asked(host), [] as [&str; 0]);
        }
        client.0.close().await?;
    }

    let mut free = Client::of(&wharf, json!({ "allowedDomains": [] })).await?;
    assert_eq!(free.open(&site.url("bad.localhost", "/")).await?, "there");
    for wrong in ["https://example.com", "", "*", "example.com/path"] {
        let body = json!({ "browserSettings": { "allowedDomains": ["example.com", wrong] } });
        let refused = wharf.call(Method::POST, "/v1/sessions", Some(&body)).await?;
        let message = refused.body["message"].as_str().unwrap_or_default();
        assert_eq!(refused.status, 400);
        assert!(
            message.starts_with("body/browserSettings/allowedDomains/1 must be a host name"),
            "{message}"
        );
    }
    assert!(wharf.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn advertisements_are_kept_out_of_the_sessions_that_ask() -> anyhow::Result<()> {
    let site = Site::start(PAGES).await?;
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("list.txt");
    std::fs::write(&list, LIST)?;
    let list = list.to_str().unwrap_or_default();
    let wharf = Wharf::up(WHARF, &["--warm", "1", "--ad-list", list]).await?;
    tells(&wharf, RESTING).await?;

    for (asked, products, ads, sometimes) in [
        (true, vec!["/product.png", "/shop"], vec![], vec![]),
        (
            false,
            vec!["/banner-1.png", "/product.png", "/shop"],
            vec!["/1.png"],
            vec!["/2.png"],
        ),
    ] {
        let mut client = Client::of(&wharf, json!({ "blockAds": asked })).await?;
        assert_eq!(
            client.open(&site.url("shop.example.localhost", "/shop")).await?,
            "there"
        );
        assert_eq!(site.take_asked("shop.example.localhost"), products);
        assert_eq!(site.take_asked("ads.localhost"), ads);
        assert_eq!(site.take_asked("sometimes.localhost"), sometimes);
        // Itself it may be visited, unlike a host of nothing but advertisements.
        assert_eq!(client.open(&site.url("sometimes.localhost", "/")).await?, "there");
        if asked {
            assert_eq!(client.open(&site.url("ads.localhost", "/")).await?, "Not allowed");
            let secure = site.url("https://ads.localhost", "/");
            assert_eq!(client.fails(&secure).await?, "net::ERR_TUNNEL_CONNECTION_FAILED");
        }
        site.take_asked("sometimes.localhost");
        assert_eq!(site.take_asked("ads.localhost"), [] as [&str; 0]);
        client.0.close().await?;
        tells(&wharf, RESTING).await?;
    }
    tells(&wharf, "wharf_worker_claims_total{outcome=\"warm\"} 2").await?;
    assert!(wharf.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn without_a_list_or_a_jail_a_session_that_asks_is_told_so() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("list.txt");
    std::fs::write(&list, LIST)?;
    let ads = json!({ "browserSettings": { "blockAds": true } });
    let wharf = Wharf::up(WHARF, &["--ad-list", list.to_str().unwrap_or_default()]).await?;
    // It was there at the start.
    std::fs::remove_file(&list)?;
    let refused = wharf.call(Method::POST, "/v1/sessions", Some(&ads)).await?;
    assert_eq!(refused.status, 402, "{}", refused.body);
    assert!(
        refused.body["message"].to_string().contains("no list"),
        "{}",
        refused.body
    );
    assert!(wharf.stop().await?.success());

    std::fs::write(&list, LIST)?;
    let arguments = [
        "--isolation",
        "process",
        "--ad-list",
        list.to_str().unwrap_or_default(),
    ];
    let wharf = Wharf::up(WHARF, &arguments).await?;
    let refused = wharf.call(Method::POST, "/v1/sessions", Some(&ads)).await?;
    assert_eq!(refused.status, 402, "{}", refused.body);
    assert!(
        refused.body["message"].to_string().contains("without a jail"),
        "{}",
        refused.body
    );
    assert!(wharf.stop().await?.success());
    Ok(())
}
