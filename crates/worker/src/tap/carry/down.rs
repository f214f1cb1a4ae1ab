//! From the browser to the client.

use std::future::pending;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::tap::frames::Boundaries;
use wharf_tunnel::{DOWN_BUFFER, Reader, Traffic, Writer, write};

/// Why no more of a browser's bytes go to its client.
pub(super) enum DownEnd {
    BrowserEnded,
    ClientGone,
    /// Our own last words were the last.
    Spoken,
}

pub(super) struct Down {
    from: Reader,
    to: Writer,
    boundaries: Boundaries,
}

impl Down {
    pub(super) fn new(from: Reader, to: Writer) -> Self {
        Self {
            from,
            to,
            boundaries: Boundaries::default(),
        }
    }

    /// Copies until an end, and passes the end on to the client. Once there are `words` of our own, which are frames,
    /// they follow the browser's message that is under way, and are the end.
    pub(super) async fn run(mut self, words: oneshot::Receiver<Vec<u8>>, traffic: &Traffic) -> DownEnd {
        let words = async {
            match words.await {
                Ok(words) => words,
                // Nobody is left to say any.
                Err(_) => pending().await,
            }
        };
        tokio::pin!(words);
        let mut buffer = vec![0; DOWN_BUFFER];
        loop {
            let read = tokio::select! {
                biased;
                words = &mut words => return self.close_with(&words, &mut buffer, traffic).await,
                read = self.from.read(&mut buffer) => read,
            };
            let length = match read {
                Ok(0) | Err(_) => return self.browser_ended().await,
                Ok(length) => length,
            };
            self.boundaries.pass(&buffer[..length]);
            if !self.pass_on(&buffer[..length], traffic).await {
                return DownEnd::ClientGone;
            }
        }
    }

    async fn close_with(mut self, words: &[u8], buffer: &mut [u8], traffic: &Traffic) -> DownEnd {
        while !self.boundaries.at_one() {
            let length = match self.from.read(buffer).await {
                Ok(0) | Err(_) => return self.browser_ended().await,
                Ok(length) => self.boundaries.seek(&buffer[..length]),
            };
            if !self.pass_on(&buffer[..length], traffic).await {
                return DownEnd::ClientGone;
            }
        }
        if !self.pass_on(words, traffic).await {
            return DownEnd::ClientGone;
        }
        // A socket that cannot be shut down is already gone.
        let _ = self.to.shutdown().await;
        DownEnd::Spoken
    }

    async fn browser_ended(mut self) -> DownEnd {
        let _ = self.to.shutdown().await;
        DownEnd::BrowserEnded
    }

    /// Says whether the client took it.
    async fn pass_on(&mut self, bytes: &[u8], traffic: &Traffic) -> bool {
        traffic.add_down(bytes.len());
        write(&mut self.to, bytes).await.is_ok()
    }
}
