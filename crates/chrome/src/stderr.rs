//! What Chromium says on stderr: its DevTools address, and the last words before a failure.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

/// Lines kept for an error message.
const KEPT_LINES: usize = 20;
/// Longer lines are cut: a browser must not choose how much memory we use.
const LINE_LIMIT: usize = 1024;
/// Without a message bus, which a server has not and a browser should not reach, Chromium prints dozens of these.
const NOISE: &str = ":ERROR:dbus/";
const ANNOUNCEMENT: &str = "DevTools listening on ws://";

/// Where clients reach the browser's DevTools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevtoolsEndpoint {
    address: SocketAddr,
    path: String,
}

impl DevtoolsEndpoint {
    /// Address and port, on loopback.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `/devtools/browser/<uuid>`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole WebSocket URL.
    pub fn url(&self) -> String {
        format!("ws://{}{}", self.address, self.path)
    }

    fn parse(line: &str) -> Option<DevtoolsEndpoint> {
        let url = line.strip_prefix(ANNOUNCEMENT)?.trim_end();
        let (address, path) = url.split_at(url.find('/')?);
        let address: SocketAddr = address.parse().ok()?;
        (address.ip().is_loopback() && path.starts_with("/devtools/browser/")).then(|| DevtoolsEndpoint {
            address,
            path: path.to_owned(),
        })
    }
}

/// The last lines, shared with whoever writes the error message.
#[derive(Debug, Clone, Default)]
pub(crate) struct StderrTail(Arc<Mutex<VecDeque<String>>>);

impl StderrTail {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    fn push(&self, line: &str) {
        if line.trim().is_empty() || line.contains(NOISE) {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// Reads until the last process holding stderr is gone. Never stops early: a full pipe would block Chromium.
pub(crate) async fn drain(
    mut pipe: pipe::Receiver,
    tail: StderrTail,
    announce: oneshot::Sender<DevtoolsEndpoint>,
) {
    let mut announce = Some(announce);
    let mut lines = LineBuffer::default();
    let mut chunk = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        lines.push(&chunk[..length], |line| {
            tracing::trace!(line, "chromium");
            if let (true, Some(endpoint)) = (announce.is_some(), DevtoolsEndpoint::parse(line)) {
                // The receiver is gone when the launch was given up.
                let _ = announce.take().map(|announce| announce.send(endpoint));
            }
            tail.push(line);
        });
    }
    lines.finish(|line| tail.push(line));
}

/// Puts lines together from chunks.
#[derive(Debug, Default)]
struct LineBuffer(Vec<u8>);

impl LineBuffer {
    fn push(&mut self, chunk: &[u8], mut each: impl FnMut(&str)) {
        for part in chunk.split_inclusive(|&byte| byte == b'\n') {
            let ends = part.ends_with(b"\n");
            let text = if ends { &part[..part.len() - 1] } else { part };
            let room = LINE_LIMIT - self.0.len();
            self.0.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                each(&String::from_utf8_lossy(&self.0));
                self.0.clear();
            }
        }
    }

    fn finish(self, each: impl FnOnce(&str)) {
        if !self.0.is_empty() {
            each(&String::from_utf8_lossy(&self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_announcement_gives_address_and_path() {
        let line = "DevTools listening on ws://127.0.0.1:39975/devtools/browser/05b841f8-639f";
        let endpoint = DevtoolsEndpoint::parse(line).unwrap();
        assert_eq!(endpoint.address(), "127.0.0.1:39975".parse().unwrap());
        assert_eq!(endpoint.path(), "/devtools/browser/05b841f8-639f");
        assert_eq!(
            endpoint.url(),
            "ws://127.0.0.1:39975/devtools/browser/05b841f8-639f"
        );
    }

    #[test]
    fn other_lines_are_not_announcements() {
        for line in [
            "",
            "DevTools listening on ws://",
            "DevTools listening on ws://192.0.2.1:80/devtools/browser/x",
            "DevTools listening on ws://127.0.0.1:99999/devtools/browser/x",
            "DevTools listening on ws://127.0.0.1:80/other",
            "x DevTools listening on ws://127.0.0.1:80/devtools/browser/x",
        ] {
            assert_eq!(DevtoolsEndpoint::parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_tail_keeps_the_last_lines_without_the_noise() {
        let tail = StderrTail::default();
        for number in 0..50 {
            tail.push(&format!("line {number}"));
            tail.push("[1:2:1121/0:ERROR:dbus/bus.cc:405] Failed to connect");
            tail.push("");
        }
        let lines = tail.lines();
        assert_eq!(lines.len(), KEPT_LINES);
        assert_eq!((lines[0].as_str(), lines[19].as_str()), ("line 30", "line 49"));
    }

    #[test]
    fn an_endless_line_is_cut() {
        let (mut buffer, mut lines) = (LineBuffer::default(), Vec::new());
        for _ in 0..100 {
            buffer.push(&[b'x'; 1000], |line| lines.push(line.to_owned()));
        }
        buffer.push(b"\nnext\n", |line| lines.push(line.to_owned()));
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE_LIMIT, 4]);
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            expected in prop::collection::vec("[a-z]{0,30}", 0..20),
            cuts in prop::collection::vec(1..40usize, 1..20),
        ) {
            let text: String = expected.iter().map(|line| format!("{line}\n")).collect();
            let (mut buffer, mut lines) = (LineBuffer::default(), Vec::new());
            let (mut rest, mut cuts) = (text.as_bytes(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                buffer.push(chunk, |line| lines.push(line.to_owned()));
                rest = after;
            }
            prop_assert_eq!(lines, expected);
        }
    }
}
