//! What may not be spoken to is not spoken to, however it is written.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wharf_egress::{AddressPolicy, IpNet, Options, Resolve, Resolved, Road, Route, Rules, Upstream};

use crate::fake_upstream::FakeUpstream;
use crate::support::{Proxy, Server, head, open, proxy, proxy_with, reason, status};

/// Every host here is this machine, its network, its cloud's metadata or nothing at all; some are no hosts.
const CLOSED: [&str; 66] = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "a.b.localhost.",
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
    "0X7F000001",
    "0x7f.0x0.0x0.0x1",
    "0x7f.1",
    "0177.0.0.1",
    "0177.0x0.0.01",
    "00000177.1",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "user@127.0.0.1",
    "example.com@127.0.0.1",
    "0",
    "0.0.0.0",
    "0x",
    "0.0.0.1",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:808:808:0:0:80ff:fffe]",
    "[fe80::1]",
    "[fe80::1%25lo]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[::ffff:169.254.169.254]",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.254.170.2",
    "168.63.129.16",
    "100.100.100.200",
    "10.0.0.1",
    "012.1",
    "172.16.0.1",
    "192.168.1.1",
    "3232235777",
    "224.0.0.1",
    "255.255.255.255",
];

/// The answers to a GET and to a CONNECT.
async fn both(proxy: &Proxy, host: &str, port: u16) -> [String; 2] {
    [
        proxy.get(&format!("http://{host}:{port}/")).await,
        proxy
            .ask(&format!(
                "CONNECT {host}:{port} HTTP/1.1\r\nconnection: close\r\n\r\n"
            ))
            .await,
    ]
}

#[tokio::test]
async fn no_spelling_reaches_this_machine() {
    // On every address of both families.
    let here = Server::start_on("[::]:0", |_| async {}).await;
    let proxy = proxy(Rules::default()).await;
    for host in CLOSED {
        for answer in both(&proxy, host, here.port()).await {
            let (status, reason) = (status(&answer), reason(&answer).unwrap_or_default());
            let refused = status == 403 && reason.starts_with("address-");
            // What is no host in a URL is not refused by a rule, but it is refused.
            assert!(refused || status == 400, "{host}: {answer}");
            assert_eq!(status == 400, host.contains('%'), "{host}: {answer}");
        }
    }
    assert_eq!(here.accepted(), 0);
    assert_eq!(proxy.egress.traffic().total.sum(), 0);
}

#[tokio::test]
async fn a_refusal_names_the_rule() {
    let answer = proxy(Rules::default()).await.get("http://0x7f.1/").await;
    assert_eq!(status(&answer), 403);
    for part in [
        "content-type: text/html; charset=utf-8",
        "x-wharf-egress: address-loopback",
        "127.0.0.1 is a loopback address",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
}

#[tokio::test]
async fn a_developer_reaches_this_machine_by_any_name() {
    let (here, proxy) = (Server::echo().await, proxy(open()).await);
    let names = [
        "localhost",
        "LOCALHOST.",
        "app.localhost",
        "127.1",
        "0x7f000001",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ];
    for name in names {
        let answer = proxy.get(&format!("http://{name}:{}/", here.port())).await;
        assert_eq!(status(&answer), 200, "{name}: {answer}");
    }
    assert_eq!(here.accepted(), names.len());
}

/// Gives one answer after the other.
struct Script {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect())
            .collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: AtomicUsize::new(0),
        })
    }

    fn options(self: &Arc<Self>) -> Options {
        Options {
            resolver: Arc::clone(self) as Arc<dyn Resolve>,
            ..Options::default()
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, _host: &'a str) -> Resolved<'a> {
        Box::pin(async {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let answer = self.answers.lock().unwrap().pop_front();
            answer.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        })
    }
}

/// 127.0.0.2 stands for the public internet; everything else of this machine is closed.
fn only_127_0_0_2() -> Rules {
    Rules {
        addresses: AddressPolicy {
            allow: vec!["127.0.0.2/32".parse::<IpNet>().unwrap()],
            ..AddressPolicy::default()
        },
        ..Rules::default()
    }
}

/// A server at 127.0.0.2, and one that must not be seen at the same port of 127.0.0.1.
async fn outside_and_inside() -> (Server, Server) {
    let (outside, inside) = loop {
        let outside = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = outside.local_addr().unwrap().port();
        // Somebody else may have this port there.
        if let Ok(inside) = TcpListener::bind(("127.0.0.1", port)).await {
            break (outside, inside);
        }
    };
    let outside = Server::on(outside, |mut stream| async move {
        head(&mut stream).await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    (outside, Server::on(inside, |_| async {}))
}

#[tokio::test]
async fn a_name_that_changes_its_address_gains_nothing() {
    let (outside, inside) = outside_and_inside().await;
    let script = Script::new(&[
        &["127.0.0.2"],
        &["127.0.0.1"],
        &["169.254.169.254"],
        &["::ffff:127.0.0.1"],
    ]);
    let proxy = proxy_with(only_127_0_0_2(), script.options()).await;
    let url = format!("http://rebind.example:{}/", outside.port());
    assert_eq!(status(&proxy.get(&url).await), 200);
    // One lookup for the check and for the connection: a second would have given the address inside.
    assert_eq!((script.asked(), outside.accepted()), (1, 1));
    for word in ["address-loopback", "address-metadata", "address-loopback"] {
        let answer = proxy.get(&url).await;
        assert_eq!((status(&answer), reason(&answer)), (403, Some(word)));
    }
    assert_eq!((script.asked(), inside.accepted(), outside.accepted()), (4, 0, 1));
}

#[tokio::test]
async fn of_several_addresses_only_the_open_ones_are_dialled() {
    let (outside, inside) = outside_and_inside().await;
    let script = Script::new(&[&["127.0.0.1", "10.0.0.1", "127.0.0.2", "::1"], &[]]);
    let proxy = proxy_with(only_127_0_0_2(), script.options()).await;
    let url = format!("http://many.example:{}/", outside.port());
    assert_eq!(status(&proxy.get(&url).await), 200);
    assert_eq!((outside.accepted(), inside.accepted()), (1, 0));
    assert_eq!(reason(&proxy.get(&url).await), Some("name-not-found"));
}

#[tokio::test]
async fn the_operators_upstream_proxy_is_given_no_name_of_something_inside() {
    let upstream = FakeUpstream::http().await;
    let inside: [&[&str]; 6] = [
        &["10.0.0.5"],
        &["10.0.0.5"],
        &["169.254.169.254"],
        &["169.254.169.254"],
        // The proxy would choose one of them.
        &["127.0.0.2", "10.0.0.5"],
        &["127.0.0.2", "10.0.0.5"],
    ];
    let outside: [&[&str]; 2] = [&["127.0.0.2"], &[]];
    let script = Script::new(&[inside.as_slice(), &outside].concat());
    let rules = Rules {
        routes: vec![Route {
            pattern: None,
            road: Road::Upstream(Upstream {
                trusted: true,
                ..upstream.with_password("secret")
            }),
        }],
        ..only_127_0_0_2()
    };
    let proxy = proxy_with(rules, script.options()).await;
    for word in ["address-private", "address-metadata", "address-private"] {
        let connect = "CONNECT inside.example:80 HTTP/1.1\r\nconnection: close\r\n\r\n";
        for answer in [
            proxy.get("http://inside.example/").await,
            proxy.ask(connect).await,
        ] {
            assert_eq!((status(&answer), reason(&answer)), (403, Some(word)), "{answer}");
        }
    }
    assert_eq!((script.asked(), upstream.accepted()), (6, 0));
    // What is outside passes, and so does what has no address here, or is not found: the proxy may know it.
    for name in ["outside.example", "empty.example", "only-known-there.example"] {
        assert_eq!(
            status(&proxy.get(&format!("http://{name}/")).await),
            200,
            "{name}"
        );
    }
    assert_eq!((script.asked(), upstream.accepted()), (9, 3));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let (outside, _inside) = outside_and_inside().await;
    // Nothing listens at 127.0.0.3.
    let script = Script::new(&[&["127.0.0.3", "127.0.0.2"]]);
    let proxy = proxy_with(open(), script.options()).await;
    let answer = proxy
        .get(&format!("http://two.example:{}/", outside.port()))
        .await;
    assert_eq!((status(&answer), outside.accepted()), (200, 1));
}

#[tokio::test]
async fn this_machines_names_are_not_looked_up() {
    let (here, script) = (Server::echo().await, Script::new(&[]));
    let proxy = proxy_with(open(), script.options()).await;
    for host in ["localhost", "a.localhost", "127.1"] {
        assert_eq!(
            status(&proxy.get(&format!("http://{host}:{}/", here.port())).await),
            200
        );
    }
    assert_eq!(script.asked(), 0);
}
