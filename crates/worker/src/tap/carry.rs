//! Carries a client's bytes until it leaves, its browser ends, its session does, or a rule has it leave.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::browser_close::BrowserClose;
use super::frames;
use crate::metric;
use crate::rules::{SessionRules, after};
use crate::session::{ClientGuard, Departure, LastByte, Session};
use down::{Down, DownEnd};
use up::{Up, UpEnd};
use wharf_tunnel::{Ends, HopEnd, Reader, Traffic, Upstream};

mod down;
mod up;

/// How long a direction may go on when the other has ended: for words under way, like the answer to a close frame.
const LINGER: Duration = Duration::from_secs(2);
/// The same, where a session's end waits for it.
const SHORT_LINGER: Duration = Duration::from_millis(100);

// Close codes of RFC 6455 and its registry.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const SERVICE_RESTART: u16 = 1012;

/// A client that was let in.
pub(super) struct Carried {
    pub(super) session: Arc<Session>,
    pub(super) guard: ClientGuard,
    /// Whether its bytes come in a hop's chunks.
    pub(super) by_gateway: bool,
    pub(super) rules: SessionRules,
}

/// How the carrying is to end.
enum Verdict {
    /// The client is gone, or as good as gone.
    Gone(Departure),
    /// The browser has ended its side, and nothing can come of what the client still says.
    BrowserEnded,
    /// It hears these last frames and is sent away.
    SentAway {
        words: Vec<u8>,
        departure: Departure,
        rest: Rest,
    },
}

/// What the client still sends after our last words.
enum Rest {
    /// Nothing.
    Nothing,
    /// It goes to the browser, as before.
    Passes,
    /// It is read, and that is all.
    Unheard(Reader),
}

impl Carried {
    /// Carries until the end; cuts everything when the session's end is decided.
    pub(super) async fn run(self, client: OnUpgrade, upstream: Upstream) {
        let traffic = Traffic::default();
        let cut = self.session.cut().clone();
        tokio::select! {
            () = self.carry(client, upstream, &traffic) => {}
            () = cut.cancelled() => {}
        }
        metrics::counter!(metric::TUNNEL_BYTES, "direction" => "up").increment(traffic.up());
        metrics::counter!(metric::TUNNEL_BYTES, "direction" => "down").increment(traffic.down());
    }

    async fn carry(self, client: OnUpgrade, upstream: Upstream, traffic: &Traffic) {
        let Ok(ends) = Ends::meet(client, upstream).await else {
            let departure = self.broken_off();
            return self.guard.depart(departure);
        };
        let last_byte = LastByte::now();
        let (speak, words) = oneshot::channel();
        let up = Up::new(
            &self.session,
            ends.client_read,
            ends.upstream_write,
            self.by_gateway,
        );
        let up = up.run(&last_byte, traffic);
        let down = Down::new(ends.upstream_read, ends.client_write).run(words, traffic);
        tokio::pin!(up, down);
        let (words, departure, rest) = match self.verdict(up.as_mut(), down.as_mut(), &last_byte).await {
            Verdict::Gone(departure) => return self.guard.depart(departure),
            Verdict::BrowserEnded => {
                self.guard.depart(Departure::BrowserClosed);
                let _ = timeout(LINGER, up).await;
                return;
            }
            Verdict::SentAway {
                words,
                departure,
                rest,
            } => (words, departure, rest),
        };
        // Fails when that direction has ended by itself.
        let _ = speak.send(words);
        let _ = timeout(LINGER, down).await;
        self.guard.depart(departure);
        // A socket that is closed with bytes unread is reset, and a reset overtakes the words.
        let _ = match rest {
            Rest::Nothing => Ok(()),
            Rest::Passes => timeout(LINGER, up).await.map(drop),
            Rest::Unheard(rest) => timeout(LINGER, read_out(rest)).await,
        };
    }

    /// Waits for whatever ends it first. Only a direction that has not ended is needed after that.
    async fn verdict(
        &self,
        mut up: Pin<&mut impl Future<Output = UpEnd>>,
        mut down: Pin<&mut impl Future<Output = DownEnd>>,
        last_byte: &LastByte,
    ) -> Verdict {
        tokio::select! {
            end = &mut up => match end {
                UpEnd::BrowserGone => {
                    let _ = timeout(LINGER, down).await;
                    Verdict::Gone(Departure::BrowserClosed)
                }
                UpEnd::BareEnd if !self.by_gateway => {
                    let _ = timeout(SHORT_LINGER, down).await;
                    Verdict::Gone(Departure::Left)
                }
                end => self.after_up(end),
            },
            end = &mut down => match end {
                DownEnd::BrowserEnded => Verdict::BrowserEnded,
                // What it said last tells whether the client is gone, or its gateway.
                DownEnd::ClientGone => match timeout(SHORT_LINGER, up).await {
                    Ok(UpEnd::Said(HopEnd::ClientLeft)) => Verdict::Gone(Departure::Left),
                    _ => Verdict::Gone(self.broken_off()),
                },
                DownEnd::Spoken => Verdict::Gone(Departure::Left),
            },
            () = last_byte.silent_for(self.rules.cdp_silence) => self.too_silent(),
        }
    }

    /// What follows from the end of the client's bytes, where there is something to do about it.
    fn after_up(&self, end: UpEnd) -> Verdict {
        match end {
            UpEnd::Said(HopEnd::ClientLeft) => Verdict::Gone(Departure::Left),
            UpEnd::Said(HopEnd::GatewayStops) => {
                let reason = "service restart: connect again, the session goes on";
                Verdict::SentAway {
                    words: frames::close(SERVICE_RESTART, reason),
                    departure: self.lost(),
                    rest: Rest::Nothing,
                }
            }
            UpEnd::BareEnd => Verdict::Gone(self.broken_off()),
            UpEnd::BrowserGone => Verdict::Gone(Departure::BrowserClosed),
            UpEnd::BrowserClose { command, rest } => self.disconnected(&command, rest),
        }
    }

    /// The client asked its browser to close; the browser outlives it.
    fn disconnected(&self, command: &BrowserClose, rest: Reader) -> Verdict {
        tracing::debug!(session = %self.session.id, "Browser.close of a session that is kept alive: the client is disconnected");
        let mut words = frames::text(&command.answer());
        words.extend(frames::close(NORMAL, "disconnected: the session is kept alive"));
        Verdict::SentAway {
            words,
            departure: Departure::Left,
            rest: Rest::Unheard(rest),
        }
    }

    fn too_silent(&self) -> Verdict {
        let silence = self.rules.cdp_silence;
        tracing::info!(
            session = %self.session.id, project = %self.session.project,
            "a client is disconnected: nothing has come from it for {silence:?}"
        );
        let reason = format!("nothing has come from the client for {silence:?}");
        Verdict::SentAway {
            words: frames::close(GOING_AWAY, &reason),
            departure: Departure::Left,
            rest: Rest::Passes,
        }
    }

    /// The connection is gone without a word.
    fn broken_off(&self) -> Departure {
        match self.by_gateway {
            true => self.lost(),
            false => Departure::Left,
        }
    }

    fn lost(&self) -> Departure {
        Departure::Lost {
            until: after(Instant::now(), self.rules.reconnect_grace),
        }
    }
}

async fn read_out(mut rest: Reader) {
    let mut buffer = [0; 1024];
    while let Ok(1..) = rest.read(&mut buffer).await {}
}
