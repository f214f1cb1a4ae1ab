//! Which Chromium to start.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Debian's real binary. Its wrapper in `/usr/bin` is a shell script that costs 10-17 ms per launch.
const DEBIAN_BINARY: &str = "/usr/lib/chromium/chromium";

/// Names looked for in `PATH`, in this order.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
];

/// An executable file that is taken for Chromium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserBinary(PathBuf);

impl BrowserBinary {
    /// Where the executable is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// No Chromium was found.
#[derive(Debug, thiserror::Error)]
pub enum BrowserNotFound {
    /// The path somebody gave is not an executable file.
    #[error("{} is not an executable file; give the browser's real path with --chromium PATH", .0.display())]
    Explicit(PathBuf),
    /// Nothing is installed where it is usually found.
    #[error(
        "no Chromium found in {DEBIAN_BINARY} or PATH; install one (\"apt install chromium\") \
         or name it with --chromium PATH"
    )]
    NotInstalled,
}

/// Finds Chromium: the explicit path if there is one, else Debian's real binary, else the usual names in `PATH`.
///
/// # Errors
/// An explicit path that is not an executable file is an error, never a reason to look elsewhere.
pub fn find_browser(explicit: Option<&Path>) -> Result<BrowserBinary, BrowserNotFound> {
    find_in(
        explicit,
        Path::new(DEBIAN_BINARY),
        std::env::var_os("PATH").as_deref(),
    )
}

fn find_in(
    explicit: Option<&Path>,
    preferred: &Path,
    search: Option<&OsStr>,
) -> Result<BrowserBinary, BrowserNotFound> {
    if let Some(path) = explicit {
        return match is_executable(path) {
            true => Ok(BrowserBinary(path.to_owned())),
            false => Err(BrowserNotFound::Explicit(path.to_owned())),
        };
    }
    if is_executable(preferred) {
        return Ok(BrowserBinary(preferred.to_owned()));
    }
    let folders: Vec<PathBuf> = search
        .map(|list| std::env::split_paths(list).collect())
        .unwrap_or_default();
    NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| is_executable(candidate))
        .map(BrowserBinary)
        .ok_or(BrowserNotFound::NotInstalled)
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn an_explicit_path_wins_and_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let preferred = executable(folder.path(), "preferred");
        let chosen = executable(folder.path(), "chosen");
        assert_eq!(find_in(Some(&chosen), &preferred, None).unwrap().path(), chosen);

        let missing = folder.path().join("missing");
        let error = find_in(Some(&missing), &preferred, None).unwrap_err();
        assert!(error.to_string().contains("--chromium PATH"), "{error}");
    }

    #[test]
    fn path_is_searched_by_name_and_then_by_folder() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        executable(first.path(), "google-chrome");
        let wanted = executable(second.path(), "chromium");
        let search = std::env::join_paths([first.path(), second.path()]).unwrap();
        let found = find_in(None, Path::new("/nonexistent"), Some(&search)).unwrap();
        assert_eq!(found.path(), wanted);
    }

    #[test]
    fn a_file_that_cannot_be_executed_is_not_a_browser() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("chromium"), "text").unwrap();
        let error = find_in(None, Path::new("/nonexistent"), Some(folder.path().as_os_str())).unwrap_err();
        assert!(error.to_string().contains("apt install chromium"), "{error}");
    }
}
