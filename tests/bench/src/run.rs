//! One run, from start to the last trace of it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wharf_domain::{Clock, SystemClock};

use crate::bare_create::BareCreate;
use crate::figure::Figure;
use crate::launch::{self, Bare};
use crate::machine::Machine;
use crate::report::Report;
use crate::warm;
use crate::wharf::{self, Wharf};
use crate::wire::{self, Effort};

/// How thoroughly to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Some four minutes.
    Full,
    /// Under a minute.
    Short,
}

/// How a run came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every target is met.
    Met,
    /// One is not.
    Missed,
    /// Somebody had enough; nothing was written.
    Interrupted,
}

impl Form {
    fn launches(self) -> usize {
        match self {
            Form::Full => 100,
            Form::Short => 20,
        }
    }

    fn warm_creates(self) -> u32 {
        match self {
            Form::Full => 100,
            Form::Short => 20,
        }
    }

    fn effort(self) -> Effort {
        match self {
            Form::Full => Effort {
                rounds: 5,
                calls: 3_000,
                evaluations: 1_000,
                large_messages: 40,
                pipelines: 4,
            },
            Form::Short => Effort {
                rounds: 3,
                calls: 3_000,
                evaluations: 300,
                large_messages: 10,
                pipelines: 2,
            },
        }
    }
}

/// What the measuring itself finds out.
struct Findings {
    browser: String,
    figures: Vec<Figure>,
}

/// Starts Wharf, measures, ends everything, prints the table and writes the JSON.
pub async fn run(form: Form, wharf: Option<PathBuf>, json: &Path) -> anyhow::Result<Outcome> {
    // From here on a signal no longer ends this process by itself, so that nothing is left behind.
    let mut stop = StopSignals::listen()?;
    let binary = wharf::binary(wharf)?;
    let began = SystemClock.now();
    let machine = Machine::look().await?;
    // The limit of a launch is a launch, so here every session starts a browser.
    let cold = Wharf::start(&binary, 0).await?;
    let measured = until(&mut stop, measure(&cold, &binary, form)).await;
    let Some(Findings { browser, mut figures }) = ended(cold, measured).await? else {
        return Ok(Outcome::Interrupted);
    };
    progress("creates with a browser that is ready");
    let warm = Wharf::start(&binary, warm::BROWSERS).await?;
    let measured = until(&mut stop, measure_warm(&warm, form)).await;
    let Some(creates) = ended(warm, measured).await? else {
        return Ok(Outcome::Interrupted);
    };
    figures.splice(0..0, creates);
    let report = Report {
        began,
        machine,
        browser,
        wharf: version(&binary).await?,
        figures,
    };
    publish(&report, json)?;
    Ok(if report.misses() {
        Outcome::Missed
    } else {
        Outcome::Met
    })
}

/// `None` when somebody had enough first.
async fn until<T>(
    stop: &mut StopSignals,
    measured: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    tokio::select! {
        measured = measured => measured.map(Some),
        () = stop.next() => Ok(None),
    }
}

/// Ends Wharf whatever came out; what was measured is the better news of two failures.
async fn ended<T>(wharf: Wharf, measured: anyhow::Result<Option<T>>) -> anyhow::Result<Option<T>> {
    let stopped = wharf.stop().await;
    let measured = measured?;
    stopped?;
    Ok(measured)
}

async fn measure(wharf: &Wharf, binary: &Path, form: Form) -> anyhow::Result<Findings> {
    let mut jailed = Bare::jailed(&wharf.scratch_folder(), binary)?;
    let browser = jailed.launch().await?;
    let version = browser.version().to_owned();
    browser.close().await;
    progress("launches");
    let mut figures = launch::measure(wharf, &mut jailed, form.launches()).await?;
    let mut bare = Bare::reachable(&wharf.scratch_folder())?;
    progress("round trips");
    figures.extend(wire::measure(wharf, &mut bare, form.effort()).await?);
    Ok(Findings {
        browser: version,
        figures,
    })
}

async fn measure_warm(wharf: &Wharf, form: Form) -> anyhow::Result<Vec<Figure>> {
    let bare = BareCreate::start(&wharf.scratch_folder()).await?;
    let measured = warm::measure(wharf, &bare, form.warm_creates()).await;
    bare.end().await?;
    measured
}

#[expect(
    clippy::print_stderr,
    reason = "says what takes so long; the result goes to standard output"
)]
fn progress(what: &str) {
    eprintln!("measuring {what}");
}

#[expect(clippy::print_stdout, reason = "the result")]
fn publish(report: &Report, json: &Path) -> anyhow::Result<()> {
    print!("\n{}\n", report.table(std::io::stdout().is_terminal()));
    let text = report.json()?;
    if let Some(folder) = json.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    std::fs::write(json, text).with_context(|| format!("{} cannot be written", json.display()))?;
    println!("written to {}", json.display());
    Ok(())
}

async fn version(binary: &Path) -> anyhow::Result<String> {
    let output = Command::new(binary).arg("--version").output().await?;
    ensure!(
        output.status.success(),
        "{} does not tell its version",
        binary.display()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Ctrl-C, and the request to end that a supervisor sends.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> anyhow::Result<StopSignals> {
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
