//! Launches browsers one after another and prints how long each step took.
//!
//! `launch [--runs N]` measures, outside of jails and in them in turn; `launch --hold FOLDER` starts one browser with its profile below
//! FOLDER, prints its process id, number of processes and bytes of memory, and waits to be killed.
#![expect(clippy::print_stdout, reason = "a measuring program prints its result")]

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wharf_chrome::{
    Browser, InitProgram, Isolation, LaunchOptions, Launcher, LauncherOptions, Limits, ProfileRoot, Sample,
    find_browser,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    if let Some(code) = wharf_chrome::init_if_asked() {
        return code;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let position = arguments.iter().position(|argument| argument == name)?;
        arguments.get(position + 1).cloned()
    };
    match value("--hold") {
        Some(folder) => hold(Path::new(&folder)).await,
        None => measure(value("--runs").as_deref().unwrap_or("20").parse()?).await,
    }
}

fn launcher(isolation: Isolation, profiles: ProfileRoot) -> Result<Launcher, Failure> {
    let options = LauncherOptions {
        binary: find_browser(None)?,
        isolation,
        profiles,
        user: "nobody".to_owned(),
        limits: Limits::default(),
    };
    Ok(Launcher::new(options)?)
}

fn options(name: String) -> LaunchOptions {
    LaunchOptions {
        name,
        viewport: None,
        ignore_certificate_errors: false,
        trusted: Vec::new(),
        deadline: Duration::from_secs(30),
    }
}

async fn hold(folder: &Path) -> Result<(), Failure> {
    let browser = launcher(Isolation::Process, ProfileRoot::at(folder)?)?
        .launch(options("held".to_owned()))
        .await?;
    let sample = browser.sampler().sample().ok_or("the browser is gone")?;
    println!("{} {} {}", browser.pid(), sample.processes, sample.memory);
    browser.exited().await;
    Ok(())
}

async fn measure(runs: usize) -> Result<(), Failure> {
    let profiles = || ProfileRoot::choose(&std::env::temp_dir());
    let mut bare = Measured::of(launcher(Isolation::Process, profiles()?)?);
    let mut jailed = Measured::of(launcher(Isolation::Jail(InitProgram::own()?), profiles()?)?);
    for run in 0..runs {
        bare.run(run).await?;
        jailed.run(run).await?;
    }
    bare.print("outside of a jail");
    jailed.print("in a jail");
    Ok(())
}

/// Launches of one kind, and how long each step took.
struct Measured {
    launcher: Launcher,
    launch: Vec<Duration>,
    sample: Vec<Duration>,
    again: Vec<Duration>,
    close: Vec<Duration>,
}

impl Measured {
    fn of(launcher: Launcher) -> Measured {
        Measured {
            launcher,
            launch: Vec::new(),
            sample: Vec::new(),
            again: Vec::new(),
            close: Vec::new(),
        }
    }

    async fn run(&mut self, run: usize) -> Result<(), Failure> {
        let started = Instant::now();
        let browser = self.launcher.launch(options(format!("run-{run}"))).await?;
        self.launch.push(started.elapsed());
        let used = time(&mut self.sample, &browser).await?;
        time(&mut self.again, &browser).await?;
        println!("{} {used:?}", browser.version());
        self.close.push(browser.close().await.took);
        Ok(())
    }

    fn print(self, kind: &str) {
        println!("{kind}");
        print_quantiles("launch", self.launch);
        print_quantiles("first sample", self.sample);
        print_quantiles("next sample", self.again);
        print_quantiles("close", self.close);
    }
}

async fn time(times: &mut Vec<Duration>, browser: &Browser) -> Result<Option<Sample>, Failure> {
    let sampler = browser.sampler();
    let sample = move || {
        let started = Instant::now();
        (sampler.sample(), started.elapsed())
    };
    let (sample, taken) = tokio::task::spawn_blocking(sample).await?;
    times.push(taken);
    Ok(sample)
}

fn print_quantiles(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let quantile =
        |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    println!(
        "{what}: n {} p50 {:?} p95 {:?}",
        times.len(),
        quantile(50),
        quantile(95)
    );
}
