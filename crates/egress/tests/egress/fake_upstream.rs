//! An upstream proxy that counts what crosses its sockets.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::{io, str};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wharf_egress::{Bytes, Credentials, Scheme, Upstream};

use crate::support::{Server, head, header};

pub const CERTIFICATE: &str = include_str!("../fixtures/upstream.pem");
const KEY: &str = include_str!("../fixtures/upstream.key.pem");

/// `user:secret`.
pub const AUTHORIZATION: &str = "Basic dXNlcjpzZWNyZXQ=";

pub fn credentials(password: &str) -> Option<Credentials> {
    Credentials::new("user", password)
}

/// Bytes of TCP, from the point of view of whoever connected.
#[derive(Default)]
pub struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Counts {
    pub fn read(&self) -> Bytes {
        Bytes {
            sent: self.sent.load(Ordering::SeqCst),
            received: self.received.load(Ordering::SeqCst),
        }
    }
}

/// A socket that counts for its peer.
pub struct Counting(pub TcpStream, pub Arc<Counts>);

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer))?;
        let read = (buffer.filled().len() - before) as u64;
        self.1.sent.fetch_add(read, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(cx, bytes))?;
        self.1.received.fetch_add(written as u64, Ordering::SeqCst);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// An upstream proxy that wants [`AUTHORIZATION`].
pub struct FakeUpstream {
    server: Server,
    scheme: Scheme,
    pub counts: Arc<Counts>,
    /// Heads of the requests that it let through.
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl FakeUpstream {
    pub async fn http() -> Self {
        Self::start(Scheme::Http).await
    }

    pub async fn https() -> Self {
        Self::start(Scheme::Https).await
    }

    async fn start(scheme: Scheme) -> Self {
        let (counts, heads) = (Arc::<Counts>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (counted, seen) = (Arc::clone(&counts), Arc::clone(&heads));
        let acceptor = (scheme == Scheme::Https).then(acceptor);
        let server = Server::start(move |stream| {
            let (stream, seen, acceptor) = (
                Counting(stream, Arc::clone(&counted)),
                Arc::clone(&seen),
                acceptor.clone(),
            );
            async move {
                match acceptor {
                    None => serve(stream, &seen).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, &seen).await;
                        }
                    }
                }
            }
        })
        .await;
        Self {
            server,
            scheme,
            counts,
            heads,
        }
    }

    /// As a tenant writes it.
    pub fn with_password(&self, password: &str) -> Upstream {
        at(self.scheme, self.server.address, credentials(password))
    }

    pub fn accepted(&self) -> usize {
        self.server.accepted()
    }
}

pub fn at(scheme: Scheme, address: SocketAddr, credentials: Option<Credentials>) -> Upstream {
    Upstream {
        scheme,
        host: address.ip().to_string(),
        port: address.port(),
        credentials,
        counted: true,
        trusted: false,
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, heads: &Mutex<Vec<String>>) {
    let request = head(&mut stream).await;
    if header(&request, "proxy-authorization") != Some(AUTHORIZATION) {
        let refused = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\ncontent-length: 6\r\n\r\nsecret";
        let _ = stream.write_all(refused.as_bytes()).await;
        let _ = stream.flush().await;
        return;
    }
    heads.lock().unwrap().push(request.clone());
    let target = request.split(' ').nth(1).unwrap();
    if request.starts_with("CONNECT ") {
        let Ok(mut world) = TcpStream::connect(target).await else {
            let _ = stream
                .write_all(b"HTTP/1.1 503 No Way\r\ncontent-length: 0\r\n\r\n")
                .await;
            let _ = stream.flush().await;
            return;
        };
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut world).await;
    } else {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{target}",
            target.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // The proxy closes first, so that every byte is counted on both sides.
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
}
