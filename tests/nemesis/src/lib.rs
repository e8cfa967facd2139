//! Faults under load: processes killed and paused, a database that is read-only, networks that are silent, each alone
//! and two at once, while customers place orders. Afterwards all is healed and the books must balance.
//!
//! [`schedule`] says from a seed what happens and when; it is pure. [`faults`] does it and undoes it, by means of
//! [`servers`] (a PostgreSQL and a RabbitMQ that may die) and [`network`]. [`load`] places the orders meanwhile,
//! [`reconcile`] compares what the customers were told with what is stored, and [`report`] says how long it took.
//! [`chapter`] puts them together.
//!
//! Times are printed and not asserted, but for one generous bound: [`chapter::BOUND`].

pub mod chapter;
pub mod faults;
pub mod load;
pub mod network;
pub mod reconcile;
pub mod report;
pub mod schedule;
pub mod servers;
