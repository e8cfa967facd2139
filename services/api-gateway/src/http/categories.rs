//! `/categories`: what the catalogue's products are among.

use axum::extract::State;
use proto::inventory::{Category as CategoryMessage, ListCategoriesRequest};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, conditional::Representation};
use crate::{backends::read, problem::Problem};

/// A category.
#[derive(Debug, Serialize, ToSchema)]
struct Category {
    /// As `GET /products?category=` takes it.
    #[schema(example = "cups")]
    name: String,
    /// How many products it has, exact up to 10,000.
    #[schema(minimum = 1, maximum = 10_000, example = 12)]
    products: u64,
}

/// The categories.
#[derive(Debug, Serialize, ToSchema)]
struct CategoryList {
    /// By name: the first 1,000.
    #[schema(max_items = 1_000)]
    items: Vec<Category>,
}

impl From<CategoryMessage> for Category {
    fn from(category: CategoryMessage) -> Self {
        Self {
            name: category.name,
            products: category.products,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The categories that products are in, by name. What has changed is seen some seconds later.
#[utoipa::path(
    get, path = "/categories", tag = "products",
    responses(
        (status = 200, body = CategoryList, headers(("etag" = String), ("cache-control" = String))),
        (status = 304, description = "It is still as `If-None-Match` knows it"),
    ),
)]
async fn list(State(api): State<Api>) -> Result<Representation<CategoryList>, Problem> {
    let answer = read(
        &api.backends.inventory,
        ListCategoriesRequest {},
        |mut inventory, request| async move { inventory.list_categories(request).await },
    );
    let items = answer.await?.categories.into_iter().map(Category::from).collect();
    Ok(Representation::new(CategoryList { items }).public())
}
