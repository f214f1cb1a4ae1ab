//! A site under every name below `localhost`, over plain HTTP.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Answers every request with the page of its path, or with one whose title is `there`.
pub struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Site {
    /// With these pages: their paths, and what is in them. `PORT` in them stands for its port.
    pub async fn start(pages: &'static [(&'static str, &'static str)]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (mut serving, seen) = (JoinSet::new(), Arc::clone(&asked));
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(BufReader::new(stream), port, pages, Arc::clone(&seen)));
            }
        });
        Ok(Self {
            port,
            asked,
            _serving: serving,
        })
    }

    /// The URL of a path at a host, which may name its own scheme.
    pub fn url(&self, host: &str, path: &str) -> String {
        let (scheme, host) = host.split_once("://").unwrap_or(("http", host));
        format!("{scheme}://{host}:{}{path}", self.port)
    }

    /// What a host was asked for since the last call: paths in order.
    pub fn take_asked(&self, host: &str) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let start = format!("{host}:{} ", self.port);
        let (mine, others) = asked.drain(..).partition(|line| line.starts_with(&start));
        *asked = others;
        let paths = mine.into_iter().map(|line| line[start.len()..].to_owned());
        let mut paths: Vec<_> = paths.filter(|path| path != "/favicon.ico").collect();
        paths.sort();
        paths
    }
}

async fn serve(
    mut stream: BufReader<TcpStream>,
    port: u16,
    pages: &[(&str, &str)],
    seen: Arc<Mutex<Vec<String>>>,
) {
    while let Some((host, path)) = request(&mut stream).await {
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{host} {path}"));
        let page = pages.iter().find(|(at, _)| *at == path);
        let body = page.map_or("<title>there</title>", |(_, body)| body);
        let body = body.replace("PORT", &port.to_string());
        let kind = if path.ends_with(".js") {
            "text/javascript"
        } else {
            "text/html"
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Host and path of the next request.
async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let (mut host, mut path) = (String::new(), None);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        match line.split_once(": ") {
            _ if path.is_none() => path = line.split(' ').nth(1).map(ToOwned::to_owned),
            _ if line.is_empty() => return Some((host, path?)),
            Some((name, value)) if name.eq_ignore_ascii_case("host") => host = value.to_owned(),
            _ => {}
        }
    }
}
