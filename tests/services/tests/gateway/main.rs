//! The gateway as its callers meet it, without the rest of the shop: what it answers by itself, and what it makes of
//! services that are not there. The whole API, on all six services, is tested by `tests/e2e`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod alone;
mod at_once;
mod behind;
mod docs;
mod keys;
mod lists;
mod pages;
mod refresh_cookie;
mod refusals;
mod requests;
mod shop;
mod stock_shown;
mod support;
mod tokens;
