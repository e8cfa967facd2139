//! What `/docs` loads, and the client in TypeScript, for whoever wants to have it: of the version that this gateway has.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue},
    response::Response,
};

use crate::{http::pages::Asset, problem::Problem};

/// Their names stay, so that they can be linked to and fetched: whoever has one asks whether it is still the same.
pub(super) const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const STYLE_TYPE: &str = "text/css; charset=utf-8";
const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";
/// Types are for compilers, and shown as text to people.
const TYPES_TYPE: &str = "text/plain; charset=utf-8";

static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(STYLE_TYPE, include_str!("../../../web/docs/docs.css")));
static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new(SCRIPT_TYPE, include_str!("../../../web/docs/docs.js")));

macro_rules! client {
    ($($name:literal: $media_type:ident),* $(,)?) => {
        [$(($name, Asset::new($media_type, include_str!(concat!("../../../client/", $name))))),*]
    };
}

static CLIENT: LazyLock<[(&str, Asset); 4]> = LazyLock::new(|| {
    client![
        "shop.mjs": SCRIPT_TYPE,
        "shop.d.mts": TYPES_TYPE,
        "operations.mjs": SCRIPT_TYPE,
        "schema.d.mts": TYPES_TYPE,
    ]
});

/// `GET /docs/docs.css`.
pub(super) async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers, ASK_AGAIN)
}

/// `GET /docs/docs.js`.
pub(super) async fn script(headers: HeaderMap) -> Response {
    SCRIPT.answer(&headers, ASK_AGAIN)
}

/// `GET /docs/client/{name}`.
pub(super) async fn client(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    CLIENT
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, file)| file.answer(&headers, ASK_AGAIN))
        .ok_or_else(|| Problem::not_found("the client has no such file"))
}
