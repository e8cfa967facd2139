//! New logins for the services while they work: pure. What a step leaves is kept in the Secrets, so that an operator that
//! is killed at any moment goes on where it was.
//!
//! 1. [`Credentials::prepare`]: each service gets a second login, which is made on its server and used by nobody.
//! 2. [`Credentials::promote`]: it becomes the service's own. The pods roll, and until they have, both are valid.
//! 3. [`Credentials::retire`]: the first one is dropped.
//!
//! The names alternate, so that a server never has more than two for a service.

use std::{mem, time::Duration};

use k8s_openapi::jiff::Timestamp;

use crate::credentials::{Credentials, Login, random};

/// On a Shop: its credentials are to be rotated now. The operator takes it away when it has begun.
pub const ANNOTATION: &str = "shop-operator.io/rotate-credentials";
/// What tells the second name from the first.
const SECOND: &str = "-b";

impl Credentials {
    /// Whether a rotation has begun and not ended.
    pub fn is_rotating(&self) -> bool {
        !self.next.is_empty() || !self.previous.is_empty()
    }

    /// Whether it is time, where credentials are to be replaced after a while. The time is counted from when this is first
    /// asked.
    pub fn is_due(&mut self, after: Option<Duration>, now: Timestamp) -> bool {
        let Some(after) = after else { return false };
        let began = *self.rotated_at.get_or_insert(now);
        now.duration_since(began).unsigned_abs() >= after
    }

    /// Makes the logins that come next.
    pub fn prepare(&mut self, now: Timestamp) {
        let logins = self.databases.iter().chain(&self.brokers);
        let next = logins.map(|(program, login)| {
            let username = match login.username.strip_suffix(SECOND) {
                Some(first) => first.to_owned(),
                None => format!("{}{SECOND}", login.username),
            };
            let password = random(32);
            (*program, Login { username, password })
        });
        self.next = next.collect();
        self.rotated_at = Some(now);
    }

    /// Lets those that come next be the services' own. Says whether there were any.
    pub fn promote(&mut self) -> bool {
        let next = mem::take(&mut self.next);
        let any = !next.is_empty();
        for (program, login) in next {
            let own = match self.databases.get_mut(&program) {
                Some(own) => Some(own),
                None => self.brokers.get_mut(&program),
            };
            if let Some(own) = own {
                self.previous.insert(program, mem::replace(own, login));
            }
        }
        any
    }

    /// Gives up those that were the services' own before. Says whether there were any.
    pub fn retire(&mut self) -> bool {
        !mem::take(&mut self.previous).is_empty()
    }
}
