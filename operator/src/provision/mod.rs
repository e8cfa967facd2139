//! What a shop needs and Kubernetes does not hold: its databases with their roles, and the broker's topology with its
//! users. Each module makes a server hold what is asked for, repairs it, and removes it again.

pub mod postgres;
pub mod rabbitmq;

use std::fmt;

/// What was done to a server, for people to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(Vec<String>);

impl Changes {
    /// Whether the server was found as it should be.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each change, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}
