//! Runs commands one after the other, says how long each took, and ends what they started when told to stop.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::signal::unix::{self, SignalKind, signal};

use crate::processes;

/// How long a step may take to end by itself after it was asked to.
const GRACE: Duration = Duration::from_secs(15);

/// One command of a run, under the name that the reader sees.
#[derive(Debug)]
pub struct Step {
    name: &'static str,
    command: Command,
}

impl Step {
    pub fn new(name: &'static str, command: Command) -> Self {
        Self { name, command }
    }
}

/// What has been run so far, and the signals that end it.
pub struct Run {
    started: Instant,
    done: Vec<(&'static str, Duration, bool)>,
    interrupt: unix::Signal,
    terminate: unix::Signal,
    child: unix::Signal,
}

impl Run {
    pub fn new() -> Result<Self> {
        processes::adopt_orphans()?;
        Ok(Self {
            started: Instant::now(),
            done: Vec::new(),
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// Runs the steps up to the first that fails.
    pub async fn all(&mut self, steps: Vec<Step>) -> Result<()> {
        for step in steps {
            self.step(step).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<()> {
        println!("\n=== {}", step.name);
        let started = Instant::now();
        let outcome = self.supervise(step.command).await;
        self.note(step.name, started, outcome.is_ok());
        outcome.with_context(|| format!("the step '{}' failed", step.name))
    }

    /// Records a part of the run that is no command.
    pub fn note(&mut self, name: &'static str, started: Instant, passed: bool) {
        let took = started.elapsed();
        println!(
            "=== {name}: {} in {:.1} s",
            if passed { "passed" } else { "FAILED" },
            took.as_secs_f64()
        );
        self.done.push((name, took, passed));
    }

    /// The command gets a process group of its own: a Ctrl-C reaches us alone, and we pass it on once, in order.
    async fn supervise(&mut self, mut command: Command) -> Result<()> {
        use std::os::unix::process::CommandExt;
        command.process_group(0).stdin(Stdio::null());
        let program = command.get_program().to_owned();
        let mut waited_for = processes::children();
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .context("a new process has a pid")?;
        waited_for.insert(pid);

        loop {
            tokio::select! {
                status = child.wait() => return judge(status.context("waiting for the step")?),
                _ = self.interrupt.recv() => break,
                _ = self.terminate.recv() => break,
                _ = self.child.recv() => processes::reap_orphans(&waited_for),
            }
        }
        println!("\ninterrupted; ending what was started");
        end(&mut child, pid).await;
        bail!("interrupted")
    }

    /// Waits until a child ends or the deadline passes; false when it passed.
    pub async fn child_ended_before(&mut self, deadline: Instant) -> bool {
        let ended = tokio::time::timeout_at(deadline.into(), self.child.recv())
            .await
            .is_ok();
        processes::reap_orphans(&Default::default());
        ended
    }

    /// The closing table.
    pub fn summarize(&self) {
        println!();
        for (name, took, passed) in &self.done {
            println!(
                "{name:<24} {:>8.1} s  {}",
                took.as_secs_f64(),
                if *passed { "passed" } else { "FAILED" }
            );
        }
        println!("{:<24} {:>8.1} s", "in all", self.started.elapsed().as_secs_f64());
    }
}

fn judge(status: ExitStatus) -> Result<()> {
    match status.success() {
        true => Ok(()),
        false => bail!("{status}"),
    }
}

/// Asks the step's whole group to end, and insists after the grace period.
async fn end(child: &mut Child, pid: i32) {
    let Some(group) = Pid::from_raw(pid) else { return };
    for (signal, patience) in [(Signal::TERM, GRACE), (Signal::KILL, GRACE)] {
        // The group may be gone already, which is all we want.
        let _ = kill_process_group(group, signal);
        if tokio::time::timeout(patience, child.wait()).await.is_ok() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_run_stops_at_the_first_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("reached");
        let steps = vec![
            Step::new("first", shell("true")),
            Step::new("second", shell("exit 3")),
            Step::new("third", shell(&format!("touch {}", mark.display()))),
        ];
        let mut run = Run::new().expect("signals");
        let error = run.all(steps).await.expect_err("the second step fails");
        assert_eq!(format!("{error:#}"), "the step 'second' failed: exit status: 3");
        assert!(!mark.exists());
        assert_eq!(
            run.done
                .iter()
                .map(|(name, _, passed)| (*name, *passed))
                .collect::<Vec<_>>(),
            [("first", true), ("second", false)]
        );
    }

    #[tokio::test]
    async fn a_step_that_ignores_its_own_group_leaves_an_orphan_that_we_adopt() {
        let mut run = Run::new().expect("signals");
        run.all(vec![Step::new("orphan", shell("setsid sleep 600 & exit 0"))])
            .await
            .expect("the step passes");
        let orphans = processes::descendants();
        assert_eq!(orphans.len(), 1, "{orphans:?}");
        orphans[0].kill();
        let deadline = Instant::now() + GRACE;
        while !processes::descendants().is_empty() {
            assert!(
                run.child_ended_before(deadline).await,
                "the orphan outlived a kill"
            );
        }
    }
}
