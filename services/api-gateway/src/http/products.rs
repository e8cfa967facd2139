//! `/products`: the catalogue.

mod written;

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::IntoResponse,
};
use chassis::grpc::from_timestamp;
use proto::inventory::{
    CreateProductRequest, DeleteProductRequest, GetProductsRequest, ListProductsRequest,
    Product as ProductMessage, ProductSort, UpdateProductRequest,
};
use rules::{price, product};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use self::written::{NewProduct, ProductChange};
use super::{
    Api,
    availability::{Availability, StockView, Viewer},
    caller::{Admin, Identity},
    conditional::{MAX_ATTEMPTS, Preconditions, Representation, contended, unless_raced},
    decode::{Checked, Faults},
    idempotency::{IdempotencyKey, Replayed},
    input::{All, Id, Json, Query},
    list::{List, Paging, Shown, Target},
    timestamp, unless_empty,
};
use crate::{
    backends::read,
    money::{self, DEFAULT_CURRENCY, MoneyError, Number},
    problem::Problem,
};

/// As many requests a search counts as: the database does that much more for it.
pub(super) const SEARCH: u32 = 5;

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
    /// Units for sale now; null where the shop shows that to admins alone.
    #[schema(minimum = 0, required = true)]
    stock: Option<i64>,
    /// Whether there are units enough, few or none; null where the shop shows nothing of its stock. Later versions may add
    /// others.
    #[schema(value_type = Option<String>, required = true, examples("in_stock", "low", "out"))]
    availability: Option<Availability>,
    #[schema(required = true)]
    category: Option<String>,
    #[schema(required = true)]
    image_url: Option<String>,
    /// Counts the changes to the product, not those of its stock. The `ETag` begins with it.
    #[schema(minimum = 1)]
    version: i64,
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    created_at: Option<OffsetDateTime>,
    #[serde(serialize_with = "timestamp::fixed_width")]
    #[schema(value_type = String, format = DateTime, required = true, example = "2026-01-02T03:04:05.120000Z")]
    updated_at: Option<OffsetDateTime>,
}

/// A product with its version as `ETag`.
type Tagged = Representation<Product>;

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
    /// The `next` of an answer to the same query, to go on behind it, however far; empty to begin so. Not with `page`.
    cursor: Option<String>,
    /// Words to find in name, description and sku; the last one may be the beginning of a word.
    q: Option<String>,
    /// Exactly this category.
    category: Option<String>,
    /// Only what is priced in this currency, a code of ISO 4217.
    #[param(nullable = false, example = "EUR")]
    currency: Option<String>,
    /// `price` is the amount as it is shown, whatever its currency. By this field, downwards with a minus; newest first where nothing is said.
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

impl Product {
    /// The product as somebody sees it.
    pub(super) fn seen(product: ProductMessage, view: StockView) -> Self {
        let (stock, availability) = view.of(product.stock);
        let price = product.price.unwrap_or_default();
        Self {
            id: product.id,
            sku: product.sku,
            name: product.name,
            description: product.description,
            price: money::to_number(&price),
            currency: price.currency_code,
            stock,
            availability,
            category: unless_empty(product.category),
            image_url: unless_empty(product.image_url),
            version: product.version,
            created_at: from_timestamp(product.created_at.as_ref()),
            updated_at: from_timestamp(product.updated_at.as_ref()),
        }
    }
}

impl Checked for ProductsQuery {
    fn check(&self, faults: &mut Faults) {
        Paging::check(faults, self.page, self.page_size, self.cursor.as_deref());
        faults.text("q", self.q.as_deref(), product::query);
        faults.text("category", self.category.as_deref(), product::category);
        faults.text("currency", self.currency.as_deref(), price::currency);
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

/// The catalogue. A search counts as five requests.
#[utoipa::path(
    get, path = "/products", tag = "products", params(ProductsQuery),
    responses(
        (status = 200, body = List<Product>, headers(("etag" = String), ("cache-control" = String), ("link" = String))),
        (status = 304, description = "It is still as `If-None-Match` knows it"),
    ),
)]
async fn list(
    State(api): State<Api>,
    identity: Identity,
    viewer: Viewer,
    target: Target,
    Query(query): Query<ProductsQuery>,
) -> Result<impl IntoResponse, Problem> {
    if query.q.is_some() || query.currency.is_some() {
        api.limiter
            .count_requests(identity.client(), SEARCH - 1)
            .map_err(Problem::too_many_requests)?;
    }
    let paging = Paging::new(query.page, query.page_size, query.cursor);
    let request = ListProductsRequest {
        page: paging.page,
        page_size: paging.page_size,
        cursor: paging.cursor.clone(),
        query: query.q.unwrap_or_default(),
        category: query.category.unwrap_or_default(),
        currency_code: query.currency.unwrap_or_default(),
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
    let shown = Shown {
        total: answer.total,
        next: answer.next,
        page: answer.page,
    };
    let seen = |product| Product::seen(product, viewer.view);
    let (links, list) = paging.list(&target, answer.products, shown, seen);
    Ok((links, viewer.answer(Representation::new(list))))
}

/// Adds a product.
#[utoipa::path(
    post, path = "/products", tag = "products", security(("token" = [])), request_body = NewProduct,
    params((
        "Idempotency-Key" = Option<String>, Header,
        description = "Makes the request safe to repeat: the same key gives the first answer again",
    )),
    responses(
        (status = 201, body = Product, headers(
            ("location" = String),
            ("etag" = String),
            ("idempotency-replayed" = Option<String>, description = "`true` where it is an earlier answer"),
        )),
        (status = 403, description = "Not an admin"),
        (status = 409, description = "The sku is taken, or the first request with this Idempotency-Key is still at work"),
    ),
)]
async fn add(
    State(api): State<Api>,
    Admin(caller): Admin,
    All(input): All<(IdempotencyKey, Json<NewProduct>)>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Replayed, Tagged), Problem> {
    let (key, Json(product)) = input;
    let currency = product.currency.as_deref().unwrap_or(DEFAULT_CURRENCY);
    let mut request = CreateProductRequest {
        price: Some(money::parse(&product.price, currency)?),
        sku: product.sku.value().unwrap_or_default(),
        name: product.name,
        description: product.description.value().unwrap_or_default(),
        initial_stock: product.stock.unwrap_or_default(),
        category: product.category.value().unwrap_or_default(),
        image_url: product.image_url.value().unwrap_or_default(),
        ..CreateProductRequest::default()
    };
    request.request_digest = key.digest("CreateProduct", &request);
    request.idempotency_key = key.0;
    request.user_id = caller.id.to_string();
    let request = caller.request(request);
    let answer = api.backends.inventory.clone().create_product(request).await?;
    let created = answer.into_inner();
    let product = created.product.ok_or_else(Problem::internal)?;
    let location = [(header::LOCATION, format!("/products/{}", product.id))];
    Ok((
        StatusCode::CREATED,
        location,
        Replayed(created.replayed),
        tagged(product, StockView::of_admin(&api)),
    ))
}

/// One product.
#[utoipa::path(
    get, path = "/products/{id}", tag = "products",
    params(
        ("id" = Uuid, Path, description = "The product"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag of the product as it is known already"),
    ),
    responses(
        (status = 200, body = Product, headers(("etag" = String), ("cache-control" = String))),
        (status = 304, description = "It is still as it is known"),
    ),
)]
async fn get(State(api): State<Api>, viewer: Viewer, Id(id): Id) -> Result<impl IntoResponse, Problem> {
    Ok(viewer.answer(tagged(current(&api, id).await?, viewer.view)))
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
    Admin(caller): Admin,
    wanted: Preconditions,
    All(input): All<(Id, Json<ProductChange>)>,
) -> Result<Tagged, Problem> {
    let (Id(id), Json(change)) = input;
    let (price, currency) = (change.price, change.currency);
    let mut request = UpdateProductRequest {
        product_id: id.to_string(),
        sku: change.sku,
        name: change.name,
        description: change.description.change(),
        category: change.category.change(),
        image_url: change.image_url.change(),
        ..UpdateProductRequest::default()
    };
    if let (Some(price), Some(currency)) = (&price, &currency) {
        request.price = Some(money::parse(price, currency)?);
    }
    // Half of an amount: the other half is the product's own, and must still be so when it is changed.
    let is_half = price.is_some() != currency.is_some();
    for _ in 0..MAX_ATTEMPTS {
        let mut request = request.clone();
        if is_half || !wanted.is_empty() {
            let known = current(&api, id).await?;
            if !wanted.is_empty() {
                wanted.check_version(known.version)?;
                request.expected_version = Some(known.version);
            }
            if is_half {
                let known = known.price.unwrap_or_default();
                request.price = Some(written::completed(price.as_ref(), currency.as_deref(), &known)?);
                request.expected_minor_units = price.is_none().then_some(known.minor_units);
                request.expected_currency_code = Some(known.currency_code);
            }
        }
        let answer = api
            .backends
            .inventory
            .clone()
            .update_product(caller.request(request))
            .await;
        if let Some(changed) = unless_raced(answer)? {
            let product = changed.product.ok_or_else(Problem::internal)?;
            return Ok(tagged(product, StockView::of_admin(&api)));
        }
    }
    Err(contended())
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
    Admin(caller): Admin,
    Id(id): Id,
    wanted: Preconditions,
) -> Result<Answer<Product>, Problem> {
    for _ in 0..MAX_ATTEMPTS {
        let mut request = DeleteProductRequest {
            product_id: id.to_string(),
            expected_version: None,
        };
        if !wanted.is_empty() {
            let known = current(&api, id).await?;
            wanted.check_version(known.version)?;
            request.expected_version = Some(known.version);
        }
        let answer = api
            .backends
            .inventory
            .clone()
            .delete_product(caller.request(request))
            .await;
        if let Some(deleted) = unless_raced(answer)? {
            let product = deleted.product.ok_or_else(Problem::internal)?;
            return Ok(Answer(Product::seen(product, StockView::of_admin(&api))));
        }
    }
    Err(contended())
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

fn tagged(product: ProductMessage, view: StockView) -> Tagged {
    let version = product.version;
    Representation::new(Product::seen(product, view)).at_version(version)
}
