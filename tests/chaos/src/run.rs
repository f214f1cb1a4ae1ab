//! One run: the scenarios one after the other, and what is printed and kept of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use crate::outcome::Outcome;
use crate::scenarios::{self, Scenario};

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// Length of the mixed run in its full form.
    pub minutes: u64,
    /// The form of three minutes.
    pub short: bool,
    /// Names of scenarios; all without.
    pub only: Vec<String>,
    /// Where the result goes.
    pub json: PathBuf,
    /// The binary; beside this program without.
    pub wharf: Option<PathBuf>,
}

/// What every scenario is given.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// The form of three minutes.
    pub short: bool,
    /// Length of the mixed run in its full form.
    pub minutes: u64,
    /// The `wharf` to run.
    pub wharf: PathBuf,
    /// The browser for volume.
    pub fake_browser: PathBuf,
}

impl Conditions {
    /// One of two, by the form.
    pub fn choose<T>(&self, short: T, full: T) -> T {
        if self.short { short } else { full }
    }

    /// How far a time may be above its bar. The short form runs in the test suite: a debug build, on whatever machine and
    /// whatever else that does. It looks for broken promises; the bars are the full form's.
    const fn room(&self) -> f64 {
        if self.short { 4.0 } else { 1.0 }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    seed: u64,
    form: &'static str,
    binary: String,
    seconds: f64,
    good: bool,
    scenarios: Vec<Told>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    name: &'static str,
    seconds: f64,
    good: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Runs what was asked for; whether every promise was kept.
pub async fn run(settings: Settings) -> anyhow::Result<bool> {
    let chosen = choose(&settings.only)?;
    let context = context(&settings)?;
    let started = Instant::now();
    say(&format!(
        "seed {}, {} form, {}",
        settings.seed,
        if settings.short { "short" } else { "full" },
        context.wharf.display()
    ));
    let mut told = Vec::new();
    for scenario in chosen {
        told.push(one(scenario, &context).await);
    }
    let good = told.iter().all(|told| told.good);
    summarise(&told, settings.seed, started.elapsed());
    let report = Report {
        seed: settings.seed,
        form: if settings.short { "short" } else { "full" },
        binary: context.wharf.display().to_string(),
        seconds: started.elapsed().as_secs_f64(),
        good,
        scenarios: told,
    };
    write(&settings.json, &report)?;
    Ok(good)
}

async fn one(scenario: &Scenario, context: &Conditions) -> Told {
    say(&format!("\n=== {}: {}", scenario.name, scenario.about));
    let started = Instant::now();
    let (outcome, error) = match (scenario.run)(context.clone()).await {
        Ok(outcome) => (outcome, None),
        Err(error) => (Outcome::default(), Some(format!("{error:#}"))),
    };
    let told = Told {
        name: scenario.name,
        seconds: started.elapsed().as_secs_f64(),
        good: error.is_none() && outcome.is_good(context.room()),
        error,
        outcome,
    };
    for figure in &told.outcome.figures {
        let verdict = match figure.kept {
            _ if figure.bar.is_empty() => "   ",
            true => "ok ",
            false if figure.holds(context.room()) => "?? ",
            false => "NO ",
        };
        say(&format!(
            "{verdict} {:<58} {}   [{}; {} runs]",
            figure.name, figure.value, figure.bar, figure.runs
        ));
    }
    for violation in &told.outcome.violations {
        say(&format!("VIOLATION {violation}"));
    }
    if let Some(error) = &told.error {
        say(&format!("FAILED {error}"));
    }
    told
}

fn summarise(told: &[Told], seed: u64, took: Duration) {
    say("");
    for told in told {
        let faults: usize = told.outcome.faults.values().sum();
        say(&format!(
            "{} {:<20} {:>6.1} s  {:>5} faults  {:>6} creates  {:>6} sessions  {} violations",
            if told.good { "ok " } else { "NO " },
            told.name,
            told.seconds,
            faults,
            told.outcome.creates,
            told.outcome.sessions,
            told.outcome.violations.len(),
        ));
        for (kind, count) in &told.outcome.faults {
            say(&format!("       {count:>5} x {kind}"));
        }
    }
    let violations: usize = told.iter().map(|told| told.outcome.violations.len()).sum();
    let missed = told
        .iter()
        .flat_map(|told| &told.outcome.figures)
        .filter(|figure| !figure.kept)
        .count();
    let failed = told.iter().filter(|told| told.error.is_some()).count();
    say(&format!(
        "\n{} scenarios in {:.0} s, seed {seed}: {violations} violations, {missed} bars missed, {failed} not finished",
        told.len(),
        took.as_secs_f64()
    ));
}

fn choose(only: &[String]) -> anyhow::Result<Vec<&'static Scenario>> {
    let unknown = only
        .iter()
        .find(|name| !scenarios::ALL.iter().any(|scenario| scenario.name == **name));
    if let Some(unknown) = unknown {
        bail!("no scenario is called {unknown:?}; --list names them");
    }
    let chosen = |scenario: &&Scenario| only.is_empty() || only.iter().any(|name| name == scenario.name);
    Ok(scenarios::ALL.iter().filter(chosen).collect())
}

fn context(settings: &Settings) -> anyhow::Result<Conditions> {
    let own = std::env::current_exe()?;
    let beside = own.parent().context("a program lies in a folder")?;
    let wharf = settings.wharf.clone().unwrap_or_else(|| beside.join("wharf"));
    let fake_browser = beside.join("wharf-fake-browser");
    for binary in [&wharf, &fake_browser] {
        ensure!(
            binary.is_file(),
            "{} is not there; build it, or start this with `make chaos`",
            binary.display()
        );
    }
    Ok(Conditions {
        seed: settings.seed,
        short: settings.short,
        minutes: settings.minutes,
        wharf: wharf.canonicalize()?,
        fake_browser,
    })
}

fn write(path: &PathBuf, report: &Report) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, serde_json::to_string_pretty(report)? + "\n")
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Progress and results, for whoever looks.
pub fn say(line: &str) {
    #[expect(
        clippy::print_stdout,
        reason = "a command line tool speaks on standard output"
    )]
    {
        println!("{line}");
    }
}
