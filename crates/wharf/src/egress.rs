//! Which addresses pages reach, as flags say it.

use clap::Args;
use wharf_egress::{AddressPolicy, IpNet, PrivateAddresses};

/// Addresses beyond the usual ones.
#[derive(Debug, Args)]
pub(crate) struct EgressArguments {
    /// Addresses that pages reach although they would not, as in `10.1.0.0/16`; `--egress-deny` wins.
    #[arg(long, value_name = "CIDR", num_args = 1..)]
    egress_allow: Vec<IpNet>,
    /// Addresses that pages do not reach.
    #[arg(long, value_name = "CIDR", num_args = 1..)]
    egress_deny: Vec<IpNet>,
}

impl EgressArguments {
    pub(crate) fn addresses(&self, private: PrivateAddresses) -> anyhow::Result<AddressPolicy> {
        Ok(AddressPolicy {
            private,
            allow: self.egress_allow.clone(),
            deny: self.egress_deny.clone(),
            own: own_addresses()?,
        })
    }
}

/// Those of this machine's interfaces: a page of somebody else is not to reach what listens on them.
fn own_addresses() -> anyhow::Result<Vec<std::net::IpAddr>> {
    let interfaces = nix::ifaddrs::getifaddrs()?;
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
        v4.or_else(|| Some(address.as_sockaddr_in6()?.ip().into()))
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_knows_itself() {
        let own = own_addresses().unwrap();
        assert!(own.contains(&std::net::Ipv4Addr::LOCALHOST.into()), "{own:?}");
    }
}
