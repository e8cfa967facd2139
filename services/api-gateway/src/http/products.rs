//! `/products`: the catalogue.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use chassis::grpc::from_timestamp;
use proto::{
    inventory::{
        CreateProductRequest, DeleteProductRequest, GetProductsRequest, ListProductsRequest,
        Product as ProductMessage, ProductSort, UpdateProductRequest,
    },
    money::Money,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Api,
    caller::Admin,
    decode::Nullable,
    input::{Id, IfMatch, Json, Query},
    list::{List, Paging},
};
use crate::{
    backends::read,
    money::{self, DEFAULT_CURRENCY, MoneyError, Number},
    problem::Problem,
};

/// A product.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Product {
    /// UUIDv7.
    #[schema(format = Uuid)]
    id: String,
    /// Stock keeping unit.
    sku: String,
    name: String,
    description: String,
    /// A decimal number, exact.
    #[schema(value_type = f64, minimum = 0, example = 10.99)]
    price: Number,
    /// A code of ISO 4217.
    #[schema(example = "USD")]
    currency: String,
    /// Units for sale now.
    #[schema(minimum = 0)]
    stock: i64,
    category: Option<String>,
    image_url: Option<String>,
    /// Counts the changes to the product, not those of its stock. The `ETag`.
    #[schema(minimum = 1)]
    version: i64,
    #[serde(with = "time::serde::rfc3339::option")]
    created_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    updated_at: Option<OffsetDateTime>,
}

/// A product with its version as `ETag`.
type Tagged = ([(HeaderName, String); 1], Answer<Product>);

/// A product to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewProduct {
    #[schema(min_length = 1, max_length = 200, example = "Espresso cup")]
    name: String,
    /// A decimal number with at most the decimals of its currency.
    #[schema(value_type = f64, minimum = 0, example = 10.99)]
    price: Number,
    /// A code of ISO 4217; USD where nothing is said.
    #[schema(nullable = false, example = "EUR")]
    currency: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    description: Nullable<String>,
    /// Unique; made from the id where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    sku: Nullable<String>,
    #[schema(minimum = 0, maximum = 1_000_000_000, nullable = false, example = 5)]
    stock: Option<i64>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    category: Nullable<String>,
    /// An absolute URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "https://images.example/cup.png")]
    image_url: Nullable<String>,
}

/// A change of a product. What is left out stays as it is; null clears what a product may be without, as an empty text
/// does. The stock has its own call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProductChange {
    #[schema(min_length = 1, max_length = 200, nullable = false)]
    name: Option<String>,
    #[schema(value_type = Option<f64>, minimum = 0, nullable = false, example = 12.5)]
    price: Option<Number>,
    #[schema(nullable = false, example = "EUR")]
    currency: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 10_000)]
    description: Nullable<String>,
    #[schema(nullable = false)]
    sku: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    category: Nullable<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    image_url: Nullable<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ProductsQuery {
    /// From 1; page times `page_size` is at most 10,000.
    #[param(minimum = 1, maximum = 10_000)]
    page: Option<u32>,
    /// 20 where nothing is said.
    #[param(minimum = 1, maximum = 100)]
    page_size: Option<u32>,
    /// Words to find in name, description and sku.
    q: Option<String>,
    /// Exactly this category.
    category: Option<String>,
    /// By this field, downwards with a minus; newest first where nothing is said.
    #[param(inline)]
    sort: Option<Sort>,
}

/// The order of a list.
#[derive(Clone, Copy, Deserialize, ToSchema)]
enum Sort {
    #[serde(rename = "-created_at")]
    Newest,
    #[serde(rename = "created_at")]
    Oldest,
    #[serde(rename = "price")]
    Cheapest,
    #[serde(rename = "-price")]
    Dearest,
    #[serde(rename = "name")]
    Name,
    #[serde(rename = "-name")]
    NameBackwards,
}

impl From<Sort> for ProductSort {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Newest => Self::Newest,
            Sort::Oldest => Self::Oldest,
            Sort::Cheapest => Self::PriceAscending,
            Sort::Dearest => Self::PriceDescending,
            Sort::Name => Self::NameAscending,
            Sort::NameBackwards => Self::NameDescending,
        }
    }
}

impl From<ProductMessage> for Product {
    fn from(product: ProductMessage) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        let price = product.price.unwrap_or_default();
        Self {
            id: product.id,
            sku: product.sku,
            name: product.name,
            description: product.description,
            price: money::to_number(&price),
            currency: price.currency_code,
            stock: product.stock,
            category: some(product.category),
            image_url: some(product.image_url),
            version: product.version,
            created_at: from_timestamp(product.created_at.as_ref()),
            updated_at: from_timestamp(product.updated_at.as_ref()),
        }
    }
}

impl From<MoneyError> for Problem {
    fn from(error: MoneyError) -> Self {
        Self::invalid_field(error.field(), error.to_string())
    }
}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(get, change, delete))
}

/// The catalogue.
#[utoipa::path(
    get, path = "/products", tag = "products", params(ProductsQuery),
    responses((status = 200, body = List<Product>)),
)]
async fn list(
    State(api): State<Api>,
    Query(query): Query<ProductsQuery>,
) -> Result<Answer<List<Product>>, Problem> {
    let paging = Paging::new(query.page, query.page_size);
    let request = ListProductsRequest {
        page: paging.page,
        page_size: paging.page_size,
        query: query.q.unwrap_or_default(),
        category: query.category.unwrap_or_default(),
        sort: query
            .sort
            .map_or(ProductSort::Unspecified, ProductSort::from)
            .into(),
    };
    let answer = read(
        &api.backends.inventory,
        request,
        |mut inventory, request| async move { inventory.list_products(request).await },
    );
    let answer = answer.await?;
    Ok(Answer(paging.list(answer.products, answer.total, Product::from)))
}

/// Adds a product.
#[utoipa::path(
    post, path = "/products", tag = "products", security(("token" = [])), request_body = NewProduct,
    responses(
        (status = 201, body = Product, headers(("location" = String), ("etag" = String))),
        (status = 403, description = "Not an admin"),
        (status = 409, description = "The sku is taken"),
    ),
)]
async fn add(
    State(api): State<Api>,
    _: Admin,
    Json(product): Json<NewProduct>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Tagged), Problem> {
    let currency = product.currency.as_deref().unwrap_or(DEFAULT_CURRENCY);
    let request = CreateProductRequest {
        price: Some(money::parse(&product.price, currency)?),
        sku: product.sku.value().unwrap_or_default(),
        name: product.name,
        description: product.description.value().unwrap_or_default(),
        initial_stock: product.stock.unwrap_or_default(),
        category: product.category.value().unwrap_or_default(),
        image_url: product.image_url.value().unwrap_or_default(),
    };
    let answer = api.backends.inventory.clone().create_product(request).await?;
    let product = answer.into_inner().product.ok_or_else(Problem::internal)?;
    let location = [(header::LOCATION, format!("/products/{}", product.id))];
    Ok((StatusCode::CREATED, location, tagged(product)))
}

/// One product.
#[utoipa::path(
    get, path = "/products/{id}", tag = "products", params(("id" = Uuid, Path, description = "The product")),
    responses((status = 200, body = Product, headers(("etag" = String)))),
)]
async fn get(State(api): State<Api>, Id(id): Id) -> Result<Tagged, Problem> {
    current(&api, id).await.map(tagged)
}

/// Changes a product, with `If-Match` only if it is still as it was read.
#[utoipa::path(
    patch, path = "/products/{id}", tag = "products", security(("token" = [])), request_body = ProductChange,
    params(
        ("id" = Uuid, Path, description = "The product"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the product as it was read"),
    ),
    responses(
        (status = 200, body = Product, headers(("etag" = String))),
        (status = 403, description = "Not an admin"),
        (status = 409, description = "The sku is taken"),
        (status = 412, description = "Somebody else has changed it meanwhile"),
    ),
)]
async fn change(
    State(api): State<Api>,
    _: Admin,
    Id(id): Id,
    IfMatch(mut expected_version): IfMatch,
    Json(change): Json<ProductChange>,
) -> Result<Tagged, Problem> {
    let price = match (change.price, change.currency) {
        (None, None) => None,
        (Some(price), Some(currency)) => Some(money::parse(&price, &currency)?),
        (price, currency) => {
            // Half of an amount: the other half is the product's own, as of the version that is then changed.
            let known = current(&api, id).await?;
            expected_version.get_or_insert(known.version);
            Some(completed(
                price,
                currency.as_deref(),
                &known.price.unwrap_or_default(),
            )?)
        }
    };
    let request = UpdateProductRequest {
        product_id: id.to_string(),
        expected_version,
        sku: change.sku,
        name: change.name,
        description: change.description.change(),
        price,
        category: change.category.change(),
        image_url: change.image_url.change(),
    };
    let answer = api.backends.inventory.clone().update_product(request).await?;
    answer
        .into_inner()
        .product
        .map(tagged)
        .ok_or_else(Problem::internal)
}

/// Takes a product off the catalogue. Old orders keep its name and price.
#[utoipa::path(
    delete, path = "/products/{id}", tag = "products", security(("token" = [])),
    params(
        ("id" = Uuid, Path, description = "The product"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the product as it was read"),
    ),
    responses(
        (status = 200, description = "As it was", body = Product),
        (status = 403, description = "Not an admin"),
        (status = 412, description = "Somebody else has changed it meanwhile"),
    ),
)]
async fn delete(
    State(api): State<Api>,
    _: Admin,
    Id(id): Id,
    IfMatch(expected_version): IfMatch,
) -> Result<Answer<Product>, Problem> {
    let request = DeleteProductRequest {
        product_id: id.to_string(),
        expected_version,
    };
    let answer = api.backends.inventory.clone().delete_product(request).await?;
    let product = answer.into_inner().product.ok_or_else(Problem::internal)?;
    Ok(Answer(product.into()))
}

async fn current(api: &Api, id: Uuid) -> Result<ProductMessage, Problem> {
    let request = GetProductsRequest {
        product_ids: vec![id.to_string()],
    };
    let answer = read(
        &api.backends.inventory,
        request,
        |mut inventory, request| async move { inventory.get_products(request).await },
    );
    let found = answer.await?.products.into_iter().next();
    found.ok_or_else(|| Problem::not_found("there is no such product"))
}

fn completed(price: Option<Number>, currency: Option<&str>, known: &Money) -> Result<Money, MoneyError> {
    let price = price.unwrap_or_else(|| money::to_number(known));
    money::parse(&price, currency.unwrap_or(&known.currency_code))
}

fn tagged(product: ProductMessage) -> Tagged {
    let tag = [(header::ETAG, format!("\"{}\"", product.version))];
    (tag, Answer(product.into()))
}
