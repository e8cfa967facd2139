//! What is recorded of changes that people make to products and their stock. What orders take and give back is in the
//! ledger, and in no record.

use audit::{Changes, Record, Subject};
use serde_json::Value;
use uuid::Uuid;

use crate::product::{Details, Product};

/// A product was added, with its first stock.
pub fn product_created(product: &Product) -> Record {
    let changes = details(None, &product.details).with("stock", Value::Null, product.stock);
    Record::new("product.created", Subject::Product(product.id), changes)
}

/// A product is another than `before`. Its version grew also where no detail is another.
pub fn product_updated(product: &Product, before: &Details) -> Record {
    let changes = details(Some(before), &product.details);
    Record::new("product.updated", Subject::Product(product.id), changes)
}

/// A product was taken off sale.
pub fn product_deleted(product: &Product) -> Record {
    let changes = Changes::none()
        .with("sku", product.details.sku.as_str(), Value::Null)
        .with("name", product.details.name.as_str(), Value::Null);
    Record::new("product.deleted", Subject::Product(product.id), changes)
}

/// Stock was moved by hand, by so much, and is so much now.
pub fn stock_adjusted(product_id: Uuid, delta: i64, stock: i64, reason: &str) -> Record {
    let changes = Changes::none().with("stock", stock - delta, stock);
    Record::new("stock.adjusted", Subject::Product(product_id), changes).because(reason)
}

fn details(before: Option<&Details>, after: &Details) -> Changes {
    let text = |field: fn(&Details) -> &String| {
        let before = before.map(|details| field(details).as_str());
        (before, field(after).as_str())
    };
    let mut changes = Changes::none();
    for (name, (before, after)) in [
        ("sku", text(|details| &details.sku)),
        ("name", text(|details| &details.name)),
        ("description", text(|details| &details.description)),
        ("currency", text(|details| &details.price.currency_code)),
        ("category", text(|details| &details.category)),
        ("image_url", text(|details| &details.image_url)),
    ] {
        changes = changes.with(name, before, after);
    }
    let price = before.map(|details| details.price.minor_units);
    changes.with("price_minor_units", price, after.price.minor_units)
}
