//! Lists: a page of what there is, by number or by cursor, and links to the pages beside it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use chassis::{
    page::{self, DEFAULT_PAGE_SIZE, MAX_WINDOW},
    violations::Violations,
};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::{Api, decode::Faults};

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
    /// What a query that was [checked](Self::check) says, or the first page.
    pub(super) fn new(page: Option<u32>, page_size: Option<u32>, cursor: Option<String>) -> Self {
        let first = u32::from(cursor.is_none());
        Self {
            page: page.unwrap_or(first),
            page_size: page_size.unwrap_or(DEFAULT_PAGE_SIZE),
            cursor,
        }
    }

    /// Notes what is wrong with what a query says.
    pub(super) fn check(
        faults: &mut Faults,
        page: Option<u32>,
        page_size: Option<u32>,
        cursor: Option<&str>,
    ) {
        let mut violations = Violations::new();
        let page_size = page_size.unwrap_or(DEFAULT_PAGE_SIZE);
        page::check(&mut violations, page, page_size, cursor);
        faults.take_all(&violations);
    }

    /// The page with what is on it, and the links to those beside it.
    pub(super) fn list<M, T>(
        self,
        target: &Target,
        messages: Vec<M>,
        shown: Shown,
        item: impl FnMut(M) -> T,
    ) -> (Links, List<T>) {
        let links = self.links(target, &shown);
        let list = List {
            items: messages.into_iter().map(item).collect(),
            total: shown.total,
            page: if shown.page == 0 { self.page } else { shown.page },
            page_size: self.page_size,
            next: shown.next,
        };
        (links, list)
    }

    /// By number as far as numbers go, and from there by cursor; what was begun by cursor has no number to go back to.
    fn links(&self, target: &Target, shown: &Shown) -> Links {
        if self.cursor.is_some() {
            return Links::by_cursor(target, &shown.next);
        }
        let window = MAX_WINDOW / self.page_size.max(1);
        // Past the window nobody counts.
        let pages = u32::try_from(shown.total)
            .ok()
            .filter(|total| *total < MAX_WINDOW);
        let last = pages.map(|total| total.div_ceil(self.page_size.max(1)).max(1));
        let next = self.page + 1;
        let mut links = Links::default();
        links.add("first", target, "page", "1");
        if self.page > 1 {
            let previous = (self.page - 1).min(last.unwrap_or(u32::MAX));
            links.add("prev", target, "page", &previous.to_string());
        }
        if shown.next.is_empty() {
            // It is the last.
        } else if next <= window {
            links.add("next", target, "page", &next.to_string());
        } else {
            links.add("next", target, "cursor", &shown.next);
        }
        if let Some(last) = last.filter(|last| *last <= window) {
            links.add("last", target, "page", &last.to_string());
        }
        links
    }
}

/// What a list was asked for by: its path, and its query without what says which page.
pub(super) struct Target {
    path: String,
    others: Vec<(String, String)>,
}

impl FromRequestParts<Api> for Target {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        let is_other = |(name, _): &(String, String)| !matches!(name.as_str(), "page" | "cursor");
        Ok(Self {
            path: parts.uri.path().to_owned(),
            others: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .filter(is_other)
                .collect(),
        })
    }
}

/// The pages beside one, as `Link` has them ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)): for programs that follow a
/// list without knowing how it is read. Their targets are relative, since the gateway doesn't know what it is called
/// outside.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<String>);

impl Links {
    /// Of a page that is read by cursor: where it begins, and what comes behind unless that is empty.
    pub(super) fn by_cursor(target: &Target, next: &str) -> Self {
        let mut links = Self::default();
        links.add("first", target, "cursor", "");
        if !next.is_empty() {
            links.add("next", target, "cursor", next);
        }
        links
    }

    fn add(&mut self, relation: &str, target: &Target, name: &str, value: &str) {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&target.others).append_pair(name, value);
        let (path, query) = (&target.path, query.finish());
        self.0.push(format!("<{path}?{query}>; rel=\"{relation}\""));
    }
}

impl IntoResponseParts for Links {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Self::Error> {
        // A path and a query that were written anew have no character that a header may not.
        if let Ok(value) = HeaderValue::try_from(self.0.join(", ")) {
            response.headers_mut().insert(header::LINK, value);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(page: Option<u32>, cursor: Option<&str>, total: u64, next: &str) -> Vec<String> {
        let target = Target {
            path: "/products".to_owned(),
            others: vec![("q".to_owned(), "a&b ü".to_owned())],
        };
        let shown = Shown {
            total,
            next: next.to_owned(),
            page: 0,
        };
        let paging = Paging::new(page, Some(20), cursor.map(str::to_owned));
        let Links(links) = paging.links(&target, &shown);
        let short = |link: String| link.replace("</products?q=a%26b+%C3%BC&", "");
        links.into_iter().map(short).collect()
    }

    #[test]
    fn a_page_is_linked_to_those_beside_it() {
        for (page, cursor, total, next, expected) in [
            (
                None,
                None,
                0,
                "",
                vec!["page=1>; rel=\"first\"", "page=1>; rel=\"last\""],
            ),
            (
                None,
                None,
                41,
                "n",
                vec![
                    "page=1>; rel=\"first\"",
                    "page=2>; rel=\"next\"",
                    "page=3>; rel=\"last\"",
                ],
            ),
            (
                Some(3),
                None,
                41,
                "",
                vec![
                    "page=1>; rel=\"first\"",
                    "page=2>; rel=\"prev\"",
                    "page=3>; rel=\"last\"",
                ],
            ),
            // Behind the end: back to what there is.
            (
                Some(9),
                None,
                41,
                "",
                vec![
                    "page=1>; rel=\"first\"",
                    "page=3>; rel=\"prev\"",
                    "page=3>; rel=\"last\"",
                ],
            ),
            // The end of the window: how many there are nobody has counted, and what follows has no number.
            (
                Some(500),
                None,
                10_000,
                "n",
                vec![
                    "page=1>; rel=\"first\"",
                    "page=499>; rel=\"prev\"",
                    "cursor=n>; rel=\"next\"",
                ],
            ),
            (
                None,
                Some(""),
                41,
                "n",
                vec!["cursor=>; rel=\"first\"", "cursor=n>; rel=\"next\""],
            ),
            (None, Some("m"), 41, "", vec!["cursor=>; rel=\"first\""]),
        ] {
            assert_eq!(links(page, cursor, total, next), expected, "{page:?} {cursor:?}");
        }
    }
}
