//! The words of the business: identities, a session's life, limits, metadata and its query.
//!
//! Nothing here does I/O, reads a clock or draws a random number; time and randomness come in as [`Clock`] and
//! [`Entropy`]. Every rule is a function of values, so every rule has tests that need nothing but values.

mod api_key;
mod causes;
mod clock;
mod entropy;
mod ids;
mod limits;
mod metadata;
mod region;
mod session;
mod units;

pub use api_key::{ApiKey, ApiKeyHash, InvalidApiKey, WorkerCredential};
pub use causes::with_causes;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use ids::{
    ApiKeyId, CertificateId, Generation, Incarnation, InvalidId, OrganizationId, ProjectId, SessionId,
    WorkerId,
};
pub use limits::{InvalidLimit, ProjectLimits};
pub use metadata::{MetadataQuery, QueryError, UserMetadata, UserMetadataError};
pub use region::{Region, UnknownRegion};
pub use session::{
    Actor, AllowedDomain, EndReason, IdleTimeout, InvalidAllowedDomain, InvalidIdleTimeout, InvalidTimeout,
    InvalidViewport, SessionEvent, SessionStatus, SessionTimeout, UnknownStatus, Viewport, may_navigate,
};
pub use units::{Bytes, Millis, Percent};
