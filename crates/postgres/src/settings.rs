//! What the caller may choose, and the server's command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::binaries::Binaries;
use crate::error::StartError;

/// Whether the data must outlive a crash of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// An acknowledged commit is on disk.
    #[default]
    Durable,
    /// For tests: nothing waits for the disk. A crash of the server may lose the latest commits, a crash of the
    /// machine the whole cluster.
    Throwaway,
}

/// What to run, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster's folder, such as `<data>/postgres`. Made when absent; log and lock file are beside it.
    pub data_dir: PathBuf,
    /// From [`crate::find_binaries`].
    pub binaries: Binaries,
    /// [`Durability::Durable`] unless set.
    pub durability: Durability,
    /// 100 unless set. Each costs the server a process and some 2 MB while it is open.
    pub max_connections: u16,
    /// Further settings by name, such as `("work_mem", "16MB")`; they win over our defaults.
    pub settings: Vec<(String, String)>,
    /// How long `initdb`, and then the server, may take until it is ready: 60 s unless set, since recovery
    /// after a crash replays up to `max_wal_size` of log.
    pub start_deadline: Duration,
}

impl Options {
    /// The defaults, for a durable server.
    pub fn new(data_dir: impl Into<PathBuf>, binaries: Binaries) -> Self {
        Self {
            data_dir: data_dir.into(),
            binaries,
            durability: Durability::default(),
            max_connections: 100,
            settings: Vec::new(),
            start_deadline: Duration::from_secs(60),
        }
    }
}

/// The caller's settings win over these.
const DEFAULTS: &[(&str, &str)] = &[
    ("shared_buffers", "128MB"),
    ("max_wal_size", "1GB"),
    ("wal_compression", "on"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] "),
];

/// Each of these trades safety for speed; full_page_writes matters only when the machine crashes.
const THROWAWAY: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
];

/// Nobody changes these: the socket's safety hangs on the first four, knowing when it is ready on the others.
const REQUIRED: &[(&str, &str)] = &[
    // No TCP: authentication is `trust`, and the folder's mode is the wall.
    ("listen_addresses", ""),
    // The working directory of every server process is the cluster's folder, which is 0700.
    ("unix_socket_directories", "."),
    ("unix_socket_permissions", "0700"),
    ("port", "5432"),
    ("lc_messages", "C"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("log_min_messages", "warning"),
];

/// The server's arguments after `-D`, weakest first: of two `-c` for one name the last counts.
pub(crate) fn arguments(options: &Options) -> Result<Vec<String>, StartError> {
    let reserved = |name: &str| {
        REQUIRED
            .iter()
            .any(|(required, _)| required.eq_ignore_ascii_case(name))
    };
    if let Some((name, _)) = options.settings.iter().find(|(name, _)| reserved(name)) {
        return Err(StartError::ReservedSetting { name: name.clone() });
    }
    let throwaway = match options.durability {
        Durability::Durable => &[],
        Durability::Throwaway => THROWAWAY,
    };
    let ours = |list: &[(&str, &str)]| {
        list.iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    let theirs = options
        .settings
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    Ok(ours(DEFAULTS)
        .into_iter()
        .chain(ours(throwaway))
        .chain([format!("max_connections={}", options.max_connections)])
        .chain(theirs)
        .chain(ours(REQUIRED))
        .flat_map(|setting| ["-c".to_owned(), setting])
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::new("/nowhere", crate::find_binaries(None).unwrap())
    }

    /// What counts in the end: the last `-c` for the name.
    fn effective(options: &Options, name: &str) -> Option<String> {
        let arguments = arguments(options).unwrap();
        let mut values = arguments.iter().filter_map(|argument| argument.split_once('='));
        values
            .rfind(|(set, _)| *set == name)
            .map(|(_, value)| value.to_owned())
    }

    #[test]
    fn the_caller_wins_over_our_defaults() {
        let settings = vec![("shared_buffers".to_owned(), "16MB".to_owned())];
        assert_eq!(effective(&options(), "shared_buffers").as_deref(), Some("128MB"));
        assert_eq!(
            effective(
                &Options {
                    settings,
                    ..options()
                },
                "shared_buffers"
            )
            .as_deref(),
            Some("16MB")
        );
    }

    #[test]
    fn only_a_throwaway_server_skips_the_disk() {
        assert_eq!(effective(&options(), "fsync"), None);
        let throwaway = Options {
            durability: Durability::Throwaway,
            ..options()
        };
        assert_eq!(effective(&throwaway, "fsync").as_deref(), Some("off"));
    }

    #[test]
    fn nobody_opens_a_tcp_port() {
        let settings = vec![("Listen_Addresses".to_owned(), "*".to_owned())];
        let error = arguments(&Options {
            settings,
            ..options()
        })
        .unwrap_err();
        assert!(matches!(error, StartError::ReservedSetting { name } if name == "Listen_Addresses"));
    }
}
