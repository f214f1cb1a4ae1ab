//! Which addresses may be dialled.

mod class;
mod embedded;
mod refusal;

use std::net::IpAddr;

use ipnet::IpNet;

pub use class::AddressClass;
pub use refusal::{Refusal, RefusalRule};

/// Whether addresses that only this machine and its neighbours can reach may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrivateAddresses {
    /// For a developer's own machine: loopback, private networks and the host's own addresses are open. Link-local
    /// addresses, metadata services and what is no address of a host stay closed.
    Allowed,
    /// For a machine that others share.
    #[default]
    Denied,
}

/// Which addresses may be dialled. `deny` beats `allow`, and both beat what the address is.
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    /// What holds for addresses that are not on the public internet.
    pub private: PrivateAddresses,
    /// Open, whatever they are: the only way to a link-local address or a metadata service.
    pub allow: Vec<IpNet>,
    /// Closed, whatever they are.
    pub deny: Vec<IpNet>,
    /// The host's own addresses, public ones too: judged as its loopback is.
    pub own: Vec<IpAddr>,
}

impl AddressPolicy {
    /// May this address be dialled?
    ///
    /// An address that carries another one (IPv4-mapped, NAT64, 6to4, Teredo) is judged for both: whichever machine turns
    /// it into the inner one reaches that.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        self.check_one(address)
            .and_then(|()| embedded::in_address(address).try_for_each(|inner| self.check_one(inner)))
            .map_err(|rule| Refusal { address, rule })
    }

    fn check_one(&self, address: IpAddr) -> Result<(), RefusalRule> {
        if let Some(net) = self.deny.iter().find(|net| net.contains(&address)) {
            return Err(RefusalRule::Denied(*net));
        }
        if self.allow.iter().any(|net| net.contains(&address)) {
            return Ok(());
        }
        let denied = self.private == PrivateAddresses::Denied;
        if denied && self.own.iter().any(|own| own.to_canonical() == address) {
            return Err(RefusalRule::Own);
        }
        match AddressClass::of(address) {
            Some(class) if denied || !class.is_private() => Err(RefusalRule::Class(class)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
