//! The first process of a jail as a program of its own, for the tests and measurements of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    wharf_chrome::init_if_asked().unwrap_or(ExitCode::FAILURE)
}
