//! What holds for the browser's requests at this moment.

use std::fmt;
use std::sync::Arc;

use crate::address::AddressPolicy;
use crate::blocklist::Blocklist;
use crate::meter::{Meter, RoadMeter};
use crate::pattern::Pattern;
use crate::upstream::Upstream;

/// What holds for the browser's requests.
#[derive(Clone, Default)]
pub struct Rules {
    /// Which addresses may be dialled.
    pub addresses: AddressPolicy,
    /// The first that matches is taken; a host that none matches goes directly, and does not count as proxied.
    pub routes: Vec<Route>,
    /// What is not fetched at all.
    pub blocked: Option<Arc<dyn Blocklist>>,
}

/// Which hosts take which road.
#[derive(Debug, Clone)]
pub struct Route {
    /// The hosts; `None` is every host.
    pub pattern: Option<Pattern>,
    /// Where they go.
    pub road: Road,
}

/// A way to the world.
#[derive(Debug, Clone)]
pub enum Road {
    /// From this machine.
    Direct {
        /// Whether its bytes count as proxied.
        counted: bool,
    },
    /// Through another proxy.
    Upstream(Upstream),
}

impl Road {
    fn counted(&self) -> bool {
        match self {
            Self::Direct { counted } => *counted,
            Self::Upstream(upstream) => upstream.counted,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Rules")
            .field("addresses", &self.addresses)
            .field("routes", &self.routes)
            .field("blocked", &self.blocked.is_some())
            .finish()
    }
}

/// Rules in force, with the meters of their routes.
pub(crate) struct InForce {
    pub(crate) rules: Rules,
    /// One for each route.
    meters: Vec<Arc<RoadMeter>>,
    /// For what no route matches.
    unmatched: Arc<RoadMeter>,
}

/// The road that a request takes.
pub(crate) struct Way {
    pub(crate) upstream: Option<Upstream>,
    pub(crate) meter: Arc<RoadMeter>,
}

impl InForce {
    pub(crate) fn new(rules: Rules, meter: &Arc<Meter>) -> Self {
        let meters = rules
            .routes
            .iter()
            .map(|route| Arc::new(RoadMeter::new(Arc::clone(meter), route.road.counted())))
            .collect();
        Self {
            rules,
            meters,
            unmatched: Arc::new(RoadMeter::new(Arc::clone(meter), false)),
        }
    }

    pub(crate) fn way(&self, host: &str) -> Way {
        let matches = |route: &Route| route.pattern.as_ref().is_none_or(|pattern| pattern.matches(host));
        let Some(index) = self.rules.routes.iter().position(matches) else {
            return Way {
                upstream: None,
                meter: Arc::clone(&self.unmatched),
            };
        };
        let upstream = match &self.rules.routes[index].road {
            Road::Direct { .. } => None,
            Road::Upstream(upstream) => Some(upstream.clone()),
        };
        Way {
            upstream,
            meter: Arc::clone(&self.meters[index]),
        }
    }

    pub(crate) fn meters(&self) -> impl Iterator<Item = &RoadMeter> {
        self.meters.iter().map(AsRef::as_ref)
    }
}
