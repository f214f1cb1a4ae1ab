//! What a new user sees: the address, the key, and something to paste.

use std::io::Write;
use std::path::Path;

use wharf_domain::{ApiKey, ProjectId};

use crate::limits::Held;

const UNPROTECTED: &str = "\n\x1b[1;31mBrowsers run without any sandbox (--isolation none): open only pages that you trust.\x1b[0m\n";

const PUBLIC: &str = "Pages reach public addresses only.";
const PRIVATE: &str = "Pages reach this machine's localhost and private networks as well; --egress-deny-private keeps them out.";
const UNJAILED: &str =
    "Pages reach whatever this machine reaches, its loopback included: browsers have no jail.";

/// What pages reach, and what stands around them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pages {
    /// In a jail, with public addresses only.
    Public,
    /// In a jail, with private addresses too.
    Private,
    /// Without a jail.
    Unjailed,
    /// Without anything.
    Unprotected,
}

/// Prints it to standard output; log lines go to standard error. Nobody may be listening there any more, which is no
/// reason to stop.
pub(super) fn print(base_url: &str, project: ProjectId, key: &ApiKey, env: &Path, pages: Pages, held: &Held) {
    let (reach, warning) = match pages {
        Pages::Public => (PUBLIC, ""),
        Pages::Private => (PRIVATE, ""),
        Pages::Unjailed => (UNJAILED, ""),
        Pages::Unprotected => (UNJAILED, UNPROTECTED),
    };
    let text = text(
        base_url,
        project,
        key,
        env,
        &format!("{reach}\nEach session may have {held}."),
    );
    if let Err(error) = writeln!(std::io::stdout(), "{text}{warning}") {
        tracing::warn!(%error, "standard output is closed; the address and the key are in {}", env.display());
    }
}

fn text(base_url: &str, project: ProjectId, key: &ApiKey, env: &Path, reach: &str) -> String {
    let key = key.expose();
    format!(
        r#"
Wharf is ready.

  API       {base_url}
  API key   {key}
  Project   {project}
  Docs      {base_url}/docs
  These as NAME=value lines: {env}

Python (pip install browserbase playwright)

  from browserbase import Browserbase
  from playwright.sync_api import sync_playwright
  session = Browserbase(api_key="{key}", base_url="{base_url}").sessions.create(project_id="{project}")
  with sync_playwright() as playwright:
      print(playwright.chromium.connect_over_cdp(session.connect_url).contexts[0].pages[0].goto("{base_url}/docs/"))

Node (npm install @browserbasehq/sdk puppeteer-core, in a .mjs file)

  import {{ Browserbase }} from "@browserbasehq/sdk";
  import puppeteer from "puppeteer-core";
  const session = await new Browserbase({{ apiKey: "{key}", baseURL: "{base_url}" }}).sessions.create({{ projectId: "{project}" }});
  const browser = await puppeteer.connect({{ browserWSEndpoint: session.connectUrl }});
  console.log(await browser.version(), await browser.close());

{reach}
Ctrl-C stops it; keys and data stay.
"#,
        env = env.display()
    )
}
