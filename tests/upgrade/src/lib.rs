//! Two neighbouring versions of every service, side by side on the same databases, broker and peers, under load, in any
//! order of rollout and back.
//!
//! [`Previous`] is the version before: its programs, and what it itself gets wrong. [`Rollout`] puts one version of a
//! service in the place of another; [`Load`] is customers who order, cancel and read meanwhile and remember every answer, and
//! asks afterwards whether all of it is true. [`migration`] reads migrations for what they may not do in one step.
//!
//! `tests/upgrade/run` builds both versions and runs the tests.

mod load;
pub mod migration;
mod newer_schema;
mod previous;
mod rollout;
mod verdict;

pub use load::Load;
pub use newer_schema::migrate_as_the_next_version;
pub use previous::{Exception, Exceptions, Previous};
pub use rollout::{CALLED_FIRST, CALLERS_FIRST, Rollout, Version};
