//! One request in absolute form and its answer, both as streams.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::Either;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper::header::{HeaderValue, PROXY_AUTHORIZATION};
use hyper::http::uri::PathAndQuery;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::body::{AnswerBody, OneAtATime};
use crate::connection::Browser;
use crate::destination::Destination;
use crate::failure::Failure;
use crate::headers;
use crate::meter::RoadMeter;
use crate::rules::{InForce, Way};
use crate::small_reads::SmallReads;
use crate::upstream::ProbeError;
use crate::world::World;

/// Of plain HTTP.
pub(crate) const DEFAULT_PORT: u16 = 80;
/// A kept connection is free as soon as its last answer has been read, which is before the browser asks again.
const UNTIL_FREE: Duration = Duration::from_millis(100);
/// Of an answer: more than any browser minds.
const MOST_HEADERS: usize = 512;

/// A connection to the world that speaks HTTP. It ends when this is dropped.
pub(crate) struct Link {
    sender: http1::SendRequest<OneAtATime>,
    /// Whose it is: another route, or other rules, have other meters.
    meter: Arc<RoadMeter>,
    destination: Destination,
    _connection: AbortOnDropHandle<Option<()>>,
}

impl Browser {
    /// Sends the request where the rules say and gives back the head of the answer; the bodies follow by themselves.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
        destination: &Destination,
        in_force: &InForce,
        way: &Way,
    ) -> Result<Response<AnswerBody>, Failure> {
        let websocket = headers::is_websocket(request.headers());
        let upgrade = websocket.then(|| hyper::upgrade::on(&mut request));
        let outgoing = outgoing(request, destination, way, websocket)?;
        let (mut link, mut answer) = match self.kept_link(destination, way).await {
            None => self.send_anew(outgoing, destination, in_force, way).await?,
            Some(mut link) => match self.send(&mut link, outgoing).await {
                Ok(answer) => (link, answer),
                Err(Unsent::Again(outgoing)) => self.send_anew(*outgoing, destination, in_force, way).await?,
                Err(Unsent::Failed(Failure::Closed)) => return Err(Failure::BrokenOff),
                Err(Unsent::Failed(failure)) => return Err(failure),
            },
        };
        match answer.status() {
            StatusCode::PROXY_AUTHENTICATION_REQUIRED if way.upstream.is_some() => {
                Err(Failure::Upstream(ProbeError::CredentialsRefused))
            }
            StatusCode::SWITCHING_PROTOCOLS => match upgrade {
                Some(upgrade) if headers::is_websocket(answer.headers()) => {
                    self.carry_upgraded(upgrade, hyper::upgrade::on(&mut answer), link);
                    Ok(incoming(answer, true))
                }
                _ => Err(Failure::MalformedAnswer),
            },
            _ => {
                link.destination = destination.clone();
                self.keep(link);
                Ok(incoming(answer, false))
            }
        }
    }

    async fn kept_link(&self, destination: &Destination, way: &Way) -> Option<Link> {
        let mut link = self.kept()?;
        let same = Arc::ptr_eq(&link.meter, &way.meter) && link.destination == *destination;
        let free = same
            && timeout(UNTIL_FREE, link.sender.ready())
                .await
                .is_ok_and(|ready| ready.is_ok());
        free.then_some(link)
    }

    async fn send_anew(
        &self,
        outgoing: Request<OneAtATime>,
        destination: &Destination,
        in_force: &InForce,
        way: &Way,
    ) -> Result<(Link, Response<Incoming>), Failure> {
        let mut link = self.open_link(destination, in_force, way).await?;
        match self.send(&mut link, outgoing).await {
            Ok(answer) => Ok((link, answer)),
            Err(Unsent::Again(_)) => Err(Failure::Closed),
            Err(Unsent::Failed(failure)) => Err(failure),
        }
    }

    async fn open_link(
        &self,
        destination: &Destination,
        in_force: &InForce,
        way: &Way,
    ) -> Result<Link, Failure> {
        let (dialler, policy) = (&self.shared.dialler, &in_force.rules.addresses);
        let world = match &way.upstream {
            Some(upstream) => dialler
                .to_upstream(upstream, policy, &way.meter)
                .await
                .map_err(Failure::Upstream)?,
            None => World::Plain(
                dialler
                    .reach(&destination.host, destination.port, Some(policy), &way.meter)
                    .await?,
            ),
        };
        let handshake = http1::Builder::new()
            .preserve_header_case(true)
            .max_buf_size(self.shared.dialler.options.head_bytes)
            .max_headers(MOST_HEADERS)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .handshake(TokioIo::new(SmallReads::new(world)));
        let (sender, connection) = handshake.await.map_err(|_| Failure::Closed)?;
        let connection = connection.with_upgrades();
        let task = self.shared.tasks.spawn(async move {
            // Whoever waits for the answer is told.
            let _ = connection.await;
        });
        Ok(Link {
            sender,
            meter: Arc::clone(&way.meter),
            destination: destination.clone(),
            _connection: AbortOnDropHandle::new(task),
        })
    }

    async fn send(
        &self,
        link: &mut Link,
        outgoing: Request<OneAtATime>,
    ) -> Result<Response<Incoming>, Unsent> {
        let within = self.shared.dialler.options.answer_timeout;
        match timeout(within, link.sender.try_send_request(outgoing)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(unsent(error)),
            Err(_) => Err(Unsent::Failed(Failure::AnswerTimedOut(within))),
        }
    }

    fn carry_upgraded(self: &Arc<Self>, browser: OnUpgrade, world: OnUpgrade, link: Link) {
        let ends = async move {
            let upgraded = world.await.ok()?;
            drop(link);
            let parts = upgraded.downcast::<TokioIo<SmallReads<World>>>().ok()?;
            Some((parts.io.into_inner().into_inner(), parts.read_buf))
        };
        self.carry(browser, ends);
    }
}

/// A request that has no answer.
enum Unsent {
    /// Not a byte of it was sent: it may be sent again.
    Again(Box<Request<OneAtATime>>),
    Failed(Failure),
}

fn unsent(mut error: TrySendError<Request<OneAtATime>>) -> Unsent {
    match error.take_message() {
        Some(request) => Unsent::Again(Box::new(request)),
        None if error.error().is_parse() => Unsent::Failed(Failure::MalformedAnswer),
        None => Unsent::Failed(Failure::Closed),
    }
}

fn outgoing(
    request: Request<Incoming>,
    destination: &Destination,
    way: &Way,
    websocket: bool,
) -> Result<Request<OneAtATime>, Failure> {
    let malformed = |_| Failure::Malformed("the request's target is not valid");
    let (mut parts, body) = request.into_parts();
    let authority = destination.authority(DEFAULT_PORT);
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let host = HeaderValue::try_from(&authority)
        .map_err(|_| Failure::Malformed("the request names no valid host"))?;
    parts.headers = headers::of_request(&parts.headers, &host, websocket);
    parts.version = Version::HTTP_11;
    parts.uri = match &way.upstream {
        None => Uri::try_from(path).map_err(malformed)?,
        Some(upstream) => {
            let authorization = upstream.authorization();
            parts
                .headers
                .extend(authorization.map(|value| (PROXY_AUTHORIZATION, value)));
            Uri::try_from(format!("http://{authority}{path}")).map_err(malformed)?
        }
    };
    Ok(Request::from_parts(parts, OneAtATime::new(body)))
}

fn incoming(answer: Response<Incoming>, websocket: bool) -> Response<AnswerBody> {
    let (mut parts, body) = answer.into_parts();
    parts.headers = headers::of_answer(&parts.headers, websocket);
    // hyper speaks the browser's version whatever this says.
    parts.version = Version::HTTP_11;
    Response::from_parts(parts, Either::Right(OneAtATime::new(body)))
}
