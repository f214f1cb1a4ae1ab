//! What each browser may use, and who holds it to that.

use super::Launcher;
use crate::limits::{Enforcement, Holder, Limits};

impl Launcher {
    /// What each browser may use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// By whom its browsers are held to their limits of memory and CPU.
    pub fn enforcement(&self) -> Enforcement {
        let by_kernel = |yes| {
            if yes {
                Holder::ControlGroup
            } else {
                self.by_priority()
            }
        };
        match &*self.control {
            Ok(groups) => Enforcement {
                memory: Holder::ControlGroup,
                cpu: by_kernel(groups.limit_cpu()),
                without_groups: None,
            },
            Err(reason) => Enforcement {
                memory: Holder::Watching,
                cpu: self.by_priority(),
                without_groups: Some(reason.clone()),
            },
        }
    }

    fn by_priority(&self) -> Holder {
        match self.shares_between_sessions {
            true => Holder::Watching,
            false => Holder::Nobody,
        }
    }

    /// What the kernel does not hold browsers to.
    pub(super) fn watched(&self) -> Limits {
        match &*self.control {
            Err(_) => self.limits,
            Ok(control) => Limits {
                memory: None,
                cpu: self.limits.cpu.filter(|_| !control.limit_cpu()),
                ..self.limits
            },
        }
    }
}
