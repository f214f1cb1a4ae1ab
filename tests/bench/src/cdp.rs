//! One CDP client for every path, so that what differs is the path alone.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// For one call, or for the opening of a connection. Nothing measured here takes more than some milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A call to be made again and again; made ready once, so that the client's own work stays small.
#[derive(Debug, Clone)]
pub struct Call {
    /// Everything after the id.
    rest: String,
}

impl Call {
    /// A call to the browser.
    pub fn new(method: &str, parameters: &Value) -> Call {
        Call {
            rest: format!(r#","method":"{method}","params":{parameters}}}"#),
        }
    }

    /// The evaluation of an expression on a page.
    pub fn evaluate(page: &Page, expression: &str) -> Call {
        let Page(session) = page;
        let parameters = json!({ "expression": expression, "returnByValue": true });
        Call {
            rest: format!(r#","method":"Runtime.evaluate","sessionId":"{session}","params":{parameters}}}"#),
        }
    }
}

/// A page that a client is attached to.
#[derive(Debug)]
pub struct Page(String);

/// A connection to a browser's DevTools.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
}

impl Client {
    /// Connects, with `TCP_NODELAY`.
    pub async fn connect(url: &str) -> anyhow::Result<Client> {
        let (socket, _) = timeout(ANSWER_WITHIN, connect_async_with_config(url, None, true))
            .await
            .context("a browser took too long to be connected to")??;
        Ok(Client { socket, last_id: 0 })
    }

    /// Attaches to the browser's one page.
    pub async fn attach(&mut self) -> anyhow::Result<Page> {
        let targets = self.result(&Call::new("Target.getTargets", &json!({}))).await?;
        let page = targets["targetInfos"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|target| target["type"] == "page")
            .context("the browser has no page")?;
        let parameters = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self
            .result(&Call::new("Target.attachToTarget", &parameters))
            .await?;
        let session = attached["sessionId"].as_str().context("no session's id")?;
        Ok(Page(session.to_owned()))
    }

    /// Makes a call and takes the time until its answer is whole.
    pub async fn time(&mut self, call: &Call) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.call(call).await?;
        Ok(started.elapsed())
    }

    /// Makes `count` calls with `depth` of them under way at any moment, and takes the time of all.
    pub async fn time_pipelined(
        &mut self,
        call: &Call,
        depth: usize,
        count: usize,
    ) -> anyhow::Result<Duration> {
        let first = self.last_id + 1;
        let last = self.last_id + count as u64;
        let started = Instant::now();
        for _ in 0..depth.min(count) {
            self.post(call).await?;
        }
        for id in first..=last {
            // In order: Chromium answers the calls to one target in order.
            self.answer(id).await?;
            if self.last_id < last {
                self.post(call).await?;
            }
        }
        Ok(started.elapsed())
    }

    async fn result(&mut self, call: &Call) -> anyhow::Result<Value> {
        let mut answer: Value = serde_json::from_str(&self.call(call).await?)?;
        Ok(answer["result"].take())
    }

    async fn call(&mut self, call: &Call) -> anyhow::Result<Utf8Bytes> {
        let id = self.post(call).await?;
        self.answer(id).await
    }

    async fn post(&mut self, call: &Call) -> anyhow::Result<u64> {
        self.last_id += 1;
        let id = self.last_id;
        let message = format!(r#"{{"id":{id}{}"#, call.rest);
        self.socket.send(Message::text(message)).await?;
        Ok(id)
    }

    /// The answer to the call of this id; events on the way to it are passed over.
    async fn answer(&mut self, id: u64) -> anyhow::Result<Utf8Bytes> {
        let expected = format!(r#"{{"id":{id},"result":"#);
        loop {
            let message = timeout(ANSWER_WITHIN, self.socket.next())
                .await
                .context("a browser took too long to answer")?
                .context("a browser closed the connection")??;
            let Message::Text(text) = message else { continue };
            if text.starts_with(&expected) {
                return Ok(text);
            }
            let beginning: String = text.chars().take(200).collect();
            ensure!(!beginning.contains(r#""error":"#), "a call failed: {beginning}");
            if text.starts_with(r#"{"id":"#) {
                bail!("an answer came out of order: {beginning}, instead of that to call {id}");
            }
        }
    }
}
