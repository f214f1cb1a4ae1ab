//! Limits are exact, also under race, and placement finds the right worker.

mod deadlocks;
mod mixed;
mod placement;
mod race;
mod waiting;
