//! From nothing to a browser that answers: started directly, and through Wharf.

use std::path::Path;
use std::time::{Duration, Instant};

use wharf_chrome::{
    Browser, InitProgram, Isolation, LaunchOptions, Launcher, LauncherOptions, Limits, ProfileRoot,
    find_browser,
};

use crate::figure::{Comparison, Figure, Unit};
use crate::samples::Samples;
use crate::wharf::Wharf;

/// What Wharf may add to a bare launch at the median, in milliseconds.
const ADDED_AT_MOST: f64 = 15.0;
const LAUNCH_WITHIN: Duration = Duration::from_secs(30);
/// The first launches read Chromium from disk.
const WARM_UPS: usize = 3;
/// The user that `wharf up` runs browsers as, when it is root's.
const BROWSER_USER: &str = "nobody";

/// Starts browsers as Wharf's worker does: same binary, flags, sandbox, user and place for profiles.
#[derive(Debug)]
pub struct Bare {
    launcher: Launcher,
    started: u32,
}

impl Bare {
    /// In jails, whose first process is this Wharf's.
    pub fn jailed(disk: &Path, wharf: &Path) -> anyhow::Result<Bare> {
        Bare::behind(Isolation::Jail(InitProgram::at(wharf)), disk)
    }

    /// Outside of jails, so that anybody on this machine can connect to them.
    pub fn reachable(disk: &Path) -> anyhow::Result<Bare> {
        Bare::behind(Isolation::Process, disk)
    }

    fn behind(isolation: Isolation, disk: &Path) -> anyhow::Result<Bare> {
        let launcher = Launcher::new(LauncherOptions {
            binary: find_browser(None)?,
            isolation,
            profiles: ProfileRoot::choose(disk)?,
            user: BROWSER_USER.to_owned(),
            limits: Limits::default(),
        })?;
        Ok(Bare { launcher, started: 0 })
    }

    /// Starts a browser and waits until it answers.
    pub async fn launch(&mut self) -> anyhow::Result<Browser> {
        self.started += 1;
        let options = LaunchOptions {
            name: format!("bare-{}", self.started),
            viewport: None,
            ignore_certificate_errors: false,
            trusted: Vec::new(),
            deadline: LAUNCH_WITHIN,
        };
        Ok(self.launcher.launch(options).await?)
    }
}

/// Launches of both kinds.
#[derive(Debug, Default)]
struct Launches {
    bare: Samples,
    created: Samples,
}

/// Measures `rounds` of each in turn; one browser at a time lives on the machine.
pub async fn measure(wharf: &Wharf, bare: &mut Bare, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let mut launches = Launches::default();
    for _ in 0..WARM_UPS {
        bare_launch(bare).await?;
        created_session(wharf).await?;
    }
    for round in 0..rounds {
        // Who goes first changes, so that following the other is nobody's lot.
        if round % 2 == 0 {
            launches.bare.push(bare_launch(bare).await?);
            launches.created.push(created_session(wharf).await?);
        } else {
            launches.created.push(created_session(wharf).await?);
            launches.bare.push(bare_launch(bare).await?);
        }
    }
    Ok(vec![
        figure(
            "POST to 201, against a bare launch: p50",
            &launches,
            50,
            Some(ADDED_AT_MOST),
        ),
        figure("POST to 201, against a bare launch: p95", &launches, 95, None),
    ])
}

async fn bare_launch(bare: &mut Bare) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let browser = bare.launch().await?;
    let took = started.elapsed();
    browser.close().await;
    Ok(took)
}

async fn created_session(wharf: &Wharf) -> anyhow::Result<Duration> {
    let (session, took) = wharf.create().await?;
    wharf.release(&session).await?;
    Ok(took)
}

fn figure(name: &'static str, launches: &Launches, percent: usize, at_most: Option<f64>) -> Figure {
    let milliseconds = |samples: &Samples| samples.percentile(percent).as_secs_f64() * 1e3;
    Figure {
        name,
        unit: Unit::Milliseconds,
        samples: launches.bare.count(),
        direct: None,
        limit: Some(milliseconds(&launches.bare)),
        wharf: milliseconds(&launches.created),
        comparison: Comparison::Difference,
        at_most,
    }
}
