//! A fleet behind links that can be hurt.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use wharf_testkit::{Addresses, ApiClient, Audit, Fleet, FleetOptions, FleetWorker, Pids, Routes, Tenant};

use crate::dice::Dice;
use crate::link::Link;
use crate::run::Conditions;

/// Where the workers with fake browsers are.
pub const FAKE: &str = "us-west-2";
/// Where those with Chromium are.
pub const REAL: &str = "eu-central-1";

/// How many of each.
#[derive(Debug, Clone, Copy)]
pub struct Crew {
    pub apis: usize,
    pub gateways: usize,
    pub fakes: usize,
    pub reals: usize,
    /// Ready browsers of each worker. The first of two with fake browsers has none all the same: browsers that start for a
    /// session are named after it, those of a pool are not.
    pub warm: u32,
}

impl Crew {
    /// Three apis, two gateways, two workers with fake browsers and one with Chromium.
    pub const WHOLE: Self = Self {
        apis: 3,
        gateways: 2,
        fakes: 2,
        reals: 1,
        warm: 2,
    };
}

/// The fleet, its links and what watches it.
#[derive(Debug)]
pub struct Stage {
    pub fleet: Fleet,
    pub links: Links,
    pub audit: Audit,
    pooled: usize,
    _tools: TempDir,
}

/// Every way through the fleet.
#[derive(Debug)]
pub struct Links {
    /// Clients to each api.
    pub apis: Vec<Link>,
    /// Clients to any api, for the SDKs.
    pub any_api: Link,
    /// Clients to any gateway: what connectUrls name.
    pub gateways: Link,
    /// Each worker to any api.
    pub reports: Vec<Link>,
    /// Apis and gateways to each worker.
    pub workers: Vec<Link>,
}

impl Stage {
    /// Starts everything.
    pub async fn set(conditions: &Conditions, crew: Crew) -> anyhow::Result<Self> {
        Self::set_with(conditions, crew, &[]).await
    }

    /// The same, with further arguments for each worker.
    pub async fn set_with(conditions: &Conditions, crew: Crew, arguments: &[&str]) -> anyhow::Result<Self> {
        let tools = tempfile::Builder::new()
            .prefix("chaos-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()?;
        // Browsers run as a user that may not be able to enter the folder where this was built.
        let fake_browser = tools.path().join("fake-browser");
        std::fs::copy(&conditions.fake_browser, &fake_browser)?;
        let addresses = Addresses::reserve(crew.apis, crew.gateways, crew.fakes + crew.reals)?;
        let links = Links::to(&addresses, conditions.seed).await?;
        let mut workers = workers(crew, &fake_browser);
        for worker in &mut workers {
            worker
                .arguments
                .extend(arguments.iter().map(|&argument| argument.to_owned()));
        }
        let options = FleetOptions {
            binary: conditions.wharf.clone(),
            workers,
            api_arguments: Vec::new(),
        };
        let routes = links.routes(crew.gateways);
        let fleet = Fleet::start(options, addresses, &routes).await?;
        let audit = Audit::new(fleet.postgres.superuser_url());
        Ok(Self {
            fleet,
            links,
            audit,
            pooled: (crew.fakes + crew.reals) * crew.warm as usize,
            _tools: tools,
        })
    }

    /// A project with room for everything, unless said otherwise.
    pub async fn tenant(&self, name: &str, concurrency: i64) -> anyhow::Result<Tenant> {
        self.fleet.tenant(name, concurrency, 1_000_000).await
    }

    /// The processes of the workers, for whoever looks for browsers.
    pub fn worker_pids(&self) -> Vec<Pids> {
        self.fleet
            .workers
            .iter()
            .map(wharf_testkit::RoleProcess::pids)
            .collect()
    }

    /// Browsers that the fleet may have when no session is live.
    pub fn pooled(&self) -> usize {
        self.pooled
    }

    /// Ends everything in order; what is left of browsers afterwards is a violation.
    pub async fn strike(self) -> anyhow::Result<Vec<String>> {
        let pids = self.worker_pids();
        self.fleet.stop().await?;
        let browsers = crate::browsers::running(&pids);
        let mut left: Vec<String> = browsers
            .iter()
            .map(|browser| {
                format!(
                    "after the end of every worker, browser {} ({}) lives",
                    browser.pid, browser.name
                )
            })
            .collect();
        left.extend(
            crate::browsers::folders(&pids)
                .iter()
                .map(|folder| format!("after the end of every worker, {folder} is left")),
        );
        Ok(left)
    }
}

fn workers(crew: Crew, fake_browser: &Path) -> Vec<FleetWorker> {
    let worker = |browser: Option<PathBuf>, region: &str, slots, warm: u32| FleetWorker {
        slots,
        browser,
        // What is live at the end of a scenario is ended, not waited for.
        arguments: [
            "--region",
            region,
            "--warm",
            &warm.to_string(),
            "--drain-within",
            "1",
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    let fakes = (0..crew.fakes).map(|index| {
        let warm = if index == 0 && crew.fakes > 1 {
            0
        } else {
            crew.warm
        };
        worker(Some(fake_browser.to_owned()), FAKE, 1_000, warm)
    });
    let reals = (0..crew.reals).map(|_| worker(None, REAL, 8, crew.warm));
    fakes.chain(reals).collect()
}

impl Links {
    async fn to(addresses: &Addresses, seed: u64) -> anyhow::Result<Self> {
        let mut stream = 1_000;
        let mut dice = || {
            stream += 1;
            Dice::new(seed, stream)
        };
        let (mut apis, mut reports, mut workers) = (Vec::new(), Vec::new(), Vec::new());
        for address in &addresses.apis {
            apis.push(Link::to(vec![*address], dice()).await?);
        }
        for address in &addresses.workers {
            reports.push(Link::to(addresses.apis.clone(), dice()).await?);
            workers.push(Link::to(vec![*address], dice()).await?);
        }
        Ok(Self {
            apis,
            any_api: Link::to(addresses.apis.clone(), dice()).await?,
            gateways: Link::to(addresses.gateways.clone(), dice()).await?,
            reports,
            workers,
        })
    }

    fn routes(&self, gateways: usize) -> Routes {
        Routes {
            connect_url: format!("ws://{}", self.gateways.address()),
            api_of_gateway: vec![self.any_api.url(); gateways],
            api_of_worker: self.reports.iter().map(Link::url).collect(),
            advertised: self
                .workers
                .iter()
                .map(|link| link.address().to_string())
                .collect(),
        }
    }

    /// Every link.
    pub fn all(&self) -> impl Iterator<Item = &Link> {
        self.apis
            .iter()
            .chain([&self.any_api, &self.gateways])
            .chain(&self.reports)
            .chain(&self.workers)
    }
}

/// A session that was acknowledged.
#[derive(Debug, Clone)]
pub struct Created {
    pub id: String,
    pub connect_url: String,
}

/// Creates a session that must come about.
pub async fn create(client: &ApiClient, region: &str, keep_alive: bool) -> anyhow::Result<Created> {
    let body = json!({ "region": region, "keepAlive": keep_alive, "timeout": 1_800 });
    let answer = client.call(Method::POST, "/v1/sessions", Some(&body)).await?;
    if answer.status != 201 {
        bail!("a create was answered with {}: {}", answer.status, answer.body);
    }
    Ok(Created {
        id: answer.text("id").to_owned(),
        connect_url: answer.text("connectUrl").to_owned(),
    })
}

/// Asks for the end of a session.
pub async fn release(client: &ApiClient, id: &str) -> anyhow::Result<u16> {
    let body = json!({ "status": "REQUEST_RELEASE" });
    let answer = client
        .call(Method::POST, &format!("/v1/sessions/{id}"), Some(&body))
        .await?;
    Ok(answer.status)
}

/// How long until a session is no longer PENDING or RUNNING, as the API tells it, and what it is then.
pub async fn until_ended(
    client: &ApiClient,
    id: &str,
    since: Instant,
    within: Duration,
) -> anyhow::Result<(Duration, Value)> {
    let path = format!("/v1/sessions/{id}");
    loop {
        let answer = client.call(Method::GET, &path, None).await;
        let took = since.elapsed();
        match answer {
            Ok(answer)
                if answer.status == 200 && !["PENDING", "RUNNING"].contains(&answer.text("status")) =>
            {
                return Ok((took, answer.body));
            }
            _ if took > within => {
                return Err(answer.map_or_else(|error| error, |answer| anyhow::anyhow!("{}", answer.body)))
                    .with_context(|| format!("session {id} has not ended after {took:?}"));
            }
            // The moment is what is measured: there is no event to wait for.
            _ => sleep(Duration::from_millis(10)).await,
        }
    }
}
