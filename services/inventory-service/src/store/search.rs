//! Lists of products that stay fast however many products there are. `QUERIES.md` has the plans and the times.
//!
//! A list without words is a walk along the index of its order. With words there are two ways. The search index finds
//! every match, in no order, and the first [`MAX_WINDOW`] of them are sorted: right for most searches, but a word of very
//! many products costs too much and then only the order among those first ones is right. Walking along the index of
//! the order and testing each product finds the head of the list exactly, and soon, if the words are common: so that
//! is how searches are answered once they are known to have [`MAX_WINDOW`] matches.

use std::collections::HashMap;

use chassis::page::{MAX_WINDOW, Page};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    product::Product,
    search::{Search, Sort, Words},
};

/// How many products a walk along the order tests at most.
const MAX_WALK: i64 = 10_000;
/// How deep in a list a walk is tried.
const MAX_WALK_DEPTH: i64 = 1_000;

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The page's products, in order.
    pub products: Vec<Product>,
    /// How many products the list has, exact up to [`MAX_WINDOW`].
    pub total: u64,
}

/// A page whose products are still to be read.
type Found = (Vec<Uuid>, i64);

impl Store {
    /// A page of the products that a search finds.
    pub async fn list(&self, search: &Search, page: Page) -> Result<Listing, StoreError> {
        let _turn = self.turn_to_list().await?;
        let (ids, total) = match &search.words {
            None => self.list_all(search, page).await?,
            Some(words) => self.list_matches(search, words, page).await?,
        };
        let products = if ids.is_empty() {
            Vec::new()
        } else {
            self.products(&ids).await?
        };
        let mut by_id: HashMap<Uuid, Product> = products
            .into_iter()
            .map(|product| (product.id, product))
            .collect();
        let products = ids.iter().filter_map(|id| by_id.remove(id)).collect();
        Ok(Listing {
            products,
            total: total.unsigned_abs(),
        })
    }

    async fn list_all(&self, search: &Search, page: Page) -> sqlx::Result<Found> {
        let order = order_by(search.sort);
        let matching = "FROM products WHERE deleted_at IS NULL";
        // Two statements rather than one that tests for an empty category: each then has the index that fits.
        let in_category = if search.category.is_empty() {
            ""
        } else {
            "AND category = $4"
        };
        let statement = format!(
            "SELECT ARRAY(SELECT id {matching} {in_category} ORDER BY {order} OFFSET $1 LIMIT $2),
                    (SELECT count(*) FROM (SELECT 1 {matching} {in_category} LIMIT $3) t)"
        );
        let query = sqlx::query_as(AssertSqlSafe(statement))
            .bind(page.offset())
            .bind(page.limit())
            .bind(i64::from(MAX_WINDOW));
        let query = if search.category.is_empty() {
            query
        } else {
            query.bind(&search.category)
        };
        query.fetch_one(&self.database).await
    }

    async fn list_matches(&self, search: &Search, words: &Words, page: Page) -> sqlx::Result<Found> {
        let key = (words.as_str().to_owned(), search.category.clone());
        if self.common_searches.contains_key(&key) && page.offset() + page.limit() <= MAX_WALK_DEPTH {
            let ids = self.walk(search, words, page).await?;
            // A walk that did not fill the page has missed what lies behind its end.
            if i64::try_from(ids.len()) == Ok(page.limit()) {
                return Ok((ids, i64::from(MAX_WINDOW)));
            }
        }
        let found = self.sort_matches(search, words, page).await?;
        if found.1 == i64::from(MAX_WINDOW) {
            self.common_searches.insert(key, ());
        }
        Ok(found)
    }

    /// The page among the first [`MAX_WINDOW`] matches that the search index finds.
    async fn sort_matches(&self, search: &Search, words: &Words, page: Page) -> sqlx::Result<Found> {
        let order = order_by(search.sort);
        let statement = format!(
            "WITH matches AS MATERIALIZED (
                 SELECT id, created_at, price_minor_units, name_key FROM products
                 WHERE deleted_at IS NULL AND search @@ {WORDS} LIMIT $5
             )
             SELECT ARRAY(SELECT id FROM matches ORDER BY {order} OFFSET $3 LIMIT $4),
                    (SELECT count(*) FROM matches)"
        );
        sqlx::query_as(AssertSqlSafe(statement))
            // Planned for these very words: what is best depends on how common they are.
            .persistent(false)
            .bind(words.as_str())
            .bind(rest_of_query(words, &search.category))
            .bind(page.offset())
            .bind(page.limit())
            .bind(i64::from(MAX_WINDOW))
            .fetch_one(&self.database)
            .await
    }

    /// The page among the first [`MAX_WALK`] products in the list's order.
    async fn walk(&self, search: &Search, words: &Words, page: Page) -> sqlx::Result<Vec<Uuid>> {
        let order = order_by(search.sort);
        let in_category = if search.category.is_empty() {
            ""
        } else {
            "AND category = $6"
        };
        let statement = format!(
            "SELECT ARRAY(
                 SELECT id FROM (
                     SELECT id, search, created_at, price_minor_units, name_key FROM products
                     WHERE deleted_at IS NULL {in_category} ORDER BY {order} LIMIT $5
                 ) walked
                 WHERE search @@ {WORDS} ORDER BY {order} OFFSET $3 LIMIT $4
             )"
        );
        let query = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(words.as_str())
            .bind(rest_of_query(words, &search.category))
            .bind(page.offset())
            .bind(page.limit())
            .bind(MAX_WALK);
        let query = if search.category.is_empty() {
            query
        } else {
            query.bind(&search.category)
        };
        query.fetch_one(&self.database).await
    }
}

/// The search as the database's type for it: $1 are words, split and put in lower case as the schema does it; $2 is
/// [`rest_of_query`]. Where there are no words, it is null and matches nothing.
const WORDS: &str = "(NULLIF(plainto_tsquery('simple', $1)::text, '') || $2)::tsquery";

/// What follows the words in the text form of a `tsquery`.
fn rest_of_query(words: &Words, category: &str) -> String {
    let prefix = if words.last_is_prefix() { ":*" } else { "" };
    if category.is_empty() {
        return prefix.to_owned();
    }
    let category = category.replace('\\', r"\\").replace('\'', "''");
    format!("{prefix} & 'category={category}'")
}

fn order_by(sort: Sort) -> &'static str {
    match sort {
        Sort::Newest => "created_at DESC, id DESC",
        Sort::Oldest => "created_at, id",
        Sort::PriceAscending => "price_minor_units, id",
        Sort::PriceDescending => "price_minor_units DESC, id DESC",
        Sort::NameAscending => "name_key, id",
        Sort::NameDescending => "name_key DESC, id DESC",
    }
}
