//! Which crate may use which: the table of crates/README.md, as a program.

use super::Finding;
use crate::workspace::Source;

/// What a crate may use of ours in its own code.
enum Uses {
    Only(&'static [&'static str]),
    /// Programs and test tools stand above every layer.
    Anything,
}

use Uses::{Anything, Only};

const LAYERS: [(&str, Uses); 18] = [
    ("domain", Only(&[])),
    ("chrome", Only(&[])),
    ("egress", Only(&[])),
    ("telemetry", Only(&[])),
    ("postgres", Only(&[])),
    ("listener", Only(&[])),
    ("tunnel", Only(&[])),
    ("protocol", Only(&["domain"])),
    ("store", Only(&["domain"])),
    ("control", Only(&["domain", "protocol", "store"])),
    (
        "api",
        Only(&["domain", "protocol", "control", "store", "listener"]),
    ),
    ("gateway", Only(&["domain", "protocol", "tunnel"])),
    (
        "worker",
        Only(&["domain", "protocol", "listener", "tunnel", "chrome", "egress"]),
    ),
    ("testkit", Anything),
    ("wharf", Anything),
    ("xtask", Anything),
    ("bench", Anything),
    ("chaos", Anything),
];

/// Programs: nobody uses them, in tests neither.
const NEVER_USED: [&str; 4] = ["wharf", "xtask", "bench", "chaos"];
/// Used by tests, and by the programs that are themselves tests.
const FOR_TESTS: &str = "testkit";
const TEST_PROGRAMS: [&str; 3] = ["testkit", "bench", "chaos"];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    sources
        .iter()
        .filter(|source| source.path.ends_with("/Cargo.toml"))
        .flat_map(check_manifest)
        .collect()
}

fn check_manifest(source: &Source) -> Vec<Finding> {
    let manifest: toml::Table = match source.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::new(source, 1, format!("is not a manifest: {error}"))],
    };
    let Some(package) = manifest
        .get("package")
        .and_then(|package| package.get("name")?.as_str())
    else {
        return vec![Finding::new(source, 1, "names no package")];
    };
    let name = layer(package);
    let Some((_, uses)) = LAYERS.iter().find(|(layer, _)| *layer == name) else {
        let message = format!("{package} is not in the table of layers (crates/xtask/src/tidy/layering.rs)");
        return vec![Finding::new(source, 1, message)];
    };

    let mut findings = Vec::new();
    for dependency in dependencies(&manifest) {
        if let Some(reason) = refusal(name, uses, &dependency) {
            let line = line_of(&source.text, &dependency.key);
            findings.push(Finding::new(
                source,
                line,
                format!("{name} may not use {}: {reason}", dependency.layer),
            ));
        }
    }
    findings
}

fn refusal(name: &str, uses: &Uses, dependency: &Dependency) -> Option<&'static str> {
    let used = dependency.layer.as_str();
    if NEVER_USED.contains(&used) {
        return Some("it is a program");
    }
    if dependency.for_tests {
        return None;
    }
    if used == FOR_TESTS && !TEST_PROGRAMS.contains(&name) {
        return Some("it is for [dev-dependencies]");
    }
    match uses {
        Only(allowed) if !allowed.contains(&used) => Some("the layers do not allow it"),
        _ => None,
    }
}

/// A crate's name in the table: `wharf-store` is `store`, the binary `wharf` stays itself.
fn layer(package: &str) -> &str {
    package.strip_prefix("wharf-").unwrap_or(package)
}

struct Dependency {
    key: String,
    layer: String,
    for_tests: bool,
}

/// What the manifest uses of ours, in every table that can say so.
fn dependencies(manifest: &toml::Table) -> Vec<Dependency> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let per_target = targets
        .into_iter()
        .flat_map(|targets| targets.values().filter_map(toml::Value::as_table));
    let mut found = Vec::new();
    for table in per_target.chain([manifest]) {
        for (section, for_tests) in [
            ("dependencies", false),
            ("build-dependencies", false),
            ("dev-dependencies", true),
        ] {
            let entries = table
                .get(section)
                .and_then(toml::Value::as_table)
                .into_iter()
                .flatten();
            for (key, entry) in entries {
                let package = entry.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                if package.starts_with("wharf-") || LAYERS.iter().any(|(layer, _)| *layer == package) {
                    found.push(Dependency {
                        key: key.clone(),
                        layer: layer(package).to_owned(),
                        for_tests,
                    });
                }
            }
        }
    }
    found
}

fn line_of(text: &str, key: &str) -> usize {
    let names_it = |line: &str| line.split(['.', ' ', '=', '"', ']']).any(|word| word == key);
    text.lines().position(names_it).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::printed;

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}\n")
    }

    fn of(name: &str, rest: &str) -> Vec<String> {
        printed(check, &[("crates/x/Cargo.toml", &manifest(name, rest))])
    }

    #[test]
    fn a_lower_layer_may_not_use_a_higher_one() {
        assert_eq!(
            of(
                "wharf-domain",
                "[dependencies]\nserde.workspace = true\nwharf-store.workspace = true"
            ),
            ["crates/x/Cargo.toml:5: domain may not use store: the layers do not allow it"]
        );
        assert_eq!(
            of("wharf-api", "[dependencies]\nwharf-store.workspace = true"),
            [""; 0]
        );
    }

    #[test]
    fn another_name_or_table_does_not_hide_a_use() {
        let renamed = "[dependencies]\nw = { package = \"wharf-worker\", path = \"../worker\" }";
        let on_linux = "[target.'cfg(unix)'.dependencies]\nwharf-worker = { path = \"../worker\" }";
        let to_build = "[build-dependencies.wharf-worker]\npath = \"../worker\"";
        for (rest, line) in [(renamed, 4), (on_linux, 4), (to_build, 3)] {
            let expected =
                format!("crates/x/Cargo.toml:{line}: gateway may not use worker: the layers do not allow it");
            assert_eq!(of("wharf-gateway", rest), [expected]);
        }
    }

    #[test]
    fn tests_may_use_anything_but_the_programs() {
        assert_eq!(
            of(
                "wharf-store",
                "[dev-dependencies]\nwharf-testkit.workspace = true"
            ),
            [""; 0]
        );
        assert_eq!(
            of("wharf-store", "[dev-dependencies]\nxtask.workspace = true"),
            ["crates/x/Cargo.toml:4: store may not use xtask: it is a program"]
        );
        assert_eq!(
            of("wharf", "[dependencies]\nwharf-testkit.workspace = true"),
            ["crates/x/Cargo.toml:4: wharf may not use testkit: it is for [dev-dependencies]"]
        );
        assert_eq!(
            of("wharf-bench", "[dependencies]\nwharf-testkit.workspace = true"),
            [""; 0]
        );
    }

    #[test]
    fn an_unknown_crate_is_found() {
        assert_eq!(
            of("wharf-extra", ""),
            [
                "crates/x/Cargo.toml:1: wharf-extra is not in the table of layers (crates/xtask/src/tidy/layering.rs)"
            ]
        );
    }
}
