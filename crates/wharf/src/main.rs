//! Wharf: browser sessions on your own machines.

mod ad_lists;
mod api;
mod browsers;
mod connect;
mod control_plane;
mod data_dir;
mod doctor;
mod durations;
mod egress;
mod gateway;
mod key;
mod key_files;
mod key_pair;
mod limits;
mod migrate;
mod openapi;
mod private_file;
mod project;
mod role;
mod serve;
mod table;
mod up;
mod worker;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use wharf_telemetry::LogFormat;

/// Browser sessions on your own machines, under the APIs that your programs already speak.
#[derive(Debug, Parser)]
#[command(name = "wharf", version)]
struct Command {
    /// Which log lines to write, as in `info,wharf_worker=debug`.
    #[arg(long, env = "WHARF_LOG", default_value = "info", global = true)]
    log: String,
    /// How log lines look: text or json.
    #[arg(long, env = "WHARF_LOG_FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Run everything in one process: api, gateway, one worker and their own Postgres.
    Up(Box<up::Up>),
    /// Run the control plane; several replicas may share one Postgres.
    Api(api::ApiRole),
    /// Take clients' connections; it has no database.
    Gateway(gateway::GatewayRole),
    /// Run browsers; with a further word, administer the workers.
    Worker(worker::WorkerRole),
    /// Make a fleet's key pair, or show its public half.
    KeyPair(key_pair::KeyPair),
    /// Say which walls stand between a page and this machine.
    Doctor(doctor::Doctor),
    /// Bring a database up to date.
    Migrate(migrate::Migrate),
    /// Make and list projects.
    Project(project::Project),
    /// Make, list and revoke API keys.
    Key(key::Key),
    /// Print the OpenAPI document.
    Openapi(openapi::Openapi),
}

fn main() -> ExitCode {
    if let Some(code) = wharf_chrome::init_if_asked() {
        return code;
    }
    let command = Command::parse();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the one message of a command that failed")]
            {
                eprintln!("wharf: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    wharf_telemetry::start_logs(&command.log, command.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime did not start")?;
    runtime.block_on(async {
        match command.role {
            Role::Up(up) => up.run().await,
            Role::Api(api) => api.run().await,
            Role::Gateway(gateway) => gateway.run().await,
            Role::Worker(worker) => worker.run().await,
            Role::KeyPair(pair) => pair.run(),
            Role::Doctor(doctor) => doctor.run().await,
            Role::Migrate(migrate) => migrate.run().await,
            Role::Project(project) => project.run().await,
            Role::Key(key) => key.run().await,
            Role::Openapi(openapi) => openapi.run(),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn a_worker_runs_unless_it_is_administered() {
        let parse = |arguments: &[&str]| Command::try_parse_from([&["wharf", "worker"], arguments].concat());
        let role = ["--control", "http://127.0.0.1:1", "--verifying-key", "key"];
        let run = parse(&role).expect("a role");
        assert!(matches!(run.role, Role::Worker(worker::WorkerRole::Run(_))));
        let enroll = parse(&["enroll", "w1", "--database-url", "postgres://x"]).expect("a command");
        assert!(matches!(
            enroll.role,
            Role::Worker(worker::WorkerRole::Administer(_))
        ));
        let told = parse(&[]).expect_err("nothing is said").to_string();
        assert!(
            told.contains("--control <URL>") && told.contains("--verifying-key <FILE>"),
            "{told}"
        );
    }
}
