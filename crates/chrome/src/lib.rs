//! Starts Chromium safely, speaks to it over a pipe, and takes every trace of it away.
//!
//! A [`Launcher`] is built once. Each [`Launcher::launch`] answers with a [`Browser`] that is ready: its
//! DevTools address is known, it holds exactly one page in its default context, and the page has the asked
//! size. Nothing here knows of sessions or tenants.
//!
//! Linux only: namespaces are what a jail is made of, and process groups, pidfds and `/proc` are what "every trace" rests on.

mod abandoned;
mod account;
mod binary;
mod browser;
mod cdp;
mod descriptors;
mod devtools;
mod environment;
mod error;
mod flags;
mod jail;
mod launcher;
mod limits;
mod navigation;
mod out_of_memory;
mod process;
mod procfs;
mod profile;
mod program;
mod ready;
mod running;
mod sampler;
mod spawner;
mod stderr;
mod trust;
mod walls;

pub use account::AccountError;
pub use binary::{BrowserBinary, BrowserNotFound, find_browser};
pub use browser::Browser;
pub use cdp::{CdpError, CdpEvent, CdpPipe};
pub use devtools::Devtools;
pub use error::{LaunchError, LauncherError};
pub use flags::{Isolation, Viewport};
pub use jail::{InitProgram, JailError, init_if_asked};
pub use launcher::{LaunchOptions, Launcher, LauncherOptions};
pub use limits::{
    CpuLimit, Enforcement, Holder, InvalidLimit, Limits, MemoryLimit, NoControlGroups, ProcessLimit,
};
pub use navigation::Verdict;
pub use process::{BrowserExit, become_subreaper};
pub use profile::{ProfileError, ProfileRoot};
pub use running::{CloseReport, Grace};
pub use sampler::{Sample, Sampler};
pub use trust::TrustError;
pub use walls::Wall;
