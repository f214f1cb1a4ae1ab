//! The store against a real Postgres.

mod admission;
mod cancellation;
mod certificates;
mod creations;
mod fixture;
mod keys;
mod ledger;
mod lifecycle;
mod lists;
mod plans;
mod proxy;
mod reconcilers;
mod standby;
mod tenancy;
mod usage;
mod warm_up;
