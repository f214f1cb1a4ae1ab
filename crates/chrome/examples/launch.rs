//! Launches browsers one after another and prints how long each step took.
//!
//! `launch [--runs N]` measures; `launch --hold FOLDER` starts one browser with its profile below
//! FOLDER, prints its process id, number of processes and bytes of memory, and waits to be killed.
#![expect(clippy::print_stdout, reason = "a measuring program prints its result")]

use std::path::Path;
use std::time::{Duration, Instant};
use wharf_chrome::{
    Browser, Isolation, LaunchOptions, Launcher, LauncherOptions, ProfileRoot, Sample, find_browser,
};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
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

fn launcher(profiles: ProfileRoot) -> Result<Launcher, Failure> {
    let options = LauncherOptions {
        binary: find_browser(None)?,
        isolation: Isolation::Process,
        profiles,
        user: "nobody".to_owned(),
    };
    Ok(Launcher::new(options)?)
}

fn options(name: String) -> LaunchOptions {
    LaunchOptions {
        name,
        viewport: None,
        ignore_certificate_errors: false,
        deadline: Duration::from_secs(30),
    }
}

async fn hold(folder: &Path) -> Result<(), Failure> {
    let browser = launcher(ProfileRoot::at(folder)?)?
        .launch(options("held".to_owned()))
        .await?;
    let sample = browser.sampler().sample().ok_or("the browser is gone")?;
    println!("{} {} {}", browser.pid(), sample.processes, sample.memory);
    browser.exited().await;
    Ok(())
}

async fn measure(runs: usize) -> Result<(), Failure> {
    let launcher = launcher(ProfileRoot::choose(&std::env::temp_dir())?)?;
    let [mut launch, mut sample, mut again, mut close] = [const { Vec::new() }; 4];
    for run in 0..runs {
        let started = Instant::now();
        let browser = launcher.launch(options(format!("run-{run}"))).await?;
        launch.push(started.elapsed());
        let used = time(&mut sample, &browser).await?;
        time(&mut again, &browser).await?;
        println!("{} {used:?}", browser.version());
        close.push(browser.close().await.took);
    }
    for (what, times) in [
        ("launch", launch),
        ("first sample", sample),
        ("next sample", again),
        ("close", close),
    ] {
        print_quantiles(what, times);
    }
    Ok(())
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
