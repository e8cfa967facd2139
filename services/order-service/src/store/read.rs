//! Reading orders.

use std::collections::HashMap;

use chassis::{
    open_enum::Open,
    page::{Entries, Keyset, MAX_WINDOW},
};
use proto::event;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Store;
use crate::order::{Line, Order, OrderFilter, OrderStatus, RejectedLine, Rejection};

/// The columns of an [`OrderRow`]. A statement names what it wants: `*` would give it whatever column a later version
/// adds, and its prepared form would fail from then on.
macro_rules! columns {
    () => {
        "id, user_id, status, currency_code, total_minor_units, rejection_reason, rejected_product, rejected_lines, \
         created_at, updated_at"
    };
}

/// From the index by customer alone, so far as the table's pages are known to be all visible. In the index's order, since a
/// bitmap of it would be of all of a customer's orders, whatever the limit.
pub const ORDERS_OF_EACH: &str = "
    SELECT (SELECT count(*) FROM (
        SELECT FROM orders WHERE orders.user_id = asked.user_id AND orders.id <> ALL($2)
        ORDER BY orders.id DESC LIMIT $3
    ) AS orders)
    FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (user_id, position) ORDER BY position";

/// By the index by customer, from its end.
pub const OPEN_AMONG_LATEST: &str = "
    SELECT count(*) FROM (
        SELECT status FROM orders WHERE user_id = $1 AND id <> ALL($2) ORDER BY id DESC LIMIT $3
    ) AS latest WHERE status = ANY($4)";

struct OrderRow {
    id: Uuid,
    user_id: Uuid,
    status: String,
    currency_code: String,
    total_minor_units: i64,
    rejection_reason: Option<String>,
    rejected_product: Option<Uuid>,
    rejected_lines: Option<Json<Vec<event::RejectedLine>>>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

chassis::from_row!(OrderRow {
    id,
    user_id,
    status,
    currency_code,
    total_minor_units,
    rejection_reason,
    rejected_product,
    rejected_lines,
    created_at,
    updated_at
});

struct LineRow {
    order_id: Uuid,
    product_id: Uuid,
    product_name: String,
    quantity: i64,
    unit_price_minor_units: i64,
}

chassis::from_row!(LineRow {
    order_id,
    product_id,
    product_name,
    quantity,
    unit_price_minor_units
});

impl Store {
    /// One order; with `user_id`, only if it is that user's.
    pub async fn order(&self, id: Uuid, user_id: Option<Uuid>) -> sqlx::Result<Option<Order>> {
        let row: Option<OrderRow> = sqlx::query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM orders WHERE id = $1 AND ($2::uuid IS NULL OR user_id = $2)",
        ))
        .bind(id)
        .bind(user_id)
        .fetch_optional(&self.database)
        .await?;
        Ok(self.with_lines(row.into_iter().collect()).await?.pop())
    }

    /// A page of orders, newest first, and how many there are, counted up to the window.
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        page: &Keyset<Uuid>,
    ) -> sqlx::Result<(Entries<Order>, i64)> {
        // A statement per kind of list, so that each has the plan of its own index.
        let of_whom = match (filter.user_id, filter.status) {
            (None, None) => "$1::uuid IS NULL AND $2::text IS NULL",
            (Some(_), None) => "user_id = $1 AND $2::text IS NULL",
            (None, Some(_)) => "$1::uuid IS NULL AND status = $2",
            // Written so that no index by status fits it: a status has more orders than anybody.
            (Some(_), Some(_)) => "user_id = $1 AND status || '' = $2",
        };
        // By time is by id, for which there are the indexes; the time itself decides at both ends, where it is asked for.
        let when = if filter.is_of_all_times() {
            "id >= $3 AND id < $4 AND $5::timestamptz IS NULL AND $6::timestamptz IS NULL"
        } else {
            "id >= $3 AND id < $4 AND created_at >= COALESCE($5, '-infinity')
             AND created_at < COALESCE($6, 'infinity')"
        };
        let status = filter.status.map(OrderStatus::as_str);
        let ids = filter.ids();
        let before = page.after().map_or(ids.end, |after| *after.min(&ids.end));
        let columns = columns!();
        let list = format!(
            "SELECT {columns} FROM orders WHERE {of_whom} AND {when} ORDER BY id DESC LIMIT $7 OFFSET $8"
        );
        let rows: Vec<OrderRow> = sqlx::query_as(sqlx::AssertSqlSafe(list))
            .bind(filter.user_id)
            .bind(status)
            .bind(ids.start)
            .bind(before)
            .bind(filter.created_from)
            .bind(filter.created_to)
            .bind(page.limit())
            .bind(page.offset())
            .fetch_all(&self.database)
            .await?;
        let count = format!(
            "SELECT count(*) FROM (SELECT FROM orders WHERE {of_whom} AND {when} LIMIT $7) AS counted"
        );
        let (total,) = sqlx::query_as(sqlx::AssertSqlSafe(count))
            .bind(filter.user_id)
            .bind(status)
            .bind(ids.start)
            .bind(ids.end)
            .bind(filter.created_from)
            .bind(filter.created_to)
            .bind(i64::from(MAX_WINDOW))
            .fetch_one(&self.database)
            .await?;
        let shown = page.entries(rows, |row| row.id);
        let orders = self.with_lines(shown.items).await?;
        let shown = Entries {
            items: orders,
            next: shown.next,
            page: shown.page,
        };
        Ok((shown, total))
    }

    /// The status of each order that there is.
    pub async fn statuses(&self, ids: &[Uuid]) -> sqlx::Result<Vec<(Uuid, Open<OrderStatus>)>> {
        let rows: Vec<(Uuid, String)> = sqlx::query_as("SELECT id, status FROM orders WHERE id = ANY($1)")
            .bind(ids)
            .fetch_all(&self.database)
            .await?;
        Ok(rows
            .into_iter()
            .map(|(id, status)| (id, Open::parse(&status)))
            .collect())
    }

    /// How many orders each of these customers has, in order, up to `limit`; without those that are to be left out.
    pub async fn orders_of_each(
        &self,
        customers: &[Uuid],
        left_out: &[Uuid],
        limit: u32,
    ) -> sqlx::Result<Vec<u32>> {
        let counts: Vec<i64> = sqlx::query_scalar(ORDERS_OF_EACH)
            .bind(customers)
            .bind(left_out)
            .bind(i64::from(limit))
            .fetch_all(&self.database)
            .await?;
        Ok(counts.into_iter().map(counted).collect())
    }

    /// How many are open of the customer's latest orders, twice as many as `bound`; without those that are to be left out.
    pub async fn open_among_latest(
        &self,
        customer: Uuid,
        left_out: &[Uuid],
        bound: u32,
    ) -> sqlx::Result<u32> {
        let open = OrderStatus::ALL.into_iter().filter(|status| status.is_open());
        let count: i64 = sqlx::query_scalar(OPEN_AMONG_LATEST)
            .bind(customer)
            .bind(left_out)
            .bind(2 * i64::from(bound))
            .bind(open.map(OrderStatus::as_str).collect::<Vec<_>>())
            .fetch_one(&self.database)
            .await?;
        Ok(counted(count))
    }

    async fn with_lines(&self, rows: Vec<OrderRow>) -> sqlx::Result<Vec<Order>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let lines: Vec<LineRow> = sqlx::query_as(
            "SELECT order_id, product_id, product_name, quantity, unit_price_minor_units
             FROM order_lines WHERE order_id = ANY($1) ORDER BY order_id, line_no",
        )
        .bind(ids)
        .fetch_all(&self.database)
        .await?;
        let mut by_order: HashMap<Uuid, Vec<Line>> = HashMap::new();
        for line in lines {
            by_order.entry(line.order_id).or_default().push(Line {
                product_id: line.product_id,
                product_name: line.product_name,
                quantity: line.quantity,
                unit_price: line.unit_price_minor_units,
            });
        }
        Ok(rows
            .into_iter()
            .map(|row| {
                let lines = by_order.remove(&row.id).unwrap_or_default();
                row.into_order(lines)
            })
            .collect())
    }
}

fn counted(rows: i64) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

impl OrderRow {
    fn into_order(self, lines: Vec<Line>) -> Order {
        let rejection = match (self.rejection_reason, self.rejected_product) {
            (Some(reason), Some(product_id)) => Some(Rejection {
                first: RejectedLine {
                    product_id,
                    reason: Open::parse(&reason),
                },
                others: self
                    .rejected_lines
                    .into_iter()
                    .flat_map(|Json(lines)| lines)
                    .skip(1)
                    .map(|line| RejectedLine {
                        product_id: line.product_id,
                        reason: Open::parse(&line.reason),
                    })
                    .collect(),
            }),
            _ => None,
        };
        Order {
            id: self.id,
            user_id: self.user_id,
            status: Open::parse(&self.status),
            lines,
            currency: self.currency_code,
            total: self.total_minor_units,
            rejection,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}
