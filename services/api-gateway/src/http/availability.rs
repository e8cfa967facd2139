//! What is shown of a product's stock, and to whom. Every answer with a product is made with a [`StockView`]: there is no
//! other way to one, so nothing about stock is shown that this file doesn't allow.
//!
//! Whoever may see less gets other bytes, and so another `ETag`, which changes only with what is shown. What a cache may
//! keep for others is what strangers see, and `Vary` says that a token makes a difference, where it does.

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, header, request::Parts},
    response::{AppendHeaders, IntoResponse},
};
use serde::Serialize;

use super::{Api, caller::Caller, conditional::Representation};
use crate::config::{ShowStock, StockArgs};

/// Whether a product can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Availability {
    /// There is enough.
    InStock,
    /// There are few.
    Low,
    /// There is none.
    Out,
}

/// How much somebody sees of the stock of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StockView {
    show: ShowStock,
    low: i64,
}

/// What is shown of a product's stock: units, and whether there are some.
pub(super) type ShownStock = (Option<i64>, Option<Availability>);

impl StockView {
    /// An admin's, whatever others see.
    pub(super) fn of_admin(api: &Api) -> Self {
        Self {
            show: ShowStock::Exact,
            low: api.stock.low_stock,
        }
    }

    /// That of everybody else.
    pub(super) fn of_strangers(stock: &StockArgs) -> Self {
        Self {
            show: stock.show_stock,
            low: stock.low_stock,
        }
    }

    /// What it shows of that many units.
    pub(super) fn of(self, units: i64) -> ShownStock {
        let availability = if units <= 0 {
            Availability::Out
        } else if units <= self.low {
            Availability::Low
        } else {
            Availability::InStock
        };
        match self.show {
            ShowStock::Exact => (Some(units), Some(availability)),
            ShowStock::Bucketed => (None, Some(availability)),
            ShowStock::Hidden => (None, None),
        }
    }
}

/// How much whoever asks sees. Nobody is looked up where everybody sees everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Viewer {
    /// What they see.
    pub(super) view: StockView,
    is_admin: bool,
    /// Whether others see something else.
    varies: bool,
}

impl Viewer {
    /// The answer that everybody gets who sees as much.
    pub(super) fn answer<T: Serialize>(self, shown: Representation<T>) -> impl IntoResponse + use<T> {
        let shown = if self.is_admin { shown } else { shown.public() };
        let vary = (header::VARY, HeaderValue::from_static("authorization"));
        let vary: Vec<(HeaderName, HeaderValue)> = self.varies.then_some(vary).into_iter().collect();
        (AppendHeaders(vary), shown)
    }
}

impl FromRequestParts<Api> for Viewer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        let strangers = StockView::of_strangers(&api.stock);
        let varies = strangers.show != ShowStock::Exact;
        // A token that is good for nothing any more makes a stranger of its holder, as on all that anybody may read.
        let is_admin = varies
            && Caller::from_request_parts(parts, api)
                .await
                .is_ok_and(Caller::is_admin);
        let view = if is_admin {
            StockView::of_admin(api)
        } else {
            strangers
        };
        Ok(Self {
            view,
            is_admin,
            varies,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_follows_from_the_setting_alone() {
        let shown = |show, units| StockView { show, low: 5 }.of(units);
        for (units, availability) in [
            (0, Availability::Out),
            (1, Availability::Low),
            (5, Availability::Low),
            (6, Availability::InStock),
            (i64::MAX, Availability::InStock),
        ] {
            assert_eq!(shown(ShowStock::Exact, units), (Some(units), Some(availability)));
            assert_eq!(shown(ShowStock::Bucketed, units), (None, Some(availability)));
            assert_eq!(shown(ShowStock::Hidden, units), (None, None));
        }
    }
}
