//! What requests say of orders.

use rules::order::merge_lines;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::http::decode::{Checked, Faults};

/// An order to place.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Placing {
    /// All in one currency. Lines of one product are merged.
    #[schema(min_items = 1, max_items = 100)]
    pub(super) items: Vec<PlacingItem>,
}

/// A product to order, and how much of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlacingItem {
    #[schema(format = Uuid)]
    pub(super) product_id: String,
    #[schema(minimum = 1, maximum = 10_000, example = 2)]
    pub(super) quantity: i64,
}

/// What is to become of an order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusChange {
    pub(super) status: StatusWanted,
}

/// What a person can make of an order.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StatusWanted {
    Completed,
    Cancelled,
}

impl Checked for Placing {
    fn check(&self, faults: &mut Faults) {
        let lines: Vec<_> = self
            .items
            .iter()
            .map(|item| (&*item.product_id, item.quantity))
            .collect();
        if let Err(violations) = merge_lines(&lines) {
            faults.take_all(&violations);
        }
    }
}

impl Checked for StatusChange {}

impl Placing {
    /// What the same key must come with again. Of what the body says, however it was written.
    pub(super) fn digest(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        for item in &self.items {
            hash.update(item.product_id.to_ascii_lowercase());
            hash.update([0]);
            hash.update(item.quantity.to_be_bytes());
        }
        hash.finalize().to_vec()
    }
}
