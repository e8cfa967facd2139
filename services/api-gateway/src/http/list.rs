//! Lists: a page of what there is, by number or by cursor.

use chassis::page::DEFAULT_PAGE_SIZE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{FieldError, Problem};

/// One page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    /// What is on the page.
    items: Vec<T>,
    /// How many there are on all pages, exact up to 10,000.
    #[schema(minimum = 0)]
    total: u64,
    /// The page, from 1; by cursor counted on from where that began, up to 10,000.
    #[schema(minimum = 1, maximum = 10_000)]
    page: u32,
    /// The most that a page has.
    #[schema(minimum = 1, maximum = 100)]
    page_size: u32,
    /// The `cursor` of what comes behind this page; left out at the end.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
    next: String,
}

/// Which page is wanted; which ones there are is for the service to say.
#[derive(Clone, Debug)]
pub(super) struct Paging {
    /// 0 with a cursor.
    pub(super) page: u32,
    pub(super) page_size: u32,
    pub(super) cursor: Option<String>,
}

/// What a service says of a page that it answers with.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// How many entries the list has.
    pub(super) total: u64,
    /// The cursor of what comes behind; empty at the end.
    pub(super) next: String,
    /// Which page it is; 0 from a service of a version that doesn't say.
    pub(super) page: u32,
}

impl Paging {
    /// What the query says, or the first page.
    pub(super) fn new(
        page: Option<u32>,
        page_size: Option<u32>,
        cursor: Option<String>,
    ) -> Result<Self, Problem> {
        if page.is_some() && cursor.is_some() {
            return Err(Problem::invalid(vec![FieldError {
                field: "page".to_owned(),
                detail: "must not be given with `cursor`, which says where to go on".to_owned(),
            }]));
        }
        let first = u32::from(cursor.is_none());
        Ok(Self {
            page: page.unwrap_or(first),
            page_size: page_size.unwrap_or(DEFAULT_PAGE_SIZE),
            cursor,
        })
    }

    /// The page with what is on it.
    pub(super) fn list<M, T>(self, messages: Vec<M>, shown: Shown, item: impl FnMut(M) -> T) -> List<T> {
        List {
            items: messages.into_iter().map(item).collect(),
            total: shown.total,
            page: if shown.page == 0 { self.page } else { shown.page },
            page_size: self.page_size,
            next: shown.next,
        }
    }
}
