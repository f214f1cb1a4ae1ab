//! From the client to the browser.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::session::{LastByte, Session};
use crate::tap::browser_close::{BrowserClose, Sieve};
use wharf_tunnel::{HopEnd, HopReader, Piece, Reader, Traffic, UP_BUFFER, Writer, write};

/// Why no more of a client's bytes go to its browser.
pub(super) enum UpEnd {
    /// The gateway said why.
    Said(HopEnd),
    /// The stream has ended, or broke.
    BareEnd,
    /// The browser takes no more.
    BrowserGone,
    /// The client asked the browser to close, and it must not. `rest` is what more comes from the client.
    BrowserClose { command: BrowserClose, rest: Reader },
}

pub(super) struct Up<'session> {
    session: &'session Session,
    from: Reader,
    to: Writer,
    /// Takes a gateway's chunks apart, if they are chunks.
    hop: Option<HopReader>,
    /// Only where something is to be held back: elsewhere bytes pass unread.
    sieve: Option<Sieve>,
}

/// Why the forwarding of some bytes was the last.
enum Stop {
    BrowserGone,
    BrowserClose(BrowserClose),
}

impl<'session> Up<'session> {
    pub(super) fn new(session: &'session Session, from: Reader, to: Writer, by_gateway: bool) -> Self {
        Self {
            session,
            from,
            to,
            hop: by_gateway.then(HopReader::default),
            sieve: session.keep_alive.then(Sieve::default),
        }
    }

    /// Copies until an end, and passes the end on to the browser.
    pub(super) async fn run(mut self, last_byte: &LastByte, traffic: &Traffic) -> UpEnd {
        let mut buffer = vec![0; UP_BUFFER];
        let end = loop {
            let length = match self.from.read(&mut buffer).await {
                Ok(0) | Err(_) => break UpEnd::BareEnd,
                Ok(length) => length,
            };
            let now = Instant::now();
            last_byte.touch(now);
            self.session.touch(now);
            match self.take(&buffer[..length], traffic).await {
                Ok(None) => {}
                Ok(Some(reason)) => break reason.map_or(UpEnd::BareEnd, UpEnd::Said),
                Err(Stop::BrowserGone) => return UpEnd::BrowserGone,
                Err(Stop::BrowserClose(command)) => {
                    let rest = self.from;
                    return UpEnd::BrowserClose { command, rest };
                }
            }
        };
        // A browser that takes no more is no news at this point.
        let _ = write(
            &mut self.to,
            &self.sieve.take().map(Sieve::rest).unwrap_or_default(),
        )
        .await;
        let _ = self.to.shutdown().await;
        end
    }

    /// Passes on what was read; answers the gateway's last word, if it is in there.
    async fn take(&mut self, mut bytes: &[u8], traffic: &Traffic) -> Result<Option<Option<HopEnd>>, Stop> {
        let Some(mut hop) = self.hop.take() else {
            self.forward(bytes, traffic).await?;
            return Ok(None);
        };
        while let Some(piece) = hop.next(&mut bytes) {
            match piece {
                Piece::Bytes(bytes) => self.forward(bytes, traffic).await?,
                Piece::End(reason) => return Ok(Some(reason)),
            }
        }
        self.hop = Some(hop);
        Ok(None)
    }

    async fn forward(&mut self, bytes: &[u8], traffic: &Traffic) -> Result<(), Stop> {
        traffic.add_up(bytes.len());
        let Some(sieve) = &mut self.sieve else {
            return write(&mut self.to, bytes).await.map_err(|_| Stop::BrowserGone);
        };
        let sifted = sieve.sift(bytes);
        let passed = sifted.passed.bytes();
        if !passed.is_empty() {
            write(&mut self.to, passed).await.map_err(|_| Stop::BrowserGone)?;
        }
        sifted
            .close
            .map_or(Ok(()), |close| Err(Stop::BrowserClose(close)))
    }
}
