//! The regions that a session can be asked for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A region, under the names that Browserbase's clients send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Region {
    /// Oregon; what a session gets that asks for none.
    #[default]
    UsWest2,
    /// Virginia.
    UsEast1,
    /// Frankfurt.
    EuCentral1,
    /// Singapore.
    ApSoutheast1,
}

/// A region that Wharf does not know.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be one of us-west-2, us-east-1, eu-central-1, ap-southeast-1, not {0:?}")]
pub struct UnknownRegion(String);

impl Region {
    /// Every region.
    pub const ALL: [Self; 4] = [Self::UsWest2, Self::UsEast1, Self::EuCentral1, Self::ApSoutheast1];

    /// The region's name on the wire and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsWest2 => "us-west-2",
            Self::UsEast1 => "us-east-1",
            Self::EuCentral1 => "eu-central-1",
            Self::ApSoutheast1 => "ap-southeast-1",
        }
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(name: &str) -> Result<Self, UnknownRegion> {
        Self::ALL
            .into_iter()
            .find(|region| region.name() == name)
            .ok_or_else(|| UnknownRegion(name.to_owned()))
    }
}

impl TryFrom<String> for Region {
    type Error = UnknownRegion;

    fn try_from(name: String) -> Result<Self, UnknownRegion> {
        name.parse()
    }
}

impl From<Region> for &'static str {
    fn from(region: Region) -> Self {
        region.name()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_is_found_by_its_name() {
        for region in Region::ALL {
            assert_eq!(region.name().parse(), Ok(region));
        }
    }

    #[test]
    fn an_unknown_region_is_told_what_there_is() {
        let message = "mars-1".parse::<Region>().unwrap_err().to_string();
        assert!(
            message.contains("eu-central-1") && message.contains("mars-1"),
            "{message}"
        );
    }
}
