//! The forward proxy of one browser: its only way out.
//!
//! An [`Egress`] serves one listener, which the browser has as its proxy, and knows nothing of sessions or tenants. It
//! takes HTTP in absolute form and CONNECT. For each request it asks the [`Rules`] of that moment, in this order: is the
//! host or the URL blocked ([`Blocklist`]); which [`Route`] does it take; may its address be spoken to
//! ([`AddressPolicy`]). Names are resolved here, once, and only addresses that passed are dialled, so a name that changes
//! its mind between two lookups gains nothing; upstream proxies resolve for themselves, and the operator's are given no
//! name that has a closed address here. Every byte on a socket to the world is counted ([`Traffic`]).
//!
//! A browser's connection has at most one connection to the world, which lives and dies with it: there is no pool to
//! bound, and no answer can reach another request. Memory has an upper limit whatever the page does (see [`Options`]).

mod address;
mod blocklist;
mod body;
mod connection;
mod credentials;
mod destination;
mod dial;
mod egress;
mod exchange;
mod failure;
mod headers;
mod host;
mod meter;
mod options;
mod page;
mod pattern;
mod request;
mod resolve;
mod rules;
mod slots;
mod small_reads;
mod tasks;
mod trust;
mod tunnel;
mod upstream;
mod world;

pub use address::{AddressClass, AddressPolicy, PrivateAddresses, Refusal, RefusalRule};
pub use blocklist::{Blocklist, RequestKind};
pub use credentials::Credentials;
pub use egress::Egress;
pub use host::{BadHost, Host};
pub use ipnet::IpNet;
pub use meter::{Bytes, Traffic};
pub use options::Options;
pub use pattern::{BadPattern, Pattern};
pub use resolve::{Resolve, Resolved, SystemResolver};
pub use rules::{Road, Route, Rules};
pub use trust::{BadCertificate, Trust};
pub use upstream::{BadUpstream, ProbeError, Scheme, Upstream};
