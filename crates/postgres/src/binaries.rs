//! Finds the PostgreSQL programs of this machine.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(test)]
mod tests;

/// Older ones lack what our migrations use.
const OLDEST_MAJOR: u32 = 15;

/// Where packages put them: parent folder, prefix of the versioned folder's name, and the rest.
/// Debian and Ubuntu; the PGDG packages for Red Hat; Alpine; Homebrew on Linux.
const PACKAGES: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
];

/// One folder with `postgres` and `initdb` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Installation {
    folder: PathBuf,
    major: u32,
}

/// The usable installations of this machine, never none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    preferred: Installation,
    others: Vec<Installation>,
}

/// No usable PostgreSQL on this machine.
#[derive(Debug, thiserror::Error)]
#[error(
    "no PostgreSQL {OLDEST_MAJOR} or newer found (looked in {}){}: install it (\"apt install postgresql\"), \
     or use a server of your own with --database-url",
    looked_in.join(", "), self.too_old()
)]
pub struct BinariesNotFound {
    looked_in: Vec<String>,
    /// Found, but not usable.
    old: Vec<Installation>,
}

impl BinariesNotFound {
    fn too_old(&self) -> String {
        match self.old.first() {
            Some(old) => format!("; {} is version {}", old.folder.display(), old.major),
            None => String::new(),
        }
    }
}

impl Binaries {
    /// The folder of the preferred installation.
    pub fn folder(&self) -> &Path {
        &self.preferred.folder
    }

    /// The major version of the preferred installation.
    pub fn major(&self) -> u32 {
        self.preferred.major
    }

    /// The folder with programs of exactly that major version.
    pub(crate) fn folder_for(&self, major: u32) -> Option<&Path> {
        self.all()
            .find(|installation| installation.major == major)
            .map(|found| found.folder.as_path())
    }

    /// Every major version here, for a message.
    pub(crate) fn majors(&self) -> String {
        let majors: BTreeSet<u32> = self.all().map(|installation| installation.major).collect();
        majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    }

    fn all(&self) -> impl Iterator<Item = &Installation> {
        std::iter::once(&self.preferred).chain(&self.others)
    }
}

impl fmt::Display for Binaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} in {}", self.major(), self.folder().display())
    }
}

/// Looks in `explicit` and nowhere else when it is given; else in `PATH`, then where packages put them, newest
/// first. Runs `postgres --version` of each candidate.
///
/// # Errors
/// When nothing of version 15 or newer is there; the message says what to install.
pub fn find_binaries(explicit: Option<&Path>) -> Result<Binaries, BinariesNotFound> {
    if let Some(folder) = explicit {
        return choose([folder.to_owned()], vec![folder.display().to_string()]);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let mut looked_in = vec!["PATH".to_owned()];
    looked_in.extend(
        PACKAGES
            .iter()
            .map(|(parent, prefix, rest)| format!("{parent}/{prefix}*/{rest}")),
    );
    choose(
        on_path.chain(PACKAGES.iter().flat_map(package_folders)),
        looked_in,
    )
}

fn choose(
    folders: impl IntoIterator<Item = PathBuf>,
    looked_in: Vec<String>,
) -> Result<Binaries, BinariesNotFound> {
    let found = folders.into_iter().filter_map(|folder| inspect(&folder));
    let (mut usable, old): (Vec<_>, Vec<_>) = found.partition(|found| found.major >= OLDEST_MAJOR);
    if usable.is_empty() {
        return Err(BinariesNotFound { looked_in, old });
    }
    let preferred = usable.remove(0);
    Ok(Binaries {
        preferred,
        others: usable,
    })
}

/// The versioned folders of one packager, newest first.
fn package_folders((parent, prefix, rest): &(&str, &str, &str)) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_start_matches('@').parse().ok()?;
            Some((version, entry.path().join(rest)))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

fn inspect(folder: &Path) -> Option<Installation> {
    // The programs run with `/` as their working directory, so a relative folder would be another one there.
    let folder = std::path::absolute(folder).ok()?;
    if !folder.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .env_clear()
        .output()
        .ok()?;
    let major = parse_version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Installation { folder, major })
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` or `… 19beta1`.
fn parse_version(output: &str) -> Option<u32> {
    let version = output.split_whitespace().nth(2)?;
    let digits = version
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(version.len());
    version[..digits].parse().ok()
}
