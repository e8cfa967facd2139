//! `/admin`: the pages that the shop is run by. What they show is the admin's alone, so their scripts ask the API for it, and
//! what the gateway answers here is the same for everybody.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{
    assets::ASSETS,
    visit::{Page, Visit},
};
use crate::problem::Problem;

/// A page of the admin's.
#[derive(Debug)]
pub(super) struct View {
    pub(super) path: &'static str,
    /// What the scripts know it by.
    name: &'static str,
    /// The key of its heading.
    title: &'static str,
    /// Where it belongs.
    section: &'static str,
}

const fn view(path: &'static str, name: &'static str, title: &'static str, section: &'static str) -> View {
    View {
        path,
        name,
        title,
        section,
    }
}

/// All of them.
pub(super) static VIEWS: [View; 11] = [
    view("/admin", "overview", "admin.overview", "/admin"),
    view("/admin/products", "products", "admin.products", "/admin/products"),
    view(
        "/admin/products/new",
        "product",
        "admin.product.new",
        "/admin/products",
    ),
    view(
        "/admin/products/{id}",
        "product",
        "admin.product",
        "/admin/products",
    ),
    view("/admin/import", "import", "admin.import", "/admin/import"),
    view("/admin/orders", "orders", "admin.orders", "/admin/orders"),
    view("/admin/orders/{id}", "order", "admin.order", "/admin/orders"),
    view("/admin/users", "users", "admin.users", "/admin/users"),
    view("/admin/users/{id}", "user", "admin.user", "/admin/users"),
    view("/admin/flow", "flow", "admin.flow", "/admin/flow"),
    view("/admin/audit", "audit", "admin.audit", "/admin/audit"),
];

/// What one goes to from every page.
#[derive(Debug)]
struct Section {
    path: &'static str,
    title: &'static str,
    /// Its picture, a path of 20 by 20.
    icon: &'static str,
}

const fn section(path: &'static str, title: &'static str, icon: &'static str) -> Section {
    Section { path, title, icon }
}

static SECTIONS: [Section; 7] = [
    section("/admin", "admin.overview", "M3 9.5 10 3l7 6.5V17h-4.5v-5h-5v5H3z"),
    section(
        "/admin/products",
        "admin.products",
        "M10 2.5 17 6v8l-7 3.5L3 14V6zM3 6l7 3.5L17 6M10 9.5v8",
    ),
    section(
        "/admin/orders",
        "admin.orders",
        "M4 2.5h12v15l-3-2-3 2-3-2-3 2zM7 7h6M7 10.5h6",
    ),
    section(
        "/admin/users",
        "admin.users",
        "M7.5 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6M2 17c.4-3.4 2.6-5 5.5-5s5.1 1.6 5.5 5M13 3.3a3 3 0 0 1 0 5.4M15 12.5c1.8.700 2.8 2.2 3 4.5",
    ),
    section("/admin/flow", "admin.flow", "M2 10h4l2-6 4 12 2-6h4"),
    section(
        "/admin/audit",
        "admin.audit",
        "M10 5.5V10l3 2M3 10a7 7 0 1 0 2.3-5.2L3 7M3 3v4h4",
    ),
    section(
        "/admin/import",
        "admin.import",
        "M10 12V3M6.5 6.5 10 3l3.5 3.5M3 12v5h14v-5",
    ),
];

#[derive(Template)]
#[template(path = "admin/shell.html")]
struct Shell {
    page: Page,
    view: &'static View,
    sections: &'static [Section],
}

/// The page of a view.
pub(super) fn page(view: &'static View, visit: &Visit) -> Result<Response, Problem> {
    let mut page = visit.page(visit.texts().at(view.title).to_owned());
    page.texts = ASSETS.admin_texts(visit.language);
    let shell = Shell {
        page,
        view,
        sections: &SECTIONS,
    };
    visit.answer(StatusCode::OK, &shell)
}
