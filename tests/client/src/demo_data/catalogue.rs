//! The products. None has a picture of its own: the gateway draws one for each, after its category and its id
//! (`api-gateway/src/http/pages/picture.rs`). The names of the categories are such that it draws another kind of thing for
//! each, in other colours.

use std::collections::HashMap;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Added, patience::patiently};
use crate::Api;

const CURRENCY: &str = "EUR";

#[derive(Deserialize)]
struct Category {
    category: String,
    products: Vec<Product>,
}

#[derive(Deserialize)]
struct Product {
    sku: String,
    name: String,
    price: Value,
    stock: i64,
    description: String,
}

/// What came of the products.
pub(super) struct Catalogue {
    pub(super) categories: usize,
    pub(super) products: Added,
    /// By SKU.
    pub(super) ids: HashMap<String, String>,
}

fn categories() -> anyhow::Result<Vec<Category>> {
    serde_json::from_str(include_str!("catalogue.json")).context("catalogue.json")
}

/// Adds the products that are missing.
pub(super) async fn fill(admin: &Api) -> anyhow::Result<Catalogue> {
    let categories = categories()?;
    let mut there = HashMap::new();
    for Category { category, .. } in &categories {
        read(admin, &[("category", category)], &mut there).await?;
    }
    let (mut products, mut ids) = (Added::default(), HashMap::new());
    for (category, product) in by_turns(&categories) {
        let (id, is_new) = match there.remove(&product.sku) {
            Some(id) => (id, false),
            None => add(admin, category, product).await?,
        };
        products.count(is_new);
        ids.insert(product.sku.clone(), id);
    }
    Ok(Catalogue {
        categories: categories.len(),
        products,
        ids,
    })
}

/// One of each category after the other, as in a shop that has grown: the newest are then of every category.
fn by_turns(categories: &[Category]) -> impl Iterator<Item = (&str, &Product)> {
    let most = categories.iter().map(|of| of.products.len()).max();
    (0..most.unwrap_or_default()).flat_map(move |turn| {
        categories
            .iter()
            .filter_map(move |of| Some((of.category.as_str(), of.products.get(turn)?)))
    })
}

/// The id of the product, and whether it was missing.
async fn add(admin: &Api, category: &str, product: &Product) -> anyhow::Result<(String, bool)> {
    let Product {
        sku,
        name,
        price,
        stock,
        description,
    } = product;
    let body = json!({
        "sku": sku, "name": name, "description": description, "category": category,
        "price": price, "currency": CURRENCY, "stock": stock,
    });
    let answer = patiently(admin.post("/products").json(body)).await?;
    if answer.status() == 409 {
        // It is there, and somebody has put it into another category.
        let mut found = HashMap::new();
        read(admin, &[("q", sku)], &mut found).await?;
        let id = found.remove(sku);
        return Ok((
            id.with_context(|| format!("the product {sku} is there and not found"))?,
            false,
        ));
    }
    Ok((text(&answer.is(201)?, "id")?, true))
}

/// The ids by SKU of all products that the query finds.
async fn read(admin: &Api, query: &[(&str, &str)], ids: &mut HashMap<String, String>) -> anyhow::Result<()> {
    let mut cursor = String::new();
    loop {
        let mut path = reqwest::Url::parse("http://shop/products?page_size=100")?;
        path.query_pairs_mut()
            .extend_pairs(query)
            .append_pair("cursor", &cursor);
        let path = format!("/products?{}", path.query().unwrap_or_default());
        let page = patiently(admin.get(path)).await?.is(200)?;
        for product in page["items"].as_array().context("a list has items")? {
            ids.insert(text(product, "sku")?, text(product, "id")?);
        }
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return Ok(()),
        }
    }
}

fn text(of: &Value, member: &str) -> anyhow::Result<String> {
    let text = of[member].as_str();
    Ok(text.with_context(|| format!("{of} has no {member}"))?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn sixty_products_in_eight_categories_of_which_few_are_sold_out() {
        let categories = categories().unwrap();
        assert_eq!(categories.len(), 8);
        let products: Vec<_> = by_turns(&categories).map(|(_, product)| product).collect();
        assert_eq!(products.len(), 60);
        let skus: HashSet<_> = products.iter().map(|product| &product.sku).collect();
        assert_eq!(skus.len(), 60, "a SKU is one product's");
        assert_eq!(products.iter().filter(|product| product.stock == 0).count(), 1);
        let newest: HashSet<_> = by_turns(&categories)
            .map(|(category, _)| category)
            .take(8)
            .collect();
        assert_eq!(newest.len(), 8, "one of each category stands beside the other");
    }
}
