//! A client of a session: CDP over a WebSocket, one call after the other.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Counts in the page, which lives as long as the browser: whoever comes back sees what it counted before. The fake
/// browser knows this expression too.
pub const COUNT_UP: &str = "globalThis.wharfCount = (globalThis.wharfCount || 0) + 1";

/// A busy machine gets its chance; what is measured is measured by the caller.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A connection to a session's browser.
#[derive(Debug)]
pub struct Cdp {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    page: Option<String>,
}

impl Cdp {
    /// Connects to a connectUrl. A refusal before the upgrade is an error that holds the status.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let (socket, _) = timeout(ANSWER_WITHIN, tokio_tungstenite::connect_async(url))
            .await
            .context("a connection took too long")??;
        Ok(Self {
            socket,
            last_id: 0,
            page: None,
        })
    }

    /// Calls the browser itself.
    pub async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.exchange(json!({ "method": method, "params": params })).await
    }

    /// Takes this page for the one that is called from now on; its session.
    pub async fn attach(&mut self, target: &Value) -> anyhow::Result<String> {
        let params = json!({ "targetId": target, "flatten": true });
        let attached = self.call("Target.attachToTarget", params).await?;
        let session = attached["sessionId"]
            .as_str()
            .context("the page cannot be attached to")?;
        self.page = Some(session.to_owned());
        Ok(session.to_owned())
    }

    /// Calls the first page, unless another was attached to.
    pub async fn call_page(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        let page = match &self.page {
            Some(page) => page.clone(),
            None => self.attach_to_first().await?,
        };
        self.exchange(json!({ "method": method, "params": params, "sessionId": page }))
            .await
    }

    /// Evaluates an expression in the first page; its value.
    pub async fn evaluate(&mut self, expression: &str) -> anyhow::Result<Value> {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.call_page("Runtime.evaluate", params).await?;
        Ok(answer["result"]["value"].take())
    }

    /// Counts up in the page, and answers the new count.
    pub async fn count_up(&mut self) -> anyhow::Result<u64> {
        let count = self.evaluate(COUNT_UP).await?;
        count
            .as_u64()
            .with_context(|| format!("the page does not count: {count}"))
    }

    /// Says goodbye, as a client that is closed in order.
    pub async fn close(mut self) -> anyhow::Result<()> {
        Ok(self.socket.close(None).await?)
    }

    /// Resolves when the other side has ended the connection.
    pub async fn ended(&mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    async fn attach_to_first(&mut self) -> anyhow::Result<String> {
        let targets = self.call("Target.getTargets", json!({})).await?;
        let page = targets["targetInfos"]
            .as_array()
            .and_then(|targets| targets.iter().find(|target| target["type"] == "page"))
            .context("the browser has no page")?["targetId"]
            .clone();
        self.attach(&page).await
    }

    async fn exchange(&mut self, mut message: Value) -> anyhow::Result<Value> {
        self.last_id += 1;
        message["id"] = self.last_id.into();
        self.socket.send(Message::text(message.to_string())).await?;
        timeout(ANSWER_WITHIN, self.answer())
            .await
            .with_context(|| format!("{} got no answer", message["method"]))?
    }

    async fn answer(&mut self) -> anyhow::Result<Value> {
        loop {
            let message = self.socket.next().await.context("the connection was closed")??;
            let Message::Text(text) = message else { continue };
            let mut answer: Value = serde_json::from_str(&text)?;
            if answer["id"] != self.last_id {
                continue;
            }
            if let Some(error) = answer.get("error") {
                bail!("the browser refused: {error}");
            }
            return Ok(answer["result"].take());
        }
    }
}
