//! `--proxy-pool`: the operator's own upstream proxies, by place.

mod upstream;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::process::Command;
use wharf_testkit::{Answer, Cdp, Wharf};

use crate::{WHARF, polling};
use upstream::{Upstream, entry};

/// Far longer than the end of a session takes on a slow machine.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// A Wharf with this pool.
async fn wharf(entries: &[String]) -> anyhow::Result<(Wharf, TempDir)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pool.toml");
    std::fs::write(&file, entries.concat())?;
    let file = file.to_string_lossy();
    Ok((Wharf::up(WHARF, &["--proxy-pool", &file]).await?, folder))
}

/// An address at which nobody listens, and which nobody else gets while the socket is held.
fn unanswered() -> anyhow::Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

async fn create(wharf: &Wharf, proxies: &Value) -> anyhow::Result<Answer> {
    let body = json!({ "proxies": proxies });
    wharf.call(Method::POST, "/v1/sessions", Some(&body)).await
}

/// What answers there, asked by a page of the session.
async fn fetched(client: &mut Cdp, url: &str) -> anyhow::Result<String> {
    let text = client
        .evaluate(&format!("fetch('{url}').then(answer => answer.text())"))
        .await?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}

/// The session, once its client has left and its worker has said that it is over: the last figures come with that.
async fn ended(wharf: &Wharf, created: &Answer, client: Cdp) -> anyhow::Result<Value> {
    client.close().await?;
    let path = format!("/v1/sessions/{}", created.text("id"));
    let over = polling::until(wharf, &path, ENDED_WITHIN, |session| {
        session["status"] != "RUNNING"
    })
    .await?;
    assert_eq!(over["status"], "COMPLETED", "{over}");
    Ok(over)
}

fn assert_within_one_percent(counted: &Value, seen: u64) {
    let counted = counted.as_f64().unwrap_or_default();
    let seen = seen as f64;
    assert!(
        (counted - seen).abs() <= seen / 100.0,
        "{counted} were counted, {seen} were seen"
    );
}

#[tokio::test]
async fn each_pattern_of_a_chromium_session_takes_the_nearest_road_and_bytes_are_the_upstreams_own()
-> anyhow::Result<()> {
    let germany = Upstream::start("germany").await?;
    let city = Upstream::start("san francisco").await?;
    let state = Upstream::start("texas").await?;
    let origin = Upstream::origin("origin").await?;
    let (wharf, _folder) = wharf(&[
        germany.entry("country = \"DE\""),
        city.entry("country = \"US\"\nstate = \"CA\"\ncity = \"San Francisco\""),
        state.entry("country = \"US\"\nstate = \"TX\""),
    ])
    .await?;
    let place = |pattern: &str, place: Value| json!({ "type": "browserbase", "domainPattern": pattern, "geolocation": place });
    let proxies = json!([
        place("^sf\\.", json!({ "country": "US", "city": "SAN_FRANCISCO" })),
        place("^dallas\\.", json!({ "country": "us", "state": "TX", "city": "Dallas" })),
        { "type": "none", "domainPattern": "^127\\." },
        { "type": "browserbase", "geolocation": { "country": "DE" } },
    ]);
    let created = create(&wharf, &proxies).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let upstreams = [&germany, &city, &state];
    // The create has tried them out, which is no traffic of the session's.
    let tried: Vec<_> = upstreams.iter().map(|upstream| upstream.take_bytes()).collect();
    assert!(tried.iter().all(|bytes| *bytes > 0), "{tried:?}");

    let mut client = Cdp::connect(created.text("connectUrl")).await?;
    for (url, name) in [
        ("http://sf.invalid/", city.name),
        ("http://dallas.invalid/", state.name),
        ("http://anything.invalid/", germany.name),
        (&format!("http://{}/", origin.address), origin.name),
        ("http://sf.invalid/again", city.name),
    ] {
        assert_eq!(fetched(&mut client, url).await?, name, "{url}");
    }
    let session = ended(&wharf, &created, client).await?;
    let proxied = upstreams.iter().map(|upstream| upstream.take_bytes()).sum();
    assert_within_one_percent(&session["proxyBytes"], proxied);
    let direct = origin.take_bytes();
    assert!(direct > 0);
    assert_within_one_percent(&session["egressBytes"], proxied + direct);
    wharf.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_chromium_session_keeps_one_of_equal_upstreams_and_passes_over_a_dead_one() -> anyhow::Result<()> {
    let (_held, dead) = unanswered()?;
    let (one, other) = (Upstream::start("one").await?, Upstream::start("other").await?);
    let (wharf, _folder) = wharf(&[
        entry(dead, "country = \"DE\"\ncity = \"Berlin\""),
        one.entry("country = \"DE\""),
        other.entry("country = \"DE\""),
    ])
    .await?;
    let berlin = json!({ "country": "DE", "city": "Berlin" });
    let anywhere = json!(true);
    let rules = json!([
        { "type": "browserbase", "domainPattern": "^a\\.", "geolocation": berlin },
        { "type": "browserbase", "geolocation": { "country": "DE" } },
    ]);
    for proxies in [rules, anywhere] {
        let created = create(&wharf, &proxies).await?;
        assert_eq!(created.status, 201, "{}", created.body);
        let mut client = Cdp::connect(created.text("connectUrl")).await?;
        let first = fetched(&mut client, "http://a.invalid/").await?;
        assert!([one.name, other.name].contains(&first.as_str()), "{first}");
        for url in ["http://b.invalid/", "http://a.invalid/", "http://c.invalid/"] {
            assert_eq!(fetched(&mut client, url).await?, first, "{proxies}");
        }
        client.close().await?;
    }
    wharf.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_place_that_the_pool_does_not_have_is_refused_with_those_that_it_has() -> anyhow::Result<()> {
    let (_held, dead) = unanswered()?;
    let (wharf, _folder) = wharf(&[entry(dead, "country = \"US\""), entry(dead, "country = \"DE\"")]).await?;
    for (place, status, message) in [
        (
            json!({ "country": "FR" }),
            402,
            "body/proxies/0: this server offers no proxy in FR; it has some in DE, US",
        ),
        (
            json!({ "city": "Berlin" }),
            400,
            "body/proxies/0: geolocation/country must be two letters, as in DE",
        ),
        (
            json!({ "country": "US", "state": "California" }),
            400,
            "body/proxies/0: geolocation/state must be two letters, as in CA",
        ),
    ] {
        let refused = create(&wharf, &json!([{ "type": "browserbase", "geolocation": place }])).await?;
        assert_eq!((refused.status, refused.message()), (status, message));
    }
    // There are some, but they do not answer: that is not the caller's mistake.
    for (proxies, message) in [
        (
            json!([{ "type": "browserbase", "geolocation": { "country": "de" } }]),
            "None of the operator's proxies in DE answers; try again, or another place",
        ),
        (json!(true), "None of the operator's proxies answers; try again"),
    ] {
        let refused = create(&wharf, &proxies).await?;
        assert_eq!((refused.status, refused.message()), (503, message));
    }
    wharf.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_the_file_is_told_before_anything_starts_and_shows_no_password() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pool.toml");
    std::fs::write(&file, entry(([127, 0, 0, 1], 1).into(), "country = \"Germany\""))?;
    for role in ["up", "worker"] {
        let output = Command::new(WHARF)
            .args([role, "--proxy-pool"])
            .arg(&file)
            .current_dir(folder.path())
            .output()
            .await?;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success());
        assert!(
            told.contains("line 5: country: it must be two letters") && !told.contains("secret"),
            "{told}"
        );
    }
    assert_eq!(
        std::fs::read_dir(folder.path())?.count(),
        1,
        "something was started"
    );
    Ok(())
}
