//! A browser for volume, never for proof: it starts like Chromium, with `--remote-debugging-pipe` on descriptors 3 and 4
//! and a DevTools port that it announces on standard error, and answers just enough CDP that a session gets ready and a
//! client can drive it. It takes some megabytes and milliseconds where Chromium takes hundreds of each.
//!
//! It ends as Chromium does: when its pipe is closed, and at `Browser.close`. Other flags change nothing.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{FromRawFd, RawFd};
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::{self, Message};
use wharf_testkit::COUNT_UP;

const COMMANDS: RawFd = 3;
const ANSWERS: RawFd = 4;
const TARGET: &str = "FA4E0000000000000000000000000001";
const CDP_SESSION: &str = "FA4E0000000000000000000000000002";
const PRODUCT: &str = "Chrome/0.0.0.0 (fake, for volume)";

/// What the page counted. It is the whole of the browser's state.
type Count = Arc<AtomicU64>;

fn main() -> io::Result<()> {
    let count = Count::default();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let path = format!("/devtools/browser/{:08x}-fa4e", std::process::id());
    writeln!(
        io::stderr(),
        "DevTools listening on ws://{}{path}",
        listener.local_addr()?
    )?;
    let shared = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (path, count) = (path.clone(), Arc::clone(&shared));
            thread::spawn(move || {
                // A client that breaks off is no matter to a browser.
                let _ = serve_client(stream, &path, &count);
            });
        }
    });
    serve_pipe(&count)
}

/// Until the other end is closed.
fn serve_pipe(count: &Count) -> io::Result<()> {
    let mut commands = BufReader::new(inherited(COMMANDS));
    let mut answers = inherited(ANSWERS);
    let mut message = Vec::new();
    while commands.read_until(0, &mut message)? > 0 {
        let text = message.strip_suffix(&[0]).unwrap_or(&message);
        if let Some(reply) = reply_to(text, count) {
            answers.write_all(reply.text.as_bytes())?;
            answers.write_all(&[0])?;
            reply.act();
        }
        message.clear();
    }
    Ok(())
}

fn inherited(descriptor: RawFd) -> File {
    #[expect(
        unsafe_code,
        reason = "a descriptor known by its number has no safe constructor"
    )]
    // SAFETY: whoever starts a browser hands it these two, and each is taken once.
    unsafe {
        File::from_raw_fd(descriptor)
    }
}

fn serve_client(stream: TcpStream, path: &str, count: &Count) -> tungstenite::Result<()> {
    #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        if request.uri().path() == path {
            return Ok(response);
        }
        let mut refusal = ErrorResponse::new(None);
        *refusal.status_mut() = StatusCode::NOT_FOUND;
        Err(refusal)
    };
    let Ok(mut socket) = tungstenite::accept_hdr(stream, check) else {
        return Ok(());
    };
    loop {
        if let Message::Text(text) = socket.read()?
            && let Some(reply) = reply_to(text.as_bytes(), count)
        {
            socket.send(Message::text(&reply.text))?;
            reply.act();
        }
    }
}

/// A message to send, and whether it is the last one.
struct Reply {
    text: String,
    last: bool,
}

impl Reply {
    fn act(&self) {
        if self.last {
            exit(0);
        }
    }
}

/// The answer to a command; none to what is not one.
fn reply_to(text: &[u8], count: &Count) -> Option<Reply> {
    let command: Value = serde_json::from_slice(text).ok()?;
    let (id, method) = (command.get("id")?, command.get("method")?.as_str()?);
    let mut answer = json!({ "id": id, "result": result(method, &command["params"], count) });
    if let Some(session) = command.get("sessionId") {
        answer["sessionId"] = session.clone();
    }
    Some(Reply {
        text: answer.to_string(),
        last: method == "Browser.close",
    })
}

fn result(method: &str, params: &Value, count: &Count) -> Value {
    match method {
        "Browser.getVersion" => json!({
            "protocolVersion": "1.3",
            "product": PRODUCT,
            "revision": "@0",
            "userAgent": "Mozilla/5.0 (fake)",
            "jsVersion": "0.0"
        }),
        "Target.getTargets" => json!({ "targetInfos": [{
            "targetId": TARGET,
            "type": "page",
            "title": "about:blank",
            "url": "about:blank",
            "attached": false,
            "canAccessOpener": false
        }] }),
        "Target.getBrowserContexts" => json!({ "browserContextIds": [] }),
        "Target.attachToTarget" => json!({ "sessionId": CDP_SESSION }),
        "Browser.getWindowForTarget" => {
            json!({ "windowId": 1, "bounds": { "left": 0, "top": 0, "width": 1280, "height": 807 } })
        }
        "Runtime.evaluate" => json!({ "result": evaluate(params["expression"].as_str(), count) }),
        _ => json!({}),
    }
}

/// Numbers, texts and other constants are themselves; of programs it knows one.
fn evaluate(expression: Option<&str>, count: &Count) -> Value {
    let value = match expression {
        Some(COUNT_UP) => Some((count.fetch_add(1, Ordering::Relaxed) + 1).into()),
        Some(text) => serde_json::from_str::<Value>(text).ok(),
        None => None,
    };
    match value {
        Some(value) => json!({ "type": "object", "value": value }),
        None => json!({ "type": "undefined" }),
    }
}
