//! What may stand in a request: one rule for each value, pure, in the words of the API.
//!
//! A rule is asked in two places. The gateway asks it while it reads a request, so that whoever sent it is told of
//! everything at once, whatever kind of mistake it is. The service that keeps the value asks it again, since it may be
//! called by others, or by a gateway of another version. There is no second copy that could say something else.
//!
//! What only a service can know, such as whether an email is taken, is no rule of these.

pub mod account;
pub mod email;
pub mod order;
pub mod password;
pub mod price;
pub mod product;
pub mod stock;

use std::{fmt::Display, ops::RangeInclusive};

use uuid::Uuid;

/// An id, as every contract writes it.
///
/// # Errors
/// What is expected of it.
pub fn id(text: &str) -> Result<Uuid, &'static str> {
    Uuid::try_parse(text).map_err(|_| "must be a UUID")
}

/// What somebody presents, right or wrong: only its length is looked at, so that nobody compares or hashes a megabyte.
///
/// # Errors
/// What is expected of it.
pub fn at_most(text: &str, characters: usize) -> Result<(), String> {
    // No text has more characters than bytes.
    if text.len() <= characters || text.chars().count() <= characters {
        Ok(())
    } else {
        Err(format!("must have at most {characters} characters"))
    }
}

fn within<N: Copy + PartialOrd + Display>(number: N, range: &RangeInclusive<N>) -> Result<N, String> {
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(format!("must be from {} to {}", range.start(), range.end()))
    }
}
