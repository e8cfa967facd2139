//! What a product is, and which products there may be. Pure: every text, price and amount that reaches the store went
//! through here, by the rules that the gateway asks too ([`rules`]), and whatever is wrong with a request is collected, so
//! that its sender can mend all of it at once.

use chassis::violations::Violations;
use rules::{price, product as rule, stock};
use time::OffsetDateTime;
use uuid::Uuid;

/// An exact amount: whole minor units (cents) of a currency of ISO 4217.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Not negative.
    pub minor_units: i64,
    /// The alphabetic code, upper case.
    pub currency_code: String,
}

/// What a person says about a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// Stock keeping unit: unique among the products that are not deleted.
    pub sku: String,
    /// 1 to 200 characters.
    pub name: String,
    /// At most 10,000 characters.
    pub description: String,
    /// What one unit costs.
    pub price: Price,
    /// Empty for none.
    pub category: String,
    /// Absolute http or https URL; empty for none.
    pub image_url: String,
}

/// A product as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// UUIDv7.
    pub id: Uuid,
    /// What was said about it.
    pub details: Details,
    /// Units for sale now.
    pub stock: i64,
    /// Counts the changes of the details, from 1.
    pub version: i64,
    /// When it was added.
    pub created_at: OffsetDateTime,
    /// When its details last changed.
    pub updated_at: OffsetDateTime,
}

/// The details to change; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// See [`Details::sku`].
    pub sku: Option<String>,
    /// See [`Details::name`].
    pub name: Option<String>,
    /// See [`Details::description`].
    pub description: Option<String>,
    /// See [`Details::price`].
    pub price: Option<Price>,
    /// See [`Details::category`].
    pub category: Option<String>,
    /// See [`Details::image_url`].
    pub image_url: Option<String>,
}

/// What must be so of a product for a change to be made; `None` leaves it open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// See [`Product::version`].
    pub version: Option<i64>,
    /// See [`Price::currency_code`].
    pub currency_code: Option<String>,
    /// See [`Price::minor_units`].
    pub minor_units: Option<i64>,
}

impl Expected {
    /// Whether the product is so.
    pub fn is_met_by(&self, product: &Product) -> bool {
        let price = &product.details.price;
        self.version.is_none_or(|version| version == product.version)
            && self
                .currency_code
                .as_ref()
                .is_none_or(|code| *code == price.currency_code)
            && self.minor_units.is_none_or(|units| units == price.minor_units)
    }
}

impl Change {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A stock keeping unit that a person chose.
pub fn sku(check: &mut Violations, text: &str) -> String {
    check.take("sku", rule::sku(text)).unwrap_or_default()
}

/// A product's name.
pub fn name(check: &mut Violations, text: &str) -> String {
    check.take("name", rule::name(text)).unwrap_or_default()
}

/// A product's description; it may have line breaks, and be empty.
pub fn description(check: &mut Violations, text: &str) -> String {
    check
        .take("description", rule::description(text))
        .unwrap_or_default()
}

/// A price; `None` is a violation too.
pub fn price(check: &mut Violations, money: Option<(i64, &str)>) -> Price {
    let (minor_units, currency_code) = money.unwrap_or_default();
    if money.is_none() {
        check.add("price", "must be set");
    } else {
        check.take("price.minor_units", price::amount(minor_units));
        check.take("price.currency_code", price::currency(currency_code));
    }
    Price {
        minor_units,
        currency_code: currency_code.to_owned(),
    }
}

/// The currency that products of a list are priced in; empty for any.
pub fn listed_currency(check: &mut Violations, code: &str) -> String {
    if !code.is_empty() {
        check.take("currency_code", price::currency(code));
    }
    code.to_owned()
}

/// A category; empty for none.
pub fn category(check: &mut Violations, text: &str) -> String {
    check.take("category", rule::category(text)).unwrap_or_default()
}

/// The address of an image; empty for none.
pub fn image_url(check: &mut Violations, text: &str) -> String {
    check.take("image_url", rule::image_url(text)).unwrap_or_default()
}

/// The stock of a new product.
pub fn initial_stock(check: &mut Violations, units: i64) -> i64 {
    check
        .take("initial_stock", stock::initial(units))
        .unwrap_or_default()
}

/// A movement of stock by hand.
pub fn delta(check: &mut Violations, units: i64) -> i64 {
    check.take("delta", stock::delta(units)).unwrap_or_default()
}

/// Why stock was moved by hand.
pub fn reason(check: &mut Violations, text: &str) -> String {
    check.take("reason", stock::reason(text)).unwrap_or_default()
}

/// The words of a search; empty for none. They are looked for as they are kept, composed.
pub fn query(check: &mut Violations, text: &str) -> String {
    check.take("query", rule::query(text)).unwrap_or_default()
}

/// A stock keeping unit for a product whose maker gave none: 16 characters from the random end of its UUIDv7, since a
/// search by their beginning should find few.
pub fn sku_from_id(id: Uuid) -> String {
    let (_, random) = id.as_u64_pair();
    format!("{random:016X}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(check: impl FnOnce(&mut Violations)) -> Vec<String> {
        let mut violations = Violations::default();
        check(&mut violations);
        violations
            .iter()
            .map(|violation| violation.field.clone())
            .collect()
    }

    #[test]
    fn every_violation_is_collected_under_its_field() {
        let found = fields(|check| {
            sku(check, "");
            name(check, "  ");
            description(check, &"x".repeat(10_001));
            price(check, Some((-1, "usd")));
            category(check, &"é".repeat(101));
            image_url(check, "/shirt.png");
            initial_stock(check, -1);
            delta(check, 0);
            reason(check, "");
        });
        assert_eq!(
            found,
            [
                "sku",
                "name",
                "description",
                "price.minor_units",
                "price.currency_code",
                "category",
                "image_url",
                "initial_stock",
                "delta",
                "reason"
            ]
        );
    }

    #[test]
    fn the_longest_texts_and_the_largest_amounts_are_fine() {
        let found = fields(|check| {
            assert_eq!(sku(check, " A-1 "), "A-1");
            name(check, &"é".repeat(200));
            description(check, &format!("a{}b", "\n".repeat(9_998)));
            price(check, Some((i64::MAX, "JPY")));
            category(check, "");
            image_url(check, "");
            image_url(check, "HTTPS://example.com/a?b=c");
            initial_stock(check, 1_000_000_000);
            delta(check, -1_000_000_000);
            query(check, "");
        });
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn text_that_a_database_or_a_terminal_would_choke_on_is_refused() {
        let found = fields(|check| {
            name(check, "a\0b");
            sku(check, "a\nb");
            description(check, "a\0b");
            image_url(check, "https://example.com/\0");
            query(check, "a\0b");
        });
        assert_eq!(found, ["name", "sku", "description", "image_url", "query"]);
    }

    #[test]
    fn skus_that_are_made_differ_where_ids_do() {
        let ids: Vec<Uuid> = (0..1_000).map(|_| Uuid::now_v7()).collect();
        let skus: std::collections::HashSet<String> = ids.iter().map(|id| sku_from_id(*id)).collect();
        assert_eq!(skus.len(), ids.len());
        assert!(skus.iter().all(|sku| sku.len() == 16));
    }
}
