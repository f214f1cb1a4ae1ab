//! Which files a page in a jail reads and writes, and which a client has it read and write.

use crate::support::{Lab, Page, call, first_process, options, visit};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[tokio::test]
async fn of_the_hosts_files_there_are_only_programs_and_libraries() {
    let lab = Lab::jailed();
    let secret = lab.folder.path().join("secret");
    std::fs::write(&secret, "the worker's own").unwrap();
    let browser = lab.launch().await;
    for path in [
        "/etc/passwd",
        "/etc/shadow",
        "/etc/hostname",
        "/root/",
        "/home/",
        secret.to_str().unwrap(),
    ] {
        let shown = visit(&browser, &format!("file://{path}")).await;
        assert!(shown.contains("ERR_FILE_NOT_FOUND"), "{path}: {shown}");
        let shown = visit(&browser, &format!("view-source:file://{path}")).await;
        assert!(
            !shown.contains("root:") && !shown.contains("worker's own"),
            "{path}: {shown}"
        );
    }
    // The environment of the first process, which is all that another process of the jail could have from us.
    let environment = visit(&browser, "file:///proc/1/environ").await;
    assert!(!environment.contains("CARGO"), "{environment}");
    let root = visit(&browser, "file:///").await;
    for entry in ["root/", "home/", "srv/", "opt/", "sys/", "run/"] {
        assert!(!root.contains(entry), "{entry} in {root}");
    }
    browser.close().await;
}

/// A file that is in every jail.
const PUBLIC: &str = "/usr/lib/os-release";

/// How long a print of this file in a frame is. Letters are glyphs there: only how many there are can be told.
async fn print_framed(page: &Page<'_>, file: &str) -> usize {
    let frame = Value::from(format!("file://{file}"));
    let show = format!(
        "new Promise(done => {{ const frame = document.createElement('iframe'); frame.onload = done; \
         frame.src = {frame}; document.body.replaceChildren(frame); }}).then(() => 1)"
    );
    page.evaluate(&show).await;
    let printed = page.call("Page.printToPDF", json!({})).await;
    printed["data"].as_str().unwrap().len()
}

/// What a client or a page has of files that are there on this machine.
#[tokio::test]
async fn neither_a_frame_nor_a_print_nor_an_input_reads_a_file_of_the_hosts() {
    let lab = Lab::jailed();
    let secret = lab.folder.path().join("secret");
    std::fs::write(&secret, "the worker's own").unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
    let (browser, neighbour) = (
        lab.launch().await,
        lab.launcher.launch(options("session-2")).await.unwrap(),
    );
    // As the neighbour's jail shows it to itself.
    let profile = format!("/wharf-{}/session-2/profile/Local State", std::process::id());
    let inside = format!("/proc/{}/root{profile}", first_process(&neighbour));
    assert!(
        Path::new(&inside).exists(),
        "the neighbour has no such file: {inside}"
    );
    let files = [
        "/etc/passwd",
        "/proc/self/environ",
        secret.to_str().unwrap(),
        &profile,
        &inside,
    ];

    // A page from a file may read files, if any may.
    let opened = call(
        &browser,
        "Target.createTarget",
        json!({ "url": "file:///usr/share/doc/" }),
    )
    .await;
    let page = Page::attach(&browser, opened["targetId"].as_str().unwrap()).await;
    page.loaded().await;
    let nothing = print_framed(&page, "/nowhere").await;
    for file in files {
        let url = Value::from(format!("file://{file}"));
        let fetched = format!("fetch({url}).then(answer => answer.text(), () => '')");
        assert_eq!(page.evaluate(&fetched).await, "", "{file} fetched");
        page.evaluate("document.body.innerHTML = '<input type=file>'")
            .await;
        let input = page
            .call(
                "Runtime.evaluate",
                json!({ "expression": "document.querySelector('input')" }),
            )
            .await;
        let chosen = json!({ "files": [file], "objectId": input["result"]["objectId"] });
        // It may refuse, or take the name for what it is worth.
        let _ = page.try_call("DOM.setFileInputFiles", chosen).await;
        let read = "(async () => { const file = document.querySelector('input').files[0]; \
                    return file ? await file.text().catch(() => '') : '' })()";
        assert_eq!(page.evaluate(read).await, "", "{file} as an input's file");
        for (framed, expected) in [(file, false), (PUBLIC, true)] {
            let printed = print_framed(&page, framed).await;
            assert_eq!(
                printed > nothing,
                expected,
                "{framed}: {printed} against {nothing}"
            );
            // The same as text: a picture of the page with all its frames.
            let snapshot = page.call("Page.captureSnapshot", json!({})).await;
            // Quoted-printable breaks lines anywhere.
            let snapshot = snapshot["data"].as_str().unwrap().replace("=\r\n", "");
            assert_eq!(snapshot.contains("PRETTY_NAME"), expected, "{framed}: {snapshot}");
            for secret in ["root:", "worker's own", "CARGO", "profile_info"] {
                assert!(
                    !snapshot.contains(secret),
                    "{secret} by way of {framed}: {snapshot}"
                );
            }
        }
    }
    browser.close().await;
    neighbour.close().await;
}

/// Wherever a client wants its downloads: what is written is written in the jail.
#[tokio::test]
async fn a_download_is_written_nowhere_outside() {
    let lab = Lab::jailed();
    let browser = lab.launch().await;
    let open = lab.folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
    let page = Page::first(&browser).await;
    for (number, folder) in [open.to_str().unwrap(), "/tmp", "/root", "/usr/lib", "/"]
        .into_iter()
        .enumerate()
    {
        let name = format!("wharf-download-{}-{number}.bin", std::process::id());
        let mut events = browser.cdp().events();
        let behavior = json!({ "behavior": "allow", "downloadPath": folder, "eventsEnabled": true });
        call(&browser, "Browser.setDownloadBehavior", behavior).await;
        page.evaluate(&format!(
            "Object.assign(document.createElement('a'), {{ download: '{name}', \
             href: URL.createObjectURL(new Blob(['downloaded'], {{ type: 'application/octet-stream' }})) }}).click()"
        ))
        .await;
        let state = loop {
            let event = events.recv().await.unwrap();
            if event.method == "Browser.downloadProgress" {
                let progress: Value = serde_json::from_str(event.params.get()).unwrap();
                match progress["state"].as_str().unwrap() {
                    "inProgress" => {}
                    state => break state.to_owned(),
                }
            }
        };
        assert!(!Path::new(folder).join(&name).exists(), "{folder}: {state}");
        if folder == "/tmp" {
            let inside = format!("/proc/{}/root/tmp/{name}", first_process(&browser));
            assert_eq!(
                (state.as_str(), std::fs::read(inside).unwrap().as_slice()),
                ("completed", &b"downloaded"[..])
            );
        }
    }
    assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
    browser.close().await;
}
