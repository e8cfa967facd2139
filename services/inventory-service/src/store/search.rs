//! Lists of products that stay fast however many products there are. `QUERIES.md` has the plans and the times.
//!
//! A list without words is a walk along the index of its order. With words, or of one currency, there are two ways. The search index finds
//! every match, in no order, and the first [`MAX_WINDOW`] of them are sorted: right for most searches, but a word of very
//! many products costs too much and then only the order among those first ones is right. Walking along the index of
//! the order and testing each product finds what comes next exactly, and soon, if the words are common: so that is how
//! searches are answered once they are known to have [`MAX_WINDOW`] matches.
//!
//! Whoever reads on by cursor gets what is exact, always: of a search of very many products what a walk has found, even
//! where that is less than a page, and the place where it has stopped.

use std::collections::HashMap;

use chassis::page::{Entries, Keyset, MAX_WINDOW};
use sqlx::{
    AssertSqlSafe, Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    product::Product,
    search::{Position, Search, Sort, SortKey, Words},
};

/// How many products a walk along the order tests at most.
const MAX_WALK: i64 = 10_000;
/// How deep in a list a walk is tried where a page is asked for by number.
const MAX_WALK_DEPTH: i64 = 1_000;

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The page's products, in order.
    pub products: Entries<Product>,
    /// How many products the list has, exact up to [`MAX_WINDOW`].
    pub total: u64,
}

/// A page whose products are still to be read.
struct Found {
    /// Where they stand.
    positions: Vec<Position>,
    /// Behind where the list goes on, if it does.
    last: Option<Position>,
    /// How many the list has.
    total: i64,
}

impl Found {
    /// Of rows with `total`, `id` and `key`, of which there is one more than the page shows if there are more.
    fn read(rows: &[PgRow], sort: Sort, page: &Keyset<Position>) -> sqlx::Result<Self> {
        let total = rows.first().map_or(Ok(0), |row| row.try_get("total"))?;
        let read = rows.iter().filter_map(|row| position(row, sort).transpose());
        let mut positions: Vec<Position> = read.collect::<sqlx::Result<_>>()?;
        let more = positions.len() > page.size();
        positions.truncate(page.size());
        let last = positions.last().filter(|_| more).cloned();
        Ok(Self {
            positions,
            last,
            total,
        })
    }
}

impl Store {
    /// A page of the products that a search finds.
    pub async fn list(&self, search: &Search, page: &Keyset<Position>) -> Result<Listing, StoreError> {
        let _turn = self.turn_to_list().await?;
        let found = if search.words.is_none() && search.currency.is_empty() {
            self.list_all(search, page).await?
        } else {
            self.list_matches(search, page).await?
        };
        let ids: Vec<Uuid> = found.positions.iter().map(|position| position.id).collect();
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
            products: page.entries_until(products, found.last),
            total: found.total.unsigned_abs(),
        })
    }

    async fn list_all(&self, search: &Search, page: &Keyset<Position>) -> sqlx::Result<Found> {
        let Order {
            column,
            has,
            key,
            by,
            backwards,
        } = Order::of(search.sort);
        let matching = "FROM products WHERE deleted_at IS NULL";
        // Two statements rather than one that tests for an empty category: each then has the index that fits.
        let (in_category, next) = if search.category.is_empty() {
            ("", 4)
        } else {
            ("AND category = $4", 5)
        };
        let behind = behind(page, search.sort, next);
        let statement = format!(
            "SELECT total, id, {key} AS key
             FROM (SELECT count(*) AS total FROM (SELECT 1 {matching} {in_category} LIMIT $3) AS counted) AS all_of_them
             LEFT JOIN (SELECT id, {column} AS key {matching} {has} {in_category} {behind}
                        ORDER BY {by} OFFSET $1 LIMIT $2) AS page ON true
             ORDER BY page.key{backwards}, id{backwards}"
        );
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(page.offset())
            .bind(page.limit())
            .bind(i64::from(MAX_WINDOW));
        let query = if search.category.is_empty() {
            query
        } else {
            query.bind(&search.category)
        };
        let rows = bind_after(query, page).fetch_all(&self.database).await?;
        Found::read(&rows, search.sort, page)
    }

    async fn list_matches(&self, search: &Search, page: &Keyset<Position>) -> sqlx::Result<Found> {
        let what = (
            search.words.clone(),
            search.category.clone(),
            search.currency.clone(),
        );
        let may_walk = page.is_by_cursor() || page.offset() + page.limit() <= MAX_WALK_DEPTH;
        let mut sorted = None;
        if !may_walk || !self.common_searches.contains_key(&what) {
            let found = self.sort_matches(search, page).await?;
            if found.total < i64::from(MAX_WINDOW) {
                return Ok(found);
            }
            self.common_searches.insert(what, ());
            if !may_walk {
                return Ok(found);
            }
            sorted = Some(found);
        }
        let walked = self.walk(search, page).await?;
        // A walk that did not fill the page has missed what lies behind its end: there a cursor goes on.
        if page.is_by_cursor() || walked.positions.len() == page.size() {
            return Ok(walked);
        }
        match sorted {
            Some(found) => Ok(found),
            None => self.sort_matches(search, page).await,
        }
    }

    /// The page among the first [`MAX_WINDOW`] matches that the search index finds.
    async fn sort_matches(&self, search: &Search, page: &Keyset<Position>) -> sqlx::Result<Found> {
        let Order {
            column,
            key,
            by,
            backwards,
            ..
        } = Order::of(search.sort);
        let behind = behind(page, search.sort, 7);
        let statement = format!(
            "WITH matches AS MATERIALIZED (
                 SELECT id, created_at, price_amount, name_key FROM products
                 WHERE deleted_at IS NULL AND terms @@ {WANTED} LIMIT $6
             )
             SELECT total, id, {key} AS key
             FROM (SELECT count(*) AS total FROM matches) AS all_of_them
             LEFT JOIN (SELECT id, {column} AS key FROM matches WHERE true {behind}
                        ORDER BY {by} OFFSET $4 LIMIT $5) AS page ON true
             ORDER BY page.key{backwards}, id{backwards}"
        );
        // Planned for these very words: what is best depends on how common they are.
        let query = bind_wanted(sqlx::query(AssertSqlSafe(statement)).persistent(false), search)
            .bind(page.offset())
            .bind(page.limit())
            .bind(i64::from(MAX_WINDOW));
        let rows = bind_after(query, page).fetch_all(&self.database).await?;
        Found::read(&rows, search.sort, page)
    }

    /// The page among the first [`MAX_WALK`] products in the list's order, and where the walk ended if it has not filled
    /// the page and there is more behind: in one statement, so that nothing comes in between.
    async fn walk(&self, search: &Search, page: &Keyset<Position>) -> sqlx::Result<Found> {
        let Order {
            column,
            has,
            key,
            by,
            backwards,
        } = Order::of(search.sort);
        let in_category = if search.category.is_empty() {
            ""
        } else {
            "AND category = $2"
        };
        let behind = behind(page, search.sort, 7);
        let matching = format!("FROM products WHERE deleted_at IS NULL {has} {in_category} {behind}");
        // What is wanted is a query of its own, for it is worked out once then, and not for each product.
        let statement = format!(
            "WITH found AS MATERIALIZED (
                 SELECT id, {column} AS key FROM (
                     SELECT id, terms, created_at, price_amount, name_key {matching} ORDER BY {by} LIMIT $6
                 ) AS walked
                 WHERE terms @@ (SELECT {WANTED}) ORDER BY {by} OFFSET $4 LIMIT $5
             ), stopped AS (
                 SELECT id, {column} AS key {matching} AND (SELECT count(*) FROM found) < $5
                 ORDER BY {by} OFFSET $6 - 1 LIMIT 1
             )
             SELECT {MAX_WINDOW}::bigint AS total, id, {key} AS key, is_end FROM (
                 SELECT id, key, false AS is_end FROM found UNION ALL SELECT id, key, true FROM stopped
             ) AS page
             ORDER BY is_end, page.key{backwards}, id{backwards}"
        );
        let query = bind_wanted(sqlx::query(AssertSqlSafe(statement)), search)
            .bind(page.offset())
            .bind(page.limit())
            .bind(MAX_WALK);
        let mut rows = bind_after(query, page).fetch_all(&self.database).await?;
        let stopped = match rows.last() {
            Some(row) if row.try_get("is_end")? => position(row, search.sort)?,
            _ => None,
        };
        if stopped.is_some() {
            rows.pop();
        }
        let mut found = Found::read(&rows, search.sort, page)?;
        found.total = i64::from(MAX_WINDOW);
        found.last = found.last.or(stopped);
        Ok(found)
    }
}

/// What a product must have, as the schema says it of the parameters of [`bind_wanted`].
const WANTED: &str = "product_query($1, $2, $3)";

/// The parameters of [`WANTED`], the first three.
fn bind_wanted<'q>(
    query: Query<'q, Postgres, PgArguments>,
    search: &'q Search,
) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(search.words.as_ref().map(Words::as_str))
        .bind(&search.category)
        .bind(&search.currency)
}

/// An order in SQL.
struct Order {
    column: &'static str,
    /// A condition of its indexes.
    has: &'static str,
    /// The column, as `page.key`, in a form that is read here.
    key: &'static str,
    by: &'static str,
    backwards: &'static str,
}

impl Order {
    fn of(sort: Sort) -> Self {
        let (column, by) = match sort {
            Sort::Newest => ("created_at", "created_at DESC, id DESC"),
            Sort::Oldest => ("created_at", "created_at, id"),
            Sort::PriceAscending => ("price_amount", "price_amount, id"),
            Sort::PriceDescending => ("price_amount", "price_amount DESC, id DESC"),
            Sort::NameAscending => ("name_key", "name_key, id"),
            Sort::NameDescending => ("name_key", "name_key DESC, id DESC"),
        };
        let (has, key) = match sort {
            Sort::PriceAscending | Sort::PriceDescending => {
                ("AND price_amount IS NOT NULL", "page.key::text")
            }
            _ => ("", "page.key"),
        };
        let backwards = if sort.descends() { " DESC" } else { "" };
        Self {
            column,
            has,
            key,
            by,
            backwards,
        }
    }
}

/// That a product comes behind where the page begins, whose key and id are the parameters from that one on.
fn behind(page: &Keyset<Position>, sort: Sort, parameter: usize) -> String {
    let Some(after) = page.after() else {
        return String::new();
    };
    let column = Order::of(sort).column;
    let comes = if sort.descends() { '<' } else { '>' };
    let read = match after.key {
        SortKey::Amount(_) => "::text::numeric",
        SortKey::Created(_) | SortKey::Name(_) => "",
    };
    format!(
        "AND ({column}, id) {comes} (${parameter}{read}, ${})",
        parameter + 1
    )
}

/// The parameters of [`behind`].
fn bind_after<'q>(
    query: Query<'q, Postgres, PgArguments>,
    page: &'q Keyset<Position>,
) -> Query<'q, Postgres, PgArguments> {
    let Some(after) = page.after() else { return query };
    let query = match &after.key {
        SortKey::Created(_) => query.bind(after.key.created_at()),
        SortKey::Amount(amount) => query.bind(amount),
        SortKey::Name(name) => query.bind(name),
    };
    query.bind(after.id)
}

/// Where the product of a row stands; none in the row of a list that has none.
fn position(row: &PgRow, sort: Sort) -> sqlx::Result<Option<Position>> {
    let Some(id) = row.try_get::<Option<Uuid>, _>("id")? else {
        return Ok(None);
    };
    let key = match sort {
        Sort::Newest | Sort::Oldest => SortKey::created(row.try_get::<OffsetDateTime, _>("key")?),
        Sort::PriceAscending | Sort::PriceDescending => SortKey::Amount(row.try_get("key")?),
        Sort::NameAscending | Sort::NameDescending => SortKey::Name(row.try_get("key")?),
    };
    Ok(Some(Position { key, id }))
}
