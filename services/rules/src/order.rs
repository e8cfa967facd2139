//! What stands in requests about orders.

use chassis::violations::Violations;
use uuid::Uuid;

use crate::{id, within};

/// The most lines of an order.
pub const MAX_LINES: usize = proto::limits::ORDER_LINES;
/// The most units of one product in an order.
pub const MAX_QUANTITY: i64 = 10_000;

/// A line that is wanted: a product that occurs once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedLine {
    /// The product.
    pub product_id: Uuid,
    /// Units.
    pub quantity: i64,
    /// The request's line it came from first, for messages.
    pub position: usize,
}

/// Checks what is wanted and merges lines of one product, in the order of their first occurrence. Everything that is
/// wrong is said at once.
pub fn merge_lines(requested: &[(&str, i64)]) -> Result<Vec<WantedLine>, Violations> {
    let mut violations = Violations::new();
    if !(1..=MAX_LINES).contains(&requested.len()) {
        violations.add("lines", format!("must have 1 to {MAX_LINES} entries"));
        return Err(violations);
    }
    let mut lines: Vec<WantedLine> = Vec::with_capacity(requested.len());
    for (position, (product_id, quantity)) in requested.iter().enumerate() {
        if let Err(expected) = within(*quantity, &(1..=MAX_QUANTITY)) {
            violations.add(format!("lines[{position}].quantity"), expected);
        }
        let product_id = match id(product_id) {
            Ok(product_id) => product_id,
            Err(expected) => {
                violations.add(format!("lines[{position}].product_id"), expected);
                continue;
            }
        };
        match lines.iter_mut().find(|line| line.product_id == product_id) {
            None => lines.push(WantedLine {
                product_id,
                quantity: *quantity,
                position,
            }),
            Some(line) => {
                line.quantity = line.quantity.saturating_add(*quantity);
                if violations.is_empty() && line.quantity > MAX_QUANTITY {
                    let description =
                        format!("the lines of one product must add up to at most {MAX_QUANTITY}");
                    violations.add(format!("lines[{position}].quantity"), description);
                }
            }
        }
    }
    if violations.is_empty() {
        Ok(lines)
    } else {
        Err(violations)
    }
}
