//! Who gets stock. Pure rules: given the orders of a batch, what was decided about them before and what is available,
//! they say what each order is answered and what moves. The store locks, reads, asks here, and writes.
//!
//! An order is decided once. A second request for it, in another batch or in the same one, moves nothing and is given
//! the first answer; an order that was released before it came takes nothing.

use std::collections::{BTreeMap, HashMap};

use chassis::open_enum::{Open, Spelled};
use uuid::Uuid;

/// The most units of a product in one line.
pub const MAX_QUANTITY: i64 = 1_000_000;

/// Units of a product that an order wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub product_id: Uuid,
    /// From 1 to [`MAX_QUANTITY`].
    pub quantity: i64,
}

/// An order that wants stock: well formed, with at least one line and each product once. See [`Order::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    id: Uuid,
    lines: Vec<Line>,
}

/// What keeps an order from being well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedOrder {
    /// There is nothing to allocate.
    #[error("must have at least one line")]
    NoLines,
    /// The quantity of the line at this index is out of range.
    #[error("must be from 1 to {MAX_QUANTITY}")]
    Quantity(usize),
    /// The line at this index is for a product that an earlier one is for.
    #[error("must not name a product twice")]
    RepeatedProduct(usize),
}

impl Order {
    /// Checks that the order is well formed.
    pub fn new(id: Uuid, lines: Vec<Line>) -> Result<Self, MalformedOrder> {
        if lines.is_empty() {
            return Err(MalformedOrder::NoLines);
        }
        let mut seen = std::collections::HashSet::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            if !(1..=MAX_QUANTITY).contains(&line.quantity) {
                return Err(MalformedOrder::Quantity(index));
            }
            if !seen.insert(line.product_id) {
                return Err(MalformedOrder::RepeatedProduct(index));
            }
        }
        Ok(Self { id, lines })
    }

    /// The order's id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// What it wants.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// What was decided about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// All of its lines are taken.
    Allocated,
    /// None is.
    Rejected(Rejection),
    /// What it had taken is given back, or it was released before it came.
    Released,
    /// What only a later version knows, by the status that it wrote. What follows is for that version to say: nothing is
    /// taken or given back.
    Newer(Box<str>),
}

/// Why an order got nothing: every line at fault, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The first, which is all that the version before knows.
    pub first: RejectedLine,
    /// Those behind it.
    pub others: Vec<RejectedLine>,
}

impl Rejection {
    /// Of the lines at fault; none where none is.
    pub fn of(lines: impl IntoIterator<Item = RejectedLine>) -> Option<Self> {
        let mut lines = lines.into_iter();
        Some(Self {
            first: lines.next()?,
            others: lines.collect(),
        })
    }

    /// Every line at fault.
    pub fn lines(&self) -> impl Iterator<Item = &RejectedLine> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// A line that can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// The product at fault.
    pub product_id: Uuid,
    /// What is wrong with it. It may be a later version's reason: nothing is decided by it.
    pub reason: Open<RejectionReason>,
}

/// What is wrong with a product that an order wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// Fewer units are left than wanted.
    InsufficientStock,
    /// It is unknown or deleted.
    ProductNotFound,
}

impl Spelled for RejectionReason {
    fn parse(text: &str) -> Option<Self> {
        [Self::InsufficientStock, Self::ProductNotFound]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientStock => "insufficient_stock",
            Self::ProductNotFound => "product_not_found",
        }
    }
}

/// One line of the ledger: an order takes units of a product or gives them back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// For which order.
    pub order_id: Uuid,
    /// Of which product.
    pub product_id: Uuid,
    /// Negative where stock leaves.
    pub delta: i64,
}

/// What to answer and what to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// For each order of the batch, in its order.
    pub answers: Vec<Decision>,
    /// Decisions to record for orders that had none, by ascending order id: the order in which every transaction
    /// writes them, so that two never wait for each other.
    pub decided: BTreeMap<Uuid, Decision>,
    /// Orders whose stock is given back, by ascending id.
    pub released: Vec<Uuid>,
    /// New lines of the ledger.
    pub movements: Vec<Movement>,
}

impl Plan {
    /// How much the stock of each product changes: the sum of its movements.
    pub fn stock_changes(&self) -> BTreeMap<Uuid, i64> {
        let mut changes = BTreeMap::new();
        for movement in &self.movements {
            *changes.entry(movement.product_id).or_default() += movement.delta;
        }
        changes
    }

    /// Whether every order had its answer already.
    pub fn is_empty(&self) -> bool {
        self.decided.is_empty() && self.released.is_empty()
    }
}

/// Decides about orders in turn, each seeing what those before it left. `known` holds the earlier decisions,
/// `available` the units of each product that is for sale.
pub(crate) fn plan_allocation(
    orders: &[Order],
    known: &HashMap<Uuid, Decision>,
    mut available: HashMap<Uuid, i64>,
) -> Plan {
    let mut plan = Plan::default();
    for order in orders {
        let earlier = known.get(&order.id).or_else(|| plan.decided.get(&order.id));
        let decision = earlier.cloned().unwrap_or_else(|| {
            let decision = decide(order, &available);
            if decision == Decision::Allocated {
                for line in &order.lines {
                    available
                        .entry(line.product_id)
                        .and_modify(|units| *units -= line.quantity);
                    plan.movements.push(Movement {
                        order_id: order.id,
                        product_id: line.product_id,
                        delta: -line.quantity,
                    });
                }
            }
            plan.decided.insert(order.id, decision.clone());
            decision
        });
        plan.answers.push(decision);
    }
    plan
}

fn decide(order: &Order, available: &HashMap<Uuid, i64>) -> Decision {
    let at_fault = order.lines.iter().filter_map(|line| {
        let reason = match available.get(&line.product_id) {
            None => RejectionReason::ProductNotFound,
            Some(units) if *units < line.quantity => RejectionReason::InsufficientStock,
            Some(_) => return None,
        };
        Some(RejectedLine {
            product_id: line.product_id,
            reason: reason.into(),
        })
    });
    Rejection::of(at_fault).map_or(Decision::Allocated, Decision::Rejected)
}

/// Gives back what orders had taken. `taken` holds the lines of each order that is allocated, as the ledger has them.
/// An order that nothing is known of is remembered as released; a rejected one has nothing to give back; one that a later
/// version has decided about is answered with that.
///
/// `None` if an order is allocated but its lines are not in `taken`: it was allocated while they were read, so they
/// must be read again.
pub(crate) fn plan_release(
    orders: &[Uuid],
    known: &HashMap<Uuid, Decision>,
    taken: &HashMap<Uuid, Vec<Line>>,
) -> Option<Plan> {
    let answer = |order| match known.get(order) {
        Some(Decision::Newer(status)) => Decision::Newer(status.clone()),
        _ => Decision::Released,
    };
    let mut plan = Plan {
        answers: orders.iter().map(answer).collect(),
        ..Plan::default()
    };
    let mut distinct = orders.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    for order_id in distinct {
        match known.get(&order_id) {
            None => drop(plan.decided.insert(order_id, Decision::Released)),
            Some(Decision::Released | Decision::Rejected(_) | Decision::Newer(_)) => {}
            Some(Decision::Allocated) => {
                let returns = taken.get(&order_id)?.iter().map(|line| Movement {
                    order_id,
                    product_id: line.product_id,
                    delta: line.quantity,
                });
                plan.movements.extend(returns);
                plan.released.push(order_id);
            }
        }
    }
    Some(plan)
}

#[cfg(test)]
mod tests;
