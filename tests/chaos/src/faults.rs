//! Faults at random, each with its end, from a seed. Also the fleet's supervisor: what ends by itself is started again.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::sleep;

use crate::browsers;
use crate::dice::Dice;
use crate::link::Weather;
use crate::outcome::Outcome;
use crate::run::say;
use crate::stage::Stage;

const TICK: Duration = Duration::from_millis(100);
const SUPERVISED_EVERY: Duration = Duration::from_secs(1);
/// What a role may say and end that starts while another is away. Anything else is a defect.
const EXCUSES: [&str; 2] = ["the database cannot be opened", "could not register at"];

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Api(usize),
    Gateway(usize),
    Worker(usize),
}

/// Which link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Api(usize),
    Gateways,
    Report(usize),
    Worker(usize),
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill(Role),
    Pause(Role),
    Cut(Way),
    Slow(Way),
    CutAnswers(Way),
    KillBrowser,
    CrashPostgres,
    Outage,
}

/// What ends it.
#[derive(Debug, Clone, Copy)]
enum Recovery {
    Start(Role),
    Resume(Role),
    Fair(Way),
    StartPostgres,
}

/// Faults under way, and those to come.
#[derive(Debug)]
pub struct Faults {
    dice: Dice,
    due: Vec<(Instant, Recovery)>,
    long_outage: Duration,
    outage_done: bool,
    supervised: Instant,
}

impl Faults {
    /// Faults of this seed, with one outage of this length.
    pub fn new(seed: u64, long_outage: Duration) -> Self {
        Self {
            dice: Dice::new(seed, 1),
            due: Vec::new(),
            long_outage,
            outage_done: false,
            supervised: Instant::now(),
        }
    }

    /// Injects until `end`.
    pub async fn run_until(
        &mut self,
        end: Instant,
        stage: &mut Stage,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let middle = started + (end - started) / 2;
        let mut next = started + Duration::from_secs(3);
        while Instant::now() < end {
            sleep(TICK).await;
            self.recover(stage).await?;
            self.supervise(stage, outcome)?;
            let now = Instant::now();
            if !self.outage_done && now > middle && stage.fleet.postgres.is_running() {
                self.outage_done = true;
                self.inject(Fault::Outage, stage, outcome).await?;
            } else if now > next {
                let fault = self.draw(stage);
                self.inject(fault, stage, outcome).await?;
                next = now
                    + self
                        .dice
                        .between(Duration::from_millis(500), Duration::from_secs(4));
            }
        }
        Ok(())
    }

    /// Ends every fault, and waits until everything serves again.
    pub async fn heal(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        let now = Instant::now();
        self.due.iter_mut().for_each(|(at, _)| *at = now);
        stage.links.all().for_each(|link| link.set(Weather::Fair));
        stage.fleet.postgres.start().await?;
        self.recover(stage).await?;
        for role in stage.fleet.roles() {
            if role.is_paused() {
                role.resume()?;
            }
            // One that ended meanwhile is started again.
            role.ended()?;
            if role.pid().is_none() {
                role.spawn()?;
            }
        }
        for role in stage.fleet.roles() {
            role.ready().await?;
        }
        Ok(())
    }

    fn draw(&self, stage: &Stage) -> Fault {
        let role = |share: usize| match share {
            0..3 => Role::Api(self.dice.below(stage.fleet.apis.len())),
            3..5 => Role::Gateway(self.dice.below(stage.fleet.gateways.len())),
            _ => Role::Worker(self.dice.below(stage.fleet.workers.len())),
        };
        let way = match self.dice.below(4) {
            0 => Way::Api(self.dice.below(stage.links.apis.len())),
            1 => Way::Gateways,
            2 => Way::Report(self.dice.below(stage.links.reports.len())),
            _ => Way::Worker(self.dice.below(stage.links.workers.len())),
        };
        match self.dice.below(100) {
            0..25 => Fault::Kill(role(self.dice.below(9))),
            25..40 => Fault::Pause(role([0, 8][self.dice.below(2)])),
            40..50 => Fault::Cut(way),
            50..60 => Fault::Slow(way),
            60..70 => Fault::CutAnswers(way),
            70..90 => Fault::KillBrowser,
            _ => Fault::CrashPostgres,
        }
    }

    async fn inject(&mut self, fault: Fault, stage: &mut Stage, outcome: &mut Outcome) -> anyhow::Result<()> {
        let (dice, short) = (&self.dice, |most| {
            self.dice
                .between(Duration::from_millis(100), Duration::from_secs(most))
        });
        let recoveries = match fault {
            Fault::Kill(role) | Fault::Pause(role) if !self.is_up(role, stage) => return Ok(()),
            Fault::Kill(role) => {
                process(role, stage).kill().await?;
                outcome.fault(&format!("kill -9 of {}", kind(role)), 1);
                vec![(short(8), Recovery::Start(role))]
            }
            Fault::Pause(role) => {
                process(role, stage).pause()?;
                outcome.fault(&format!("pause of {}", kind(role)), 1);
                let most = if matches!(role, Role::Worker(_)) { 70 } else { 20 };
                let length = dice.between(Duration::from_secs(1), Duration::from_secs(most));
                vec![(length, Recovery::Resume(role))]
            }
            Fault::Cut(way) => self.weather(way, Weather::Cut, "cut link", short(10), stage, outcome),
            Fault::Slow(way) => {
                let delay = dice.between(Duration::from_millis(10), Duration::from_millis(500));
                self.weather(way, Weather::Slow(delay), "slow link", short(10), stage, outcome)
            }
            Fault::CutAnswers(way) => self.weather(
                way,
                Weather::CutAnswers(30),
                "link that cuts answers",
                short(10),
                stage,
                outcome,
            ),
            Fault::KillBrowser => {
                let running = browsers::running(&stage.worker_pids());
                if !running.is_empty() {
                    browsers::signal(dice.pick(&running).pid, Signal::KILL);
                    outcome.fault("kill -9 of a browser", 1);
                }
                Vec::new()
            }
            Fault::CrashPostgres if !stage.fleet.postgres.is_running() => return Ok(()),
            Fault::CrashPostgres => {
                stage.fleet.postgres.crash().await?;
                outcome.fault("Postgres stopped at once", 1);
                vec![(short(3), Recovery::StartPostgres)]
            }
            Fault::Outage => self.outage(stage, outcome).await?,
        };
        let now = Instant::now();
        self.due.extend(
            recoveries
                .into_iter()
                .map(|(after, recovery)| (now + after, recovery)),
        );
        Ok(())
    }

    async fn outage(
        &self,
        stage: &mut Stage,
        outcome: &mut Outcome,
    ) -> anyhow::Result<Vec<(Duration, Recovery)>> {
        say(&format!(
            "every api and Postgres are away for {:?}",
            self.long_outage
        ));
        stage.fleet.postgres.crash().await?;
        let mut recoveries = vec![(self.long_outage, Recovery::StartPostgres)];
        for (index, api) in stage.fleet.apis.iter_mut().enumerate() {
            if api.pid().is_some() {
                api.kill().await?;
            }
            recoveries.push((
                self.long_outage + Duration::from_secs(1),
                Recovery::Start(Role::Api(index)),
            ));
        }
        outcome.fault("outage of every api and Postgres", 1);
        Ok(recoveries)
    }

    fn weather(
        &self,
        way: Way,
        weather: Weather,
        name: &str,
        length: Duration,
        stage: &Stage,
        outcome: &mut Outcome,
    ) -> Vec<(Duration, Recovery)> {
        link(way, stage).set(weather);
        let between = match way {
            Way::Api(_) => "client to api",
            Way::Gateways => "client to gateway",
            Way::Report(_) => "worker to api",
            Way::Worker(_) => "api and gateway to worker",
        };
        outcome.fault(&format!("{name}, {between}"), 1);
        vec![(length, Recovery::Fair(way))]
    }

    async fn recover(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        let now = Instant::now();
        let (due, later) = self.due.drain(..).partition(|(at, _)| *at <= now);
        self.due = later;
        let due: Vec<(Instant, Recovery)> = due;
        for (_, recovery) in due {
            match recovery {
                Recovery::Start(role) => {
                    let role = process(role, stage);
                    if role.pid().is_none() {
                        role.spawn()?;
                    }
                }
                Recovery::Resume(role) => {
                    let role = process(role, stage);
                    if role.is_paused() {
                        role.resume()?;
                    }
                }
                Recovery::Fair(way) => link(way, stage).set(Weather::Fair),
                // In the long outage it is started by that outage's end only.
                Recovery::StartPostgres if self.starts_later() => {}
                Recovery::StartPostgres => stage.fleet.postgres.start().await?,
            }
        }
        Ok(())
    }

    fn starts_later(&self) -> bool {
        self.due
            .iter()
            .any(|(_, recovery)| matches!(recovery, Recovery::StartPostgres))
    }

    /// Starts again what has ended by itself, as a supervisor does, and says so.
    fn supervise(&mut self, stage: &mut Stage, outcome: &mut Outcome) -> anyhow::Result<()> {
        if self.supervised.elapsed() < SUPERVISED_EVERY {
            return Ok(());
        }
        self.supervised = Instant::now();
        for role in stage.fleet.roles() {
            let Some(status) = role.ended()? else { continue };
            let words = role.last_words();
            let excused = EXCUSES.iter().any(|excuse| words.contains(excuse));
            if !excused {
                outcome.violation(format!(
                    "{} ended by itself with {status}: {}",
                    role.name(),
                    role.last_words()
                ));
            }
            role.spawn()?;
        }
        Ok(())
    }

    fn is_up(&self, role: Role, stage: &mut Stage) -> bool {
        // In the long outage the apis stay away.
        let starts_later = self
            .due
            .iter()
            .any(|(_, recovery)| matches!(recovery, Recovery::Start(other) if *other == role));
        !starts_later && process(role, stage).is_up()
    }
}

fn process(role: Role, stage: &mut Stage) -> &mut wharf_testkit::RoleProcess {
    match role {
        Role::Api(index) => &mut stage.fleet.apis[index],
        Role::Gateway(index) => &mut stage.fleet.gateways[index],
        Role::Worker(index) => &mut stage.fleet.workers[index],
    }
}

const fn kind(role: Role) -> &'static str {
    match role {
        Role::Api(_) => "an api",
        Role::Gateway(_) => "a gateway",
        Role::Worker(_) => "a worker",
    }
}

fn link(way: Way, stage: &Stage) -> &crate::link::Link {
    match way {
        Way::Api(index) => &stage.links.apis[index],
        Way::Gateways => &stage.links.gateways,
        Way::Report(index) => &stage.links.reports[index],
        Way::Worker(index) => &stage.links.workers[index],
    }
}
