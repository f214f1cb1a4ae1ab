//! `wharf-chaos`: a fleet of real processes under faults, and one checker that says whether it lied.

mod browsers;
mod checker;
mod client;
mod dice;
mod drivers;
mod faults;
mod link;
mod load;
mod load_log;
mod monitor;
mod outcome;
mod run;
mod scenarios;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use run::Settings;
use tokio::signal::unix::{SignalKind, signal};

/// Injects faults into a fleet of real processes, and checks that nothing was lost, doubled or left behind.
#[derive(Debug, Parser)]
#[command(name = "wharf-chaos", version)]
struct Command {
    /// Decides every fault and every client's choice; drawn without.
    #[arg(long)]
    seed: Option<u64>,
    /// How long the mixed run takes.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// The form of three minutes: fewer repetitions of everything.
    #[arg(long)]
    short: bool,
    /// Only these scenarios, as in `--only parallel-creates,mixed`.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Name the scenarios and end.
    #[arg(long)]
    list: bool,
    /// Where to write the result as JSON.
    #[arg(long, value_name = "PATH", default_value = "target/chaos/latest.json")]
    json: PathBuf,
    /// The wharf to run; the one next to this program without.
    #[arg(long, env = "WHARF_BIN", value_name = "PATH")]
    wharf: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// A client that connects and stays, to be killed.
    #[command(hide = true)]
    Client {
        /// The connectUrl.
        url: String,
    },
}

/// Neither kept nor broken: it could not be looked at.
const FAILED: u8 = 2;
/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    if let Some(Role::Client { url }) = command.role {
        return exit_code(client::stay(&url).await.map(|()| true));
    }
    if command.list {
        scenarios::list();
        return ExitCode::SUCCESS;
    }
    let settings = Settings {
        seed: command.seed.unwrap_or_else(dice::any_seed),
        minutes: command.minutes,
        short: command.short,
        only: command.only,
        json: command.json,
        wharf: command.wharf,
    };
    tokio::select! {
        ended = run::run(settings) => exit_code(ended),
        // Dropping the run kills every process that it has started.
        _ = stopped() => ExitCode::from(INTERRUPTED),
    }
}

/// Ctrl-C, or a supervisor's request.
async fn stopped() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

fn exit_code(ended: anyhow::Result<bool>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one message of a program that failed")]
            {
                eprintln!("wharf-chaos: {error:#}");
            }
            ExitCode::from(FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }
}
