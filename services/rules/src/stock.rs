//! What stands in requests about stock.

use chassis::text::{self, Lines};
use proto::limits::MOVEMENT_REASON;

/// The most units that one call may put in stock or move.
pub const MAX_CHANGE: i64 = 1_000_000_000;

/// The stock of a new product.
///
/// # Errors
/// What is expected of it.
pub fn initial(units: i64) -> Result<i64, String> {
    super::within(units, &(0..=MAX_CHANGE))
}

/// A movement by hand.
///
/// # Errors
/// What is expected of it.
pub fn delta(units: i64) -> Result<i64, String> {
    if units == 0 || !(-MAX_CHANGE..=MAX_CHANGE).contains(&units) {
        return Err(format!(
            "must not be 0, and be from -{MAX_CHANGE} to {MAX_CHANGE}"
        ));
    }
    Ok(units)
}

/// Why it is moved, as it is kept.
///
/// # Errors
/// What is expected of it.
pub fn reason(text: &str) -> Result<String, String> {
    text::read(text, 1..=MOVEMENT_REASON, Lines::One)
}
