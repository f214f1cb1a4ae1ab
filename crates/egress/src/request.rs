//! What a request asks for, and whether the rules let it.

use std::sync::Arc;

use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, HeaderName, REFERER};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, Uri};

use crate::address::AddressPolicy;
use crate::blocklist::RequestKind;
use crate::body::AnswerBody;
use crate::connection::Browser;
use crate::destination::Destination;
use crate::exchange::DEFAULT_PORT;
use crate::failure::Failure;
use crate::headers;
use crate::host::Host;
use crate::page;
use crate::resolve::localhost;
use crate::rules::{InForce, Way};
use crate::world::World;

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The browser's connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection to the world was closed")]
pub(crate) struct BrokenOff;

impl Browser {
    /// The answer to a request: the world's, or a page that says why there is none.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, BrokenOff> {
        let mut host = String::new();
        let answered = if request.method() == Method::CONNECT {
            self.connect(request, &mut host).await
        } else {
            self.forward(request, &mut host).await
        };
        match answered {
            Ok(answer) => Ok(answer),
            Err(Failure::BrokenOff) => Err(BrokenOff),
            Err(failure) => Ok(page::response(&failure, &host)),
        }
    }

    async fn connect(
        self: &Arc<Self>,
        request: Request<Incoming>,
        host: &mut String,
    ) -> Result<Response<AnswerBody>, Failure> {
        if request.uri().scheme().is_some() {
            return Err(Failure::Malformed("CONNECT names a host and a port only"));
        }
        let destination = destination(request.uri(), None)?;
        *host = destination.host.to_string();
        let in_force = self.shared.in_force();
        if let Some(blocked) = &in_force.rules.blocked
            && blocked.blocks_host(host)
        {
            return Err(Failure::Blocked);
        }
        let way = self.way(&in_force, &destination, host).await?;
        let (dialler, policy) = (&self.shared.dialler, &in_force.rules.addresses);
        let (world, early) = match &way.upstream {
            Some(upstream) => dialler
                .through(upstream, &destination.to_string(), policy, &way.meter)
                .await
                .map_err(Failure::Upstream)?,
            None => {
                let reached = dialler.reach(&destination.host, destination.port, Some(policy), &way.meter);
                (World::Plain(reached.await?), Bytes::new())
            }
        };
        self.carry(hyper::upgrade::on(request), async { Some((world, early)) });
        Ok(Response::new(Either::Left(Full::default())))
    }

    async fn forward(
        self: &Arc<Self>,
        request: Request<Incoming>,
        host: &mut String,
    ) -> Result<Response<AnswerBody>, Failure> {
        match request.uri().scheme_str() {
            Some("http") => {}
            Some(_) => {
                return Err(Failure::Malformed(
                    "only http:// is fetched here; the rest takes CONNECT",
                ));
            }
            None => {
                return Err(Failure::Malformed(
                    "this is a proxy: a request to it names the whole URL",
                ));
            }
        }
        let destination = destination(request.uri(), Some(DEFAULT_PORT))?;
        *host = destination.host.to_string();
        let in_force = self.shared.in_force();
        if let Some(blocked) = &in_force.rules.blocked {
            let referrer = request
                .headers()
                .get(REFERER)
                .and_then(|value| value.to_str().ok());
            // In one spelling, so that a dot after the host's name changes nothing.
            let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
            let url = format!("http://{}{path}", destination.authority(DEFAULT_PORT));
            if blocked.blocks_url(&url, referrer, kind(&request)) {
                return Err(Failure::Blocked);
            }
        }
        let way = self.way(&in_force, &destination, host).await?;
        self.exchange(request, &destination, &in_force, &way).await
    }

    /// The road of a host, unless it has an address that may not be spoken to.
    async fn way(&self, in_force: &InForce, destination: &Destination, host: &str) -> Result<Way, Failure> {
        let way = in_force.way(host);
        let policy = &in_force.rules.addresses;
        match &way.upstream {
            // A tenant's stands outside, where names are its own to resolve.
            Some(upstream) if !upstream.trusted => check_literal(policy, &destination.host)?,
            // The operator's may stand in our own network, and reach there what a page names.
            Some(_) => self.shared.dialler.check(&destination.host, policy).await?,
            None => {}
        }
        Ok(way)
    }
}

fn destination(uri: &Uri, default_port: Option<u16>) -> Result<Destination, Failure> {
    let authority = uri
        .authority()
        .ok_or(Failure::Malformed("the request names no host"))?;
    Destination::read(authority, default_port)
}

/// An address is an address to an upstream proxy as well as here.
fn check_literal(policy: &AddressPolicy, host: &Host) -> Result<(), Failure> {
    let check = |address| policy.check(address).map_err(Failure::Address);
    match host {
        Host::Address(address) => check(*address),
        Host::Name(_) if host.is_localhost() => localhost().into_iter().try_for_each(check),
        Host::Name(_) => Ok(()),
    }
}

/// By what browsers say: `Sec-Fetch-Dest` where they send it, which over plain HTTP is to loopback only, and else by what
/// is accepted.
fn kind(request: &Request<Incoming>) -> RequestKind {
    let header = |name: &HeaderName| {
        let value = request.headers().get(name)?;
        value.to_str().ok()
    };
    if headers::is_websocket(request.headers()) {
        return RequestKind::WebSocket;
    }
    match header(&SEC_FETCH_DEST) {
        Some("document") => RequestKind::Document,
        Some("iframe" | "frame" | "embed" | "object") => RequestKind::Frame,
        Some("script" | "worker" | "sharedworker" | "serviceworker") => RequestKind::Script,
        Some("style") => RequestKind::Style,
        Some("image") => RequestKind::Image,
        Some("audio" | "video" | "track") => RequestKind::Media,
        Some("font") => RequestKind::Font,
        Some(_) => RequestKind::Other,
        None => match header(&ACCEPT).unwrap_or_default() {
            accepted if accepted.starts_with("text/html") => RequestKind::Document,
            accepted if accepted.starts_with("text/css") => RequestKind::Style,
            accepted if accepted.starts_with("image/") => RequestKind::Image,
            _ => RequestKind::Other,
        },
    }
}
