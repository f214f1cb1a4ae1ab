//! `wharf worker`: without a further word, the role; with one, the administrator's commands about workers.

mod drain;
mod enroll;
mod list;
mod run;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

/// Run browsers, or administer the workers that do.
#[derive(Debug)]
pub(crate) enum WorkerRole {
    Run(Box<run::Run>),
    Administer(Action),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Make a worker known and show its credential, this once. One that is known gets a new credential.
    Enroll(enroll::Enroll),
    /// List the workers: where they are, what they run, when they last reported.
    List(list::List),
    /// Give a worker no more sessions, and wait until those that it runs have ended.
    Drain(drain::Drain),
}

impl WorkerRole {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Run(run) => run.run().await,
            Self::Administer(Action::Enroll(enroll)) => enroll.run().await,
            Self::Administer(Action::List(list)) => list.run().await,
            Self::Administer(Action::Drain(drain)) => drain.run().await,
        }
    }
}

/// By hand: derived, an optional set of arguments with required ones among them counts as absent.
impl FromArgMatches for WorkerRole {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_name() {
            Some(_) => Action::from_arg_matches(matches).map(Self::Administer),
            None => run::Run::from_arg_matches(matches).map(|run| Self::Run(Box::new(run))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for WorkerRole {
    fn augment_args(command: Command) -> Command {
        Action::augment_subcommands(run::Run::augment_args(command))
            .args_conflicts_with_subcommands(true)
            .subcommand_negates_reqs(true)
            .subcommand_required(false)
            .arg_required_else_help(false)
            .about("Run browsers; with a further word, administer the workers")
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
