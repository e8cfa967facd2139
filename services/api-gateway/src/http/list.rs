//! Lists: a page of what there is.

use chassis::page::DEFAULT_PAGE_SIZE;
use serde::Serialize;
use utoipa::ToSchema;

/// One page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    /// What is on the page.
    items: Vec<T>,
    /// How many there are on all pages, exact up to 10,000.
    #[schema(minimum = 0)]
    total: u64,
    /// The page, from 1.
    #[schema(minimum = 1)]
    page: u32,
    /// The most that a page has.
    #[schema(minimum = 1, maximum = 100)]
    page_size: u32,
}

/// Which page is wanted; which ones there are is for the service to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paging {
    pub(super) page: u32,
    pub(super) page_size: u32,
}

impl Paging {
    /// What the query says, or the first page.
    pub(super) fn new(page: Option<u32>, page_size: Option<u32>) -> Self {
        Self {
            page: page.unwrap_or(1),
            page_size: page_size.unwrap_or(DEFAULT_PAGE_SIZE),
        }
    }

    /// The page with what is on it.
    pub(super) fn list<M, T>(self, messages: Vec<M>, total: u64, item: impl FnMut(M) -> T) -> List<T> {
        List {
            items: messages.into_iter().map(item).collect(),
            total,
            page: self.page,
            page_size: self.page_size,
        }
    }
}
