//! What advertisements are, as flags say it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use wharf_worker::AdLists;

/// Where EasyList lies in Debian's package of an ad blocker.
const IN_PACKAGES: [&str; 2] = [
    "/usr/share/chromium/extensions/ublock-origin/assets/thirdparties/easylist/easylist.txt",
    "/usr/share/webext/ublock-origin/assets/thirdparties/easylist/easylist.txt",
];

/// Lists of rules.
#[derive(Debug, Args)]
pub(crate) struct AdListArguments {
    /// What `blockAds` keeps out: files with rules as ad blockers have them. By default, the EasyList that scripts/setup
    /// has fetched, or that of Debian's webext-ublock-origin-chromium.
    #[arg(long = "ad-list", value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,
}

impl AdListArguments {
    /// The lists, unread.
    ///
    /// # Errors
    /// A named one is not there.
    pub(crate) fn lists(&self) -> anyhow::Result<AdLists> {
        for file in &self.files {
            std::fs::metadata(file).with_context(|| format!("--ad-list {}", file.display()))?;
        }
        Ok(AdLists::of(match self.files.as_slice() {
            [] => by_default().into_iter().collect(),
            files => files.to_vec(),
        }))
    }
}

fn by_default() -> Option<PathBuf> {
    let packaged = IN_PACKAGES.map(PathBuf::from);
    fetched().into_iter().chain(packaged).find(|path| path.is_file())
}

/// Where scripts/setup puts it.
fn fetched() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    Some(cache.or_else(home)?.join("wharf/easylist.txt"))
}
