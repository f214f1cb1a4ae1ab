//! The browsers of a worker, as its flags describe them. `up` and `worker` have these in common.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use wharf_chrome::{
    BrowserBinary, InitProgram, Isolation, LaunchOptions, Launcher, LauncherOptions, ProfileRoot, Wall,
};
use wharf_domain::Region;
use wharf_egress::PrivateAddresses;
use wharf_worker::{BadPool, BuiltInProxy, Chromiums, ProxyPool, WarmOptions};

use crate::ad_lists::AdListArguments;
use crate::egress::EgressArguments;
use crate::limits::{Held, SessionLimits};

const EXAMINED_WITHIN: Duration = Duration::from_secs(30);
/// What a session may need of the machine's memory before it counts as full: a busy page, not an idle one.
const MEMORY_PER_SESSION: u64 = 512 << 20;

/// Which browsers, where and how many.
#[derive(Debug, Args)]
pub(crate) struct BrowserArguments {
    /// The regions to serve; all four without.
    #[arg(long = "region", value_name = "NAME", num_args = 1..)]
    regions: Vec<Region>,
    /// Sessions that can run at once; by default, one for each 512 MiB of the machine's memory.
    #[arg(long)]
    slots: Option<u32>,
    /// Browsers that wait for a session, ready, so that a create takes milliseconds; 0 starts each when it is asked for.
    /// By default, one a core and two at least, as far as an eighth of the free memory holds them at 256 MiB each.
    #[arg(long, value_name = "N")]
    warm: Option<u32>,
    /// How many seconds a browser may wait before another takes its place.
    #[arg(long, value_name = "SECONDS", default_value_t = WarmOptions::MAX_AGE.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    warm_age: u64,
    /// The Chromium to run; found on the machine without.
    #[arg(long, env = "WHARF_CHROMIUM")]
    chromium: Option<PathBuf>,
    /// The user that browsers run as, when this process is root's.
    #[arg(long, default_value = "nobody")]
    browser_user: String,
    /// What stands between a page and this machine.
    #[arg(long, value_enum, default_value_t = IsolationLevel::Jail)]
    isolation: IsolationLevel,
    /// A file of upstream proxies, for sessions that ask for a proxy without naming one of their own.
    #[arg(long, value_name = "FILE", value_parser = proxy_pool)]
    proxy_pool: Option<ProxyPool>,
    #[command(flatten)]
    egress: EgressArguments,
    #[command(flatten)]
    limits: SessionLimits,
    #[command(flatten)]
    ad_lists: AdListArguments,
}

/// What stands between a page and the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum IsolationLevel {
    /// Chromium's own sandbox in namespaces of its own, which hold nothing of this machine and have one way out: ours.
    Jail,
    /// Chromium's own sandbox. Pages reach every network that this machine does.
    Process,
    /// Nothing: for machines that forbid sandboxes, and pages that you wrote yourself.
    None,
}

impl BrowserArguments {
    /// Looks for Chromium. Worth doing before anything slow.
    pub(crate) fn find(&self) -> anyhow::Result<BrowserBinary> {
        Ok(wharf_chrome::find_browser(self.chromium.as_deref())?)
    }

    /// Starts browsers of this binary, which reach what the flags and `private` allow; tells what limits hold. Outside of jails,
    /// profiles are in memory or below `profiles`. Without a pool of proxies, sessions are offered `built_in`.
    pub(crate) async fn start(
        &self,
        binary: BrowserBinary,
        profiles: &Path,
        private: PrivateAddresses,
        built_in: BuiltInProxy,
    ) -> anyhow::Result<(Chromiums, Held)> {
        let launcher = self.launcher(binary, profiles).await?;
        let held = self.held(&launcher);
        tracing::info!("each session may have {held}");
        let addresses = self.egress.addresses(private)?;
        let built_in = self.proxy_pool.clone().map_or(built_in, BuiltInProxy::Pool);
        let browsers = Chromiums::new(launcher, addresses, built_in).with_ad_lists(self.ad_lists.lists()?);
        Ok((browsers, held))
    }

    /// Starts one browser, and looks at what stands around it.
    pub(crate) async fn examine(
        &self,
        binary: BrowserBinary,
        profiles: &Path,
    ) -> anyhow::Result<(String, Vec<Wall>, Held)> {
        let launcher = self.launcher(binary, profiles).await?;
        let options = LaunchOptions {
            name: "doctor".to_owned(),
            viewport: None,
            ignore_certificate_errors: false,
            trusted: Vec::new(),
            deadline: EXAMINED_WITHIN,
        };
        let browser = launcher.launch(options).await?;
        let held = self.held(&launcher);
        let seen = (browser.version().to_owned(), browser.walls(), held);
        browser.close().await;
        Ok(seen)
    }

    /// Tries out whether a jail can stand before anybody waits for a browser.
    async fn launcher(&self, binary: BrowserBinary, profiles: &Path) -> anyhow::Result<Arc<Launcher>> {
        std::fs::create_dir_all(profiles)?;
        let isolation = match self.isolation {
            IsolationLevel::Jail => Isolation::Jail(InitProgram::own()?),
            IsolationLevel::Process => Isolation::Process,
            IsolationLevel::None => Isolation::None,
        };
        let launcher = Launcher::new(LauncherOptions {
            binary,
            isolation,
            profiles: ProfileRoot::choose(profiles)?,
            user: self.browser_user.clone(),
            limits: self.limits.limits(),
        })?;
        launcher.check().await?;
        Ok(Arc::new(launcher))
    }

    fn held(&self, launcher: &Launcher) -> Held {
        Held {
            limits: launcher.limits(),
            enforcement: launcher.enforcement(),
            jailed: self.jailed(),
        }
    }

    /// Whether pages run with nothing between them and the machine.
    pub(crate) fn unprotected(&self) -> bool {
        self.isolation == IsolationLevel::None
    }

    /// Whether browsers are in jails.
    pub(crate) fn jailed(&self) -> bool {
        self.isolation == IsolationLevel::Jail
    }

    /// The regions to serve.
    pub(crate) fn regions(&self) -> Vec<Region> {
        match self.regions.as_slice() {
            [] => Region::ALL.to_vec(),
            regions => regions.to_vec(),
        }
    }

    /// Browsers that wait for a session.
    pub(crate) fn warm(&self) -> WarmOptions {
        let by_default = || wharf_worker::default_warm().min(self.slots());
        WarmOptions {
            size: self.warm.unwrap_or_else(by_default),
            max_age: Duration::from_secs(self.warm_age),
        }
    }

    /// Sessions at once.
    pub(crate) fn slots(&self) -> u32 {
        self.slots.unwrap_or_else(slots_by_memory)
    }
}

/// Read with the arguments, so that a mistake is told at once.
fn proxy_pool(path: &str) -> Result<ProxyPool, BadPool> {
    ProxyPool::read(Path::new(path))
}

/// As many sessions as fit into the machine's memory, and one at least.
fn slots_by_memory() -> u32 {
    u32::try_from(machine_memory() / MEMORY_PER_SESSION)
        .unwrap_or(u32::MAX)
        .clamp(1, 200)
}

/// Of this machine, in bytes.
pub(crate) fn machine_memory() -> u64 {
    let machine = rustix::system::sysinfo();
    #[expect(
        clippy::useless_conversion,
        reason = "the width of these fields depends on the machine"
    )]
    let memory = u64::from(machine.totalram) * u64::from(machine.mem_unit);
    memory
}
