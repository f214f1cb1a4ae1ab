//! The control plane's parts, as `api`, `up` and the administrator's commands put them together.

use std::sync::Arc;

use url::Url;
use wharf_api::{Api, ApiOptions};
use wharf_control::{Control, ControlOptions, Timings};
use wharf_domain::{SystemClock, SystemEntropy};
use wharf_protocol::SigningKey;
use wharf_store::Store;

/// The use cases over a database.
pub(crate) fn control(store: Store, signing_key: SigningKey, timings: Timings) -> Control {
    Control::new(ControlOptions {
        store,
        signing_key,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        timings,
    })
}

/// Has the first creates find their statements planned. Nothing depends on it: a Postgres that has few connections left, or
/// is slow, is no reason not to start.
pub(crate) async fn warm_up(store: &Store) {
    if let Err(error) = store.warm_up().await {
        tracing::warn!(%error, "connections are not warmed up, and the first creates will be slower: {error}");
    }
}

/// The HTTP surface over the use cases. Starts the process's metrics, so it is called once.
pub(crate) fn api(control: &Control, connect_url: Option<Url>) -> anyhow::Result<Api> {
    let metrics = wharf_telemetry::start_metrics()?;
    Ok(Api::new(ApiOptions {
        control: control.clone(),
        connect_url,
        metrics: Arc::new(move || metrics.render()),
    }))
}

/// A URL that a client can connect to: the path and the query are ours.
pub(crate) fn connect_url(text: &str) -> Result<Url, String> {
    base_of(
        text,
        &["ws", "wss", "http", "https"],
        "wss://browsers.example.com",
    )
}

/// The base URL of the api.
pub(crate) fn api_url(text: &str) -> Result<Url, String> {
    base_of(text, &["http", "https"], "http://10.0.0.5:8080")
}

fn base_of(text: &str, schemes: &[&str], example: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let usable = schemes.contains(&url.scheme()) && url.has_host();
    if usable && url.path() == "/" && url.query().is_none() {
        Ok(url)
    } else {
        Err(format!("a scheme and a host are expected, as in {example}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_scheme_and_a_host_are_a_connect_url() {
        assert!(connect_url("wss://browsers.example.com:8443").is_ok());
        for text in [
            "localhost:9000",
            "wss://",
            "wss://a.example/path",
            "wss://a.example/?b",
            "ftp://a.example",
        ] {
            assert!(connect_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_api_is_reached_over_http() {
        assert!(api_url("http://127.0.0.1:8080").is_ok());
        assert!(api_url("ws://127.0.0.1:8080").is_err());
    }
}
