//! Identities. One type per thing, so that a project's id can never be passed where a session's is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Clock, Entropy};

/// A text that is not a UUID stood where an id was expected.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be a UUID, not {0:?}")]
pub struct InvalidId(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id. UUIDv7: ids sort by the time they were made, which is also their order in every index.
            pub fn mint(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
                let millis = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
                let mut random = [0; 10];
                entropy.fill(&mut random);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// The UUID behind the id, for the database and the wire.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(formatter)
            }
        }
    };
}

id!(
    /// A browser session.
    SessionId
);
id!(
    /// A project: what an API key belongs to, and the wall between tenants.
    ProjectId
);
id!(
    /// An organization: the owner of projects.
    OrganizationId
);
id!(
    /// An API key's record. Not the key: that is [`crate::ApiKey`].
    ApiKeyId
);
id!(
    /// A certificate that sessions can be told to trust.
    CertificateId
);
id!(
    /// A worker's record. It outlives the worker's process; each start of that is an [`Incarnation`].
    WorkerId
);

/// Which launch of a session this is. It rises with every launch; a lower one never overwrites a higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub i32);

impl Generation {
    /// The generation of a session's first launch.
    pub const FIRST: Self = Self(1);
}

impl From<i32> for Generation {
    fn from(number: i32) -> Self {
        Self(number)
    }
}

/// Which start of a worker this is. Postgres hands it out at registration; a lower one is a process that was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub i64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ManualClock, SeededEntropy, Timestamp};

    #[test]
    fn ids_sort_by_the_time_they_were_made() {
        let clock = ManualClock::starting_at(Timestamp::UNIX_EPOCH);
        let entropy = SeededEntropy::new(7);
        let first = SessionId::mint(&clock, &entropy);
        clock.advance(std::time::Duration::from_millis(1));
        let second = SessionId::mint(&clock, &entropy);
        assert!(first < second);
        assert_eq!(first.as_uuid().get_version_num(), 7);
    }

    #[test]
    fn what_is_not_a_uuid_is_not_an_id() {
        assert_eq!("latest".parse::<SessionId>(), Err(InvalidId("latest".to_owned())));
    }
}
