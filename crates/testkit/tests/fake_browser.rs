//! The fake browser is started and driven as Chromium is, by the same code.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use wharf_chrome::{
    BrowserExit, Isolation, LaunchOptions, Launcher, LauncherOptions, Limits, ProfileRoot, Viewport,
    find_browser,
};
use wharf_testkit::Cdp;

#[tokio::test]
async fn it_gets_ready_counts_over_reconnects_and_closes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // Browsers run as a user that may not be able to enter the folder where this was built.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    let binary = folder.path().join("fake-browser");
    std::fs::copy(env!("CARGO_BIN_EXE_wharf-fake-browser"), &binary)?;
    let launcher = Launcher::new(LauncherOptions {
        binary: find_browser(Some(&binary))?,
        isolation: Isolation::Process,
        profiles: ProfileRoot::choose(folder.path())?,
        user: "nobody".to_owned(),
        limits: Limits::default(),
    })?;
    let browser = launcher
        .launch(LaunchOptions {
            name: "fake".to_owned(),
            viewport: Some(Viewport {
                width: 800,
                height: 600,
            }),
            ignore_certificate_errors: false,
            trusted: Vec::new(),
            deadline: Duration::from_secs(10),
        })
        .await?;
    assert!(browser.version().contains("fake"), "{}", browser.version());

    let mut first = Cdp::connect(&browser.devtools().url()).await?;
    assert_eq!(first.evaluate("42").await?, 42);
    assert_eq!(first.count_up().await?, 1);
    drop(first);
    let mut second = Cdp::connect(&browser.devtools().url()).await?;
    assert_eq!(second.count_up().await?, 2, "what was counted is lost");

    second.call("Browser.close", serde_json::json!({})).await?;
    let mut exit = browser.exit();
    let exit = tokio::time::timeout(Duration::from_secs(5), exit.wait_for(Option::is_some)).await??;
    assert_eq!(*exit, Some(BrowserExit::Clean));
    drop(exit);
    let report = browser.close().await;
    assert!(report.complete, "{report:?}");
    Ok(())
}
