//! The first process of a jail: starts the browser, reaps what it leaves, and is our ambassador.
//!
//! It runs inside, so it holds nothing worth having: its socket, on which it answers requests for sockets of the jail's
//! own network, and the descriptors that are Chromium's.

use super::arguments::PROXY_PORT;
use super::wire::{self, Message};
use rustix::io::retry_on_intr;
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, WaitOptions, WaitStatus, set_dumpable_behavior, setrlimit, wait,
};
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;

/// What a shell answers for a command that it cannot start.
const CANNOT_START: u8 = 127;
/// Added to the number of the signal that ended the browser, as shells do.
pub(super) const SIGNALED: i32 = 128;

/// Runs `arguments` as the first process of a jail: the jail's score when the machine is out of memory, the number of
/// processes and threads that it may have, the browser and its flags. Ends when the browser does, and with its exit code,
/// or 128 and the number of its signal.
pub(super) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            #[expect(
                clippy::print_stderr,
                reason = "the browser's stderr is what a failed launch is explained with"
            )]
            {
                eprintln!("the jail's first process failed: {error}");
            }
            ExitCode::from(CANNOT_START)
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> std::io::Result<ExitCode> {
    let mut arguments = arguments.into_iter();
    // While our own /proc is ours to write to.
    crate::out_of_memory::come_first("self", number(arguments.next())?);
    // Whoever takes over the browser has our user, but is not to look into us.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let socket = std::io::stdin();
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, PROXY_PORT))?;
    wire::send(&socket, Message::HELLO, &[proxy.as_fd()])?;
    drop(proxy);
    let browser = start(arguments)?;
    std::thread::spawn(|| {
        let socket = std::io::stdin();
        while let Ok(Some((request, _))) = wire::receive(&socket) {
            answer(&socket, request);
        }
        // Nobody is left who would end us. The kernel ends the rest.
        std::process::exit(0);
    });
    loop {
        if let Some((pid, status)) = retry_on_intr(|| wait(WaitOptions::empty()))?
            && pid == browser
        {
            let code = code(status);
            wire::send(&socket, Message::farewell(code.into()), &[])?;
            return Ok(ExitCode::from(code));
        }
    }
}

fn number<Number: FromStr>(argument: Option<OsString>) -> std::io::Result<Number> {
    let number = argument.and_then(|number| number.to_str()?.parse().ok());
    number.ok_or_else(|| std::io::ErrorKind::InvalidInput.into())
}

fn start(mut arguments: impl Iterator<Item = OsString>) -> std::io::Result<Pid> {
    let processes = number(arguments.next())?;
    // Counted within the jail's user namespace, so what goes on forking hurts itself only.
    let limit = Rlimit {
        current: Some(processes),
        maximum: Some(processes),
    };
    setrlimit(Resource::Nproc, limit)?;
    let binary = arguments.next().unwrap_or_default();
    let child = Command::new(&binary)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", binary.display())))?;
    Ok(Pid::from_child(&child))
}

/// A connection within the jail, or why there is none.
fn answer(socket: impl AsFd, request: Message) {
    let connected = u16::try_from(request.value)
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidInput))
        .and_then(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
    // A failure means that nobody asks any more; the next receive says so.
    let _ = match connected {
        Ok(stream) => wire::send(socket, Message { value: 0, ..request }, &[stream.as_fd()]),
        Err(error) => {
            let value = error
                .raw_os_error()
                .unwrap_or(rustix::io::Errno::INVAL.raw_os_error());
            wire::send(socket, Message { value, ..request }, &[])
        }
    };
}

fn code(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, signal) => SIGNALED + signal.unwrap_or_default(),
    };
    u8::try_from(code).unwrap_or(u8::MAX)
}
