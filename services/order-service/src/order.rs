//! What an order is, and which changes it allows. Nothing here knows gRPC or SQL.

mod filter;

use chassis::{
    open_enum::{Open, Spelled},
    violations::Violations,
};
use time::OffsetDateTime;
use uuid::Uuid;

pub use filter::{OrderFilter, first_id, placed_at};
pub use rules::order::{MAX_LINES, MAX_QUANTITY, WantedLine, merge_lines};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Placed; its stock is being seen to.
    Pending,
    /// All of its stock is taken.
    Confirmed,
    /// Its stock can't be had.
    Rejected,
    /// Called off by the customer or an admin.
    Cancelled,
    /// Fulfilled.
    Completed,
}

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Confirmed,
        Self::Rejected,
        Self::Cancelled,
        Self::Completed,
    ];

    /// As the database and the HTTP API spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Completed => "completed",
        }
    }

    /// The status of that spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether `next` may follow. This is the whole state machine.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending, Self::Confirmed | Self::Rejected | Self::Cancelled)
                | (Self::Confirmed, Self::Cancelled | Self::Completed)
        )
    }

    /// Whether something is still to come of the order.
    pub fn is_open(self) -> bool {
        !self.is_final()
    }

    /// Whether nothing may follow.
    pub fn is_final(self) -> bool {
        !Self::ALL.into_iter().any(|next| self.may_become(next))
    }
}

impl Spelled for OrderStatus {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

/// On whose behalf a status is changed by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The customer may cancel.
    Customer,
    /// An admin may cancel and complete.
    Admin,
}

/// Why a status can't be changed by hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// Not this actor's to do, whatever the order's status.
    #[error("only an admin may set an order to {}", .0.as_str())]
    Forbidden(OrderStatus),
    /// The order's status does not allow it.
    #[error("an order that is {} can't become {}", .from.as_str(), .to.as_str())]
    Invalid {
        /// The order's status.
        from: Open<OrderStatus>,
        /// What was asked for.
        to: OrderStatus,
    },
}

/// Whether a person may ask for that status at all. Confirming and rejecting follow from the stock alone.
pub fn check_actor(actor: Actor, to: OrderStatus) -> Result<(), TransitionError> {
    match (actor, to) {
        (_, OrderStatus::Cancelled) | (Actor::Admin, OrderStatus::Completed) => Ok(()),
        _ => Err(TransitionError::Forbidden(to)),
    }
}

/// What a person's wish for a status means for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The order changes.
    Change,
    /// It is so already, since the wish was repeated: nothing is to do, and nobody is to be told.
    Done,
}

/// What is to be done with an order of that status for it to have the other, if it may.
pub fn step(from: Open<OrderStatus>, to: OrderStatus) -> Result<Step, TransitionError> {
    if from.known() == Some(to) {
        return Ok(Step::Done);
    }
    check_transition(from, to).map(|()| Step::Change)
}

/// Whether the order may go from one status to the other. What follows a status of a later version is for that version
/// to say: from here nothing does.
pub fn check_transition(from: Open<OrderStatus>, to: OrderStatus) -> Result<(), TransitionError> {
    if from.known().is_some_and(|from| from.may_become(to)) {
        Ok(())
    } else {
        Err(TransitionError::Invalid { from, to })
    }
}

/// Why an order's stock can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionReason {
    /// There is not enough.
    InsufficientStock,
    /// The product is not for sale any more.
    ProductNotFound,
}

impl RejectionReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::InsufficientStock, Self::ProductNotFound];

    /// As the database and the HTTP API spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientStock => "insufficient_stock",
            Self::ProductNotFound => "product_not_found",
        }
    }

    /// The reason of that spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

impl Spelled for RejectionReason {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn as_str(self) -> &'static str {
        self.as_str()
    }
}

/// Why an order was rejected: every line at fault, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The first, which is all that the version before knows.
    pub first: RejectedLine,
    /// Those behind it.
    pub others: Vec<RejectedLine>,
}

impl Rejection {
    /// Every line at fault.
    pub fn lines(&self) -> impl Iterator<Item = &RejectedLine> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// A line whose stock can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// The product at fault.
    pub product_id: Uuid,
    /// Why. It may be a later version's reason: nothing is decided by it.
    pub reason: Open<RejectionReason>,
}

/// What became of an order's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is taken.
    Confirmed,
    /// None of it is.
    Rejected(Rejection),
}

impl Outcome {
    /// The status that follows from it.
    pub const fn status(&self) -> OrderStatus {
        match self {
            Self::Confirmed => OrderStatus::Confirmed,
            Self::Rejected(_) => OrderStatus::Rejected,
        }
    }

    /// The rejection, if it is one.
    pub const fn rejection(&self) -> Option<&Rejection> {
        match self {
            Self::Confirmed => None,
            Self::Rejected(rejection) => Some(rejection),
        }
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// UUIDv7.
    pub id: Uuid,
    /// Who placed it.
    pub user_id: Uuid,
    /// Where it stands.
    pub status: Open<OrderStatus>,
    /// Each product once.
    pub lines: Vec<Line>,
    /// ISO 4217, of all amounts.
    pub currency: String,
    /// Sum of the lines in minor units.
    pub total: i64,
    /// Set where it was rejected.
    pub rejection: Option<Rejection>,
    /// When it was placed.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// A line of an order, as it was when the order was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub product_id: Uuid,
    /// Its name.
    pub product_name: String,
    /// Units.
    pub quantity: i64,
    /// Price of one unit in minor units of the order's currency.
    pub unit_price: i64,
}

/// A product's name and price as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// Price of one unit in minor units.
    pub price: i64,
    /// ISO 4217.
    pub currency: String,
}

/// Makes an order of what is wanted, at today's prices: an offer for each line, and none where there is no such product.
pub fn place(
    id: Uuid,
    user_id: Uuid,
    wanted: &[WantedLine],
    offers: Vec<Option<Offer>>,
    now: OffsetDateTime,
) -> Result<Order, Violations> {
    let mut violations = Violations::new();
    let mut lines = Vec::with_capacity(wanted.len());
    let mut currency: Option<String> = None;
    let mut total = Some(0_i64);
    for (line, offer) in wanted.iter().zip(offers) {
        let field = || format!("lines[{}].product_id", line.position);
        let Some(offer) = offer else {
            violations.add(field(), "there is no such product");
            continue;
        };
        let of_order = currency.get_or_insert_with(|| offer.currency.clone());
        if *of_order != offer.currency {
            let description = format!(
                "is priced in {}, other lines in {of_order}; order them apart",
                offer.currency
            );
            violations.add(field(), description);
        }
        let line_total = offer.price.checked_mul(line.quantity);
        total = total
            .zip(line_total)
            .and_then(|(sum, line_total)| sum.checked_add(line_total));
        lines.push(Line {
            product_id: line.product_id,
            product_name: offer.name,
            quantity: line.quantity,
            unit_price: offer.price,
        });
    }
    if total.is_none() {
        violations.add("lines", "the order's total is too large");
    }
    match (total, currency) {
        (Some(total), Some(currency)) if violations.is_empty() => Ok(Order {
            id,
            user_id,
            status: OrderStatus::Pending.into(),
            lines,
            currency,
            total,
            rejection: None,
            created_at: now,
            updated_at: now,
        }),
        _ => Err(violations),
    }
}

#[cfg(test)]
mod tests;
