//! What pages and clients reach: from a real browser in a real jail, with somebody who listens outside.

#![expect(clippy::unwrap_used, reason = "the lint knows tests, but not their helpers")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use wharf_testkit::{Cdp, Wharf};

use crate::WHARF;

/// Spellings of this machine, its network and its cloud, as a page may write them.
const HOSTS: [&str; 40] = [
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.127.127.127",
    "127.255.255.254",
    "2130706433",
    "2130706433.",
    "017700000001",
    "0x7f000001",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0177.0.0.1",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "user@127.0.0.1",
    "0",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "100.100.100.200",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
];

/// A loopback address that the operator allows: somebody there sends pages on to where they may not go.
const ALLOWED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 99);

/// What a page has to make a connection with. Settled when each has been answered or refused. Sockets and frames to few,
/// for Chromium makes a page that fails with them wait.
const PROBES: &str = "(async (targets, few) => {
  const settled = [];
  const either = (make, good, bad) => new Promise(done => {
    try { const it = make(); for (const name of [...good, ...bad]) it['on' + name] = done; } catch { done(); }
  });
  for (const target of targets) {
    for (const scheme of ['http', 'https']) {
      settled.push(fetch(`${scheme}://${target}/fetch`, { mode: 'no-cors' }).catch(() => {}));
    }
    settled.push(fetch(`http://${target}/post`, { mode: 'no-cors', method: 'POST', body: 'x' }).catch(() => {}));
    settled.push(either(() => Object.assign(new Image(), { src: `http://${target}/image` }), ['load'], ['error']));
    navigator.sendBeacon(`http://${target}/beacon`, 'x');
  }
  for (const target of few) {
    settled.push(either(() => new WebSocket(`ws://${target}/socket`), ['open'], ['error', 'close']));
    settled.push(either(() => document.body.appendChild(Object.assign(document.createElement('iframe'),
      { src: `http://${target}/frame` })), ['load'], ['error']));
  }
  await Promise.all(settled);
  return settled.length;
})";

/// STUN and TURN over UDP and TCP, to each address. It sends everything it will within ten seconds, and may wait for longer.
const WEBRTC: &str = "(async addresses => {
  const urls = addresses.flatMap(address => [`stun:${address}`, `turn:${address}`, `turn:${address}?transport=tcp`]);
  const servers = urls.map(urls => urls.startsWith('stun') ? { urls } : { urls, username: 'u', credential: 'c' });
  const peer = new RTCPeerConnection({ iceServers: servers });
  peer.createDataChannel('probe');
  const gathered = new Promise(done => peer.onicegatheringstatechange = () =>
    peer.iceGatheringState === 'complete' && done());
  const candidates = [];
  peer.onicecandidate = event => event.candidate && candidates.push(event.candidate.candidate);
  await peer.setLocalDescription();
  await Promise.race([gathered, new Promise(done => setTimeout(done, 10_000))]);
  peer.close();
  return candidates;
})";

/// QUIC, which only WebTransport speaks where the rest is told not to.
const QUIC: &str = "(async addresses => {
  const refused = await Promise.all(addresses.map(async address => {
    try { const transport = new WebTransport(`https://${address}/`); transport.closed.catch(() => {}); await transport.ready; return false; }
    catch { return true; }
  }));
  return refused.every(Boolean);
})";

/// Listens on every address of this machine, by TCP and by UDP, and notes what comes.
struct Outside {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    _listening: JoinSet<()>,
}

impl Outside {
    async fn listen() -> anyhow::Result<Self> {
        // Both families, where the machine has both.
        let tcp = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).await {
            Ok(tcp) => tcp,
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?,
        };
        let address = tcp.local_addr()?;
        let udp = UdpSocket::bind(address).await?;
        let (seen, mut listening) = (Arc::default(), JoinSet::new());
        listening.spawn(accept(tcp, Arc::clone(&seen)));
        listening.spawn(receive(udp, Arc::clone(&seen)));
        Ok(Self {
            port: address.port(),
            seen,
            _listening: listening,
        })
    }

    /// This machine's addresses, with the port.
    async fn addresses(&self) -> anyhow::Result<Vec<String>> {
        let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        // Where traffic to the world would leave from; nothing is sent.
        let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        if probe.connect("192.0.2.1:9").await.is_ok() {
            addresses.push(probe.local_addr()?.ip());
        }
        let with_port = |address| SocketAddr::new(address, self.port).to_string();
        Ok(addresses.into_iter().map(with_port).collect())
    }

    /// What has come so far. Our own connection and datagram come last, so whatever came before them is there.
    async fn seen(&self) -> anyhow::Result<Vec<String>> {
        let address = (Ipv4Addr::LOCALHOST, self.port);
        let mut ours = TcpStream::connect(address).await?;
        ours.write_all(b"GET /ours HTTP/1.1\r\n\r\n").await?;
        ours.read_to_end(&mut Vec::new()).await?;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        udp.connect(address).await?;
        udp.send(b"ours").await?;
        udp.recv(&mut [0; 16]).await?;
        let mut seen = self.seen.lock().unwrap().clone();
        seen.retain(|what| what != "GET /ours" && what != "datagram ours");
        Ok(seen)
    }
}

async fn accept(tcp: TcpListener, seen: Arc<Mutex<Vec<String>>>) {
    let mut peers = JoinSet::new();
    while let Ok((mut stream, _)) = tcp.accept().await {
        // Noted before it says anything, and each by itself: one may never say anything.
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push("a connection".to_owned());
            seen.len() - 1
        };
        let seen = Arc::clone(&seen);
        peers.spawn(async move {
            let mut head = [0; 1024];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            if let Some((request, _)) = head.split_once(" HTTP/") {
                seen.lock().unwrap()[number] = request.to_owned();
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
            let _ = stream.write_all(answer.as_bytes()).await;
        });
    }
}

async fn receive(udp: UdpSocket, seen: Arc<Mutex<Vec<String>>>) {
    let mut datagram = [0; 2048];
    while let Ok((length, from)) = udp.recv_from(&mut datagram).await {
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        seen.lock().unwrap().push(format!("datagram {text}"));
        let _ = udp.send_to(b"heard", from).await;
    }
}

/// Sends everybody on to `target`, and notes each.
async fn send_on(target: String, asked: Arc<Mutex<Vec<String>>>) -> anyhow::Result<(u16, JoinSet<()>)> {
    let tcp = TcpListener::bind((ALLOWED, 0)).await?;
    let port = tcp.local_addr()?.port();
    let mut listening = JoinSet::new();
    listening.spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut head = [0; 1024];
            let length = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            asked.lock().unwrap().push(head);
            let answer = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{target}/redirected\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    Ok((port, listening))
}

/// Opens a page, and answers what it shows.
async fn shown(cdp: &mut Cdp, url: &str) -> anyhow::Result<String> {
    cdp.call_page("Page.navigate", json!({ "url": url })).await?;
    let loaded = "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))\
                  .then(() => document.documentElement.innerText)";
    let shown: Value = cdp.evaluate(loaded).await?;
    Ok(shown.as_str().unwrap_or_default().to_owned())
}

async fn client(wharf: &Wharf) -> anyhow::Result<Cdp> {
    let created = wharf.call(Method::POST, "/v1/sessions", Some(&json!({}))).await?;
    assert_eq!(created.status, 201, "{}", created.body);
    Cdp::connect(created.body["connectUrl"].as_str().unwrap_or_default()).await
}

#[tokio::test]
async fn nothing_private_is_reached_by_a_page_or_by_a_client() -> anyhow::Result<()> {
    let allow = format!("{ALLOWED}/32");
    let wharf = Wharf::up(WHARF, &["--egress-deny-private", "--egress-allow", &allow]).await?;
    let outside = Outside::listen().await?;
    let own = outside.addresses().await?;
    let mut cdp = client(&wharf).await?;

    let targets: Vec<String> = HOSTS
        .iter()
        .map(|host| format!("{host}:{}", outside.port))
        .chain(own.clone())
        .collect();
    let probed = cdp
        .evaluate(&format!("{PROBES}({}, {})", json!(targets), json!(own)))
        .await?;
    assert_eq!(probed, 4 * targets.len() + 2 * own.len());
    for target in &targets {
        let told = shown(&mut cdp, &format!("http://{target}/page")).await?;
        assert!(
            told.contains("Not allowed") && told.contains("403 address-"),
            "{target}: {told}"
        );
    }
    for target in &own {
        let source = json!({ "url": format!("view-source:http://{target}/source") });
        cdp.call_page("Page.navigate", source).await?;
    }
    cdp.call_page("Page.navigate", json!({ "url": "about:blank" }))
        .await?;

    let candidates = cdp.evaluate(&format!("{WEBRTC}({})", json!(own))).await?;
    assert_eq!(candidates, json!([]), "addresses that a page learnt");
    assert_eq!(cdp.evaluate(&format!("{QUIC}({})", json!(own))).await?, true);

    // By way of somebody who may be spoken to.
    let asked = Arc::default();
    let (port, _redirecting) = send_on(own[0].clone(), Arc::clone(&asked)).await?;
    let refused = shown(&mut cdp, &format!("http://{ALLOWED}:{port}/")).await?;
    assert!(refused.contains("address-own"), "{refused}");
    assert!(
        asked.lock().unwrap()[0].starts_with("GET / "),
        "what the operator allows is reached"
    );

    // What a client of the browser can ask for and a page cannot: a way of its own. There is none.
    for server in ["direct://", &own[0]] {
        let context = json!({ "proxyServer": server, "proxyBypassList": "*" });
        let context = cdp.call("Target.createBrowserContext", context).await?["browserContextId"].take();
        let target = json!({ "url": "about:blank", "browserContextId": context });
        let target = cdp.call("Target.createTarget", target).await?["targetId"].take();
        cdp.attach(&target).await?;
        for address in &own {
            let url = format!("http://{address}/context");
            let answer = cdp.call_page("Page.navigate", json!({ "url": url })).await?;
            assert!(
                answer["errorText"]
                    .as_str()
                    .is_some_and(|error| error.starts_with("net::ERR_")),
                "{server}: {answer}"
            );
        }
    }

    assert_eq!(outside.seen().await?, [""; 0]);
    wharf.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_developers_own_machine_is_reached_unless_it_is_to_be_private() -> anyhow::Result<()> {
    let wharf = Wharf::up(WHARF, &[]).await?;
    let outside = Outside::listen().await?;
    let mut cdp = client(&wharf).await?;
    for host in ["localhost", "127.0.0.1", "a.localhost", "0x7f.1", "2130706433"] {
        let url = format!("http://{host}:{}/{host}", outside.port);
        assert_eq!(shown(&mut cdp, &url).await?, "ok", "{host}");
    }
    let seen = outside.seen().await?;
    let pages = seen.iter().filter(|what| !what.contains("favicon")).count();
    assert_eq!(pages, 5, "{seen:?}");
    // Not the cloud's metadata, though: nobody develops there.
    let refused = shown(&mut cdp, "http://169.254.169.254/latest/meta-data/").await?;
    assert!(refused.contains("metadata"), "{refused}");
    wharf.stop().await?;
    Ok(())
}
