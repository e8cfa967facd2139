//! The storefront and the admin's pages: for people with a browser, of the API's own origin and using nothing but the API.
//!
//! A page's first answer shows its content, and its scripts (`web/shop`) add what needs an account or a cart. The catalogue and
//! a product can be read, searched and sorted without any script. The admin's (`web/admin`) are made by their scripts, with
//! what the API gives to whoever is logged in. Pages are at `/` and under `/shop` and `/admin`, where the API has nothing; a
//! refusal there is a page as well ([`refusal`]). They are no part of the API's description.

mod admin;
mod assets;
mod catalogue;
mod language;
mod picture;
mod price;
mod product;
mod refusal;
mod shell;
mod visit;

use axum::{Router, response::Redirect, routing::get};

use self::visit::Visit;
use super::Api;
use crate::config::Pages;

pub(super) use assets::Asset;
pub(super) use language::cookie;
pub(super) use refusal::dress;
pub(super) use visit::POLICY;

/// The pages and what they load; nothing where they are off.
pub(super) fn routes(pages: Pages) -> Router<Api> {
    if pages == Pages::Off {
        return Router::new();
    }
    let shop = shell::VIEWS.iter().fold(Router::new(), |router, view| {
        router.route(view.path, get(async |visit: Visit| shell::page(view, &visit)))
    });
    admin::VIEWS
        .iter()
        .fold(shop, |router, view| {
            router.route(view.path, get(async |visit: Visit| admin::page(view, &visit)))
        })
        .route("/", get(catalogue::page))
        .route("/shop", get(async || Redirect::permanent("/")))
        .route("/shop/products/{id}", get(product::page))
        .route("/shop/pictures/{file}", get(product::picture))
        .route("/shop/assets/{name}", get(assets::get))
}

/// Whether people are at that path, who are answered with a page.
fn is_page(path: &str) -> bool {
    let under = |folder: &str| {
        path.strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    path == "/" || under("/shop") || under("/admin")
}
