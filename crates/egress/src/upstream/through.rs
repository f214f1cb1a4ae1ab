//! A connection to an upstream proxy, and a tunnel through it.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, PROXY_AUTHORIZATION};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{ProbeError, Scheme, Upstream};
use crate::address::AddressPolicy;
use crate::failure::Failure;
use crate::host::Host;
use crate::meter::RoadMeter;
use crate::small_reads::SmallReads;
use crate::trust::Trust;
use crate::world::{Counted, Dialler, World};

impl Dialler {
    /// A connection to the proxy itself.
    pub(crate) async fn to_upstream(
        &self,
        upstream: &Upstream,
        policy: &AddressPolicy,
        meter: &Arc<RoadMeter>,
    ) -> Result<World, ProbeError> {
        let host = Host::parse(&upstream.host).map_err(|_| ProbeError::NameNotFound)?;
        let policy = (!upstream.trusted).then_some(policy);
        let socket = self
            .reach(&host, upstream.port, policy, meter)
            .await
            .map_err(of_reach)?;
        match upstream.scheme {
            Scheme::Http => Ok(World::Plain(socket)),
            Scheme::Https => timeout(
                self.options.connect_timeout,
                self.over_tls(upstream, &host, socket),
            )
            .await
            .map_err(|_| ProbeError::TimedOut)?,
        }
    }

    async fn over_tls(&self, upstream: &Upstream, host: &Host, socket: Counted) -> Result<World, ProbeError> {
        let trust = match upstream.trusted {
            // A tenant on the way could show a certificate of its own, and read the operator's credentials.
            true => Trust::public(),
            false => self.options.trust.clone(),
        };
        let name = match host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => {
                ServerName::try_from(name.clone()).map_err(|error| ProbeError::Tls(error.to_string()))?
            }
        };
        let connector = TlsConnector::from(trust.config());
        let stream = connector.connect(name, socket).await;
        stream
            .map(|stream| World::Tls(Box::new(stream)))
            .map_err(|error| ProbeError::Tls(error.to_string()))
    }

    /// A tunnel through the proxy to `authority`, and what has already come out of it.
    pub(crate) async fn through(
        &self,
        upstream: &Upstream,
        authority: &str,
        policy: &AddressPolicy,
        meter: &Arc<RoadMeter>,
    ) -> Result<(World, Bytes), ProbeError> {
        let world = self.to_upstream(upstream, policy, meter).await?;
        let opened = timeout(
            self.options.upstream_timeout,
            open_tunnel(world, upstream, authority),
        );
        let upgraded = opened.await.map_err(|_| ProbeError::TunnelTimedOut)??;
        let parts = upgraded
            .downcast::<TokioIo<SmallReads<World>>>()
            .map_err(|_| ProbeError::NotAProxy)?;
        Ok((parts.io.into_inner().into_inner(), parts.read_buf))
    }
}

async fn open_tunnel(world: World, upstream: &Upstream, authority: &str) -> Result<Upgraded, ProbeError> {
    let handshake = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(SmallReads::new(world))).await;
    let (mut sender, connection) = handshake.map_err(|error| of_exchange(&error))?;
    let exchange = async {
        let response = sender.send_request(request(upstream, authority)?).await;
        let response = response.map_err(|error| of_exchange(&error))?;
        match response.status() {
            status if status.is_success() => hyper::upgrade::on(response)
                .await
                .map_err(|error| of_exchange(&error)),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(ProbeError::CredentialsRefused),
            status => Err(ProbeError::Answered(status.as_u16())),
        }
    };
    let (mut exchange, mut connection) = (pin!(exchange), pin!(connection.with_upgrades()));
    tokio::select! {
        opened = exchange.as_mut() => opened,
        // It has handed its socket over, which the exchange knows, or failed, which it knows better itself.
        ended = connection.as_mut() => match (exchange.await, ended) {
            (Err(ProbeError::Unreachable(_)), Err(error)) => Err(of_exchange(&error)),
            (opened, _) => opened,
        },
    }
}

fn request(upstream: &Upstream, authority: &str) -> Result<Request<Empty<Bytes>>, ProbeError> {
    let uri = Uri::try_from(authority).map_err(|_| ProbeError::NameNotFound)?;
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    if let Ok(host) = authority.try_into() {
        headers.insert(HOST, host);
    }
    headers.extend(upstream.authorization().map(|value| (PROXY_AUTHORIZATION, value)));
    Ok(request)
}

fn of_reach(failure: Failure) -> ProbeError {
    match failure {
        Failure::Address(refusal) => ProbeError::Address(refusal),
        Failure::NameNotFound => ProbeError::NameNotFound,
        Failure::ConnectTimedOut(_) => ProbeError::TimedOut,
        Failure::Unreachable(error) => ProbeError::Unreachable(error.to_string()),
        other => ProbeError::Unreachable(other.to_string()),
    }
}

fn of_exchange(error: &hyper::Error) -> ProbeError {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        // A request that was still waiting is cancelled, because of what happened to the connection.
        if let Some(cause) = inner.downcast_ref::<hyper::Error>() {
            return of_exchange(cause);
        }
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return ProbeError::Unreachable(io.to_string());
        }
        source = inner.source();
    }
    if error.is_closed() || error.is_canceled() || error.is_incomplete_message() {
        ProbeError::Unreachable("it closed the connection without an answer".to_owned())
    } else {
        // It does not speak HTTP, or before it was asked.
        ProbeError::NotAProxy
    }
}
