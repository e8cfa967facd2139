//! Pages that scripts fill, since what they show is somebody's own: the cart, orders, the account. Without scripts they
//! say so.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::visit::{Page, Visit};
use crate::problem::Problem;

/// A page that scripts fill.
#[derive(Debug)]
pub(super) struct View {
    pub(super) path: &'static str,
    /// What the scripts know it by.
    name: &'static str,
    /// The key of its heading.
    title: &'static str,
}

const fn view(path: &'static str, name: &'static str, title: &'static str) -> View {
    View { path, name, title }
}

/// All of them.
pub(super) static VIEWS: [View; 7] = [
    view("/shop/cart", "cart", "cart.title"),
    view("/shop/checkout", "checkout", "checkout.title"),
    view("/shop/orders", "orders", "orders.title"),
    view("/shop/orders/{id}", "order", "order.title"),
    view("/shop/account", "account", "account.title"),
    view("/shop/login", "login", "login.title"),
    view("/shop/register", "register", "register.title"),
];

#[derive(Template)]
#[template(path = "shop/shell.html")]
struct Shell {
    page: Page,
    view: &'static str,
}

/// The page of a view.
pub(super) fn page(view: &'static View, visit: &Visit) -> Result<Response, Problem> {
    let shell = Shell {
        page: visit.page(visit.texts().at(view.title).to_owned()),
        view: view.name,
    };
    visit.answer(StatusCode::OK, &shell)
}
