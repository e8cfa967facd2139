//! Paging of lists. A page is counted from 1; a list shows at most its first [`MAX_WINDOW`] entries, so that no page
//! costs more than skipping that many, and its `total` is exact up to there. Whoever wants more narrows the search.

use tonic::Status;

use crate::violations::Violations;

/// How many entries of a list can be paged through, and how far its total counts.
pub const MAX_WINDOW: u32 = 10_000;
/// The most entries on one page.
pub const MAX_PAGE_SIZE: u32 = proto::limits::PAGE_SIZE;
/// Entries on a page where nothing is said.
pub const DEFAULT_PAGE_SIZE: u32 = 20;

/// A page that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    page: u32,
    page_size: u32,
}

impl Page {
    /// `INVALID_ARGUMENT` naming the field where the page lies outside the window or its size outside 1 to 100.
    pub fn new(page: u32, page_size: u32) -> Result<Self, Status> {
        let mut violations = Violations::new();
        if !(1..=MAX_PAGE_SIZE).contains(&page_size) {
            violations.add("page_size", format!("must be from 1 to {MAX_PAGE_SIZE}"));
        }
        if page < 1 {
            violations.add("page", "must be 1 or more");
        } else if page.saturating_mul(page_size) > MAX_WINDOW {
            violations.add(
                "page",
                format!("page times page_size must not exceed {MAX_WINDOW}; narrow the search instead"),
            );
        }
        violations.into_result()?;
        Ok(Self { page, page_size })
    }

    /// For SQL's LIMIT.
    pub fn limit(self) -> i64 {
        i64::from(self.page_size)
    }

    /// For SQL's OFFSET.
    pub fn offset(self) -> i64 {
        i64::from(self.page - 1) * i64::from(self.page_size)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pages_inside_the_window_have_an_offset() {
        let page = Page::new(3, 20).unwrap();
        assert_eq!((page.limit(), page.offset()), (20, 40));
        assert!(Page::new(100, 100).is_ok());
    }

    #[test]
    fn pages_outside_the_window_are_refused() {
        for (page, size) in [(0, 20), (1, 0), (1, 101), (101, 100), (u32::MAX, 100)] {
            assert_eq!(
                Page::new(page, size).unwrap_err().code(),
                tonic::Code::InvalidArgument,
                "{page} {size}"
            );
        }
    }
}
