//! Whom a browser trusts.

use crate::support::{Lab, Page, open_folder, options};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use wharf_chrome::LaunchOptions;

/// Runs `openssl` in a folder.
async fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{words}: {output:?}");
}

/// An authority, and a server on loopback that it vouches for. Gives the authority's certificate and the server's URL.
async fn server(folder: &Path) -> (String, String, (Child, BufReader<ChildStdout>)) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc";
    openssl(folder, &format!("req -x509 {key} -days 2 -subj /CN=ours -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem")).await;
    openssl(
        folder,
        &format!("req {key} -subj /CN=server -keyout server.key -out server.csr"),
    )
    .await;
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(folder, "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem").await;
    let mut server = Command::new("openssl")
        .args("s_server -accept 127.0.0.1:0 -cert server.pem -key server.key -www".split(' '))
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("the server says where it listens");
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            break address.to_owned();
        }
    };
    let certificate = std::fs::read_to_string(folder.join("ca.pem")).unwrap();
    // What it goes on saying fits into the pipe, which must stay open.
    let running = (server, lines.into_inner());
    (certificate, format!("https://{address}/"), running)
}

/// The jail's way is shown where there is a way out of it, by the clients' tests.
#[tokio::test]
async fn without_a_jail_a_browser_trusts_what_it_was_given_and_its_neighbour_does_not() {
    let (lab, folder) = (Lab::new(), open_folder());
    let (certificate, url, server) = server(folder.path()).await;
    let asked = format!("fetch('{url}', {{ mode: 'no-cors' }}).then(() => 'trusted', () => 'refused')");
    let trusting = LaunchOptions {
        trusted: vec![certificate],
        ..options("trusting")
    };
    let trusting = lab.launcher.launch(trusting).await.unwrap();
    let neighbour = lab.launch().await;
    for (browser, told) in [(trusting, "trusted"), (neighbour, "refused")] {
        assert_eq!(Page::first(&browser).await.evaluate(&asked).await, told);
        assert!(browser.close().await.complete);
    }
    drop(server);
    lab.assert_no_profile_left();
}
