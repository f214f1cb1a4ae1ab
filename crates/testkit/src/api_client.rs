//! The API, as a caller with a key sees it.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Calls the API at one address. It repeats nothing.
#[derive(Debug, Clone)]
pub struct ApiClient {
    http: reqwest::Client,
    base_url: String,
    key: String,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body, `Null` when it is empty.
    pub body: Value,
}

impl ApiClient {
    /// A client of the API at this address that shows this key.
    pub fn new(base_url: &str, key: &str) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(ANSWER_WITHIN)
                .build()?,
            base_url: base_url.trim_end_matches('/').to_owned(),
            key: key.to_owned(),
        })
    }

    /// Calls the API.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        self.call_as(Some(&self.key), method, path, body).await
    }

    /// Calls the API with this key, or none.
    pub async fn call_as(
        &self,
        key: Option<&str>,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base_url));
        if let Some(key) = key {
            request = request.header("X-BB-API-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request.send().await?).await
    }

    /// Sends a body as it is, announced as JSON.
    pub async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        let request = self.http.request(method, format!("{}{path}", self.base_url));
        let request = request
            .header("X-BB-API-Key", &self.key)
            .header("content-type", "application/json");
        Answer::of(request.body(body).send().await?).await
    }

    /// Uploads a file as a form's `file`, with this key or none.
    pub async fn upload(&self, key: Option<&str>, path: &str, file: &str) -> anyhow::Result<Answer> {
        const BOUNDARY: &str = "the-boundary-of-a-test";
        let head = "content-disposition: form-data; name=\"file\"; filename=\"file\"";
        let form = format!("--{BOUNDARY}\r\n{head}\r\n\r\n{file}\r\n--{BOUNDARY}--\r\n");
        let mut request = self.http.post(format!("{}{path}", self.base_url));
        if let Some(key) = key {
            request = request.header("X-BB-API-Key", key);
        }
        let request = request.header(
            "content-type",
            format!("multipart/form-data; boundary={BOUNDARY}"),
        );
        Answer::of(request.body(form).send().await?).await
    }
}

impl Answer {
    async fn of(response: reqwest::Response) -> anyhow::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = match &bytes[..] {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into()),
        };
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// The error's message.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// A field of the body that is a text; empty when there is none.
    pub fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_default()
    }
}
