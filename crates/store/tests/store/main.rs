//! The store against a real Postgres.

mod admission;
mod cancellation;
mod fixture;
mod keys;
mod lifecycle;
mod lists;
mod plans;
mod proxy;
mod tenancy;
mod usage;
