//! What requests say of products.

use proto::money::Money;
use rules::{price, product, stock};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    http::decode::{Checked, Faults, Nullable},
    money::{self, DEFAULT_CURRENCY, MoneyError, Number},
};

/// A product to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Espresso cup", "price": 10.99, "currency": "EUR", "stock": 5}))]
pub(super) struct NewProduct {
    #[schema(min_length = 1, max_length = 200, example = "Espresso cup")]
    pub(super) name: String,
    /// A decimal number with at most the decimals of its currency.
    #[schema(value_type = f64, minimum = 0, example = 10.99)]
    pub(super) price: Number,
    /// A code of ISO 4217; USD where nothing is said.
    #[schema(nullable = false, example = "EUR")]
    pub(super) currency: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    pub(super) description: Nullable<String>,
    /// Unique; made from the id where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1)]
    pub(super) sku: Nullable<String>,
    #[schema(minimum = 0, maximum = 1_000_000_000, nullable = false, example = 5)]
    pub(super) stock: Option<i64>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) category: Nullable<String>,
    /// An absolute URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "https://images.example/cup.png")]
    pub(super) image_url: Nullable<String>,
}

/// A change of a product. What is left out stays as it is; null clears what a product may be without, as an empty text
/// does. The stock has its own call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"price": 12.5}))]
pub(super) struct ProductChange {
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    pub(super) name: Option<String>,
    #[schema(value_type = Option<f64>, minimum = 0, nullable = false, example = 12.5)]
    pub(super) price: Option<Number>,
    #[schema(nullable = false, example = "EUR")]
    pub(super) currency: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    pub(super) description: Nullable<String>,
    #[schema(min_length = 1, nullable = false)]
    pub(super) sku: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) category: Nullable<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) image_url: Nullable<String>,
}

impl Checked for NewProduct {
    fn check(&self, faults: &mut Faults) {
        faults.take("name", product::name(&self.name));
        faults.text("description", self.description.as_deref(), product::description);
        faults.text("sku", self.sku.as_deref(), product::sku);
        faults.text("category", self.category.as_deref(), product::category);
        faults.text("image_url", self.image_url.as_deref(), product::image_url);
        let currency = self.currency.as_deref().unwrap_or(DEFAULT_CURRENCY);
        check_price(faults, Some(&self.price), Some(currency));
        faults.take("stock", stock::initial(self.stock.unwrap_or_default()));
    }
}

impl Checked for ProductChange {
    fn check(&self, faults: &mut Faults) {
        faults.text("name", self.name.as_deref(), product::name);
        faults.text("description", self.description.as_deref(), product::description);
        faults.text("sku", self.sku.as_deref(), product::sku);
        faults.text("category", self.category.as_deref(), product::category);
        faults.text("image_url", self.image_url.as_deref(), product::image_url);
        check_price(faults, self.price.as_ref(), self.currency.as_deref());
    }
}

/// Without a currency it is the product's own: what it can express only the service knows.
fn check_price(faults: &mut Faults, price: Option<&Number>, currency: Option<&str>) {
    faults.text("currency", currency, price::currency);
    let Some(price) = price else { return };
    let known = currency.filter(|_| !faults.is_at_fault("currency"));
    let read = match (known, money::parse(price, known.unwrap_or(DEFAULT_CURRENCY))) {
        (None, Err(error)) if error != MoneyError::Negative => return,
        (_, read) => read,
    };
    faults.take("price", read.map_err(|error| error.to_string()));
}

/// The price that a half of one makes with the other half of what is known.
pub(super) fn completed(
    price: Option<&Number>,
    currency: Option<&str>,
    known: &Money,
) -> Result<Money, MoneyError> {
    let known_number = money::to_number(known);
    money::parse(
        price.unwrap_or(&known_number),
        currency.unwrap_or(&known.currency_code),
    )
}
