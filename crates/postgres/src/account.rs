//! Whom the server runs as. PostgreSQL refuses root, so root changes to an account without rights.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::error::StartError;

/// Tried in this order when we are root. `nobody` may be shared with other services, which could then reach
/// the socket; `postgres` exists wherever a distribution installed the server.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An account of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// How the child gets to its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunAs {
    /// We are an ordinary user already.
    Ourselves(Account),
    /// We are root and give everything up.
    Change(Account),
}

impl RunAs {
    /// For a cluster that belongs to `owner`, or for a new one.
    pub(crate) fn choose(owner: Option<u32>) -> Result<Self, StartError> {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if uid.is_root() {
            choose_for_root(&passwd, owner)
                .map(Self::Change)
                .ok_or(StartError::NoAccount)
        } else {
            let name = name_of(&passwd, uid.as_raw());
            Ok(Self::Ourselves(Account {
                name,
                uid: uid.as_raw(),
                gid: gid.as_raw(),
            }))
        }
    }

    pub(crate) fn account(&self) -> &Account {
        match self {
            Self::Ourselves(account) | Self::Change(account) => account,
        }
    }

    /// Refuses a folder of somebody else: PostgreSQL would, with fewer words.
    pub(crate) fn check_owner(
        &self,
        data_dir: &std::path::Path,
        metadata: &fs::Metadata,
    ) -> Result<(), StartError> {
        if metadata.uid() == self.account().uid {
            return Ok(());
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Err(StartError::WrongOwner {
            data_dir: data_dir.to_owned(),
            owner: name_of(&passwd, metadata.uid()),
            expected: self.account().to_string(),
        })
    }
}

/// The cluster's owner when it is a candidate (the package, and so its account, may have come later than the
/// cluster); else the first candidate there is.
fn choose_for_root(passwd: &str, owner: Option<u32>) -> Option<Account> {
    let candidates = || {
        CANDIDATES
            .iter()
            .filter_map(|name| accounts(passwd).find(|account| account.name == *name))
    };
    candidates()
        .find(|account| Some(account.uid) == owner)
        .or_else(|| candidates().next())
        .filter(|account| account.uid != 0)
}

fn name_of(passwd: &str, uid: u32) -> String {
    accounts(passwd)
        .find(|account| account.uid == uid)
        .map_or_else(|| uid.to_string(), |account| account.name)
}

/// The lines of passwd(5): name, password, uid, gid, and what we do not need.
fn accounts(passwd: &str) -> impl Iterator<Item = Account> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { name, uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533::/nonexistent:/sbin/nologin\n\
                          broken\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn root_prefers_postgres_for_a_new_cluster() {
        let account = choose_for_root(PASSWD, None).unwrap();
        assert_eq!(
            account,
            Account {
                name: "postgres".to_owned(),
                uid: 101,
                gid: 104
            }
        );
    }

    #[test]
    fn root_stays_with_the_account_that_made_the_cluster() {
        assert_eq!(choose_for_root(PASSWD, Some(65534)).unwrap().name, "nobody");
    }

    #[test]
    fn root_runs_as_no_account_but_the_two() {
        assert_eq!(choose_for_root(PASSWD, Some(0)).unwrap().name, "postgres");
        assert_eq!(choose_for_root(PASSWD, Some(1000)).unwrap().name, "postgres");
        assert_eq!(choose_for_root("root:x:0:0:root:/root:/bin/bash\n", None), None);
    }

    #[test]
    fn an_account_named_postgres_with_uid_0_is_still_root() {
        assert_eq!(choose_for_root("postgres:x:0:0::/:/bin/sh\n", None), None);
    }

    #[test]
    fn a_uid_without_a_name_is_shown_as_a_number() {
        assert_eq!(name_of(PASSWD, 4242), "4242");
        assert_eq!(name_of(PASSWD, 65534), "nobody");
    }
}
