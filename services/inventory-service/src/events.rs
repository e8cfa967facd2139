//! The events of a product and of its stock: what is appended to the outbox beside every change.

use chassis::telemetry::trace;
use outbox::Event;
use proto::event::{EventType, ProductState, StockChangeKind, StockChanged};
use serde_json::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::product::Product;

/// The event of a new product.
pub fn product_created(product: &Product) -> Result<Event, Error> {
    Ok(state(EventType::ProductCreated, product)?.first())
}

/// The event of a product whose details changed.
pub fn product_updated(product: &Product) -> Result<Event, Error> {
    state(EventType::ProductUpdated, product)
}

/// The event of a product that is no longer for sale.
pub fn product_deleted(product: &Product) -> Result<Event, Error> {
    state(EventType::ProductDeleted, product)
}

fn state(kind: EventType, product: &Product) -> Result<Event, Error> {
    let details = &product.details;
    let data = ProductState {
        product_id: product.id,
        sku: details.sku.clone(),
        name: details.name.clone(),
        description: details.description.clone(),
        price_minor_units: details.price.minor_units,
        currency: details.price.currency_code.clone(),
        category: details.category.clone(),
        image_url: details.image_url.clone(),
        version: product.version,
    };
    Event::new(
        kind,
        product.id,
        &data,
        &trace::current(),
        OffsetDateTime::now_utc(),
    )
}

/// The event of units of a product that one transaction moved, of which `available` are left.
pub fn stock_changed(
    product_id: Uuid,
    kind: StockChangeKind,
    delta: i64,
    available: i64,
) -> Result<Event, Error> {
    let data = StockChanged {
        product_id,
        kind,
        delta,
        available,
    };
    let (trace, now) = (trace::current(), OffsetDateTime::now_utc());
    Event::new(EventType::StockChanged, product_id, &data, &trace, now)
}
