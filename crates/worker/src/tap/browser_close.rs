//! Holds back `Browser.close` on its way to a browser that outlives its clients: Puppeteer's `browser.close()` sends it,
//! and means its own connection.

use serde_json::{Map, Value, json};

use super::frames::{Header, Opcode};

/// A message with more bytes than this, headers included, is none: `Browser.close` has no parameters.
const MOST_BYTES: usize = 4 * 1024;
/// `{"method":"Browser.close"}` is the shortest that could be one.
const LEAST_BYTES: usize = 26;

/// Looks through a client's bytes. Everything else is let through unchanged and in order, a message once it is whole or
/// cannot be `Browser.close`; after a frame that no client may send, the rest is let through unread.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    /// The beginning of a message that is not decided on. Empty nearly always.
    held: Vec<u8>,
    scan: Scan,
}

/// What may go on to the browser.
#[derive(Debug)]
pub(super) struct Sifted<'bytes> {
    pub(super) passed: Passed<'bytes>,
    /// The command that follows it, and that goes no further. The client is done then.
    pub(super) close: Option<BrowserClose>,
}

/// Bytes as they arrived, or after a rest was held back.
#[derive(Debug)]
pub(super) enum Passed<'bytes> {
    Arrived(&'bytes [u8]),
    Held(Vec<u8>),
}

impl Passed<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Arrived(bytes) => bytes,
            Self::Held(bytes) => bytes,
        }
    }
}

/// A `Browser.close` that was held back.
#[derive(Debug, PartialEq)]
pub(super) struct BrowserClose {
    id: Option<Value>,
    session: Option<Value>,
}

impl BrowserClose {
    /// What a browser would answer.
    pub(super) fn answer(&self) -> String {
        let mut answer = json!({ "id": self.id, "result": {} });
        if let Some(session) = &self.session {
            answer["sessionId"] = session.clone();
        }
        answer.to_string()
    }
}

impl Sieve {
    /// Takes the next bytes of the client.
    pub(super) fn sift<'bytes>(&mut self, bytes: &'bytes [u8]) -> Sifted<'bytes> {
        if self.held.is_empty() {
            let (clear, close) = self.scan.run(bytes);
            if close.is_none() {
                self.held.extend_from_slice(&bytes[clear..]);
            }
            let passed = Passed::Arrived(&bytes[..clear]);
            return Sifted { passed, close };
        }
        let mut passed = std::mem::take(&mut self.held);
        passed.extend_from_slice(bytes);
        let (clear, close) = self.scan.run(&passed);
        let rest = passed.split_off(clear);
        if close.is_none() {
            self.held = rest;
        }
        Sifted {
            passed: Passed::Held(passed),
            close,
        }
    }

    /// What was held back of a client that has ended in the middle of a message.
    pub(super) fn rest(self) -> Vec<u8> {
        self.held
    }
}

#[derive(Debug, Default)]
struct Scan {
    /// What is left of the payload of a frame that passes.
    passing: u64,
    /// Whether the message goes on whose frames pass.
    in_passing_message: bool,
    /// A frame was seen that no client may send: the browser will refuse it, and nothing after it counts.
    blind: bool,
    scratch: Vec<u8>,
}

/// What a message's beginning says about it.
enum Message {
    /// More bytes are needed.
    Undecided,
    /// It is whole, this long with its headers, and its payload is in the scratch.
    Whole(usize),
    /// It cannot be `Browser.close`.
    Harmless,
    Malformed,
}

impl Scan {
    /// How many of the bytes may pass, and what is held back behind them. They begin where the last run stopped.
    fn run(&mut self, bytes: &[u8]) -> (usize, Option<BrowserClose>) {
        let mut at = 0;
        while at < bytes.len() {
            if self.blind {
                return (bytes.len(), None);
            }
            let rest = &bytes[at..];
            if self.passing > 0 {
                let passed = usize::try_from(self.passing).map_or(rest.len(), |left| left.min(rest.len()));
                self.passing -= passed as u64;
                at += passed;
                continue;
            }
            let Some(header) = Header::parse(rest) else {
                break;
            };
            let continues = header.opcode == Opcode::Continuation;
            if !header.is_a_clients() || (!header.opcode.is_control() && continues != self.in_passing_message)
            {
                self.blind = true;
                continue;
            }
            if header.opcode.is_control() || self.in_passing_message {
                at += self.pass(&header);
                continue;
            }
            match self.message(rest) {
                Message::Undecided => break,
                Message::Harmless => at += self.pass(&header),
                Message::Malformed => self.blind = true,
                Message::Whole(length) => match browser_close(&self.scratch) {
                    Some(close) => return (at, Some(close)),
                    None => at += length,
                },
            }
        }
        (at, None)
    }

    /// Lets a frame pass, and the rest of its message; answers its header's size.
    fn pass(&mut self, header: &Header) -> usize {
        self.passing = header.length;
        if !header.opcode.is_control() {
            self.in_passing_message = !header.last;
        }
        header.size
    }

    /// Reads a message from its first frame on. Control frames may stand between its frames and are skipped.
    fn message(&mut self, bytes: &[u8]) -> Message {
        self.scratch.clear();
        let mut at = 0;
        loop {
            let Some(header) = Header::parse(&bytes[at..]) else {
                return Message::undecided(bytes.len());
            };
            let expected = match header.opcode {
                Opcode::Continuation => at > 0,
                Opcode::Text | Opcode::Binary => at == 0,
                _ => true,
            };
            if !header.is_a_clients() || !expected {
                return Message::Malformed;
            }
            let body = at + header.size;
            let end = usize::try_from(header.length).map_or(usize::MAX, |length| body.saturating_add(length));
            // Nothing comes after a close frame, the rest of this message neither.
            if end > MOST_BYTES || header.opcode == Opcode::Close {
                return Message::Harmless;
            }
            let Some(payload) = bytes.get(body..end) else {
                return Message::undecided(bytes.len());
            };
            if !header.opcode.is_control() {
                let mask = header.mask.unwrap_or_default().into_iter().cycle();
                self.scratch
                    .extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
                if header.last {
                    return Message::Whole(end);
                }
            }
            at = end;
        }
    }
}

impl Message {
    const fn undecided(length: usize) -> Self {
        if length > MOST_BYTES {
            Self::Harmless
        } else {
            Self::Undecided
        }
    }
}

fn browser_close(message: &[u8]) -> Option<BrowserClose> {
    // Any character can be written as an escape; then only a parser knows.
    let suspect = message.len() >= LEAST_BYTES
        && (follows(message, b'B', b"rowser.close") || follows(message, b'\\', b"u"));
    if !suspect {
        return None;
    }
    let mut command: Map<String, Value> = serde_json::from_slice(message).ok()?;
    (command.get("method")? == "Browser.close").then(|| BrowserClose {
        id: command.remove("id"),
        session: command.remove("sessionId"),
    })
}

/// Whether `first` with `rest` behind it stands somewhere in `text`.
fn follows(text: &[u8], first: u8, rest: &[u8]) -> bool {
    let mut parts = text.split(|&byte| byte == first).skip(1);
    parts.any(|part| part.starts_with(rest))
}

#[cfg(test)]
mod tests;
