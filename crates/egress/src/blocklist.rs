//! What the caller wants kept from the browser.

/// What a request is for, as far as its headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// A page in the main frame.
    Document,
    /// A page in a frame.
    Frame,
    /// A script or a worker.
    Script,
    /// A style sheet.
    Style,
    /// An image.
    Image,
    /// Sound or video.
    Media,
    /// A font.
    Font,
    /// A WebSocket.
    WebSocket,
    /// By a script's own request, or unknown.
    Other,
}

/// Which hosts and URLs are not fetched. Asked for every request, so it must be quick and must not block.
pub trait Blocklist: Send + Sync + 'static {
    /// For CONNECT, which names nothing else. The host is in lower case.
    fn blocks_host(&self, host: &str) -> bool;

    /// For plain HTTP, whose URLs are known: the only question there. `referrer` is the URL of the page that asks, if it says so.
    fn blocks_url(&self, url: &str, referrer: Option<&str>, kind: RequestKind) -> bool;
}
