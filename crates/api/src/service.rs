//! What operators and load balancers ask. No key: none of it is a tenant's.

pub(crate) mod healthz;
pub(crate) mod metrics;
pub(crate) mod readyz;
