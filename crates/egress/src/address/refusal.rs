//! Why an address may not be dialled.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::AddressClass;

/// An address that may not be dialled, and the rule that says so. Displays as a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{address} {rule}")]
pub struct Refusal {
    /// The address as it was given.
    pub address: IpAddr,
    /// The first rule that forbids it, or what is carried in it.
    pub rule: RefusalRule,
}

/// The rule that forbids an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalRule {
    /// On the operator's list.
    Denied(IpNet),
    /// One of the host's own addresses.
    Own,
    /// By what the address is.
    Class(AddressClass),
}

impl RefusalRule {
    /// A word for machines.
    pub fn code(self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Own => "own",
            Self::Class(class) => class.code(),
        }
    }
}

impl fmt::Display for RefusalRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(net) => write!(formatter, "is in {net}, which this machine's operator has closed"),
            Self::Own => formatter.write_str("is an address of the machine itself"),
            Self::Class(class) => write!(formatter, "is {}", class.words()),
        }
    }
}
