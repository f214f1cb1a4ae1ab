//! No file names the host of a package registry: which mirror a machine uses is its own configuration, and a
//! lock file that names one binds every other machine to it.

use super::Finding;
use crate::workspace::Source;

/// In halves, so that this file keeps its own rule.
const HOSTS: [[&str; 2]; 6] = [
    ["static.crates", "io"],
    ["index.crates", "io"],
    ["registry.npmjs", "org"],
    ["registry.yarnpkg", "com"],
    ["pypi", "org"],
    ["files.pythonhosted", "org"],
];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let hosts = HOSTS.map(|halves| halves.join("."));
    let mut findings = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            if let Some(host) = hosts.iter().find(|host| line.contains(host.as_str())) {
                findings.push(Finding::new(
                    source,
                    index + 1,
                    format!("names the registry host {host}"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    #[test]
    fn a_lock_file_that_names_a_mirror_is_found() {
        let lock = format!("{{\n  \"resolved\": \"https://{}/ws\"\n}}", HOSTS[2].join("."));
        assert_eq!(
            printed(check, &[("tests/clients/package-lock.json", &lock)]),
            [format!(
                "tests/clients/package-lock.json:2: names the registry host {}",
                HOSTS[2].join(".")
            )]
        );
    }

    #[test]
    fn the_index_that_cargo_writes_is_not_a_host() {
        let lock = r#"source = "registry+https://github.com/rust-lang/crates.io-index""#;
        assert_eq!(printed(check, &[("Cargo.lock", lock)]), [""; 0]);
    }
}
