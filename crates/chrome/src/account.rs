//! Which user the browser runs as.

use std::os::fd::AsFd;
use std::path::Path;

/// Who the browser runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user we are ourselves: an ordinary one, so there is nothing to drop.
    Own,
    /// We are root, and the browser is started as somebody with no rights.
    Other { user: u32, group: u32 },
}

/// The unprivileged user cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The account file could not be read.
    #[error("cannot read /etc/passwd to look up the user {name:?}")]
    Unreadable {
        /// The user that was looked up.
        name: String,
        /// Why reading failed.
        source: std::io::Error,
    },
    /// There is no such user.
    #[error("no user {0:?} in /etc/passwd; as root the browser needs an unprivileged user to run as")]
    Unknown(String),
    /// The user is root again.
    #[error("the user {0:?} is root; the browser must run as an unprivileged user")]
    Root(String),
}

impl Account {
    /// Root drops to `name`; any other user runs the browser as itself.
    pub(crate) fn choose(name: &str) -> Result<Account, AccountError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Account::Own);
        }
        let passwd = std::fs::read(Path::new("/etc/passwd")).map_err(|source| AccountError::Unreadable {
            name: name.to_owned(),
            source,
        })?;
        Account::parse(&String::from_utf8_lossy(&passwd), name)
    }

    /// Gives an open file to this user. Not by its path, which may have become another's.
    pub(crate) fn own(&self, file: impl AsFd) -> std::io::Result<()> {
        match *self {
            Account::Own => Ok(()),
            Account::Other { user, group } => std::os::unix::fs::fchown(file, Some(user), Some(group)),
        }
    }

    /// Its number.
    pub(crate) fn user(&self) -> u32 {
        match *self {
            Account::Own => rustix::process::geteuid().as_raw(),
            Account::Other { user, .. } => user,
        }
    }

    fn parse(passwd: &str, name: &str) -> Result<Account, AccountError> {
        let unknown = || AccountError::Unknown(name.to_owned());
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))
            .ok_or_else(unknown)?;
        let mut numbers = line.split(':').skip(2).map(str::parse::<u32>);
        let (Some(Ok(user)), Some(Ok(group))) = (numbers.next(), numbers.next()) else {
            return Err(unknown());
        };
        if user == 0 {
            return Err(AccountError::Root(name.to_owned()));
        }
        Ok(Account::Other { user, group })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
                          nobody2:x:7:7::/:/bin/false\n\
                          broken:x\n\
                          nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";

    #[test]
    fn takes_user_and_group_of_the_exact_name() {
        let account = Account::parse(PASSWD, "nobody").unwrap();
        assert_eq!(
            account,
            Account::Other {
                user: 65534,
                group: 65533
            }
        );
    }

    #[test]
    fn refuses_root_missing_and_malformed_entries() {
        assert!(matches!(
            Account::parse(PASSWD, "root"),
            Err(AccountError::Root(_))
        ));
        assert!(matches!(
            Account::parse(PASSWD, "nob"),
            Err(AccountError::Unknown(_))
        ));
        assert!(matches!(
            Account::parse(PASSWD, "broken"),
            Err(AccountError::Unknown(_))
        ));
        assert!(matches!(
            Account::parse("", "nobody"),
            Err(AccountError::Unknown(_))
        ));
    }
}
