//! `/shop/products/{id}`: one product, and its picture.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proto::inventory::{GetProductsRequest, ListProductsRequest, Product};
use uuid::Uuid;

use super::{
    catalogue::Card,
    picture,
    visit::{Page, Visit},
};
use crate::{
    backends::read,
    http::{Api, availability::StockView},
    problem::Problem,
};

/// How many others of its category are shown, and one more in case it is among them itself.
const OTHERS: usize = 4;
const FOR_AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

#[derive(Template)]
#[template(path = "shop/product.html")]
struct ProductPage {
    page: Page,
    card: Card,
    sku: String,
    paragraphs: Vec<String>,
    category_href: String,
    others: Vec<Card>,
}

/// `GET /shop/products/{id}`.
pub(super) async fn page(
    State(api): State<Api>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, Problem> {
    let not_there = || Problem::not_found("there is no such product, or not any more");
    let id = Uuid::try_parse(&id).map_err(|_| not_there())?.to_string();
    let product = find(&api, &id).await?.ok_or_else(not_there)?;
    let mut others = Vec::new();
    if !product.category.is_empty() {
        let request = ListProductsRequest {
            page: 1,
            page_size: u32::try_from(OTHERS).unwrap_or_default() + 1,
            category: product.category.clone(),
            ..ListProductsRequest::default()
        };
        let answer = read(
            &api.backends.inventory,
            request,
            |mut inventory, request| async move { inventory.list_products(request).await },
        );
        // Without them the page is still one.
        others = answer.await.map(|answer| answer.products).unwrap_or_default();
    }
    let view = StockView::of_strangers(&api.stock);
    let mut page = visit.page(product.name.clone());
    page.description = product.description.chars().take(160).collect();
    let others = others.iter().filter(|other| other.id != product.id);
    let product_page = ProductPage {
        page,
        others: others
            .take(OTHERS)
            .map(|other| Card::of(other, &visit, view))
            .collect(),
        category_href: format!(
            "/?category={}",
            utf8_percent_encode(&product.category, NON_ALPHANUMERIC)
        ),
        paragraphs: product
            .description
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect(),
        card: Card::of(&product, &visit, view),
        sku: product.sku,
    };
    visit.answer(StatusCode::OK, &product_page)
}

/// `GET /shop/pictures/{id}.svg`: what the pages draw for a product, for those that scripts make. One that is gone has a
/// picture still, since old orders show it.
pub(super) async fn picture(
    State(api): State<Api>,
    Path(file): Path<String>,
    visit: Visit,
) -> Result<Response, Problem> {
    let id = file.strip_suffix(".svg").and_then(|id| Uuid::try_parse(id).ok());
    let id = id
        .ok_or_else(|| Problem::not_found("there is no such picture"))?
        .to_string();
    let product = find(&api, &id).await?;
    let mut response = match &product {
        Some(product) if visit.may_show(&product.image_url) => {
            Redirect::temporary(&product.image_url).into_response()
        }
        Some(product) => picture::of(product).into_response(),
        None => picture::draw(&id, "").into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers.insert(header::CACHE_CONTROL, FOR_AN_HOUR);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    Ok(response)
}

async fn find(api: &Api, id: &str) -> Result<Option<Product>, Problem> {
    let request = GetProductsRequest {
        product_ids: vec![id.to_owned()],
    };
    let answer = read(
        &api.backends.inventory,
        request,
        |mut inventory, request| async move { inventory.get_products(request).await },
    );
    Ok(answer.await?.products.pop())
}
